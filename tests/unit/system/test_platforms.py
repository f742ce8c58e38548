"""Differences on macOS and Windows, simulated by ``sys.platform``."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from filelock import Timeout

from kd_core.cli import carry_out, main
from kd_core.data.uploads import safe_name
from kd_core.deployment import benchmark_process
from kd_core.system import atomic, container, process
from kd_core.system.atomic import is_whole, new_folder

ELSEWHERE = ("darwin", "win32")
On = Callable[[str], None]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> On:
    """``on("win32")`` simulates that platform."""
    return lambda platform: monkeypatch.setattr(sys, "platform", platform)


def forbidden(*_: object, **__: object) -> Any:
    pytest.fail("this call does not exist on the platform")


# Priorities


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_a_core_is_reserved_for_pages_without_thread_priorities(
    on: On, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    on(platform)
    for name in ("setpriority", "sched_setscheduler"):
        monkeypatch.setattr(os, name, forbidden, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name in ("GOMP_SPINCOUNT", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        monkeypatch.setenv(name, "7")
    process.yield_to_pages()
    process.calm_torch()
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert os.environ["GOMP_SPINCOUNT"] == "7", "chosen by the user"
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS")
    process.calm_torch()
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_linux_lowers_the_priority_of_the_thread(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    on("linux")
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "setpriority", lambda *given: asked.append(given), raising=False)

    def sandbox(*_: object) -> None:
        raise PermissionError("not in here")

    monkeypatch.setattr(os, "sched_setscheduler", sandbox, raising=False)
    process.yield_to_pages()
    assert asked == [(os.PRIO_PROCESS, threading.get_native_id(), process.NICENESS)]


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_memory_is_released_on_linux_only(on: On, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(ctypes, "CDLL", forbidden)
    on(platform)
    process.give_memory_back()


# Identity of processes


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_processes_are_identified_by_start_time_without_proc(
    on: On, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    on(platform)
    monkeypatch.setattr(process, "_realm", forbidden)
    mine = process.owner()
    assert mine.startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert "@" not in mine
    assert process.fate(mine) is True
    host, number, started = mine.rsplit(":", 2)
    assert process.fate(f"{host}:{number}:{float(started) - 60}") is False, "another process had that number"
    assert process.fate(f"elsewhere:{number}:{started}") is None, "its heartbeat decides"
    child = subprocess.Popen([sys.executable, "-c", ""])
    began = psutil.Process(child.pid).create_time()
    child.wait()
    assert process.fate(f"{host}:{child.pid}:{began:.1f}") is False


# Locks and folders


class Windows:
    """Opens no folder, and flushes only files opened for writing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flushed: list[str] = []
        self._names: dict[int, tuple[str, int]] = {}
        self._open, self._fsync = os.open, os.fsync
        monkeypatch.setattr(atomic.os, "open", self.open)
        monkeypatch.setattr(atomic.os, "fsync", self.fsync)

    def open(self, path: Any, flags: int, *more: Any, **options: Any) -> int:
        if os.path.isdir(path) and not options:
            raise PermissionError(13, "Permission denied", str(path))
        handle = self._open(path, flags, *more, **options)
        self._names[handle] = (os.path.basename(path), flags)
        return handle

    def fsync(self, handle: int) -> None:
        name, flags = self._names[handle]
        if not flags & os.O_RDWR:
            raise OSError(9, "Bad file descriptor")
        self.flushed.append(name)
        self._fsync(handle)


def test_folders_are_flushed_as_windows_allows(
    on: On, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    windows = Windows(monkeypatch)
    with pytest.raises(PermissionError):
        atomic._flush(tmp_path)  # as on Linux
    on("win32")
    with new_folder(tmp_path / "run") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "weights").write_text("weights")
    assert sorted(windows.flushed) == ["manifest.json", "weights"]
    monkeypatch.undo()
    assert is_whole(tmp_path / "run")


@pytest.mark.filterwarnings("ignore:flock not supported on this filesystem")
def test_a_lock_works_on_disks_without_locks(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The existence of the file is the lock, as on some network disks."""
    import fcntl

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with process.machine_lock().acquire(blocking=False), pytest.raises(Timeout):
        process.machine_lock().acquire(blocking=False)
    with process.machine_lock().acquire(blocking=False):
        pass


@pytest.mark.parametrize("name", ["con.csv", "NUL.csv", "aux", "COM1.jsonl", "lpt9.tar.csv"])
def test_uploads_never_have_device_names(name: str) -> None:
    assert safe_name(name).startswith("file-")
    assert safe_name(f"a{name}").startswith("a")
    assert safe_name("console.csv") == "console.csv"


# Limits


def test_the_machine_is_the_limit_without_control_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(container, "OWN", tmp_path / "not there")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=3_000_000_000))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert container.available_memory() == 3_000_000_000
    assert container.cores() == [0, 1, 2]


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_peak_memory(on: On, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    import resource

    used = SimpleNamespace(ru_maxrss=5_000_000)
    monkeypatch.setattr(resource, "getrusage", lambda _: used if platform == "darwin" else forbidden())
    info = SimpleNamespace(rss=4_000_000, peak_wset=6_000_000)
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: info)
    on(platform)
    assert benchmark_process.peak_memory() == {"darwin": 5_000_000, "win32": 6_000_000}[platform]


# Signals


def test_kd_app_waits_for_its_server_on_windows(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", forbidden)
    monkeypatch.setattr(subprocess, "call", lambda command: started.append(command) or 3)
    on("win32")
    with pytest.raises(SystemExit) as end:
        main(["app", "--port", "8600"])
    assert end.value.code == 3
    assert started[0][:4] == [sys.executable, "-m", "streamlit", "run"]
    assert "8600" in started[0]


def test_portable_signals_stop_a_run() -> None:
    job = SimpleNamespace(
        control=SimpleNamespace(stop=lambda: said.append("stop")), leave=lambda: said.append("leave")
    )
    said: list[str] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with carry_out._signals_stop(job):  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert said == ["leave", "stop"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_a_closed_terminal_leaves_the_run_unless_nohup_ignores_it() -> None:
    said: list[str] = []
    job = SimpleNamespace(control=None, leave=lambda: said.append("leave"))
    before = signal.getsignal(signal.SIGHUP)
    try:
        for started_with in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(signal.SIGHUP, started_with)
            with carry_out._signals_stop(job):  # type: ignore[arg-type]
                signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == started_with
            assert said == ["leave"]
    finally:
        signal.signal(signal.SIGHUP, before)
