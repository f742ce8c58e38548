"""What a training in the dashboard gets beside other programs that each keep a core busy.

    python -m tests.bench.bench_share

Runs the demo with the student ``mini``, which uses all cores, through the dashboard's runner, and counts its
steps a second in turn: with nothing beside it, and beside one and two programs of normal priority that never
wait. Prints each, and the ratios. Nothing is asserted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

from kd_core.config import DistillConfig
from kd_core.job_kinds import HANDLERS, prepare
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store
from tests.bench.bench_pages import steps_per_second

ROUNDS = 3
STEPS = {"student.model": "mini", "training.steps": 2_000, "task.transfer_texts": 500, "teacher.epochs": 1}


@contextmanager
def busy(programs: int) -> Iterator[None]:
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(programs)]
    try:
        time.sleep(2)  # the scheduler has moved what it moves
        yield
    finally:
        for program in started:
            program.kill()
            program.wait()


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="kd-bench-"))
    os.environ["KD_HOME"] = str(home)
    store = Store()
    runner = Runner(store, HANDLERS, prepare=prepare)
    runner.start()
    run = runner.submit(DistillConfig().change(STEPS))
    while store.run(run).who != "student":
        time.sleep(0.5)
    speeds: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for _ in range(ROUNDS):
        for programs, measured in speeds.items():
            with busy(programs):
                measured.append(steps_per_second(home / "kd.sqlite"))
            print(f"{programs} busy programs: {measured[-1]:.1f} steps/s", flush=True)
    runner.stop(run)
    runner.close()
    for programs in (1, 2):
        print(f"beside {programs}: {mean(speeds[programs]) / mean(speeds[0]):.2f} of the speed")


if __name__ == "__main__":
    main()
