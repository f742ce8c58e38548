from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core.distillation import report_tables
from kd_core.distillation.report import Report
from kd_core.errors import RunError
from kd_core.system.formatting import percent, signed

read = Report.model_validate


def test_overview_of_all_models(report: dict) -> None:
    table = report_tables.overview(read(report))
    assert list(table["Model"]) == [
        "Teacher",
        "Distilled student",
        "Distilled on labelled texts only",
        "Student alone",
    ]
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
    assert len(report_tables.overview(read(report | {"labelled_only": None}))) == 3


def test_what_decides_stands_first_and_is_named(report: dict) -> None:
    """The F1 of one class has a column of its own; its interval is shown where it was kept."""

    def first_columns(metric: str) -> dict:
        report["config"]["training"]["metric"] = metric
        return report_tables.overview(read(report)).iloc[1, :4].to_dict()

    assert first_columns("macro_f1") == {
        "Model": "Distilled student",
        "Macro-F1": "87.5 %",
        "Accuracy": "87.6 % ± 2.8",
        "Calibration error": "5.6 %",
    }
    f1 = percent(read(report).student.by("f1:tech"))
    assert list(first_columns("f1:tech").items())[1:] == [
        ("F1 of tech", f1),
        ("Accuracy", "87.6 % ± 2.8"),
        ("Macro-F1", "87.5 %"),
    ]
    report["student"]["class_f1_interval"] = [0.8, 0.95]
    assert first_columns("f1:tech")["F1 of tech"].startswith(f"{f1} −")
    report["over_by_metric"] = {"labelled_only": report["verdict"] | {"kind": "no_difference"}}
    (said,) = report_tables.as_good(read(report))
    assert f"can show: F1 of tech {percent(read(report).models['labelled_only'].by('f1:tech'))}, with" in said
    assert f"(distilled student: {f1}, 5.6 %)" in said


def test_what_soft_labels_add_to_hard_answers(report: dict) -> None:
    assert report_tables.hard_answers(read(report)) == ""
    verdict = {"kind": "no_difference", "delta": 0.004, "low": -0.006, "high": 0.014}
    report["over_hard"] = verdict | {"p_value": 0.5, "n": 524, "seeds": 1}
    report["hard_answers"] = report["student"] | {"accuracy": 0.87}
    assert report_tables.hard_answers(read(report)) == (
        "On the same labelled texts and transfer texts, with the teacher's first choices as if they were "
        "labels, the student has 87.0 %. The teacher's other probabilities add +0.4 points (−0.6 to +1.4). "
        "That may be nothing."
    )
    report["rows"]["transfer"] = 0
    assert report_tables.hard_answers(read(report)).startswith("On the same labelled texts, with the")
    report["config"]["training"]["metric"] = "macro_f1"
    report["hard_answers"]["macro_f1"] = 0.81
    assert "the student has 87.0 %. The" in report_tables.hard_answers(read(report)), "of before"
    report["over_by_metric"] = {"hard_answers": report["over_hard"] | {"delta": 0.02}}
    assert (
        "the student has macro-F1 81.0 %. The teacher's other probabilities add +2.0 points of macro-F1 ("
        in (report_tables.hard_answers(read(report)))
    )


def test_a_control_that_is_not_below_the_student_is_named_with_its_numbers(report: dict) -> None:
    gap = report["verdict"] | {"kind": "no_difference", "delta": 0.013, "low": -0.01, "high": 0.04}
    hurt = gap | {"kind": "hurt", "delta": -0.03, "low": -0.05, "high": -0.01}
    helped = gap | {"kind": "helped", "low": 0.001}
    said = [
        report_tables.as_good(
            read(report | {"over": {"alone": helped, "teacher": gap, "labelled_only": over}})
        )
        for over in (gap, hurt, helped)
    ]
    numbers = (
        ", as far as these texts can show: accuracy 86.3 %, with a calibration error of 3.7 % (distilled "
        "student: 87.6 %, 5.6 %)."
    )
    assert said == [
        [f"Distilled on labelled texts only does as well{numbers}"],
        [f"Distilled on labelled texts only does better{numbers}"],
        [],
    ]


def test_nobody_keeps_more_than_all_that_can_be_right(report: dict) -> None:
    gap = report["verdict"] | {"kind": "no_difference", "delta": 0.0, "low": -0.06, "high": 0.06}
    right = {who: report[who] | {"accuracy": 1.0} for who in ("teacher", "student")}
    assert report_tables.kept(read(report | right | {"over_teacher": gap}))["accuracy"] == (
        "Keeps 100.0 % of the teacher's accuracy (94.0 % to 100.0 %)"
    )


def test_a_student_that_is_better_than_its_teacher_keeps_no_share_of_it(report: dict) -> None:
    """Of a teacher of 60 classes that had 1.7 % it kept 4,275 %."""
    gap = report["verdict"] | {"kind": "helped", "delta": 0.696, "low": 0.588, "high": 0.813}
    weak = {"teacher": report["teacher"] | {"accuracy": 0.017}, "over_teacher": gap}
    assert report_tables.kept(read(report | weak))["accuracy"] == (
        "Better than its teacher: +69.6 points of accuracy (+58.8 to +81.3)"
    )


def test_nobody_keeps_less_than_nothing(report: dict) -> None:
    """Of a rare class's F1 of 14.6 % the difference may be -22.8 points: seen on 20 texts of it."""
    gap = report["verdict"] | {"kind": "no_difference", "delta": -0.032, "low": -0.228, "high": 0.036}
    scores = {"teacher": 0.146, "student": 0.114}
    rare = {who: report[who] | {"accuracy": score} for who, score in scores.items()}
    assert report_tables.kept(read(report | rare | {"over_teacher": gap}))["accuracy"] == (
        "Keeps 78.1 % of the teacher's accuracy (0.0 % to 124.7 %)"
    )


def test_what_compression_cost_and_bought(report: dict) -> None:
    gap = report["verdict"] | {"kind": "no_difference", "delta": 0.0, "low": -0.0219, "high": 0.0219}
    assert report_tables.kept(read(report | {"over_teacher": gap})) == {
        "accuracy": "Keeps 100.0 % of the teacher's accuracy (97.5 % to 102.5 %)",
        "size": "8.5x smaller than the teacher",
        "latency": "7.2x faster than the teacher",
    }
    report["student"]["size_mb"] = report["teacher"]["size_mb"]
    report["student"]["latency_ms"]["p50"] = 2 * report["teacher"]["latency_ms"]["p50"]
    report["teacher"]["accuracy"] = 0
    assert report_tables.kept(read(report)) == {
        "accuracy": "87.6 % right, the teacher 0.0 %",
        "size": "As large as the teacher",
        "latency": "2.0x slower than the teacher",
    }


def test_a_share_of_the_teacher_without_an_interval_is_no_headline(report: dict) -> None:
    """In reports of before."""
    assert report_tables.kept(read(report))["accuracy"] == "87.6 % right, the teacher 87.6 %"


def test_what_is_kept_is_of_what_the_run_is_judged_by(report: dict) -> None:
    """Macro-F1 or a class's F1 where that decides, without a share in reports of before its interval."""
    in_f1 = {"teacher": report["verdict"] | {"low": -0.3, "high": -0.1}}
    in_accuracy = report["verdict"] | {"low": -0.0219, "high": 0.0219}
    scores = {
        "teacher": report["teacher"] | {"macro_f1": 0.8},
        "student": report["student"] | {"macro_f1": 0.6},
    }

    def said(metric: str, by_metric: dict) -> str:
        config = report["config"] | {"training": report["config"]["training"] | {"metric": metric}}
        gaps = {"over_teacher": in_accuracy, "over_by_metric": by_metric}
        return report_tables.kept(read(report | scores | gaps | {"config": config}))["accuracy"]

    assert said("accuracy", {}) == "Keeps 100.0 % of the teacher's accuracy (97.5 % to 102.5 %)"
    assert said("macro_f1", in_f1) == "Keeps 75.0 % of the teacher's macro-F1 (62.5 % to 87.5 %)"
    assert "of the teacher's F1 of sports (" in said("f1:sports", in_f1)
    assert said("macro_f1", {}) == "60.0 % macro-F1, the teacher 80.0 %"


def test_macro_f1_has_an_interval_and_its_gain(report: dict) -> None:
    assert report_tables.f1_gain(read(report)) == ""
    gap = report["verdict"] | {"delta": 0.031, "low": 0.004, "high": 0.058}
    model = report["student"] | {"macro_f1": 0.875, "macro_f1_interval": [0.845, 0.9]}
    new = read(report | {"f1_gain": gap, "student": model})
    assert report_tables.f1_gain(new) == (
        "In macro-F1 the distilled student has +3.1 points (+0.4 to +5.8) over the student alone."
    )
    assert list(report_tables.overview(new)["Macro-F1"])[1] == "87.5 % ± 2.8"
    config = report["config"] | {"training": report["config"]["training"] | {"metric": "f1:sport"}}
    assert "In F1 of sport the" in report_tables.f1_gain(read(report | {"f1_gain": gap, "config": config}))
    config = report["config"] | {"task": report["config"]["task"] | {"gold": "test"}}
    chosen = read(report | {"f1_gain": gap, "config": config, "alone": None})
    assert report_tables.f1_gain(chosen).endswith(" over the same student on its teacher's hard answers.")


def test_class_scores_are_means_over_the_seeds(report: dict) -> None:
    first = report["student"]["seeds"]["0"]
    second = json.loads(json.dumps(first))
    for row in second["per_class"]:
        row["f1"] = 0.0
    report["student"]["seeds"]["1"] = second
    table = report_tables.class_scores(read(report), "student")
    assert list(table["class"]) == report["labels"]
    assert table["f1"][0] == pytest.approx(50 * first["per_class"][0]["f1"])
    assert table["support"][0] == 125


def test_of_a_class_without_test_texts_nothing_is_known(report: dict) -> None:
    report["student"]["seeds"]["0"]["per_class"][1] |= {"support": 0, "precision": 0, "recall": 0, "f1": 0}
    table = report_tables.class_scores(read(report), "student")
    assert table["support"][1] == 0
    assert table.loc[1, ["precision", "recall", "f1"]].isna().all()
    assert table.drop(1).notna().all(axis=None)


def test_the_commonest_mistake(report: dict) -> None:
    assert report_tables.most_confused(read(report), "teacher") == ("business", "politics", 16)
    twice = np.diag([1, 2, 3, 4, 5])
    twice[0, 1] = twice[2, 3] = 3
    report["teacher"]["seeds"]["0"]["confusion"] = twice.tolist()
    assert report_tables.most_confused(read(report), "teacher") is None, "none is the commonest"
    report["teacher"]["seeds"]["0"]["confusion"] = np.diag([1, 2, 3, 4, 5]).tolist()
    assert report_tables.most_confused(read(report), "teacher") is None


def test_falls_on_other_texts_are_points(report: dict) -> None:
    row = report_tables.other_texts(read(report)).iloc[0]
    assert (row["Test texts"], row["typos"]) == ("87.6 %", "−15.3")  # before there were intervals
    known = copy.deepcopy(report)
    known["teacher"]["rises"] = {"typos": (-0.182, -0.123)}
    assert report_tables.other_texts(read(known))["typos"][0] == "−15.3 ± 2.9"
    known["teacher"]["rises"] = {"typos": (-0.2, -0.12)}
    assert report_tables.other_texts(read(known))["typos"][0] == "−15.3 −4.7/+3.3"
    in_f1 = copy.deepcopy(report)
    in_f1["config"]["training"]["metric"] = "macro_f1"
    assert report_tables.other_texts(read(in_f1)).iloc[0].equals(row), "it was measured before F1 was kept"
    for who in ("teacher", "student", "alone", "labelled_only"):
        in_f1[who]["shifted_score"] = dict.fromkeys(in_f1[who]["shifted"], 0.5)
    assert read(in_f1).other_metric == "macro_f1"
    one = report_tables.other_texts(read(in_f1)).iloc[0]
    macro = in_f1["teacher"]["macro_f1"]
    assert (one["Test texts"], one["typos"]) == (percent(macro), signed(100 * (0.5 - macro)))
    report["teacher"]["shifted"] = {}  # a file, that has no answers to them
    assert report_tables.other_texts(read(report))["Model"].iloc[0] == "Distilled student"
    for who in ("student", "alone", "labelled_only"):
        report[who]["shifted"] = {}
    assert len(report_tables.other_texts(read(report))) == 4, "nobody was asked"


def test_the_texts_behind_the_cells(tmp_path: Path, report: dict) -> None:
    right, wrong = [4.0, 0, 0, 0, 0], [0, 4.0, 0, 0, 0]
    frame = pd.DataFrame(
        {
            "text": ["a", "b", "c", "d"],
            "label": [0, 0, 0, 0],
            "teacher": [right, wrong, wrong, right],
            "student-0": [right, right, wrong, wrong],
        }
    )
    frame.to_parquet(tmp_path / "predictions.parquet")
    table = report_tables.texts(tmp_path, read(report))
    assert list(table["cell"]) == ["both_right", "mended", "inherited", "new_error"]
    assert set(report_tables.ABOUT_CELLS) == set(table["cell"])
    assert list(table["teacher"]) == ["business", "entertainment", "entertainment", "business"]
    assert table["student_sure"][0] == pytest.approx(100 * np.exp(4) / (np.exp(4) + 4))


@pytest.mark.parametrize("content", [None, b"", b"not parquet"])
def test_predictions_that_cannot_be_read(tmp_path: Path, report: dict, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "predictions.parquet").write_bytes(content)
    with pytest.raises(RunError, match=r"predictions of .* are missing or damaged"):
        report_tables.texts(tmp_path, read(report))


def test_the_finished_teachers_validation_accuracy() -> None:
    rows = pd.DataFrame(
        [("teacher", 40, 0.9), ("teacher", 60, 0.8), ("teacher", 20, 0.5), ("student", 60, 0.7)],
        columns=["who", "step", "score"],
    )
    for weights, score in (({}, 0.9), ({"weights": "best"}, 0.9), ({"weights": "last"}, 0.8)):
        config = {"teacher": weights}
        assert report_tables.teacher_validation(rows, config) == score
        assert report_tables.teacher_validation(rows[rows["who"] == "student"], config) is None


def test_looks_are_shown_by_what_decides_and_those_of_before_by_accuracy() -> None:
    columns = ["who", "step", "accuracy", "score"]
    rows = pd.DataFrame([("teacher", 40, 0.96, None), ("student", 60, 0.95, 0.6)], columns=columns)
    by_f1, measure = report_tables.validation_scores(rows, "macro_f1")
    assert (measure, report_tables.teacher_validation(by_f1, {"teacher": {}})) == ("macro-F1", None)
    assert by_f1["score"].tolist()[1] == 0.6
    of_accuracy, measure = report_tables.validation_scores(rows, "accuracy")
    assert (measure, of_accuracy["score"].tolist()) == ("accuracy", [0.96, 0.95])
    before, measure = report_tables.validation_scores(rows.assign(score=float("nan")), "macro_f1")
    assert (measure, before["score"].tolist()) == ("accuracy", [0.96, 0.95])
    assert report_tables.validation_scores(rows[:0], "f1:spam")[1] == "F1 of spam"
