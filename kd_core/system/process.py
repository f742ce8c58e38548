"""This process among others: who it is, whose turn it is, and what it leaves to others."""

from __future__ import annotations

import ctypes
import gc
import ipaddress
import os
import socket
import sys
import threading
from contextlib import suppress

import psutil
from filelock import FileLock

from kd_core.system import paths

NICENESS = 10


def owner() -> str:
    """This process: host, process id and start time."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.1f}"


def alive(owner: str) -> bool:
    """Whether a process still runs. One on another machine counts as alive: its heartbeat decides.

    What is no process's name is that of none.
    """
    try:
        host, pid, started = owner.rsplit(":", 2)
        if host != socket.gethostname():
            return True
        # Not equal: start times are computed from the clock, which may be set a little meanwhile.
        return abs(psutil.Process(int(pid)).create_time() - float(started)) < 2
    except (psutil.Error, ValueError, OverflowError):
        return False


def machine_lock() -> FileLock:
    """Held by whoever runs a job on this machine; a process that ends, however it ends, gives it back."""
    return FileLock(paths.make_home() / "machine.lock", thread_local=False)


def give_memory_back() -> None:
    """After a run: what it left, to the system. glibc keeps freed memory for itself unless it is asked."""
    gc.collect()  # models and trainers hold each other
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def yield_to_pages() -> None:
    """Leave the processor to whoever draws pages. Called before torch starts threads, which inherit it."""
    # Threads that wait for each other by spinning keep pages off the cores: p95 of a rerun was 118 ms, and is
    # 93 with this; a step 31 and 33 ms. Waiting asleep would help no more, and cost 13 ms a step.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Kernels that oneDNN keeps for the shapes it has met: half its default costs no speed, and 100 MB less.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, NICENESS)
        # Niceness alone leaves a core that trains busy for the scheduler, so that server and browser share
        # the other; with this policy it counts as free. p95 of a rerun over idle: 1.6 to 2.0, then 1.15 to
        # 1.5. The price: beside programs that want all cores, training all but stands still.
        with suppress(OSError):  # a sandbox that forbids it
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
    else:  # a thread has no priority of its own
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) - 1)))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``. An empty one stands for every interface."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
