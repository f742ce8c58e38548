"""The cascade: bounds and thresholds by hand, its promise on real splits, and its script."""

from __future__ import annotations

import importlib
import json
import runpy
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.deployment import cascade as engine
from kd_core.deployment import int8_answers
from kd_core.deployment.cascade import THRESHOLDS, Answers, Cascade, cascade, choose_threshold, upper_bound
from kd_core.deployment.cascade_script import script
from kd_core.deployment.forms import open_form
from kd_core.deployment.network_code import with_code
from kd_core.deployment.queueing import lognormal_mean
from kd_core.distillation.calibration import scaled
from kd_core.distillation.metrics import softmax
from kd_core.errors import ConfigError, RunError
from tests.unit.deployment.stairs import FORMS

PROMISE = {"promised": 0.97, "method": "clopper_pearson", "judge": "teacher", "runtime": "pytorch"}
CHOSEN = {"threshold": 0.8, "validation_texts": 400, "bound": 0.029}
TESTED = {"test_texts": 500, "answered": 0.9, "agreement": 0.98, "low": 0.96, "high": 0.99}
EXAMPLE = Cascade("20260131-143000-a1b2", **PROMISE, **CHOSEN, **TESTED, student_ms=1.0, teacher_ms=9.0)


def answers(*groups: tuple[float, int, int]) -> Answers:
    """Groups of a confidence, whether the judge agrees, and how many texts."""
    sure, agrees, texts = zip(*groups, strict=True)
    return Answers(np.repeat(sure, texts), np.repeat(np.array(agrees, bool), texts))


def test_upper_bound():
    """So few mistakes are a chance of 5 in 100 there; for none in n, (1 - p)^n = 0.05."""
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert stats.binom.cdf(3, 200, upper_bound(3, 200)) == pytest.approx(0.05)
    assert upper_bound(4, 5) == pytest.approx(0.95 ** (1 / 5))
    assert upper_bound(5, 5) == 1


def test_thresholds():
    assert len(THRESHOLDS) == 280
    assert (THRESHOLDS[0], THRESHOLDS[1], THRESHOLDS[197]) == pytest.approx((0, 0.005, 0.985))
    assert (1 - THRESHOLDS[[198, 218, 278]]).tolist() == pytest.approx([1e-2, 1e-3, 1e-6])
    assert THRESHOLDS[-1] == 1.001
    assert (np.diff(THRESHOLDS) > 0).all()


def test_answers_judged_by_the_teacher():
    student = np.array([[np.log(3), 0.0], [0.0, np.log(9)]])
    made = Answers.of(student, np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert made.confidence.tolist() == pytest.approx([0.75, 0.9])
    assert made.agrees.tolist() == [True, False]
    assert (made.mistakes(0.8), made.mistakes(0.95)) == (1, 0)
    assert answers((0.8, 0, 1)).mistakes(0.8) == 1, "the threshold itself is sure enough"


def test_answers_judged_by_labels():
    """Of four texts the student is right on the first two, the teacher on the first and the third."""
    student = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]))
    teacher = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]))
    made = Answers.of(student, teacher, np.array([0, 1, 1, 1]))
    assert made.agrees.tolist() == [True, True, False, True]
    assert made.teacher_errs.tolist() == [False, True, False, True]
    assert [made.mistakes(threshold) for threshold in (1.1, 0.85, 0.75, 0.65, 0.5)] == [2, 2, 1, 2, 1]
    assert [made.ever_mistaken(threshold) for threshold in (1.1, 0.85, 0.75, 0.65)] == [2, 2, 2, 3]


HARDER = ((0.95, 1, 800), (0.802, 0, 20), (0.702, 0, 20), (0.6, 1, 160))


@pytest.mark.parametrize(
    ("groups", "agree", "method", "threshold"),
    [
        (HARDER, 0.97, "clopper_pearson", 0.705),  # the bound on 20 in 1,000 is below 3 %, on 40 above
        (HARDER, 0.975, "clopper_pearson", 0.805),  # the mean would allow 20, 95 % confidence does not
        (HARDER, 0.975, "conformal", 0.705),
        # Mistakes only add up on the way down: a threshold below one that failed is not reached.
        (((0.99, 0, 40), (0.5, 1, 960)), 0.97, "clopper_pearson", 0.991),
        (((0.99, 1, 50),), 0.97, "clopper_pearson", 1.001),  # no mistake in 50 leaves 5.8 % possible
        # (9 + 1) / (99 + 1) may be wrong, where 10 % may be.
        (((0.9, 1, 90), (0.702, 0, 9)), 0.9, "conformal", 0.0),
        (((0.9, 1, 90), (0.702, 0, 9)), 0.901, "conformal", 0.705),
        (((0.5, 1, 1000),), 0.97, "clopper_pearson", 0.0),
        (((1.0, 0, 1000),), 0.97, "clopper_pearson", 1.001),
    ],
)
def test_lowest_threshold_that_keeps_the_promise(groups, agree, method, threshold):
    made = answers(*groups)
    found, bound = choose_threshold(made, agree, method)
    assert found == pytest.approx(threshold, abs=1e-4)
    mistakes = made.mistakes(found)
    expected = upper_bound(mistakes, len(made)) if method != "conformal" else (mistakes + 1) / (len(made) + 1)
    assert bound == (0.0 if threshold > 1 else pytest.approx(expected))
    assert bound <= 1 - agree + 1e-9


@pytest.mark.parametrize(
    ("method", "bound"), [("clopper_pearson", upper_bound(100, 1000)), ("conformal", 101 / 1001)]
)
def test_errors_of_the_teacher_are_bounded_where_gold_is_the_judge(method, bound):
    """A teacher errs on 100 of 1,000: no student makes 97 % of that."""
    made = Answers(np.full(1000, 0.9), np.ones(1000, bool), np.arange(1000) < 100)
    assert choose_threshold(made, 0.97, method) == (1.001, pytest.approx(bound))


def test_promise_holds_in_95_of_100_splits():
    """Draw 400 validation texts a hundred times; the confidence is the chance of being right."""
    random, kept, rounds = np.random.default_rng(0), 0, 100
    pool = random.uniform(0.5, 1, 100_000)
    right = random.random(len(pool)) < pool
    for _ in range(rounds):
        rows = random.choice(len(pool), 400, replace=False)
        threshold, _ = choose_threshold(Answers(pool[rows], right[rows]), 0.95)
        kept += Answers(pool, right).mistakes(threshold) / len(pool) <= 0.05
    assert kept / rounds >= 0.95


@pytest.mark.parametrize(("agreement", "held"), [(0.98, True), (1 - 7 / 100, True), (1 - 8 / 100, False)])
def test_held(agreement, held):
    assert replace(EXAMPLE, promised=0.93, agreement=agreement).held is held  # 1 - 7 / 100 is below 0.93


def test_risk_and_coverage():
    made = Answers(np.array([0.6, 0.8, 0.7, 0.9]), np.array([True, True, False, True]))
    curve = engine.risk_coverage(made, [0.1, 0.5, 0.75, 1.0])
    assert curve["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve["risk"].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert ((curve["low"] <= curve["risk"]) & (curve["risk"] <= curve["high"])).all()
    assert engine.risk_coverage(answers((0.9, 1, 100)))["coverage"].tolist() == pytest.approx(
        np.arange(1, 21) / 20
    )


NOBODY = "400 validation texts cannot show 97.0 % of "
TO_TEACHER = " for any share of texts: all go to the teacher. Ask for less, or give more validation texts."
ALONE = "right answers for the teacher alone, with which the search for a share begins: all go to it. "
PAIR = "The pair was to agree with the teacher on 97.0 % of all texts, with 95 % confidence; on 500 test "
TIMES = (
    " A text takes about 1.90 ms on average, with the teacher alone 9.00 ms (timed in turns, by p50 and p95)."
)
GOLD = {"method": "conformal", "judge": "gold", "agreement": 0.96, "low": 0.94, "teacher_ms": None}
NOTHING = {"judge": "gold", "threshold": 1.001, "bound": 0.1, "agreement": 0.9, "low": 0.87}


@pytest.mark.parametrize(
    ("changes", "begin", "end"),
    [
        (
            {},
            "The student answers where it is at least 80 % sure, which is 90.0 % of the test texts, and "
            f"passes the rest on. {PAIR}",
            f"texts this held: 98.0 %, 95 % interval 96.0 % to 99.0 %.{TIMES}",
        ),
        ({"threshold": 1.0}, "The student answers where it is at least 100 % sure,", TIMES),
        (
            {"threshold": float(THRESHOLDS[-2])},
            "The student answers where it is at least 99.9999 % sure",
            TIMES,
        ),
        (
            {"threshold": 0.0},
            "The student answers every text, however sure it is, and passes none on. The",
            TIMES,
        ),
        (
            GOLD | {"high": 0.97},
            "The student",
            "The pair was to be right on 97.0 % of all texts, on average; on 500 test texts this fell short "
            "by no more than chance explains: 96.0 %, 95 % interval 94.0 % to 97.0 %.",
        ),
        (GOLD | {"high": 0.968}, "The student", "this did not hold: 96.0 %, 95 % interval 94.0 % to 96.8 %."),
        ({"threshold": 1.001, "bound": 0.1}, f"{NOBODY}agreement{TO_TEACHER}", TO_TEACHER),
        (NOTHING | {"bound": 0.03}, f"{NOBODY}right answers{TO_TEACHER}", TO_TEACHER),
        (
            NOTHING | {"high": 0.93},
            f"{NOBODY}{ALONE}It is right on 90.0 % of the test texts (95 % interval 87.0 % to 93.0 %). ",
            "No share of texts can reach it: ask for less, or take a better teacher.",
        ),
        (NOTHING | {"high": 0.97}, f"{NOBODY}{ALONE}", "Ask for less, or give more validation texts."),
    ],
)
def test_sentence(changes, begin, end):
    said = replace(EXAMPLE, **changes).sentence
    assert said.startswith(begin)
    assert said.endswith(end)


def test_doubt_about_times():
    assert EXAMPLE.doubt == ""
    busy = replace(EXAMPLE, waited={"student": 0.4})
    assert busy.doubt.startswith(
        "While answers were timed, the processor was at other work for 40 % (distilled"
    )
    assert busy.doubt.endswith(": measure again when the machine is idle, with an export or kd bench.")
    assert replace(busy, teacher_ms=None).doubt.endswith("when the machine is idle, with an export.")


def test_costs_by_hand():
    """1 ms and 9 ms at 0.36 an hour are 0.1 and 0.9 a million texts; 3 in 4 are answered."""
    found = replace(EXAMPLE, answered=0.75)
    assert found.latency_ms == pytest.approx(1 + 9 / 4)
    assert found.costs(0.36) == pytest.approx((0.1 + 0.25 * 0.9, 0.9))
    assert found.costs(0.36, 0.0) == pytest.approx((0.1, 0)), "a teacher elsewhere that is free"
    elsewhere = replace(found, teacher_ms=None)
    assert elsewhere.costs(0.36, 2.0) == pytest.approx((0.1 + 500, 2000))  # at 2 for 1,000 answers
    assert elsewhere.costs(0.36) is elsewhere.latency_ms is None
    assert replace(found, student_ms=None).costs(0.36, 2.0) is None
    assert replace(found, student_ms=None).latency_ms is None


@pytest.mark.parametrize("percent", [49.9, 100, float("nan")])
def test_limits_of_agreement(percent):
    for legal in (50, 99.99):
        engine.check_agree(legal)
    with pytest.raises(ConfigError, match=r"^--agree must be at least 50 and below 100, got "):
        engine.check_agree(percent)


# Of a finished run


def test_cascade_of_a_run(run_id, exported):
    report = exported.run
    found = cascade(run_id, 0.6)
    assert (found.validation_texts, found.test_texts, found.runtime) == (15, 25, "pytorch")
    student, teacher = (np.stack(exported.predictions[name]) for name in ("student-0", "teacher"))
    assert found.answered == (softmax(student).max(axis=1) >= found.threshold).mean()
    assert found.agreement == 1 - Answers.of(student, teacher).mistakes(found.threshold) / 25
    times = report.teacher.latency_ms, report.student.latency_ms
    teacher, student = (lognormal_mean(ms.p50, ms.p95) for ms in times)
    assert found.latency_ms == pytest.approx(student + (1 - found.answered) * teacher)
    two, nine = (replace(report.teacher.latency_ms, p50=ms, p95=ms) for ms in (2.0, 9.0))
    benched = cascade(run_id, 0.6, times={("student", "pytorch"): two, ("teacher", "pytorch"): nine})
    assert (benched.student_ms, benched.teacher_ms) == (2.0, 9.0)


def test_cascade_in_int8_has_times_of_one_sitting(run_id, exported):
    found, times = cascade(run_id, 0.5, judge="gold", runtime="int8"), int8_answers.speed(run_id)
    assert found.student_ms == lognormal_mean(times["student"].p50, times["student"].p95)
    assert found.teacher_ms == lognormal_mean(times["teacher"].p50, times["teacher"].p95)
    assert times["teacher"] != exported.run.teacher.latency_ms
    kept = int8_answers.logits(run_id, "predictions.parquet")
    texts = exported.predictions["text"].to_list()
    assert kept == pytest.approx(open_form(run_id, "student", "int8").predict(texts))


def test_int8_without_its_teacher_has_no_time_of_the_pair(run_id, copied_home):
    shutil.rmtree(copied_home / "cache" / "teachers")
    shutil.rmtree(copied_home / "cache" / "int8-answers")
    with pytest.raises(RunError, match=f"was not measured in int8: kd cascade {run_id} --int8"):
        cascade(run_id, 0.5, runtime="int8")
    int8_answers.measure(run_id)
    assert int8_answers.speed(run_id).keys() == {"student"}
    found = cascade(run_id, 0.5, runtime="int8")
    assert found.student_ms > 0
    assert (found.teacher_ms, found.latency_ms) == (None, None)


def test_promise_of_right_answers_needs_gold_labels(finished_run, tmp_path):
    def judged(gold, file, folder=finished_run.folder):
        config = finished_run.report.config
        changed = config | {"task": config["task"] | {"gold": gold}}
        return engine.recorded(
            folder, finished_run.report.model_copy(update={"config": changed}), file, judge="gold"
        )

    for gold, file in (("none", "predictions"), ("none", "validation"), ("test", "validation")):
        with pytest.raises(
            RunError, match=r"have no gold labels, .* agreement with the teacher \(without --ri"
        ):
            judged(gold, f"{file}.parquet")
    assert len(judged("test", "predictions.parquet")) == 25
    empty = pd.read_parquet(finished_run.folder / "predictions.parquet").head(0)
    empty.to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(RunError, match=r"has no texts in predictions\.parquet; a cascade needs some"):
        judged("test", "predictions.parquet", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--agree", "100"], "--agree must be at least 50 and below 100, got 100.0"),
        (["--core-hour", "-1"], "--core-hour must be a price of 0 or more, got -1"),
        (
            ["--int8", "--script"],
            "--script loads the student in PyTorch, for which --int8 finds no threshold",
        ),
    ],
)
def test_command_refuses(run_id, capsys, arguments, said):
    assert main(["cascade", run_id, *arguments]) == 2
    assert f"kd: {said}" in capsys.readouterr().err


def test_command(run_id, capsys):
    assert main(["cascade", run_id, "--agree", "60", "--int8", "--right", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentence"] == cascade(run_id, 0.6, judge="gold", runtime="int8").sentence
    assert (found["judge"], found["runtime"]) == ("gold", "int8")
    assert main(["cascade", run_id, "--agree", "99", "--core-hour", "1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "cannot show 99.0 % of agreement" in said
    assert said.endswith("So the pair is dearer than its teacher alone."), "the student answers in vain"


def test_command_of_an_export_names_its_cascade(run_id, monkeypatch, capsys, tmp_path):
    made = {"texts": 25, "forms": FORMS, "to": "x", "cascade": "The student answers every text."}
    monkeypatch.setattr(importlib.import_module("kd_core.cli.export"), "start", lambda *_, **__: made)
    assert main(["export", run_id, "--to", str(tmp_path / "x")]) == 0
    assert "The student answers every text.\n\nIn x\n" in capsys.readouterr().out
    assert main(["export", run_id, "--to", str(tmp_path / "x"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == made
    assert main(["export", run_id, "--to", str(tmp_path / "x"), "--agree", "30"]) == 2
    assert "--agree must be at least 50 and below 100, got 30" in capsys.readouterr().err


# The script


def test_script_asks_the_teacher_where_the_student_is_unsure(exported, monkeypatch, capsys, tmp_path):
    rows = exported.predictions
    logits, teacher = np.stack(rows["student-0"]), np.stack(rows["teacher"]).argmax(axis=1)
    temperature = scaled(exported.home / "runs" / exported.run.run_id, exported.run, "student").temperature
    sure = softmax(logits, temperature).max(axis=1)
    between = float(np.sort(sure)[11:13].mean())
    monkeypatch.setattr("sys.argv", ["cascade.py", *rows["text"]])
    for threshold in (0.0, between, 2.0):
        program = script(
            replace(EXAMPLE, threshold=threshold),
            *(str(exported.calibrated / who) for who in ("model", "teacher")),
        )
        (tmp_path / "cascade.py").write_text(program)
        runpy.run_path(str(tmp_path / "cascade.py"))
        expected = np.where(sure < threshold, teacher, logits.argmax(axis=1))
        printed = [line.split(" ", 1) for line in capsys.readouterr().out.splitlines()]
        assert printed == [
            [exported.run.labels[label], text] for label, text in zip(expected, rows["text"], strict=True)
        ]


@pytest.mark.parametrize("teacher", ["teacher", None])
def test_script_has_the_whole_threshold_and_allows_code(teacher):
    for threshold in (0.8, *THRESHOLDS[[1, 199, -2]].tolist()):
        program = script(replace(EXAMPLE, threshold=threshold), "student", teacher)
        assert float(program.split('answer["score"] ')[1].split(":")[0].split()[1]) == threshold
    allowing = script(replace(EXAMPLE, threshold=threshold), "student", teacher, code={"student"})
    assert 'model=str(here / "student"), trust_remote_code=True)' in allowing
    assert allowing.replace(", trust_remote_code=True", "") == program
    assert ('model=str(here / "teacher"))' in allowing) == bool(teacher)
    assert len(allowing.splitlines()) <= 13


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
def test_folders_with_code(changes, code):
    config = DistillConfig().change({"teacher.pooling": "first"} | changes)
    assert with_code(config.model_dump(mode="json")) == code
