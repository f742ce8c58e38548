"""Memory of the process that runs jobs, over 20 short runs in a row.

    python -m tests.bench.bench_memory

Runs the demo's task with few steps through the dashboard's runner and prints the resident memory after each.
Nothing is asserted.
"""

from __future__ import annotations

import os
import tempfile
import time

import psutil

from kd_core.config import DistillConfig
from kd_core.job_kinds import HANDLERS, prepare
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store

RUNS = 20
SHORT = {"task.transfer_texts": 500, "teacher.epochs": 1, "training.steps": 20, "controls.latency_repeats": 5}


def main() -> None:
    os.environ["KD_HOME"] = tempfile.mkdtemp(prefix="kd-bench-")
    store = Store()
    runner = Runner(store, HANDLERS, prepare=prepare)
    runner.start()
    sizes = []
    for number in range(RUNS):
        run_id = runner.submit(
            DistillConfig().change({**SHORT, "objective.temperature": 1 + number, "training.seeds": [number]})
        )
        while store.run(run_id).status in ("queued", "running"):
            time.sleep(0.2)
        row = store.run(run_id)
        time.sleep(2)  # the runner gives memory back after it has said that the run is done
        sizes.append(psutil.Process().memory_info().rss / 1e6)
        print(f"run {number + 1:2}: {row.status}, {sizes[-1]:,.0f} MB", flush=True)
    print(f"growth after the first run: {sizes[-1] - sizes[0]:+,.0f} MB")
    runner.close()


if __name__ == "__main__":
    main()
