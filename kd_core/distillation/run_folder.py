"""Runs on disk: a folder each, whole or not there. The folder is the truth about a run."""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from kd_core.config import DistillConfig
from kd_core.distillation.report import Report
from kd_core.errors import RunError
from kd_core.system import cache, paths
from kd_core.system.atomic import new_folder

if TYPE_CHECKING:  # torch comes with these
    from kd_core.distillation.run import Clock, Run, Trained
    from kd_core.distillation.validate import Findings

CONFIG = "config.yaml"
PREDICTIONS = "predictions.parquet"
STUDENTS = "students"
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def new_id(created: datetime) -> str:
    """A name for a run, by its time and two random bytes."""
    return f"{created:%Y%m%d-%H%M%S}-{token_hex(2)}"


def begin(run_id: str, config: DistillConfig) -> None:
    """Note what the run was asked for; the students in its work folder are only for that.

    Raises: RunError where it was begun with another config.
    """
    from kd_core.config import differing

    kept = paths.work() / run_id / CONFIG
    if kept.is_file():
        before = DistillConfig.from_yaml(kept.read_text(encoding="utf-8"))
        if changes := differing([one.model_dump(mode="json") for one in (before, config)]):
            listed = ", ".join(f"{place} = {old!r}, not {new!r}" for place, (old, new) in changes.items())
            raise RunError(
                f"Run {run_id} was begun with {listed}. Resume it with the settings that it had, or start a "
                "new run."
            )
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    half = kept.with_suffix(".half")
    half.write_text(config.to_yaml(), encoding="utf-8")
    half.replace(kept)  # whole or not there, whenever the process is killed


def keep(
    run: Run, run_id: str, created: datetime, trained: list[Trained], findings: Findings, clock: Clock
) -> Report:
    """Write the run's folder: config, report, predictions, the replay of a student, and ``students/``."""
    from kd_core.distillation.metrics import sentence
    from kd_core.distillation.run import TENSORBOARD
    from kd_core.distillation.training import replay
    from kd_core.system.machine import describe_machine

    place, task = paths.runs() / run_id, run.task
    report = Report(
        run_id=run_id,
        created=created.isoformat(timespec="seconds"),
        folder=str(place),
        config=run.config.model_dump(mode="json"),
        labels=list(task.labels),
        rows={name: len(getattr(task, name)) for name in ("train", "validation", "test", "transfer")},
        teacher=findings.models["teacher"],
        student=findings.models["student"],
        alone=findings.models["alone"],
        labelled_only=findings.models.get("labelled_only"),
        teacher_key=trained[0].folder.name,
        verdict=findings.verdict,
        sentence=sentence(findings.verdict, "test texts"),
        fidelity=findings.fidelity,
        seconds=clock.seconds,
        cached=clock.cached,
        machine=describe_machine(),
        notes=list(task.notes),
    )
    with new_folder(place) as folder:
        (folder / CONFIG).write_text(run.config.to_yaml(), encoding="utf-8")
        report.write(folder)
        shutil.copy(run.work / cache.USED, folder / cache.USED)
        findings.predictions.to_parquet(folder / PREDICTIONS, index=False)
        if (run.work / replay.FILE).is_file():  # else from an earlier version's checkpoint
            shutil.copy(run.work / replay.FILE, folder)
        if (run.work / TENSORBOARD).is_dir():
            shutil.copytree(run.work / TENSORBOARD, folder / TENSORBOARD)
        for model in trained[1:]:
            shutil.copytree(
                model.folder, folder / STUDENTS / model.name, ignore=shutil.ignore_patterns("manifest.json")
            )
    return report


def find(run_id: str) -> Path:
    """The folder of a run. Raises: RunError."""
    if not RUN_ID.fullmatch(run_id):
        raise RunError(f"{run_id!r} is not a run; a run is named like 20260131-143000-a1b2.")
    folder = paths.runs() / run_id
    if not folder.is_dir():
        raise RunError(f"There is no run {run_id} in {paths.runs()}.")
    return folder
