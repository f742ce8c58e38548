"""Exports: what is measured, what is written, and what is left behind when that fails."""

import errno
import hashlib
import json
import os
import shutil
import zipfile

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from kd_core.cli import main
from kd_core.data.corruption import CORRUPTION_SEED, corrupted
from kd_core.deployment import export, forms
from kd_core.deployment.cascade import cascade
from kd_core.deployment.export import ExportConfig, check, export_run
from kd_core.distillation.calibration import scaled
from kd_core.errors import ConfigError, RunError, Stopped
from kd_core.jobs.store import Store
from kd_core.system.control import Control

OTHER = "20260131-143000-a1b2"


@pytest.fixture
def config(run_id, tmp_path):
    return ExportConfig(run=run_id, to=str(tmp_path / "taken"), int8=True)


def left(folder):
    """Return all files of a folder, also those with a hidden name."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_runtimes():
    made = [ExportConfig(run="x", onnx=onnx, int8=int8).runtimes for onnx, int8 in ((0, 0), (1, 0), (0, 1))]
    assert made == [("pytorch",), ("pytorch", "onnx"), ("pytorch", "onnx", "int8")]


# What is measured


def test_forms_are_measured(exported):
    run, report = exported.run, exported.report
    teacher, student, onnx, int8 = forms = report["forms"]
    names = "teacher-pytorch student-pytorch student-onnx student-int8"
    assert " ".join(form["name"] for form in forms) == names
    assert (report["texts"], report["to"]) == (25, str(exported.plain))
    assert teacher["accuracy"] == run.teacher.accuracy
    assert student["accuracy"] == onnx["accuracy"] == run.student.seeds[0].accuracy
    assert student["params"] == int8["params"] == run.student.params
    assert teacher["size_mb"] == run.teacher.size_mb
    assert int8["size_mb"] < onnx["size_mb"]
    assert student["difference"] is None
    assert onnx["difference"] < 1e-4 < int8["difference"] < 0.1
    for form in forms:
        assert form["low"] <= form["accuracy"] <= form["high"]
        latency = form["latency_ms"]
        assert 0 < latency["p50"] <= latency["p95"]
        assert (latency["batch"], latency["threads"], latency["texts"]) == (1, 1, 25)
    assert "paired" not in teacher
    for form, other in ((student, teacher), (onnx, student), (int8, student)):
        pair = form["paired"]
        assert (pair["gained"] - pair["lost"]) / 25 == pytest.approx(form["accuracy"] - other["accuracy"])
        assert pair["low"] <= pair["delta"] <= pair["high"]
    assert (onnx["paired"]["lost"], onnx["paired"]["gained"]) == (0, 0)
    assert json.loads(json.dumps(report)) == report, "it becomes a row of the store"


def test_onnx_forms_are_scored_on_test_and_other_texts(exported, run_id):
    _, student, onnx, int8 = exported.report["forms"]
    texts, labels = forms.test_split(run_id)
    form = forms.open_form(run_id, "student", "int8")
    answers = [form.logits(form.encode([text]))[0].argmax() for text in texts]  # one by one
    assert int8["accuracy"] == np.mean(np.array(answers) == labels)
    assert "shifted" not in student, "the run says that"
    assert int8["shifted"].keys() == exported.run.student.shifted.keys()
    plain = forms.open_form(run_id, "student", "pytorch")
    for name, copies in corrupted(texts, seed=CORRUPTION_SEED).items():
        assert onnx["shifted"][name] == (plain.predict(copies).argmax(axis=1) == labels).mean()


def test_progress(exported):
    done = [event.done for event in exported.events]
    assert done == sorted(done)
    # Four forms and the latency with 25 texts each; two of them with three more sets.
    assert (done[-1], exported.events[-1].total) == (5 * 25 + 2 * 3 * 25,) * 2
    labels = list(dict.fromkeys(event.label for event in exported.events))
    assert labels[:2] == ["preparing teacher, PyTorch", "measuring teacher, PyTorch"]
    end = ["measuring distilled student, ONNX int8", "measuring latency", "writing plain", "done"]
    assert labels[-4:] == end


@pytest.mark.parametrize(("texts", "allowed", "too_much"), [(25, 0.08, 0.12), (1000, 0.02, 0.021)])
def test_model_that_answers_otherwise_than_its_run(exported, texts, allowed, too_much):
    """Two texts or two percent may differ, as a run may have computed in bfloat16."""
    accuracy = exported.run.teacher.seeds[0].accuracy
    export._check_accuracy(exported.run, "teacher", accuracy - allowed, texts)
    with pytest.raises(RunError, match=r"^Teacher of run .* has an accuracy of .* % here, and the run says"):
        export._check_accuracy(exported.run, "teacher", accuracy - too_much, texts)


# What is written


def test_files_are_those_that_were_measured(exported, run_id):
    to = exported.plain
    for runtime, name in {"onnx": "onnx/model.onnx", "int8": "onnx/model_int8.onnx"}.items():
        assert (to / name).read_bytes() == forms.open_form(run_id, "student", runtime).path.read_bytes()
    student = exported.home / "runs" / run_id / "students" / "student-0" / "model.safetensors"
    assert (to / "model" / "model.safetensors").read_bytes() == student.read_bytes()
    assert not [path for path in to.parent.iterdir() if path.name.startswith(".")], "nothing lies beside it"
    listed, content = json.loads((to / "checksums.json").read_text()), (to / "onnx/model.onnx").read_bytes()
    assert listed["onnx/model.onnx"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_calibrated_models_divide_their_logits(exported, run_id):
    to, found = exported.calibrated, scaled(exported.home / "runs" / run_id, exported.run, "student")
    assert json.loads((to / "report.json").read_text())["temperature"] == found.temperature != 1
    student, (texts, _) = forms.open_form(run_id, "student", "pytorch"), forms.test_split(run_id)
    ids = np.array(student.encode(texts[:1]))
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    made = {
        runtime: onnxruntime.InferenceSession(str(to / "onnx" / name)).run(["logits"], given)[0]
        for name, runtime in (("model.onnx", "onnx"), ("model_int8.onnx", "int8"))
    }
    model = AutoModelForSequenceClassification.from_pretrained(to / "model", use_safetensors=True).eval()
    with torch.inference_mode():
        inputs = {name: torch.from_numpy(value) for name, value in given.items()}
        made["pytorch"] = model(**inputs).logits.numpy()
    for runtime, logits in made.items():
        expected = forms.open_form(run_id, "student", runtime).logits(ids.tolist()) / found.temperature
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)
    card = (to / "README.md").read_text("utf-8")
    assert f"Its logits are divided by {found.temperature:.2f}, fitted on the 15 validation texts." in card


def test_cascade_of_an_export(exported, run_id):
    to, pair = exported.calibrated, cascade(run_id, 0.55, calibrated=True)
    held = json.loads((to / "cascade.json").read_text())
    assert (held["threshold"], held["promised"], held["teacher"]) == (pair.threshold, 0.55, "teacher")
    assert f"< {pair.threshold!r}:" in (to / "cascade.py").read_text()
    assert "teacher/model.safetensors" in json.loads((to / "checksums.json").read_text())
    readable = {path.stat().st_mode & 0o777 for path in to.rglob("*.safetensors")}
    assert readable == {(to / "README.md").stat().st_mode & 0o777}
    card = (to / "README.md").read_text("utf-8")
    assert f'`python cascade.py "a text"`. {pair.sentence[:40]}' in card
    for name in ("teacher/", "cascade.py", "cascade.json"):
        assert f"\n| `{name}` | " in card


@pytest.mark.parametrize(
    ("to", "onnx"), [("empty", False), ("deep/er", False), ("taken.zip", True), (None, False)]
)
def test_targets(config, tmp_path, to, onnx):
    (tmp_path / "empty").mkdir()
    report = export_run(ExportConfig(run=config.run, to=to and str(tmp_path / to), onnx=onnx))
    assert [form["runtime"] for form in report["forms"]] == ["pytorch", "pytorch", "onnx"][: 2 + onnx]
    if to is None:
        assert report["to"] is None
        assert left(tmp_path) == []
    elif onnx:
        with zipfile.ZipFile(tmp_path / to) as archive:
            assert archive.testzip() is None
            assert f"kd-{config.run}/onnx/model.onnx" in archive.namelist()
        assert left(tmp_path) == ["taken.zip"]
    else:
        assert (tmp_path / to / "model" / "config.json").is_file()
        assert not (tmp_path / to / "onnx").exists()
        assert "onnx" not in (tmp_path / to / "README.md").read_text("utf-8").lower()


# What cannot be


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("full", r"^The folder .*full is not empty: it has 1 file or folder\. Choose a new or an"),
        ("full/thesis.txt", r"thesis\.txt is a file; choose a new folder, or a new file that ends"),
        ("full/thesis.txt/x", r"thesis\.txt is a file, so nothing can be put into it"),
        ("old.zip", r"old\.zip exists already; remove it or choose another"),
        ("home/runs/x", r"is inside .*home, where runs and caches lie; choose another"),
        ("", r"^'' is not an absolute path; write the place in full\.$"),
        ("x" * 300, r"cannot be used as a place to export to: .*File name too long"),
        ("x" * 250, r"to export to: File name too long\.$"),  # beside it
        ("link", r"to export to: It is a link that leads nowhere\.$"),
        ("loop/x", "cannot be used as a place to export to: "),
        ("a\0b", r"cannot be used as a place to export to: .*null byte"),
    ],
)
def test_bad_targets_are_told_before_anything_is_computed(config, tmp_path, monkeypatch, to, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "old.zip").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "home" / "runs").mkdir(parents=True)
    (tmp_path / "home" / "runs" / config.run).symlink_to(os.environ["KD_HOME"] + "/runs/" + config.run)
    monkeypatch.setenv("KD_HOME", str(tmp_path / "home"))
    before, events = left(tmp_path), []
    place = f"{tmp_path}/{to}" if to else "here"
    with pytest.raises(ConfigError, match=message.replace("''", "'here'")):
        export_run(ExportConfig(run=config.run, to=place, int8=True), events.append)
    assert events == []
    assert left(tmp_path) == before


def test_place_that_may_not_be_written(config, tmp_path, monkeypatch):
    monkeypatch.setattr(export.os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match=rf"^You may not write to {tmp_path}; choose another place\.$"):
        check(config)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (OTHER, f"^There is no run {OTHER} in "),
        (
            OTHER[:-1] + "3",
            r"^Run .* is not finished, so it has no student yet\. .* go on with it: kd resume ",
        ),
        ("../x", r"^'\.\./x' is not a run"),
    ],
)
def test_runs_that_cannot_be_exported(kd_home, run, message):
    (kd_home / "work" / (OTHER[:-1] + "3")).mkdir(parents=True)
    with pytest.raises(RunError, match=message):
        check(ExportConfig(run=run))


def test_changed_run_is_not_exported(config, copied_home, tmp_path):
    weights = copied_home / "runs" / config.run / "students" / "student-0" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(RunError, match="are missing or were changed"):
        export_run(config)
    assert not (tmp_path / "taken").exists()


class SafetensorError(Exception):
    """As the library's own: no OSError, and no number."""


FULL = r"^The disk with {place} is full \(.* MB free\); nothing was written\."


@pytest.mark.parametrize("to", ["taken", "taken.zip"])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), FULL),
        (SafetensorError("Error: I/O error: No space left on device (os error 28)"), FULL),
        (RuntimeError("[enforce fail] unable to write: No space left on device"), FULL),
        (
            PermissionError(errno.EACCES, "No"),
            r"^Nothing was written to {place}: .*No\. Choose another place\.$",
        ),
    ],
)
def test_failure_while_writing_leaves_nothing(tmp_path, error, said, to):
    def half(folder):
        (folder / "model.safetensors").write_bytes(b"half")
        raise error

    with pytest.raises(RunError, match=said.format(place=tmp_path)):
        export._write(tmp_path / to, half)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_somebody_fills_meanwhile_is_left_alone(tmp_path):
    def late(folder):
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken" / "thesis.txt").write_text("mine")

    with pytest.raises(RunError, match=r"^Nothing was written to .*not empty"):
        export._write(tmp_path / "taken", late)
    assert left(tmp_path) == ["taken/thesis.txt"]


def test_full_disk_while_converting(config, copied_home, tmp_path, monkeypatch):
    shutil.rmtree(copied_home / "cache" / "onnx")

    def half(model, file):
        file.write_bytes(b"half")
        raise RuntimeError("No space left on device")

    monkeypatch.setattr(forms, "to_onnx", half)
    with pytest.raises(RunError, match=rf"^The disk with {copied_home} is full"):
        export_run(config)
    assert left(copied_home / "cache" / "onnx") == []
    assert not (tmp_path / "taken").exists()


def test_stop_leaves_nothing(config, tmp_path):
    control = Control()

    def stop(event):
        if event.label == "measuring latency":
            control.stop()

    with pytest.raises(Stopped):
        export_run(ExportConfig(run=config.run, to=config.to), stop, control)
    assert list(tmp_path.iterdir()) == []


# The command


def test_command(config, copied_home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", config.run, "--to", "taken.zip", "--int8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(
        "On 25 test texts, of seed 0, the first of 2. Latency p50 and p95 in ms: from text"
    )
    assert " ".join(lines[2].split()) == "Accuracy Size p50 p95 Against the teacher"
    names = ["Teacher, PyTorch", *(f"Distilled student, {name}" for name in ("PyTorch", "ONNX", "ONNX int8"))]
    assert [line.split("  ")[0] for line in lines[3:7]] == names
    assert "smaller, " in lines[4]
    assert lines[8].startswith("Distilled student, PyTorch, against the teacher: ")
    assert lines[9].endswith("ONNX, against the same in PyTorch: no text lost or gained of 25.")
    assert lines[-1] == f"In {tmp_path / 'taken.zip'}"
    [job] = Store().runs(kind="export")
    assert (job.status, job.name, job.config["to"]) == ("done", "taken.zip", str(tmp_path / "taken.zip"))
    report = Store().report_json(job.id)
    assert [form["runtime"] for form in report["forms"]] == ["pytorch", "pytorch", "onnx", "int8"]
    assert main(["export", config.run, "--to", "taken.zip"]) == 2
    assert "taken.zip exists already" in capsys.readouterr().err
    assert len(Store().runs(kind="export")) == 1, "it is refused before it is queued"


@pytest.mark.parametrize(
    ("status", "way"), [("queued", "Wait for its end."), ("failed", f"Go on with it: kd resume {OTHER}")]
)
def test_command_on_an_unfinished_run(kd_home, tmp_path, capsys, status, way):
    store = Store()
    store.create_run(OTHER, {}, kind="distil")
    store.set_status(OTHER, status)
    assert main(["export", OTHER, "--to", str(tmp_path / "taken")]) == 2
    said = f"kd: Run {OTHER} is {status}, so it has no models yet. {way}\n"
    assert capsys.readouterr().err == said
