"""What ``fit`` does around the training itself: it puts the model in order, and everything back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from kd_core.config import DistillConfig, ObjectiveConfig
from kd_core.distillation.events import Checkpointed, Step
from kd_core.distillation.run import History, Run, Trained
from kd_core.distillation.training import trainer
from kd_core.distillation.training.fit import fit
from kd_core.distillation.training.intermediate import PROJECTION
from kd_core.errors import Stopped
from kd_core.system.control import Control
from tests.unit.conftest import tiny_recipe

STEPS = 6


@pytest.fixture
def train(tiny_task, tiny_teacher, tiny_tokenizer, splits, tmp_path) -> Callable:
    """``train(model, stop_at=..., ...)``: its history and the events; Stopped at that step."""

    def run(model, *, stop_at: int = STEPS + 1, recipe=None, **options) -> tuple[History, list]:
        events, control = [], Control()

        def on_event(event) -> None:
            events.append(event)
            if isinstance(event, Step) and event.step == stop_at:
                control.stop()

        teacher = Trained("teacher", 0, tiny_teacher("bert", seed=1), tiny_tokenizer, tmp_path)
        history = fit(
            Run(tiny_task, DistillConfig(), tmp_path, on_event, control),
            recipe or tiny_recipe(),
            model,
            tiny_tokenizer,
            texts=splits["train"],
            validation=splits["validation"],
            **({"freeze_embeddings": False, "teacher": teacher} | options),
        )
        return history, events

    return run


def test_frozen_embeddings_stay_as_they_are_and_can_learn_afterwards(train, tiny_teacher):
    for frozen in (True, False):
        model = tiny_teacher("bert")
        table = model.get_input_embeddings().weight
        before = table.detach().clone()
        train(model, freeze_embeddings=frozen)
        assert torch.equal(before, table) == frozen
        assert all(weight.requires_grad for weight in model.parameters())


def test_its_history_has_every_evaluation(train, tiny_teacher):
    history, events = train(tiny_teacher("bert"))
    assert [look[0] for look in history] == [3, 6]
    assert all(0 <= accuracy <= 1 and loss > 0 and score == accuracy for _, accuracy, loss, score in history)
    assert sum(isinstance(event, Step) for event in events) == STEPS


def test_what_was_trained_in_bfloat16_answers_as_it_does_once_it_is_read_from_the_cache(train, tiny_teacher):
    """Alike in latency, too, and as a teacher whose inner states are compared."""
    model, read = tiny_teacher("bert"), tiny_teacher("bert")
    train(model, recipe=tiny_recipe(precision="bf16"))
    read.load_state_dict(model.state_dict())
    ids = torch.arange(40, 80).view(2, 20)
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, read.eval()(input_ids=ids).logits)


@pytest.mark.parametrize("stop_at", [2, STEPS + 1])
def test_intermediate_terms_leave_nothing_on_the_student(train, tiny_teacher, stop_at):
    model, seen = tiny_teacher("bert"), []
    model.register_forward_hook(lambda *_: seen.append(hasattr(model, PROJECTION)))
    recipe = tiny_recipe(objective=ObjectiveConfig(temperature=4, hidden_weight=1.0))
    try:
        train(model, recipe=recipe, stop_at=stop_at)
    except Stopped:
        assert stop_at == 2
    assert set(seen) == {True}
    assert not hasattr(model, PROJECTION)


@pytest.mark.parametrize(("kept", "rates"), [(True, {0.1}), (False, {0.0, 0.1})])
def test_dropout_of_attention_is_the_recipe_s(train, tiny_teacher, kept, rates):
    model, seen = tiny_teacher("bert"), set()
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    model.register_forward_hook(lambda *_: seen.update(dropout.p for dropout in dropouts))
    train(model, recipe=tiny_recipe(attention_dropout=kept))
    assert seen == rates
    assert {dropout.p for dropout in dropouts} == {0.1}


@pytest.mark.parametrize(("resumable", "goes_on_with"), [(True, 3), (False, 1)])
def test_one_that_is_not_resumable_begins_anew(
    train, tiny_teacher, tmp_path, monkeypatch, resumable, goes_on_with
):
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    with pytest.raises(Stopped):
        train(tiny_teacher("bert"), stop_at=2, resumable=resumable)
    assert (tmp_path / "student-0" / "checkpoint-2" / "optimizer.pt").is_file() == resumable
    history, events = train(tiny_teacher("bert"), resumable=resumable)
    assert next(event.step for event in events if isinstance(event, Step)) == goes_on_with
    assert [look[0] for look in history] == [3, 6]
    kept = [event.step for event in events if isinstance(event, Checkpointed)]
    assert kept == ([3, 4, 5, 6] if resumable else [])
