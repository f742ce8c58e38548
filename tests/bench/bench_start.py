"""How long one waits for a first page and a first answer: ``python -m tests.bench.bench_start``.

Prints seconds on cold processes, each several times: the first visit of Distill on a new server, to the form
with its button and to a page at rest, with nothing beside it and beside a program that keeps a core busy; and
``kd predict`` with a run that is there, from the command to its end. Nothing is asserted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

from kd_core import distill
from kd_core.config import DistillConfig
from tests.bench.bench_share import busy
from tests.bench.browser import dashboard
from tests.e2e.dashboard import settle

ROUNDS = 3
SHORT = {"task.train_texts": 200, "task.transfer_texts": 0, "teacher.epochs": 1, "training.steps": 30}


def first_visit(home: Path) -> tuple[float, float]:
    """Seconds from the request to the form, and to a page at rest; the browser is open before."""
    with dashboard(home) as (server, page):
        began = time.monotonic()
        page.goto(f"{server.url}/distill")
        page.get_by_role("button", name="Start distillation").wait_for()
        form = time.monotonic() - began
        settle(page)
        return form, time.monotonic() - began


def command(*arguments: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "kd_core.cli", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="kd-bench-"))
    for programs in (0, 1):
        with busy(programs):
            visits = [first_visit(home / f"{programs}-{number}") for number in range(ROUNDS)]
        for what, seconds in zip(("the form", "at rest"), zip(*visits, strict=True), strict=True):
            said = ", ".join(f"{each:.1f}" for each in seconds)
            print(f"Distill, {what}, {programs} busy programs: {mean(seconds):.1f} s ({said})", flush=True)
    os.environ["KD_HOME"] = str(home / "runs")
    run = distill(DistillConfig().change(SHORT)).run_id
    answers = [command("predict", run, "Shares fall as oil prices climb") for _ in range(ROUNDS)]
    print(f"kd predict: {mean(answers):.1f} s ({', '.join(f'{each:.1f}' for each in answers)})")


if __name__ == "__main__":
    main()
