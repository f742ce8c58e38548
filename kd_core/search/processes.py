"""More workers on this machine: processes of their own, each with its share of the cores.

Small students gain little from a second core: two side by side, each on one, are done sooner than one after
the other on both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import torch

from kd_core.jobs.runner import LONGEST_STEP, LOOK_EVERY
from kd_core.search.config import SearchConfig
from kd_core.system.container import available_memory
from kd_core.system.control import Control
from kd_core.system.settings import fixed

MEMORY = 1.5e9  # bytes of a worker: torch, the teachers of all folds, and what they recorded


def workers_here(config: SearchConfig) -> int:
    """How many trainings at once; ``auto``: one a core, as far as memory goes, one where there is a GPU."""
    room = int(available_memory() / MEMORY)
    auto = 1 if torch.cuda.is_available() else min(torch.get_num_threads(), room)
    return max(1, min(auto if config.workers == "auto" else fixed(config.workers), config.cells))


@contextmanager
def more_workers(study: str, count: int, work: Path, control: Control) -> Iterator[None]:
    """``count`` more workers on ``study`` until the block ends, or this process does, however that happens.

    They pause with ``control``. One that fails does no harm: its cell is given back, and its output stays
    in ``work`` until the search is done.
    """
    threads = torch.get_num_threads()
    share = max(1, threads // (count + 1))
    work.mkdir(parents=True, exist_ok=True)
    processes = [_start(study, work / f"helper-{number}", share) for number in range(1, count + 1)]
    over = threading.Event()
    speaker = threading.Thread(target=_pass_on, args=(control, processes, over), daemon=True)
    speaker.start()
    torch.set_num_threads(share)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        over.set()
        speaker.join()
        for process in processes:
            with suppress(OSError):  # it is gone already
                _input(process).close()
        for process in processes:
            _wait(process)


def _start(study: str, work: Path, threads: int) -> subprocess.Popen[str]:
    with work.with_suffix(".txt").open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "kd_core.search", study, str(work.absolute())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            start_new_session=True,  # Ctrl-C is for us: we let them finish their step
        )


def _pass_on(control: Control, processes: list[subprocess.Popen[str]], over: threading.Event) -> None:
    paused = False
    while not over.wait(LOOK_EVERY):
        if control.paused != paused:
            paused = control.paused
            for process in processes:
                with suppress(OSError):
                    _input(process).write("pause\n" if paused else "resume\n")
                    _input(process).flush()


def _input(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None
    return process.stdin


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(LONGEST_STEP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
