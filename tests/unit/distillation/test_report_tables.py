"""Tests of a report's tables and sentences, of the doubts about its times, and of where a gain comes from."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core.distillation import report_tables, report_times, stairs
from kd_core.distillation.report import Report
from kd_core.system.formatting import percent, signed

read = Report.model_validate
FOUR = ("teacher", "student", "alone", "labelled_only")


def judged_by(report: dict, metric: str) -> dict:
    training = report["config"]["training"] | {"metric": metric}
    return report | {"config": report["config"] | {"training": training}}


def scored(report: dict, measure: str, **scores: float) -> dict:
    return report | {who: report[who] | {measure: score} for who, score in scores.items()}


def gap(report: dict, kind: str, delta: float, low: float, high: float) -> dict:
    return report["verdict"] | {"kind": kind, "delta": delta, "low": low, "high": high}


def test_overview_of_all_models(report: dict) -> None:
    table = report_tables.overview(read(report))
    names = ["Teacher", "Distilled student", "Distilled on labelled texts only", "Student alone"]
    assert list(table["Model"]) == names
    assert table.iloc[1].to_dict() == {
        "Model": "Distilled student",
        "Accuracy": "87.6 % ± 2.8",
        "Macro-F1": "87.5 %",
        "Calibration error": "5.6 %",
        "Parameters": "2.7 M",
        "Embeddings": "85 %",
        "Size": "10.7 MB",
        "Latency p50": "1.69 ms",
        "p95": "3.88 ms",
    }
    report["student"] |= {"class_f1_interval": [0.8, 0.95]}
    table = report_tables.overview(read(judged_by(report, "f1:tech")))
    assert list(table)[:4] == ["Model", "F1 of tech", "Accuracy", "Macro-F1"], "what decides stands first"
    assert table.iloc[1, 1].startswith(f"{percent(read(report).student.by('f1:tech'))} −")
    assert table.iloc[0, 1] == percent(read(report).teacher.by("f1:tech")), "no interval was kept"


def test_what_soft_labels_add_to_hard_answers(report: dict) -> None:
    assert report_tables.hard_answers(read(report)) == ""
    report["over_hard"] = gap(report, "no_difference", 0.004, -0.006, 0.014)
    report["hard_answers"] = report["student"] | {"accuracy": 0.87, "macro_f1": 0.81}
    assert report_tables.hard_answers(read(report)) == (
        "On the same labelled texts and transfer texts, with the teacher's first choices as if they were "
        "labels, the student has 87.0 %. The teacher's other probabilities add +0.4 points (−0.6 to +1.4). "
        "That may be nothing."
    )
    by_f1 = judged_by(report, "macro_f1")
    assert "the student has 87.0 %. The" in report_tables.hard_answers(read(by_f1)), "kept in accuracy alone"
    by_f1["over_by_metric"] = {"hard_answers": report["over_hard"] | {"delta": 0.02}}
    said = "the student has macro-F1 81.0 %. The teacher's other probabilities add +2.0 points of macro-F1 ("
    assert said in report_tables.hard_answers(read(by_f1))


@pytest.mark.parametrize(
    ("kind", "begin"), [("no_difference", "does as well"), ("hurt", "does better"), ("helped", None)]
)
def test_control_that_is_not_below_the_student(report: dict, kind: str, begin: str | None) -> None:
    over = {who: report["verdict"] | {"kind": kind} for who in ("teacher", "labelled_only")}
    assert report_tables.as_good(read(report | {"over": over})) == [
        f"Distilled on labelled texts only {begin}, as far as these texts can show: accuracy 86.3 %, with a "
        "calibration error of 3.7 % (distilled student: 87.6 %, 5.6 %)."
    ] * (begin is not None)


KEEPS = "Keeps {} % of the teacher's {} ({} %)"


@pytest.mark.parametrize(
    ("metric", "scores", "over", "said"),
    [
        ("accuracy", {}, None, "87.6 % right, the teacher 87.6 %"),  # without an interval
        ("accuracy", {"teacher": 0.0}, (0.8, 0.7, 0.9), "87.6 % right, the teacher 0.0 %"),
        ("accuracy", {}, (0.0, -0.0219, 0.0219), KEEPS.format("100.0", "accuracy", "97.5 % to 102.5")),
        (
            "accuracy",
            {"teacher": 1.0, "student": 1.0},
            (0, -0.06, 0.06),
            KEEPS.format("100.0", "accuracy", "94.0 % to 100.0"),
        ),
        (
            "accuracy",
            {"teacher": 0.146, "student": 0.114},
            (-0.032, -0.228, 0.036),
            KEEPS.format("78.1", "accuracy", "0.0 % to 124.7"),
        ),
        (
            "accuracy",
            {"teacher": 0.017},
            (0.696, 0.588, 0.813),
            "Better than its teacher: +69.6 points of accuracy (+58.8 to +81.3)",
        ),
        (
            "macro_f1",
            {"teacher": 0.8, "student": 0.6},
            (-0.2, -0.3, -0.1),
            KEEPS.format("75.0", "macro-F1", "62.5 % to 87.5"),
        ),
        ("macro_f1", {"teacher": 0.8, "student": 0.6}, None, "60.0 % macro-F1, the teacher 80.0 %"),
    ],
)
def test_share_of_the_teacher_that_is_kept(report: dict, metric, scores, over, said) -> None:
    values = judged_by(scored(report, metric, **scores), metric)
    if over:
        known = gap(report, "no_difference", *over)
        values |= {"over_teacher": known} if metric == "accuracy" else {"over_by_metric": {"teacher": known}}
    assert report_tables.kept(read(values))["accuracy"] == said


def test_size_and_speed_against_the_teacher(report: dict) -> None:
    found = report_tables.kept(read(report))
    assert found["size"] == "8.5x smaller than the teacher"
    assert found["latency"] == "7.2x faster than the teacher"
    report["student"]["size_mb"] = report["teacher"]["size_mb"]
    report["student"]["latency_ms"]["p50"] = 2 * report["teacher"]["latency_ms"]["p50"]
    found = report_tables.kept(read(report))
    assert (found["size"], found["latency"]) == ("As large as the teacher", "2.0x slower than the teacher")


def test_gain_in_f1(report: dict) -> None:
    assert report_tables.f1_gain(read(report)) == ""
    report["f1_gain"] = gap(report, "helped", 0.031, 0.004, 0.058)
    assert report_tables.f1_gain(read(report)) == (
        "In macro-F1 the distilled student has +3.1 points (+0.4 to +5.8) over the student alone."
    )
    assert report_tables.f1_gain(read(judged_by(report, "f1:tech"))).startswith("In F1 of tech the")
    report["config"]["task"]["gold"] = "test"
    chosen = report_tables.f1_gain(read(report | {"alone": None}))
    assert chosen.endswith(" over the same student on its teacher's hard answers.")


def test_scores_of_each_class(report: dict) -> None:
    first = report["student"]["seeds"]["0"]
    report["student"]["seeds"]["1"] = copy.deepcopy(first)
    for row in report["student"]["seeds"]["1"]["per_class"]:
        row["f1"] = 0.0
    for seed in ("0", "1"):
        report["student"]["seeds"][seed]["per_class"][1] |= {"support": 0, "precision": 0, "recall": 0}
    table = report_tables.class_scores(read(report), "student")
    assert list(table["class"]) == report["labels"]
    assert table["f1"][0] == pytest.approx(50 * first["per_class"][0]["f1"]), "a mean over the seeds"
    assert table["support"].tolist()[:2] == [125, 0]
    assert table.loc[1, ["precision", "recall", "f1"]].isna().all(), "without test texts nothing is known"
    assert table.drop(1).notna().all(axis=None)
    few = pd.DataFrame({"class": ["a", "b", "c"], "support": [0, 9, 4], "recall": [np.nan, 50.0, 75.0]})
    assert report_tables.fewest_texts(few) == (
        "“c” has the fewest test texts, 4. The share of them that is recognised, 75.0 %, has a 95 % interval "
        "of 30 % to 95 %."
    )
    assert report_tables.fewest_texts(few[:1]) == ""


def test_commonest_mistake(report: dict) -> None:
    assert report_tables.most_confused(read(report), "teacher") == ("business", "politics", 16)
    counts = np.diag([1, 2, 3, 4, 5])
    for mistakes in (0, 3):  # none, and two as common as each other
        counts[0, 1] = counts[2, 3] = mistakes
        report["teacher"]["seeds"]["0"]["confusion"] = counts.tolist()
        assert report_tables.most_confused(read(report), "teacher") is None


def test_changes_on_other_texts(report: dict) -> None:
    for rises, said in (
        ({"typos": (-0.182, -0.123)}, "−15.3 ± 2.9"),
        ({"typos": (-0.2, -0.12)}, "−15.3 −4.7/+3.3"),
        ({}, "−15.3"),
    ):
        report["teacher"]["rises"] = rises
        row = report_tables.other_texts(read(report)).iloc[0]
        assert (row["Test texts"], row["typos"]) == ("87.6 %", said)
    in_f1 = judged_by(copy.deepcopy(report), "macro_f1")
    assert report_tables.other_texts(read(in_f1)).iloc[0].equals(row), "it was measured before F1 was kept"
    for who in FOUR:
        in_f1[who]["shifted_score"] = dict.fromkeys(in_f1[who]["shifted"], 0.5)
    one, macro = report_tables.other_texts(read(in_f1)).iloc[0], in_f1["teacher"]["macro_f1"]
    assert (one["Test texts"], one["typos"]) == (percent(macro), signed(100 * (0.5 - macro)))
    report["teacher"]["shifted"] = {}  # a file of answers
    assert report_tables.other_texts(read(report))["Model"].iloc[0] == "Distilled student"
    for who in FOUR:
        report[who]["shifted"] = {}
    assert len(report_tables.other_texts(read(report))) == 4, "nobody was asked"


def test_texts_with_their_cells(tmp_path: Path, report: dict) -> None:
    right, wrong = [4.0, 0, 0, 0, 0], [0, 4.0, 0, 0, 0]
    answers = {"teacher": [right, wrong, wrong, right], "student-0": [right, right, wrong, wrong]}
    frame = pd.DataFrame({"text": ["a", "b", "c", "d"], "label": [0, 0, 0, 0]} | answers)
    frame.to_parquet(tmp_path / "predictions.parquet")
    table = report_tables.texts(tmp_path, read(report))
    assert list(table["cell"]) == ["both_right", "mended", "inherited", "new_error"]
    assert list(table["teacher"]) == ["business", "entertainment", "entertainment", "business"]
    assert table["student_sure"][0] == pytest.approx(100 * np.exp(4) / (np.exp(4) + 4))
    report["config"]["task"]["answers"] = "labels"
    assert report_tables.texts(tmp_path, read(report))["teacher_sure"].isna().all()


def test_validation_score_of_the_teacher() -> None:
    rows = [("teacher", 40, 0.9), ("teacher", 60, 0.8), ("teacher", 20, 0.5), ("student", 60, 0.7)]
    table = pd.DataFrame(rows, columns=["who", "step", "score"])
    for weights, score in (({}, 0.9), ({"weights": "best"}, 0.9), ({"weights": "last"}, 0.8)):
        assert report_tables.teacher_validation(table, {"teacher": weights}) == score
        assert report_tables.teacher_validation(table[3:], {"teacher": weights}) is None


def test_validation_scores_by_the_metric_that_decides() -> None:
    columns = ["who", "step", "accuracy", "score"]
    rows = pd.DataFrame([("teacher", 40, 0.96, None), ("student", 60, 0.95, 0.6)], columns=columns)
    for table, metric, measure, scores in (
        (rows, "macro_f1", "macro-F1", [None, 0.6]),
        (rows, "accuracy", "accuracy", [0.96, 0.95]),
        (rows.assign(score=float("nan")), "macro_f1", "accuracy", [0.96, 0.95]),  # of older runs
        (rows[:0], "f1:spam", "F1 of spam", []),
    ):
        found, said = report_tables.validation_scores(table, metric)
        assert said == measure
        assert [None if pd.isna(score) else score for score in found["score"]] == scores
    assert report_tables.validation_scores(rows, "accuracy", chosen=True)[1] == "agreement"


WIDE, BESIDE = "by times that vary widely", "timed beside other work"


@pytest.mark.parametrize(
    ("who", "p50", "p95", "busy", "doubt", "said"),
    [
        ("teacher", 2.0, 16.0, 0.7, "", ""),
        (
            "teacher",
            2.0,
            16.1,
            None,
            WIDE,
            "took 8 times as long as the median or longer (teacher: 2.00 ms and",
        ),
        ("student", 1.33, 41.5, None, WIDE, "One in twenty answers took 31 times as long as the median or"),
        ("teacher", 2.0, 2.6, 0.3, BESIDE, "the processor was at other work for 70 % (teacher) of the time"),
    ],
)
def test_times_to_doubt(report: dict, who, p50, p95, busy, doubt, said) -> None:
    report[who]["latency_ms"] |= {"p50": p50, "p95": p95, "busy": busy}
    assert report_times.doubt(read(report)) == doubt
    assert said in report_times.unsteady(read(report))
    assert bool(report_times.unsteady(read(report))) == bool(said)
    assert report_tables.kept(read(report))["latency"].endswith(f", {doubt}" if doubt else "than the teacher")


def test_conditions_of_the_latency(report: dict) -> None:
    assert report_times.latency_conditions(read(report)) == (
        "One text, without the tokenizer, on 1 thread: median of 100 test texts of 9 tokens on average. "
        "Intel(R) Xeon(R) Processor, 2 cores, 25 GB; Linux x86_64, Python 3.11.7, PyTorch 2.13.0+cpu."
    )
    assert report_times.timed_by(read(report)) == ""
    report["student"]["latency_ms"]["tokenizer"] = True
    report["machine"]["accelerator"] = "a fast one"
    for rows, texts in ((100, "100 test texts"), (30, "100 answers to 30 test texts")):
        report["rows"]["test"] = rows
        said = report_times.latency_conditions(read(report))
        assert said.startswith("From text to answer, tokenizer included, on 1 thread: median of 100 ")
        assert f": median of {texts} of 9 tokens" in said
        assert "25 GB, a fast one; " in said


def test_table_of_where_a_gain_comes_from(report: dict) -> None:
    assert stairs.table(read(report)).empty, "a report of version 0.1 has none"
    deltas = {"alone": 0.1, "labelled_only": -0.002, "student": 0.0364}
    report["stairs"] = {who: gap(report, "helped", delta, 0.006, 0.067) for who, delta in deltas.items()}
    report["plain_start"] = report["alone"] | {"accuracy": 0.742}
    assert stairs.table(read(report)).to_numpy().tolist() == [
        ["Student alone, random start", "74.2 %", ""],
        ["+ start from the teacher", "84.0 %", "+10.0 points (+0.6 to +6.7)"],
        ["+ soft labels", "86.3 %", "−0.2 points (+0.6 to +6.7)"],
        ["+ transfer texts", "87.6 %", "+3.6 points (+0.6 to +6.7)"],
    ]
    in_f1 = stairs.table(read(report | {"stairs_metric": "macro_f1"}))
    assert in_f1["Macro-F1"].iloc[-1] == percent(report["student"]["macro_f1"])


UNTUNED = "start from the teacher before its fine-tuning"
PLAIN, BOTH = "Student alone, random start", "+ soft labels and transfer texts"
ALPHA_1 = {"config.objective": {"alpha": 1.0}, "config.student": {"init": "pretrained"}}
OF_FILE = {"config.task": {"knowledge": "a.csv", "gold": "none"}}


@pytest.mark.parametrize(
    ("controls", "changes", "names"),
    [
        (["alone", "plain_start", "untuned_start"], {}, [PLAIN, f"+ {UNTUNED}", "+ the fine-tuning", BOTH]),
        (["alone", "untuned_start"], {}, [f"Student alone, {UNTUNED}", "+ the fine-tuning", BOTH]),
        (
            ["alone"],
            {"rows": {"transfer": 9, "spans": 9}},
            ["Student alone", "+ soft labels and spans of the training texts"],
        ),
        (["alone"], {"rows": {"transfer": 0}}, ["Student alone", "+ soft labels"]),
        (
            ["alone"],
            {"rows": {"transfer": 0}, "config.task": {"answers": "labels"}},
            ["Student alone", "+ the teacher's labels"],
        ),
        (
            ["alone", "plain_start"],
            ALPHA_1,
            [PLAIN, "+ pre-trained start", "+ nothing: with alpha 1 it has the labels alone"],
        ),
        (["tfidf", "hard_answers"], OF_FILE, ["TF-IDF", "Distilled student"]),
    ],
)
def test_names_of_the_stairs(report: dict, controls, changes, names) -> None:
    one = report["alone"]
    report |= {"alone": None, "labelled_only": None, "stairs": {"student": report["verdict"]}}
    report |= dict.fromkeys(controls, one)
    for place, values in changes.items():
        section, _, name = place.partition(".")
        (report[section][name] if name else report[section]).update(values)
    assert list(stairs.table(read(report))["What is added"]) == names


def test_controls_that_say_what_the_teachers_start_is_worth(report: dict) -> None:
    assert stairs.about_start(read(report)) == (
        "The student alone starts from the fine-tuned teacher's word embeddings as well: it has learned from "
        "the teacher by its start. What that is worth, a run with **Plain start** (--plain-start) and "
        "**Untuned start** (--untuned-start) says."
    )
    with_both = read(report | {"plain_start": report["alone"], "untuned_start": report["alone"]})
    assert stairs.about_start(with_both).endswith("by its start.")
    assert stairs.start_controls(with_both) == {}
    report["config"]["teacher"]["model"] = "scratch"
    assert list(stairs.start_controls(read(report))) == ["plain_start"]
    for section, name, value in (("task", "knowledge", "answers.csv"), ("student", "init", "random")):
        other = copy.deepcopy(report)
        other["config"][section][name] = value
        assert (stairs.about_start(read(other)), stairs.start_controls(read(other))) == ("", {})
