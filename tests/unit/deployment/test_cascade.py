"""The cascade: bounds and thresholds by hand, and a promise that holds."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.deployment import int8_answers
from kd_core.deployment.cascade import (
    THRESHOLDS,
    Answers,
    Cascade,
    cascade,
    choose_threshold,
    risk_coverage,
    upper_bound,
)
from kd_core.deployment.cascade_script import script
from kd_core.deployment.export import ExportConfig, export_run
from kd_core.deployment.forms import open_form
from kd_core.deployment.network_code import with_code
from kd_core.deployment.queueing import lognormal_mean
from kd_core.errors import ConfigError, RunError
from tests.unit.deployment.stairs import FORMS

EXAMPLE = Cascade(
    run="20260131-143000-a1b2",
    promised=0.97,
    method="clopper_pearson",
    judge="teacher",
    runtime="pytorch",
    threshold=0.8,
    validation_texts=400,
    bound=0.029,
    test_texts=500,
    answered=0.9,
    agreement=0.98,
    low=0.96,
    high=0.99,
    student_ms=1.0,
    teacher_ms=9.0,
)


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


def test_a_promise_that_is_just_met_is_met():
    """93 right of 100, where 93 % were promised; (9 + 1) / (99 + 1) wrong, where 10 % may be."""
    assert 1 - 7 / 100 < 0.93
    assert replace(EXAMPLE, promised=0.93, agreement=1 - 7 / 100).held
    assert not replace(EXAMPLE, promised=0.93, agreement=1 - 8 / 100).held
    made = answers([(0.9, 1)] * 90 + [(0.702, 0)] * 9)
    assert choose_threshold(made, 0.9, "conformal") == (0.0, 0.1)


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
    times = finished_run.report.teacher.latency_ms, finished_run.report.student.latency_ms
    teacher, student = (lognormal_mean(ms.p50, ms.p95) for ms in times)
    assert found.latency_ms == pytest.approx(student + (1 - found.answered) * teacher)
    latency = finished_run.report.teacher.latency_ms
    two, nine = (replace(latency, p50=ms, p95=ms) for ms in (2.0, 9.0))
    benched = cascade(run_id, 0.6, times={("student", "pytorch"): two, ("teacher", "pytorch"): nine})
    assert (benched.student_ms, benched.teacher_ms) == (2.0, 9.0)
    assert main(["cascade", run_id, "--agree", "60", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sentence"] == found.sentence
    assert main(["cascade", run_id, "--agree", "99", "--core-hour", "1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "cannot show 99.0 % of agreement" in said
    assert said.endswith("So the pair is dearer than its teacher alone."), "the student answers in vain"


def test_what_cannot_be(finished_run, monkeypatch, capsys):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    with pytest.raises(ConfigError, match="--agree must be at least 50 and below 100, got 100"):
        cascade(finished_run.report.run_id, 1.0)
    assert main(["export", finished_run.report.run_id, "--to", "out", "--agree", "49"]) == 2
    assert capsys.readouterr().err == "kd: --agree must be at least 50 and below 100, got 49.0\n"
    with pytest.raises(RunError, match="There is no run"):
        cascade("20260101-000000-aaaa", 0.9)


def test_the_export_command_says_what_its_cascade_does(finished_run, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    made = {"texts": 25, "forms": FORMS, "to": "x", "cascade": "The student answers every text."}
    monkeypatch.setattr(importlib.import_module("kd_core.cli.export"), "start", lambda *_, **__: made)
    assert main(["export", finished_run.report.run_id, "--to", str(tmp_path / "x")]) == 0
    assert "The student answers every text.\n\nIn x\n" in capsys.readouterr().out


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


def test_the_script_has_the_threshold_that_was_tested():
    for threshold in THRESHOLDS.tolist():
        program = script(replace(EXAMPLE, threshold=threshold), "student", "teacher")
        assert float(program.split('answer["score"] < ')[1].split(":")[0]) == threshold


def test_the_script_lets_code_run_where_a_folder_has_some():
    found = replace(EXAMPLE, threshold=0.8)
    program = script(found, "model", "teacher", code={"student"})
    assert 'model=str(here / "model"), trust_remote_code=True)' in program
    assert 'model=str(here / "teacher"))' in program
    assert program.replace(", trust_remote_code=True", "") == script(found, "model", "teacher")
    assert len(program.splitlines()) <= 13


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"student.model": "cnn"}, {"student"}),
        ({"student.model": "bilstm"}, {"student"}),
        ({"student.model": "tiny"}, set()),
        ({"student.model": "tiny", "teacher.pooling": "mean"}, {"teacher"}),
        ({"student.model": "static", "teacher.pooling": "mean"}, {"student", "teacher"}),
        ({"student.model": "tiny", "teacher.pooling": "mean", "task.knowledge": "answers.csv"}, set()),
    ],
)
def test_whose_folder_has_code(changes, code):
    config = DistillConfig().change({"teacher.pooling": "first"} | changes)
    assert with_code(config.model_dump(mode="json")) == code


def test_right_by_gold_counts_the_teachers_errors_too():
    """Four texts: the student is right on the first two, the teacher on the first and the third."""
    student = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]))
    teacher = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]))
    made = Answers.of(student, teacher, np.array([0, 1, 1, 1]))
    assert made.agrees.tolist() == [True, True, False, True]
    assert made.teacher_errs.tolist() == [False, True, False, True]
    assert [made.mistakes(threshold) for threshold in (1.1, 0.85, 0.75, 0.65, 0.5)] == [2, 2, 1, 2, 1]
    assert [made.ever_mistaken(threshold) for threshold in (1.1, 0.85, 0.75, 0.65)] == [2, 2, 2, 3]


def test_where_nothing_can_be_promised_by_gold_the_teachers_own_errors_are_bounded_and_said():
    """It errs on 100 of 1,000: no student makes 97 % of that."""
    made = Answers(np.full(1000, 0.9), np.ones(1000, bool), np.arange(1000) < 100)
    for method, bound in (("clopper_pearson", upper_bound(100, 1000)), ("conformal", 101 / 1001)):
        assert choose_threshold(made, 0.97, method) == (THRESHOLDS[-1], pytest.approx(bound))
    found = replace(EXAMPLE, judge="gold", threshold=1.001, bound=0.1, agreement=0.9, low=0.87, high=0.93)
    assert found.sentence.startswith(
        "400 validation texts cannot show 97.0 % of right answers for the teacher alone, with which the"
    )
    assert "all go to it. It is right on 90.0 % of the test texts (95 % interval 87.0" in found.sentence
    assert found.sentence.endswith("No share of texts can reach it: ask for less, or take a better teacher.")
    unsure = replace(found, high=0.975)
    assert unsure.sentence.endswith("Ask for less, or give more validation texts.")
    assert choose_threshold(answers([(1.0, 0)] * 1000), 0.97) == (THRESHOLDS[-1], 0.0)


def test_where_the_student_spoils_what_the_teacher_promises_the_reason_is_not_the_teacher():
    found = replace(EXAMPLE, judge="gold", threshold=1.001, bound=0.003)
    assert found.sentence.startswith(
        "400 validation texts cannot show 97.0 % of right answers for any share of texts: all go to the"
    )


def test_a_threshold_just_below_one_is_not_said_to_be_one():
    assert "at least 99.9999 % sure" in replace(EXAMPLE, threshold=float(THRESHOLDS[-2])).sentence


def test_times_beside_other_work_are_doubted():
    assert EXAMPLE.doubt == ""
    said = replace(EXAMPLE, waited={"student": 0.4}).doubt
    assert said.startswith("While answers were timed, the processor was at other work for 40 % (distilled")
    assert said.endswith("measure again when the machine is idle, with an export or kd bench.")


def test_a_student_that_answers_everything_is_said_to():
    assert choose_threshold(answers([(0.5, 1)] * 1000), 0.97) == (0.0, upper_bound(0, 1000))
    said = replace(EXAMPLE, threshold=0.0, answered=1.0).sentence
    assert said.startswith("The student answers every text, however sure it is, and passes none on. The pair")


def test_what_was_promised_what_came_out_and_what_it_takes_is_said():
    """1 ms of the student for each text, and 9 ms of the teacher for one in ten."""
    assert EXAMPLE.sentence == (
        "The student answers where it is at least 80 % sure, which is 90.0 % of the test texts, and passes "
        "the rest on. The pair was to agree with the teacher on 97.0 % of all texts, with 95 % confidence; "
        "on 500 test texts this held: 98.0 %, 95 % interval 96.0 % to 99.0 %. A text takes about "
        "1.90 ms on average, with the teacher alone 9.00 ms (timed in turns, by p50 and p95)."
    )
    less = replace(EXAMPLE, method="conformal", judge="gold", agreement=0.96, low=0.94, teacher_ms=None)
    begin = "The pair was to be right on 97.0 % of all texts, on average; on 500 test texts this"
    for high, how in ((0.972, "fell short by no more than chance explains"), (0.968, "did not hold")):
        said = replace(less, high=high).sentence
        assert said.endswith(f"{begin} {how}: 96.0 %, 95 % interval 94.0 % to {100 * high:.1f} %.")


def test_costs_by_hand():
    """1 ms and 9 ms at 0.36 an hour are 0.1 and 0.9 a million texts; 3 in 4 are answered."""
    found = replace(EXAMPLE, answered=0.75, student_ms=1.0, teacher_ms=9.0)
    assert found.costs(0.36) == pytest.approx((0.1 + 0.25 * 0.9, 0.9))
    # A teacher elsewhere, at 2 for 1,000 answers.
    assert replace(found, teacher_ms=None).costs(0.36, 2.0) == pytest.approx((0.1 + 500, 2000))
    assert replace(found, teacher_ms=None).costs(0.36) is None
    assert replace(found, teacher_ms=None).latency_ms is None


def test_gold_and_int8_of_a_finished_run(finished_run, monkeypatch, capsys, tmp_path):
    home = shutil.copytree(finished_run.home, tmp_path / "home")
    monkeypatch.setenv("KD_HOME", str(home))
    run_id = finished_run.report.run_id
    with pytest.raises(RunError, match=f"was not measured in int8: kd cascade {run_id} --int8"):
        cascade(run_id, 0.5, runtime="int8")
    assert main(["cascade", run_id, "--agree", "50", "--int8", "--right", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["judge"], found["runtime"]) == ("gold", "int8")
    # Both of one sitting, and not of the run's.
    times = int8_answers.speed(run_id)
    assert times.keys() == {"student", "teacher"}
    assert found["student_ms"] == lognormal_mean(times["student"].p50, times["student"].p95)
    assert found["teacher_ms"] == lognormal_mean(times["teacher"].p50, times["teacher"].p95)
    assert times["teacher"] != finished_run.report.teacher.latency_ms
    assert ("(timed in turns, " in found["sentence"]) == (found["threshold"] <= 1)
    rows = pd.read_parquet(finished_run.folder / "predictions.parquet")
    form = open_form(run_id, "student", "int8")
    assert int8_answers.logits(run_id, "predictions.parquet") == pytest.approx(
        form.predict(rows["text"].to_list())
    )
    assert main(["cascade", run_id, "--int8", "--script"]) == 2
    assert "--script loads the student in PyTorch" in capsys.readouterr().err
    assert main(["cascade", run_id, "--core-hour", "-1"]) == 2
    assert "--core-hour must be a price of 0 or more, got -1" in capsys.readouterr().err
    assert main(["export", run_id, "--to", str(tmp_path / "x"), "--agree", "30"]) == 2
    assert "--agree must be at least 50 and below 100, got 30" in capsys.readouterr().err


def test_int8_beside_a_teacher_that_is_gone_has_no_time_of_the_pair(finished_run, monkeypatch, tmp_path):
    home = shutil.copytree(finished_run.home, tmp_path / "home")
    monkeypatch.setenv("KD_HOME", str(home))
    shutil.rmtree(home / "cache" / "teachers")
    run_id = finished_run.report.run_id
    int8_answers.measure(run_id)
    assert int8_answers.speed(run_id).keys() == {"student"}
    found = cascade(run_id, 0.5, runtime="int8")
    assert found.student_ms > 0
    assert (found.teacher_ms, found.latency_ms) == (None, None)


def test_an_export_holds_the_threshold_and_a_script_that_runs(finished_run, monkeypatch, tmp_path):
    """Its logits are scaled, and so is what the threshold was found on."""
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    run_id, to = finished_run.report.run_id, tmp_path / "bundle"
    export_run(ExportConfig(run=run_id, to=str(to), agree=55, calibrate=True))
    held = json.loads((to / "cascade.json").read_text())
    assert held["threshold"] == cascade(run_id, 0.55, calibrated=True).threshold
    assert (held["promised"], held["teacher"]) == (0.55, "teacher")
    text = pd.read_parquet(finished_run.folder / "predictions.parquet")["text"][0]
    done = subprocess.run(
        [sys.executable, to / "cascade.py", text], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    label, said = done.stdout.strip().split(" ", 1)
    assert said == text
    assert label in finished_run.report.labels
    assert len((to / "cascade.py").read_text().splitlines()) <= 12
    listed = json.loads((to / "checksums.json").read_text())
    assert "teacher/model.safetensors" in listed
    readable = {path.stat().st_mode & 0o777 for path in to.rglob("*.safetensors")}
    assert readable == {(to / "README.md").stat().st_mode & 0o777}
    card = (to / "README.md").read_text("utf-8")
    assert f'`python cascade.py "a text"`. {cascade(run_id, 0.55, calibrated=True).sentence[:40]}' in card
    for name in ("teacher/", "cascade.py", "cascade.json"):
        assert f"\n| `{name}` | " in card
