"""What differs on macOS and Windows, on a machine that says that it is one."""

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
from kd_core.system import atomic, container, paths, process
from kd_core.system.atomic import is_whole, new_folder

ELSEWHERE = ("darwin", "win32")
On = Callable[[str], None]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> On:
    """``on("win32")``: from here on it is that."""
    return lambda platform: monkeypatch.setattr(sys, "platform", platform)


def forbidden(*_: object, **__: object) -> Any:
    pytest.fail("this platform has no such call")


# Priorities


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_without_priorities_of_threads_a_core_is_left_to_the_pages(
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
    assert os.environ["GOMP_SPINCOUNT"] == "7", "somebody has chosen it"
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS")
    process.calm_torch()
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_on_linux_a_thread_yields_by_itself(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    on("linux")
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "setpriority", lambda *given: asked.append(given), raising=False)

    def sandbox(*_: object) -> None:
        raise PermissionError("not in here")

    monkeypatch.setattr(os, "sched_setscheduler", sandbox, raising=False)
    process.yield_to_pages()
    assert asked == [(os.PRIO_PROCESS, threading.get_native_id(), process.NICENESS)]


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_memory_is_given_back_by_the_c_library_of_linux_alone(
    on: On, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", forbidden)
    on(platform)
    process.give_memory_back()


def test_another_c_library_is_no_error(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    on("linux")
    for library in (OSError("no libc.so.6"), AttributeError("no malloc_trim")):

        def load(_: str, error: Exception = library) -> None:
            raise error

        monkeypatch.setattr(ctypes, "CDLL", load)
        process.give_memory_back()


# Who a process is


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_a_process_is_known_by_its_start_where_there_is_no_proc(
    on: On, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    on(platform)
    monkeypatch.setattr(process, "_realm", forbidden)
    mine = process.owner()
    assert mine.startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert "@" not in mine
    assert process.fate(mine) is True
    host, number, started = mine.rsplit(":", 2)
    assert process.fate(f"{host}:{number}:{float(started) - 60}") is False, "that number was another's"
    assert process.fate(f"elsewhere:{number}:{started}") is None, "its heartbeat decides"
    child = subprocess.Popen([sys.executable, "-c", ""])
    began = psutil.Process(child.pid).create_time()
    child.wait()
    assert process.fate(f"{host}:{child.pid}:{began:.1f}") is False


# Locks and folders


class Windows:
    """Opens no folder, and flushes only what was opened to be written."""

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


def test_a_folder_is_flushed_as_windows_lets_it(
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
def test_a_lock_keeps_others_out_where_the_disk_has_none(
    kd_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network disks; the file itself is the lock then."""
    import fcntl

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with process.machine_lock().acquire(blocking=False), pytest.raises(Timeout):
        process.machine_lock().acquire(blocking=False)
    with process.machine_lock().acquire(blocking=False):
        pass


@pytest.mark.parametrize("name", ["con.csv", "NUL.csv", "aux", "COM1.jsonl", "lpt9.tar.csv"])
def test_no_upload_has_the_name_of_a_device(name: str) -> None:
    assert safe_name(name).startswith("file-")
    assert safe_name(f"a{name}").startswith("a")
    assert safe_name("console.csv") == "console.csv"


def test_two_starts_give_a_folder_one_id_where_the_disk_has_no_links(
    kd_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "link")
    paths.make_home()
    assert paths.folder_id()


# Limits


def test_without_groups_the_machine_is_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(container, "OWN", tmp_path / "not there")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=3_000_000_000))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert container.available_memory() == 3_000_000_000
    assert container.cores() == [0, 1, 2]


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_the_most_memory_of_a_process(on: On, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    import resource

    used = SimpleNamespace(ru_maxrss=5_000_000)
    monkeypatch.setattr(resource, "getrusage", lambda _: used if platform == "darwin" else forbidden())
    info = SimpleNamespace(rss=4_000_000, peak_wset=6_000_000)
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: info)
    on(platform)
    assert benchmark_process.peak_memory() == {"darwin": 5_000_000, "win32": 6_000_000}[platform]


# Signals


def test_on_windows_kd_app_waits_for_the_server_it_starts(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", forbidden)
    monkeypatch.setattr(subprocess, "call", lambda command: started.append(command) or 3)
    on("win32")
    with pytest.raises(SystemExit) as end:
        main(["app", "--port", "8600"])
    assert end.value.code == 3
    assert started[0][:4] == [sys.executable, "-m", "streamlit", "run"]
    assert "8600" in started[0]


def test_a_run_is_stopped_by_signals_that_every_platform_has() -> None:
    """Windows has no other than these two for it; what was there before comes back."""
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


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no signal says here that a terminal was closed")
def test_a_terminal_that_is_closed_leaves_the_run_unless_nohup_has_it_ignored() -> None:
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
