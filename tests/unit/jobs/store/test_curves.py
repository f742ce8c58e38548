"""Curves and looks: as they were reported, thinned, and overwritten by a resumed run."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from kd_core.config import LAST_SEED
from tests.unit.jobs.told import RUN, look, step, write


def test_a_curve_comes_back_as_it_was_reported(store, run):
    write(store, RUN, step(1, who="teacher"), step(2), step(1), look(2, 0.75), look(2, 0.5, seed=1))
    curve = store.curve(RUN)
    assert list(curve.columns) == [
        *("who", "seed", "step", "loss", "hard", "soft", "intermediate", "learning_rate"),
        "samples_per_second",
    ]
    found = curve[curve.who == "student"].to_dict("records")
    assert [row["step"] for row in found] == [1, 2]
    expected = {"loss": 0.5, "hard": 0.25, "soft": 0.125, "learning_rate": 1e-4, "samples_per_second": 1e3}
    assert expected.items() <= found[1].items()
    looks = store.evaluations(RUN).to_dict("records")
    assert [(row["seed"], row["step"], row["accuracy"]) for row in looks] == [(0, 2, 0.75), (1, 2, 0.5)]


def test_the_largest_seed_has_a_curve(store, run):
    """An integer of PostgreSQL is too small for it: the whole run's curve was lost there."""
    write(store, RUN, step(1, seed=LAST_SEED), look(1, 0.75, seed=LAST_SEED))
    assert store.curve(RUN).seed.tolist() == store.evaluations(RUN).seed.tolist() == [LAST_SEED]


def test_an_empty_curve_has_its_columns_and_types(store, run):
    assert str(store.curve(RUN).dtypes["loss"]) == "float64"
    assert list(store.evaluations(RUN).columns) == ["who", "seed", "step", "accuracy", "loss", "score"]


def test_a_long_curve_keeps_its_ends_and_its_extremes(store, run):
    losses = {number: 1.0 + number % 7 / 100 for number in range(1, 2_001)} | {777: 9.0, 1234: 0.1}
    write(store, RUN, *(step(n, steps=2_000, loss=loss) for n, loss in losses.items()))
    write(store, RUN, *(step(n, who="alone", steps=2_000) for n in range(1, 101)))
    curve = store.curve(RUN, points=100)
    student = curve[curve.who == "student"]
    assert 50 <= len(student) <= 100
    assert student.step.is_monotonic_increasing
    assert (student.step.iloc[0], student.step.iloc[-1]) == (1, 2_000)
    assert dict(zip(student.step, student.loss, strict=True)).items() >= {777: 9.0, 1234: 0.1}.items()
    assert list(curve[curve.who == "alone"].step) == list(range(1, 101))
    assert len(store.curve(RUN)) == 500


def test_points_that_a_resumed_run_repeats_are_overwritten(store, run):
    write(store, RUN, *(step(n) for n in range(1, 7)), look(5, 0.5))
    write(store, RUN, *(step(n, loss=0.01) for n in range(4, 9)), look(5, 0.6))
    curve = store.curve(RUN)
    assert list(curve.step) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(curve.loss[2:5]) == [1 / 3, 0.01, 0.01]
    assert list(store.evaluations(RUN).accuracy) == [0.6]
    assert store.run(RUN).sparkline == (0.6,)


def test_a_number_that_is_none_is_kept_as_such(store, run):
    write(store, RUN, replace(step(1), soft=float("nan")), replace(look(1, 0.5), loss=float("nan")))
    assert store.curve(RUN).soft.isna().all()
    assert store.evaluations(RUN).loss.isna().all()


def test_a_look_has_the_score_that_decides_and_one_of_before_has_none(store, run):
    write(store, RUN, replace(look(1, 0.95), score=0.6), look(2, 0.96))
    found = store.evaluations(RUN)
    assert found.accuracy.tolist() == [0.95, 0.96]
    assert found.score.tolist() == pytest.approx([0.6, float("nan")], nan_ok=True)


def test_the_sparkline_is_the_first_students_accuracy_thinned(store, run):
    write(store, RUN, look(1, 0.1, who="teacher"), look(1, 0.2), look(2, 0.3))
    assert store.run(RUN).sparkline == (0.2, 0.3)
    write(store, RUN, *(look(n, n / 1000) for n in range(1, 101)), look(1, 0.9, seed=1))
    sparkline = store.run(RUN).sparkline
    assert (len(sparkline), sparkline[0], sparkline[-1]) == (30, 0.001, 0.1)


def test_readers_see_whole_batches_while_another_process_writes(store, run, python):
    code = """
from tests.unit.jobs.told import RUN, step, write
print("ready", flush=True)
for batch in range(40):
    write(store, RUN, *(step(n, steps=400) for n in range(10 * batch + 1, 10 * batch + 11)))
"""
    writer = python(code)
    writer.stdout.readline()
    seen = []
    while writer.poll() is None:
        seen.append(len(store.curve(RUN)))
    assert writer.returncode == 0, writer.stderr.read()
    assert all(count % 10 == 0 for count in seen)
    assert seen == sorted(seen)
    assert len(store.curve(RUN)) == 400


def test_a_writer_that_is_killed_loses_nothing_it_was_told_is_kept(store, run, python):
    code = """
from tests.unit.jobs.told import RUN, step, write
for number in range(1, 100_000):
    write(store, RUN, step(number, steps=100_000))
    print(number, flush=True)
"""
    writer = python(code)
    for _ in range(20):
        acknowledged = writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = (writer.communicate()[0].splitlines() or [acknowledged])[-1]
    steps = list(store.curve(RUN, points=100_000).step)
    assert len(steps) >= int(acknowledged)
    assert steps == list(range(1, len(steps) + 1))
    write(store, RUN, step(len(steps) + 1))  # and the database can be written
