"""How long a search takes, and how much of that is not training: ``python -m tests.bench.bench_search``.

What ``kd search`` does without flags but the final run, in a KD_HOME of its own: 4 temperatures x 4 alphas x
3 folds of the default task and student. ``--quick`` tries 2 x 1 cells on 2 folds. What is not training is of
this process: its helpers work beside it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(quick: bool) -> None:
    from kd_core.distillation.events import Event, Progress
    from kd_core.search import SearchConfig, run_search, worker
    from kd_core.system.control import Control

    spent: dict[str, float] = {"students": 0.0, "teachers": 0.0, "recording": 0.0}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            start = time.monotonic()
            try:
                return function(*arguments, **options)
            finally:
                spent[name] += time.monotonic() - start

        return run

    worker.fit = timed("students", worker.fit)
    worker.teach = timed("teachers", worker.teach)
    worker.record = timed("recording", worker.record)

    def show(event: Event) -> None:
        if isinstance(event, Progress):
            print(f"{time.monotonic() - start:6.0f} s  {event.done}/{event.total}  {event.label}", flush=True)

    config = SearchConfig()
    if quick:
        config = config.model_copy(update={"temperatures": (1.0, 4.0), "alphas": (0.3,), "folds": 2})
    with tempfile.TemporaryDirectory() as home:
        os.environ["KD_HOME"] = home
        os.environ.pop("KD_DATABASE_URL", None)
        start = time.monotonic()
        found = run_search(config, "bench", Path(home) / "work" / "search", show, Control())
        wall = time.monotonic() - start
    for cell in (*found.cells, *found.alone):
        print(f"T {cell.setting.temperature:g}, alpha {cell.setting.alpha:g}: ", end="")
        print(f"{100 * cell.mean:.1f} % ± {100 * cell.se:.1f}{'  *' if cell.same_as_best else ''}")
    print({name: round(seconds, 1) for name, seconds in spent.items()})
    rest = wall - sum(spent.values())
    print(
        f"{found.trainings} trainings in {wall / 60:.1f} minutes; {100 * rest / wall:.1f} % is not training."
    )


if __name__ == "__main__":
    main("--quick" in sys.argv)
