"""The pages' folders: a page's parts lie beside it, and what two pages use is shared."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import ROOT

PAGES = ROOT / "pages"
FILES = sorted(PAGES.rglob("*.py"))
SHARED = [file for file in FILES if file.is_relative_to(PAGES / "shared")]


def used(file: Path) -> set[Path]:
    """The files of ``pages`` that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "a relative import"
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    places = {ROOT / f"{name.replace('.', '/')}.py" for name in names}
    return places & set(FILES)


def page_of(file: Path) -> Path:
    """The folder of the page that a file is a part of; that of ``main.py`` for what is around all pages."""
    return next(folder for folder in file.parents if folder == PAGES or (folder / "page.py").exists())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PAGES).as_posix())
def test_a_page_uses_parts_of_its_own_and_shared_ones(file: Path) -> None:
    """Also those of a page in whose folder it lies: lessons show labs.

    What lies in ``pages`` itself, such as the main scripts and their navigation, is around all pages.
    """
    own = {folder for folder in file.parents if folder != PAGES}
    foreign = [part for part in used(file) if part not in SHARED and part.parent not in own]
    assert file.parent == PAGES or foreign == []


@pytest.mark.parametrize("part", SHARED, ids=lambda file: file.stem)
def test_what_is_shared_is_used_by_two_pages(part: Path) -> None:
    users, seen = [part], {part}
    while users:
        more = {file for file in FILES if used(file) & set(users)} - seen
        users = [file for file in more if file in SHARED]
        seen |= more
    assert len({page_of(file) for file in seen - set(SHARED)}) >= 2


@pytest.mark.parametrize(
    "file", [*PAGES.rglob("page.py"), PAGES / "main.py"], ids=lambda file: file.parent.name
)
def test_a_page_is_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < 150
