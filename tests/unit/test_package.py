"""The package as a whole: what an import loads, and which module may import which."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import kd_core

ROOT = Path(kd_core.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
HEAVY = ("torch", "transformers", "datasets", "streamlit", "pandas")
LIGHT = (
    "config",
    "errors",
    "objectives",
    "system.paths",
    "system.atomic",
    "system.cache",
    "system.control",
    "distillation.events",
    "distillation.metrics",
    "distillation.report",
    "distillation.run_folder",
    "cli",
    "cli.flags",
)

# Each room may use those above it, and none beside or below. A new file needs no entry.
LAYERS = """
errors
objectives system
config
data
models
distillation
jobs learn
search deployment
figures job_kinds
cli
"""
LEVEL = {name: level for level, line in enumerate(LAYERS.split("\n")) for name in line.split()}


BROUGHT = [ROOT / "models" / f"{name}.py" for name in ("bilstm", "cnn", "pooled", "static")]


def dotted(file: Path) -> str:
    """ "kd_core.data.files" for kd_core/data/files.py, "kd_core.data" for its __init__."""
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def room(name: str) -> str:
    """ "data" for "kd_core.data.files", "" for the package's own __init__."""
    return name.partition(".")[2].partition(".")[0]


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(file: Path, *, at_once: bool = False) -> Iterator[str]:
    """Dotted names of all that a file imports, inside functions and for type checking too."""
    found = tree(file)
    for node in found.body if at_once else ast.walk(found):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:  # a file that an export brings along, with those beside it
                assert node.level == 1
                assert file in BROUGHT, f"{file} has a relative import"
            package = f"{dotted(file.parent)}." if node.level else ""
            yield from (f"{package}{node.module}.{name.name}" for name in node.names)


MODULES = {dotted(file): file for file in FILES}


def used(file: Path, *, at_once: bool = False) -> set[str]:
    """The modules of kd_core that a file imports; ``at_once``: while it is imported itself."""
    found = set()
    for name in imported(file, at_once=at_once):
        if name in MODULES:
            found.add(name)
        elif (module := name.rpartition(".")[0]) in MODULES:  # a name of that module
            found.add(f"kd_core.{kd_core._HOMES[name.split('.')[1]]}" if module == "kd_core" else module)
    return found - {dotted(file)}


def loaded(*modules: str) -> dict[str, list[str]]:
    """Which heavy packages are there after each import, all in one new process."""
    code = f"""
import importlib, json, sys
found = {{}}
for name in {modules}:
    importlib.import_module(name)
    found[name] = [heavy for heavy in {HEAVY} if heavy in sys.modules]
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_dir_lists_the_public_names() -> None:
    assert dir(kd_core) == ["Control", "DistillConfig", "KDError", "Report", "distill"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded("kd_core") == {"kd_core": []}


def test_light_modules_load_nothing_heavy() -> None:
    names = [f"kd_core.{name}" for name in LIGHT]
    assert loaded(*names) == {name: [] for name in names}


def test_durations_use_a_monotonic_clock() -> None:
    wall = {file.name for file in FILES if "time.time()" in file.read_text(encoding="utf-8")}
    assert wall == {"cleaning.py"}


def test_loaded_reports_a_heavy_module() -> None:
    assert loaded("pandas") == {"pandas": ["pandas"]}


@pytest.mark.parametrize("name", kd_core.__all__)
def test_public_names(name: str) -> None:
    thing = getattr(kd_core, name)
    assert thing.__name__ == name
    assert thing.__module__ == f"kd_core.{kd_core._HOMES[name]}"


def test_homes_of_public_names() -> None:
    assert sorted(kd_core._HOMES) == sorted(kd_core.__all__)
    with pytest.raises(AttributeError, match=r"^module 'kd_core' has no attribute 'distil'$"):
        _ = kd_core.distil


def test_every_room_has_a_layer() -> None:
    assert {room(name) for name in MODULES} - {""} == set(LEVEL)


def test_imports_go_down() -> None:
    for file in FILES:
        if mine := room(dotted(file)):  # the package's own __init__ names everything
            others = {room(name) for name in used(file)} - {mine, ""}
            assert [other for other in others if LEVEL[other] >= LEVEL[mine]] == [], file


def test_no_import_cycles() -> None:
    """Imports inside functions and for type checking count too."""
    uses = {name: used(file) for name, file in MODULES.items() if name != "kd_core"}
    try:
        TopologicalSorter(uses).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_engine_does_not_import_the_dashboard() -> None:
    for file in FILES:
        assert not {name.split(".")[0] for name in imported(file)} & {"streamlit", "pages", "app", "tests"}, (
            file
        )


def test_no_prints_in_the_engine() -> None:
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{file.name}:{node.lineno}"
