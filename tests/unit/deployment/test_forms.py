"""The forms in which a run's models answer, and the files that they come from."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from kd_core.config import DistillConfig
from kd_core.deployment import forms
from kd_core.deployment.forms import open_form
from kd_core.errors import RunError, Stopped
from kd_core.system import paths
from kd_core.system.control import Control

TEXTS = ["the striker scores a goal", "", "a minister", "bank shares fall for a trader in the market today"]


@pytest.fixture(scope="module")
def home(finished_run, tmp_path_factory):
    """A finished run in a home of this file's own, where its ONNX files are kept."""
    home = shutil.copytree(finished_run.home, tmp_path_factory.mktemp("forms") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(home))
        yield home


@pytest.fixture
def run_id(home, finished_run) -> str:
    return finished_run.report.run_id


def test_pytorch_gives_the_logits_that_the_run_kept(run_id, finished_run):
    import pandas as pd

    kept = pd.read_parquet(finished_run.folder / "predictions.parquet")
    texts, labels = forms.test_split(run_id)
    assert texts == kept["text"].to_list()
    assert labels.tolist() == kept["label"].to_list()
    for who, column in {"teacher": "teacher", "student": "student-0", "alone": "alone-0"}.items():
        form = open_form(run_id, who, "pytorch")
        np.testing.assert_allclose(form.predict(texts), np.stack(kept[column]), atol=1e-5)


def test_onnx_answers_as_pytorch_does_and_int8_nearly(run_id, finished_run):
    plain, onnx, int8 = (open_form(run_id, "student", runtime) for runtime in ("pytorch", "onnx", "int8"))
    assert [form.name for form in (plain, onnx, int8)] == ["student-pytorch", "student-onnx", "student-int8"]
    expected = plain.predict(TEXTS)
    assert expected.dtype == np.float32
    assert expected.shape == (4, 5)
    np.testing.assert_allclose(onnx.predict(TEXTS), expected, atol=1e-4)
    difference = np.abs(int8.predict(TEXTS) - expected).max()
    assert 1e-6 < difference < 0.1
    assert [form.name for form in (plain, onnx, int8)] == ["student-pytorch", "student-onnx", "student-int8"]
    assert {form.params for form in (plain, onnx, int8)} == {finished_run.report.student.params}
    assert plain.size_mb == finished_run.report.student.size_mb
    assert int8.size_mb == int8.path.stat().st_size / 1e6 < onnx.size_mb
    assert plain.labels == tuple(finished_run.report.labels)


def test_texts_keep_their_order_whatever_the_batch(run_id):
    form = open_form(run_id, "student", "pytorch")
    done: list[int] = []
    one_by_one = np.concatenate([form.logits(form.encode([text])) for text in TEXTS])
    np.testing.assert_allclose(form.predict(TEXTS, batch=3, on_rows=done.append), one_by_one, atol=1e-5)
    assert done == [3, 4]
    assert form.predict([]).shape == (0, 5)


def test_texts_are_cut_where_the_run_cut_them(run_id, finished_run):
    form = open_form(run_id, "student", "pytorch")
    length = finished_run.report.config["task"]["max_length"]
    [long, empty] = form.encode(["goal " * 1000, ""])
    assert (len(long), len(empty)) == (length, 2)
    assert form.max_length == length


def test_a_conversion_is_kept(run_id, monkeypatch):
    path = open_form(run_id, "student", "int8").path
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(forms, "to_onnx", None)
    monkeypatch.setattr(forms, "to_int8", None)
    assert open_form(run_id, "student", "int8").path == path
    assert path.stat().st_mtime_ns == before
    assert path.is_relative_to(paths.caches() / "onnx")


def test_it_works_on_another_thread(run_id):
    found = []
    thread = threading.Thread(target=lambda: found.append(open_form(run_id, "alone", "onnx").predict(TEXTS)))
    thread.start()
    thread.join()
    np.testing.assert_allclose(found[0], open_form(run_id, "alone", "pytorch").predict(TEXTS), atol=1e-4)


def test_threads_are_used_and_put_back(run_id):
    form = open_form(run_id, "student", "pytorch", threads=2)
    before = torch.get_num_threads()
    seen: list[int] = []
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    with hook:
        form.predict(TEXTS)
    assert set(seen) == {2}
    assert torch.get_num_threads() == before == 1


def test_stop_acts_between_two_batches(run_id):
    form, control, done = open_form(run_id, "student", "pytorch"), Control(), []

    def stop(rows: int) -> None:
        done.append(rows)
        control.stop()

    with pytest.raises(Stopped):
        form.predict(TEXTS, batch=1, control=control, on_rows=stop)
    assert done == [1]


def test_what_is_missing_or_changed_is_said(run_id, home, finished_run):
    with pytest.raises(RunError, match=r"^There is no run 20260131-143000-a1b2 in "):
        open_form("20260131-143000-a1b2", "student", "pytorch")
    with pytest.raises(RunError, match=rf"^Run {run_id} has no model 'nobody'\.$"):
        open_form(run_id, "nobody", "pytorch")
    weights = home / "runs" / run_id / "students" / "student-0" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        changed = (
            rf"^Files of run {run_id} are missing or were changed: .*{run_id}\. Put .*, or run it again\.$"
        )
        with pytest.raises(RunError, match=changed):
            open_form(run_id, "student", "int8")
    finally:
        weights.write_bytes(whole)
    teacher = home / "cache" / "teachers" / finished_run.report.teacher_key
    teacher.rename(teacher.with_name("away"))
    try:
        with pytest.raises(RunError, match=r"are missing or were changed: .*teachers"):
            open_form(run_id, "teacher", "pytorch")
    finally:
        teacher.with_name("away").rename(teacher)


def test_a_bilstm_student_has_all_forms(tiny_config, kd_home):
    from kd_core import distill

    config = tiny_config.model_dump(mode="json") | {"student": {"model": "bilstm", "hidden": 16}}
    report = distill(DistillConfig.from_dict(config).change({"controls.labelled_only": False}))
    plain, onnx, int8 = (
        open_form(report.run_id, "student", runtime) for runtime in ("pytorch", "onnx", "int8")
    )
    assert [form.name for form in (plain, onnx, int8)] == ["student-pytorch", "student-onnx", "student-int8"]
    expected = plain.predict(TEXTS)
    np.testing.assert_allclose(onnx.predict(TEXTS), expected, atol=1e-4)
    np.testing.assert_allclose(int8.predict(TEXTS), expected, atol=0.1)


@pytest.mark.parametrize("network", ["kd_cnn", "kd_bilstm", "kd_static"])
def test_a_student_that_transformers_does_not_have_opens_in_a_process_that_trained_none(network):
    code = "import kd_core.deployment.forms; from transformers import AutoConfig; "
    code += f"print(AutoConfig.for_model({network!r}).model_type)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == network, done.stderr
