"""Minutes before the start: what makes a run longer, what is cached, and what past runs teach."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from kd_core.distillation.events import STAGES, Estimated, Resolved, StageStarted, TrainingStarted
from kd_core.jobs.cost import by_stage, parts
from kd_core.jobs.estimate import PastRun, cached_parts, calibrate, estimate, past_runs
from kd_core.jobs.store import Store
from tests import SAMPLES
from tests.unit.jobs.planned import STUDENT, plan

RATE = 1e11


def never() -> float:
    raise AssertionError("calibrated although past runs measured every step")


def run_work(made) -> dict[str, float]:
    return by_stage(parts(made))


def resolved(made) -> dict:
    return made.config.model_dump(mode="json")


def test_seconds_are_work_over_the_calibrated_rate_where_nothing_ran_before():
    expected = estimate(plan(), [], lambda: RATE)
    assert not expected.measured
    assert expected.cached == ()
    assert expected.seconds == {stage: pytest.approx(run_work(plan())[stage] / RATE) for stage in STAGES}
    assert expected.total == pytest.approx(sum(expected.seconds.values()))


@pytest.mark.parametrize(
    ("changed", "stage", "times"),
    [
        (plan({"training.steps": 2400, "training.evaluate_every": 200}), "distil", 2),
        (plan({"training.seeds": [0, 1, 2]}), "distil", 3),
        (plan({"teacher.epochs": 10}), "teach", 2),
    ],
)
def test_twice_as_many_steps_take_twice_as_long(changed, stage, times):
    before, after = run_work(plan()), run_work(changed)
    assert after[stage] == pytest.approx(times * before[stage], rel=0.02)
    assert all(after[other] == before[other] for other in STAGES if other not in (stage, "validate"))


def test_the_stages_of_the_recorded_run_went_at_about_one_rate():
    """So that what one of them takes says what the others will."""
    work, report = run_work(plan()), json.loads((SAMPLES / "report.json").read_text("utf-8"))
    rates = {stage: work[stage] / report["seconds"][stage] for stage in STAGES}
    assert rates.pop("validate") == pytest.approx(rates["distil"], rel=0.3)
    assert max(rates.values()) < 1.15 * min(rates.values())


def test_each_control_costs_its_own_training():
    full = run_work(plan())["distil"]
    without = run_work(plan({"controls.labelled_only": False}))["distil"]
    # With alpha 1 transfer rows stay out, so that only two equal students on labelled texts are left.
    two_alone = run_work(plan({"objective.alpha": 1}))["distil"]
    assert full - without == pytest.approx(two_alone / 2)


def test_whoever_sees_no_transfer_texts_does_not_pay_for_them():
    few, many = (
        {part.who: part for part in parts(plan({"training.transfer_batch_size": size})) if part.who}
        for size in (32, 64)
    )
    assert (few["student"].texts, many["student"].texts) == (32 + 32, 32 + 64)
    assert many["student"].work > 1.2 * few["student"].work
    for who in ("teacher", "alone", "labelled_only"):
        assert many[who] == few[who]


def test_what_the_floor_costs_by_hand():
    def floor(**changes) -> float:
        made = replace(plan(), **changes)
        without = replace(made, config=made.config.change({"controls.tfidf": False}))
        return run_work(made)["validate"] - run_work(without)["validate"]

    rows = {"train": 1_000, "validation": 100, "test": 200, "transfer": 0}
    tokens = {"train": 20.0, "transfer": 0.0}  # 90 letters
    # It reads 90,000 letters and the square root of that is 300; 200 texts x 5 and 100 of validation follow.
    assert floor(rows=rows, tokens=tokens, classes=5) == pytest.approx(
        3e4 * (90_000 + 1_100 * 90) + 5e6 * 5 * 300
    )
    # Of a text, 1,000 letters; of all, 3 million; from 100 classes on, fewer features.
    many = {"train": 100_000, "validation": 0, "test": 0, "transfer": 0}
    assert floor(rows=many, tokens={"train": 256.0, "transfer": 0.0}, classes=400) == pytest.approx(
        3e4 * 3e6 + 5e6 * 100 * 3e6**0.5, rel=1e-6
    )


def test_a_wider_student_and_the_teacher_online_take_longer():
    usual = run_work(plan())["distil"]
    assert (
        run_work(plan(student=replace(STUDENT, hidden=512, flops_per_token=25_000_000)))["distil"] > 2 * usual
    )
    assert run_work(plan({"objective.hidden_weight": 1}))["distil"] > 2 * usual


def test_what_a_run_with_the_same_settings_left_in_the_cache_takes_no_time():
    earlier = [PastRun(resolved(plan()), {})]
    expected = estimate(plan({"objective.temperature": 8}), earlier, lambda: RATE)
    assert expected.cached == ("teach", "record")
    assert expected.seconds["teach"] == expected.seconds["record"] == 0
    assert expected.work["distil"] < run_work(plan())["distil"], "the student alone is cached too"


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"objective.alpha": 0.9}, {"teach", "record", "alone"}),
        ({"training.steps": 300}, {"teach", "record"}),
        ({"student.layers": 3}, {"teach", "record"}),
        ({"teacher.seed": 1}, set()),
        ({"task.split_seed": 1}, set()),
        ({"training.precision": "bf16"}, set()),
        # A teacher learns with these weights, and keeps the weights that are best by this metric.
        ({"objective.class_weights": "balanced"}, set()),
        ({"training.metric": "macro_f1"}, set()),
    ],
)
def test_a_change_costs_what_depends_on_it(change, left):
    assert cached_parts(plan(change).config, [PastRun(resolved(plan()), {})]) == left


def test_a_control_is_cached_where_both_runs_have_it():
    on = {"controls.plain_start": True}
    without, with_it = ([PastRun(resolved(plan(change)), {})] for change in ({}, on))
    assert "plain_start" not in cached_parts(plan(on).config, without) | cached_parts(plan().config, with_it)
    assert "plain_start" in cached_parts(plan(on).config, with_it)


def test_a_teacher_that_was_cleaned_away_is_not_cached():
    assert cached_parts(plan().config, [PastRun(resolved(plan()), {}, kept=False)]) == set()


def test_past_runs_set_the_rate_and_the_nearest_amount_of_work_counts_most():
    other = plan({"teacher.seed": 1})
    work = run_work(other)

    def past(size: float, rate: float) -> PastRun:
        scaled = {stage: size * work[stage] for stage in STAGES}
        return PastRun(resolved(other), {stage: scaled[stage] / rate for stage in STAGES}, scaled)

    larger = [past(size, 9e11) for size in (7, 6, 5)]  # not so much that they would tell nothing
    expected = estimate(plan(), [*larger, past(1, 2e11), past(1.1, 2e11)], never)
    assert expected.measured
    assert expected.seconds["distil"] == pytest.approx(work["distil"] / 2e11)


def test_a_run_that_nobody_estimated_sets_the_rate_for_the_same_texts_and_models():
    work = run_work(plan())
    ran = PastRun(resolved(plan()), {stage: work[stage] / 3e11 for stage in STAGES})
    expected = estimate(plan({"training.seeds": [0, 1]}), [ran], never)
    assert expected.measured
    assert expected.seconds["distil"] == pytest.approx(expected.work["distil"] / 3e11)
    other = estimate(plan({"student.layers": 3}), [ran], lambda: RATE)
    assert other.seconds["distil"] == pytest.approx(other.work["distil"] / RATE), "another student: no rate"


def test_a_run_of_another_size_tells_nothing():
    """Of a run of seconds most is loading: its rate would make a demo an hour long."""
    work = run_work(plan())
    small = {stage: work[stage] / 50 for stage in STAGES}
    ran = PastRun({}, dict.fromkeys(STAGES, 60.0), small)
    expected = estimate(plan(), [ran], lambda: RATE)
    assert not expected.measured
    assert expected.seconds["distil"] == pytest.approx(work["distil"] / RATE)


def test_students_that_were_ready_do_not_make_a_machine_look_faster():
    without = [part for part in parts(plan()) if part.who != "alone"]
    seconds = {stage: work / 3e11 for stage, work in by_stage(without).items()}
    ran = PastRun(resolved(plan()), seconds, ready={("alone", 0)})
    other = plan({"training.steps": 1_800, "task.split_seed": 0, "training.seeds": [5]})
    expected = estimate(other, [ran], never)
    assert expected.seconds["distil"] == pytest.approx(expected.work["distil"] / 3e11)


def test_past_runs_reads_times_and_estimates_from_the_store():
    class Row:
        def __init__(self, run_id: str, machine: str) -> None:
            self.id, self.machine = run_id, machine

    class Entry:
        def __init__(self, event: object) -> None:
            self.event = event

    import socket

    report = SimpleNamespace(
        config={"task": {}},
        seconds={"teach": 20.0, "distil": 40.0},
        cached={"teach": True},
        teacher_key="none",
    )
    events = {
        "whole": [
            Estimated({"distil": 50.0}, {"distil": 4e12}),
            Resolved({}, 5, {}, {}),
            StageStarted("teach"),
            StageStarted("distil"),
            TrainingStarted("student", 0, 900),
            TrainingStarted("alone", 0, 900, cached=True),
        ],
        "of version 0.1": [Estimated({"distil": 50.0}, {"distil": 3e12}), StageStarted("distil")],
        "resumed": [StageStarted("teach"), StageStarted("teach")],
    }

    class FakeStore:
        def runs(self, **_: object) -> list[Row]:
            here = socket.gethostname()
            return [
                Row("whole", here),
                Row("of version 0.1", here),
                Row("resumed", here),
                Row("elsewhere", f"not-{here}"),
            ]

        def report(self, run_id: str) -> SimpleNamespace:
            return report

        def events(self, run_id: str) -> list[Entry]:
            return [Entry(event) for event in events[run_id]]

    whole, old, resumed = past_runs(FakeStore())
    assert whole == PastRun({"task": {}}, {"distil": 40.0}, {"distil": 4e12}, False, {("alone", 0)})
    assert (old.seconds, old.work) == ({"distil": 40.0}, {}), "its work was counted in other units"
    assert resumed.seconds == {}, "a resumed run has only the time of its last part"


def test_the_runs_of_a_team_do_not_crowd_out_those_of_this_machine(kd_home, tmp_path, monkeypatch):
    """One database, and the newest run is another data folder's: the times of this one's are known."""
    store = Store(f"sqlite:///{tmp_path / 'shared.sqlite'}")
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    for number in (1, 2):
        with monkeypatch.context() as patch:
            if number == 2:
                patch.setenv("KD_HOME", str(tmp_path / "other"))
                patch.setattr("socket.gethostname", lambda: "other")
            run_id = f"20260131-14300{number}-a1b2"
            store.create_run(run_id, report["config"], status="done")
            store.save_report(run_id, report)
    assert len(past_runs(store, limit=1)) == 1


def test_a_calibration_leaves_torchs_random_state_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page asks for it beside a training, whose dropout draws from that state: not even for a moment."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a training would go on from another state")

    before = torch.random.get_rng_state()
    for name in ("manual_seed", "set_rng_state"):
        monkeypatch.setattr(torch, name, refuse)
        monkeypatch.setattr(torch.random, name, refuse)
    assert calibrate() > 0
    assert torch.equal(before, torch.random.get_rng_state())
