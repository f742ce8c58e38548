"""Folders as runs leave them, and which of them may go."""

from __future__ import annotations

import os
import time
from pathlib import Path

from kd_core.config import DistillConfig
from kd_core.jobs import cleaning
from kd_core.jobs.cleaning import inventory
from kd_core.jobs.store import Store
from kd_core.system import paths

RUN, OTHER = "20260131-143000-a1b2", "20260131-150000-c3d4"
CONFIG = DistillConfig().model_dump(mode="json")


def folder(*parts: str, size: int = 1000, days: float = 0, **texts: str) -> Path:
    place = paths.home().joinpath(*parts)
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.safetensors").write_bytes(bytes(size))
    for name, text in texts.items():
        (place / f"{name}.txt").write_text(text)
    then = time.time() - days * cleaning.DAY
    for path in (*place.iterdir(), place):
        os.utime(path, (then, then))
    return place


def found(store: Store) -> dict[str, tuple[bool, str]]:
    """Path under the home: whether it may go, and why."""
    return {
        item.path.relative_to(paths.home()).as_posix(): (item.removable, item.why)
        for item in inventory(store)
    }
