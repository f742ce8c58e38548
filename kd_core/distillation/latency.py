"""Step 4, the costs: latency of one text at a time, from the text to its answer."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from kd_core.distillation.metrics import Latency
from kd_core.system.control import Control
from kd_core.system.helpers import with_threads

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from kd_core.models.inference import Logits

WARM_UP = 10  # rounds that are not counted: allocators, caches and thread pools settle

Answer = Callable[[str], object]


def latency(
    answers: Mapping[str, Answer],
    texts: Sequence[str],
    tokens: Mapping[str, Sequence[int]],
    *,
    repeats: int,
    elsewhere: Collection[str] = (),
    control: Control | None = None,
) -> dict[str, Latency]:
    """Median and 95th percentile (ms) from one text to its answer, tokenizer included, for each model.

    Each of ``answers`` gets the ``texts`` in turn, ``repeats`` in all; they take turns text by text, so that
    a machine that slows down slows all of them alike. ``tokens[name]`` are the lengths of the texts there.
    That they compute with one thread is the caller's to see to (``inference``). How busy the thread was says
    nothing of those ``elsewhere``, for whose accelerator it waits.

    Raises: ValueError for no texts or repeats, Stopped through ``control``.
    """
    if repeats < 1 or not texts:
        raise ValueError(f"there must be a text and a repeat, got {len(texts)} and {repeats}")
    computed: dict[str, list[int]] = {name: [] for name in answers}  # nanoseconds, of warming up too
    calls = {name: partial(_answer, answer, texts, computed[name]) for name, answer in answers.items()}
    times = interleaved(calls, repeats, WARM_UP, control)
    return {
        name: Latency(
            p50=float(np.percentile(times[name], 50)) / 1e6,
            p95=float(np.percentile(times[name], 95)) / 1e6,
            batch=1,
            threads=1,
            texts=repeats,
            mean_tokens=float(np.mean([tokens[name][turn % len(texts)] for turn in range(repeats)])),
            tokenizer=True,
            busy=None if name in elsewhere else sum(computed[name][WARM_UP:]) / sum(times[name]),
        )
        for name in answers
    }


def answering(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, max_length: int
) -> Callable[[str], Logits]:
    """What the model does with one text: cut it into pieces, run, and hand over the logits."""
    from kd_core.models.inference import collate

    def answer(text: str) -> Logits:
        ids = tokenizer([text], truncation=True, max_length=max_length)["input_ids"]
        batch = collate([{"input_ids": ids[0]}], model.config.pad_token_id or 0)
        output = model(**{name: tensor.to(model.device) for name, tensor in batch.items()})
        logits: Logits = output.logits.cpu().numpy()  # waits for an accelerator
        return logits

    return answer


@contextmanager
def inference(models: Sequence[PreTrainedModel]) -> Iterator[None]:
    """Without gradients and dropout, and with one of torch's threads; all of it is put back."""
    training = [model.training for model in models]
    try:
        for model in models:
            model.eval()
        with torch.inference_mode(), with_threads(1):
            yield
    finally:
        for model, was_training in zip(models, training, strict=True):
            model.train(was_training)


def interleaved(
    calls: Mapping[str, Callable[[int], object]],
    repeats: int,
    warm_up: int,
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


def _answer(answer: Answer, texts: Sequence[str], computed: list[int], turn: int) -> None:
    start = time.thread_time_ns()
    answer(texts[turn % len(texts)])
    computed.append(time.thread_time_ns() - start)
