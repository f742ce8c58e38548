"""The benchmark: its plan, how its processes are watched, what they measure, and what its numbers say."""

import json
import sys
from functools import partial
from itertools import product

import numpy as np
import psutil
import pytest

from kd_core.cli import main
from kd_core.deployment import benchmark, benchmark_process, forms
from kd_core.deployment.benchmark import BenchConfig
from kd_core.deployment.benchmark_notes import against, conditions, notes, waited
from kd_core.deployment.benchmark_process import batches, judge, peak_memory, time_forms
from kd_core.deployment.forms import open_form
from kd_core.errors import ConfigError, RunError, Stopped
from kd_core.jobs.store import Store
from kd_core.system.control import Control
from kd_core.system.machine import cores

FORMS = [f"{who}-{runtime}" for who in ("teacher", "student") for runtime in ("pytorch", "onnx", "int8")]
OTHER = "20260131-143000-a1b2"
MACHINE = {"processor": "CPU X", "cores": 1, "memory_gb": 8, "os": "Linux", "python": "3", "torch": "2"}

# It answers at once, as a process that measures would.
ANSWERS = (
    f"MACHINE, FORMS = {MACHINE}, {FORMS}"
    + """
import json, os, sys
request = json.loads(sys.argv[1])
def say(kind, content): print(json.dumps({kind: content}), flush=True)
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
                       "p50": batch / threads, "p95": None if batch == 8 else batch / threads,
                       "texts_per_second": 1000.0} for form in FORMS]
    say("result", {"cells": cells, "notes": ["Left out."], "machine": MACHINE, "busy": 0.6,
                   "tokenizer_ms": {"teacher": {"p50": 0.1}, "student": {"p50": 0.1}}})
"""
)
WAITS = "import json, os, time; print(json.dumps({'progress': str(os.getpid())}), flush=True); time.sleep(60)"


@pytest.fixture
def small(run_id):
    return BenchConfig(run=run_id, batches=(1, 2), lengths=("texts", 16), threads=(1, 2))


def process(monkeypatch, script):
    monkeypatch.setattr(benchmark, "python", lambda _, request: [sys.executable, "-c", script, request])


# Plan and processes


def test_report(small, monkeypatch):
    process(monkeypatch, ANSWERS)
    events = []
    report = benchmark.bench(small, events.append)
    assert [form["name"] for form in report["forms"]] == FORMS
    times = {"p50": 1.0, "p95": 1.0, "batch": 1, "threads": 1, "texts": 20}
    assert report["forms"][0]["latency_ms"] == times | {"mean_tokens": 9.0, "tokenizer": True, "busy": 0.6}
    # Memory is looked at with the largest batch of the longest texts that were timed.
    assert {(form["memory_mb"], form["texts"]) for form in report["forms"]} == {(2, 16)}
    assert [form.get("paired", {}).get("lost") for form in report["forms"]] == [None, 0, 1, 0, 0, 1]
    assert not any(name in form for form in report["forms"] for name in ("answers", "labels", "judged"))
    assert len(report["cells"]) == 2 * 2 * 2 * 6
    assert report["machine"] == MACHINE | {"cores": len(cores())}
    assert report["notes"][0] == "Left out."
    assert report["notes"][-1] == "The students are those of seed 0, the first of 2."
    assert json.loads(json.dumps(report)) == report

    assert {event.total for event in events} == {2 * 2 * 2 + 6}
    done = [event.done for event in events]
    assert (done[0], done[-1]) == (0, 14)
    assert done == sorted(done)
    assert "timing 2 x texts" in [event.label for event in events]


def test_stop_kills_the_process(small, monkeypatch):
    process(monkeypatch, WAITS)
    control, pids = Control(), []

    def stop(event):
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
        (
            ANSWERS.replace('{"cells": cells', '{"cells": []'),
            r"^There is nothing to time: Left out\. Give shorter lengths\.$",
        ),
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
def test_failure_of_a_process(small, monkeypatch, script, said):
    process(monkeypatch, script)
    with pytest.raises(RunError, match=said):
        benchmark.bench(small)


def test_illegal_configs():
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
    assert [problem.split()[0] for problem in caught.value.problems] == ["batches", "lengths", "threads"]


def test_command(small, copied_home, monkeypatch, capsys):
    process(monkeypatch, ANSWERS)
    assert main(["bench", small.run, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    [job] = Store().runs(kind="bench")
    assert (job.status, job.config["run"]) == ("done", small.run)
    assert Store().report_json(job.id) == report
    assert main(["bench", small.run]) == 0
    out = capsys.readouterr().out
    said = " ".join(out.split())
    assert "p95 in ms: from text to answer, tokenizer included, on 1 thread, test texts of 9.0 tokens" in said
    assert "Texts of 64 tokens, 1 thread, by batch size. p50 and p95 of a batch in ms, texts a second." in out
    rows = [" ".join(line.split()) for line in out.splitlines() if line.startswith("Teacher, ONNX int8 ")]
    assert rows[0] == "Teacher, ONNX int8 90.0 % ± 2.0 2.7 M 5.0 MB 32.0 MB 1.00 1.00"
    assert rows[-1].endswith(" 4.00 1,000 16.00 16.00 1,000"), "too few passes for a p95 leave a gap"
    assert (
        "Teacher, ONNX int8, against the same in PyTorch: 1 text lost, 0 gained of 4, 95 % interval" in said
    )
    assert "the tokenizer included: 0.10 ms for a text of the teacher" in said
    Store().create_run(OTHER, {}, status="queued")
    assert main(["bench", OTHER]) == 2
    assert f"kd: Run {OTHER} is queued, so it has no models yet" in capsys.readouterr().err


# What the processes do


def test_cells_of_the_forms(run_id, monkeypatch):
    """Leave out the teacher's ONNX forms, whose conversion takes long."""
    timed = [form for form in benchmark.forms() if form[1] == "student" or form[2] == "pytorch"]
    monkeypatch.setattr(benchmark_process, "forms", lambda: iter(timed))
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    labels = []
    asked = {"run": run_id, "batches": [1, 2], "lengths": ["texts", 8, 100], "threads": 1}
    asked |= {"repeats": 5, "seconds": 0}
    found = time_forms(asked, lambda kind, label: labels.append(label))
    cells = {(cell["form"], cell["batch"], cell["length"]): cell for cell in found["cells"]}
    assert set(cells) == set(product([name for name, *_ in timed], (1, 2), ("texts", "8")))
    for (_, batch, length), cell in cells.items():
        assert cell["passes"] == (20 if length == "texts" else 5)
        assert (cell["p95"] is None) == (length == "8"), "five passes are too few"
        assert min(cell["p50"], cell["texts_per_second"]) > 0
        assert cell["tokenizer"] is True
        assert (cell["tokens"] <= cell["padded_to"]) if batch > 1 else (cell["tokens"] == cell["padded_to"])
        assert len(cell["quantiles"]) == 21
    assert cells["student-int8", 2, "8"]["tokens"] == 8
    assert [note for note in found["notes"] if "other work" not in note] == [
        "100 tokens are left out: the teacher reads 66 at most.",
        "100 tokens are left out: the distilled student reads 66 at most.",
    ]
    assert found["busy"] > 0
    assert set(found["tokenizer_ms"]) == {"teacher", "student"}
    assert labels[0] == "timing batches of 1, test texts, 1 thread"
    assert len(labels) == 6
    on_two = time_forms(asked | {"threads": 2, "batches": [1], "lengths": [8]}, lambda *_: None)
    assert on_two["busy"] is None, "several threads wait for one another"


def test_score_of_a_form(run_id, exported):
    found = judge({"run": run_id, "who": "student", "runtime": "pytorch", "batch": 2, "length": "8"}, print)
    first = exported.run.student.seeds[0]
    scores = (found["accuracy"], found["low"], found["high"])
    assert scores == pytest.approx((first.accuracy, first.low, first.high))
    assert (found["texts"], found["params"]) == (25, exported.run.student.params)
    assert found["memory_mb"] >= 0


def test_int8_is_asked_one_by_one(run_id):
    asked = {"run": run_id, "who": "student", "runtime": "int8", "batch": 2, "length": "8"}
    found = judge(asked, lambda *_: None)
    texts, labels = forms.test_split(run_id)
    form = open_form(run_id, "student", "int8")
    alone = np.concatenate([form.answer(text) for text in texts])
    assert np.array_equal(form.predict(texts), alone)
    assert not np.array_equal(form.predict(texts, 32), alone), "in a batch it answers a little otherwise"
    assert found["answers"] == alone.argmax(axis=1).tolist()
    assert found["labels"] == labels.tolist()


@pytest.mark.slow
def test_real_process(run_id):
    asked = {"run": run_id, "who": "student", "runtime": "pytorch", "batch": 2, "length": "8"}
    found = benchmark._measure(asked, 1, lambda label: None, Control())
    assert found["texts"] == 25
    assert found["memory_mb"] > 0


def test_error_of_a_process_is_a_line(monkeypatch, capfd):
    def fail(request, say):
        raise RunError("Files are missing.")

    monkeypatch.setattr(benchmark_process, "judge", fail)
    monkeypatch.setattr(benchmark_process, "_end_with_parent", lambda: None)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    benchmark_process.main('{"who": "student"}')
    assert capfd.readouterr().out == '{"error": "Files are missing."}\n'


@pytest.mark.parametrize(
    ("seconds", "repeats", "least", "passes"), [(2.0, 100, 5, 10), (100.0, 15, 5, 15), (0.0, 100, 20, 20)]
)
def test_number_of_passes(monkeypatch, seconds, repeats, least, passes):
    """Take 0.3 s a pass by a clock of our own: two seconds are over in the second round of five."""
    now, seen = [0.0], []
    monkeypatch.setattr(benchmark_process.time, "monotonic", lambda: now[0])

    def answer(place):
        seen.append(place)
        now[0] += 0.3

    turns = [partial(answer, place) for place in range(7)]
    times = benchmark_process._time({"a": turns}, {"seconds": seconds, "repeats": repeats}, least)
    assert len(times["a"]) == passes
    assert seen[-passes:] == [turn % 7 for turn in range(passes)], "the texts take turns"


def test_batches_of_texts_and_of_one_length(run_id):
    form = open_form(run_id, "student", "pytorch")  # every word of the task is one piece to it
    texts = ["goal coach the", "bank of", "", "actor"]
    assert batches(form, texts, 2, "texts") == [["goal coach the", "bank of"], ["", "actor"]]
    assert batches(form, texts, 5, "texts") == [[*texts, "goal coach the"]]
    # Two special tokens, and four of texts that a full stop divides.
    assert batches(form, texts, 2, "6")[0] == ["goal coach the.", "actor. goal coach"]
    for length in (4, 40, 200):
        rows = [row for rows in batches(form, texts, 2, str(length)) for row in rows]
        for limit in (length, 500):  # nothing is read in vain
            assert {len(ids) for ids in form.encode(rows, limit)} == {length}
    assert {len(ids) for ids in form.encode([batches(form, ["", ""], 1, "9")[0][0]], 500)} == {9}


def test_peak_memory_never_falls():
    before = peak_memory()
    block = bytearray(50_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert peak_memory() >= before
    assert peak_memory() > len(block)


# What the numbers say

# Milliseconds for a text, in proportion to the work: nothing to remark on.
IDEAL = dict(zip(FORMS, (8.0, 6.0, 3.0, 0.8, 0.6, 0.3), strict=True))
QUICK = {"teacher": {"p50": 0.01}, "student": {"p50": 0.01}}


def cells(changes=None, *, spread=1.1, padded_to=10.0, batches=(1, 32)):
    """Proportional to the batch, and halved by a second thread; ``changes``: (form, batch, threads) -> ms."""
    made = []
    for threads, length, batch, form in product((1, 2), ("texts", "16"), batches, FORMS):
        p50 = (changes or {}).get((form, batch, threads), IDEAL[form] * batch / threads)
        cell = {"form": form, "batch": batch, "length": length, "threads": threads, "passes": 50, "p50": p50}
        made.append(cell | {"tokens": 10.0, "padded_to": padded_to, "p95": p50 * spread})
    return made


def slower(form, *ms, batch=1):
    return cells({(form, batch, threads): time for threads, time in enumerate(ms, 1)}, batches=(batch, 32))


def idle_but_wide(**where):
    [(name, value)] = where.items()
    return [cell | {"p95": 3 * cell["p50"]} if cell[name] == value else cell for cell in cells()]


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        (cells(), []),
        # (32 x 0.8 - 2.0) / 31 = 0.761 ms for each further text: 1.24 of the first 2 ms are fixed.
        (
            slower("student-pytorch", 2.0, 1.0),
            [
                "With one text at a time the student gains less on the teacher than in batches of 32.~ 4.0x "
                "rather than 10.0x in PyTorch.~ 16 tokens does not grow with the batch (1.24 ms of 2.00",
                "takes 2.00 ms in PyTorch and 0.60 ms in ONNX Runtime: 1.40 ms are PyTorch's own, not the",
            ],
        ),
        # 6.0 ms over 0.70 are 8.6 times, of 10 in large batches; over 0.78 they are 7.7.
        (slower("student-onnx", 0.70, 0.35), []),
        (slower("student-onnx", 0.78, 0.39), ["the teacher's, 7.7x rather than 10.0x in ONNX."]),
        # (25.6 - 6) / 28 = 0.7 ms for each further text, 2.8 for four: 3.2 of the first 6 are fixed.
        (
            slower("student-pytorch", 6.0, 3.0, batch=4),
            ["(3.20 ms of 6.00 ms in PyTorch)", "With batches of 4,"],
        ),
        (slower("teacher-int8", 5.9, 3.0), ["hardly faster for the teacher (5.90 ms against 6.00 ms)"]),
        (
            slower("student-int8", 0.30, 0.29),
            ["2 threads are hardly faster than 1 (~0.30 ms and 0.29 ms): there"],
        ),
        (slower("student-int8", 0.30, 0.60), ["2 threads are no faster than 1 (di~After each operation"]),
        (cells(padded_to=15.0), ["In batches of 32 test texts 33 % of the work is padding: 10.0 tokens"]),
        (cells(spread=1.49), []),
        (cells(spread=1.51), ["of equal work on 1 thread, the 95th percentile is 1.5x the median. Time"]),
        (idle_but_wide(length="texts"), []),  # texts differ
        (idle_but_wide(threads=2), []),  # threads wait
        # Twice the time on 2 threads, in a batch of 32, where there is work for both.
        (
            cells({("teacher-onnx", 32, 2): 384.0}),
            ["Teacher, ONNX takes 384.0 ms on 2 threads and 192.0 ms on 1"],
        ),
        # The smallest benchmark that there can be has nothing to compare.
        ([c for c in cells() if (c["batch"], c["length"], c["threads"]) == (1, "16", 1)], []),
    ],
)
def test_notes(cells, parts):
    found = notes(cells, QUICK)
    assert len(found) == len(parts)
    for said, wanted in zip(found, parts, strict=True):
        assert all(part in said for part in wanted.split("~"))


@pytest.mark.parametrize(
    ("batch", "ms", "said"),
    [
        (1, 0.05, ""),
        (
            1,
            0.12,
            "Of the 0.30 ms that the student takes in ONNX int8 with one text at a time, the tokenizer",
        ),
        (4, 0.07, "Of the 1.20 ms that the student takes in ONNX int8 with batches of 4, the"),
    ],
)
def test_note_about_the_tokenizer(batch, ms, said):
    found = notes(cells(batches=(batch, 32)), {"teacher": {"p50": ms}, "student": {"p50": ms}})
    assert len(found) == bool(said)
    assert "".join(found).startswith(said)


def test_other_notes():
    assert notes(cells(), QUICK, ["128 tokens are left out."] * 2) == ["128 tokens are left out."]
    said = "While 1 thread was timed, the processor was at other work for 40 % of the time: times may be too "
    assert waited(0.6) == [said + "long; measure again when this machine is idle."]
    assert waited(0.7) == waited(None) == []


@pytest.mark.parametrize(
    ("size", "p50", "said"),
    [(10, 1, "10.0x smaller, 10.0x faster"), (101, 5, "2.0x faster"), (200, 20, "2.0x larger, 2.0x slower")],
)
def test_one_form_against_another(size, p50, said):
    first, form = ({"size_mb": mb, "latency_ms": {"p50": ms}} for mb, ms in ((100, 10), (size, p50)))
    assert against(first, form) == said


def test_conditions():
    report = {"created": "2026-01-31T14:30:00", "machine": MACHINE | {"cores": 2}, "tokenizer_ms": QUICK}
    new = [cell | {"tokenizer": True} for cell in cells()]
    said = conditions(report | {"cells": new})
    for part in (
        "2026-01-31",
        "50 to 50 batches",
        "CPU X, 2 cores",
        "and the tokenizer included: 0.01 ms for",
    ):
        assert part in said
    apart = "the tokenizer is not: it comes on top, 0.01 ms for a text of the teacher"
    assert apart in conditions(report | {"cells": [*new[1:], cells()[0]]}), "of one it is not known"
