"""``kd tasks`` and ``kd models``: what there is to choose from."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from kd_core.cli.output import as_json, console, print_json, table


@click.command()
@as_json
def tasks(as_json: bool) -> None:
    """List the bundled tasks."""
    from kd_core.data.bundled import TASKS

    if as_json:
        return print_json([{"name": name, "description": text} for name, text in TASKS.items()])
    out = console(sys.stdout)
    out.print(table(("Task", "What it is"), TASKS.items()))
    out.print(
        "Own data: kd distill --task FILE (CSV, TSV, JSONL, Parquet) or --task hub:NAME", soft_wrap=True
    )
    return None


@click.command()
@as_json
def models(as_json: bool) -> None:
    """List the preset teachers and students."""
    from kd_core.models.presets import STUDENTS, TEACHERS

    presets = {"teachers": TEACHERS, "students": STUDENTS}
    if as_json:
        return print_json({kind: [asdict(preset) for preset in of.values()] for kind, of in presets.items()})
    for kind, of in presets.items():
        rows = [(p.name, p.layers, p.hidden, p.heads, p.source, p.description) for p in of.values()]
        headings = (kind.capitalize(), "Layers", "Hidden", "Heads", "Source", "What it is")
        console(sys.stdout).print(table(headings, rows, numbers=(1, 2, 3)), "")
    return None
