"""What each kind of run does. Imports torch only when it is called."""

from __future__ import annotations

import gc
import shutil
import sys
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kd_core.config import DistillConfig
from kd_core.distillation.events import Event, OnEvent, Progress, StageStarted, TrainingStarted
from kd_core.errors import RunError, StoreError
from kd_core.jobs.runner import Handler
from kd_core.system.control import Control

if TYPE_CHECKING:
    from kd_core.deployment.reports import BenchReport, ExportReport
    from kd_core.distillation.report import Report
    from kd_core.jobs.states import JobKind
    from kd_core.jobs.store import RunRow
    from kd_core.learn.lab_results import LabReport
    from kd_core.search import SearchResult


# Two threads that import torch and transformers at once, in different orders, see half-made modules.
_IMPORTING = threading.Lock()


def prepare() -> None:
    """Import what takes seconds, so that the first run starts at once. Whoever needs it too waits here.

    The half million objects that this brings stay for good: a garbage collection need not look at them, which
    would stop all threads for 0.4 s each time.
    """
    with _IMPORTING:
        if "kd_core.distillation.pipeline" not in sys.modules:
            import kd_core.distillation.pipeline  # noqa: F401

            gc.collect()
            gc.freeze()


def distil_handler(row: RunRow, on_event: OnEvent, control: Control) -> Report:
    """The four steps, or what is left of them. Checks disk and memory before each training."""
    from kd_core import distill
    from kd_core.jobs.room import check_room, check_training

    config = DistillConfig.from_dict(row.config)
    check_room()

    def checked(event: Event) -> None:
        if isinstance(event, TrainingStarted) and not event.cached:
            check_training(config, event.who)
        on_event(event)

    return distill(config, checked, control, run_id=row.id)


def bench_handler(row: RunRow, on_event: OnEvent, control: Control) -> BenchReport:
    from kd_core.deployment.benchmark import BenchConfig, bench

    return bench(BenchConfig.from_dict(row.config), on_event, control)


def export_handler(row: RunRow, on_event: OnEvent, control: Control) -> ExportReport:
    from kd_core.deployment.export import ExportConfig, export_run

    return export_run(ExportConfig.from_dict(row.config), on_event, control)


def lab_handler(row: RunRow, on_event: OnEvent, control: Control) -> LabReport:
    """Goes on after the cells that an earlier start has measured."""
    from kd_core.jobs.room import check_room
    from kd_core.jobs.store import Store
    from kd_core.learn.lab_results import LabConfig
    from kd_core.learn.lab_training import run_lab, transfer_trainings
    from kd_core.system import paths

    config, store, work = LabConfig.from_dict(row.config), Store(), paths.work() / row.id
    check_room()
    try:
        before: LabReport | None = store.report_json(row.id)
    except RunError:
        before = None

    def keep(report: LabReport) -> None:
        with suppress(StoreError):  # the database may be away for a while; the next cell brings this one too
            store.save_report(row.id, report)

    cells = transfer_trainings(config)
    report = run_lab(config.distil, cells, work, on_event, control, before=before, keep=keep)
    shutil.rmtree(work, ignore_errors=True)
    store.close()
    return report


def search_handler(row: RunRow, on_event: OnEvent, control: Control) -> Mapping[str, Any]:
    """All cells; then the chosen setting becomes a run of its own, the only one to see the test split."""
    from kd_core.search import SearchConfig, run_search, study_of
    from kd_core.system import paths

    config = SearchConfig.from_dict(row.config)
    result = run_search(config, study_of(row), paths.work() / row.id, on_event, control)
    run_id = _final_run(result, on_event, control)
    return result.model_copy(update={"run_id": run_id}).model_dump(mode="json")


def _final_run(result: SearchResult, on_event: OnEvent, control: Control) -> str:
    """The id of the run on all training data, which starts, or goes on, within the search's own job."""
    from kd_core.distillation.run_folder import new_id
    from kd_core.jobs.runner import Job
    from kd_core.jobs.states import RESUMABLE
    from kd_core.jobs.store import Store
    from kd_core.search import link
    from kd_core.system.process import owner

    chosen = result.chosen()
    if chosen is None:
        reason = next((cell.error for cell in result.cells if cell.error), "")
        raise RunError(f"No setting of the search {result.study!r} could be trained. {reason}".rstrip())
    with closing(Store()) as store:
        run_id = result.run_id
        if run_id is None or not any(row.id == run_id for row in store.runs(text=run_id)):  # or deleted
            run_id, config = new_id(datetime.now(UTC)), chosen.model_dump(mode="json")
            store.create_run(run_id, config, name=f"{result.study}: chosen", owner=owner())
            link(result.study, run_id)

        def pass_on(event: Event) -> None:
            control.wait()
            if control.stopping:
                job.control.stop()
            if isinstance(event, StageStarted):
                label = f"the chosen setting on all training data: {event.stage}"
                on_event(Progress(None, label, result.trainings, result.trainings + 1))

        store.set_status(run_id, "queued", only=RESUMABLE)
        if store.run(run_id).status != "done":
            job = Job(store, run_id, distil_handler, pass_on)
            job.run()
        return run_id


HANDLERS: Mapping[JobKind, Handler] = {
    "distil": distil_handler,
    "bench": bench_handler,
    "export": export_handler,
    "lab": lab_handler,
    "search": search_handler,
}
