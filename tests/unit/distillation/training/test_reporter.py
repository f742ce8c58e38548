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
from kd_core.distillation.events import Checkpointed, Step
from kd_core.distillation.training import losses, reporter
from kd_core.distillation.training import trainer as trainer_module
from kd_core.distillation.training.trainer import ENVIRONMENT, train
from kd_core.errors import ConfigError, DivergedError, Stopped
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


def test_learning_rate_rises_then_falls_and_a_curve_needs_few_points(trainer, monkeypatch):
    monkeypatch.setattr(reporter, "POINTS", 5)
    events: list = []
    train(trainer(replace(RECIPE, steps=10, warmup=0.3, evaluate_every=10), on_event=events.append))
    # The rate after each step, which the next one uses: 3 steps up, 7 down.
    rates = {1: 1 / 3, 2: 2 / 3, 4: 6 / 7, 6: 4 / 7, 8: 2 / 7, 10: 0}
    expected = {step: pytest.approx(1e-3 * rate) for step, rate in rates.items()}
    assert {event.step: event.learning_rate for event in steps(events)} == expected


@pytest.mark.parametrize(
    ("who", "name", "flag", "value"),
    [
        ("student", "distilled student", "--learning-rate", "nan"),
        ("teacher", "teacher", "--teacher-learning-rate", "inf"),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_training(trainer, monkeypatch, who, name, flag, value):
    calls = []

    def hard_loss(logits, labels, weights):
        calls.append(labels)
        return logits.sum() * 0 + (float(value) if len(calls) == 3 else 1.0)

    monkeypatch.setattr(losses, "hard_loss", hard_loss)
    with pytest.raises(DivergedError) as caught:
        train(trainer(replace(RECIPE, who=who)))
    assert len(calls) == 3
    assert str(caught.value) == (
        f"The loss of the {name} became {value} at step 3 of 6 with learning rate 0.001; "
        f"try a smaller {flag}."
    )


@pytest.mark.parametrize("goes_on", [True, False])
def test_pause_blocks_until_resume_or_stop(trainer, monkeypatch, goes_on):
    events, control, clock, raised = [], WatchedControl(), Clock(), []
    monkeypatch.setattr(reporter, "time", clock)

    def on_event(event) -> None:
        events.append(event)
        clock.now += 10 * isinstance(event, Step)
        if isinstance(event, Step) and event.step == 2:
            control.pause()

    def run() -> None:
        try:
            train(subject)
        except Stopped as stopped:
            raised.append(str(stopped))

    subject = trainer(on_event=on_event, control=control)
    thread = threading.Thread(target=run)
    thread.start()
    assert control.blocked.wait(30)
    assert [event.step for event in events] == [1, 2, 2]
    assert isinstance(events[-1], Checkpointed), "a paused training may be killed"
    assert thread.is_alive()
    clock.now += 3_600
    (control.resume if goes_on else control.stop)()
    thread.join(30)
    assert raised == ([] if goes_on else ["Stopped at step 2 of 6."])
    if goes_on:
        speeds = [event.samples_per_second for event in steps(events)]
        assert len(speeds) == 6
        assert speeds[2] > speeds[3] == 1.2, "the hour does not count"
        assert same(weights(subject), weights(train_it(trainer()))), "a pause changes nothing"


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


def test_tensorboard_gets_all_parts_of_the_loss(environment, trainer, tmp_path):
    events: list = []
    train(trainer(report_to=["tensorboard"], on_event=events.append))
    seen = scalars(tmp_path / "tensorboard" / "student-0")
    for part in ("loss", "hard", "soft"):
        expected = [(event.step, pytest.approx(getattr(event, part), rel=1e-6)) for event in steps(events)]
        assert seen[f"train/{part}"] == expected
    assert [step for step, _ in seen["eval/accuracy"]] == [3, 6]


def test_a_training_that_diverges_closes_what_trackers_have_open(environment, trainer, tmp_path, monkeypatch):
    """A folder of the user's own goes first."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "mine"))
    subject = trainer(replace(RECIPE, learning_rate=1e30, max_grad_norm=1e30), report_to=["tensorboard"])
    assert subject.args.run_name == f"{tmp_path.name} student-0"
    assert ENVIRONMENT.items() <= os.environ.items(), "trackers tell nobody else"
    finished: list[int] = []
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(finish=lambda: finished.append(1)))
    subject.args.report_to = ["tensorboard", "wandb"]
    with pytest.raises(DivergedError):
        train(subject)
    assert finished == [1]
    assert [c.tb_writer for c in subject.callback_handler.callbacks if hasattr(c, "tb_writer")] == [None]
    assert "train/loss" in scalars(tmp_path / "mine")
    assert not (tmp_path / "tensorboard").exists()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("tensorboard,sheet", "must be some of tensorboard, mlflow, wandb, trackio, got 'tensorboard,sheet'"),
        (
            "tensorboard,trackio",
            "has trackio, not installed here; install it with pip install trackio, or leave it out",
        ),
    ],
)
def test_trackers_that_cannot_be_used_are_refused(short_config, kd_home, monkeypatch, typed, message) -> None:
    monkeypatch.setattr("kd_core.distillation.resolve.find_spec", {"tensorboard": "tensorboard"}.get)
    with pytest.raises(ConfigError) as caught:
        distill(short_config.change({"training.report_to": typed}))
    assert str(caught.value) == f"training.report_to {message}"
