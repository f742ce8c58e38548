"""Step 3, and the whole run in four steps: teach, record, distil, validate."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from functools import partial

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.distillation import run_folder
from kd_core.distillation.distil import distil
from kd_core.distillation.events import Finished, OnEvent, ignore
from kd_core.distillation.record import record
from kd_core.distillation.report import Report
from kd_core.distillation.resolve import resolve
from kd_core.distillation.run import Clock, Run
from kd_core.distillation.teach import teach
from kd_core.distillation.validate import validate
from kd_core.errors import DataError, RunError
from kd_core.models.loading import load_teacher
from kd_core.system import parallel, paths
from kd_core.system.atomic import is_whole
from kd_core.system.control import Control


def distill(
    config: DistillConfig,
    on_event: OnEvent = ignore,
    control: Control | None = None,
    *,
    run_id: str | None = None,
) -> Report:
    """Run the four steps and keep the result in a folder of its own under ``KD_HOME``.

    ``on_event`` is called on this thread; ``control`` may be used from any other. A run that was stopped or
    interrupted is resumed from its last whole checkpoint by its ``run_id`` and the same ``config``; it ends
    with the same weights as an undisturbed one. Several processes (``accelerate launch``) do one run; then
    the first one's ``config`` and ``run_id`` count, and its ``on_event`` hears of it.
    Raises: KDError (Stopped when ``control`` says so, RunError for another ``config`` than before);
    then there is no run folder, only its work folder.
    """
    with parallel.together():
        if not parallel.is_main():
            on_event = ignore
        config, run_id = parallel.on_main_process(
            lambda: (config, run_id or run_folder.new_id(datetime.now(UTC)))
        )
        return _distill(config, on_event, control or Control(), run_id)


def _distill(config: DistillConfig, on_event: OnEvent, control: Control, run_id: str) -> Report:
    created = datetime.now(UTC)
    if parallel.on_main_process(lambda: is_whole(paths.runs() / run_id)):  # only its end was not recorded
        return _finish(run_id, Report.read(paths.runs() / run_id), on_event)
    task = load_task(config.task)
    model, tokenizer = load_teacher(config.teacher, task)
    parallel.on_main_process(partial(run_folder.begin, run_id, config))
    config = parallel.on_main_process(partial(resolve, config, task, model.config))
    run = Run(task, config, paths.work() / run_id, on_event, control)
    check_processes(run)
    clock = Clock(on_event)
    with clock.stage("teach"):
        teacher, clock.cached["teach"] = teach(run, model, tokenizer)
    with clock.stage("record"):
        knowledge, clock.cached["record"] = record(run, teacher)
    with clock.stage("distil"):
        students = distil(run, teacher, knowledge)

    def judge() -> Report:
        with clock.stage("validate"):
            findings = validate(run, [teacher, *students])
        return run_folder.keep(run, run_id, created, [teacher, *students], findings, clock)

    return _finish(run_id, parallel.on_main_process(judge), on_event)


def _finish(run_id: str, report: Report, on_event: OnEvent) -> Report:
    parallel.on_main_process(partial(shutil.rmtree, paths.work() / run_id, ignore_errors=True))
    on_event(Finished(run_id))
    return report


def check_processes(run: Run) -> None:
    """Whether all processes see the same folders and texts. Raises: RunError, DataError."""
    if parallel.size() == 1:
        return
    parallel.on_main_process(partial(run.work.mkdir, parents=True, exist_ok=True))
    seen = parallel.gather(lambda: (run.work.is_dir(), run.task.fingerprint))
    if not all(there for there, _ in seen):
        raise RunError(
            f"Not all {len(seen)} processes of this run see {run.work}. "
            "Set KD_HOME to a folder that all their machines share."
        )
    if len({fingerprint for _, fingerprint in seen}) > 1:
        raise DataError(
            f"The task {run.task.name!r} has other texts for some of the {len(seen)} processes of this run. "
            "Give all their machines the same files."
        )
