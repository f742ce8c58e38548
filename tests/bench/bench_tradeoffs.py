"""How quick the trade-offs page is with 2,000 finished runs.

    python -m tests.bench.bench_tradeoffs

Fills a home of its own in a temporary folder with runs whose numbers are made up. Prints what each part of
the page takes, then its script as a whole, then in a browser the time until the chart is drawn. Nothing is
asserted.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from kd_core import figures
from kd_core.config import DistillConfig
from kd_core.deployment import tradeoffs
from kd_core.distillation.metrics import wilson
from kd_core.jobs.store import Store
from tests import ROOT
from tests.bench.browser import dashboard

SAMPLE = json.loads((ROOT / "tests" / "samples" / "report.json").read_text("utf-8"))
RUNS, BENCHED = 2_000, 10  # one in ten runs was benchmarked, too
STUDENTS = {  # parameters, milliseconds, layers, hidden size
    "tiny": (2.7e6, 1.6, 2, 128),
    "mini": (9e6, 3.1, 4, 256),
    "half": (17.4e6, 5.2, 3, 384),
    "third": (15.6e6, 3.7, 2, 384),
}
RUNTIMES = {"pytorch": (1.0, 1.0, 0.0), "onnx": (1.0, 0.4, 0.0), "int8": (0.26, 0.17, 0.004)}
TEXTS = 524


def judged(model: dict[str, Any], accuracy: float) -> dict[str, Any]:
    low, high = wilson(accuracy, TEXTS)
    shifted = {name: accuracy * share for name, share in (("typos", 0.82), ("upper case", 1.0))}
    return model | {"accuracy": accuracy, "low": low, "high": high, "shifted": shifted}


def report(student: str, chance: random.Random) -> dict[str, Any]:
    params, p50, layers, hidden = STUDENTS[student]
    sizes = {"layers": layers, "hidden": hidden, "intermediate": 4 * hidden}
    config = SAMPLE["config"]
    found = SAMPLE | {"config": config | {"student": config["student"] | sizes}}
    for who, base in (("student", 0.88), ("alone", 0.84), ("labelled_only", 0.86)):
        bonus = 0.02 * (student != "tiny") + chance.gauss(0, 0.012)
        found[who] = judged(SAMPLE[who], round((base + bonus) * TEXTS) / TEXTS) | {
            "params": int(params),
            "size_mb": 4 * params / 1e6,
            "latency_ms": SAMPLE[who]["latency_ms"] | {"p50": p50 * chance.uniform(0.9, 1.3)},
        }
    return found


def benchmark(run: str, models: dict[str, Any]) -> dict[str, Any]:
    forms = []
    for who in ("teacher", "student"):
        for runtime, (size, time_share, loss) in RUNTIMES.items():
            model = judged(models[who], models[who]["accuracy"] - loss)
            latency = model["latency_ms"] | {"p50": model["latency_ms"]["p50"] * time_share}
            forms.append(
                model
                | {"name": f"{who}-{runtime}", "who": who, "runtime": runtime}
                | {"size_mb": model["size_mb"] * size, "latency_ms": latency}
            )
    return {"run": run, "forms": forms}


def fill(store: Store, runs: int) -> None:
    chance = random.Random(0)
    for number in range(runs):
        student = chance.choice(list(STUDENTS))
        config = DistillConfig().change({"student.model": student}).model_dump(mode="json")
        run_id = f"20260101-{number:06d}-aaaa"
        models = report(student, chance)
        store.create_run(run_id, config, name=f"{student} {number}")
        store.save_report(run_id, models)
        store.set_status(run_id, "done")
        if number % BENCHED == 0:
            bench_id = f"20260102-{number:06d}-bbbb"
            store.create_run(bench_id, {"run": run_id}, kind="bench")
            store.save_report(bench_id, benchmark(run_id, models))
            store.set_status(bench_id, "done")


def timed(name: str, call: Callable[[], Any], repeats: int = 3) -> Any:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = call()
        times.append(time.perf_counter() - start)
    print(f"{name:<44} first {times[0] * 1e3:8.1f} ms   best {min(times) * 1e3:8.1f} ms")
    return found


def in_a_browser(home: Path) -> None:
    with dashboard(home) as (server, page):
        page.goto(f"{server.url}/runs")
        page.get_by_role("heading", name="Runs", level=1).wait_for()
        time.sleep(10)  # torch is imported meanwhile

        def visit() -> None:
            page.get_by_role("link", name="Trade-offs").click()
            page.locator(".js-plotly-plot .scatterlayer .points path").first.wait_for()

        def leave() -> None:
            page.get_by_role("link", name="Runs").click()
            page.get_by_role("heading", name="Runs", level=1).wait_for()
            time.sleep(2)

        for _ in range(3):
            timed("in a browser, from the click to the marks", visit, repeats=1)
            leave()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kd-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        os.environ["KD_HOME"] = str(home)
        measure(home, int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)


def measure(home: Path, runs: int) -> None:
    store = Store()
    timed(f"fill {runs:,} runs", lambda: fill(store, runs), repeats=1)
    rows = timed("store.measured()", store.measured)
    frame = timed("candidates()", lambda: tradeoffs.candidates(rows))
    print(f"{len(frame):,} candidates")
    frame["front"] = timed(
        "front()", lambda: tradeoffs.front(frame["size"].to_numpy(float), frame["accuracy"].to_numpy(float))
    )
    frame["fits"] = tradeoffs.fitting(frame, tradeoffs.Limits(size=20))
    timed("figure", lambda: figures.tradeoff_scatter(frame, "size", log=True).to_json())
    store.close()
    test = AppTest.from_file(str(ROOT / "pages" / "main.py"), default_timeout=60)
    test.switch_page("review/tradeoffs/page.py")
    timed("the page's script", test.run)
    in_a_browser(home)


if __name__ == "__main__":
    main()
