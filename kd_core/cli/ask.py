"""``kd suspects`` and ``kd ask``: which labels to look at, and which texts a teacher should answer next."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kd_core.cli.output import as_json, console, print_json, stray_prints_to_stderr, table
from kd_core.cli.runs import find_run

SHOWN = 20


@click.command()
@click.argument("run")
@click.option("--to", metavar="FILE", help="CSV file for all of them.")
@as_json
def suspects(run: str, to: str | None, as_json: bool) -> None:
    """Labels of RUN that its teacher contradicts, those first that it contradicts with most confidence."""
    from kd_core.data.spreadsheets import safe_csv
    from kd_core.deployment.ask import suspects as find_suspects

    found = find_suspects(find_run(run))
    if to:
        Path(to).write_bytes(safe_csv(found))
    if as_json:
        return print_json(found.to_dict("records"))
    out = console(sys.stdout)
    shown = found.head(SHOWN)
    rows = [
        (text[:70], label, teacher, f"{sure:.1f} %")
        for text, label, teacher, sure in zip(
            *(shown[name].to_list() for name in ("text", "label", "teacher", "sure")), strict=True
        )
    ]
    out.print(table(("Text", "Label", "Teacher", "Sure"), rows, (3,)))
    out.print(f"{len(found):,} labels that the teacher contradicts{f', all in {to}' if to else ''}.")
    return None


@click.command()
@click.argument("run")
@click.argument("pool", type=click.Path())
@click.option("-n", "count", type=int, default=100, show_default=True, help="How many texts.")
@click.option("--by", type=click.Choice(["spread", "margin", "entropy"]), default="spread", show_default=True)
@click.option("--to", metavar="FILE", help="CSV file to send to the teacher (none: the standard output).")
@click.option("--text-column", metavar="TEXT", help="Column with the texts (guessed when not given).")
def ask(run: str, pool: str, count: int, by: str, to: str | None, text_column: str | None) -> None:
    """Which texts of POOL, a file without answers, a teacher should answer next for RUN's student.

    margin and entropy take those of which it is least sure, spread takes them from all over the pool.
    """
    import pandas as pd

    from kd_core.config import TaskConfig
    from kd_core.data.files import read_transfer
    from kd_core.data.spreadsheets import safe_csv
    from kd_core.deployment.ask import next_texts
    from kd_core.deployment.forms import open_form

    run_id = find_run(run)
    notes: list[str] = []
    texts = read_transfer(TaskConfig(transfer_file=pool), text_column, notes)
    given = [] if texts is None else list(dict.fromkeys(texts))
    with stray_prints_to_stderr():
        places = next_texts(open_form(run_id, "student", "pytorch"), given, count, by)  # type: ignore[arg-type]
    content = safe_csv(pd.DataFrame({"text": [given[place] for place in places]}))
    if to:
        Path(to).write_bytes(content)
        click.echo(
            f"{count:,} of {len(given):,} texts in {to}. Add the teacher's answers to it, then: "
            f"kd distill --knowledge {to}"
        )
    else:
        click.echo(content.decode(), nl=False)
