"""The cascade: bounds and thresholds by hand, and a promise that holds."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from kd_core.cli import main
from kd_core.deployment.cascade import (
    Answers,
    cascade,
    choose_threshold,
    risk_coverage,
    script,
    upper_bound,
)
from kd_core.errors import ConfigError, RunError


def answers(pairs) -> Answers:
    return Answers(np.array([sure for sure, _ in pairs]), np.array([bool(agrees) for _, agrees in pairs]))


def test_the_bound_is_where_so_few_mistakes_are_a_chance_of_5_in_100():
    """No mistake in n: (1 - p)^n = 0.05."""
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert stats.binom.cdf(3, 200, upper_bound(3, 200)) == pytest.approx(0.05)
    assert upper_bound(5, 5) == 1


def test_answers_of_logits():
    student = np.array([[np.log(3), 0.0], [0.0, np.log(9)]])
    made = Answers.of(student, np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert made.confidence.tolist() == pytest.approx([0.75, 0.9])
    assert made.agrees.tolist() == [True, False]
    assert (made.mistakes(0.8), made.mistakes(0.95)) == (1, 0)


def test_the_threshold_is_the_lowest_that_is_sure_enough():
    """1,000 texts: right from 0.9 up, then ever more mistakes; 3 % may be wrong."""
    made = answers([(0.95, 1)] * 800 + [(0.802, 0)] * 20 + [(0.702, 0)] * 20 + [(0.6, 1)] * 160)
    assert upper_bound(20, 1000) < 0.03 < upper_bound(40, 1000)
    threshold, bound = choose_threshold(made, 0.97)
    assert threshold == pytest.approx(0.705)
    assert bound == upper_bound(20, 1000)
    assert choose_threshold(made, 0.97, "conformal") == (pytest.approx(0.705), 21 / 1001)
    assert choose_threshold(made, 0.975, "conformal")[0] == pytest.approx(0.705)
    assert choose_threshold(made, 0.975)[0] == pytest.approx(0.805)  # the mean would allow it, not 95 %


def test_too_few_texts_promise_nothing():
    """Even no mistake at all in 50 texts leaves 5.8 % possible."""
    threshold, _ = choose_threshold(answers([(0.99, 1)] * 50), 0.97)
    assert threshold > 1


def test_a_lower_threshold_is_not_reached_over_one_that_failed():
    """A grid without order would take the luckiest threshold; mistakes only add up on the way down."""
    made = answers([(0.99, 0)] * 40 + [(0.5, 1)] * 960)
    assert choose_threshold(made, 0.97)[0] > 0.99


def test_the_promise_holds_in_95_of_100_splits():
    """A student whose confidence is its chance of being right; 300 draws of 400 validation texts."""
    random, kept, rounds = np.random.default_rng(0), 0, 300
    pool = random.uniform(0.5, 1, 200_000)
    right = random.random(200_000) < pool
    for _ in range(rounds):
        rows = random.choice(len(pool), 400, replace=False)
        threshold, _ = choose_threshold(Answers(pool[rows], right[rows]), 0.95)
        kept += Answers(pool, right).mistakes(threshold) / len(pool) <= 0.05
    assert kept / rounds >= 0.95


def test_risk_and_coverage_by_hand():
    made = answers([(0.9, 1), (0.8, 1), (0.7, 0), (0.6, 1)])
    curve = risk_coverage(made, [0.5, 0.75, 1.0])
    assert curve["coverage"].tolist() == [0.5, 0.75, 1.0]
    assert curve["risk"].tolist() == pytest.approx([0, 1 / 3, 1 / 4])
    assert (curve["low"] <= curve["risk"]).all()
    assert (curve["risk"] <= curve["high"]).all()


def test_a_finished_run(finished_run, monkeypatch, capsys):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    run_id = finished_run.report.run_id
    found = cascade(run_id, 0.6)
    assert found.validation_texts == 15
    assert found.test_texts == 25
    assert found.held == (found.agreement >= 0.6)
    teacher, student = finished_run.report.teacher.p50, finished_run.report.student.p50
    assert found.latency_ms == pytest.approx(student + (1 - found.answered) * teacher)
    assert main(["cascade", run_id, "--agree", "60", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sentence"] == found.sentence
    assert main(["cascade", run_id, "--agree", "99"]) == 0
    assert "cannot show 99.0 % of agreement" in capsys.readouterr().out


def test_what_cannot_be(finished_run, monkeypatch):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    with pytest.raises(ConfigError, match="--agree must be at least 50 and below 100, got 100"):
        cascade(finished_run.report.run_id, 1.0)
    with pytest.raises(RunError, match="There is no run"):
        cascade("20260101-000000-aaaa", 0.9)


def test_the_script_uses_both_models(finished_run, monkeypatch, tmp_path):
    """With a threshold that no answer reaches, the teacher answers."""
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    found = cascade(finished_run.report.run_id, 0.99)
    assert found.threshold > 1
    student = finished_run.folder / "students" / "student-0"
    teacher = finished_run.home / "cache" / "teachers" / finished_run.report.teacher_key
    path = tmp_path / "cascade.py"
    path.write_text(script(found, str(student), str(teacher)))
    done = subprocess.run([sys.executable, str(path), "a text"], capture_output=True, text=True)
    label, text = done.stdout.strip().split(" ", 1)
    assert text == "a text"
    assert label in finished_run.report.labels
