"""Minutes before the start: what makes a run longer, what is cached, and what past runs teach."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch

from kd_core.distillation.events import STAGES, Estimated, Resolved, StageStarted, TrainingStarted
from kd_core.jobs.cost import by_stage, parts
from kd_core.jobs.estimate import PastRun, cached_parts, calibrate, estimate, past_runs
from tests import SAMPLES
from tests.unit.jobs.planned import STUDENT, plan
from tests.unit.jobs.told import OTHER, RUN, report

RATE = 1e11


def never() -> float:
    raise AssertionError("calibrated although past runs measured every step")


def work_of(changes=None, **given) -> dict[str, float]:
    return by_stage(parts(plan(changes, **given)))


def ran(changes=None, rate: float | None = None, **given) -> PastRun:
    """Return a finished run; with a ``rate``, also the seconds that its stages took."""
    seconds = {stage: work / rate for stage, work in work_of(changes).items()} if rate else {}
    return PastRun(plan(changes).config.model_dump(mode="json"), seconds, **given)


def test_seconds_are_work_over_the_calibrated_rate_where_nothing_ran_before():
    expected = estimate(plan(), [], lambda: RATE)
    assert (expected.measured, expected.cached) == (False, ())
    assert expected.seconds == {stage: pytest.approx(work_of()[stage] / RATE) for stage in STAGES}
    assert expected.total == pytest.approx(sum(expected.seconds.values()))


WIDE = {"student": replace(STUDENT, hidden=512, flops_per_token=25_000_000)}


@pytest.mark.parametrize(
    ("changes", "given", "stage", "least", "most"),
    [
        ({"training.steps": 2400, "training.evaluate_every": 200}, {}, "distil", 1.98, 2.02),
        ({"training.seeds": [0, 1, 2]}, {}, "distil", 2.98, 3.02),
        ({"teacher.epochs": 10}, {}, "teach", 1.98, 2.02),
        ({}, WIDE, "distil", 2, 9),
        ({"objective.hidden_weight": 1}, {}, "distil", 2, 9),
    ],
)
def test_more_work_takes_longer_in_its_stage_alone(changes, given, stage, least, most):
    before, after = work_of(), work_of(changes, **given)
    assert least * before[stage] <= after[stage] <= most * before[stage]
    assert all(after[other] == before[other] for other in STAGES if other not in (stage, "validate"))


def test_stages_of_the_recorded_run_went_at_about_one_rate():
    work, recorded = work_of(), json.loads((SAMPLES / "report.json").read_text("utf-8"))
    rates = {stage: work[stage] / recorded["seconds"][stage] for stage in STAGES}
    assert rates.pop("validate") == pytest.approx(rates["distil"], rel=0.3)
    assert max(rates.values()) < 1.15 * min(rates.values())


def test_each_control_costs_its_own_training():
    without = work_of({"controls.labelled_only": False})["distil"]
    # With alpha 1 transfer rows stay out, so that only two equal students on labelled texts are left.
    two_alone = work_of({"objective.alpha": 1})["distil"]
    assert work_of()["distil"] - without == pytest.approx(two_alone / 2)


def test_who_sees_no_transfer_texts_does_not_pay_for_them():
    few, many = (
        {part.who: part for part in parts(plan({"training.transfer_batch_size": size})) if part.who}
        for size in (32, 64)
    )
    assert (few["student"].texts, many["student"].texts) == (32 + 32, 32 + 64)
    assert many["student"].work > 1.2 * few["student"].work
    for who in ("teacher", "alone", "labelled_only"):
        assert many[who] == few[who]


@pytest.mark.parametrize(
    ("rows", "tokens", "classes", "work"),
    [
        # 90 letters a text: it reads 90,000, whose root is 300; 200 texts x 5 and 100 follow.
        ((1_000, 100, 200), 20.0, 5, 3e4 * (90_000 + 1_100 * 90) + 5e6 * 5 * 300),
        # Of a text, 1,000 letters; of all, 3 million; from 100 classes on, fewer features.
        ((100_000, 0, 0), 256.0, 400, 3e4 * 3e6 + 5e6 * 100 * 3e6**0.5),
    ],
)
def test_cost_of_tfidf_by_hand(rows, tokens, classes, work):
    given = {
        "rows": dict(zip(("train", "validation", "test"), rows, strict=True)) | {"transfer": 0},
        "tokens": {"train": tokens, "transfer": 0.0},
        "classes": classes,
    }
    without = work_of({"controls.tfidf": False}, **given)["validate"]
    assert work_of(**given)["validate"] - without == pytest.approx(work, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"objective.temperature": 8}, {"teach", "record", "alone"}),
        ({"training.steps": 300}, {"teach", "record"}),
        ({"student.layers": 3}, {"teach", "record"}),
        ({"teacher.seed": 1}, set()),
        ({"task.split_seed": 1}, set()),
        ({"training.precision": "bf16"}, set()),
        ({"objective.class_weights": "balanced"}, set()),  # a teacher learns with these weights
        ({"training.metric": "macro_f1"}, set()),  # and keeps those that are best by this metric
    ],
)
def test_change_costs_what_depends_on_it(change, left):
    assert cached_parts(plan(change).config, [ran()]) == left
    assert cached_parts(plan(change).config, [ran(kept=False)]) == set()
    expected = estimate(plan(change), [ran()], lambda: RATE)
    assert expected.cached == tuple(stage for stage in STAGES if stage in left)
    assert all(expected.seconds[stage] == 0 for stage in expected.cached)
    assert (expected.work["distil"] < work_of(change)["distil"]) == ("alone" in left)


def test_control_is_cached_where_both_runs_have_it():
    on = {"controls.plain_start": True}
    cached = [cached_parts(plan(now).config, [ran(then)]) for now, then in ((on, {}), ({}, on), (on, on))]
    assert ["plain_start" in found for found in cached] == [False, False, True]


def test_nearest_amounts_of_work_set_the_rate():
    other = {"teacher.seed": 1}

    def past(size: float, rate: float) -> PastRun:
        scaled = {stage: size * work for stage, work in work_of(other).items()}
        seconds = {stage: work / rate for stage, work in scaled.items()}
        return replace(ran(other, work=scaled), seconds=seconds)

    larger = [past(size, 9e11) for size in (7, 6, 5)]
    expected = estimate(plan(), [*larger, past(1, 2e11), past(1.1, 2e11)], never)
    assert expected.measured
    assert expected.seconds["distil"] == pytest.approx(work_of()["distil"] / 2e11)
    # A run of seconds mostly loads models: its rate tells nothing.
    for size, measured in ((1 / 8.1, False), (1 / 7.9, True), (7.9, True), (8.1, False)):
        assert estimate(plan(), [past(size, 9e11)], lambda: RATE).measured is measured


def test_run_that_nobody_estimated_sets_the_rate_for_the_same_texts_and_models():
    for changes, rate in (({"training.seeds": [0, 1]}, 3e11), ({"student.layers": 3}, RATE)):
        expected = estimate(plan(changes), [ran(rate=3e11)], lambda: RATE)
        assert expected.measured is (rate == 3e11)
        assert expected.seconds["distil"] == pytest.approx(expected.work["distil"] / rate)


def test_students_that_were_ready_do_not_make_a_machine_look_faster():
    work = by_stage(part for part in parts(plan()) if part.who != "alone")
    seconds = {stage: amount / 3e11 for stage, amount in work.items()}
    past = replace(ran(), seconds=seconds, ready={("alone", 0)})
    expected = estimate(plan({"training.steps": 1_800, "training.seeds": [5]}), [past], never)
    assert expected.seconds["distil"] == pytest.approx(expected.work["distil"] / 3e11)


def test_past_runs_of_this_machine(store, kd_home, tmp_path, monkeypatch):
    told = [
        Estimated({"distil": 50.0}, {"distil": 4e12}),
        Resolved(report()["config"], 5, {}, {}),
        StageStarted("teach"),
        StageStarted("distil"),
        TrainingStarted("student", 0, 900),
        TrainingStarted("alone", 0, 900, cached=True),
    ]
    found = report(seconds={"teach": 20.0, "distil": 40.0}, cached={"teach": True}, teacher_key="none")

    def finish(run_id: str, *events) -> None:
        store.create_run(run_id, found["config"], status="done")
        store.save_report(run_id, found)
        store.write(run_id, [(datetime.now(UTC), event) for event in events])

    finish(RUN, *told)
    finish(OTHER, StageStarted("teach"), StageStarted("teach"))
    resumed, whole = past_runs(store)
    assert whole == PastRun(found["config"], {"distil": 40.0}, {"distil": 4e12}, False, {("alone", 0)})
    assert (resumed.seconds, resumed.work) == ({}, {}), "a resumed run has only the time of its last part"
    (kd_home / "cache" / "teachers" / "none").mkdir(parents=True)
    assert past_runs(store)[0].kept
    with monkeypatch.context() as patch:  # of another data folder, in a database that a team shares
        patch.setenv("KD_HOME", str(tmp_path / "other"))
        patch.setattr("socket.gethostname", lambda: "other")
        finish("20260131-143000-a1b2")
    assert len(past_runs(store, limit=2)) == 2
    monkeypatch.setattr("socket.gethostname", lambda: "renamed")
    assert past_runs(store) == []


def test_calibration_leaves_the_random_state_alone(monkeypatch):
    """A page asks for it beside a training, whose dropout draws from that state."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a training would go on from another state")

    before = torch.random.get_rng_state()
    for name in ("manual_seed", "set_rng_state"):
        monkeypatch.setattr(torch, name, refuse)
        monkeypatch.setattr(torch.random, name, refuse)
    assert calibrate() > 0
    assert torch.equal(before, torch.random.get_rng_state())
