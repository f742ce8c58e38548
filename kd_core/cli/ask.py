"""``kd suspects`` and ``kd ask``: which labels to look at, and which texts a teacher should answer next."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kd_core.cli.output import as_json, console, print_json, stray_prints_to_stderr, table
from kd_core.cli.runs import find_finished
from kd_core.errors import ConfigError, DataError, RunError
from kd_core.system import paths
from kd_core.system.atomic import write_bytes
from kd_core.system.formatting import counted, printable

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20


class ReadsAFile(click.Command):
    """With the flags that the reader's errors ask for, in the words of ``kd distill``."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        from kd_core.config import TaskConfig

        words = {name: TaskConfig.model_fields[name].description for name in ("encoding", "delimiter")}
        flags = [click.Option([f"--{name}"], metavar="TEXT", help=text) for name, text in words.items()]
        *own, as_json, help = super().get_params(ctx)
        return [*own, *flags, as_json, help]


@click.command(cls=ReadsAFile)
@click.argument("run")
@click.option("--to", metavar="PLACE", help="New CSV file for all of them; with --marks, a new folder.")
@click.option(
    "--marks",
    metavar="FILE",
    help="That CSV with a column mark (wrong label, right label, drop): write RUN's task mended, with the "
    "config of a new run.",
)
@as_json
def suspects(
    run: str, to: str | None, marks: str | None, encoding: str | None, delimiter: str | None, as_json: bool
) -> None:
    """Labels of RUN that its teacher contradicts, those first that it contradicts with most confidence.

    Where a teacher gave labels alone, they are in the order of the task.

    A label that is marked as wrong becomes the teacher's.
    """
    from kd_core.data.spreadsheets import safe_csv
    from kd_core.deployment.ask import suspects as find_suspects

    run_id = find_finished(run)
    if to:
        _check_place(to, folder=bool(marks))
    found = find_suspects(run_id)
    if marks:
        return _mend(run_id, found, marks, to, as_json, encoding=encoding, delimiter=delimiter)
    if to:
        _write(to, safe_csv(found.assign(mark="")))
    if as_json:
        return print_json(found.astype(object).where(found.notna(), None).to_dict("records"))
    out = console(sys.stdout)
    shown = found.head(SHOWN)
    rows = [  # a text of many lines has one here
        (" ".join(text.split())[:70], label, teacher, "–" if math.isnan(sure) else f"{sure:.1f} %")
        for text, label, teacher, sure in zip(
            *(shown[name].to_list() for name in ("text", "label", "teacher", "sure")), strict=True
        )
    ]
    out.print(table(("Text", "Label", "Teacher", "Sure"), rows, (3,)))
    out.print(f"{counted(len(found), 'label')} that the teacher contradicts{f', all in {to}' if to else ''}.")
    return None


def _mend(
    run_id: str,
    found: pd.DataFrame,
    marks: str,
    to: str | None,
    as_json: bool,
    *,
    encoding: str | None,
    delimiter: str | None,
) -> None:
    from kd_core.data.apart import read_file
    from kd_core.deployment import mend

    if to is None:
        raise ConfigError("--marks needs --to, a new folder for the mended files")
    try:
        table = read_file(Path(marks), Path(marks).name, encoding=encoding, delimiter=delimiter).frame
    except DataError as error:
        raise DataError(f"--marks: {error}") from error
    given = mend.read_marks(table, found)
    files, settings = mend.mended(run_id, given)
    folder = paths.expanded(to).absolute()
    places = {field: str(folder / upload.name) for field, upload in files.items()}
    if settings.knowledge:
        places["knowledge"] = places["name"]
    config = mend.again(run_id, settings.model_copy(update=places))
    for field, upload in files.items():
        _write(places[field], upload.data)
    _write(str(folder / "config.yaml"), config.to_yaml().encode())
    command = f"kd distill --config {shlex.quote(str(folder / 'config.yaml'))}"
    if as_json:
        return print_json({"marks": given, "files": places, "command": command})
    changed = sum(mark != "right label" for mark in given.values())
    dropped = sum(mark == "drop" for mark in given.values())
    mended = f"{counted(changed - dropped, 'label')} mended, {counted(dropped, 'text')} dropped"
    click.echo(f"{mended}, of {len(found):,} that were doubtful; in {folder}. A run with them: {command}")
    return None


def _check_place(place: str, *, folder: bool = False) -> None:
    """Before anything is computed. Raises: ConfigError, RunError."""
    with _disk_errors(place):
        path = paths.expanded(place).absolute()
        if not folder and path.is_dir():
            raise ConfigError(f"--to {place} is a folder; choose a file")
        if path.exists():  # a person may have filled it in since
            raise ConfigError(f"--to {place} exists already; choose a new {'folder' if folder else 'file'}")
        paths.try_place(path)


def _write(place: str, content: bytes) -> None:
    """Raises: RunError."""
    path = paths.expanded(place)
    with _disk_errors(place):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)


@contextmanager
def _disk_errors(place: str) -> Iterator[None]:
    """Raises: RunError."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # the last of a link in a circle
        raise RunError(
            f"--to {place} cannot be written: {getattr(error, 'strerror', None) or error}."
        ) from error


@click.command(cls=ReadsAFile)
@click.argument("run")
@click.argument("pool", type=click.Path())
@click.option("-n", "count", type=int, default=100, show_default=True, help="How many texts.")
@click.option("--by", type=click.Choice(["spread", "margin", "entropy"]), default="spread", show_default=True)
@click.option("--to", metavar="FILE", help="New CSV file to send to the teacher (none: the standard output).")
@click.option("--text-column", metavar="TEXT", help="Column with the texts (guessed when not given).")
@as_json
def ask(
    run: str,
    pool: str,
    count: int,
    by: str,
    to: str | None,
    text_column: str | None,
    encoding: str | None,
    delimiter: str | None,
    as_json: bool,
) -> None:
    """Which texts of POOL, a file without answers, a teacher should answer next for RUN's student.

    Where the teacher is a network, a person labels them.

    margin and entropy take those of which it is least sure, spread takes them from all over the pool. Texts
    that RUN knows already are left out.
    """
    import pandas as pd

    from kd_core.data.spreadsheets import safe_csv
    from kd_core.deployment.ask import next_texts, unanswered
    from kd_core.deployment.forms import open_form
    from kd_core.distillation.report import Report
    from kd_core.distillation.run_folder import find

    run_id = find_finished(run)
    if to:
        _check_place(to)
    given = unanswered(run_id, _texts(pool, text_column, encoding, delimiter))
    with stray_prints_to_stderr():
        places = next_texts(open_form(run_id, "student", "pytorch"), given, count, by)  # type: ignore[arg-type]
    chosen = [given[place] for place in places]
    content = safe_csv(pd.DataFrame({"text": chosen}))
    if to:
        _write(to, content)
    if as_json:
        return print_json({"new": len(given), "by": by, "to": to, "texts": chosen})
    if to:
        what, where, flag = "labels", "its rows to the labelled texts", "--task"
        if Report.read(find(run_id)).teacher_is_file:
            what, where, flag = "the teacher's answers", "to the file of answers", "--knowledge"
        click.echo(
            f"{count:,} of {counted(len(given), 'new text')} in {to}. Add {what} to it and {where}, then: "
            f"kd distill {flag} FILE"
        )
    else:
        table = content.decode("utf-8-sig")  # a pipe is no spreadsheet
        click.echo(printable(table) if sys.stdout.isatty() else table, nl=False)
    return None


def _texts(pool: str, text_column: str | None, encoding: str | None, delimiter: str | None) -> list[str]:
    """Raises: DataError, naming the argument."""
    from kd_core.config import HUB_PREFIX
    from kd_core.data.apart import read_file
    from kd_core.data.bundled import TASKS
    from kd_core.data.columns import choose_text

    if pool in TASKS or pool.startswith(HUB_PREFIX) or Path(pool).is_dir():
        raise DataError(
            "POOL is a file of texts (CSV, TSV, JSONL, Parquet, or .txt with a text in each line), "
            f"got {pool!r}."
        )
    try:
        columns = [text_column] if text_column else []
        table = read_file(
            Path(pool), Path(pool).name, encoding=encoding, delimiter=delimiter, columns=columns
        )
        if text_column and text_column not in table.frame:
            raise DataError(
                f"{table.name} has no column {text_column!r}; choose --text-column from "
                f"{', '.join(map(repr, table.frame.columns))}."
            )
        column = choose_text(table, text_column)
    except DataError as error:
        raise DataError(f"POOL: {error}") from error
    texts: list[str] = table.frame[column].str.strip().to_list()
    return [text for text in texts if text]
