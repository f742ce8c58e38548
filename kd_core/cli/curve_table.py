"""What ``kd curve`` found, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from kd_core.cli.output import table
from kd_core.distillation.roles import NAMES
from kd_core.search.curve import NAME, CurveResult
from kd_core.system.formatting import capitalised, percent


def show(out: Console, report: Mapping[str, Any]) -> None:
    """One for each kind of texts, and which kinds would help."""
    result = CurveResult.model_validate(report)
    out.print(f"{capitalised(result.measure)} on the {result.test_texts:,} test texts.", soft_wrap=True)
    for whole in result.whole:
        rows = [
            (f"{part.texts:,}", *(percent(part.scores[who]) for who in whole.scores), part.run_id)
            for part in result.of_kind(whole.kind)
        ]
        names = [NAMES[who] for who in whole.scores]
        out.print(table((NAME[whole.kind].capitalize(), *names, "Run"), rows, range(len(names) + 1)))
    out.print(f"\n{result.sentence}", soft_wrap=True)
