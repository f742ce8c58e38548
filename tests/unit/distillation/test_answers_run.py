"""Runs whose teacher is a file, of each kind: what is trained, measured and said."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core import distill
from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.distillation import report_tables
from kd_core.distillation.events import NOT_NEEDED, Note, StageFinished
from kd_core.distillation.report import Report
from kd_core.distillation.training import fit
from kd_core.distillation.training.trainer import train
from kd_core.errors import ConfigError
from tests.unit.conftest import LABELS


@pytest.fixture
def answers(tiny_task, tmp_path: Path) -> Callable[..., str]:
    """``answers(gold=..., choices=...)``: a file of the tiny task's texts with made-up answers."""

    def make(*, gold: bool = False, choices: bool = False) -> str:
        random = np.random.default_rng(0)
        path = tmp_path / "answers.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", *["label"] * gold, *(["answer"] if choices else LABELS)])
            labelled = [
                (row["text"], row["label"])
                for split in ("train", "validation")
                for row in getattr(tiny_task, split)
            ]
            for text, label in [*labelled, *((text, None) for text in tiny_task.transfer["text"])]:
                shares = random.dirichlet(
                    np.ones(5) + 20 * (np.arange(5) == (label if label is not None else 0))
                )
                written = "" if label is None else LABELS[label]
                answer = [LABELS[shares.argmax()]] if choices else [f"{share:.4f}" for share in shares]
                writer.writerow([text, *[written] * gold, *answer])
        return str(path)

    return make


@pytest.fixture
def run(kd_home, tiny_config, teacher_folder) -> Callable[..., tuple[Report, list]]:
    def make(knowledge: str, **changes) -> tuple[Report, list]:
        events: list = []
        settings = {
            "task.knowledge": knowledge,
            "task.test_file": None,
            "task.transfer_file": None,
            **changes,
        }
        return distill(tiny_config.change(settings), events.append), events

    return make


def test_without_gold_labels_agreement_is_measured_against_hard_answers(run, answers):
    report, events = run(answers())
    assert set(report.models) == {"teacher", "student", "hard_answers", "tfidf"}
    assert report.measures == "agreement"
    assert report.student.accuracy == report.fidelity.agreement
    assert report.over_floor.kind == "hurt", "with so few steps"
    first, second = report.sentence.split(
        ": try a larger student or more texts that the teacher has answered. "
    )
    assert first.startswith(
        "The distilled student is worse than TF-IDF, which only counts words and letters (−"
    )
    assert second.startswith(f"Agreement with the teacher on {report.rows['test']} test texts: ")
    assert "over the same student on its teacher's hard answers" in report.sentence
    assert report.control == report.models["hard_answers"]
    assert Note(NOT_NEEDED) in events
    assert report.config["task"]["gold"] == "none"
    assert report.config["task"]["answers"] == "probabilities"
    words = " ".join([report.sentence, *report.notes]).lower()
    assert "accura" not in words
    assert "alone" not in words
    table = report_tables.overview(report)
    assert "Agreement" in table
    assert "Accuracy" not in table
    assert "Teacher" not in table["Model"].to_list()


def test_a_teacher_that_is_a_file_has_no_size_and_no_speed(run, answers):
    report, _ = run(answers())
    teacher = report.teacher
    assert (teacher.params, teacher.size_mb, teacher.latency_ms, teacher.shifted) == (None, None, None, {})
    assert report.student.shifted.keys() == {"typos", "dropped words", "upper case"}
    assert report_tables.kept(report)["size"].endswith("; the teacher is a file")
    assert Report.read(Path(report.folder)) == report


def test_knowledge_is_what_the_file_says(run, answers, kd_home):
    path = answers()
    report, events = run(path)
    rows = pd.read_parquet(Path(report.folder) / "predictions.parquet")
    task = load_task(DistillConfig.from_dict(report.config).task)
    assert np.stack(rows["teacher"]) == pytest.approx(task.answers.of(rows["text"]))
    assert [event.cached for event in events if isinstance(event, StageFinished)] == [False] * 4
    _, events = run(path)
    assert [event.cached for event in events if isinstance(event, StageFinished)][1]


def test_students_learn_from_the_answers_of_their_texts(run, answers, monkeypatch):
    """Each row that is trained on has the logits of its own text, transfer rows too."""
    seen = {}

    def look(trainer):
        seen[trainer.recipe.who] = trainer.train_dataset["logits"][:], len(trainer.run.task.train)
        return train(trainer)

    monkeypatch.setattr(fit, "train", look)
    report, _ = run(answers(gold=True))
    assert set(report.models) == {"teacher", "student", "labelled_only", "alone", "tfidf"}
    assert report.measures == "accuracy"
    task = load_task(DistillConfig.from_dict(report.config).task)
    texts = [*task.train["text"], *task.transfer["text"]]
    logits, labelled = seen["student"]
    assert labelled == len(task.train)
    assert len(task.transfer) == 40
    assert np.array(logits) == pytest.approx(task.answers.of(texts))


def test_labels_alone_have_no_verdict_on_soft_answers(run, answers):
    report, _ = run(answers(choices=True))
    assert set(report.models) == {"teacher", "student", "tfidf"}
    assert report.verdict is None
    assert report.sentence.endswith("so there are no soft answers whose worth could be judged.")


def test_what_needs_a_network_is_refused(run, answers):
    with pytest.raises(ConfigError, match="--hidden-weight compares inner states, and the teacher is a file"):
        run(answers(), **{"objective.hidden_weight": 1.0})
    with pytest.raises(ConfigError, match="--teacher scratch knows no words"):
        run(answers(), **{"teacher.model": "scratch"})


def test_the_verdict_is_by_the_metric(run, answers):
    """Macro-F1 of the same answers: not the difference of the two accuracies, which are kept too."""
    report, _ = run(answers(gold=True), **{"training.metric": "macro_f1"})
    student, alone = report.student, report.models["alone"]
    assert report.verdict == report.f1_gain
    assert report.verdict.delta == pytest.approx(student.macro_f1 - alone.macro_f1, abs=0.02)
    assert report.over_floor.delta == pytest.approx(
        student.macro_f1 - report.models["tfidf"].macro_f1, abs=0.02
    )
    assert "points of macro-F1" in report.sentence
    by_class, _ = run(answers(gold=True), **{"training.metric": "f1:sport"})
    assert "points of F1 of sport" in by_class.sentence
