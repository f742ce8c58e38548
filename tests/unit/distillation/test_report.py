"""``report.json``: what is in it, and what is said when it cannot be read."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from kd_core.config import VERSION, DistillConfig, of_today
from kd_core.distillation.report import FILE, ModelReport, Report
from kd_core.distillation.roles import ROLES
from kd_core.errors import RunError
from tests import SAMPLES
from tests.unit.distillation.reported import model_report, report


@pytest.mark.parametrize("labelled_only", [None, model_report(accuracy=0.6)])
def test_it_reads_what_it_wrote(tmp_path: Path, labelled_only: ModelReport | None) -> None:
    written = report(labelled_only=labelled_only)
    written.write(tmp_path)
    read = Report.read(tmp_path)
    assert read == written.model_copy(update={"folder": str(tmp_path)})
    assert read.to_dict() == written.to_dict() | {"folder": str(tmp_path)}
    assert sorted(read.student.seeds) == [0, 3]  # numbers again, though JSON has only text for names
    assert read.verdict.delta == 1 / 6  # to the last bit
    assert DistillConfig.from_dict(read.config) == DistillConfig()


def test_the_file_is_plain_json_that_people_can_read(tmp_path: Path) -> None:
    report().write(tmp_path)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert json.loads(text) == report().to_dict()
    assert "Größe ½" in text


def test_to_dict_has_what_the_command_promises() -> None:
    result = report(labelled_only=model_report()).to_dict()
    assert {"run_id", "config", "teacher", "student", "alone", "labelled_only", "verdict", "fidelity"} <= set(
        result
    )
    for who in ("teacher", "student", "alone", "labelled_only"):
        assert {"accuracy", "macro_f1", "ece", "params", "size_mb"} <= set(result[who])
        assert {"p50", "p95"} <= set(result[who]["latency_ms"])
        assert result[who]["shifted"] == {"typos": 0.5}
    assert {"kind", "delta", "low", "high", "p_value", "n"} <= set(result["verdict"])
    assert {"agreement", "kl"} <= set(result["fidelity"])
    assert set(result["seconds"]) == {"teach", "record", "distil", "validate"}
    assert report().to_dict()["labelled_only"] is None


def test_a_report_of_version_0_1_is_written_as_it_was_read() -> None:
    old = of_today(json.loads((SAMPLES / "report.json").read_text("utf-8")))
    new = Report.model_validate(old).to_dict()
    for who in ("teacher", "student", "alone", "labelled_only"):
        old[who]["latency_ms"] |= {"tokenizer": False, "busy": None}
        old[who] |= {"macro_f1_interval": None, "class_f1_interval": None, "shifted_score": {}, "rises": {}}
    since = new.keys() - old.keys()
    assert json.dumps({key: value for key, value in new.items() if key not in since}) == json.dumps(old)
    assert since <= {
        "version",
        "unknown_texts",
        "over_floor",
        "over_hard",
        "over_teacher",
        "f1_gain",
        "stairs",
        "stairs_metric",
        "over",
        "over_by_metric",
        *ROLES,
    }
    assert not any(new[who] for who in since - {"version", "stairs_metric"})


def test_the_student_against_each_other_model_the_control_first() -> None:
    """A report of before says what it has; a control that is not below the student is as good."""
    config = DistillConfig().change({"training.metric": "accuracy"}).model_dump(mode="json")
    old = report(labelled_only=model_report(accuracy=0.6), config=config)
    assert list(old.gains) == ["alone"]
    assert old.gains["alone"] == old.verdict
    assert list(report(tfidf=model_report(), over_floor=old.verdict, config=config).gains) == [
        "alone",
        "tfidf",
    ]
    gap = {"kind": "no_difference", "delta": 0.0, "low": -0.1, "high": 0.1, "p_value": 1, "n": 6, "seeds": 1}
    helped = gap | {"kind": "helped", "delta": 0.2, "low": 0.1, "high": 0.3}
    new = Report.model_validate(
        old.to_dict() | {"over": {"teacher": gap, "labelled_only": gap, "alone": helped}}
    )
    assert list(new.gains) == ["alone", "teacher", "labelled_only"]
    assert new.as_good == ["labelled_only"], "a teacher is no control"
    hurt = gap | {"kind": "hurt", "delta": -0.2, "low": -0.3, "high": -0.1}
    better = Report.model_validate(old.to_dict() | {"over": {"labelled_only": hurt, "alone": helped}})
    assert better.as_good == ["labelled_only"], "better is as good"


def test_where_macro_f1_decides_gains_are_in_macro_f1() -> None:
    """A report of before has them against the student alone and TF-IDF."""
    config = DistillConfig().change({"training.metric": "macro_f1"}).model_dump(mode="json")
    old = report(tfidf=model_report(), labelled_only=model_report(), config=config)
    assert old.judged_by == "macro-F1"
    in_accuracy = {"over_teacher": old.verdict, "over": {"labelled_only": old.verdict}}
    assert list(old.model_copy(update=in_accuracy).gains) == ["alone"]
    assert list(old.model_copy(update={"over_floor": old.verdict}).gains) == ["alone", "tfidf"]
    assert old.verdict
    no_gain = {"labelled_only": replace(old.verdict, kind="no_difference")}
    new = old.model_copy(update={"over": {"labelled_only": old.verdict}, "over_by_metric": no_gain})
    assert new.as_good == ["labelled_only"]


def test_the_interval_of_a_score_is_that_of_its_measure() -> None:
    found = report().student.model_copy(
        update={"macro_f1_interval": (0.1, 0.2), "class_f1_interval": (0.3, 0.4)}
    )
    assert found.interval("accuracy") == (found.low, found.high)
    assert found.interval("macro_f1") == (0.1, 0.2)
    assert found.interval("f1:spam") == (0.3, 0.4)


def test_a_models_score_by_each_metric() -> None:
    """Two seeds; the F1 of one class is the mean of theirs."""
    found = report().student
    one = next(iter(found.seeds.values()))
    classes = [replace(row, f1=f1) for row, f1 in zip(one.per_class, (0.2, 0.9), strict=True)]
    both = found.model_copy(update={"seeds": {0: one, 1: replace(one, per_class=classes)}})
    assert (both.by("accuracy"), both.by("macro_f1")) == (found.accuracy, found.macro_f1)
    first = one.per_class[0]
    assert both.by(f"f1:{first.name}") == pytest.approx((first.f1 + 0.2) / 2)


def test_models_are_in_the_order_of_lists() -> None:
    read = Report.model_validate(report(labelled_only=model_report(accuracy=0.6)).to_dict())
    assert list(read.models) == ["teacher", "student", "labelled_only", "alone"]
    assert (read.teacher.accuracy, read.student.accuracy) == (0.9, 2 / 3)


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        report().run_id = "other"


def test_no_report(tmp_path: Path) -> None:
    folder = tmp_path / "20260131-143000-a1b2"
    with pytest.raises(RunError, match=r"^20260131-143000-a1b2 has no report: No such file or directory\.$"):
        Report.read(folder)


def without(name: str) -> bytes:
    return json.dumps({k: v for k, v in report().to_dict().items() if k != name}).encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe{", without("verdict"), without("student"), b'{"run_id": 1}'],
    ids=["empty", "cut", "a list", "null", "not UTF-8", "no verdict", "no student", "a number for the run"],
)
def test_a_report_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(RunError) as caught:
        Report.read(tmp_path)
    assert (
        str(caught.value) == f"The report of {tmp_path.name} cannot be read; it may be from another version."
    )


@pytest.mark.parametrize(
    ("gold", "learns"), [("any", True), ("rows", True), ("test", False), ("none", False)]
)
def test_only_where_all_labels_are_the_teachers_does_nobody_learn_alone(gold: str, learns: bool) -> None:
    values = report().to_dict() | {"alone": None}
    values["config"]["task"]["gold"] = gold
    with pytest.raises(RunError, match="cannot be read") if learns else nullcontext():
        assert Report.from_dict(values).control == report().student


def test_a_report_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = report().to_dict()
    assert values.pop("version") == VERSION
    del values["config"]["training"]["warmup"]
    (tmp_path / FILE).write_text(json.dumps(values))
    monkeypatch.setattr("kd_core.config.LEGACY", {"training.warmup": 0.0})
    assert Report.read(tmp_path).config["training"]["warmup"] == 0.0
    (tmp_path / FILE).write_text(json.dumps(values | {"version": VERSION + 1, "verdict": {}}))
    with pytest.raises(RunError) as caught:
        Report.read(tmp_path)
    assert str(caught.value) == (
        f"The report of {tmp_path.name} cannot be read; it is of a newer KD Studio; update this one."
    )


def test_a_verdict_of_another_kind_is_not_read(tmp_path: Path) -> None:
    values = report().to_dict()
    values["verdict"]["kind"] = "perhaps"
    (tmp_path / FILE).write_text(json.dumps(values))
    with pytest.raises(RunError, match="cannot be read"):
        Report.read(tmp_path)
