"""What ``bench`` starts: ``python -m kd_core.deployment.benchmark_process REQUEST``, with pinned threads.

REQUEST is JSON, and so is each line on stdout: {"progress": label}, {"error": sentence} or {"result": ...}.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from kd_core.deployment.benchmark import MAX_LENGTH, THREADS, WHO, forms
from kd_core.deployment.benchmark_notes import kind_of_texts, waited
from kd_core.deployment.runtimes import form_name
from kd_core.distillation.roles import NAMES
from kd_core.errors import KDError
from kd_core.system.container import cores
from kd_core.system.formatting import counted, in_sentence

if TYPE_CHECKING:
    from kd_core.deployment.forms import OpenForm

LEAST = 5  # passes of a cell, however long they take
FOR_P95 = 20  # of fewer passes, the 95th percentile is just the slowest
QUANTILES = 21  # of a cell's times, kept for what waits for one another: each twentieth
TEXTS = 200  # different test texts that are used in turn

Request = Mapping[str, Any]
Say = Callable[[str, Any], None]


def main(argument: str) -> None:
    # Before anything that starts threads is imported: they inherit it.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[: int(os.environ[THREADS[0]])])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    request = json.loads(argument)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as lines:
        os.dup2(2, 1)  # what libraries print must not get between the lines

        def say(kind: str, content: Any) -> None:
            lines.write(json.dumps({kind: content}) + "\n")
            lines.flush()

        try:
            say("result", judge(request, say) if "who" in request else time_forms(request, say))
        except KDError as error:
            say("error", str(error))


def time_forms(request: Request, say: Say) -> dict[str, Any]:
    """All forms in turn, cell by cell: ``cells``, ``tokenizer_ms``, ``machine``, ``busy`` and ``notes``."""
    import torch

    from kd_core.deployment.forms import open_form, test_split
    from kd_core.system.machine import describe_machine

    threads = request["threads"]
    torch.set_num_threads(threads)
    opened = {
        name: open_form(request["run"], who, runtime, threads=threads) for name, who, runtime in forms()
    }
    positions = {who: _positions(opened[f"{who}-pytorch"].path) for who in WHO}
    texts = test_split(request["run"])[0][:TEXTS]
    cells: list[dict[str, Any]] = []
    notes: list[str] = []
    elapsed = computed = 0.0
    for length in request["lengths"]:
        too_long = [who for who in WHO if length != "texts" and length > positions[who]]
        for who in too_long:
            notes.append(
                f"{length} tokens are left out: the {in_sentence(NAMES[who])} reads {positions[who]:,} "
                "at most."
            )
        for batch in request["batches"]:
            say(
                "progress",
                f"timing batches of {batch}, {kind_of_texts(str(length))}, {counted(threads, 'thread')}",
            )
            if too_long:
                continue
            inputs = {name: batches(form, texts, batch, length) for name, form in opened.items()}
            limit = None if length == "texts" else int(length)
            calls = {
                name: [partial(form.answer, *rows, max_length=limit) for rows in inputs[name]]
                for name, form in opened.items()
            }
            began, used = time.perf_counter(), time.process_time()
            times = _time(calls, request, FOR_P95 if length == "texts" else LEAST)
            elapsed += time.perf_counter() - began
            computed += time.process_time() - used
            about = {"batch": batch, "length": str(length), "threads": threads, "tokenizer": True}
            for name, form in opened.items():
                lengths = [[len(ids) for ids in form.encode(rows, limit)] for rows in inputs[name]]
                cells.append(_cell(name, times[name], lengths, about))
    # Several threads wait for one another, too, so that of them this would say nothing.
    busy = computed / elapsed if elapsed and threads == 1 else None
    return {
        "cells": cells,
        "tokenizer_ms": _tokenizers(opened, texts, request["repeats"]),
        "machine": describe_machine(),
        "busy": busy,
        "notes": [*notes, *waited(busy)],
    }


def judge(request: Request, say: Say) -> dict[str, Any]:
    """One form on the whole test split, and the memory that it takes, on top of that of the libraries."""
    from kd_core.deployment.forms import open_form, test_split
    from kd_core.distillation.metrics import scores

    say("progress", f"accuracy and memory: {form_name(request['who'], request['runtime'])}")
    before = peak_memory()
    form = open_form(request["run"], request["who"], request["runtime"], threads=1)
    texts, labels = test_split(request["run"])
    logits = form.predict(texts)
    score = scores(logits, labels, form.labels)
    length = request["length"]
    rows = batches(form, texts[:TEXTS], request["batch"], length)[0]
    form.answer(*rows, max_length=None if length == "texts" else int(length))
    return {
        "answers": logits.argmax(axis=1).tolist(),
        "labels": labels.tolist(),
        "accuracy": score.accuracy,
        "low": score.low,
        "high": score.high,
        "texts": len(texts),
        "size_mb": form.size_mb,
        "params": form.params,
        "memory_mb": (peak_memory() - before) / 1e6,
    }


def batches(form: OpenForm, texts: list[str], batch: int, length: str | int) -> list[list[str]]:
    """The texts in batches, in order and around; for a number, texts that have so many tokens there.

    These are made of the others, one after the other: what they say does not matter to the time.
    """
    if length == "texts":
        rows = cycle(texts)
        return [list(islice(rows, batch)) for _ in range(max(1, len(texts) // batch))]
    special = form.tokenizer.num_special_tokens_to_add()
    parts = cycle(zip(texts, [max(1, len(ids) - special) for ids in form.encode(texts)], strict=True))
    return [[_of_length(form, parts, int(length)) for _ in range(batch)] for _ in range(8)]


def _of_length(form: OpenForm, parts: Iterator[tuple[str, int]], tokens: int) -> str:
    """``parts``: texts, and about how many tokens each has."""
    taken, have = [], 0
    while have < tokens:
        text, count = next(parts)
        taken.append(text)
        have += count
    text = ". ".join(taken)
    read = form.tokenizer(text, truncation=True, max_length=tokens, return_offsets_mapping=True)
    return text[: max(end for _, end in read["offset_mapping"])]


def peak_memory() -> int:
    """The most memory that this process has held, in bytes.

    Not ``ru_maxrss`` on Linux: there it starts with what the parent held.
    """
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    info = psutil.Process().memory_info()
    return int(getattr(info, "peak_wset", info.rss))


def _time(
    answers: Mapping[str, Sequence[Callable[[], object]]], request: Request, least: int
) -> dict[str, list[int]]:
    """Nanoseconds of each form's ``answers`` in turn: as many as the time of a cell allows, but ``least``."""
    from kd_core.distillation.latency import interleaved

    times: dict[str, list[int]] = {name: [] for name in answers}

    def call(name: str) -> Callable[[int], object]:
        turns = answers[name]
        return lambda turn: turns[(len(times[name]) + turn) % len(turns)]()

    calls = {name: call(name) for name in answers}
    start = time.monotonic()
    while True:  # until caches and thread pools have settled
        interleaved(calls, repeats=0, warm_up=1)
        if time.monotonic() - start > request["seconds"] / 10:
            break
    start, done = time.monotonic(), 0
    while done < least or (done < request["repeats"] and time.monotonic() - start < request["seconds"]):
        for name, passes in interleaved(calls, repeats=LEAST, warm_up=0).items():
            times[name] += passes
        done += LEAST
    return times


def _cell(name: str, times: list[int], lengths: list[list[int]], about: Mapping[str, Any]) -> dict[str, Any]:
    """``lengths``: of the texts of each batch, in tokens."""
    import numpy as np

    used = [lengths[turn % len(lengths)] for turn in range(len(times))]
    return {
        "form": name,
        **about,
        "tokens": float(np.mean([tokens for rows in used for tokens in rows])),
        "padded_to": float(np.mean([max(rows) for rows in used])),
        "passes": len(times),
        "p50": float(np.percentile(times, 50)) / 1e6,
        "p95": float(np.percentile(times, 95)) / 1e6 if len(times) >= FOR_P95 else None,
        "quantiles": (np.percentile(times, np.linspace(0, 100, QUANTILES)) / 1e6).round(5).tolist(),
        "texts_per_second": about["batch"] * len(times) / (sum(times) / 1e9),
    }


def _tokenizers(opened: Mapping[str, OpenForm], texts: list[str], repeats: int) -> dict[str, Any]:
    """Milliseconds for one text, by model: a part of what the cells have."""
    import numpy as np

    from kd_core.distillation.latency import WARM_UP, interleaved

    def call(form: OpenForm) -> Callable[[int], object]:
        return lambda turn: form.encode([texts[turn % len(texts)]])

    calls: dict[str, Callable[[int], object]] = {who: call(opened[f"{who}-pytorch"]) for who in WHO}
    times = interleaved(calls, repeats=repeats, warm_up=WARM_UP)
    return {
        who: {"p50": float(np.percentile(ns, 50)) / 1e6, "p95": float(np.percentile(ns, 95)) / 1e6}
        for who, ns in times.items()
    }


def _positions(source: Path) -> int:
    """The longest text, in tokens, that a model can read."""
    from transformers import AutoConfig

    from kd_core.models.checkpoints import clamp_length

    config = AutoConfig.from_pretrained(source, trust_remote_code=False, local_files_only=True)
    return clamp_length(config, MAX_LENGTH)


def _end_with_parent() -> None:
    """Wait for the end of stdin, which comes when the process that started this one is gone."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
