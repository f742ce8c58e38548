"""Memory and cores as the container has them, maybe a small part of the machine's (cgroup v1 and v2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# Files with the limit and the use of memory: of version 2, then of version 1.
MEMORY = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def available_memory() -> int:
    """Bytes that may still be used: what the machine has free, or less where a group has a limit.

    What a limit leaves counts files in memory that can be dropped as free.
    """
    left = [int(psutil.virtual_memory().available)]
    for folder in _groups("memory"):
        for limit, used in MEMORY:
            with suppress(OSError, ValueError):  # "max": none
                most, taken = int(_read(folder / limit)), int(_read(folder / used))
                left.append(max(0, most - taken + _droppable(folder)))
    return min(left)


def cores() -> list[int]:
    """The processor's cores that this process may use, as many as its groups have time for."""
    if hasattr(os, "sched_getaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
    else:
        allowed = list(range(os.cpu_count() or 1))
    quotas = [quota for folder in _groups("cpu") if (quota := _quota(folder))]
    return allowed[: max(1, int(min(quotas)))] if quotas else allowed


def _quota(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota, period = _read(folder / "cpu.max").split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        return int(quota) / int(period) if int(quota) > 0 else None
    return None


def _droppable(folder: Path) -> int:
    with suppress(OSError, ValueError):
        stat = dict(line.split() for line in _read(folder / "memory.stat").splitlines())
        # Version 1 has both: with the groups below, as the use counts them, and without.
        return int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return 0


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's group and of all above it; in a container often the root alone."""
    try:
        lines = [line.split(":", 2) for line in _read(OWN).splitlines()]
    except OSError:  # not Linux
        return
    for _, names, place in lines:
        if names and controller not in names.split(","):
            continue
        root = ROOT / names if names and (ROOT / names).is_dir() else ROOT / controller if names else ROOT
        parts = [part for part in place.split("/") if part not in ("", "..")]
        for count in range(len(parts) + 1):
            yield root.joinpath(*parts[:count])


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="surrogateescape").strip()  # as names of files are read
