"""The training loop: the objective, what is told of it, which weights are kept."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from kd_core.config import ObjectiveConfig
from kd_core.distillation.balance import score
from kd_core.distillation.events import Evaluated, Step
from kd_core.distillation.training import losses, reporter
from kd_core.distillation.training import trainer as module
from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.errors import DivergedError, RunError
from kd_core.system.atomic import is_whole
from kd_core.system.control import Control
from tests.unit.distillation.training.drawn import batches
from tests.unit.distillation.training.trained import RECIPE, Clock, Gradients, same, train_it, weights

# The objective through the trainer


def test_one_process_takes_one_of_several_gpus(trainer, monkeypatch):
    there = module.TrainingArguments.device.fget

    def on_two_gpus(arguments):
        place = there(arguments)
        arguments._n_gpu = 2 if not hasattr(arguments, "_seen") else arguments._n_gpu
        arguments._seen = True
        return place

    monkeypatch.setattr(module.TrainingArguments, "device", property(on_two_gpus))
    assert trainer(RECIPE).args.n_gpu == 1


def first_batch(trainer) -> dict[str, torch.Tensor]:
    return next(iter(trainer.get_train_dataloader()))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("t_squared", [True, False])
def test_first_step_is_the_objective_by_hand(trainer, splits, alpha, t_squared):
    goal = ObjectiveConfig(temperature=2.0, alpha=alpha, t_squared=t_squared)
    recipe, events = replace(RECIPE, objective=goal), []
    subject = trainer(recipe, on_event=events.append)
    rows = [splits["train"][i] for i in batches(recipe, [len(i) for i in splits["train"]["input_ids"]])[0]]
    with torch.no_grad():  # one by one: nothing of ours is used
        student = torch.cat([subject.model(torch.tensor([row["input_ids"]])).logits for row in rows])
    teacher = torch.tensor([row["logits"] for row in rows])
    labels = [row["label"] for row in rows]
    assert [label is None for label in labels] == [False] * 8 + [True] * 4

    log_p = torch.log_softmax(student, -1)
    hard = -torch.stack([log_p[i, labels[i]] for i in range(8)]).mean()
    p_t, log_s = torch.softmax(teacher / 2, -1), torch.log_softmax(student / 2, -1)
    soft = (p_t * (p_t.log() - log_s)).sum(-1).mean() * (4 if t_squared else 1)

    train(subject)
    step = next(event for event in events if isinstance(event, Step))
    assert (step.step, step.steps, step.intermediate) == (1, 6, 0.0)
    assert step.hard == pytest.approx(hard.item(), rel=1e-5)
    assert step.soft == pytest.approx(0 if alpha == 1 else soft.item(), rel=1e-5)
    assert step.loss == pytest.approx((alpha * hard + (1 - alpha) * soft).item(), rel=1e-5)


def test_the_gradient_is_that_of_the_mean_over_rows(trainer):
    """The Trainer may not divide the loss by a count of its own."""
    subject, model, seen = trainer(replace(RECIPE, max_grad_norm=1000.0)), trainer().model, Gradients()
    inputs = first_batch(subject)
    subject.add_callback(seen)
    train(subject)

    logits = model(inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    kl = F.kl_div(
        torch.log_softmax(logits / 2, -1),
        torch.log_softmax(inputs["teacher_logits"] / 2, -1),
        reduction="batchmean",
        log_target=True,
    )
    (0.3 * F.cross_entropy(logits[:8], inputs["labels"][:8]) + 0.7 * 4 * kl).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(seen.steps[0][name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_long_gradients_are_cut(trainer):
    def norms(limit: float) -> list[float]:
        subject, seen = trainer(replace(RECIPE, max_grad_norm=limit)), Gradients()
        subject.add_callback(seen)
        train(subject)
        return [float(torch.stack([g.norm() for g in step.values()]).norm()) for step in seen.steps]

    assert norms(0.25) == pytest.approx([0.25] * 6, rel=1e-3)
    assert min(norms(1000.0)) > 0.25


def changed(split: Dataset, column: str, values) -> Dataset:
    return split.remove_columns(column).add_column(column, values)


def test_alpha_0_ignores_the_labels(trainer, splits):
    recipe = replace(RECIPE, objective=ObjectiveConfig(temperature=4, alpha=0.0))
    others = [None if label is None else (label + 1) % 5 for label in splits["train"]["label"]]
    subjects = [trainer(recipe), trainer(recipe, train=changed(splits["train"], "label", others))]
    assert same(*(weights(train_it(subject)) for subject in subjects))
    listens = replace(recipe, objective=ObjectiveConfig(temperature=4, alpha=0.1))
    subjects = [trainer(listens), trainer(listens, train=changed(splits["train"], "label", others))]
    assert not same(*(weights(train_it(subject)) for subject in subjects))


def test_alpha_1_ignores_the_knowledge(trainer, splits):
    recipe = replace(RECIPE, objective=ObjectiveConfig(alpha=1.0))
    others = [[-value for value in row] for row in splits["train"]["logits"]]
    subjects = [trainer(recipe), trainer(recipe, train=changed(splits["train"], "logits", others))]
    assert same(*(weights(train_it(subject)) for subject in subjects))
    listens = replace(recipe, objective=ObjectiveConfig(temperature=4, alpha=0.9))
    subjects = [trainer(listens), trainer(listens, train=changed(splits["train"], "logits", others))]
    assert not same(*(weights(train_it(subject)) for subject in subjects))


# Events, checkpoints


def test_each_step_evaluation_and_checkpoint_is_told(trainer, monkeypatch):
    events: list = []
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(reporter, "time", clock)

    def on_event(event) -> None:
        events.append(event)
        clock.now += 10 * isinstance(event, Step)

    subject = train_it(trainer(on_event=on_event))
    kinds = [(type(event).__name__, event.step) for event in events]
    assert kinds == [
        ("Step", 1),
        ("Step", 2),
        ("Step", 3),
        ("Checkpointed", 3),  # by time, and before the evaluation of its step
        ("Evaluated", 3),
        ("Step", 4),
        ("Step", 5),
        ("Step", 6),
        ("Checkpointed", 6),
        ("Evaluated", 6),
    ]
    assert {(event.who, event.seed) for event in events} == {("student", 0)}
    for event in events:
        if isinstance(event, Step):
            assert event.loss == pytest.approx(0.3 * event.hard + 0.7 * event.soft, rel=1e-5)
            assert event.step == 1 or event.samples_per_second == (8 + 4) / 10
    assert not subject.model.training


def test_a_long_training_tells_as_many_steps_as_a_curve_needs(trainer, monkeypatch):
    monkeypatch.setattr(reporter, "POINTS", 3)
    events: list = []
    train(trainer(replace(RECIPE, steps=7, evaluate_every=7), on_event=events.append))
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 4, 6, 7]


def test_evaluated_is_accuracy_and_cross_entropy_on_validation(trainer, splits):
    events: list = []
    subject = train_it(trainer(replace(RECIPE, evaluate_every=6), on_event=events.append))
    told = next(event for event in events if isinstance(event, Evaluated))
    with torch.no_grad():
        logits = torch.cat(
            [subject.model(torch.tensor([i])).logits for i in splits["validation"]["input_ids"]]
        )
    labels = torch.tensor(splits["validation"]["label"])
    assert told.accuracy == pytest.approx((logits.argmax(-1) == labels).float().mean().item())
    assert told.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_evaluated_has_the_score_that_decides_too(trainer, splits, metric):
    events: list = []
    subject = train_it(trainer(replace(RECIPE, evaluate_every=6, metric=metric), on_event=events.append))
    told = next(event for event in events if isinstance(event, Evaluated))
    with torch.no_grad():
        answers = [
            int(subject.model(torch.tensor([i])).logits.argmax()) for i in splits["validation"]["input_ids"]
        ]
    labels = splits["validation"]["label"][:]
    assert told.score == pytest.approx(score(metric, answers, labels, "abcde"))


@pytest.mark.parametrize("keep_last", [False, True])
def test_the_best_weights_on_validation_are_kept_or_the_last(trainer, monkeypatch, keep_last):
    subject = trainer(replace(RECIPE, evaluate_every=2, keep_last=keep_last))
    accuracies, seen = iter([0.2, 0.9, 0.4]), []
    original = DistillTrainer.evaluate

    def evaluate(self, *_, **__):
        seen.append(weights(self))
        accuracy = next(accuracies)
        monkeypatch.setattr(module, "predict_logits", lambda *_, **__: one_hot(accuracy))
        return original(self)

    def one_hot(accuracy: float) -> np.ndarray:
        labels = np.asarray(subject.eval_dataset["label"])
        answers = np.where(np.arange(len(labels)) < accuracy * len(labels), labels, (labels + 1) % 5)
        return np.eye(5, dtype="float32")[answers]

    monkeypatch.setattr(DistillTrainer, "evaluate", evaluate)
    train(subject)
    assert len(seen) == 3
    assert same(weights(subject), seen[2 if keep_last else 1])
    assert not same(seen[1], seen[2])


def test_the_learning_rate_rises_then_falls(trainer):
    events: list = []
    train(trainer(replace(RECIPE, steps=10, warmup=0.3, evaluate_every=10), on_event=events.append))
    rates = [event.learning_rate for event in events if isinstance(event, Step)]
    # The rate after each step, which the next one uses: 3 steps up, 7 down.
    assert rates == pytest.approx([1e-3 * x for x in (1 / 3, 2 / 3, 1, *(k / 7 for k in range(6, -1, -1)))])


def test_the_same_recipe_gives_the_same_bits_whatever_happened_before(trainer):
    one = weights(train_it(trainer(dropout=0.1)))
    torch.manual_seed(123)
    assert same(one, weights(train_it(trainer(dropout=0.1))))
    assert not same(one, weights(train_it(trainer(replace(RECIPE, seed=1), dropout=0.1))))


# Divergence


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "nan"), (float("inf"), "inf")])
def test_a_loss_that_is_no_number_ends_the_training(trainer, monkeypatch, value, word):
    calls = []

    def hard_loss(logits, labels, weights):
        calls.append(labels)
        return logits.sum() * 0 + (value if len(calls) == 3 else 1.0)

    monkeypatch.setattr(losses, "hard_loss", hard_loss)
    with pytest.raises(
        DivergedError,
        match=rf"^The loss of the distilled student became {word} at step 3 of 6 with learning rate 0.001;",
    ):
        train(trainer(replace(RECIPE, learning_rate=1e-3)))
    assert len(calls) == 3


def masks(lengths: list[int]) -> torch.Tensor:
    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def parts(lengths: list[int], labels: list[int]) -> list[list[int]]:
    return [part.tolist() for part in module._row_groups(masks(lengths), torch.tensor(labels))]


def test_labelled_and_transfer_rows_are_read_apart_and_the_short_ones_where_it_pays(monkeypatch) -> None:
    labels = [2, 0, -100, -100, 1]
    assert parts([2, 1, 5, 3, 2], labels) == [[0, 1, 4], [2, 3]]
    assert parts([2, 1, 5, 3, 2], [1] * 5) == parts([2, 1, 5, 3, 2], [-100] * 5) == [[0, 1, 2, 3, 4]]
    # Two short rows: from 4 tokens, the longer of them, to 10 each is padded by 6.
    for worth, found in ((12, [[1, 2], [0, 3]]), (13, [[0, 1, 2, 3]])):
        monkeypatch.setattr(module, "WORTH_A_CALL", worth)
        assert parts([4, 10, 6, 3], [0] * 4) == found


@given(
    rows=st.lists(st.tuples(st.integers(1, 60), st.sampled_from([0, 1, -100])), min_size=1, max_size=12),
    worth=st.integers(0, 200),
)
@settings(deadline=None)
def test_each_row_is_in_one_part(rows: list[tuple[int, int]], worth: int) -> None:
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


def test_parts_give_the_logits_of_the_whole_batch(tiny_teacher, monkeypatch) -> None:
    model, lengths = tiny_teacher("bert").eval(), [3, 30, 9, 28, 2]
    mask = masks(lengths)
    ids = torch.randint(5, 90, mask.shape, generator=torch.Generator().manual_seed(0)) * mask
    texts = {"input_ids": ids, "attention_mask": mask}
    monkeypatch.setattr(module, "WORTH_A_CALL", 1)
    apart = module._row_groups(mask, torch.tensor([0, 1, -100, -100, 1]))
    assert [part.tolist() for part in apart] == [[1], [0, 4], [3], [2]]
    with torch.no_grad():
        torch.testing.assert_close(module._logits(model, texts, apart), model(**texts).logits)


def test_a_run_that_is_another_process_s_now_gets_no_checkpoint(trainer, monkeypatch):
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
    with pytest.raises(RunError, match="was taken"):
        train(subject)
    assert is_whole(folder / "checkpoint-1")
    assert not is_whole(folder / "checkpoint-2")
    with pytest.raises(RunError, match="was taken"):
        subject.checkpoint()
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-1", "checkpoint-2"]
