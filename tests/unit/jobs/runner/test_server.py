"""The process with the runner: when it ends, the next one finds its runs; while it works, pages go first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import psutil
import pytest

from kd_core.jobs import runner as module
from kd_core.system import process
from tests.unit.jobs.runner.steps import CONFIG, Steps, is_
from tests.unit.system.processes import ended, until


def test_orphans_are_found_at_the_start(store, runner):
    for run, claimed_by in (("gone", ended()), ("lives", f"{socket.gethostname()}:{parent()}")):
        store.create_run(run, CONFIG.model_dump(mode="json"))
        assert store.claim(claimed_by, run)
    runner(Steps())
    until(is_(store, "gone", "interrupted"))
    assert store.run("lives").status == "running"


def parent() -> str:
    return f"{os.getppid()}:{psutil.Process(os.getppid()).create_time():.1f}"


SERVER = """
import signal, threading, time
from kd_core.config import DistillConfig, of_today
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store

def handler(row, on_event, control):
    print("started", flush=True)
    while True:
        control.check()
        time.sleep(0.01)

signal_like_streamlit = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: signal_like_streamlit.set())
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in a shell's background
runner = Runner(Store(), {"distil": handler})
runner.start()
print(runner.submit(DistillConfig()), flush=True)
try:
    while not signal_like_streamlit.wait(0.05):
        pass
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [
        (signal.SIGTERM, 0, "interrupted"),
        (signal.SIGINT, 0, "interrupted"),
        (signal.SIGKILL, -signal.SIGKILL, "running"),
    ],
)
def test_a_server_that_ends(store, runner, number, code, status):
    """It leaves its run in time; one that is killed is found by the next."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    run, started = sorted(server.stdout.readline().strip() for _ in range(2))
    assert started == "started"
    server.send_signal(number)
    server.stdout.close()
    assert server.wait(180) == code
    assert store.run(run).status == status
    runner(lambda *_: None)
    until(is_(store, run, "interrupted"))


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has its own priority on Linux only")
def test_the_worker_is_nice_and_what_it_starts_too(store, runner, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)
    found: dict[str, tuple[int, int]] = {}

    def nice(name: str) -> None:
        thread = threading.get_native_id()
        found[name] = os.getpriority(os.PRIO_PROCESS, thread), os.sched_getscheduler(thread)

    def handler(*_: Any) -> None:
        nice("worker")
        child = threading.Thread(target=nice, args=("child",))
        child.start()
        child.join()

    nice("pages")
    run = runner(handler).submit(CONFIG)
    until(is_(store, run, "done"))
    assert found["worker"] == found["child"] == (process.NICENESS, os.SCHED_IDLE)
    assert found["pages"] == (os.getpriority(os.PRIO_PROCESS, 0), os.SCHED_OTHER)
    assert found["pages"][0] < process.NICENESS


def test_jobs_load_no_torch():
    code = "import sys, kd_core.jobs.runner, kd_core.job_kinds; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
