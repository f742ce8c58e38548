"""Processes that work beside this one on the same thing, and end when it does, however that happens."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from kd_core.system.control import Control
from kd_core.system.process import python

LOOK_EVERY = 1.0  # seconds until they pause, too
LONGEST_STEP = 60.0  # waited for at their end, with its checkpoint

OnLine = Callable[[str], None]
_LOCK = threading.Lock()
_inside: dict[int, int] = {}  # threads that are in ``with_threads``, with what the first of them found


@contextmanager
def helpers(
    commands: Sequence[Sequence[str]],
    logs: Path,
    *,
    threads: int,
    control: Control,
    on_line: OnLine | None = None,
    abandoned: bool = False,
) -> Iterator[None]:
    """``python -m COMMAND`` for each of ``commands``, with so many ``threads`` each, until the block ends.

    They pause with ``control``: each has to take its own from ``parent_control``. What they write is kept as
    ``logs/helper-N.txt``; ``on_line`` gets each line of their standard output instead, on threads of its own.
    They may finish the step that they are at, unless they are ``abandoned``: at a good end of the block
    nothing of theirs is wanted, and at any other nothing of those that have not said a word.
    """
    logs.mkdir(parents=True, exist_ok=True)
    processes = [
        _start(command, logs / f"helper-{number}.txt", threads, on_line)
        for number, command in enumerate(commands, start=1)
    ]
    over, spoke = threading.Event(), set[int]()
    others = [threading.Thread(target=_mirror_pauses, args=(control, processes, over), daemon=True)]
    if on_line:
        others += [
            threading.Thread(target=_read_lines, args=(one, on_line, spoke), daemon=True) for one in processes
        ]
    for thread in others:
        thread.start()
    try:
        yield
        if abandoned:
            for process in processes:
                process.kill()
    finally:
        over.set()
        for process in processes:
            with suppress(OSError):  # it is gone already
                _pipe(process.stdin).close()
            if abandoned and process.pid not in spoke:  # it may be importing for long
                process.kill()
        for process in processes:
            _wait(process)
        for thread in others:
            thread.join()


@contextmanager
def with_threads(count: int | None) -> Iterator[None]:
    """So many of torch's threads, which has one number for all models; it is put back. None: as many as now.

    A thread that begins while another is in here finds that one's number: it puts back what the first found.
    """
    if count is None:
        yield
        return
    import torch

    thread = threading.get_ident()
    with _LOCK:
        before, outer = torch.get_num_threads(), thread not in _inside
        if outer:
            before = _inside[thread] = next(iter(_inside.values()), before)
        torch.set_num_threads(count)
    try:
        yield
    finally:
        with _LOCK:
            if outer:
                del _inside[thread]
            torch.set_num_threads(before)


def parent_control() -> Control:
    """For a helper: the ``Control`` of whoever started it, which stops where that process ends."""
    control = Control()

    def listen() -> None:
        for line in sys.stdin:
            (control.pause if line.strip() == "pause" else control.resume)()
        control.stop()

    threading.Thread(target=listen, daemon=True).start()
    return control


def _start(command: Sequence[str], log: Path, threads: int, on_line: OnLine | None) -> subprocess.Popen[str]:
    with log.open("w", encoding="utf-8") as file:
        return subprocess.Popen(
            python(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if on_line else file,
            stderr=file,
            text=True,
            encoding="utf-8",
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            start_new_session=True,  # Ctrl-C is for us: we let them finish their step
        )


def _read_lines(process: subprocess.Popen[str], on_line: OnLine, spoke: set[int]) -> None:
    with _pipe(process.stdout) as lines:
        for line in lines:
            spoke.add(process.pid)
            on_line(line)


def _mirror_pauses(
    control: Control, processes: Sequence[subprocess.Popen[str]], over: threading.Event
) -> None:
    paused = False
    while not over.wait(LOOK_EVERY):
        if control.paused != paused:
            paused = control.paused
            for process in processes:
                with suppress(OSError):
                    _pipe(process.stdin).write("pause\n" if paused else "resume\n")
                    _pipe(process.stdin).flush()


def _pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(LONGEST_STEP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
