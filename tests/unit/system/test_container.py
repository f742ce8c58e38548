"""Limits of a container, as the kernel writes them."""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from kd_core.system import container

GB = 10**9
FILES: dict[str, dict[str, str]] = {
    "version 2": {
        "own": "0::/pod/app",
        "memory.max": f"{64 * GB}",
        "memory.current": f"{GB}",
        "pod/memory.max": f"{4 * GB}",
        "pod/memory.current": f"{3 * GB}",
        "pod/memory.stat": f"anon 5\ninactive_file {GB // 2}\n",
        "pod/app/memory.max": "max",
        "pod/app/memory.current": f"{GB}",
        "pod/cpu.max": "250000 100000",
        "pod/app/cpu.max": "max 100000",
    },
    "version 1": {
        "own": "7:cpu,cpuacct:/app\n4:memory:/app\n1:name=systemd:/app",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": f"{20 * GB}",
        "memory/app/memory.limit_in_bytes": f"{4 * GB}",
        "memory/app/memory.usage_in_bytes": f"{3 * GB}",
        "memory/app/memory.stat": f"inactive_file 0\ntotal_inactive_file {GB // 2}",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/app/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/app/cpu.cfs_period_us": "100000",
    },
    "groups with letters of other scripts": {
        "own": "0::/größe",
        "größe/memory.max": f"{4 * GB}",
        "größe/memory.current": f"{3 * GB}",
        "größe/memory.stat": f"inactive_file {GB // 2}",
        "größe/cpu.max": "250000 100000",
    },
    "a container that sees only itself": {
        "own": "0::/../../pod",
        "memory.max": f"{4 * GB}",
        "memory.current": f"{3 * GB}",
        "memory.stat": f"inactive_file {GB // 2}",
        "cpu.max": "250000 100000",
    },
}


def machine(monkeypatch: pytest.MonkeyPatch, folder: Path, files: dict[str, str]) -> None:
    """One of 32 GB free and 8 cores."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(container, "ROOT", folder)
    monkeypatch.setattr(container, "OWN", folder / "own")
    free = namedtuple("free", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free(32 * GB))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize("kind", FILES)
def test_the_tightest_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    machine(monkeypatch, tmp_path, FILES[kind])
    assert container.available_memory() == 1.5 * GB
    assert container.cores() == [0, 1]


def test_without_limits_the_machine_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, tmp_path, {"own": "0::/", "memory.max": "max", "cpu.max": "max 100000"})
    assert (container.available_memory(), len(container.cores())) == (32 * GB, 8)
    (tmp_path / "own").unlink()  # another system
    assert (container.available_memory(), len(container.cores())) == (32 * GB, 8)


def test_half_a_core_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, tmp_path, {"own": "0::/", "cpu.max": "50000 100000"})
    assert container.cores() == [0]
