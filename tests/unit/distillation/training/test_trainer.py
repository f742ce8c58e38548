"""The training loop: the objective, which weights are kept, checkpoints, and what ``fit`` does around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kd_core.config import DistillConfig, ObjectiveConfig
from kd_core.distillation.balance import score
from kd_core.distillation.events import Checkpointed, Evaluated
from kd_core.distillation.run import History, Run, Trained
from kd_core.distillation.training import trainer as module
from kd_core.distillation.training.fit import fit
from kd_core.distillation.training.intermediate import PROJECTION
from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.errors import RunError, Stopped
from kd_core.system.atomic import is_whole
from kd_core.system.control import Control
from tests.unit.conftest import tiny_recipe
from tests.unit.distillation.training.drawn import batches
from tests.unit.distillation.training.trained import (
    RECIPE,
    Gradients,
    at_step,
    same,
    steps,
    stopped,
    train_it,
    weights,
)

SHORT = replace(RECIPE, steps=2, evaluate_every=2)


@pytest.mark.parametrize(("alpha", "t_squared"), [(0.0, True), (0.3, True), (0.3, False), (1.0, True)])
def test_first_step_is_the_objective_by_hand(trainer, splits, alpha, t_squared):
    """Its parts and its gradient: the Trainer may not divide the loss by a count of its own."""
    goal = ObjectiveConfig(temperature=2.0, alpha=alpha, t_squared=t_squared)
    recipe, events, seen = replace(SHORT, objective=goal, max_grad_norm=1000.0), [], Gradients()
    subject, model = trainer(recipe, on_event=events.append), trainer().model
    rows = [splits["train"][i] for i in batches(recipe, [len(i) for i in splits["train"]["input_ids"]])[0]]
    student = torch.cat([model(torch.tensor([row["input_ids"]])).logits for row in rows])
    teacher = torch.tensor([row["logits"] for row in rows])
    labels = [row["label"] for row in rows]
    assert [label is None for label in labels] == [False] * 8 + [True] * 4

    log_p = torch.log_softmax(student, -1)
    hard = -torch.stack([log_p[i, labels[i]] for i in range(8)]).mean()
    p_t, log_s = torch.softmax(teacher / 2, -1), torch.log_softmax(student / 2, -1)
    soft = (p_t * (p_t.log() - log_s)).sum(-1).mean() * (4 if t_squared else 1)
    loss = alpha * hard + (1 - alpha) * soft
    loss.backward()

    subject.add_callback(seen)
    train(subject)
    step = steps(events)[0]
    assert (step.step, step.steps, step.intermediate) == (1, 2, 0.0)
    assert step.hard == pytest.approx(hard.item(), rel=1e-5)
    assert step.soft == pytest.approx(0 if alpha == 1 else soft.item(), rel=1e-5)
    assert step.loss == pytest.approx(loss.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(seen.steps[0][name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_long_gradients_are_cut(trainer):
    subject, seen = trainer(replace(SHORT, max_grad_norm=0.25)), Gradients()
    subject.add_callback(seen)
    train(subject)
    norms = [float(torch.stack([g.norm() for g in step.values()]).norm()) for step in seen.steps]
    assert norms == pytest.approx([0.25] * 2, rel=1e-3)


def test_the_same_recipe_gives_the_same_bits_whatever_happened_before(trainer):
    one = weights(train_it(trainer(SHORT, dropout=0.1)))
    torch.manual_seed(123)
    assert same(one, weights(train_it(trainer(SHORT, dropout=0.1))))
    assert not same(one, weights(train_it(trainer(replace(SHORT, seed=1), dropout=0.1))))


def test_evaluation_is_accuracy_cross_entropy_and_the_metric_on_validation(trainer, splits):
    events: list = []
    subject = train_it(trainer(replace(SHORT, metric="macro_f1"), on_event=events.append))
    [told] = [event for event in events if isinstance(event, Evaluated)]
    with torch.no_grad():
        rows = [torch.tensor([ids]) for ids in splits["validation"]["input_ids"]]
        logits = torch.cat([subject.model(row).logits for row in rows])
    labels = torch.tensor(splits["validation"]["label"][:])
    assert told.accuracy == pytest.approx((logits.argmax(-1) == labels).float().mean().item())
    assert told.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert told.score == pytest.approx(score("macro_f1", logits.argmax(-1).numpy(), labels, "abcde"))
    assert told.score != pytest.approx(told.accuracy)


@pytest.mark.parametrize("keep_last", [False, True])
def test_the_best_weights_on_validation_are_kept_or_the_last(trainer, monkeypatch, keep_last):
    subject = trainer(replace(RECIPE, steps=3, evaluate_every=1, keep_last=keep_last))
    accuracies, seen = iter([0.2, 0.9, 0.4]), []
    original = DistillTrainer.evaluate
    labels = np.asarray(subject.eval_dataset["label"])

    def evaluate(self, *_, **__):
        seen.append(weights(self))
        answers = np.where(np.arange(len(labels)) < next(accuracies) * len(labels), labels, (labels + 1) % 5)
        monkeypatch.setattr(module, "predict_logits", lambda *_, **__: np.eye(5, dtype="float32")[answers])
        return original(self)

    monkeypatch.setattr(DistillTrainer, "evaluate", evaluate)
    train(subject)
    assert len(seen) == 3
    assert same(weights(subject), seen[2 if keep_last else 1])
    assert not same(seen[1], seen[2])


# Rows that are read together


def masks(lengths: list[int]) -> torch.Tensor:
    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def parts(lengths: list[int], labels: list[int]) -> list[list[int]]:
    return [part.tolist() for part in module._row_groups(masks(lengths), torch.tensor(labels))]


def test_labelled_transfer_and_short_rows_are_read_apart(monkeypatch) -> None:
    assert parts([2, 1, 5, 3, 2], [2, 0, -100, -100, 1]) == [[0, 1, 4], [2, 3]]
    assert parts([2, 1, 5, 3, 2], [1] * 5) == parts([2, 1, 5, 3, 2], [-100] * 5) == [[0, 1, 2, 3, 4]]
    # Two short rows: from 4 tokens, the longer of them, to 10 each is padded by 6.
    for worth, found in ((12, [[1, 2], [0, 3]]), (13, [[0, 1, 2, 3]])):
        monkeypatch.setattr(module, "WORTH_A_CALL", worth)
        assert parts([4, 10, 6, 3], [0] * 4) == found


@given(
    rows=st.lists(st.tuples(st.integers(1, 60), st.sampled_from([0, 1, -100])), min_size=1, max_size=12),
    worth=st.integers(0, 200),
)
def test_each_row_is_in_one_group(rows: list[tuple[int, int]], worth: int) -> None:
    lengths, labels = map(list, zip(*rows, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORTH_A_CALL", worth)
        found = parts(lengths, labels)
    assert sorted(row for part in found for row in part) == list(range(len(rows)))
    for part in found:
        assert len({labels[row] < 0 for row in part}) == 1
        longest = max(lengths[row] for row in part)
        if short := [lengths[row] for row in part if 2 * lengths[row] <= longest]:
            assert (longest - max(short)) * len(short) < worth


def test_groups_give_the_logits_of_the_whole_batch(tiny_teacher, monkeypatch) -> None:
    model, mask = tiny_teacher("bert").eval(), masks([3, 30, 9, 28, 2])
    ids = torch.randint(5, 90, mask.shape, generator=torch.Generator().manual_seed(0)) * mask
    texts = {"input_ids": ids, "attention_mask": mask}
    monkeypatch.setattr(module, "WORTH_A_CALL", 1)
    apart = module._row_groups(mask, torch.tensor([0, 1, -100, -100, 1]))
    assert [part.tolist() for part in apart] == [[1], [0, 4], [3], [2]]
    with torch.no_grad():
        torch.testing.assert_close(module._logits(model, texts, apart), model(**texts).logits)


# Checkpoints


def test_a_resumed_training_ends_with_the_same_bits(trainer, tmp_path):
    """Steps 2 and 4 are evaluated, which a stop puts off until the training goes on."""
    recipe = replace(RECIPE, steps=4, evaluate_every=2)
    whole = weights(train_it(trainer(recipe, dropout=0.1)))
    folder = tmp_path / "student-0"
    for step, message in ((1, "at step 1 of 4."), (2, "at step 2 of 4."), (4, "on request.")):
        before = stopped(
            lambda on_event, control: train(trainer(recipe, dropout=0.1, on_event=on_event, control=control)),
            at_step(step),
            f"^Stopped {message}$",
        )
        assert before[-1] == Checkpointed("student", 0, step, str(folder / f"checkpoint-{step}"))
        assert is_whole(folder / f"checkpoint-{step}")
        events, drawn = [], []
        resumed = trainer(recipe, dropout=0.1, on_event=events.append)
        collate = resumed.data_collator
        resumed.data_collator = lambda rows, drawn=drawn, do=collate: (drawn.append(rows), do(rows))[1]
        train(resumed)
        assert [event.step for event in steps(before + events)] == [1, 2, 3, 4]
        assert len(drawn) == 4 - step, "skipped batches are not even put together"
        assert [event.step for event in before + events if isinstance(event, Evaluated)] == [2, 4]
        assert same(weights(resumed), whole)
        assert not folder.exists()


@pytest.mark.parametrize("damaged", ["optimizer.pt", "best.safetensors"])
def test_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over(trainer, tmp_path, monkeypatch, damaged):
    """The latest is that of the last step, not that of the last name."""
    recipe, folder, kept = replace(RECIPE, steps=12, evaluate_every=5), tmp_path / "student-0", []
    whole = weights(train_it(trainer(recipe)))
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0)

    def start(on_event, control) -> None:
        def look(event) -> None:
            on_event(event)
            if isinstance(event, Checkpointed):
                kept.append({int(path.name.split("-")[1]) for path in folder.iterdir() if is_whole(path)})

        train(trainer(recipe, on_event=look, control=control))

    stopped(start, at_step(11))
    assert kept == [{1}, *({step - 1, step} for step in range(2, 12))]
    latest = folder / "checkpoint-11" / damaged
    content = bytearray(latest.read_bytes())
    content[-1] ^= 1
    latest.write_bytes(content)
    events: list = []
    resumed = train_it(trainer(recipe, on_event=events.append))
    assert [event.step for event in steps(events)] == [11, 12]
    assert same(weights(resumed), whole)


def test_a_run_that_another_process_took_gets_no_checkpoint(trainer, monkeypatch):
    """Neither a new one, nor a manifest for what the other one writes there."""
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    let_in = iter([True, True, True, False, False])  # both times for the first, then only to write

    @contextmanager
    def fence():
        if not next(let_in):
            raise RunError("was taken")
        yield

    subject = trainer(RECIPE, control=Control(fence))
    folder = Path(subject.args.output_dir)
    for again in (lambda: train(subject), subject.checkpoint):
        with pytest.raises(RunError, match="was taken"):
            again()
        assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-1", "checkpoint-2"]
        assert [is_whole(folder / f"checkpoint-{step}") for step in (1, 2)] == [True, False]


def test_best_weights_of_version_0_1_are_found_where_they_were_moved_to(tmp_path: Path) -> None:
    state = {"best_model_checkpoint": "/old/home/work/run/student-0/checkpoint-4"}
    (tmp_path / "checkpoint-6").mkdir()
    (tmp_path / "checkpoint-6" / "trainer_state.json").write_text(json.dumps(state))
    assert module._best(tmp_path / "checkpoint-6") == tmp_path / "checkpoint-4" / "model.safetensors"


@pytest.fixture
def fitted(tiny_task, tiny_teacher, tiny_tokenizer, splits, tmp_path) -> Callable:
    """``fitted(model, on_event, control, ...)``: the history of ``fit``, by default of two steps."""

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
def test_frozen_embeddings_stay_as_they_are_and_can_learn_afterwards(fitted, tiny_teacher, frozen):
    model = tiny_teacher("bert")
    table = model.get_input_embeddings().weight
    before = table.detach().clone()
    fitted(model, freeze_embeddings=frozen)
    assert torch.equal(before, table) == frozen
    assert all(weight.requires_grad for weight in model.parameters())


def test_after_bfloat16_a_model_answers_as_one_that_is_read_from_the_cache(fitted, tiny_teacher):
    model, read = tiny_teacher("bert"), tiny_teacher("bert")
    fitted(model, precision="bf16")
    read.load_state_dict(model.state_dict())
    ids = torch.arange(40, 80).view(2, 20)
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, read.eval()(input_ids=ids).logits)


@pytest.mark.parametrize(("kept", "rates"), [(True, {0.1}), (False, {0.0, 0.1})])
@pytest.mark.parametrize("stop", [False, True])
def test_what_a_recipe_puts_on_the_model_is_taken_off(fitted, tiny_teacher, kept, rates, stop):
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
        fitted(model, control=control, objective=goal, attention_dropout=kept)
    assert seen == {True} | rates
    assert not hasattr(model, PROJECTION)
    assert {dropout.p for dropout in dropouts} == {0.1}


@pytest.mark.parametrize(("resumable", "first", "kept"), [(True, 3, [3, 4]), (False, 1, [])])
def test_a_training_that_is_not_resumable_begins_anew(
    fitted, tiny_teacher, tmp_path, monkeypatch, resumable, first, kept
):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    settings = {"resumable": resumable, "steps": 4}
    stopped(lambda *given: fitted(tiny_teacher("bert"), *given, **settings), at_step(2))
    assert (tmp_path / "student-0" / "checkpoint-2" / "optimizer.pt").is_file() == resumable
    events: list = []
    history = fitted(tiny_teacher("bert"), events.append, **settings)
    assert steps(events)[0].step == first
    assert [event.step for event in events if isinstance(event, Checkpointed)] == kept
    assert [look[0] for look in history] == [2, 4]
    assert all(0 <= accuracy <= 1 and loss > 0 and score == accuracy for _, accuracy, loss, score in history)
