"""A linear probe: where a new head starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from kd_core.config import Precision
from kd_core.distillation.events import OnEvent, Progress, ignore
from kd_core.models.inference import predict_logits
from kd_core.models.loading import output_layer
from kd_core.models.presets import PROBE_TEXTS
from kd_core.system.control import Control

ITERATIONS = 100


def start_from_probe(
    model: PreTrainedModel,
    texts: Dataset,
    precision: Precision,
    control: Control | None = None,
    on_event: OnEvent = ignore,
) -> None:
    """Give the head of ``model``, in place, the weights of a logistic regression on what it reads.

    "LP-FT" of Kumar et al. 2022 (arXiv 2202.10054, section 3.4). A head that is drawn at random learns at the
    rate of the encoder, which is low: of dozens of classes it has not learned half when the training ends.
    ``texts`` have "input_ids" and "label"; a class without a text keeps its random weights.
    Raises: Stopped.
    """
    # At even distances: a file may be sorted by its labels.
    rows = np.linspace(0, len(texts) - 1, min(len(texts), PROBE_TEXTS)).astype(int)
    some = texts.select(rows)
    labels = np.asarray(some["label"][:])
    classes = np.unique(labels)
    if len(classes) < 2:
        return

    def report(done: int) -> None:
        on_event(Progress("teach", "texts read for the new head", done, len(some)))

    with _open_head(model) as head:
        read = predict_logits(model, some, precision=precision, control=control, on_rows=report)
    kinds, rows_of = torch.as_tensor(classes), torch.as_tensor(np.searchsorted(classes, labels))
    weight, bias = _logistic_regression(torch.as_tensor(read).double(), rows_of)
    with torch.no_grad():
        head.weight[kinds] = weight.to(head.weight)
        head.bias[kinds] = bias.to(head.bias)


@contextmanager
def _open_head(model: PreTrainedModel) -> Iterator[nn.Linear]:
    """While the block runs, the model's logits are what the last layer of its head reads."""
    name, head = output_layer(model)
    model.set_submodule(name, nn.Identity())
    try:
        yield head
    finally:
        model.set_submodule(name, head)


def _logistic_regression(read: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (classes, width) and biases (classes,) with an L2 penalty of 1 / (2 texts).

    By torch, not by scikit-learn, whose last bits differ from process to process: a run can be reproduced.
    """
    weight = read.new_zeros(int(labels.max()) + 1, read.shape[1], requires_grad=True)
    bias = read.new_zeros(len(weight), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(read @ weight.T + bias, labels) + weight.square().sum() / (2 * len(read))
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
