"""Stop, pause and resume of one training, and what its checkpoints hold."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest
from transformers import TrainerCallback

from kd_core.distillation.events import Checkpointed, Evaluated, Step
from kd_core.distillation.training import reporter
from kd_core.distillation.training import trainer as trainer_module
from kd_core.distillation.training.trainer import train
from kd_core.errors import Stopped
from kd_core.system.atomic import is_whole
from kd_core.system.control import Control
from tests.unit.distillation.training.trained import RECIPE, Clock, WatchedControl, same, train_it, weights


def stop(trainer, step: int, **options) -> list:
    """The events of a training that is stopped when ``step`` is told."""
    events, control = [], Control()

    def on_event(event) -> None:
        events.append(event)
        if isinstance(event, Step) and event.step == step:
            control.stop()

    with pytest.raises(Stopped):
        train(trainer(on_event=on_event, control=control, **options))
    return events


def test_stop_acts_within_one_step_and_keeps_a_checkpoint(trainer, tmp_path):
    events = stop(trainer, 2)
    assert [event.step for event in events] == [1, 2, 2]
    assert isinstance(events[-1], Checkpointed)
    assert events[-1].path == str(tmp_path / "student-0" / "checkpoint-2")
    assert is_whole(tmp_path / "student-0" / "checkpoint-2")


def test_the_latest_checkpoint_and_the_one_before_it_are_kept(trainer, tmp_path, monkeypatch):
    """The latest is that of the last step, not that of the last name."""
    monkeypatch.setattr(trainer_module, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    stop(trainer, 11, recipe=replace(RECIPE, steps=12, evaluate_every=12))
    kept = sorted((tmp_path / "student-0").iterdir())
    assert [path.name for path in kept] == ["checkpoint-10", "checkpoint-11"]
    assert [is_whole(path) for path in kept] == [True, True]


def test_a_checkpoint_holds_the_weights_twice_and_two_moments_of_each_that_learns(trainer, tmp_path):
    """What learns, the best of it until then, and AdamW's two moments: four times, and little else."""
    subject = trainer(replace(RECIPE, steps=12, evaluate_every=3))
    embeddings = subject.model.base_model.embeddings.word_embeddings.weight
    embeddings.requires_grad_(False)
    subject.add_callback(StopAt(subject.run.control, 10))
    with pytest.raises(Stopped):
        train(subject)
    files = sum(path.stat().st_size for path in next((tmp_path / "student-0").glob("checkpoint-*")).iterdir())
    learned = subject.model.num_parameters(only_trainable=True)
    needed = 4 * (4 * learned + 2 * embeddings.numel())
    assert needed < files < needed + 100_000


def test_stop_in_the_last_step_is_too_late(trainer):
    control = Control()
    subject = trainer(replace(RECIPE, evaluate_every=6), control=control)
    subject.evaluate = lambda *_, **__: {"eval_accuracy": 0.5}  # which would see the stop
    subject.add_callback(StopAt(control, 6))
    assert train(subject) is subject.model


class StopAt(TrainerCallback):
    def __init__(self, control: Control, step: int) -> None:
        self.control, self.step = control, step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self.step - 1:
            self.control.stop()


def test_stop_while_evaluating(trainer):
    control = Control()
    subject = trainer(control=control)
    control.stop()
    with pytest.raises(Stopped):
        subject.evaluate()


def test_pause_blocks_until_resume(trainer, monkeypatch):
    events, control, clock = [], WatchedControl(), Clock()
    monkeypatch.setattr(reporter, "time", clock)

    def on_event(event) -> None:
        events.append(event)
        clock.now += 10 * isinstance(event, Step)
        if isinstance(event, Step) and event.step == 2:
            control.pause()

    subject = trainer(on_event=on_event, control=control)
    thread = threading.Thread(target=train, args=[subject])
    thread.start()
    assert control.blocked.wait(30)
    assert [event.step for event in events] == [1, 2, 2]
    assert isinstance(events[-1], Checkpointed), "a paused training may be killed"
    assert thread.is_alive()
    clock.now += 3_600
    control.resume()
    thread.join(30)
    speeds = [event.samples_per_second for event in events if isinstance(event, Step)]
    assert speeds[2] > speeds[3] == 1.2, "the hour does not count"
    assert Counter(type(event) for event in events)[Step] == 6
    assert same(weights(subject), weights(train_it(trainer()))), "a pause changes nothing"


def test_stop_ends_a_pause(trainer):
    control, raised = WatchedControl(), []
    control.pause()

    def run() -> None:
        try:
            train(trainer(control=control))
        except Stopped as stopped:
            raised.append(str(stopped))

    thread = threading.Thread(target=run)
    thread.start()
    assert control.blocked.wait(30)
    control.stop()
    thread.join(30)
    assert raised == ["Stopped at step 1 of 6."]


@pytest.mark.parametrize(("stopped_at", "goes_on_with"), [(2, 3), (3, 4), (5, 6), (6, 7)])
def test_resuming_is_exact(trainer, stopped_at, goes_on_with):
    """Dropout included: the random state is part of a checkpoint.

    Steps 3 and 6 are evaluated, which a stop puts off until the training goes on.
    """
    whole = weights(train_it(trainer(dropout=0.1)))
    before = stop(trainer, stopped_at, dropout=0.1)

    events: list = []
    resumed = trainer(dropout=0.1, on_event=events.append)
    drawn: list[list[dict]] = []
    collate = resumed.data_collator
    resumed.data_collator = lambda rows: (drawn.append(rows), collate(rows))[1]
    train(resumed)
    steps = [event.step for event in events if isinstance(event, Step)]
    assert steps == list(range(goes_on_with, 7))
    assert len(drawn) == len(steps), "skipped batches are not even put together"
    assert [event.step for event in before + events if isinstance(event, Evaluated)] == [3, 6]
    assert same(weights(resumed), whole)


@pytest.fixture
def each_step(monkeypatch):
    """A checkpoint after each step."""
    monkeypatch.setattr(trainer_module, "SECONDS_BETWEEN_CHECKPOINTS", 0)


def test_a_damaged_checkpoint_is_passed_over(trainer, tmp_path, each_step):
    whole = weights(train_it(trainer()))
    stop(trainer, 5)
    latest = tmp_path / "student-0" / "checkpoint-5" / "model.safetensors"
    content = bytearray(latest.read_bytes())
    content[-1] ^= 1
    latest.write_bytes(content)
    events: list = []
    resumed = train_it(trainer(on_event=events.append))
    assert [event.step for event in events if isinstance(event, Step)] == [5, 6], "from checkpoint 4"
    assert same(weights(resumed), whole)


def test_the_last_two_checkpoints_are_kept_until_the_end(trainer, tmp_path, each_step):
    kept: list[list[str]] = []

    def on_event(event) -> None:
        if isinstance(event, Checkpointed):
            kept.append(sorted(path.name for path in (tmp_path / "student-0").iterdir()))

    train(trainer(on_event=on_event))
    assert kept == [
        ["checkpoint-1"],
        *([f"checkpoint-{step - 1}", f"checkpoint-{step}"] for step in range(2, 7)),
    ]
    assert not (tmp_path / "student-0").exists()
