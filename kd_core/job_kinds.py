"""What each kind of run does. Imports torch only when it is called."""

from __future__ import annotations

import gc
import shutil
import sys
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from kd_core.config import DistillConfig
from kd_core.distillation.events import (
    STAGES,
    STEP_NAMES,
    Estimated,
    Event,
    OnEvent,
    Progress,
    Resolved,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.distillation.roles import NAMES
from kd_core.errors import ConfigError, KDError, ModelError, RunError, StoreError
from kd_core.jobs.runner import LONGEST_OUTAGE, LOOK_EVERY, Handler
from kd_core.system.control import Control, insist
from kd_core.system.formatting import in_sentence
from kd_core.system.process import collect_garbage_rarely

if TYPE_CHECKING:
    from kd_core.deployment.reports import BenchReport, ExportReport
    from kd_core.distillation.report import Report
    from kd_core.jobs.plan import Plan
    from kd_core.jobs.states import JobKind
    from kd_core.jobs.store import RunRow, Store
    from kd_core.learn.lab_results import LabReport
    from kd_core.search import SearchResult
    from kd_core.search.curve import CurveResult
    from kd_core.search.ladder import Int8, LadderConfig, LadderResult


# Two threads that import torch and transformers at once, in different orders, see half-made modules.
_IMPORTING = threading.Lock()


def prepare() -> None:
    """Import what takes seconds, so that the first run starts at once. Whoever needs it too waits here.

    The half million objects that this brings stay for good: a garbage collection need not look at them, which
    would stop all threads for 0.4 s each time.
    """
    with _IMPORTING:
        if "kd_core.distillation.pipeline" not in sys.modules:
            collect_garbage_rarely()
            import kd_core.distillation.pipeline  # noqa: F401

            gc.collect()
            gc.freeze()


def prepared() -> bool:
    """Whether ``prepare`` has nothing left to do, so that nobody has to wait for it."""
    return not _IMPORTING.locked() and "kd_core.distillation.pipeline" in sys.modules


def distil_handler(row: RunRow, on_event: OnEvent, control: Control) -> Report:
    """The four steps, or what is left of them. Checks disk and memory before each training."""
    from kd_core import distill
    from kd_core.jobs.room import check_room, check_training

    config = asked = DistillConfig.from_dict(row.config)
    check_room()

    def checked(event: Event) -> None:
        nonlocal config
        if isinstance(event, Resolved):
            config = DistillConfig.from_dict(event.config)
            if expected := _expected(row, event):
                on_event(expected)
        if isinstance(event, TrainingStarted) and not event.cached:
            check_training(config, event.who)
        on_event(event)

    return distill(asked, checked, control, run_id=row.id)


def _expected(row: RunRow, event: Resolved) -> Estimated | None:
    """How long the run will take; None where that was said before, or it began before, and where the database
    is away."""
    from kd_core.jobs.estimate import estimate_at_start
    from kd_core.jobs.store import Store

    with suppress(StoreError), closing(Store()) as store:
        if not any(isinstance(entry.event, Estimated | StageStarted) for entry in store.events(row.id)):
            return estimate_at_start(event, store)
    return None


def bench_handler(row: RunRow, on_event: OnEvent, control: Control) -> BenchReport:
    from kd_core.deployment.benchmark import BenchConfig, bench

    return bench(BenchConfig.from_dict(row.config), on_event, control)


def export_handler(row: RunRow, on_event: OnEvent, control: Control) -> ExportReport:
    from kd_core.deployment.export import ExportConfig, export_run

    return export_run(ExportConfig.from_dict(row.config), on_event, control)


def lab_handler(row: RunRow, on_event: OnEvent, control: Control) -> LabReport:
    """Goes on after the cells that an earlier start has measured."""
    from kd_core.data import load_task
    from kd_core.jobs.room import check_room
    from kd_core.jobs.store import Store
    from kd_core.learn.claim_training import common, trainings
    from kd_core.learn.lab_results import LabConfig
    from kd_core.learn.lab_training import run_lab
    from kd_core.system import paths

    config, work = LabConfig.from_dict(row.config), paths.work() / row.id
    check_room()
    with closing(Store()) as store:
        try:
            before: LabReport | None = store.report_json(row.id)
        except RunError:
            before = None

        def keep(report: LabReport) -> None:
            with suppress(StoreError):  # it may be away for a while; the next cell brings this one too
                store.save_report(row.id, report, owner=row.owner)

        cells = trainings(config.within(len(load_task(common(config).task).transfer)))
        report = run_lab(common(config), cells, work, on_event, control, before=before, keep=keep)
    shutil.rmtree(work, ignore_errors=True)
    return report


def search_handler(row: RunRow, on_event: OnEvent, control: Control) -> Mapping[str, Any]:
    """All cells; then the chosen setting becomes a run of its own, the only one to see the test split."""
    from kd_core.search import SearchConfig, run_search
    from kd_core.system import paths

    config = SearchConfig.from_dict(row.config)
    result = run_search(config, row.study, paths.work() / row.id, on_event, control)
    named = row.name or (row.study if row.study != row.id else "")  # else by its job's id, which says nothing
    name = f"{named}: chosen" if named else "Chosen by a search"
    run_id = _final_run(result, name, on_event, control)
    return result.model_copy(update={"run_id": run_id}).model_dump(mode="json")


def _final_run(result: SearchResult, name: str, on_event: OnEvent, control: Control) -> str:
    """The id of the run on all training data, which starts, or goes on, within the search's own job."""
    from kd_core.jobs.store import Store
    from kd_core.search import link

    chosen = result.chosen()
    if chosen is None:
        reason = next((cell.error for cell in result.cells if cell.error), "")
        raise RunError(f"No setting of the search {result.study!r} could be trained. {reason}".rstrip())
    with closing(Store()) as store:
        run_id = _run_of(store, chosen, name, result.run_id)
        link(result.study, run_id)

        def pass_on(event: Event) -> None:
            if isinstance(event, StageStarted):
                label = f"the chosen setting on all training data: {STEP_NAMES[event.stage].lower()}"
                on_event(Progress(None, label, result.trainings, result.trainings + 1))

        _run_inside(store, run_id, pass_on, control)
        return run_id


def ladder_handler(row: RunRow, on_event: OnEvent, control: Control) -> Mapping[str, Any]:
    """One student after the other, each a run of its own, until one is shown to keep enough and none that is
    left could be a clearly smaller file.

    The result so far is kept after each, so that a later start goes on with the next.
    """
    from kd_core.jobs.store import Store
    from kd_core.search.estimate import read_rungs
    from kd_core.search.ladder import LadderConfig, LadderResult

    config = LadderConfig.from_dict(row.config)
    with closing(Store()) as store:
        plans: Mapping[str, Plan] = {}
        with suppress(KDError):  # the first run will say what is wrong
            plans = read_rungs(config)
        shares = _shares(store, config, plans)
        try:
            result = LadderResult.model_validate(store.report_json(row.id))
        except RunError:
            result = LadderResult(config=config)
        while student := result.next:
            name = f"Keep {config.keep:g} %: {student}"
            run_id = _run_of(store, config.rung(student), name, result.running)
            result = result.with_run(run_id)
            _keep(store, row, result)
            before = sum(share for other, share in shares.items() if other in result.tried)
            heard = _as_part(on_event, f"student {student}", before, shares[student], more=int(config.int8))
            try:
                _run_inside(store, run_id, heard, control)
            except (ConfigError, ModelError) as error:  # a student that this teacher cannot have
                result = result.with_error(student, str(error))
            else:
                result = _judged(result, student, store.report(run_id), heard, control)
            if result.needs_params:  # of none that could be read it ends with what is shown
                params = {name: plan.student.params for name, plan in plans.items()}
                result = result.model_copy(update={"params": params})
            _keep(store, row, result)
    return result.model_dump(mode="json")


def _shares(store: Store, config: LadderConfig, plans: Mapping[str, Plan]) -> dict[str, float]:
    """Of the whole ladder's time: each student's; none of one that has no plan, as it cannot be trained."""
    from kd_core.jobs.estimate import calibrate, past_runs
    from kd_core.search.estimate import rung_seconds

    seconds = [1.0] * len(plans)
    with suppress(KDError):  # a progress that is less true is no reason to end
        seconds = rung_seconds(config, plans.values(), past_runs(store), calibrate)
    whole = sum(seconds) or 1.0
    return dict.fromkeys(config.students, 0.0) | {
        student: one / whole for student, one in zip(plans, seconds, strict=True)
    }


def _keep(store: Store, row: RunRow, result: LadderResult | CurveResult) -> None:
    """Runs of hours are not lost because the database is away for a moment."""
    content = result.model_dump(mode="json")
    insist(
        lambda: store.save_report(row.id, content, owner=row.owner), StoreError, LONGEST_OUTAGE, LOOK_EVERY
    )


def _judged(
    result: LadderResult, student: str, report: Report, on_event: OnEvent, control: Control
) -> LadderResult:
    """With one student more, in int8 too where it has that form."""
    int8 = None
    if result.config.int8:
        try:
            int8 = _in_int8(report, result.metric_of(report), on_event, control)
        except ModelError as error:
            result = result.with_error(student, str(error), int8=True)
    return result.with_report(student, report, int8)


def _in_int8(report: Report, metric: str, on_event: OnEvent, control: Control) -> Int8:
    from kd_core.deployment import int8_answers
    from kd_core.deployment.forms import open_form, test_split
    from kd_core.distillation.balance import score
    from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION
    from kd_core.search.ladder import Int8

    run_id = report.run_id
    int8_answers.measure(run_id, on_event, control)
    _, truth = test_split(run_id)
    answers = int8_answers.logits(run_id, PREDICTIONS).argmax(axis=1)
    return Int8(
        validation=int8_answers.logits(run_id, VALIDATION),
        accuracy=score("accuracy", answers, truth, report.labels),
        score=score(metric, answers, truth, report.labels),
        size_mb=open_form(run_id, "student", "int8").size_mb,
        latency=int8_answers.speed(run_id)["student"],
    )


def curve_handler(row: RunRow, on_event: OnEvent, control: Control) -> Mapping[str, Any]:
    """A run with a part of the texts after the other; what is done is kept, as a ladder's is."""
    from kd_core.jobs.store import Store
    from kd_core.search.curve import CurveConfig, CurveResult

    config = CurveConfig.from_dict(row.config)
    with closing(Store()) as store:
        whole = store.report(config.run)
        # Auto may be another for a part of the texts, which would then be more than its number that differs.
        same = {
            "training.metric": whole.metric,
            "task.augment": whole.config["task"].get("augment", 0),
        }
        about = store.run(config.run)
        asked = DistillConfig.from_dict(about.config).change(same)
        try:
            result = CurveResult.model_validate(store.report_json(row.id))
        except RunError:
            result = CurveResult.of(config, whole)
        parts = len(result.parts) + len(result.left)
        while part := result.next:
            run_id = _run_of(store, part.config(asked), f"{about.title}: {part.title}", result.running)
            result = result.with_run(run_id)
            _keep(store, row, result)
            heard = _as_part(on_event, part.title, len(result.parts) / parts, 1 / parts)
            _run_inside(store, run_id, heard, control)
            result = result.with_report(store.report(run_id))
            _keep(store, row, result)
    return result.model_dump(mode="json")


PARTS = 1_000  # that the progress of a job of several runs is told in


def _as_part(on_event: OnEvent, title: str, before: float, own: float, *, more: int = 0) -> OnEvent:
    """A run's events as the progress of a job of several, by how much of the run's time is behind it.

    ``before`` and ``own``: shares of the job that are done, and that this run is. ``more`` follow its four
    stages, as a rung's answers in int8 do.
    """
    from kd_core.jobs.progress import RunProgress

    run, stages = RunProgress(), len(STAGES) + more

    def pass_on(event: Event) -> None:
        run.feed(event, monotonic())
        behind = run.progress * len(STAGES)
        match event:
            case StageStarted(stage):
                label = STEP_NAMES[stage].lower()
            case Step(who):
                label = f"training the {in_sentence(NAMES[who])}"
            case Progress(None, label, done, total):  # after the run
                behind = len(STAGES) + done / max(total, 1)
            case Progress(_, label):
                pass
            case _:
                return
        on_event(Progress(None, f"{title}: {label}", round(PARTS * (before + own * behind / stages)), PARTS))

    return pass_on


def _run_of(store: Store, config: DistillConfig, name: str, before: str | None) -> str:
    """The id of the run begun ``before``, unless it was deleted, or of a new one that nobody else takes."""
    from kd_core.distillation.run_folder import new_id
    from kd_core.system.process import owner

    if before is not None:
        with suppress(RunError):
            return store.run(before).id
    run_id = new_id(datetime.now(UTC))
    store.create_run(run_id, config.model_dump(mode="json"), name=name, owner=owner())
    return run_id


def _run_inside(store: Store, run_id: str, pass_on: OnEvent, control: Control) -> None:
    """Carry out a run, or what is left of it, within another job, which is paused and stopped with it."""
    from kd_core.jobs.runner import Job
    from kd_core.jobs.states import RESUMABLE

    def heard(event: Event) -> None:
        if control.paused:
            job.control.pause()  # its clock stands still, too
            control.wait()
            job.control.resume()
        if control.stopping:
            job.control.stop()
        pass_on(event)

    store.set_status(run_id, "queued", only=RESUMABLE)
    if store.run(run_id).status != "done":
        job = Job(store, run_id, distil_handler, heard)
        job.run()


HANDLERS: Mapping[JobKind, Handler] = {
    "distil": distil_handler,
    "bench": bench_handler,
    "export": export_handler,
    "lab": lab_handler,
    "search": search_handler,
    "ladder": ladder_handler,
    "curve": curve_handler,
}
