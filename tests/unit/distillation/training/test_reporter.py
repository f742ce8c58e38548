"""What a training tells, to listeners and trackers, and how it obeys pause and stop."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_core import distill
from kd_core.config import DistillConfig
from kd_core.distillation.events import Checkpointed, Step
from kd_core.distillation.training import losses, reporter
from kd_core.distillation.training import trainer as trainer_module
from kd_core.distillation.training.trainer import ENVIRONMENT, train
from kd_core.errors import ConfigError, DivergedError, Stopped
from kd_core.system.control import Control
from tests.unit.distillation.training.trained import (
    RECIPE,
    Clock,
    WatchedControl,
    same,
    steps,
    train_it,
    weights,
)


def test_steps_checkpoints_and_evaluations_are_told(trainer, monkeypatch):
    events, clock = [], Clock()  # each step takes ten seconds
    monkeypatch.setattr(trainer_module, "time", clock)
    monkeypatch.setattr(reporter, "time", clock)

    def on_event(event) -> None:
        events.append(event)
        clock.now += 10 * isinstance(event, Step)

    subject = train_it(trainer(on_event=on_event))
    assert [(type(event).__name__, event.step) for event in events] == [
        *(("Step", step) for step in (1, 2, 3)),
        ("Checkpointed", 3),  # after 30 seconds, and before the evaluation of its step
        ("Evaluated", 3),
        *(("Step", step) for step in (4, 5, 6)),
        ("Checkpointed", 6),
        ("Evaluated", 6),
    ]
    assert {(event.who, event.seed) for event in events} == {("student", 0)}
    for event in steps(events):
        assert event.loss == pytest.approx(0.3 * event.hard + 0.7 * event.soft, rel=1e-5)
        assert event.step == 1 or event.samples_per_second == (8 + 4) / 10
    assert not subject.model.training


def test_the_learning_rate_rises_then_falls(trainer):
    events: list = []
    train(trainer(replace(RECIPE, steps=10, warmup=0.3, evaluate_every=10), on_event=events.append))
    # The rate after each step, which the next one uses: 3 steps up, 7 down.
    expected = [1e-3 * x for x in (1 / 3, 2 / 3, 1, *(k / 7 for k in range(6, -1, -1)))]
    assert [event.learning_rate for event in steps(events)] == pytest.approx(expected)


def test_a_long_training_tells_as_many_steps_as_a_curve_needs(trainer, monkeypatch):
    monkeypatch.setattr(reporter, "POINTS", 3)
    events: list = []
    train(trainer(replace(RECIPE, steps=7, evaluate_every=7), on_event=events.append))
    assert [event.step for event in steps(events)] == [1, 2, 4, 6, 7]


@pytest.mark.parametrize(
    ("who", "value", "message"),
    [
        ("student", "nan", "The loss of the distilled student became nan at step 3 of 6 with learning rate"),
        ("teacher", "inf", "The loss of the teacher became inf at step 3 of 6 with learning rate"),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_training(trainer, monkeypatch, who, value, message):
    calls = []

    def hard_loss(logits, labels, weights):
        calls.append(labels)
        return logits.sum() * 0 + (float(value) if len(calls) == 3 else 1.0)

    monkeypatch.setattr(losses, "hard_loss", hard_loss)
    flag = "--teacher-learning-rate" if who == "teacher" else "--learning-rate"
    with pytest.raises(DivergedError, match=rf"^{message} 0.001; try a smaller {flag}\.$"):
        train(trainer(replace(RECIPE, who=who)))
    assert len(calls) == 3


@pytest.fixture
def in_thread(trainer):
    """``in_thread(on_event, control)``: a training in a thread of its own, and what it raised."""
    started = []

    def start(on_event, control: Control):
        subject, raised = trainer(on_event=on_event, control=control), []

        def run() -> None:
            try:
                train(subject)
            except Stopped as stopped:
                raised.append(str(stopped))

        started.append(threading.Thread(target=run))
        started[-1].start()
        return subject, raised, started[-1]

    return start


def test_pause_blocks_until_resume(trainer, in_thread, monkeypatch):
    events, control, clock = [], WatchedControl(), Clock()
    monkeypatch.setattr(reporter, "time", clock)

    def on_event(event) -> None:
        events.append(event)
        clock.now += 10 * isinstance(event, Step)
        if isinstance(event, Step) and event.step == 2:
            control.pause()

    subject, _, thread = in_thread(on_event, control)
    assert control.blocked.wait(30)
    assert [event.step for event in events] == [1, 2, 2]
    assert isinstance(events[-1], Checkpointed), "a paused training may be killed"
    assert thread.is_alive()
    clock.now += 3_600
    control.resume()
    thread.join(30)
    speeds = [event.samples_per_second for event in steps(events)]
    assert len(speeds) == 6
    assert speeds[2] > speeds[3] == 1.2, "the hour does not count"
    assert same(weights(subject), weights(train_it(trainer()))), "a pause changes nothing"


def test_stop_ends_a_pause(in_thread):
    control = WatchedControl()
    control.pause()
    _, raised, thread = in_thread(lambda _: None, control)
    assert control.blocked.wait(30)
    control.stop()
    thread.join(30)
    assert raised == ["Stopped at step 1 of 6."]


# Experiment trackers


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the environment after a test that sets what is for the trackers."""
    for name in (*ENVIRONMENT, "TENSORBOARD_LOGGING_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would draw: tag -> (step, value)."""
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_tensorboard_gets_all_parts_of_the_loss(environment, trainer, tmp_path, monkeypatch, elsewhere):
    events, folder = [], tmp_path / "tensorboard" / "student-0"
    if elsewhere:  # a folder of the user's own goes first
        monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(folder := tmp_path / "mine"))
    train(trainer(report_to=["tensorboard"], on_event=events.append))
    seen = scalars(folder)
    for part in ("loss", "hard", "soft"):
        expected = [(event.step, pytest.approx(getattr(event, part), rel=1e-6)) for event in steps(events)]
        assert seen[f"train/{part}"] == expected
    assert [step for step, _ in seen["eval/accuracy"]] == [3, 6]
    assert (tmp_path / "tensorboard").exists() == (not elsewhere)


def test_a_training_that_diverges_closes_what_trackers_have_open(environment, trainer, tmp_path):
    subject = trainer(replace(RECIPE, learning_rate=1e30, max_grad_norm=1e30), report_to=["tensorboard"])
    with pytest.raises(DivergedError):
        train(subject)
    writers = [c.tb_writer for c in subject.callback_handler.callbacks if hasattr(c, "tb_writer")]
    assert writers == [None]
    assert "train/loss" in scalars(tmp_path / "tensorboard" / "student-0")


def test_wandb_gets_a_run_for_each_model_and_no_error_reports(environment, trainer, tmp_path, monkeypatch):
    """The real one needs an account."""
    finished: list[int] = []
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(finish=lambda: finished.append(1)))
    subject = trainer(replace(RECIPE, steps=1), report_to=["tensorboard"])
    assert subject.args.run_name == f"{tmp_path.name} student-0"
    assert ENVIRONMENT.items() <= os.environ.items()
    subject.args.report_to = ["tensorboard", "wandb"]
    train(subject)
    assert finished == [1]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("tensorboard, mlflow", ("tensorboard", "mlflow")),
        (["tensorboard", "mlflow"], ("tensorboard", "mlflow")),
        *((typed, ()) for typed in ("", None, [])),
    ],
)
def test_names_of_trackers_as_typed(typed: object, expected: tuple[str, ...]) -> None:
    assert DistillConfig().change({"training.report_to": typed}).training.report_to == expected


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            "tensorboard,sheet",
            "training.report_to must be some of tensorboard, mlflow, wandb, trackio, got 'tensorboard,sheet'",
        ),
        (
            "tensorboard,trackio",
            "training.report_to has trackio, not installed here; install it with pip install trackio, or "
            "leave it out",
        ),
    ],
)
def test_trackers_that_cannot_be_used_are_refused(short_config, kd_home, monkeypatch, typed, message) -> None:
    there = {"tensorboard": "tensorboard"}
    monkeypatch.setattr("kd_core.distillation.resolve.find_spec", there.get)
    with pytest.raises(ConfigError) as caught:
        distill(short_config.change({"training.report_to": typed}))
    assert str(caught.value) == message
