"""The honest benchmark: teacher and student in each runtime, over batch sizes, lengths and threads.

The measuring is done by other processes (``benchmark_process``), one after the other: one for each number
of threads, pinned to as many cores, in which the forms take turns; then one for each form, for its accuracy
and memory. This module plans, watches and puts together; no torch.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Annotated, Any, Literal, cast

import numpy as np
import psutil
from pydantic import Field

from kd_core.deployment.benchmark_notes import notes
from kd_core.deployment.paired import judge
from kd_core.deployment.reports import BenchCell, BenchReport, FormReport, LatencyReport
from kd_core.deployment.runtimes import RUNTIMES, Runtime
from kd_core.distillation.events import OnEvent, Progress, ignore
from kd_core.distillation.report import Report
from kd_core.distillation.roles import Role
from kd_core.distillation.run_folder import find
from kd_core.errors import RunError
from kd_core.system.container import cores
from kd_core.system.control import Control
from kd_core.system.process import python
from kd_core.system.settings import Distinct, Settings, setting

MIN_LENGTH, MAX_LENGTH = 4, 8192
Length = Literal["texts"] | Annotated[int, Field(ge=MIN_LENGTH, le=MAX_LENGTH)]

WHO: tuple[Role, ...] = ("teacher", "student")
LOOK_EVERY = 0.2  # seconds between looks at the control while a process measures
# Whatever computes in threads reads one of these when it is loaded.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


class BenchConfig(Settings):
    run: str = setting(..., "Id of a finished run")
    batches: Distinct[Annotated[int, Field(ge=1, le=4096)]] = setting(
        (1, 8, 32), "Texts in a batch", min_length=1
    )
    lengths: Distinct[Length] = setting(
        ("texts", 16, 64, 128),
        "'texts': texts of the test split, of any length; else so many tokens each",
        min_length=1,
        legal=f"a list of 'texts' and whole numbers from {MIN_LENGTH} to {MAX_LENGTH:,}",
    )
    threads: Distinct[Annotated[int, Field(ge=1, le=1024)]] = setting(
        (), "Threads to compute with (none given: 1, and one for each core)"
    )
    repeats: int = setting(100, "Batches timed in each cell, at most, in fives", ge=5, le=100_000)
    seconds: float = setting(
        2.0,
        "Time for a cell and all its forms; five batches are timed anyway, and twenty of test texts",
        ge=0,
        le=600,
    )


def bench(config: BenchConfig, on_event: OnEvent = ignore, control: Control | None = None) -> BenchReport:
    """Measure the forms of a finished run: ``forms``, ``cells``, ``tokenizer_ms``, ``notes`` and so on.

    Raises: RunError where the run is missing or changed, or a process ends early; Stopped, within a batch.
    """
    control = control or Control()
    report = Report.read(find(config.run))
    if report.teacher_is_file:
        raise RunError(
            f"The teacher of run {config.run} is a file of answers, with no speed to compare with. "
            f"kd export {config.run} --to student.zip --onnx --int8 measures the student's forms."
        )
    started = datetime.now(UTC)
    threads = config.threads or tuple(sorted({1, len(cores())}))
    todo = len(threads) * len(config.batches) * len(config.lengths) + len(WHO) * len(RUNTIMES)
    done = 0

    def progress(label: str) -> None:
        nonlocal done
        on_event(Progress(None, label, done, todo))
        done += 1

    asked = config.model_dump(mode="json")
    on_event(Progress(None, "preparing the models", 0, todo))
    timed = [_measure(asked | {"threads": n}, n, progress, control) for n in threads]
    cells: list[BenchCell] = [cell for part in timed for cell in part["cells"]]
    left_out = [note for part in timed for note in part["notes"]]
    if not cells:  # each length is longer than a model reads
        raise RunError(f"There is nothing to time: {' '.join(dict.fromkeys(left_out))} Give shorter lengths.")
    # After the timing: converting a model, which the first process that needs it does, takes memory too.
    largest = {
        "batch": max(cell["batch"] for cell in cells),
        "length": max(
            (cell["length"] for cell in cells if cell["length"] != "texts"), key=int, default="texts"
        ),
    }
    measured = {
        form: _measure({"run": config.run, "who": who, "runtime": runtime} | largest, 1, progress, control)
        for form, who, runtime in forms()
    }
    answers, labels = (
        {form: np.array(found.pop(name)) for form, found in measured.items()}
        for name in ("answers", "labels")
    )
    judged = judge(answers, labels["student-pytorch"], report.metric, report.labels)
    on_event(Progress(None, "done", todo, todo))
    tokenizer_ms = timed[0]["tokenizer_ms"]
    return {
        "run": config.run,
        "created": started.isoformat(timespec="seconds"),
        "seconds": (datetime.now(UTC) - started).total_seconds(),
        "task": report.config["task"]["name"],
        "machine": timed[0]["machine"] | {"cores": len(cores())},  # it was pinned to fewer
        "forms": [
            cast(
                FormReport,
                {"name": form, "who": who, "runtime": runtime}
                | measured[form]
                | {"latency_ms": _headline(cells, form, timed[0]["busy"])}
                | judged[form],
            )
            for form, who, runtime in forms()
        ],
        "cells": cells,
        "tokenizer_ms": tokenizer_ms,
        "notes": [*notes(cells, tokenizer_ms, left_out), *filter(None, [report.whose_students])],
    }


def forms() -> Iterator[tuple[str, Role, Runtime]]:
    """("teacher-pytorch", "teacher", "pytorch"), ... in the order in which they are always listed."""
    for who in WHO:
        for runtime in RUNTIMES:
            yield f"{who}-{runtime}", who, runtime


def _headline(cells: list[BenchCell], form: str, busy: float | None) -> LatencyReport:
    """The first cell of a form: by default one test text at a time on one thread.

    ``busy``: as in ``Latency``, of all that its number of threads has measured.
    """
    cell = next(cell for cell in cells if cell["form"] == form)
    return {
        "p50": cell["p50"],
        "p95": cell["p95"],
        "batch": cell["batch"],
        "threads": cell["threads"],
        "texts": cell["passes"],
        "mean_tokens": cell["tokens"],
        "tokenizer": cell.get("tokenizer", False),
        "busy": busy,
    }


def _measure(
    request: Mapping[str, Any], threads: int, progress: Callable[[str], None], control: Control
) -> dict[str, Any]:
    """Have a new process answer ``request``. Raises: RunError, Stopped (the process is killed)."""
    control.check()
    with _process(request, threads) as (process, lines, errors):
        while True:
            if control.paused:
                _pause(process, control)
            control.check()
            try:
                line = lines.get(timeout=LOOK_EVERY)
            except queue.Empty:
                continue
            if line is None:
                control.check()  # a Ctrl-C in a terminal may have reached the process too
                raise RunError(_ended(process.wait(), errors()))
            match json.loads(line):
                case {"progress": label}:
                    progress(label)
                case {"error": text}:
                    raise RunError(text)
                case {"result": dict() as result}:
                    return result


@contextmanager
def _process(
    request: Mapping[str, Any], threads: int
) -> Iterator[tuple[subprocess.Popen[str], queue.Queue[str | None], Callable[[], str]]]:
    """The process, the lines that it writes (None at the end), and all that it said of errors."""
    process = subprocess.Popen(
        python("kd_core.deployment.benchmark_process", json.dumps(request)),
        env=os.environ | dict.fromkeys(THREADS, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"},
        stdin=subprocess.PIPE,  # its end tells the process that we are gone
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    lines: queue.Queue[str | None] = queue.Queue()
    said: list[str] = []

    def errors() -> str:  # its output may be at the end before its errors are read
        readers[1].join()
        return "".join(said)

    def read(stream: IO[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    readers = [
        threading.Thread(target=read, args=(process.stdout,), daemon=True),
        threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        yield process, lines, errors
    finally:
        process.kill()
        process.wait()
        for reader in readers:
            reader.join()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def _pause(process: subprocess.Popen[str], control: Control) -> None:
    try:
        stopped = psutil.Process(process.pid)
        stopped.suspend()
        control.wait()
        stopped.resume()
    except psutil.NoSuchProcess:  # it ended meanwhile, and its last line says how
        control.wait()


def _ended(status: int, errors: str) -> str:
    last = errors.strip().splitlines()[-1:] or ["it said nothing"]
    reason = "it was killed, perhaps for lack of memory" if status == -9 else last[0]
    return f"The process that measures ended early (status {status}): {reason}. Start the benchmark again."
