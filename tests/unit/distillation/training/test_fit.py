"""What ``fit`` does around the training: it puts the model in order, and everything back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from kd_core.config import DistillConfig, ObjectiveConfig
from kd_core.distillation.events import Checkpointed
from kd_core.distillation.run import History, Run, Trained
from kd_core.distillation.training import trainer
from kd_core.distillation.training.fit import fit
from kd_core.distillation.training.intermediate import PROJECTION
from kd_core.errors import Stopped
from kd_core.system.control import Control
from tests.unit.conftest import tiny_recipe
from tests.unit.distillation.training.trained import at_step, steps, stopped


@pytest.fixture
def train(tiny_task, tiny_teacher, tiny_tokenizer, splits, tmp_path) -> Callable:
    """``train(model, on_event, control, ...)``: its history after two steps."""

    def run(model, on_event=lambda _: None, control=None, **options) -> History:
        resumable = options.pop("resumable", True)
        freeze = options.pop("freeze_embeddings", False)
        return fit(
            Run(tiny_task, DistillConfig(), tmp_path, on_event, control or Control()),
            tiny_recipe(**({"steps": 2, "evaluate_every": 2} | options)),
            model,
            tiny_tokenizer,
            texts=splits["train"],
            validation=splits["validation"],
            freeze_embeddings=freeze,
            teacher=Trained("teacher", 0, tiny_teacher("bert", seed=1), tiny_tokenizer, tmp_path),
            resumable=resumable,
        )

    return run


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_embeddings_stay_as_they_are_and_can_learn_afterwards(train, tiny_teacher, frozen):
    model = tiny_teacher("bert")
    table = model.get_input_embeddings().weight
    before = table.detach().clone()
    train(model, freeze_embeddings=frozen)
    assert torch.equal(before, table) == frozen
    assert all(weight.requires_grad for weight in model.parameters())


def test_after_bfloat16_a_model_answers_as_one_that_is_read_from_the_cache(train, tiny_teacher):
    model, read = tiny_teacher("bert"), tiny_teacher("bert")
    train(model, precision="bf16")
    read.load_state_dict(model.state_dict())
    ids = torch.arange(40, 80).view(2, 20)
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, read.eval()(input_ids=ids).logits)


@pytest.mark.parametrize(("kept", "rates"), [(True, {0.1}), (False, {0.0, 0.1})])
@pytest.mark.parametrize("stop", [False, True])
def test_what_a_recipe_puts_on_the_model_is_taken_off(train, tiny_teacher, kept, rates, stop):
    """Intermediate terms, and no dropout of attention; also where the training is stopped."""
    model, seen, control = tiny_teacher("bert"), set(), Control()
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    model.register_forward_hook(
        lambda *_: seen.update([hasattr(model, PROJECTION), *(d.p for d in dropouts)])
    )
    goal = ObjectiveConfig(temperature=4, hidden_weight=1.0)
    if stop:
        control.stop()
    with pytest.raises(Stopped) if stop else nullcontext():
        train(model, control=control, objective=goal, attention_dropout=kept)
    assert seen == {True} | rates
    assert not hasattr(model, PROJECTION)
    assert {dropout.p for dropout in dropouts} == {0.1}


@pytest.mark.parametrize(("resumable", "first", "kept"), [(True, 3, [3, 4]), (False, 1, [])])
def test_a_training_that_is_not_resumable_begins_anew(
    train, tiny_teacher, tmp_path, monkeypatch, resumable, first, kept
):
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    settings = {"resumable": resumable, "steps": 4}
    stopped(lambda *given: train(tiny_teacher("bert"), *given, **settings), at_step(2))
    assert (tmp_path / "student-0" / "checkpoint-2" / "optimizer.pt").is_file() == resumable
    events: list = []
    history = train(tiny_teacher("bert"), events.append, **settings)
    assert steps(events)[0].step == first
    assert [event.step for event in events if isinstance(event, Checkpointed)] == kept
    assert [look[0] for look in history] == [2, 4]
    assert all(0 <= accuracy <= 1 and loss > 0 and score == accuracy for _, accuracy, loss, score in history)
