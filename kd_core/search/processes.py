"""More workers on this machine: processes of their own, each with its share of the cores.

Small students gain little from a second core: two side by side, each on one, are done sooner than one after
the other on both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from kd_core.search.config import SearchConfig
from kd_core.system.container import available_memory
from kd_core.system.control import Control
from kd_core.system.helpers import helpers, with_threads
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
    share = max(1, torch.get_num_threads() // (count + 1))
    commands = [
        ("kd_core.search", study, str(work.absolute() / f"helper-{number}")) for number in range(1, count + 1)
    ]
    with helpers(commands, work, threads=share, control=control), with_threads(share):
        yield
