"""Temperature scaling written into a model's files: whoever loads them gets calibrated probabilities."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save
from transformers import AutoModelForSequenceClassification

from kd_core.errors import ModelError
from kd_core.models.loading import output_layer
from kd_core.models.network import COUNTED

WEIGHTS = "model.safetensors"
LOGITS = "logits"


def scale_model(folder: Path, temperature: float) -> None:
    """Divide the logits of the Hugging Face model in ``folder``: by its last layer, which makes them.

    What a cnn adds to these is divided, too.
    Raises: ModelError where that is no linear layer with a row for each class.
    """
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    name, head = output_layer(model)
    weights = load_file(folder / WEIGHTS)
    parts = [part for part in (f"{name}.weight", f"{name}.bias", COUNTED) if part in weights]
    if head.out_features != model.config.num_labels or not parts:
        raise ModelError(
            f"The last layer of a {model.config.model_type} does not make its logits, so they cannot be "
            "calibrated here; export it without --calibrate."
        )
    for part in parts:
        weights[part] = (weights[part].double() / temperature).to(weights[part].dtype)
    content = save(weights, metadata={"format": "pt"})
    (folder / WEIGHTS).write_bytes(content)  # save_file would make it one that nobody else may read


def scale_onnx(file: Path, temperature: float) -> None:
    """The same for an ONNX file: one more operation at its end."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(file)
    graph, before = model.graph, f"{LOGITS}_before_temperature"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [before if name == LOGITS else name for name in names]
    divisor = numpy_helper.from_array(torch.tensor(temperature, dtype=torch.float32).numpy(), "temperature")
    graph.initializer.append(divisor)
    graph.node.append(helper.make_node("Div", [before, "temperature"], [LOGITS]))
    onnx.save(model, file)
