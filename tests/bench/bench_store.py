"""How quick the store is with 5,000 runs of 1,000 points: ``python tests/bench/bench_store.py [URL]``.

Fills a database of its own in a temporary folder (or the empty PostgreSQL one at URL), then prints timings.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kd_core.config import DistillConfig
from kd_core.distillation.events import Evaluated, Event, Step
from kd_core.distillation.roles import Role
from kd_core.jobs.store import Store
from tests import SAMPLES

RUNS = 5_000
CURVES: tuple[Role, ...] = ("teacher", "student", "alone", "labelled_only")
POINTS, LOOKS = 250, 12  # of each curve
BEST = {"teacher": 0.93, "student": 0.89, "alone": 0.85, "labelled_only": 0.87}
SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))
START = datetime(2026, 1, 1, tzinfo=UTC)


def report(number: int) -> dict:
    models = {who: SAMPLE[who] | {"accuracy": best + number % 7 / 1000} for who, best in BEST.items()}
    return SAMPLE | models


def curve(who: Role, number: int) -> list[Event]:
    steps = POINTS * 3
    events: list[Event] = []
    for point in range(1, POINTS + 1):
        loss = 2 * math.exp(-point / 80) + 0.1 * math.sin(point + number)
        events.append(Step(who, 0, point * 3, steps, loss, loss, loss, 0.0, 1e-4, 2_000.0))
    for look in range(1, LOOKS + 1):
        events.append(Evaluated(who, 0, look * steps // LOOKS, BEST[who] * look / LOOKS, 0.3))
    return events


def fill(store: Store) -> None:
    config = DistillConfig().model_dump(mode="json")
    for number in range(RUNS):
        run_id = f"20260101-{number:06d}-aaaa"
        store.create_run(run_id, config, name=f"run {number}")
        at = START + timedelta(minutes=number)
        store.write(run_id, [(at, event) for who in CURVES for event in curve(who, number)])
        store.save_report(run_id, report(number))
        store.set_status(run_id, "done")


def timed(name: str, call: Callable[[], object], repeats: int = 5) -> None:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    print(f"{name:<34} first {times[0] * 1e3:8.1f} ms   best {min(times) * 1e3:8.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'kd.sqlite'}"
        store = Store(url)
        timed(f"fill {RUNS:,} runs", lambda: fill(store), repeats=1)
        store.close()
        if url.startswith("sqlite"):
            print(f"{Path(folder, 'kd.sqlite').stat().st_size / 1e6:,.0f} MB")
        store = Store(url)
        middle = f"20260101-{RUNS // 2:06d}-aaaa"
        timed("open, first run()", lambda: store.run(middle), repeats=1)
        timed("runs()", store.runs)
        timed("runs(limit=50)", lambda: store.runs(limit=50))
        timed("runs(text='run 49')", lambda: store.runs(text="run 49"))
        timed("runs(status=('running',))", lambda: store.runs(status=("running",)))
        timed("curve()", lambda: store.curve(middle))
        timed("curve(points=100)", lambda: store.curve(middle, points=100))
        timed("evaluations()", lambda: store.evaluations(middle))
        timed("report()", lambda: store.report(middle))
        timed("delete_run()", lambda: store.delete_run(middle), repeats=1)
        store.close()


if __name__ == "__main__":
    main()
