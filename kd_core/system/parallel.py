"""Several processes on one run, started by ``accelerate launch`` or ``torchrun``; nothing to a single one.

They go the same way through a run and meet in ``on_main_process``, ``gather`` and ``all_reduce_sum``: each of
them has to call these in the same order. The first is the main process: it alone writes files (but for the
random state in a checkpoint) and tells events. What runs inside ``on_main_process`` or ``gather`` is on its
own: there ``size()`` is 1. All processes see the same ``KD_HOME``, and trust each other: what they send is
pickled.
"""

from __future__ import annotations

import atexit
import gc
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, cuda, distributed

from kd_core.errors import KDError, RunError
from kd_core.system.atomic import discard, is_whole, new_folder

T = TypeVar("T")

# The others wait while the main process waits for its turn, is paused, or validates.
PATIENCE = timedelta(days=7)

_on_its_own = False


def join() -> None:
    """Meet the other processes, where there are any; waits until all are there."""
    if "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1 and not _joined():
        from accelerate import PartialState

        PartialState(cpu=not cuda.is_available(), timeout=PATIENCE)
        atexit.register(leave)


def leave() -> None:
    """End the group with its threads: one that lets go of a tensor while Python ends aborts the process."""
    distributed.destroy_process_group()
    gc.collect()  # a trainer refers to the group in a circle, which keeps its threads (pytorch issue 190489)


def size() -> int:
    return distributed.get_world_size() if _joined() and not _on_its_own else 1


def rank() -> int:
    return distributed.get_rank() if _joined() and not _on_its_own else 0


def is_main() -> bool:
    return rank() == 0


def on_main_process(work: Callable[[], T]) -> T:
    """What ``work()`` returns in the main process, which alone does it; its error is raised in all."""
    if size() == 1:
        return work()
    outcomes: list[Any] = [_attempt(work) if is_main() else None]
    distributed.broadcast_object_list(outcomes)
    return _agreed(outcomes)[0]  # type: ignore[no-any-return]


def gather(work: Callable[[], T]) -> list[T]:
    """What ``work()`` returns in each process, in order. An error of one is raised in all."""
    if size() == 1:
        return [work()]
    outcomes: list[Any] = [None] * size()
    distributed.all_gather_object(outcomes, _attempt(work))
    return _agreed(outcomes)


def wait() -> None:
    """Until all processes are here."""
    gather(lambda: None)


def all_reduce_sum(values: Tensor) -> Tensor:
    """The sum over the processes, in place."""
    if size() > 1:
        distributed.all_reduce(values)
    return values


def shard_batch(rows: list[int]) -> list[int]:
    """This process's part of a batch, never empty: one with fewer rows than processes goes whole to each."""
    return rows[rank() :: size()] if len(rows) >= size() else rows


def shard_rows(start: int, stop: int) -> slice:
    """This process's part of consecutive rows; the parts are in the order of the processes."""
    rows = stop - start
    return slice(start + rows * rank() // size(), start + rows * (rank() + 1) // size())


def fetch(place: Path, make: Callable[[Path], None]) -> bool:
    """``atomic.fetch`` by all processes: each calls ``make``, in which the main one writes."""
    if on_main_process(lambda: is_whole(place)):
        return True
    with ExitStack() as stack:

        def begin() -> Path:
            if place.is_dir():
                discard(place)
            return stack.enter_context(new_folder(place))

        make(on_main_process(begin))
        on_main_process(stack.close)  # sealed and in its place
    return False


@contextmanager
def together() -> Iterator[None]:
    """Says in one sentence that another process went away. Raises: RunError."""
    join()
    try:
        yield
    except RuntimeError as error:
        if size() > 1 and (isinstance(error, distributed.DistError) or "/gloo/" in str(error)):
            raise RunError(
                f"Another of the {size()} processes of this run went away; its own output says why. "
                "Resume the run to go on from its last checkpoint."
            ) from error
        raise


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _attempt(work: Callable[[], T]) -> tuple[Exception | None, T | None]:
    """The error of ``work``, and what it returns."""
    global _on_its_own
    number, count = rank() + 1, size()
    _on_its_own = True
    try:
        return None, work()
    except KDError as error:
        return error, None
    except Exception as error:  # noqa: BLE001 (raised below, in all processes)
        where = f"Process {number} of {count} on {socket.gethostname()}"
        failure = RunError(f"{where} failed: {type(error).__name__}: {_first_line(error)}")
        return failure.with_traceback(error.__traceback__), None
    finally:
        _on_its_own = False


def _agreed(outcomes: list[Any]) -> list[Any]:
    for error, _ in outcomes:
        if error is not None:
            raise error
    return [value for _, value in outcomes]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
