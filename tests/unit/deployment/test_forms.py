"""The forms in which a run's models answer, and their ONNX files."""

import io
import logging
import shutil
import subprocess
import sys
import threading
import warnings
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from kd_core.deployment import forms
from kd_core.deployment import onnx as conversion
from kd_core.deployment.calibrate import scale_model, scale_onnx
from kd_core.deployment.forms import open_form
from kd_core.deployment.onnx import open_session, to_int8, to_onnx
from kd_core.errors import ModelError, RunError, Stopped
from kd_core.models.bilstm import BiLSTMConfig
from kd_core.models.cnn import CNNConfig
from kd_core.models.loading import new_model
from kd_core.models.static import StaticConfig
from kd_core.system import paths
from kd_core.system.control import Control
from tests.unit.conftest import FAMILIES

TEXTS = ["the striker scores a goal", "", "a minister", "bank shares fall for a trader in the market today"]
RUNTIMES = ("pytorch", "onnx", "int8")


# Of a run


def test_pytorch_gives_the_logits_of_the_run(run_id, exported):
    kept = exported.predictions
    texts, labels = forms.test_split(run_id)
    assert texts == kept["text"].to_list()
    assert labels.tolist() == kept["label"].to_list()
    for who, column in {"teacher": "teacher", "student": "student-0", "alone": "alone-0"}.items():
        form = open_form(run_id, who, "pytorch")
        np.testing.assert_allclose(form.predict(texts), np.stack(kept[column]), atol=1e-5)


def test_onnx_answers_as_pytorch_does_and_int8_nearly(run_id, exported):
    plain, onnx, int8 = made = [open_form(run_id, "student", runtime) for runtime in RUNTIMES]
    assert [form.name for form in made] == ["student-pytorch", "student-onnx", "student-int8"]
    expected = plain.predict(TEXTS)
    assert (expected.dtype, expected.shape) == (np.float32, (4, 5))
    np.testing.assert_allclose(onnx.predict(TEXTS), expected, atol=1e-4)
    assert 1e-6 < np.abs(int8.predict(TEXTS) - expected).max() < 0.1
    assert {form.params for form in made} == {exported.run.student.params}
    assert plain.size_mb == exported.run.student.size_mb
    assert int8.size_mb == int8.path.stat().st_size / 1e6 < onnx.size_mb
    assert plain.labels == tuple(exported.run.labels)


def test_order_and_length_of_texts(run_id, exported):
    form, done = open_form(run_id, "student", "pytorch"), []
    one_by_one = np.concatenate([form.logits(form.encode([text])) for text in TEXTS])
    np.testing.assert_allclose(form.predict(TEXTS, batch=3, on_rows=done.append), one_by_one, atol=1e-5)
    assert done == [3, 4]
    assert form.predict([]).shape == (0, 5)
    control = Control()
    with pytest.raises(Stopped):
        form.predict(
            TEXTS, batch=1, control=control, on_rows=lambda rows: done.append(rows) or control.stop()
        )
    assert done == [3, 4, 1], "it stops between two batches"
    length = exported.run.config["task"]["max_length"]
    assert [len(ids) for ids in form.encode(["goal " * 1000, ""])] == [length, 2]


def test_conversion_is_kept_and_works_on_another_thread(run_id, monkeypatch):
    monkeypatch.setattr(forms, "to_onnx", None)
    monkeypatch.setattr(forms, "to_int8", None)
    assert open_form(run_id, "student", "int8").path.is_relative_to(paths.caches() / "onnx")
    found = []
    ask = threading.Thread(target=lambda: found.append(open_form(run_id, "student", "onnx").predict(TEXTS)))
    ask.start()
    ask.join()
    expected = open_form(run_id, "student", "pytorch").predict(TEXTS)
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_number_of_threads(run_id):
    form = open_form(run_id, "student", "pytorch", threads=2)
    before, seen = torch.get_num_threads(), []
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    with hook:
        form.predict(TEXTS)
    assert set(seen) == {2}
    assert torch.get_num_threads() == before == 1


def test_missing_and_changed_models(run_id, copied_home, exported):
    with pytest.raises(RunError, match=r"^There is no run 20260131-143000-a1b2 in "):
        open_form("20260131-143000-a1b2", "student", "pytorch")
    with pytest.raises(RunError, match=rf"^Run {run_id} has no model 'nobody'\.$"):
        open_form(run_id, "nobody", "pytorch")
    changed = rf"^Files of run {run_id} are missing or were changed: %s\. Put .*, or run it again\.$"
    teacher = copied_home / "cache" / "teachers" / exported.run.teacher_key
    student = copied_home / "runs" / run_id / "students" / "student-0"
    for folder, who, where in (
        (teacher, "teacher", f"teachers/{teacher.name}"),
        (student, "student", f"runs/{run_id}"),
    ):
        weights = folder / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(RunError, match=changed % where):
            open_form(run_id, who, "pytorch")
        weights.write_bytes(whole)
    shutil.rmtree(teacher)
    with pytest.raises(RunError, match=changed % f"teachers/{teacher.name}"):
        open_form(run_id, "teacher", "pytorch")


@pytest.mark.slow
def test_networks_are_registered_in_a_process_that_trained_none():
    networks = ["kd_cnn", "kd_bilstm", "kd_static"]
    code = "import kd_core.deployment.forms; from transformers import AutoConfig; "
    code += f"print([AutoConfig.for_model(name).model_type for name in {networks}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == str(networks), done.stderr


# ONNX files

SIZES = {"vocab_size": 100, "hidden_size": 12, "intermediate_size": 9, "num_labels": 5}
CONFIGS = {
    "bilstm": BiLSTMConfig(**SIZES, lstm_size=7, num_hidden_layers=1, initializer_range=0.7),
    "bilstm-2": BiLSTMConfig(**SIZES, lstm_size=7, num_hidden_layers=2, initializer_range=0.7),
    "cnn": CNNConfig(**SIZES, mean=True, pairs=70, initializer_range=3.0),
    "static": StaticConfig(**SIZES, pairs=70, initializer_range=0.7),
}


@pytest.fixture(scope="session")
def model_of(tiny_teacher):
    """``model_of("bert")``: a random model with lively logits; a family has one layer."""

    def build(name):
        if name in CONFIGS:
            model = new_model(CONFIGS[name], 0)
            for part in ("importance", "counted"):  # new they say nothing
                if table := getattr(model, part, None):
                    torch.nn.init.normal_(table.weight, generator=torch.Generator().manual_seed(0))
            return model
        config = tiny_teacher(name).config
        config.num_hidden_layers = 1
        if name == "modernbert":
            config.layer_types = config.layer_types[:1]
        return new_model(config, 0)

    return build


@pytest.fixture(scope="session")
def files(model_of, once):
    """``files("cnn")``: a folder with that model as model.onnx and int8.onnx, and what was said meanwhile."""

    def write(folder):
        said = io.StringIO()
        handler = logging.StreamHandler(said)
        handler.setLevel(logging.WARNING)
        logging.getLogger().addHandler(handler)
        with warnings.catch_warnings(record=True) as found, redirect_stdout(said), redirect_stderr(said):
            warnings.simplefilter("always")
            to_onnx(model_of(folder.name.removeprefix("onnx-")), folder / "model.onnx")
            to_int8(folder / "model.onnx", folder / "int8.onnx")
        logging.getLogger().removeHandler(handler)
        (folder / "said.txt").write_text(said.getvalue() + "".join(str(warning.message) for warning in found))

    return lambda name: once(f"onnx-{name}", write)


@pytest.fixture
def folder(name, files):
    return files(name)


def batch(lengths, *, left=False):
    """Return random tokens, padded with 0, and their mask."""
    mask = np.array([[i < n for i in range(max(lengths) + 2)] for n in lengths], dtype=np.int64)
    mask = np.ascontiguousarray(mask[:, ::-1]) if left else mask
    return np.random.default_rng(sum(lengths)).integers(5, 90, mask.shape) * mask, mask


def of_model(model, ids, mask):
    with torch.inference_mode():
        return model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()


def of_file(file, ids, mask):
    return open_session(file, 1).run(None, {"input_ids": ids, "attention_mask": mask})[0]


# The student of the finished run is a bert.
@pytest.mark.parametrize(
    "name", [*CONFIGS, *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES)]
)
def test_file_gives_the_logits_of_its_model(model_of, name, folder):
    model, file = model_of(name), folder / "model.onnx"
    for lengths in ([7], [3, 9], [20, 1, 11, 2]):
        for left in (False, True) if name in CONFIGS else (False,):
            inputs = batch(lengths, left=left)
            expected = of_model(model, *inputs)
            assert np.ptp(expected) > 0.1, "or it would say nothing"
            np.testing.assert_allclose(of_file(file, *inputs), expected, atol=1e-4)
    if name == "bilstm":  # a row without a token
        ids, mask = batch([4, 3])
        mask[1] = 0
        np.testing.assert_allclose(of_file(file, ids, mask), of_model(model, ids, mask), atol=1e-4)
    if name != "deberta-v2":  # ONNX Script warns of its layer norms
        assert (folder / "said.txt").read_text() == "", "nothing is printed or warned"


@pytest.mark.parametrize("name", [*CONFIGS, pytest.param("bert", marks=pytest.mark.slow)])
def test_int8_has_weights_of_a_byte_and_close_logits(model_of, name, folder):
    model, file = model_of(name), folder / "int8.onnx"
    graph = onnx.load(file).graph
    shape = [*model.get_input_embeddings().weight.shape]
    [words] = [tensor for tensor in graph.initializer if list(tensor.dims) == shape]
    assert words.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8), "most of a small student"
    done = {node.op_type for node in graph.node}
    assert "MatMulInteger" in done
    assert not {"Gemm", "LSTM"} & done
    inputs = batch([8])
    assert 1e-4 < np.abs(of_file(file, *inputs) - of_model(model, *inputs)).max() < 0.2


def test_model_that_cannot_be_exported(model_of, tmp_path, monkeypatch):
    model = model_of("static")

    def branches(input_ids, attention_mask):
        return torch.ones(1) if input_ids.sum() > 100 else torch.zeros(1)

    monkeypatch.setattr(model, "forward", branches)
    with pytest.raises(
        ModelError, match=r"^This kd_static cannot be converted to ONNX: torch\.export does not"
    ):
        to_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_wrong_too_large_and_damaged_files(model_of, tmp_path, monkeypatch):
    model, other = model_of("bilstm"), new_model(CONFIGS["bilstm"], 1)
    file = tmp_path / "model.onnx"
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "_bilstm", lambda _model, make=conversion._bilstm: make(other))
        with pytest.raises(
            ModelError, match=r"does not compute what the model does: its logits differ by \d"
        ):
            to_onnx(model, file)
    monkeypatch.setattr(conversion, "LARGEST", 4 * model.num_parameters())
    with pytest.raises(ModelError, match=r"one ONNX file holds at most 2 GB\. Use its PyTorch form\."):
        to_onnx(model, file)
    file.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"model\.onnx cannot be opened by ONNX Runtime: "):
        open_session(file, None)


# A temperature in the files of a model

T = 1.7


@pytest.mark.parametrize("name", [*FAMILIES, *CONFIGS])
def test_every_logit_is_divided(model_of, tmp_path, name):
    model, inputs = model_of(name), batch([5])
    model.save_pretrained(tmp_path)
    scale_model(tmp_path, T)
    scaled = AutoModelForSequenceClassification.from_pretrained(tmp_path, use_safetensors=True).eval()
    np.testing.assert_allclose(of_model(scaled, *inputs), of_model(model, *inputs) / T, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("file", ["model.onnx", "int8.onnx"])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_logit_of_an_onnx_file_is_divided(files, tmp_path, name, file):
    scaled, inputs = shutil.copyfile(files(name) / file, tmp_path / file), batch([5])
    scale_onnx(scaled, T)
    expected = of_file(files(name) / file, *inputs) / T
    np.testing.assert_allclose(of_file(scaled, *inputs), expected, rtol=1e-5, atol=1e-7)
