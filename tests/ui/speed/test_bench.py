"""The benchmark in a report's Speed tab: asked for, under way, and read."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.deployment.benchmark import BenchConfig
from kd_core.jobs.store import Store
from tests.ui.charts import alts
from tests.ui.speed.benched import EVIL, NEWER, RUN, App, keep, sample, words

PAGE = "review/report/page.py"


def speed(app: App) -> AppTest:
    page = app(PAGE, run=RUN)
    page.session_state["report.tab"] = "Speed"
    page.run()
    assert not page.exception
    return page


def test_measure_queues_one_job(app: App, done: Store) -> None:
    page = speed(app)
    button = page.button(key="report.measure")
    assert button.label == "Measure"
    button.click().run()
    [job] = done.runs(kind="bench")
    assert (job.status, job.config["run"], job.name) == ("queued", RUN, "Benchmark of Demo")
    assert "report.measure" not in [button.key for button in page.button]
    page.button(key="report.bench.stop").click().run()
    assert done.run(job.id).status == "stopped"


def test_a_teacher_that_is_a_file_has_no_benchmark(app: App, store: Store) -> None:
    """It ended in an error, always."""
    report = sample("report.json")
    report["config"]["task"]["knowledge"] = "answers.csv"
    report["teacher"] |= {"latency_ms": None, "size_mb": 0.0}
    report["student"]["latency_ms"] |= {"p50": 2.0, "p95": 40.0}
    report["labelled_only"] = report["student"]
    store.create_run(RUN, DistillConfig.from_dict(report["config"]).model_dump(mode="json"), name="File")
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    page = speed(app)
    assert "with no speed to compare with" in words(page)
    assert [metric.value for metric in page.metric] == ["2.00 ms", "40.0 ms", "500"], "the student's alone"
    assert "measure again when it is idle, with an export." in words(page)
    assert not [button for button in page.button if button.key == "report.measure"]
    capacity = app("review/capacity/page.py", run=RUN)
    assert not capacity.exception
    assert "Speed tab" not in words(capacity)
    assert "a new benchmark" not in words(capacity)


def test_a_benchmark_that_failed_says_why(app: App, benched: Store) -> None:
    benched.create_run(NEWER, BenchConfig(run=RUN).model_dump(mode="json"), kind="bench")
    benched.set_status(NEWER, "failed", f"The file {EVIL} is gone.")
    page = speed(app)
    assert f"The file {EVIL} is gone." in words(page)
    assert len(page.dataframe[0].value) == 6  # the results of before stay
    page.button(key="report.bench.again").click().run()
    assert benched.run(NEWER).status == "queued"


def test_the_results_and_their_conditions(app: App, benched: Store) -> None:
    page = speed(app)
    table = page.dataframe[0].value.set_index("Model")
    assert table.loc["Teacher, PyTorch"].tolist() == [
        *("87.6 % ± 2.8", "", "90.9 MB", "247.5 MB", "9.22 ms", "17.4 ms", ""),
    ]
    assert table.loc["Distilled student, ONNX int8"].tolist() == [
        *("88.2 % ± 2.8", "", "3.0 MB", "111.3 MB", "0.34 ms", "0.57 ms", "30.4x smaller, 26.8x faster"),
    ]
    said = words(page)
    assert "Accuracy on 524 test texts" in said
    assert "Latency: one text, without the tokenizer, on 1 thread, 8.7 tokens on average." in said
    assert "pinned to as many cores as threads" in said
    assert "the tokenizer is not: it comes on top, 0.03 ms for a text of the teacher" in said
    assert "With one text at a time the student gains less on the teacher than in batches of 32." in said
    spoken = alts(page)[-4:]
    assert spoken[0].startswith(
        "Median time of a batch, by batch size. Test texts, 1 thread. Batch 1: Teacher"
    )
    assert "Texts of 128 tokens, 1 thread" in spoken[3]
    cells = page.dataframe[1].value
    assert len(cells) == 4 * 3 * 6


def test_a_p95_that_could_not_be_told_is_left_out(app: App, done: Store) -> None:
    report = sample("bench.json") | {"run": RUN}
    report["forms"][0]["latency_ms"] |= {"p95": None, "tokenizer": True}
    keep(done, NEWER, report)
    page = speed(app)
    table = page.dataframe[0].value.set_index("Model")
    assert table.loc["Teacher, PyTorch"].tolist()[4:6] == ["9.22 ms", ""]
    assert "Latency: from text to answer, tokenizer included, on 1 thread, 8.7 tokens" in words(page)


def test_the_other_number_of_threads(app: App, benched: Store) -> None:
    page = speed(app)
    page.segmented_control(key="report.bench_threads").set_value(2).run()
    assert not page.exception
    spoken = alts(page)[-4:]
    assert all("2 threads" in alt for alt in spoken)
    first = page.dataframe[1].value.iloc[0]
    cell = next(c for c in sample("bench.json")["cells"] if c["threads"] == 2)
    assert first["p50"] == f"{cell['p50']:.2f} ms"


def test_the_newest_benchmark_of_this_run_counts(app: App, benched: Store) -> None:
    newer = sample("bench.json") | {"run": RUN, "notes": [EVIL]}
    keep(benched, NEWER, newer)
    keep(benched, "20260131-170000-a7b8", sample("bench.json"), run_id="20260131-100000-ffff")
    page = speed(app)
    assert EVIL in words(page)
    assert not [text for text in page.markdown if "![" in text.value or "<b>" in text.value]
