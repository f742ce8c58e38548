from __future__ import annotations

from kd_core.distillation import stairs
from kd_core.distillation.report import Report
from kd_core.system.formatting import percent

read = Report.model_validate


def test_where_the_gain_comes_from(report: dict) -> None:
    assert stairs.table(read(report)).empty, "a report of version 0.1 has none"
    gain = {"kind": "helped", "low": 0.006, "high": 0.067, "p_value": 0.01, "n": 524, "seeds": 1}
    report["stairs"] = {
        who: gain | {"delta": delta}
        for who, delta in (("alone", 0.1), ("labelled_only", -0.002), ("student", 0.0364))
    }
    report["plain_start"] = report["alone"] | {"accuracy": 0.742}
    table = stairs.table(read(report)).to_dict("records")
    assert [row["What is added"] for row in table] == [
        "Student alone, random start",
        "+ start from the teacher",
        "+ soft labels",
        "+ transfer texts",
    ]
    assert [row["Gain"] for row in table] == [
        "",
        "+10.0 points (+0.6 to +6.7)",
        "−0.2 points (+0.6 to +6.7)",
        "+3.6 points (+0.6 to +6.7)",
    ]
    assert table[0]["Accuracy"] == "74.2 %"
    in_f1 = read(report | {"stairs_metric": "macro_f1"})
    assert stairs.table(in_f1)["Macro-F1"].iloc[-1] == percent(report["student"]["macro_f1"])
    report["untuned_start"] = report["alone"] | {"accuracy": 0.801}
    assert list(stairs.table(read(report))["What is added"])[:3] == [
        "Student alone, random start",
        "+ start from the teacher before its fine-tuning",
        "+ the fine-tuning",
    ]
    report["untuned_start"] = None
    short = stairs.table(read(report | {"labelled_only": None, "plain_start": None}))
    assert list(short["What is added"]) == [
        "Student alone",
        "+ soft labels and transfer texts",
    ]
    report["rows"]["spans"] = report["rows"]["transfer"]
    cut = stairs.table(read(report | {"labelled_only": None, "plain_start": None}))
    assert list(cut["What is added"])[1:] == ["+ soft labels and spans of the training texts"]
    report["rows"]["transfer"] = report["rows"]["spans"] = 0
    none = stairs.table(read(report | {"labelled_only": None, "plain_start": None}))
    assert list(none["What is added"]) == ["Student alone", "+ soft labels"]
    report["config"]["objective"]["alpha"] = 1.0
    report["config"]["student"]["init"] = "pretrained"
    other = stairs.table(read(report | {"labelled_only": None}))
    assert list(other["What is added"])[1:] == [
        "+ pre-trained start",
        "+ nothing: with alpha 1 it has the labels alone",
    ]


def test_a_student_without_one_alone_has_more_than_soft_labels_over_tfidf(report: dict) -> None:
    """Of a file of answers without gold labels: the stair below it is no network."""
    report["config"]["task"] |= {"knowledge": "answers.csv", "gold": "none"}
    report |= {"tfidf": report["alone"], "hard_answers": report["alone"]}
    report |= {"alone": None, "labelled_only": None, "stairs": {"student": report["verdict"]}}
    assert list(stairs.table(read(report))["What is added"]) == ["TF-IDF", "Distilled student"]


def test_what_the_student_alone_has_of_its_teacher(report: dict) -> None:
    said = stairs.about_start(read(report))
    assert said == (
        "The student alone starts from the fine-tuned teacher's word embeddings as well: it has learned from "
        "the teacher by its start. What that is worth, a run with **Plain start** (--plain-start) and "
        "**Untuned start** (--untuned-start) says."
    )
    assert list(stairs.start_controls(read(report))) == ["plain_start", "untuned_start"]
    from_nothing = report["config"] | {"teacher": report["config"]["teacher"] | {"model": "scratch"}}
    assert stairs.about_start(read(report | {"config": from_nothing})).endswith(
        "What that is worth, a run with **Plain start** (--plain-start) says."
    )
    with_both = report | {"plain_start": report["alone"], "untuned_start": report["alone"]}
    assert stairs.about_start(read(with_both)).endswith("by its start.")
    assert stairs.start_controls(read(with_both)) == {}
    report["config"]["student"]["init"] = "random"
    assert stairs.about_start(read(report)) == ""
    report["config"]["student"]["init"] = "projected"
    report["config"]["task"]["knowledge"] = "answers.csv"
    assert stairs.about_start(read(report)) == "", "a file has no embeddings"
