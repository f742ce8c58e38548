"""A linear probe: where a teacher's new head starts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from kd_core.config import Precision
from kd_core.models.inference import predict_logits
from kd_core.models.loading import output_layer
from kd_core.models.presets import PROBE_TEXTS
from kd_core.system.control import Control

ITERATIONS = 100


def start_from_probe(
    model: PreTrainedModel, texts: Dataset, precision: Precision, control: Control | None = None
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
    labels = np.asarray(some["label"])
    classes = np.unique(labels)
    if len(classes) < 2:
        return
    with _open_head(model) as head:
        read = predict_logits(model, some, precision=precision, control=control)
    weight, bias = _logistic_regression(read, labels)
    with torch.no_grad():
        head.weight[classes] = torch.as_tensor(weight, dtype=head.weight.dtype, device=head.weight.device)
        head.bias[classes] = torch.as_tensor(bias, dtype=head.bias.dtype, device=head.bias.device)


@contextmanager
def _open_head(model: PreTrainedModel) -> Iterator[nn.Linear]:
    """While the block runs, the model's logits are what the last layer of its head reads."""
    name, head = output_layer(model)
    model.set_submodule(name, nn.Identity())
    try:
        yield head
    finally:
        model.set_submodule(name, head)


def _logistic_regression(read: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is a start
        fitted = LogisticRegression(max_iter=ITERATIONS).fit(read.astype(np.float64), labels)
    weight, bias = fitted.coef_, fitted.intercept_
    if len(weight) == 1:  # of two classes it has the difference
        return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias
