"""The benchmark: what its processes measure, and how they are watched."""

from __future__ import annotations

import json
import sys
from functools import partial

import numpy as np
import psutil
import pytest

from kd_core.cli import main
from kd_core.deployment import benchmark, benchmark_process, forms
from kd_core.deployment.benchmark import BenchConfig
from kd_core.deployment.benchmark_process import batches, judge, peak_memory, time_forms
from kd_core.deployment.forms import open_form
from kd_core.distillation.events import Progress
from kd_core.errors import ConfigError, RunError, Stopped
from kd_core.jobs.store import Store
from kd_core.system.control import Control
from kd_core.system.helpers import with_threads
from kd_core.system.machine import cores

FORMS = [f"{who}-{runtime}" for who in ("teacher", "student") for runtime in ("pytorch", "onnx", "int8")]

OTHER = "20260131-143000-a1b2"
MACHINE = {"processor": "CPU X", "cores": 1, "memory_gb": 8, "os": "Linux", "python": "3", "torch": "2"}

# Answers at once, as a process that measures would.
ANSWERS = (
    f"MACHINE = {MACHINE}"
    + """
import json, os, sys
request = json.loads(sys.argv[1])
def say(kind, content): print(json.dumps({kind: content}), flush=True)
forms = [f"{who}-{runtime}" for who in ("teacher", "student") for runtime in ("pytorch", "onnx", "int8")]
if "who" in request:
    say("progress", f"judging {request['who']}, {request['runtime']}")
    answers = [0, 1, 0, int(request["runtime"] != "int8")]
    say("result", {"answers": answers, "labels": [0, 1, 0, 1], "accuracy": 0.9, "low": 0.88, "high": 0.92,
                   "size_mb": 5.0, "params": 2_700_000,
                   "memory_mb": request["batch"], "texts": int(request["length"])})
else:
    threads = request["threads"]
    assert os.environ["OMP_NUM_THREADS"] == str(threads)
    cells = []
    for length in request["lengths"]:
        for batch in request["batches"]:
            say("progress", f"timing {batch} x {length}")
            cells += [{"form": form, "batch": batch, "length": str(length), "threads": threads, "tokens": 9.0,
                       "padded_to": 9.0, "passes": 20, "tokenizer": True,
                       "p50": batch / threads, "p95": batch / threads,
                       "texts_per_second": 1000.0} for form in forms]
    say("result", {"cells": cells, "notes": ["Left out."], "machine": MACHINE, "busy": 0.6,
                   "tokenizer_ms": {"teacher": {"p50": 0.1}, "student": {"p50": 0.1}}})
"""
)
WAITS = "import json, os, time; print(json.dumps({'progress': str(os.getpid())}), flush=True); time.sleep(60)"


@pytest.fixture
def run_id(finished_run, monkeypatch) -> str:
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    return finished_run.report.run_id


@pytest.fixture
def small(run_id):
    return BenchConfig(run=run_id, batches=(1, 2), lengths=("texts", 16), threads=(1, 2))


def process(monkeypatch, script: str) -> None:
    monkeypatch.setattr(benchmark, "python", lambda _, request: [sys.executable, "-c", script, request])


def test_the_report(small, monkeypatch):
    process(monkeypatch, ANSWERS)
    events: list[Progress] = []
    report = benchmark.bench(small, events.append)

    assert [form["name"] for form in report["forms"]] == FORMS
    assert report["forms"][0]["latency_ms"] == {
        "p50": 1.0,
        "p95": 1.0,
        "batch": 1,
        "threads": 1,
        "texts": 20,
        "mean_tokens": 9.0,
        "tokenizer": True,
        "busy": 0.6,
    }
    # Memory is looked at with the largest batch of the longest texts that were timed.
    assert {(form["memory_mb"], form["texts"]) for form in report["forms"]} == {(2, 16)}
    assert len(report["cells"]) == 2 * 2 * 2 * 6
    assert report["run"] == small.run
    assert report["machine"] == MACHINE | {"cores": len(cores())}
    assert report["notes"][0] == "Left out."
    assert report["notes"][-1] == "The students are those of seed 0, the first of 2."
    assert json.loads(json.dumps(report)) == report

    assert {event.total for event in events} == {2 * 2 * 2 + 6}
    done = [event.done for event in events]
    assert (done[0], done[-1]) == (0, 14)
    assert done == sorted(done)
    assert "timing 2 x texts" in [event.label for event in events]


def test_lengths_that_no_model_reads_are_said(small, monkeypatch):
    script = ANSWERS.replace(
        '{"cells": cells, "notes": ["Left out."]', '{"cells": [], "notes": ["Left out."]'
    )
    process(monkeypatch, script)
    with pytest.raises(RunError) as caught:
        benchmark.bench(small)
    assert str(caught.value) == "There is nothing to time: Left out. Give shorter lengths."


def test_stop_kills_the_process(small, monkeypatch):
    process(monkeypatch, WAITS)
    control, pids = Control(), []

    def stop(event: Progress) -> None:
        if event.label.isdigit():
            pids.append(int(event.label))
            control.stop()

    with pytest.raises(Stopped, match="Stopped on request"):
        benchmark.bench(small, stop, control)
    assert len(pids) == 1
    assert not psutil.pid_exists(pids[0])


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('print(\'{"error": "Files are missing."}\')', r"^Files are missing\.$"),
        (
            "raise SystemExit('no such thing')",
            r"ended early \(status 1\): no such thing\. Start the benchmark",
        ),
        ("raise SystemExit(3)", r"ended early \(status 3\): it said nothing"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            r"ended early \(status -9\): it was killed, perhaps for lack of memory",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL"),
        ),
    ],
)
def test_a_process_that_fails(small, monkeypatch, script, said):
    process(monkeypatch, script)
    with pytest.raises(RunError, match=said):
        benchmark.bench(small)


def test_a_run_that_is_not_there(kd_home):
    with pytest.raises(RunError, match=f"There is no run {OTHER}"):
        benchmark.bench(BenchConfig(run=OTHER))


def test_a_config_that_cannot_be():
    with pytest.raises(ConfigError) as caught:
        BenchConfig.from_dict({"batches": [0, 8], "lengths": ["words"], "threads": [0], "repeats": 1})
    assert caught.value.problems == (
        "run is missing",
        "batches must be between 1 and 4,096, got [0, 8]",
        "lengths must be a list of 'texts' and whole numbers from 4 to 8,192, got ['words']",
        "threads must be between 1 and 1,024, got [0]",
        "repeats must be between 5 and 100,000, got 1",
    )
    with pytest.raises(ConfigError) as caught:
        BenchConfig.from_dict({"run": OTHER, "batches": [], "lengths": [], "threads": [1, 1]})
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == [
        "batches",
        "lengths",
        "threads",
    ]


# The command


@pytest.fixture
def kd(finished_run, kd_home, monkeypatch, capsys):
    """``kd("bench", ...)``: its exit status, stdout and stderr; processes answer at once."""
    kd_home.mkdir()
    (kd_home / "runs").symlink_to(finished_run.home / "runs")
    process(monkeypatch, ANSWERS)

    def call(*args: str) -> tuple[int, str, str]:
        status = main(args)
        return status, *capsys.readouterr()

    return call


def test_the_command_prints_json(kd, finished_run):
    status, out, _ = kd("bench", finished_run.report.run_id, "--json")
    assert status == 0
    report = json.loads(out)
    assert [form["name"] for form in report["forms"]] == FORMS
    assert all({"accuracy", "size_mb", "latency_ms"} <= set(form) for form in report["forms"])
    assert [form.get("paired", {}).get("lost") for form in report["forms"]] == [None, 0, 1, 0, 0, 1]
    assert not any(name in form for form in report["forms"] for name in ("answers", "labels", "judged"))
    [job] = Store().runs(kind="bench")
    assert (job.status, job.config["run"]) == ("done", finished_run.report.run_id)
    assert Store().report_json(job.id) == report


def test_the_command_prints_tables_with_their_conditions(kd, finished_run):
    status, out, _ = kd("bench", finished_run.report.run_id)
    assert status == 0
    said = " ".join(out.split())
    assert "p95 in ms: from text to answer, tokenizer included, on 1 thread, test texts of 9.0 tokens" in said
    assert "Texts of 64 tokens, 1 thread, by batch size. p50 and p95 of a batch in ms, texts a second." in out
    row = next(line for line in out.splitlines() if line.startswith("Distilled student, ONNX int8"))
    assert " ".join(row.split()[4:]) == "90.0 % ± 2.0 2.7 M 5.0 MB 32.0 MB 1.00 1.00"
    assert (
        "Teacher, ONNX int8, against the same in PyTorch: 1 text lost, 0 gained of 4, 95 % interval" in said
    )
    assert "the tokenizer included: 0.10 ms for a text of the teacher" in said


def test_too_few_passes_for_a_p95_are_no_error(kd, finished_run, monkeypatch):
    few = ANSWERS.replace('"p95": batch / threads', '"p95": None')
    assert few != ANSWERS
    process(monkeypatch, few)
    status, out, _ = kd("bench", finished_run.report.run_id)
    assert status == 0
    row = next(line for line in out.splitlines() if line.startswith("Distilled student, PyTorch"))
    assert " ".join(row.split()[3:]) == "90.0 % ± 2.0 2.7 M 5.0 MB 32.0 MB 1.00"


def test_the_command_on_a_run_that_is_not_done(kd, finished_run):
    Store().create_run(OTHER, finished_run.report.config, status="queued")
    status, out, err = kd("bench", OTHER)
    assert (status, out) == (2, "")
    assert f"kd: Run {OTHER} is queued, so it has no models yet" in err


# What the processes do


def test_forms_take_their_cells(run_id):
    labels: list[str] = []
    asked = {
        "run": run_id,
        "batches": [1, 2],
        "lengths": ["texts", 8, 100],
        "threads": 1,
        "repeats": 5,
        "seconds": 0,
    }
    found = time_forms(asked, lambda kind, label: labels.append(label))

    cells = {(cell["form"], cell["batch"], cell["length"]): cell for cell in found["cells"]}
    assert set(cells) == {
        (form, batch, length) for form in FORMS for batch in (1, 2) for length in ("texts", "8")
    }
    for (_, batch, length), cell in cells.items():
        assert cell["p50"] > 0
        assert cell["passes"] == (20 if length == "texts" else 5)
        # Of five passes, the 95th percentile is not told.
        assert (cell["p95"] is None) == (length == "8")
        assert cell["texts_per_second"] > 0
        assert cell["tokenizer"] is True
        assert (cell["tokens"] <= cell["padded_to"]) if batch > 1 else (cell["tokens"] == cell["padded_to"])
    assert cells["student-int8", 2, "8"]["tokens"] == 8
    left_out = [note for note in found["notes"] if "other work" not in note]  # as is true of a busy machine
    assert left_out == [
        "100 tokens are left out: the teacher reads 66 at most.",
        "100 tokens are left out: the distilled student reads 66 at most.",
    ]
    assert found["busy"] > 0
    with with_threads(1):  # the process is its own otherwise, and keeps the threads that it was asked for
        on_two = time_forms(asked | {"threads": 2, "batches": [1], "lengths": [8]}, lambda *_: None)
    assert on_two["busy"] is None
    assert set(found["tokenizer_ms"]) == {"teacher", "student"}
    assert labels[0] == "timing batches of 1, test texts, 1 thread"
    assert len(labels) == 6


def test_a_form_is_evaluated_anew(run_id, finished_run):
    found = judge(
        {"run": run_id, "who": "student", "runtime": "pytorch", "batch": 2, "length": "8"}, lambda *_: None
    )
    first_seed = finished_run.report.student.seeds[0]
    assert found["accuracy"] == pytest.approx(first_seed.accuracy)
    assert (found["low"], found["high"]) == pytest.approx((first_seed.low, first_seed.high))
    assert found["texts"] == 25
    assert found["params"] == finished_run.report.student.params
    assert found["memory_mb"] >= 0


def test_int8_is_evaluated_one_by_one_as_an_export_does_it(run_id):
    asked = {"run": run_id, "who": "student", "runtime": "int8", "batch": 2, "length": "8"}
    found = judge(asked, lambda *_: None)
    texts, labels = forms.test_split(run_id)
    form = forms.open_form(run_id, "student", "int8")
    alone = np.concatenate([form.answer(text) for text in texts])
    assert np.array_equal(form.predict(texts), alone)
    assert not np.array_equal(form.predict(texts, 32), alone), "in a batch it answers a little otherwise"
    assert found["answers"] == alone.argmax(axis=1).tolist()
    assert found["labels"] == labels.tolist()
    assert found["accuracy"] == np.mean(alone.argmax(axis=1) == labels)


def test_a_whole_process(run_id):
    """The real one, pinned, with its answer on stdout and nothing else."""
    found = benchmark._measure(
        {"run": run_id, "who": "student", "runtime": "pytorch", "batch": 2, "length": "8"},
        1,
        lambda label: None,
        Control(),
    )
    assert found["texts"] == 25
    assert found["memory_mb"] > 0


def test_a_process_says_what_is_wrong(monkeypatch, capfd):
    def fail(request, say):
        raise RunError("Files are missing.")

    monkeypatch.setattr(benchmark_process, "judge", fail)
    monkeypatch.setattr(benchmark_process, "_end_with_parent", lambda: None)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    benchmark_process.main('{"who": "student"}')
    assert capfd.readouterr().out == '{"error": "Files are missing."}\n'


def test_passes_fit_the_time(monkeypatch):
    """0.3 s a pass of a clock of our own: two seconds are over in the second round of five."""
    now = [0.0]
    monkeypatch.setattr(benchmark_process.time, "monotonic", lambda: now[0])

    def answer():
        now[0] += 0.3

    times = benchmark_process._time({"a": [answer]}, {"seconds": 2.0, "repeats": 100}, 5)
    assert len(times["a"]) == 10
    times = benchmark_process._time({"a": [answer]}, {"seconds": 100.0, "repeats": 15}, 5)
    assert len(times["a"]) == 15
    times = benchmark_process._time({"a": [answer]}, {"seconds": 0.0, "repeats": 100}, 20)
    assert len(times["a"]) == 20


def test_the_texts_take_turns():
    seen: list[int] = []
    answers = [partial(seen.append, i) for i in range(7)]
    benchmark_process._time({"a": answers}, {"seconds": 0.0, "repeats": 10}, 10)
    assert seen[-10:] == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]


def test_batches_of_texts_and_of_one_length(run_id):
    form = open_form(run_id, "student", "pytorch")  # every word of the task is one piece to it
    texts = ["goal coach the", "bank of", "", "actor"]
    assert batches(form, texts, 2, "texts") == [["goal coach the", "bank of"], ["", "actor"]]
    assert batches(form, texts, 5, "texts") == [[*texts, "goal coach the"]]
    # Two special tokens, and four of texts that a full stop divides.
    assert batches(form, texts, 2, "6")[0] == ["goal coach the.", "actor. goal coach"]
    for length in (4, 40, 200):
        rows = [row for rows in batches(form, texts, 2, str(length)) for row in rows]
        assert {len(ids) for ids in form.encode(rows, length)} == {length}
        assert {len(ids) for ids in form.encode(rows, 500)} == {length}, "nothing is read in vain"
    assert {len(ids) for ids in form.encode([batches(form, ["", ""], 1, "9")[0][0]], 500)} == {9}


def test_peak_memory_never_falls():
    before = peak_memory()
    block = bytearray(50_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert peak_memory() >= before
    assert peak_memory() > len(block)
