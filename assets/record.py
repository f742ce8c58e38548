"""Write the recorded numbers that previews and labs show on a first visit.

    python assets/record.py logits [RUN]    logits of three models for 200 test headlines
    python assets/record.py replay [RUN]    a student's logits at 40 moments of its training
    python assets/record.py transfer        accuracy by what the student learns from
    python assets/record.py size            accuracy by the student's layers and width
    python assets/record.py race NAME       the lanes of a recorded race: few or texts
    python assets/record.py search NAME     a search that kd search has finished, for the page's first visit
    python assets/record.py claim NAME      a paper's claim: hinton2015, cho2019 or stanton2021
    python assets/record.py latency         latencies of those students, on a machine that does nothing else

Without RUN, one with ``config.LESSON`` is run first. No text is kept, only digests: the texts stay in the
package that has them. What was run, on which machine and with which corpus stands beside the numbers.
``transfer``, ``size``, ``race`` and ``claim`` go cell by cell, and called again they go on where they were,
with the settings that they began with; their students stay in ``KD_HOME``.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from kd_core import DistillConfig, Report, distill
from kd_core.config import LESSON
from kd_core.data import load_task
from kd_core.data.bbc import CORPUS_SHA256, LABELS
from kd_core.distillation import run_folder
from kd_core.distillation.events import Evaluated, Event, Progress, TrainingStarted
from kd_core.distillation.latency import answering, inference, latency
from kd_core.distillation.roles import StudentVariant, labels_only
from kd_core.distillation.training.replay import Replay
from kd_core.learn.claim_training import common, trainings
from kd_core.learn.claims import ClaimName
from kd_core.learn.lab_results import LabConfig
from kd_core.learn.lab_training import LabTraining, run_lab, transfer_trainings
from kd_core.learn.race import ALONE, RACES, lane_names
from kd_core.learn.recorded import FOLDER, TASK, digest
from kd_core.models.inference import encode
from kd_core.models.loading import load_teacher
from kd_core.models.students import build_student
from kd_core.search import result
from kd_core.system import paths
from kd_core.system.machine import describe_machine

ROWS = 200
SEEDS = (0, 1, 2)
MORE_SEEDS = (0, 1, 2, 3, 4)  # where three tell little apart
LAYERS = (1, 2, 3, 4)
WIDTHS = (64, 128, 192, 256)
WIDTH_OF_A_HEAD = 64
REPEATS = 300
# As a live race is set up; looked at twice as often, so that the recorded one runs smoothly.
RACE_SETTINGS = {"training.steps": 300, "training.evaluate_every": 12}


@click.group(help=__doc__)
@click.option("--threads", default=1, show_default=True, help="Threads of the trainings.")
def main(threads: int) -> None:
    torch.set_num_threads(threads)


@main.command()
@click.argument("run", required=False)
def logits(run: str | None) -> None:
    report = _report(run)
    seed = report.config["training"]["seeds"][0]
    frame = pd.read_parquet(Path(report.folder) / run_folder.PREDICTIONS).head(ROWS)
    columns = {"teacher": "teacher", "alone": f"alone-{seed}", "student": f"student-{seed}"}
    rows = [
        {"row": int(index), "digest": digest(row["text"]), "label": int(row["label"])}
        | {who: _rounded(row[column], 4) for who, column in columns.items()}
        for index, row in frame.iterrows()
    ]
    _write(TASK, _origin(report) | {"labels": report.labels, "rows": rows})


@main.command()
@click.argument("run", required=False)
def replay(run: str | None) -> None:
    report = _report(run)
    found = Replay.read(Path(report.folder), report.labels)
    content = {
        "labels": report.labels,
        "digests": [digest(text) for text in found.texts],
        "truth": found.truth.tolist(),
        "steps": list(found.steps),
        "teacher": _rounded(found.teacher, 3),
        "student": _rounded(found.student, 3),
    }
    _write(f"replay-{TASK}", _origin(report) | content)


@main.command()
def transfer() -> None:
    config = LabConfig(seeds=MORE_SEEDS)
    _measure("transfer", transfer_trainings(config))


@main.command()
@click.argument("name", type=click.Choice(get_args(ClaimName)))
@click.option("--again", is_flag=True, help="Begin anew, in the place of going on.")
def claim(name: ClaimName, again: bool) -> None:
    if again:
        (FOLDER / f"{name}-{TASK}.json").unlink(missing_ok=True)
        shutil.rmtree(_work(name), ignore_errors=True)
    config = LabConfig(lab=name, seeds=SEEDS, classes=LABELS)
    _measure(name, trainings(config))


@main.command()
def size() -> None:
    _measure("size", list(_sizes()))


@main.command()
@click.argument("name", type=click.Choice(list(RACES)))
def race(name: str) -> None:
    base = asked(f"race-{name}")
    configs = [base.change(changes) for changes in RACES[name].lanes]
    variants = {ALONE: StudentVariant("alone", labels_only(base.objective), 0)}
    for lane, config in zip(lane_names(configs), configs, strict=True):
        variants[lane] = StudentVariant("student", config.objective, config.task.transfer_texts)
    cells = [LabTraining(lane, seed, variant) for seed in SEEDS for lane, variant in variants.items()]
    _measure(f"race-{name}", cells, curves=True)


@main.command()
@click.argument("name")
def search(name: str) -> None:
    found = result(name)
    if not found.complete or found.config.distill.task.name != TASK:
        raise click.UsageError(f"The search {name} is not complete, or not on {TASK}.")
    content = {"corpus_sha256": CORPUS_SHA256, "machine": describe_machine()}
    _write(f"search-{TASK}", content | {"result": found.model_dump(mode="json") | {"run_id": None}})


@main.command("latency")
def latency_pass() -> None:
    content = _read("size")
    if content is None:
        raise click.UsageError("There are no students to time yet; run the command size first.")
    config = DistillConfig.from_dict(content["config"])
    task = load_task(config.task)
    teacher, tokenizer = load_teacher(config.teacher, task)
    answers, tokens, models = {}, {}, []
    texts = task.test.select(range(ROWS))
    for cell in (cell for cell in _sizes() if cell.seed == SEEDS[0]):
        student = config.change(cell.changes).student  # new ones: what they have learned costs no time
        model, pieces = build_student(student, teacher, tokenizer, task, cell.seed)
        models.append(model)
        answers[cell.name] = answering(model, pieces, int(config.task.max_length))
        encoded = encode(pieces, texts, int(config.task.max_length))
        tokens[cell.name] = [len(ids) for ids in encoded["input_ids"]]
    with inference(models):
        times = latency(answers, list(texts["text"]), tokens, repeats=REPEATS)
    found = {name: {k: round(v, 4) for k, v in vars(ms).items()} for name, ms in times.items()}
    _write(f"size-{TASK}", content | {"latency": {"machine": describe_machine(), "ms": found}})


def asked(name: str) -> DistillConfig:
    """What the trainings of a recording have in common, with the defaults of today."""
    if name in get_args(ClaimName):
        return common(LabConfig(lab=name))
    if name.startswith("race-"):
        return LESSON.change({**RACE_SETTINGS, **RACES[name.removeprefix("race-")].base})
    return LESSON


def _sizes() -> Iterator[LabTraining]:
    """Seed by seed, so that each pass over them is a whole grid."""
    lesson = StudentVariant("student", LESSON.objective, LESSON.task.transfer_texts)
    for seed in SEEDS:
        for layers in LAYERS:
            for hidden in WIDTHS:
                sizes = {"layers": layers, "hidden": hidden, "heads": hidden // WIDTH_OF_A_HEAD}
                changes = {f"student.{name}": value for name, value in sizes.items()}
                changes |= {"student.model": "custom", "student.intermediate": 4 * hidden}
                yield LabTraining(f"{layers}x{hidden}", seed, lesson, changes)


def _measure(
    name: str, cells: list[LabTraining], base: DistillConfig | None = None, *, curves: bool = False
) -> None:
    curve: list[tuple[int, float]] = []  # of the student that is trained; the teacher's comes before them
    levels: list[float] = []  # the teacher on the validation texts

    def keep(report: dict[str, Any]) -> None:
        cell = report["cells"][-1]
        if curves:
            cell["curve"] = list(curve)
            report["teacher"].setdefault("validation", max(levels, default=0.0))
        _write(f"{name}-{TASK}", {"corpus_sha256": CORPUS_SHA256} | report)
        click.echo(f"\r{cell['name']}, seed {cell['seed']}: {100 * cell['accuracy']:.1f} %" + " " * 20)

    def tell(event: Event) -> None:
        if isinstance(event, Progress) and sys.stderr.isatty():
            click.echo(f"\r{event.label}: step {event.done:,} of {event.total:,} ", nl=False, err=True)

    def watch(event: Event) -> None:
        match event:
            case TrainingStarted():
                curve.clear()
            case Evaluated(who="teacher"):
                levels.append(event.accuracy)
            case Evaluated():
                curve.append((event.step, round(event.accuracy, 4)))

    before = _read(name)
    config = base or asked(name)
    if before:  # with the settings that it began with, which may be the defaults no longer
        began = _work(name) / run_folder.CONFIG
        config = (
            DistillConfig.from_yaml(began.read_text("utf-8"))
            if began.is_file()
            else DistillConfig.from_dict({"version": 1} | before["config"])
        )
    run_lab(config, cells, _work(name), tell, before=before, keep=keep, watch=watch)


def _work(name: str) -> Path:
    return paths.home() / "recording" / name


def _report(run: str | None) -> Report:
    report = Report.read(run_folder.find(run)) if run else distill(LESSON)
    if report.config["task"]["name"] != TASK:
        raise click.UsageError(f"{report.run_id} is a run on {report.config['task']['name']}, not on {TASK}.")
    return report


def _origin(report: Report) -> dict[str, Any]:
    return {"corpus_sha256": CORPUS_SHA256, "config": report.config, "machine": report.machine}


def _rounded(values: NDArray[np.floating[Any]], decimals: int) -> Any:
    return values.astype(float).round(decimals).tolist()


def _read(name: str) -> dict[str, Any] | None:
    file = FOLDER / f"{name}-{TASK}.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else None


def _write(name: str, content: dict[str, Any]) -> None:
    """As a whole or not at all: a recording may be stopped at any time."""
    text = json.dumps(content, indent=None, separators=(",", ":")) + "\n"
    FOLDER.mkdir(exist_ok=True)
    half = FOLDER / f"{name}.json.half"
    half.write_text(text, encoding="utf-8")
    half.replace(FOLDER / f"{name}.json")


if __name__ == "__main__":
    main()
