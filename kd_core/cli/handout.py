"""``kd handout``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kd_core.cli.output import as_json, console, print_json


@click.command()
@click.argument("lesson", nargs=-1)
@click.option(
    "--to",
    "folder",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files, made if it is not there.",
)
@click.option("--questions", is_flag=True, help="The front sides alone, without pictures and answers.")
@as_json
def handout(lesson: tuple[str, ...], folder: Path, questions: bool, as_json: bool) -> None:
    """Lessons as pages to print: an HTML file each; without LESSON, all of them."""
    from kd_core.errors import ConfigError
    from kd_core.figures.handout import handout as page_of
    from kd_core.learn.lessons import lessons
    from kd_core.system.atomic import write_text

    known = lessons()
    if unknown := [name for name in lesson if name not in known]:
        raise ConfigError(f"there is no lesson {', '.join(unknown)}; choose from {', '.join(known)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name in lesson or known:
            written.append(folder / f"{known[name].place}-{name}.html")
            write_text(written[-1], page_of(known[name], answers=not questions))
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}") from error
    if as_json:
        return print_json([str(file) for file in written])
    out = console(sys.stdout)
    for file in written:
        out.print(str(file), soft_wrap=True)
    out.print("Open them in a browser and print: A4, both sides.", soft_wrap=True)
    return None
