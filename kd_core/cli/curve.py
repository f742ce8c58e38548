"""``kd curve``: what more labelled or transfer texts would bring."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from kd_core.cli.carry_out import start
from kd_core.cli.output import as_json, console, print_json, table
from kd_core.cli.runs import find_finished


@click.command()
@click.argument("run")
@as_json
def curve(run: str, as_json: bool) -> None:
    """Whether more texts would help RUN: it runs again with a quarter and half of its labelled texts, and of
    its transfer texts.

    Takes somewhat longer than the run itself did. Each part is a run of its own, which kd runs lists.
    """
    run_id = find_finished(run)
    from kd_core.jobs.store import Store
    from kd_core.search.curve import CurveConfig

    report = start(Store(), CurveConfig(run=run_id), kind="curve", name=f"More texts for {run_id}")
    return show(report, as_json=as_json)


def show(report: Mapping[str, Any], *, as_json: bool) -> None:
    from kd_core.distillation.roles import NAMES
    from kd_core.search.curve import NAME, CurveResult
    from kd_core.system.formatting import percent

    if as_json:
        return print_json(report)
    result, out = CurveResult.model_validate(report), console(sys.stdout)
    for whole in result.whole:
        parts = result.of_kind(whole.kind)
        rows = [
            (f"{part.texts:,}", *(percent(part.accuracy[who]) for who in whole.accuracy), part.run_id)
            for part in parts
        ]
        names = [NAMES[who] for who in whole.accuracy]
        out.print(table((NAME[whole.kind].capitalize(), *names, "Run"), rows, range(len(names) + 1)))
    return out.print(f"\n{result.sentence}", soft_wrap=True)
