"""This process among others: who it is, whose turn it is, and what it leaves to others."""

from __future__ import annotations

import ctypes
import gc
import ipaddress
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from kd_core.system import paths
from kd_core.system.control import Control

NICENESS = 10
LOOK_EVERY = 0.2  # seconds between looks at whether to stop waiting for a lock


def owner() -> str:
    """This process: host, process id, and when it started (on Linux since the boot, which is named too)."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def fate(owner: str) -> bool | None:
    """Whether a process still runs; None where that cannot be seen from here, but only by its heartbeat.

    A process number is looked up only where it was given: under the same boot and process namespace, or, of a
    process that has no such name, on the same host. What is no process's name is that of none.
    """
    try:
        host, number, started = owner.rsplit(":", 2)
        if "@" in started:
            if sys.platform != "linux" or started.partition("@")[2] != _realm():
                return None
            return _started(int(number)) == started
        if host != socket.gethostname():
            return None
        # Not equal: these start times are computed from the clock, which may be set a little meanwhile.
        return abs(psutil.Process(int(number)).create_time() - float(started)) < 2
    except (psutil.Error, OSError, ValueError, OverflowError):
        return False


def alive(owner: str) -> bool:
    """Whether a process still runs, as far as can be seen from here, where no heartbeat says so.

    Of before this machine was started anew, none does.
    """
    return not _is_of_an_earlier_boot(owner) and fate(owner) is not False


def ended_with_its_boot(owner: str, beat: datetime) -> bool:
    """Whether this machine has been started anew since a process of its own gave its last sign of life.

    Another machine may have the same name, and its boot is another one too: that sign tells them apart.
    """
    return _is_of_an_earlier_boot(owner) and beat.timestamp() < psutil.boot_time()


def _is_of_an_earlier_boot(owner: str) -> bool:
    host, _, process = owner.partition(":")
    boot = process.partition("@")[2].partition("/")[0]
    here = sys.platform == "linux" and host == socket.gethostname()
    return bool(boot) and here and boot != _realm().partition("/")[0]


def _started(number: int) -> str:
    """Ticks of the clock that a process started after the boot, which no one sets; elsewhere the time."""
    if sys.platform != "linux":
        return f"{psutil.Process(number).create_time():.1f}"
    stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(number, "It has ended, and nobody has asked how")
    return f"{fields[19]}@{_realm()}"


@cache
def _realm() -> str:
    """Where process numbers mean what they mean to this process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{re.sub(r'[^0-9]', '', os.readlink('/proc/self/ns/pid'))}"


def machine_lock() -> FileLock:
    """Held by whoever runs a job on this machine; a process that ends, however it ends, gives it back."""
    return FileLock(paths.make_home() / "machine.lock", thread_local=False)


@contextmanager
def holding(lock: FileLock, control: Control) -> Iterator[None]:
    """Hold ``lock``, once nobody else does. Raises: Stopped, while it waits."""
    while not lock.is_locked:
        control.check()
        with suppress(Timeout):
            lock.acquire(timeout=LOOK_EVERY)
    try:
        yield
    finally:
        lock.release()


def give_memory_back() -> None:
    """After a run: what it left, to the system. glibc keeps freed memory for itself unless it is asked."""
    gc.collect()  # models and trainers hold each other
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def collect_garbage_rarely() -> None:
    """To look through the modules that are being loaded, which all stay, is a sixth of the time it takes."""
    gc.set_threshold(50_000)


def calm_torch() -> None:
    """Settings that its libraries read when they are loaded, so that pages are drawn beside them."""
    # Threads that wait for each other by spinning keep pages off the cores: p95 of a rerun was 118 ms, and is
    # 93 with this; a step 31 and 33 ms. Waiting asleep would help no more, and cost 13 ms a step.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Kernels that oneDNN keeps for the shapes it has met: half its default costs no speed, and 100 MB less.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")
    if sys.platform != "linux":  # a thread has no priority of its own
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) - 1)))


def yield_to_pages() -> None:
    """Leave the processor to whoever draws pages. Called before torch starts threads, which inherit it."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, NICENESS)
        # Niceness alone leaves a core that trains busy for the scheduler, so that server and browser share
        # the other; with this policy it counts as free (docs/performance.md has what a rerun takes). The
        # price: beside programs that want all cores, training all but stands still.
        with suppress(OSError):  # a sandbox that forbids it
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))


def python(module: str, *arguments: str) -> list[str]:
    """The command ``python -m MODULE``, which finds modules where this process does.

    By itself Python looks in the working directory first: a ``random.py`` that lies beside somebody's texts
    would be run.
    """
    looks_here = False
    with suppress(OSError):  # the directory may have been deleted
        looks_here = os.getcwd() in map(os.path.abspath, sys.path)
    return [sys.executable, *(() if looks_here else ("-P",)), "-m", module, *arguments]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``. An empty one stands for every interface."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def local_address() -> str | None:
    """This machine's address in its network; None without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for examples; of UDP, nothing is sent
        except OSError:
            return None
        address = str(probe.getsockname()[0])
        return None if is_loopback(address) else address
