"""Runs on disk: a folder each, whole or not there. The folder is the truth about a run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import yaml

from kd_core.config import DistillConfig, differing, of_today
from kd_core.distillation import agreement, balance
from kd_core.distillation.events import Note, OnEvent, ignore
from kd_core.distillation.report import Report
from kd_core.distillation.roles import FLOOR, NAMES
from kd_core.distillation.sentences import CONTROLS, all_right, below_floor, for_a_gain, sentence
from kd_core.distillation.training import TRAINING_VERSION
from kd_core.errors import ConfigError, RunError
from kd_core.system import cache, paths
from kd_core.system.atomic import is_whole, new_folder, write_text
from kd_core.system.formatting import in_sentence

if TYPE_CHECKING:  # torch comes with these
    from kd_core.distillation.run import Clock, Run, Trained
    from kd_core.distillation.validate import Findings

CONFIG = "config.yaml"
ASKED = "asked.yaml"  # in a run's folder, whose ``CONFIG`` has no ``auto`` left; folders of before have none
RESOLVED, TRAINED_BY, MADE_OF = "resolved.yaml", "training_version.txt", "made_of.txt"  # in a work folder
PREDICTIONS = "predictions.parquet"  # of every model on the test texts
VALIDATION = "validation.parquet"  # and on those of validation; folders of version 0.1 have none
STUDENTS = "students"
ABOUT = "about.json"  # name and tags, which may change: the manifest does not list it
ANEW = "This run was begun by a KD Studio that trains differently, so its models are trained from the start."
CHANGED = (
    "The task has other texts, or the teacher other weights, than when this run was begun, so its models are "
    "trained from the start."
)
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def new_id(created: datetime) -> str:
    """A name for a run, by its time and two random bytes."""
    return f"{created:%Y%m%d-%H%M%S}-{token_hex(2)}"


def begin(
    work: Path,
    config: DistillConfig,
    resolved: DistillConfig,
    on_event: OnEvent = ignore,
    made_of: str = "",
) -> DistillConfig:
    """``resolved`` as it was when the run in this work folder began, which may be now.

    What a training of another version has left there goes, or one on another task or teacher: ``made_of`` is
    a key of these. Such models cannot be compared, and have seen what may be a test text now.
    Raises: RunError where it was begun with another ``config``, or that cannot be read.
    """
    files = {
        TRAINED_BY: str(TRAINING_VERSION),
        MADE_OF: made_of,
        RESOLVED: resolved.to_yaml(),
        CONFIG: config.to_yaml(),  # last: with it, the run has begun
    }
    if (work / CONFIG).is_file():
        try:
            kept = {name: (work / name).read_text("utf-8") for name in files if (work / name).is_file()}
            before = of_today(yaml.safe_load(kept[CONFIG]))
        except (ValueError, TypeError, yaml.YAMLError) as error:
            raise RunError(
                f"What run {work.name} was begun with is damaged on disk, so it cannot go on. Start a new "
                "run."
            ) from error
        _check_same(work.name, before, config, "Resume it with the settings that it had")
        # KD Studio 0.1 wrote the config alone, and a machine without power may have left an empty file.
        files[RESOLVED] = kept.get(RESOLVED) or files[RESOLVED]
        same_training = kept.get(TRAINED_BY, "1") == files[TRAINED_BY]
        if not same_training or kept.get(MADE_OF, made_of) != made_of:
            for folder in [path for path in work.iterdir() if path.is_dir()]:
                shutil.rmtree(folder)
            on_event(Note(CHANGED if same_training else ANEW))
    paths.make_home()
    work.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(work / name, text)
    return DistillConfig.from_yaml(files[RESOLVED])


def read_finished(run_id: str, asked: DistillConfig) -> Report:
    """The report of a run that is done. Raises: RunError, also where it was asked for with another config."""
    folder = find(run_id)
    if (folder / ASKED).is_file():
        before = of_today(yaml.safe_load((folder / ASKED).read_text("utf-8")))
        _check_same(run_id, before, asked, "It is done: give the settings that it had")
    return Report.read(folder)


def _check_same(run_id: str, before: dict[str, Any], asked: DistillConfig, way: str) -> None:
    if changes := differing([before, asked.model_dump(mode="json")]):
        listed = ", ".join(f"{place} = {old!r}, not {new!r}" for place, (old, new) in changes.items())
        raise RunError(f"Run {run_id} was begun with {listed}. {way}, or start a new run.")


def keep(
    run: Run, run_id: str, created: datetime, trained: list[Trained], findings: Findings, clock: Clock
) -> Report:
    """Write the run's folder: config, report, predictions, the replay of a student, and ``students/``.

    A row of predictions has text, label, and for each model its logits, in a column named like its folder.
    """
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
        rows=task.rows,
        teacher_key=trained[0].folder.name if trained[0].answers else "",
        sentence=_sentence(run, findings),
        seconds=clock.seconds,
        cached=clock.cached,
        machine=describe_machine(),
        notes=[
            *task.notes,
            *run.notes,
            *balance.never_answered(
                f"The {in_sentence(NAMES['student'])}",
                [scores.confusion for scores in findings.models["student"].seeds.values()],
                task.labels,
                task.train["label"][:],
                balanced=run.config.objective.class_weights != "none",
            ),
        ],
        **{name: value for name, value in vars(findings).items() if name in Report.model_fields},
    )
    with new_folder(place, run.control.fence) as folder:
        (folder / CONFIG).write_text(run.config.to_yaml(), encoding="utf-8")
        if (run.work / CONFIG).is_file():
            shutil.copy(run.work / CONFIG, folder / ASKED)
        report.write(folder)
        shutil.copy(run.work / cache.USED, folder / cache.USED)
        findings.predictions.to_parquet(folder / PREDICTIONS, index=False)
        findings.validation.to_parquet(folder / VALIDATION, index=False)
        if (run.work / replay.FILE).is_file():  # else from an earlier version's checkpoint
            shutil.copy(run.work / replay.FILE, folder)
        if (run.work / TENSORBOARD).is_dir():
            shutil.copytree(run.work / TENSORBOARD, folder / TENSORBOARD)
        for model in trained[1:]:
            shutil.copytree(
                model.folder, folder / STUDENTS / model.name, ignore=shutil.ignore_patterns("manifest.json")
            )
    return report


def _sentence(run: Run, findings: Findings) -> str:
    config, metric, texts = run.config, run.config.training.metric, len(run.task.test)
    answers = findings.verdict is None or config.task.learns_choices
    file = config.task.knowledge is not None
    transfer = len(run.task.transfer) > run.task.spans
    scores = {who: model.by(metric) for who, model in findings.models.items()}
    advice = hint = ""
    if FLOOR in scores:
        advice = below_floor(
            scores[FLOOR],
            scores["teacher"],
            reached=scores["student"],
            alone=scores.get("alone", 0.0),
            transfer=transfer or answers,
            file=file,
            student=config.student.model,
            more="more texts that the teacher has answered" if answers else "more labelled texts",
        )
    if findings.verdict is None or answers:
        student, agrees = findings.models["student"], findings.fidelity.agreement
        return agreement.sentence(
            config.task, metric, student, texts, agrees, findings.verdict, findings.over_floor, advice
        )
    right = {who: model.accuracy for who, model in findings.models.items()}
    if right["student"] == right["alone"] == 1:
        above = findings.over_floor is not None and findings.over_floor.kind == "helped"
        return all_right(texts, right.get(FLOOR), above)
    if not file and config.objective.uses_teacher:
        hint = for_a_gain(scores["teacher"], scores["alone"], transfer=transfer, metric=metric)
    return sentence(
        findings.verdict,
        findings.over_floor,
        advice,
        {who: findings.over_by_metric[who] for who in CONTROLS if who in findings.over_by_metric},
        metric,
        hint,
    )


def write_about(folder: Path, name: str, tags: Sequence[str]) -> None:
    """What a person called the run, for the day on which the database is gone. Only where it has a folder."""
    with suppress(OSError):
        if RUN_ID.fullmatch(folder.name) and folder.is_dir():
            about = json.dumps({"name": name, "tags": list(tags)}, ensure_ascii=False)
            write_text(folder / ABOUT, about)


def read_about(folder: Path) -> tuple[str, list[str]]:
    """Name and tags."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return str(about["name"]), [str(tag) for tag in about["tags"]]
    except (OSError, ValueError, TypeError, KeyError):
        return "", []


def with_fewer_seeds(config: DistillConfig, work: Path) -> Path | None:
    """The newest finished run that has some of the seeds of ``config``, and all else alike: its settings, and
    the teacher and knowledge of the run in this work folder. Its students need no second training."""
    mine, made_of = _SEEDS.sub("", config.to_yaml()), _made_of(work)
    for folder in sorted(paths.runs().glob("*/"), reverse=True):
        try:
            text = (folder / CONFIG).read_text(encoding="utf-8")
            alike = _SEEDS.sub("", text) == mine and _made_of(folder) == made_of
            fewer = alike and set(DistillConfig.from_yaml(text).training.seeds) < set(config.training.seeds)
            if fewer and is_whole(folder):
                return folder
        except (OSError, ValueError, ConfigError):
            continue
    return None


_SEEDS = re.compile(r"(?m)^  seeds:\n(  - \d+\n)+")


def _made_of(folder: Path) -> set[str]:
    """The keys of a run's teacher and knowledge, which hold the texts and the version of the training."""
    used = (folder / cache.USED).read_text(encoding="utf-8").split()
    return {line for line in used if line.startswith(("teachers/", "knowledge/"))}


def check_id(run_id: str) -> None:
    """Before it becomes a path. Raises: RunError."""
    if not RUN_ID.fullmatch(str(run_id)):
        raise RunError(f"{run_id!r} is not a run; a run is named like 20260131-143000-a1b2.")


def find(run_id: str) -> Path:
    """The folder of a run. Raises: RunError."""
    check_id(run_id)
    folder = paths.runs() / run_id
    if not folder.is_dir():
        raise not_here(run_id)
    return folder


def not_here(run_id: str) -> RunError:
    """Without the folder's path: a page may show this to somebody who is not to know it."""
    return RunError(f"There is no run {run_id} in the data folder; it may have been deleted or be elsewhere.")
