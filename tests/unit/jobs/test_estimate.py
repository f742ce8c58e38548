"""Minutes before the start: what makes a run longer, what is cached, and what past runs teach."""

from dataclasses import replace

import pytest
import torch

from kd_core.distillation.events import STAGES, Estimated, Resolved, StageStarted, TrainingStarted
from kd_core.jobs.cost import by_stage, parts
from kd_core.jobs.estimate import PastRun, cached_parts, calibrate, estimate, past_runs
from tests.unit.jobs.planned import STUDENT, plan
from tests.unit.jobs.told import OTHER, RUN, THIRD, report, write

RATE = 1e11


def work_of(changes=None, **given) -> dict[str, float]:
    return by_stage(parts(plan(changes, **given)))


def ran(changes=None, rate=None, size=None, **given) -> PastRun:
    """Return a past run: at a known ``rate``, and with an estimate where its ``size`` is given."""
    work = {stage: (size or 1) * amount for stage, amount in work_of(changes).items()}
    seconds = {stage: amount / rate for stage, amount in work.items()} if rate else {}
    config = plan(changes).config.model_dump(mode="json")
    return PastRun(config, **({"seconds": seconds, "work": work if size else {}} | given))


def test_seconds_are_work_over_the_calibrated_rate_where_nothing_ran_before():
    expected = estimate(plan(), [], lambda: RATE)
    assert (expected.measured, expected.cached) == (False, ())
    assert expected.seconds == {stage: pytest.approx(work_of()[stage] / RATE) for stage in STAGES}
    assert expected.total == pytest.approx(sum(expected.seconds.values()))


@pytest.mark.parametrize(
    ("changes", "stage", "least", "most"),
    [
        ({"training.steps": 2400, "training.evaluate_every": 200}, "distil", 1.98, 2.02),
        ({"training.seeds": [0, 1, 2]}, "distil", 2.98, 3.02),
        ({"teacher.epochs": 10}, "teach", 1.98, 2.02),
        ({"objective.hidden_weight": 1}, "distil", 2, 9),
    ],
)
def test_more_work_takes_longer_in_its_stage_alone(changes, stage, least, most):
    before, after = work_of(), work_of(changes)
    assert least * before[stage] <= after[stage] <= most * before[stage]
    assert all(after[other] == before[other] for other in STAGES if other not in (stage, "validate"))
    wide = replace(STUDENT, hidden=512, flops_per_token=25_000_000)
    assert work_of(student=wide)["distil"] > 2 * before["distil"]


def test_each_student_costs_its_own_texts():
    without = work_of({"controls.labelled_only": False})["distil"]
    # With alpha 1 transfer rows stay out, so that only two equal students on labelled texts are left.
    assert work_of()["distil"] - without == pytest.approx(work_of({"objective.alpha": 1})["distil"] / 2)
    few, many = (
        {part.who: part for part in parts(plan({"training.transfer_batch_size": size})) if part.who}
        for size in (32, 64)
    )
    assert (few["student"].texts, many["student"].texts) == (32 + 32, 32 + 64)
    assert many["student"].work > 1.2 * few["student"].work
    assert all(many[who] == few[who] for who in ("teacher", "alone", "labelled_only"))


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
    rows = dict(zip(("train", "validation", "test", "transfer"), (*rows, 0), strict=True))
    given = {"rows": rows, "tokens": {"train": tokens, "transfer": 0.0}, "classes": classes}
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
    on = {"controls.plain_start": True}  # a control is cached where both runs have it
    cached = [cached_parts(plan(now).config, [ran(then)]) for now, then in ((on, {}), ({}, on), (on, on))]
    assert ["plain_start" in found for found in cached] == [False, False, True]


OTHER_TEACHER = {"teacher.seed": 1}
LARGER = [ran(OTHER_TEACHER, 9e11, size) for size in (7, 6, 5)]
WITHOUT_ALONE = by_stage(part for part in parts(plan()) if part.who != "alone")
READY = {"seconds": {stage: work / 3e11 for stage, work in WITHOUT_ALONE.items()}, "ready": {("alone", 0)}}


@pytest.mark.parametrize(
    ("past", "changes", "rate"),
    [
        ([*LARGER, ran(OTHER_TEACHER, 2e11, 1), ran(OTHER_TEACHER, 2e11, 1.1)], {}, 2e11),  # the nearest
        ([ran(OTHER_TEACHER, 9e11, 1 / 7.9)], {}, 9e11),
        ([ran(OTHER_TEACHER, 9e11, 1 / 8.1)], {}, None),  # a run of seconds mostly loads models
        ([ran(OTHER_TEACHER, 9e11, 7.9)], {}, 9e11),
        ([ran(OTHER_TEACHER, 9e11, 8.1)], {}, None),
        ([ran(rate=3e11)], {"training.seeds": [0, 1]}, 3e11),  # which nobody had estimated
        ([ran(rate=3e11)], {"student.layers": 3}, None),
        ([ran(**READY)], {"training.steps": 1_800, "training.seeds": [5]}, 3e11),
    ],
)
def test_rate_of_past_runs(past, changes, rate):
    expected = estimate(plan(changes), past, lambda: RATE)
    assert expected.measured is (rate is not None)
    assert expected.seconds["distil"] == pytest.approx(expected.work["distil"] / (rate or RATE))


def test_past_runs_of_this_machine(store, kd_home, tmp_path, monkeypatch):
    found = report(seconds={"teach": 20.0, "distil": 40.0}, cached={"teach": True}, teacher_key="none")

    def finish(run_id: str, *events) -> None:
        store.create_run(run_id, found["config"], status="done")
        store.save_report(run_id, found)
        write(store, run_id, *events)

    told = [Estimated({"distil": 50.0}, {"distil": 4e12}), Resolved(found["config"], 5, {}, {})]
    told += [StageStarted("teach"), StageStarted("distil"), TrainingStarted("student", 0, 900)]
    finish(RUN, *told, TrainingStarted("alone", 0, 900, cached=True))
    finish(OTHER, StageStarted("teach"), StageStarted("teach"))
    resumed, whole = past_runs(store)
    assert whole == PastRun(found["config"], {"distil": 40.0}, {"distil": 4e12}, False, {("alone", 0)})
    assert (resumed.seconds, resumed.work) == ({}, {}), "a resumed run has only the time of its last part"
    (kd_home / "cache" / "teachers" / "none").mkdir(parents=True)
    assert past_runs(store)[0].kept
    with monkeypatch.context() as patch:  # of another data folder, in a database that a team shares
        patch.setenv("KD_HOME", str(tmp_path / "other"))
        patch.setattr("socket.gethostname", lambda: "other")
        finish(THIRD)
    assert len(past_runs(store, limit=2)) == 2
    monkeypatch.setattr("socket.gethostname", lambda: "renamed")
    assert past_runs(store) == []


def test_calibration_leaves_the_random_state_alone(monkeypatch):
    """A page asks for it beside a training, whose dropout draws from that state."""
    before = torch.random.get_rng_state()
    for name in ("manual_seed", "set_rng_state"):
        monkeypatch.setattr(torch, name, lambda *_: pytest.fail("a training would go on from another state"))
        monkeypatch.setattr(torch.random, name, lambda *_: pytest.fail("as above"))
    assert calibrate() > 0
    assert torch.equal(before, torch.random.get_rng_state())
