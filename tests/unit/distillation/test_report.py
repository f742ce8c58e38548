"""Tests of ``report.json``: what is in it, what follows from it, and what is said when it cannot be read."""

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


def by(metric: str) -> dict[str, object]:
    return DistillConfig().change({"training.metric": metric}).model_dump(mode="json")


@pytest.mark.parametrize("labelled_only", [None, model_report(accuracy=0.6)])
def test_report_reads_what_it_wrote(tmp_path: Path, labelled_only: ModelReport | None) -> None:
    written = report(labelled_only=labelled_only)
    written.write(tmp_path)
    read = Report.read(tmp_path)
    assert read == written.model_copy(update={"folder": str(tmp_path)})
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert json.loads(text) == written.to_dict()
    assert "Größe ½" in text
    assert sorted(read.student.seeds) == [0, 3], "numbers again, though JSON has only text for names"
    assert read.verdict.delta == 1 / 6  # to the last bit
    assert DistillConfig.from_dict(read.config) == DistillConfig()
    known = ["teacher", "student", *["labelled_only"] * (labelled_only is not None), "alone"]
    assert list(read.models) == known
    with pytest.raises(ValidationError, match="frozen"):
        read.run_id = "other"


def test_report_of_version_0_1_is_written_as_it_was_read() -> None:
    old = of_today(json.loads((SAMPLES / "report.json").read_text("utf-8")))
    new = Report.model_validate(old).to_dict()
    for who in ("teacher", "student", "alone", "labelled_only"):
        old[who]["latency_ms"] |= {"tokenizer": False, "busy": None}
        old[who] |= {"macro_f1_interval": None, "class_f1_interval": None, "shifted_score": {}, "rises": {}}
    since = new.keys() - old.keys()
    assert json.dumps({key: value for key, value in new.items() if key not in since}) == json.dumps(old)
    verdicts = {"over_floor", "over_hard", "over_teacher", "f1_gain", "over", "over_by_metric"}
    assert since <= {"version", "unknown_texts", "stairs", "stairs_metric", *verdicts, *ROLES}
    assert not any(new[who] for who in since - {"version", "stairs_metric"})


def test_gains_over_the_other_models() -> None:
    old = report(labelled_only=model_report(accuracy=0.6), config=by("accuracy"))
    gain = old.verdict
    assert old.gains == {"alone": gain}
    floor = report(tfidf=model_report(), over_floor=gain, config=by("accuracy"))
    assert list(floor.gains) == ["alone", "tfidf"]
    gap, hurt = replace(gain, kind="no_difference"), replace(gain, kind="hurt")
    over = {"teacher": gap, "labelled_only": gap, "alone": gain}
    new = old.model_copy(update={"over": over})
    assert list(new.gains) == ["alone", "teacher", "labelled_only"], "its control comes first"
    assert new.as_good == ["labelled_only"], "a teacher is no control"
    assert old.model_copy(update={"over": over | {"labelled_only": hurt}}).as_good == ["labelled_only"]
    assert old.model_copy(update={"over": over | {"labelled_only": gain}}).as_good == []


def test_gains_in_macro_f1_where_that_decides() -> None:
    old = report(tfidf=model_report(), labelled_only=model_report(), config=by("macro_f1"))
    gain = old.verdict
    assert old.judged_by == "macro-F1"
    in_accuracy = {"over_teacher": gain, "over": {"labelled_only": gain}}
    assert list(old.model_copy(update=in_accuracy).gains) == ["alone"]
    assert list(old.model_copy(update={"over_floor": gain}).gains) == ["alone", "tfidf"]
    no_gain = {"labelled_only": replace(gain, kind="no_difference")}
    new = old.model_copy(update={"over": {"labelled_only": gain}, "over_by_metric": no_gain})
    assert new.as_good == ["labelled_only"]


@pytest.mark.parametrize(
    ("metric", "score", "interval"),
    [
        ("accuracy", 2 / 3, (0.1, 0.9)),
        ("macro_f1", 0.75, (0.2, 0.3)),
        ("f1:politics", (0.2 + 0.9) / 2, (0.4, 0.5)),
    ],
)
def test_score_and_interval_by_each_metric(metric, score, interval) -> None:
    found = report().student
    one = found.seeds[0]
    seeds = {
        seed: replace(one, per_class=[one.per_class[0], replace(one.per_class[1], f1=f1)])
        for seed, f1 in ((0, 0.2), (3, 0.9))
    }
    changes = {"macro_f1": 0.75, "macro_f1_interval": (0.2, 0.3), "class_f1_interval": (0.4, 0.5)}
    both = found.model_copy(update={"seeds": seeds} | changes)
    assert (both.by(metric), both.interval(metric)) == (pytest.approx(score), interval)


@pytest.mark.parametrize(
    ("gold", "learns"), [("any", True), ("rows", True), ("test", False), ("none", False)]
)
def test_student_alone_is_missing_only_where_all_labels_are_the_teachers(gold: str, learns: bool) -> None:
    values = report().to_dict() | {"alone": None}
    values["config"]["task"]["gold"] = gold
    with pytest.raises(RunError, match="cannot be read") if learns else nullcontext():
        assert Report.from_dict(values).control == report().student


def changed(**changes: object) -> bytes:
    values = report().to_dict() | changes
    return json.dumps({name: value for name, value in values.items() if value is not ...}).encode()


OTHER, NEWER = "it may be from another version", "it is of a newer KD Studio; update this one"
PERHAPS = report().to_dict()["verdict"] | {"kind": "perhaps"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        *((content, OTHER) for content in (b"", b"{", b"[]", b"null", b"\xff\xfe{", b'{"run_id": 1}')),
        (changed(verdict=...), OTHER),
        (changed(student=...), OTHER),
        (changed(verdict=PERHAPS), OTHER),
        (changed(version=VERSION + 1, verdict={}), NEWER),
    ],
)
def test_report_that_cannot_be_read(tmp_path: Path, content: bytes, why: str) -> None:
    folder = tmp_path / "20260131-143000-a1b2"
    with pytest.raises(RunError, match=rf"^{folder.name} has no report: No such file or directory\.$"):
        Report.read(folder)
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    with pytest.raises(RunError, match=rf"^The report of {folder.name} cannot be read; {why}\.$"):
        Report.read(folder)


def test_settings_that_an_older_report_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = report().to_dict()
    assert values.pop("version") == VERSION
    del values["config"]["training"]["warmup"]
    (tmp_path / FILE).write_text(json.dumps(values))
    monkeypatch.setattr("kd_core.config.LEGACY", {"training.warmup": 0.0})
    assert Report.read(tmp_path).config["training"]["warmup"] == 0.0
