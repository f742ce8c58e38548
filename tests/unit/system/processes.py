"""An ended process, and waiting for a condition."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable

import psutil


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 180  # a worker takes idle time only
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ended() -> str:
    """Return the owner name of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(process.pid).create_time()
    process.wait()
    return f"{socket.gethostname()}:{process.pid}:{started:.1f}"
