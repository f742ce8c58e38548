"""A classifier as an ONNX file, and that file with 8-bit weights.

Both take ``input_ids`` and ``attention_mask`` (batch, length), int64, and give ``logits`` (batch, classes);
batch and length are free.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kd_core.errors import ModelError
from kd_core.models.bilstm import BiLSTMForSequenceClassification

if TYPE_CHECKING:
    import onnx
    from onnxruntime import InferenceSession

TOLERANCE = 1e-3  # between logits of the file and of the model, far above what rounding does
LARGEST = 2**31  # bytes of one protobuf file

# torch.export cannot follow packed sequences, and ONNX has an operator that reads rows of unequal length. As
# in the model, a stable sort brings padding to the right: TopK keeps equal elements in their order.
BILSTM = """
<ir_version: 10, opset_import: ["": 20]>
bilstm (int64[batch, length] input_ids, int64[batch, length] attention_mask) => (float[batch, labels] logits)
{{
    width = Shape <start = 1, end = 2> (attention_mask)
    kept, order = TopK <axis = 1> (attention_mask, width)
    tokens = GatherElements <axis = 1> (input_ids, order)
    axis = Constant <value = int64[1] {{1}}> ()
    one = Constant <value = int64[1] {{1}}> ()
    count = ReduceSum <keepdims = 0> (attention_mask, axis)
    at_least_one = Max (count, one)
    lengths = Cast <to = 6> (at_least_one)
    embedded = Gather (embeddings, tokens)
    x0 = Transpose <perm = [1, 0, 2]> (embedded)
    join = Constant <value = int64[3] {{0, 0, -1}}> ()
{layers}
    flat = Constant <value = int64[2] {{0, -1}}> ()
    last = Transpose <perm = [1, 0, 2]> (h{top})
    features = Reshape (last, flat)
    hidden = Gemm <transB = 1> (features, intermediate_weight, intermediate_bias)
    active = Relu (hidden)
    logits = Gemm <transB = 1> (active, classifier_weight, classifier_bias)
}}
"""
LAYER = """
    y{i}, h{i}, c{i} =
        LSTM <direction = "bidirectional", hidden_size = {size}> (x{i}, W{i}, R{i}, B{i}, lengths)
    t{i} = Transpose <perm = [0, 2, 1, 3]> (y{i})
    x{next} = Reshape (t{i}, join)
"""


def to_onnx(model: PreTrainedModel, file: Path) -> None:
    """Write ``model`` to ``file``, and compare the logits of both on a padded batch.

    Raises: ModelError for a model that cannot be converted, or not without other answers.
    """
    import onnx

    name = model.config.model_type
    if sum(p.numel() * p.element_size() for p in model.parameters()) >= LARGEST:
        raise ModelError(
            f"This {name} has {model.num_parameters() / 1e6:,.0f} M parameters; one ONNX file holds at most "
            "2 GB. Use its PyTorch form."
        )
    with torch.no_grad(), _quiet():
        if isinstance(model, BiLSTMForSequenceClassification):
            onnx.save(_bilstm(model), file)
        else:
            try:
                program = _export(model)
            except Exception as error:  # torch.export fails in as many ways as there are models
                raise ModelError(
                    f"This {name} cannot be converted to ONNX: torch.export does not support what it "
                    f"computes ({type(error).__name__}). Use its PyTorch form."
                ) from error
            program.save(file, external_data=False)
        _compare(model, file)


def to_int8(source: Path, file: Path) -> None:
    """Write the ONNX model ``source`` to ``file`` with int8 weights, word embeddings among them.

    Activations are quantised as they come, with one scale for a batch: a text's logits depend a little on
    those it shares a batch with. Weights use 7 bits: processors without VNNI add two products of 8 bits in
    16, which saturates (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load(source)
    add_pre_process_metadata(model)  # its exporter has inferred shapes and simplified it
    with _quiet():
        quantize_dynamic(model, file, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


def open_session(file: Path, threads: int | None) -> InferenceSession:
    """``threads`` None: all cores. Raises: ModelError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    # Threads that spin while they wait would take the processor from whatever else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, which have no common base
        raise ModelError(f"{file} cannot be opened by ONNX Runtime: {error}") from error


class _Logits(nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def _export(model: PreTrainedModel) -> Any:
    axes = {0: "batch", 1: "length"}
    return torch.onnx.export(
        _Logits(model).eval(),
        tuple(torch.from_numpy(array) for array in _example(model, 2, 8)),
        dynamo=True,
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
        verbose=False,
    )


def _bilstm(model: BiLSTMForSequenceClassification) -> onnx.ModelProto:
    from onnx import numpy_helper, parser

    layers, size = model.config.num_hidden_layers, model.config.lstm_size
    text = "".join(LAYER.format(i=i, next=i + 1, size=size) for i in range(layers))
    graph = parser.parse_model(BILSTM.format(layers=text, top=layers - 1))
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    tensors = {"embeddings": weights["embeddings.weight"]}
    for name in ("intermediate", "classifier"):
        tensors |= {f"{name}_{part}": weights[f"{name}.{part}"] for part in ("weight", "bias")}

    def gates(name: str) -> np.ndarray[Any, Any]:
        """PyTorch's order is input, forget, cell, output; that of ONNX input, output, forget, cell."""
        i, f, c, o = np.split(weights[f"lstm.{name}"], 4)
        return np.concatenate([i, o, f, c])

    for layer in range(layers):
        ways = [f"l{layer}", f"l{layer}_reverse"]
        tensors[f"W{layer}"] = np.stack([gates(f"weight_ih_{way}") for way in ways])
        tensors[f"R{layer}"] = np.stack([gates(f"weight_hh_{way}") for way in ways])
        tensors[f"B{layer}"] = np.stack(
            [np.concatenate([gates(f"bias_ih_{way}"), gates(f"bias_hh_{way}")]) for way in ways]
        )
    graph.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in tensors.items())
    return graph


def _example(model: PreTrainedModel, rows: int, length: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Right-padded ids and mask; each row has one token less than the one before."""
    vocabulary = model.get_input_embeddings().num_embeddings
    mask = (np.arange(length) < length - np.arange(rows)[:, None]).astype(np.int64)
    ids = np.random.default_rng(0).integers(0, vocabulary, mask.shape)
    return np.where(mask, ids, model.config.pad_token_id or 0), mask


def _compare(model: PreTrainedModel, file: Path) -> None:
    session = open_session(file, 1)
    for shape in ((1, 5), (3, 7)):  # neither is what the export has seen
        ids, mask = _example(model, *shape)
        logits = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
        from_onnx = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        if not (largest := float(np.abs(from_onnx - logits).max())) <= TOLERANCE:
            raise ModelError(
                f"The ONNX form of this {model.config.model_type} does not compute what the model does: its "
                f"logits differ by {largest:.2g}. Use its PyTorch form."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that it would use and on its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
