"""Step 4, the costs: latency of one text at a time."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kd_core.distillation.metrics import Latency
from kd_core.system.control import Control

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WARM_UP = 10  # rounds that are not counted: allocators, caches and thread pools settle


def latency(
    models: Mapping[str, PreTrainedModel],
    encoded: Mapping[str, list[dict[str, Tensor]]],
    *,
    repeats: int,
    threads: int = 1,
    control: Control | None = None,
) -> dict[str, Latency]:
    """Median and 95th percentile (ms) of a forward pass at batch size 1, for each model.

    ``encoded[name]`` are that model's inputs, each of shape (1, tokens), used in turn for ``repeats`` passes.
    The models take turns text by text, so that a machine that slows down slows all of them alike.
    Training flags and the number of torch threads are put back.

    Raises: ValueError for inputs that do not fit, Stopped through ``control``.
    """
    _check(models, encoded, repeats, threads)
    inputs = {
        name: [{key: value.to(model.device) for key, value in batch.items()} for batch in encoded[name]]
        for name, model in models.items()
    }
    with _inference(models, threads):
        times = interleaved(
            {name: partial(_pass, model, inputs[name]) for name, model in models.items()},
            repeats,
            WARM_UP,
            control,
        )
    lengths = {name: [batch["input_ids"].shape[1] for batch in inputs[name]] for name in models}
    return {
        name: Latency(
            p50=float(np.percentile(times[name], 50)) / 1e6,
            p95=float(np.percentile(times[name], 95)) / 1e6,
            batch=1,
            threads=threads,
            texts=repeats,
            mean_tokens=float(np.mean([lengths[name][turn % len(lengths[name])] for turn in range(repeats)])),
        )
        for name in models
    }


def interleaved(
    calls: Mapping[str, Callable[[int], object]],
    repeats: int,
    warm_up: int = WARM_UP,
    control: Control | None = None,
) -> dict[str, list[int]]:
    """Nanoseconds of ``repeats`` calls of each of ``calls``, which take turns and get the turn's number.

    So a machine that slows down slows all of them alike. The ``warm_up`` turns before are not counted, and
    have the numbers below 0. Raises: Stopped, between two turns.
    """
    times: dict[str, list[int]] = {name: [] for name in calls}
    for turn in range(-warm_up, repeats):
        if control:
            control.check()
        with _no_collection():
            for name, call in calls.items():
                nanoseconds = _time(call, turn)
                if turn >= 0:
                    times[name].append(nanoseconds)
    return times


def _check(
    models: Mapping[str, PreTrainedModel],
    encoded: Mapping[str, list[dict[str, Tensor]]],
    repeats: int,
    threads: int,
) -> None:
    if repeats < 1 or threads < 1:
        raise ValueError(f"repeats and threads must be at least 1, got {repeats} and {threads}")
    for name in models:
        if not encoded.get(name):
            raise ValueError(f"no encoded texts for the model {name!r}")
        rows = {batch["input_ids"].shape[0] for batch in encoded[name]}
        if rows != {1}:
            raise ValueError(f"each input of {name!r} must hold one text, got batches of {sorted(rows)}")


@contextmanager
def _inference(models: Mapping[str, PreTrainedModel], threads: int) -> Iterator[None]:
    training = {name: model.training for name, model in models.items()}
    threads_before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for model in models.values():
            model.eval()
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads_before)
        for name, model in models.items():
            model.train(training[name])


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector out of the measurement (for one round: a paused run should collect)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _time(call: Callable[[int], object], turn: int) -> int:
    start = time.perf_counter_ns()
    call(turn)
    return time.perf_counter_ns() - start


def _pass(model: PreTrainedModel, batches: list[dict[str, Tensor]], turn: int) -> None:
    model(**batches[turn % len(batches)])
    _wait_for(model.device)


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":  # elsewhere a call returns before its work is done
        torch.accelerator.synchronize(device)
