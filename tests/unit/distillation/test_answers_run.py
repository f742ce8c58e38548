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
from tests.unit.distillation.training.trained import at_step, stopped


@pytest.fixture
def config(kd_home, tiny_config, tiny_task, tmp_path: Path) -> Callable[..., DistillConfig]:
    """``config("label", choices=...)``: the tiny task's texts with made-up answers, and that column."""

    def make(*gold: str, choices: bool = False, **changes) -> DistillConfig:
        random, path = np.random.default_rng(0), tmp_path / "answers.csv"
        labelled = [*tiny_task.train, *tiny_task.validation]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", *gold, *(["answer"] if choices else LABELS)])
            for row in [*labelled, *tiny_task.transfer]:
                label = row.get("label")
                shares = random.dirichlet(np.ones(5) + 20 * (np.arange(5) == (label or 0)))
                answer = [LABELS[shares.argmax()]] if choices else [f"{share:.4f}" for share in shares]
                written = "" if label is None else LABELS[label]
                writer.writerow([row["text"], *[written for _ in gold], *answer])
        files = {"task.knowledge": str(path), "task.test_file": None, "task.transfer_file": None}
        return tiny_config.change(files | changes)

    return make


def test_without_gold_labels_agreement_is_measured_against_hard_answers(config):
    events: list = []
    report = distill(config(), events.append)
    assert set(report.models) == {"teacher", "student", "hard_answers", "tfidf"}
    assert report.measures == "agreement"
    assert report.student.accuracy == report.fidelity.agreement
    assert report.control == report.models["hard_answers"]
    assert "over the same student on its teacher's hard answers" in report.sentence
    assert Note(NOT_NEEDED) in events
    assert (report.config["task"]["gold"], report.config["task"]["answers"]) == ("none", "probabilities")
    words = " ".join([report.sentence, *report.notes]).lower()
    assert "accura" not in words
    assert "alone" not in words
    table = report_tables.overview(report)
    assert "Agreement" in table
    assert "Accuracy" not in table
    # A file has no size and no speed, and its answers are those in it.
    teacher = report.teacher
    assert (teacher.params, teacher.size_mb, teacher.latency_ms, teacher.shifted) == (None, None, None, {})
    assert report_tables.kept(report)["size"].endswith("; the teacher is a file")
    assert Report.read(Path(report.folder)) == report
    rows = pd.read_parquet(Path(report.folder) / "predictions.parquet")
    task = load_task(DistillConfig.from_dict(report.config).task)
    assert np.stack(rows["teacher"]) == pytest.approx(task.answers.of(rows["text"]))
    again = stopped(lambda *given: distill(config(), *given), at_step(1))
    cached = [[e.cached for e in told if isinstance(e, StageFinished)] for told in (events, again)]
    assert cached == [[False] * 4, [False, True]]


@pytest.mark.parametrize(("metric", "said"), [("macro_f1", "macro-F1"), ("f1:sport", "F1 of sport")])
def test_with_gold_labels_the_verdict_is_by_the_metric(config, monkeypatch, metric, said):
    """Each row that is trained on has the answers for its own text, transfer rows too."""
    seen = {}

    def look(trainer):
        seen[trainer.recipe.who] = trainer.train_dataset["logits"][:]
        return train(trainer)

    monkeypatch.setattr(fit, "train", look)
    report = distill(config("label", **{"training.metric": metric}))
    assert set(report.models) == {"teacher", "student", "labelled_only", "alone", "tfidf"}
    assert (report.measures, report.verdict) == ("accuracy", report.f1_gain)
    assert f"points of {said}" in report.sentence
    task = load_task(DistillConfig.from_dict(report.config).task)
    texts = [*task.train["text"], *task.transfer["text"]]
    assert len(task.transfer) == 40
    assert np.array(seen["student"]) == pytest.approx(task.answers.of(texts))
    by = {who: report.models[who].by(metric) for who in ("student", "alone", "tfidf")}
    assert report.verdict.delta == pytest.approx(by["student"] - by["alone"], abs=0.02)
    assert report.over_floor.delta == pytest.approx(by["student"] - by["tfidf"], abs=0.02)


def test_labels_alone_have_no_verdict_on_soft_answers(config):
    report = distill(config(choices=True))
    assert set(report.models) == {"teacher", "student", "tfidf"}
    assert report.verdict is None
    assert report.sentence.endswith("so there are no soft answers whose worth could be judged.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective.hidden_weight": 1.0},
            "--hidden-weight compares inner states, and the teacher is a file",
        ),
        ({"teacher.model": "scratch"}, "--teacher scratch knows no words"),
    ],
)
def test_what_needs_a_network_is_refused(config, changes, message):
    with pytest.raises(ConfigError, match=message):
        distill(config(**changes))
