"""Taking a student away: what is measured, what is written, and what is left behind when that fails."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForSequenceClassification

from kd_core import cli
from kd_core.data.corruption import CORRUPTION_SEED, corrupted
from kd_core.deployment import export, forms
from kd_core.deployment.export import ExportConfig, check, export_run
from kd_core.distillation.calibration import scaled
from kd_core.distillation.events import Progress
from kd_core.errors import ConfigError, RunError, Stopped
from kd_core.jobs.store import Store
from kd_core.system.control import Control


@pytest.fixture(scope="module")
def home(finished_run, tmp_path_factory):
    """A finished run in a home of this file's own, where its ONNX files are kept."""
    home = shutil.copytree(finished_run.home, tmp_path_factory.mktemp("export") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(home))
        yield home


@pytest.fixture
def config(home, finished_run, tmp_path) -> ExportConfig:
    return ExportConfig(run=finished_run.report.run_id, to=str(tmp_path / "taken"), int8=True)


def left(folder: Path) -> list[str]:
    """All that is in a folder, also what has a hidden name."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def exported(home, finished_run, tmp_path_factory):
    """The report, the folder and the events of an export with all forms."""
    events: list[Progress] = []
    to = tmp_path_factory.mktemp("to") / "taken"
    config = ExportConfig(run=finished_run.report.run_id, to=str(to), int8=True)
    return export_run(config, events.append), to, events


def test_int8_comes_from_onnx():
    assert ExportConfig(run="x").runtimes == ("pytorch",)
    assert ExportConfig(run="x", onnx=True).runtimes == ("pytorch", "onnx")
    assert ExportConfig(run="x", int8=True).runtimes == ("pytorch", "onnx", "int8")


def test_each_step_is_measured(exported, finished_run):
    report, _, _ = exported
    run, steps = finished_run.report, {form["name"]: form for form in report["forms"]}
    assert list(steps) == ["teacher-pytorch", "student-pytorch", "student-onnx", "student-int8"]
    assert report["texts"] == 25
    assert steps["teacher-pytorch"]["accuracy"] == run.teacher.accuracy
    assert steps["student-pytorch"]["accuracy"] == run.student.seeds[0].accuracy
    assert steps["student-onnx"]["accuracy"] == run.student.seeds[0].accuracy
    assert steps["student-pytorch"]["params"] == steps["student-int8"]["params"] == run.student.params
    assert steps["teacher-pytorch"]["size_mb"] == run.teacher.size_mb
    assert steps["student-int8"]["size_mb"] < steps["student-onnx"]["size_mb"]
    assert steps["student-pytorch"]["difference"] is None
    assert steps["student-onnx"]["difference"] < 1e-4 < steps["student-int8"]["difference"] < 0.1
    for form in steps.values():
        assert form["low"] <= form["accuracy"] <= form["high"]
        latency = form["latency_ms"]
        assert 0 < latency["p50"] <= latency["p95"]
        assert (latency["batch"], latency["threads"], latency["texts"]) == (1, 1, 25)
    assert json.loads(json.dumps(report)) == report, "it becomes a row of the store"


def test_a_calibrated_bundle_divides_its_logits(finished_run, home, tmp_path):
    run_id, to = finished_run.report.run_id, tmp_path / "calibrated"
    report = export_run(ExportConfig(run=run_id, to=str(to), int8=True, calibrate=True))
    found = scaled(Path(finished_run.report.folder), finished_run.report, "student")
    assert report["temperature"] == found.temperature != 1
    assert json.loads((to / "report.json").read_text())["temperature"] == found.temperature
    texts, _ = forms.test_split(run_id)
    student = forms.open_form(run_id, "student", "pytorch")
    ids = student.encode(texts[:1])
    given = {"input_ids": np.array(ids), "attention_mask": np.ones_like(ids)}
    for name, runtime in (("model.onnx", "onnx"), ("model_int8.onnx", "int8")):
        logits = onnxruntime.InferenceSession(str(to / "onnx" / name)).run(["logits"], given)[0]
        expected = forms.open_form(run_id, "student", runtime).logits(ids) / found.temperature
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)
    model = AutoModelForSequenceClassification.from_pretrained(to / "model", use_safetensors=True).eval()
    with torch.inference_mode():
        logits = model(**{name: torch.from_numpy(value) for name, value in given.items()}).logits.numpy()
    np.testing.assert_allclose(logits, student.logits(ids) / found.temperature, rtol=1e-4, atol=1e-6)
    card = (to / "README.md").read_text("utf-8")
    assert f"Its logits are divided by {found.temperature:.2f}, fitted on the 15 validation texts." in card


def test_forms_are_compared_text_by_text(exported):
    report, _, _ = exported
    teacher, student, onnx, int8 = report["forms"]
    assert "paired" not in teacher
    for form, other in ((student, teacher), (onnx, student), (int8, student)):
        pair = form["paired"]
        assert (pair["gained"] - pair["lost"]) / 25 == pytest.approx(form["accuracy"] - other["accuracy"])
        assert pair["low"] <= pair["delta"] <= pair["high"]
    assert (onnx["paired"]["lost"], onnx["paired"]["gained"]) == (0, 0)


def test_int8_is_scored_with_the_answers_that_it_gives_one_by_one(exported, finished_run, home):
    report, _, _ = exported
    run_id = finished_run.report.run_id
    texts, labels = forms.test_split(run_id)
    form = forms.open_form(run_id, "student", "int8")
    answers = [form.logits(form.encode([text]))[0].argmax() for text in texts]
    assert report["forms"][-1]["accuracy"] == np.mean(np.array(answers) == labels)


def test_onnx_forms_are_judged_on_the_other_texts_that_the_run_was(exported, finished_run):
    report, _, _ = exported
    run, steps = finished_run.report, {form["name"]: form for form in report["forms"]}
    assert list(run.student.shifted) == ["typos", "dropped words", "upper case"]
    assert "shifted" not in steps["student-pytorch"], "the run says that"
    assert steps["student-int8"]["shifted"].keys() == run.student.shifted.keys()
    # The ONNX form has the first seed's weights, and the run's own form the same answers.
    texts, labels = forms.test_split(run.run_id)
    form = forms.open_form(run.run_id, "student", "pytorch")
    for name, copies in corrupted(texts, seed=CORRUPTION_SEED).items():
        right = form.predict(copies).argmax(axis=1) == labels
        assert steps["student-onnx"]["shifted"][name] == right.mean()


def test_progress_goes_up_to_all(exported):
    _, _, events = exported
    assert [event.done for event in events] == sorted(event.done for event in events)
    # Four forms and the latency with 25 texts each; two of them with three more sets.
    assert (events[-1].done, events[-1].total) == (5 * 25 + 2 * 3 * 25,) * 2
    labels = list(dict.fromkeys(event.label for event in events))
    assert labels[:2] == ["preparing teacher, PyTorch", "measuring teacher, PyTorch"]
    assert labels[-4:] == [
        "measuring distilled student, ONNX int8",
        "measuring latency",
        "writing taken",
        "done",
    ]


def test_the_folder_has_the_files_that_were_measured(exported, finished_run, home):
    report, to, _ = exported
    assert report["to"] == str(to)
    run_id = finished_run.report.run_id
    for runtime, name in {"onnx": "onnx/model.onnx", "int8": "onnx/model_int8.onnx"}.items():
        assert (to / name).read_bytes() == forms.open_form(run_id, "student", runtime).path.read_bytes()
    student = home / "runs" / run_id / "students" / "student-0" / "model.safetensors"
    assert (to / "model" / "model.safetensors").read_bytes() == student.read_bytes()
    assert left(to.parent) == [f"taken/{name}" for name in left(to)], "nothing lies beside it"
    sums = json.loads((to / "checksums.json").read_text())
    assert (
        sums["onnx/model.onnx"]["sha256"] == hashlib.sha256((to / "onnx/model.onnx").read_bytes()).hexdigest()
    )


def test_an_empty_folder_may_be_the_target_and_one_without_a_parent(config, tmp_path):
    (tmp_path / "empty").mkdir()
    for to in ("empty", "deep/er"):
        export_run(ExportConfig(run=config.run, to=str(tmp_path / to)))
        assert (tmp_path / to / "model" / "config.json").is_file()
        assert not (tmp_path / to / "onnx").exists()


def test_a_zip_has_one_folder_with_all_of_it(config, tmp_path):
    to = tmp_path / "taken.zip"
    export_run(ExportConfig(run=config.run, to=str(to), onnx=True))
    with zipfile.ZipFile(to) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert f"kd-{config.run}/onnx/model.onnx" in names
    assert left(tmp_path) == ["taken.zip"]


def test_without_a_target_it_only_measures(config, tmp_path):
    report = export_run(ExportConfig(run=config.run))
    assert [form["name"] for form in report["forms"]] == ["teacher-pytorch", "student-pytorch"]
    assert report["to"] is None
    assert left(tmp_path) == []


# What cannot be


def bad_targets(tmp_path: Path, home: Path) -> dict[str, tuple[Path, str]]:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    return {
        "not empty": (full, r"^The folder .*full is not empty: it has 1 file or folder\. Choose a new or an"),
        "a file": (
            full / "thesis.txt",
            r"thesis\.txt is a file; choose a new folder, or a new file that ends",
        ),
        "in a file": (full / "thesis.txt" / "x", r"thesis\.txt is a file, so nothing can be put into it"),
        "a zip that exists": (tmp_path / "old.zip", r"old\.zip exists already; remove it or choose another"),
        "in the home": (home / "runs" / "x", r"is inside .*home, where runs and caches lie; choose another"),
        "relative": (Path("here"), r"^'here' is not an absolute path; write the place in full\.$"),
        "too long": (tmp_path / ("x" * 300), r"cannot be used as a place to export to: .*File name too long"),
        "too long beside it": (tmp_path / ("x" * 250), r"to export to: File name too long\.$"),
        "a link to nothing": (tmp_path / "link", r"to export to: It is a link that leads nowhere\.$"),
        "a link in a circle": (tmp_path / "loop" / "x", "cannot be used as a place to export to: "),
        "NUL": (tmp_path / "a\0b", r"cannot be used as a place to export to: .*null byte"),
    }


@pytest.mark.parametrize(
    "case",
    [
        *("not empty", "a file", "in a file", "a zip that exists", "in the home", "relative", "too long"),
        *("too long beside it", "a link to nothing", "a link in a circle", "NUL"),
    ],
)
def test_a_bad_target_is_said_before_anything_is_computed(config, tmp_path, home, case):
    (tmp_path / "old.zip").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    to, message = bad_targets(tmp_path, home)[case]
    before, events = left(tmp_path), []
    with pytest.raises(ConfigError, match=message):
        export_run(ExportConfig(run=config.run, to=str(to), int8=True), events.append)
    assert events == []
    assert left(tmp_path) == before


def test_a_place_that_may_not_be_written(config, tmp_path, monkeypatch):
    monkeypatch.setattr(export.os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match=rf"^You may not write to {tmp_path}; choose another place\.$"):
        check(config)


def test_runs_that_cannot_be_exported(config, home):
    with pytest.raises(RunError, match=r"^There is no run 20260131-143000-a1b2 in "):
        check(ExportConfig(run="20260131-143000-a1b2"))
    (home / "work" / "20260131-143000-a1b2").mkdir(parents=True)
    with pytest.raises(
        RunError, match=r"^Run 20260131-143000-a1b2 is not finished, so it has no student yet\."
    ):
        check(ExportConfig(run="20260131-143000-a1b2"))
    with pytest.raises(RunError, match=r"^'\.\./x' is not a run"):
        check(ExportConfig(run="../x"))


def test_a_run_that_was_changed_is_not_exported(config, home, tmp_path):
    weights = home / "runs" / config.run / "students" / "student-0" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    try:
        with pytest.raises(RunError, match="are missing or were changed"):
            export_run(config)
    finally:
        weights.write_bytes(whole)
    assert left(tmp_path) == []


class SafetensorError(Exception):
    """As the library's own: no OSError, and no number."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail] unable to write: No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("to", ["taken", "taken.zip"])
def test_a_full_disk_leaves_nothing_half_written(config, tmp_path, monkeypatch, error, to):
    def half(folder: Path, *args: object, **more: object) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr(export, "write_bundle", half)
    with pytest.raises(
        RunError, match=rf"^The disk with {tmp_path} is full \(.* MB free\); nothing was written\."
    ):
        export_run(ExportConfig(run=config.run, to=str(tmp_path / to)))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_converting(config, home, tmp_path, monkeypatch):
    shutil.rmtree(home / "cache" / "onnx", ignore_errors=True)

    def half(model: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise RuntimeError("No space left on device")

    monkeypatch.setattr(forms, "to_onnx", half)
    with pytest.raises(RunError, match=rf"^The disk with {home} is full"):
        export_run(config)
    assert left(home / "cache" / "onnx") == left(tmp_path) == []


def test_another_error_of_the_disk_is_said_too(config, tmp_path, monkeypatch):
    def refused(*args: object, **more: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(export, "write_bundle", refused)
    with pytest.raises(
        RunError, match=rf"^Nothing was written to {tmp_path}: .*Permission denied\. Choose another"
    ):
        export_run(ExportConfig(run=config.run, to=config.to))


def test_a_folder_that_somebody_fills_meanwhile_is_left_alone(config, tmp_path, monkeypatch):
    def late(folder: Path, *args: object, **more: object) -> None:
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken" / "thesis.txt").write_text("mine")

    monkeypatch.setattr(export, "write_bundle", late)
    with pytest.raises(RunError, match=r"^Nothing was written to .*not empty"):
        export_run(ExportConfig(run=config.run, to=config.to))
    assert left(tmp_path) == ["taken/thesis.txt"]


def test_a_model_that_answers_otherwise_than_its_run_says(config, finished_run, monkeypatch):
    ran = finished_run.report
    scored = ran.teacher.seeds[0]
    said = replace(scored, accuracy=scored.accuracy + 0.04)  # one of 25 texts
    teacher = ran.teacher.model_copy(update={"seeds": {0: said}})
    other = ran.model_copy(update={"models": ran.models | {"teacher": teacher}})
    monkeypatch.setattr(export.Report, "read", lambda _folder: other)
    monkeypatch.setattr(export, "ALLOWED", 0.0)
    monkeypatch.setattr(export, "ALLOWED_TEXTS", 0)
    with pytest.raises(RunError, match=r"^Teacher of run .* has an accuracy of .* % here, and the run says"):
        export_run(ExportConfig(run=config.run))


def test_stop_leaves_nothing(config, tmp_path):
    control = Control()

    def stop(event: Progress) -> None:
        if event.label == "measuring latency":
            control.stop()

    with pytest.raises(Stopped):
        export_run(ExportConfig(run=config.run, to=config.to), stop, control)
    assert list(tmp_path.iterdir()) == []


# As a job, and as a command


def kd(*args: str):
    return CliRunner().invoke(cli.kd, ["export", *args], catch_exceptions=True)


def test_the_command_prints_the_staircase(config, tmp_path):
    done = kd(config.run, "--to", str(tmp_path / "taken"), "--int8")
    assert done.exception is None
    lines = done.stdout.splitlines()
    assert lines[1] == (
        "On 25 test texts, of seed 0, the first of 2. Latency p50 and p95 in ms: from text to answer, "
        "tokenizer included, on 1 thread, one at a time."
    )
    assert " ".join(lines[2].split()) == "Accuracy Size p50 p95 Against the teacher"
    assert [line.split("  ")[0] for line in lines[3:7]] == [
        "Teacher, PyTorch",
        "Distilled student, PyTorch",
        "Distilled student, ONNX",
        "Distilled student, ONNX int8",
    ]
    assert "smaller, " in lines[4]
    assert lines[8].startswith("Distilled student, PyTorch, against the teacher: ")
    onnx = "Distilled student, ONNX, against the same in PyTorch: no text lost or gained of 25."
    assert lines[9] == onnx
    assert lines[-1] == f"In {tmp_path / 'taken'}"


def test_the_command_gives_json_and_the_job_keeps_its_report(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = kd(config.run, "--to", "taken.zip", "--onnx", "--json")
    assert done.exception is None
    report = json.loads(done.stdout)
    assert report["to"] == str(tmp_path / "taken.zip")
    assert [form["runtime"] for form in report["forms"]] == ["pytorch", "pytorch", "onnx"]
    [row] = [row for row in Store().runs(kind="export") if row.config["to"] == report["to"]]
    assert (row.status, row.name) == ("done", "taken.zip")
    assert Store().report_json(row.id) == report


def test_the_command_refuses_before_it_queues(config, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    before = len(Store().runs(kind="export"))
    assert isinstance(kd(config.run, "--to", str(tmp_path / "full")).exception, ConfigError)
    assert len(Store().runs(kind="export")) == before


@pytest.mark.parametrize(
    ("run_id", "status", "way"),
    [
        ("20260131-143000-a1b2", "queued", r"Wait for its end\."),
        ("20260131-143000-a1b3", "failed", r"Go on with it: kd resume 20260131-143000-a1b3"),
    ],
)
def test_the_command_on_a_run_that_is_not_finished(config, tmp_path, run_id, status, way):
    store = Store()
    store.create_run(run_id, {}, kind="distil")
    try:
        store.set_status(run_id, status)
        with pytest.raises(RunError, match=rf"^Run {run_id} is {status}, so it has no models yet\. {way}$"):
            raise kd(run_id, "--to", str(tmp_path / "taken")).exception
    finally:
        store.delete_run(run_id)
