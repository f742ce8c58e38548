"""A whole run in four steps: teach, record, distil, validate."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.data.checks import copies
from kd_core.data.spans import augmented
from kd_core.distillation import balance, run_folder
from kd_core.distillation.distil import distil
from kd_core.distillation.events import Finished, Note, OnEvent, ignore
from kd_core.distillation.record import record
from kd_core.distillation.report import Report
from kd_core.distillation.resolve import announce, doubts, resolve, token_lengths
from kd_core.distillation.run import Clock, Run, check_processes
from kd_core.distillation.teach import teach
from kd_core.distillation.validate import validate
from kd_core.errors import KDError, RunError
from kd_core.models.loading import load_teacher, model_hash
from kd_core.system import cache, parallel, paths
from kd_core.system.atomic import is_whole
from kd_core.system.control import Control


def distill(
    config: DistillConfig | Mapping[str, Any],
    on_event: OnEvent = ignore,
    control: Control | None = None,
    *,
    run_id: str | None = None,
) -> Report:
    """Run the four steps and keep the result in a folder of its own under ``KD_HOME``.

    ``config`` may be a plain dict, as ``DistillConfig.from_dict`` takes it.
    ``on_event`` is called on this thread; ``control`` may be used from any other. A run that was stopped or
    interrupted is resumed from its last whole checkpoint by its ``run_id`` and the same ``config``; it ends
    with the same weights as an undisturbed one. Several processes (``accelerate launch``) do one run; then
    the ``config``, ``run_id`` and ``on_event`` of the first one count.
    Raises: KDError (Stopped when ``control`` says so, RunError for another ``config`` than before, for a data
    folder that cannot be made, or for a ``run_id`` that is not of the kind of 20260131-143000-a1b2); then
    there is no run folder, only its work folder, and ``error.run_id`` is what to go on with.
    """
    asked = config if isinstance(config, DistillConfig) else DistillConfig.from_dict(config)
    if run_id:
        run_folder.check_id(run_id)
    with parallel.together():
        if not parallel.is_main():
            on_event = ignore
        config, run_id = parallel.on_main_process(
            lambda: (asked, run_id or run_folder.new_id(datetime.now(UTC)))
        )
        finished = paths.runs() / run_id
        try:
            parallel.on_main_process(_make_home)
            if parallel.on_main_process(lambda: is_whole(finished)):  # only its end was not recorded
                report = run_folder.read_finished(run_id, config)
            else:
                report = _four_steps(config, on_event, control or Control(), run_id)
        except KDError as error:
            error.run_id = run_id
            raise
        parallel.on_main_process(partial(shutil.rmtree, paths.work() / run_id, ignore_errors=True))
        on_event(Finished(run_id))
        return report


def _make_home() -> None:
    """Before anything is read or learned. Raises: RunError."""
    try:
        paths.make_home()
    except OSError as error:
        raise RunError(
            f"The data folder {paths.home()} cannot be made: {error.strerror}. Set KD_HOME to a folder that "
            "can be written."
        ) from error


def _four_steps(config: DistillConfig, on_event: OnEvent, control: Control, run_id: str) -> Report:
    created = datetime.now(UTC)
    task = augmented(load_task(config.task), config.task)
    notes: list[str] = []
    model, tokenizer = load_teacher(config.teacher, task, notes)
    work, asked = paths.work() / run_id, config
    lengths = token_lengths(tokenizer, task)
    made_of = cache.key(task=task.fingerprint, teacher=model_hash(model, tokenizer))
    config = parallel.on_main_process(
        lambda: run_folder.begin(
            work, config, resolve(config, task, model.config, lengths), on_event, made_of
        )
    )
    run = Run(task, config, work, on_event, control)
    clock = Clock(run)
    check_processes(run)
    on_event(announce(config, task, lengths))
    for sentence in task.notes:  # which the report has from the task
        on_event(Note(sentence))
    labels = [split["label"][:] for split in (task.train, task.validation, task.test)]
    of_classes = balance.notes(config.training.metric, task.labels, *labels)
    for sentence in (*notes, *doubts(asked, config, lengths), *of_classes, *copies(task)):
        run.note(sentence)

    with clock.stage("teach"):
        teacher, clock.cached["teach"] = teach(run, model, tokenizer)
    with clock.stage("record"):
        knowledge, clock.cached["record"] = record(run, teacher)
    with clock.stage("distil"):
        students = distil(run, teacher, knowledge)

    def judged() -> Report:
        with clock.stage("validate"):
            findings = validate(run, [teacher, *students])
        return run_folder.keep(run, run_id, created, [teacher, *students], findings, clock)

    return parallel.on_main_process(judged)
