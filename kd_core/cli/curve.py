"""``kd curve``: what more labelled or transfer texts would bring."""

from __future__ import annotations

import sys

import click

from kd_core.cli.carry_out import start
from kd_core.cli.output import as_json, console, print_json
from kd_core.cli.runs import called, find_finished


@click.command()
@click.argument("run")
@as_json
def curve(run: str, as_json: bool) -> None:
    """Whether more texts would help RUN: it runs again with a quarter and half of its labelled texts, and of
    its transfer texts.

    Each part is a run of its own, which kd runs lists: two, or four where it has transfer texts and no spans.
    """
    run_id = find_finished(run)
    from kd_core.jobs.store import Store
    from kd_core.search.curve import CurveConfig

    report = start(Store(), CurveConfig(run=run_id), kind="curve", name=f"More texts for {called(run_id)}")
    if as_json:
        return print_json(report)
    from kd_core.cli.curve_table import show

    return show(console(sys.stdout), report)
