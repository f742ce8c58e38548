"""Each sentence about a benchmark is said where the numbers show it, and only there."""

from itertools import product

import pytest

from kd_core.deployment.benchmark_notes import against, conditions, notes, waited
from kd_core.deployment.runtimes import name_of_form
from kd_core.system.formatting import in_sentence

FORMS = [f"{who}-{runtime}" for who in ("teacher", "student") for runtime in ("pytorch", "onnx", "int8")]
# Milliseconds for a text, in proportion to the work: nothing to remark on.
IDEAL = {
    "teacher-pytorch": 8.0,
    "teacher-onnx": 6.0,
    "teacher-int8": 3.0,
    "student-pytorch": 0.8,
    "student-onnx": 0.6,
    "student-int8": 0.3,
}
QUICK = {"teacher": {"p50": 0.01}, "student": {"p50": 0.01}}


def cells(changes=None, *, spread=1.1, padded_to=10.0, batches=(1, 32)):
    """Proportional to the batch, and halved by a second thread; ``changes``: (form, batch, threads) -> ms."""
    return [
        {
            "form": form,
            "batch": batch,
            "length": length,
            "threads": threads,
            "tokens": 10.0,
            "padded_to": padded_to,
            "passes": 50,
            "p50": (p50 := (changes or {}).get((form, batch, threads), IDEAL[form] * batch / threads)),
            "p95": p50 * spread,
            "texts_per_second": 1000 * batch / p50,
        }
        for threads, length, batch, form in product((1, 2), ("texts", "16"), batches, FORMS)
    ]


def test_a_processor_that_was_at_other_work_is_said_of_one_thread_alone() -> None:
    said = "While 1 thread was timed, the processor was at other work for 40 % of the time: times may be too "
    assert waited(0.6) == [said + "long; measure again when this machine is idle."]
    assert waited(0.7) == waited(None) == []


def test_nothing_to_say_where_time_follows_the_work():
    assert notes(cells(), QUICK) == []


def test_less_gain_with_one_text():
    found = notes(cells({("student-pytorch", 1, 1): 2.0, ("student-pytorch", 1, 2): 1.0}), QUICK)
    # (32 x 0.8 - 2.0) / 31 = 0.761 ms for each further text: 1.24 of the first 2 ms are fixed.
    assert found == [
        "With one text at a time the student gains less on the teacher than in batches of 32. Its speed is, "
        "against the teacher's, 4.0x rather than 10.0x in PyTorch. Most of its time for 16 tokens does not "
        "grow "
        "with the batch (1.24 ms of 2.00 ms in PyTorch): it goes into calling one operation after another "
        "and "
        "reading the weights, which narrower layers hardly shorten.",
        "With one text at a time, the same student takes 2.00 ms in PyTorch and 0.60 ms in ONNX Runtime: "
        "1.40 ms are PyTorch's own, not the model's.",
    ]


def test_a_gain_that_is_hardly_less_is_not_remarked_on():
    """6.0 ms over 0.70 are 8.6 times, of 10 in large batches; over 0.78 they are 7.7."""
    assert notes(cells({("student-onnx", 1, 1): 0.70, ("student-onnx", 1, 2): 0.35}), QUICK) == []
    [said] = notes(cells({("student-onnx", 1, 1): 0.78, ("student-onnx", 1, 2): 0.39}), QUICK)
    # Of 0.78 ms 0.19 are fixed, which is not most of it.
    assert said == (
        "With one text at a time the student gains less on the teacher than in batches of 32. Its speed is, "
        "against the teacher's, 7.7x rather than 10.0x in ONNX."
    )


def test_less_gain_where_the_smallest_batch_has_four_texts():
    """(25.6 - 6) / 28 = 0.7 ms for each further text, 2.8 for four: 3.2 of the first 6 are fixed."""
    changes = {("student-pytorch", 4, 1): 6.0, ("student-pytorch", 4, 2): 3.0}
    gain, framework = notes(cells(changes, batches=(4, 32)), QUICK)
    assert gain.startswith("With batches of 4 the student gains less on the teacher than in batches of 32.")
    assert "does not grow with the batch (3.20 ms of 6.00 ms in PyTorch)" in gain
    assert framework.startswith("With batches of 4, the same student takes 6.00 ms in PyTorch and 2.40 ms in")


def test_int8_that_is_hardly_faster():
    [said] = notes(cells({("teacher-int8", 1, 1): 5.9, ("teacher-int8", 1, 2): 3.0}), QUICK)
    assert said.startswith(
        "With one text at a time, 8-bit weights are hardly faster for the teacher (5.90 ms against 6.00 ms)"
    )


def test_threads_that_bring_nothing():
    [said] = notes(cells({("student-int8", 1, 2): 0.29}), QUICK)
    assert said == (
        "With one text at a time, 2 threads are hardly faster than 1 (distilled student, ONNX int8: 0.30 ms "
        "and 0.29 ms): there is too little work to share."
    )
    [said] = notes(cells({("student-int8", 1, 2): 0.60}), QUICK)
    assert "2 threads are no faster than 1 (" in said
    assert said.endswith(
        "After each operation they wait for one another, longest where another program holds a core."
    )


def test_padding():
    [said] = notes(cells(padded_to=15.0), QUICK)
    assert said.startswith(
        "In batches of 32 test texts 33 % of the work is padding: 10.0 tokens on average are filled up to "
        "15.0."
    )


def test_a_tokenizer_that_counts():
    [said] = notes(cells(), {"teacher": {"p50": 0.1}, "student": {"p50": 0.12}})
    assert said == (
        "Of the 0.30 ms that the student takes in ONNX int8 with one text at a time, the tokenizer takes "
        "0.12 ms for each text."
    )
    [said] = notes(cells(batches=(4, 32)), {"teacher": {"p50": 0.1}, "student": {"p50": 0.07}})
    assert said.startswith("Of the 1.20 ms that the student takes in ONNX int8 with batches of 4, the"), (
        "4 times"
    )


def test_a_busy_machine():
    [said] = notes(cells(spread=2.0), QUICK)
    assert said == (
        "Something else ran on this machine: of equal work on 1 thread, the 95th percentile is 2.0x the "
        "median. "
        "Times may be too long; measure again when it is idle."
    )
    assert [len(notes(cells(spread=spread), QUICK)) for spread in (1.49, 1.51)] == [0, 1]


@pytest.mark.parametrize(("place", "value"), [("length", "texts"), ("threads", 2)])
def test_texts_differ_and_threads_wait_on_an_idle_machine_too(place, value):
    """So of texts of any length, and of several threads, a wide spread says nothing."""
    wide = [cell | {"p95": 3 * cell["p50"]} if cell[place] == value else cell for cell in cells()]
    assert notes(wide, QUICK) == []


def test_cores_that_were_taken():
    """Twice the time on 2 threads, in a batch of 32, where there is work for both."""
    [said] = notes(cells({("teacher-onnx", 32, 2): 384.0}), QUICK)
    assert said == (
        "Something else held some of the cores while 2 threads were timed: Teacher, ONNX takes 384.0 ms on 2 "
        "threads and 192.0 ms on 1 for a batch of 32, though that is work enough for all. Do not trust the "
        "times on 2 threads; measure again when this machine is idle."
    )


def test_what_was_left_out_comes_first_and_once():
    assert notes(cells(), QUICK, ["128 tokens are left out."] * 2) == ["128 tokens are left out."]


def test_one_batch_one_length_one_thread():
    """The smallest benchmark that there can be has nothing to compare."""
    rows = [c for c in cells() if (c["batch"], c["length"], c["threads"]) == (1, "16", 1)]
    assert notes(rows, QUICK) == []


@pytest.mark.parametrize(
    ("size", "p50", "said"),
    [(10, 1, "10.0x smaller, 10.0x faster"), (101, 5, "2.0x faster"), (200, 20, "2.0x larger, 2.0x slower")],
)
def test_against(size, p50, said):
    def form(size_mb, ms):
        return {"size_mb": size_mb, "latency_ms": {"p50": ms}}

    assert against(form(100, 10), form(size, p50)) == said


def test_form_name():
    name = name_of_form("student-int8")
    assert name == "Distilled student, ONNX int8"
    assert in_sentence(name) == "distilled student, ONNX int8"
    assert in_sentence("TF-IDF, scikit-learn") == "TF-IDF, scikit-learn"


def test_conditions_are_all_said():
    machine = {"processor": "CPU X", "cores": 2, "memory_gb": 8, "os": "Linux", "python": "3", "torch": "2"}
    report = {"created": "2026-01-31T14:30:00", "machine": machine, "cells": cells(), "tokenizer_ms": QUICK}
    said = conditions(report)
    for part in (
        "2026-01-31",
        "pinned",
        "took turns",
        "50 to 50 batches",
        "the tokenizer is not: it comes on top, 0.01 ms for a text of the teacher",
        "CPU X, 2 cores",
    ):
        assert part in said
    new = [cell | {"tokenizer": True} for cell in cells()]
    assert "it comes on top" in conditions(report | {"cells": [*new[1:], cells()[0]]}), (
        "of one it is not known"
    )
    today = conditions(report | {"cells": new})
    assert "Times are from texts to answers, padding a batch and the tokenizer included: 0.01 ms for" in today
