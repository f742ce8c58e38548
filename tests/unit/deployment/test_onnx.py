"""Models as ONNX files: the same logits, whatever the batch; and the same files with 8-bit weights."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from kd_core.deployment import onnx as conversion
from kd_core.deployment.onnx import open_session, to_int8, to_onnx
from kd_core.errors import ModelError
from kd_core.models.bilstm import BiLSTMConfig
from kd_core.models.cnn import CNNConfig
from kd_core.models.loading import new_model
from kd_core.models.static import StaticConfig
from tests.unit.conftest import FAMILIES

BATCHES = ([7], [3, 9], [20, 1, 11, 2])  # how long the texts are


def batch(lengths: list[int], *, left: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Random tokens, padded with 0."""
    width = max(lengths) + 2
    mask = np.array([[i < n for i in range(width)] for n in lengths], dtype=np.int64)
    if left:
        mask = np.ascontiguousarray(mask[:, ::-1])
    ids = np.random.default_rng(sum(lengths)).integers(5, 90, mask.shape)
    return ids * mask, mask


def of_model(model, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        return model(**inputs).logits.numpy()


def of_file(file: Path, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return open_session(file, 1).run(None, {"input_ids": ids, "attention_mask": mask})[0]


def bilstm(layers: int = 1):
    config = BiLSTMConfig(
        vocab_size=100,
        hidden_size=12,
        lstm_size=7,
        num_hidden_layers=layers,
        intermediate_size=9,
        initializer_range=0.7,
        num_labels=5,
    )
    return new_model(config, 0)


def cnn(**reads):
    sizes = {"vocab_size": 100, "hidden_size": 12, "intermediate_size": 9, "num_labels": 5}
    model = new_model(CNNConfig(**sizes, **reads, initializer_range=3.0), 0)
    if model.counted:  # new it says nothing
        torch.nn.init.normal_(model.counted.weight, generator=torch.Generator().manual_seed(0))
    return model


def static(**reads):
    sizes = {"vocab_size": 100, "hidden_size": 12, "intermediate_size": 9, "num_labels": 5}
    model = new_model(StaticConfig(**sizes, **reads, initializer_range=0.7), 0)
    for table in filter(None, (model.importance, model.counted)):  # new they say nothing
        torch.nn.init.normal_(table.weight, generator=torch.Generator().manual_seed(0))
    return model


@pytest.fixture(scope="module")
def shallow(tiny_teacher):
    """A random model of a family, with one layer and lively logits."""

    def build(family: str):
        config = tiny_teacher(family).config
        config.num_hidden_layers = 1
        if family == "modernbert":
            config.layer_types = config.layer_types[:1]
        return new_model(config, 0)

    return build


SLOW = [family if family == "bert" else pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES]


@pytest.mark.parametrize("family", SLOW)
def test_the_file_gives_the_models_logits(shallow, tmp_path, family):
    model = shallow(family)
    to_onnx(model, tmp_path / "model.onnx")
    for lengths in BATCHES:
        inputs = batch(lengths)
        expected = of_model(model, *inputs)
        assert np.ptp(expected) > 0.1, "or it would say nothing"
        np.testing.assert_allclose(of_file(tmp_path / "model.onnx", *inputs), expected, atol=1e-4)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("left", [False, True], ids=["padded right", "padded left"])
def test_the_file_of_a_bilstm_gives_its_logits(tmp_path, layers, left):
    model = bilstm(layers)
    to_onnx(model, tmp_path / "model.onnx")
    for lengths in BATCHES:
        inputs = batch(lengths, left=left)
        expected = of_model(model, *inputs)
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(of_file(tmp_path / "model.onnx", *inputs), expected, atol=1e-4)


def test_a_row_without_a_token_does_not_break_the_bilstm(tmp_path):
    to_onnx(bilstm(), tmp_path / "model.onnx")
    ids, mask = batch([4, 3])
    mask[1] = 0
    np.testing.assert_allclose(
        of_file(tmp_path / "model.onnx", ids, mask), of_model(bilstm(), ids, mask), atol=1e-4
    )


@pytest.mark.parametrize(
    ("build", "reads"),
    [(cnn, {}), (cnn, {"mean": True}), (cnn, {"pairs": 70}), (static, {}), (static, {"pairs": 70})],
    ids=["strongest", "strongest and mean", "strongest and pairs", "mean", "mean and pairs"],
)
@pytest.mark.parametrize("left", [False, True], ids=["padded right", "padded left"])
def test_the_file_of_a_cnn_or_a_static_student_gives_its_logits(tmp_path, left, build, reads):
    model = build(**reads)
    to_onnx(model, tmp_path / "model.onnx")
    for lengths in BATCHES:
        inputs = batch(lengths, left=left)
        expected = of_model(model, *inputs)
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(of_file(tmp_path / "model.onnx", *inputs), expected, atol=1e-4)


@pytest.mark.parametrize("family", ["bilstm", "cnn", "static", "bert"])
def test_int8_has_weights_of_a_byte_and_close_logits(shallow, tmp_path, family):
    model = {"bilstm": bilstm, "cnn": cnn, "static": static}.get(family, lambda: shallow("bert"))()
    plain, small = tmp_path / "model.onnx", tmp_path / "int8.onnx"
    to_onnx(model, plain)
    to_int8(plain, small)
    graph = onnx.load(small).graph
    rows = model.get_input_embeddings().num_embeddings
    shape = [rows, model.config.hidden_size]
    [words] = [tensor for tensor in graph.initializer if list(tensor.dims) == shape]
    assert words.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8), "most of a small student"
    done = {node.op_type for node in graph.node}
    assert "MatMulInteger" in done
    assert not {"Gemm", "LSTM"} & done
    ids, mask = batch([8])
    difference = np.abs(of_file(small, ids, mask) - of_model(model, ids, mask)).max()
    assert 1e-4 < difference < 0.2


def test_nothing_is_printed_or_warned(shallow, tmp_path, capfd, caplog):
    with warnings.catch_warnings(record=True) as found, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        to_onnx(shallow("bert"), tmp_path / "model.onnx")
        to_int8(tmp_path / "model.onnx", tmp_path / "int8.onnx")
    assert [str(warning.message) for warning in found] == []
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


def test_a_model_that_torch_export_cannot_follow(shallow, tmp_path, monkeypatch):
    model = shallow("bert")

    def branches(input_ids, attention_mask):
        return torch.ones(1) if input_ids.sum() > 100 else torch.zeros(1)

    monkeypatch.setattr(model, "forward", branches)
    with pytest.raises(ModelError, match=r"^This bert cannot be converted to ONNX: torch\.export does not"):
        to_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    model, other = bilstm(), new_model(bilstm().config, 1)
    monkeypatch.setattr(conversion, "_bilstm", lambda _model, make=conversion._bilstm: make(other))
    with pytest.raises(ModelError, match=r"does not compute what the model does: its logits differ by \d"):
        to_onnx(model, tmp_path / "model.onnx")


def test_a_model_that_is_too_large_for_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "LARGEST", 4 * bilstm().num_parameters())
    with pytest.raises(ModelError, match=r"one ONNX file holds at most 2 GB\. Use its PyTorch form\."):
        to_onnx(bilstm(), tmp_path / "model.onnx")


def test_a_damaged_file_says_so(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"model\.onnx cannot be opened by ONNX Runtime: "):
        open_session(tmp_path / "model.onnx", None)
