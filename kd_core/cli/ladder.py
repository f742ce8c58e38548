"""``kd distill --keep 98``: the smallest student that keeps so much of its teacher."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from kd_core.cli.carry_out import start
from kd_core.cli.output import console, print_json, table
from kd_core.config import flag
from kd_core.errors import ConfigError
from kd_core.system.formatting import count, megabytes, percent

if TYPE_CHECKING:
    from kd_core.config import DistillConfig
    from kd_core.jobs.store import Store
    from kd_core.search.ladder import Rung


def climb(store: Store, config: DistillConfig, given: Mapping[str, Any], name: str) -> Any:
    """Say what the validation texts can show, then try the students; the result as JSON. Raises: KDError."""
    from kd_core.data import load_task
    from kd_core.distillation.balance import fixed_metric, texts_by_class
    from kd_core.search.ladder import LadderConfig
    from kd_core.search.ladder_sentences import outlook

    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise click.UsageError(
            "--keep tries one student after the other, in one process; start it without accelerate."
        )
    own = {place.partition("__")[2]: value for place, value in given.items() if value is not None}
    try:
        ladder = LadderConfig.from_dict({"distill": config.model_dump(mode="json"), **own})
    except ConfigError as error:
        raise ConfigError(*map(_by_flag, error.problems)) from error
    task = load_task(config.task)
    train, validation = task.train["label"][:], task.validation["label"][:]
    metric = fixed_metric(config.training.metric, task.labels, train, validation)
    said = outlook(ladder, texts_by_class(task.labels, validation), metric)
    console(sys.stderr).print(said, soft_wrap=True)
    return start(store, ladder, kind="ladder", name=name)


def show(report: Mapping[str, Any], as_json: bool) -> None:
    from kd_core.search.ladder import LadderResult
    from kd_core.search.ladder_sentences import conclusion, doubt, on_test

    if as_json:
        return print_json(report)
    result, out = LadderResult.model_validate(report), console(sys.stdout)
    headings = ("", "Kept", "At least", "Parameters", "Size", "p50 ms", "", "Run")
    if result.judged:
        out.print(
            f"\nShares of the teacher's {result.measure} that are kept; {result.config.keep:g} % is wanted."
        )
    out.print(table(headings, map(_row, result.rungs), range(1, 6)))
    for said in filter(None, (conclusion(result), doubt(result))):
        out.print(f"\n{said}", soft_wrap=True)
    if chosen := result.chosen:
        out.print(f"{on_test(result)}\nRun {chosen.run_id}: {_next(chosen)}", soft_wrap=True)
    return None


def _next(chosen: Rung) -> str:
    if chosen.int8:
        return f"kd export {chosen.run_id} --to student.zip --onnx --int8"
    return f"kd show {chosen.run_id}"


def _by_flag(problem: str) -> str:
    """The run's own settings have been checked: what is said of them together is about the run."""
    field, _, rest = problem.partition(" ")
    return f"this run {rest}" if field == "distill" else f"{flag(f'ladder.{field}')} {rest}"


def _row(rung: Rung) -> tuple[str, ...]:
    if rung.answer == "failed":
        return (rung.title, "", "", "", "", "", rung.error, "")
    return (
        rung.title,
        percent(rung.kept),
        percent(rung.at_least),
        count(rung.params),
        megabytes(rung.size_mb),
        f"{rung.latency_ms:.2f}",
        rung.answer if rung.fits else f"{rung.answer}, but beyond the limits",
        rung.run_id,
    )
