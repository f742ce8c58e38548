"""Every field of the config changes what it claims to change. A field without an entry here fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import ANY

import pytest
import torch
from transformers import TrainerCallback

from kd_core import distill
from kd_core.config import DistillConfig, sections
from kd_core.data import load_task
from kd_core.data.task import Task
from kd_core.distillation.events import Evaluated, Step
from kd_core.distillation.roles import Role
from kd_core.distillation.training import fit
from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.errors import DataError
from kd_core.search import results
from kd_core.search.config import SearchConfig
from kd_core.search.results import Cell, Difference
from kd_core.search.trials import Board

FIELDS = [f"{section}.{name}" for section, fields in sections() for name in fields.model_fields]
REFUSED = "refused"

Look = Callable[[DistillConfig], Any]


@dataclass(frozen=True)
class Wire:
    """Changing the field to ``value`` changes the result of ``look`` from ``seen[0]`` to ``seen[1]``."""

    value: Any
    look: Look
    seen: tuple[Any, Any] = (ANY, ANY)
    base: dict[str, Any] = field(
        default_factory=dict
    )  # other settings that the field needs to have an effect


class Seen(Exception):
    """Carries what was observed of a trainer out of a run that need not continue."""


def at_training(who: Role, look: Callable[[DistillTrainer, list], Any]) -> Look:
    """Return a look that runs up to the training of ``who`` and calls ``look(trainer, events)`` there."""

    def run(config: DistillConfig) -> Any:
        events: list[Any] = []

        def instead(trainer: DistillTrainer) -> Any:
            if trainer.recipe.who != who:
                return train(trainer)
            raise Seen(look(trainer, events))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fit, "train", instead)
            with pytest.raises(Seen) as seen:
                distill(config, events.append)
        return seen.value.args[0]

    return run


def of_teacher(read: Callable[[DistillTrainer], Any]) -> Look:
    return at_training("teacher", lambda trainer, _: read(trainer))


def of_student(read: Callable[[DistillTrainer], Any]) -> Look:
    return at_training("student", lambda trainer, _: read(trainer))


def events_of(who: Role, read: Callable[[list], Any]) -> Look:

    def look(trainer: DistillTrainer, events: list) -> Any:
        train(trainer)
        return read([event for event in events if getattr(event, "who", "") == who])

    return at_training(who, look)


def of_task(read: Callable[[Task], Any]) -> Look:
    def look(config: DistillConfig) -> Any:
        try:
            return read(load_task(config.task))
        except DataError:
            return REFUSED

    return look


def of_report(read: Callable[[Any], Any]) -> Look:
    return lambda config: read(report_without_training(config))


@cache
def report_without_training(config: DistillConfig) -> Any:
    """Run everything but the training of students."""

    def only_the_teacher(trainer: DistillTrainer) -> Any:
        return train(trainer) if trainer.recipe.who == "teacher" else trainer.model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "train", only_the_teacher)
        return distill(config)


def resamples(config: DistillConfig) -> list[int]:
    """Return the numbers of resamples that a finished search draws."""
    asked: list[int] = []
    search = SearchConfig(distill=config, temperatures=(1.0,), alphas=(0.1,))
    cell = Cell(number=0, state="done", setting=search.settings[0], scores=[], mean=0.5, se=0.1)
    board = SimpleNamespace(config=search, facts={}, cells=SimpleNamespace(study_name=""), alone=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "_cells", lambda study, settings: [cell])
        patch.setattr(results, "_remembered", lambda best, other: Difference(mean=0, se=0, low=0, high=0))
        patch.setattr(results, "optimism", lambda cells, resamples: asked.append(resamples))
        results.read(cast(Board, board))
    return asked


# Observations


def first_batch(trainer: DistillTrainer) -> dict[str, torch.Tensor]:
    return next(iter(trainer.get_train_dataloader()))


def first_loss(trainer: DistillTrainer) -> float:
    """Return the loss of the first batch without dropout."""
    trainer.model.eval()
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model, first_batch(trainer)))


def rows(transfer: bool) -> Callable[[DistillTrainer], int]:
    return lambda trainer: int(((first_batch(trainer)["labels"] == -100) == transfer).sum())


def peak(events: list) -> tuple[float, int]:
    """Return the highest learning rate and its step."""
    rates = [event.learning_rate for event in events if isinstance(event, Step)]
    return pytest.approx(max(rates)), 1 + rates.index(max(rates))


def embeddings_stay(trainer: DistillTrainer) -> bool:
    table = trainer.model.get_input_embeddings().weight
    before = table.detach().clone()
    train(trainer)
    return torch.equal(before, table)


class LongestGradient(TrainerCallback):
    """Records the largest gradient norm that the optimizer receives."""

    norm = 0.0

    def on_pre_optimizer_step(self, args, state, control, model, **_):
        norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
        self.norm = max(self.norm, float(torch.stack(norms).norm()))


def longest_gradient(trainer: DistillTrainer) -> float:
    longest = LongestGradient()
    trainer.add_callback(longest)
    train(trainer)
    return round(longest.norm, 3)


def decays(trainer: DistillTrainer) -> set[float]:
    train(trainer)
    return {group["weight_decay"] for group in trainer.optimizer.param_groups}


def logit_types(trainer: DistillTrainer) -> set[torch.dtype]:
    """Return the types of the classifier's outputs, in training and in evaluation."""
    seen: set[torch.dtype] = set()
    trainer.model.classifier.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
    train(trainer)
    return seen


def weight_sum(trainer: DistillTrainer) -> float:
    return sum(float(p.detach().double().abs().sum()) for p in trainer.model.parameters())


def model(name: str) -> Callable[[DistillTrainer], Any]:
    return lambda trainer: getattr(trainer.model.config, name)


FILMS = {"task.name": "films.csv", "task.test_file": None, "task.transfer_file": None}
ANSWERS = {**FILMS, "task.knowledge": "answers.csv"}
PERCENT = {"task.knowledge": "percent.csv"}
CHOICES = {"task.answer_columns": "kind"}
SCRATCH = {"teacher.model": "scratch", "teacher.hidden": 32}
AS_OCCURS = {"student.fill_vocabulary": 0}
CNN = {"student.model": "cnn", "teacher.model": "minilm-l3"}
DKD = {"objective.divergence": "dkd"}
MANY_KINDS = {**FILMS, "task.name": "kinds.csv", "student.model": "half"}

WIRES = {
    "task.name": Wire("others.csv", of_task(lambda t: t.name), ("films", "others"), FILMS),
    "task.text_column": Wire("title", of_task(lambda t: t.train["text"][0][:5]), ("Films", "Title"), FILMS),
    "task.label_column": Wire("kind", of_task(lambda t: t.labels), (("neg", "pos"), ("new", "old")), FILMS),
    "task.test_file": Wire("test.csv", of_task(lambda t: len(t.test)), (10, 4), FILMS),
    "task.transfer_file": Wire("transfer.csv", of_task(lambda t: len(t.transfer)), (0, 30), FILMS),
    "task.encoding": Wire(
        "latin-1", of_task(lambda t: t.labels), (REFUSED, ("neg", "pos")), FILMS | {"task.name": "latin.csv"}
    ),
    "task.delimiter": Wire(
        "|", of_task(lambda t: t.labels), (("neg", "pos"), REFUSED), FILMS | {"task.name": "others.csv"}
    ),
    "task.knowledge": Wire("answers.csv", of_task(lambda t: t.answers is not None), (False, True), FILMS),
    "task.answer_columns": Wire(
        "kind", of_task(lambda t: t.labels), (("pos", "neg"), ("new", "old")), ANSWERS | {"task.gold": "none"}
    ),
    "task.answers": Wire("logits", of_task(lambda t: t.answers.logits.max() > 0), (False, True), ANSWERS),
    "task.gold": Wire("none", of_task(lambda t: t.answers.gold), ("rows", "none"), ANSWERS),
    "task.normalise": Wire(
        True, of_task(lambda t: t.answers.kind), (REFUSED, "probabilities"), ANSWERS | PERCENT
    ),
    "task.smoothing": Wire(
        0.3, of_task(lambda t: t.answers.logits.max()), base=ANSWERS | CHOICES | {"task.gold": "none"}
    ),
    "task.label_empty": Wire(
        True, of_task(lambda t: len(t.transfer)), (REFUSED, 1), FILMS | {"task.name": "blank.csv"}
    ),
    "task.drop_empty": Wire(
        True, of_task(lambda t: t.labels), (REFUSED, ("neg", "pos")), FILMS | {"task.name": "blank.csv"}
    ),
    "task.merge_labels": Wire(
        True, of_task(lambda t: len(t.labels)), (REFUSED, 2), FILMS | {"task.name": "mixed.csv"}
    ),
    "task.drop_overlap": Wire(
        True,
        of_task(lambda t: len(t.train) + len(t.validation)),
        (REFUSED, 37),
        FILMS | {"task.test_file": "overlap.csv"},
    ),
    "task.drop_rare": Wire(
        True, of_task(lambda t: t.labels), (REFUSED, ("neg", "pos")), FILMS | {"task.name": "rare.csv"}
    ),
    "task.train_texts": Wire(12, of_task(lambda t: len(t.train)), (65, 12)),
    "task.transfer_texts": Wire(7, of_task(lambda t: len(t.transfer)), (40, 7)),
    "task.augment": Wire(2, of_student(rows(transfer=True)), (0, 8), {"task.transfer_texts": 0}),
    "task.split_seed": Wire(1, of_task(lambda t: t.test["text"][:]), base=FILMS),
    "task.max_length": Wire(
        8, of_student(lambda t: max(map(len, t.train_dataset["input_ids"]))), (9, 8), {"task.max_length": 64}
    ),
    "teacher.model": Wire("scratch", of_teacher(model("hidden_size")), (32, 24), {"teacher.hidden": 24}),
    "teacher.layers": Wire(3, of_teacher(model("num_hidden_layers")), (2, 3), SCRATCH),
    "teacher.hidden": Wire(24, of_teacher(model("hidden_size")), (32, 24), SCRATCH),
    "teacher.heads": Wire(4, of_teacher(model("num_attention_heads")), (2, 4), SCRATCH),
    "teacher.intermediate": Wire(40, of_teacher(model("intermediate_size")), (128, 40), SCRATCH),
    "teacher.epochs": Wire(2, of_teacher(lambda t: t.args.max_steps), (5, 10)),
    "teacher.batch_size": Wire(13, of_teacher(lambda t: len(first_batch(t)["labels"])), (16, 13)),
    "teacher.learning_rate": Wire(0.25, events_of("teacher", peak), ((1e-4, 1), (0.25, 1))),
    "teacher.freeze_embeddings": Wire(False, of_teacher(embeddings_stay), (True, False)),
    "teacher.probe": Wire(False, of_teacher(weight_sum)),
    "teacher.pooling": Wire("mean", of_teacher(model("model_type")), ("bert", "kd_pooled_bert"), FILMS),
    "teacher.weights": Wire("best", of_teacher(lambda t: t.recipe.keep_last), (True, False)),
    "teacher.seed": Wire(1, of_teacher(lambda t: first_batch(t)["input_ids"].tolist())),
    "student.model": Wire("bilstm", of_student(model("model_type")), ("bert", "kd_bilstm")),
    "student.layers": Wire(3, of_student(model("num_hidden_layers")), (2, 3)),
    "student.hidden": Wire(24, of_student(model("hidden_size")), (16, 24)),
    "student.heads": Wire(4, of_student(model("num_attention_heads")), (2, 4)),
    "student.intermediate": Wire(40, of_student(model("intermediate_size")), (64, 40)),
    "student.init": Wire("random", of_student(weight_sum)),
    "student.trim_vocabulary": Wire(False, of_student(model("vocab_size")), base=AS_OCCURS),
    "student.fill_vocabulary": Wire(10_000, of_student(model("vocab_size")), base=AS_OCCURS),
    "student.pooling": Wire("mean", of_student(model("mean")), (False, True), CNN),
    "student.positions": Wire(False, of_student(model("positions")), (18, 0), CNN),
    "student.probe": Wire(False, of_student(weight_sum), base=MANY_KINDS),
    "student.freeze_embeddings": Wire(True, of_student(embeddings_stay), (False, True)),
    "objective.divergence": Wire("js", of_student(first_loss)),
    "objective.temperature": Wire(1.0, of_student(first_loss)),
    "objective.alpha": Wire(0.9, of_student(first_loss)),
    "objective.t_squared": Wire(False, of_student(first_loss)),
    "objective.dkd_target_weight": Wire(3.0, of_student(first_loss), base=DKD),
    "objective.dkd_other_weight": Wire(3.0, of_student(first_loss), base=DKD),
    "objective.hidden_weight": Wire(1.0, of_student(first_loss)),
    "objective.cosine_weight": Wire(1.0, of_student(first_loss)),
    "objective.attention_weight": Wire(1.0, of_student(first_loss)),
    "objective.relation_weight": Wire(1.0, of_student(first_loss)),
    "objective.class_weights": Wire("sport=3", of_student(first_loss)),
    "training.metric": Wire(
        "macro_f1", of_student(lambda t: t.args.metric_for_best_model), ("accuracy", "macro_f1")
    ),
    "training.steps": Wire(
        4, events_of("student", lambda events: sum(isinstance(e, Step) for e in events)), (6, 4)
    ),
    "training.batch_size": Wire(5, of_student(rows(transfer=False)), (8, 5)),
    "training.transfer_batch_size": Wire(5, of_student(rows(transfer=True)), (8, 5)),
    "training.learning_rate": Wire(0.25, events_of("student", peak), ((5e-4, 1), (0.25, 1))),
    "training.warmup": Wire(0.5, events_of("student", peak), ((5e-4, 1), (5e-4, 3))),
    "training.weight_decay": Wire(0.5, of_student(decays), ({0.0, 0.01}, {0.0, 0.5})),
    "training.max_grad_norm": Wire(
        0.125, of_student(longest_gradient), (0.25, 0.125), {"training.max_grad_norm": 0.25}
    ),
    "training.evaluate_every": Wire(
        2,
        events_of("student", lambda events: [e.step for e in events if isinstance(e, Evaluated)]),
        ([3, 6], [2, 4, 6]),
    ),
    "training.seeds": Wire((1,), of_student(weight_sum)),
    "training.precision": Wire("bf16", of_student(logit_types), ({torch.float32}, {torch.bfloat16})),
    "training.report_to": Wire(
        "tensorboard", of_student(lambda t: list(t.args.report_to)), ([], ["tensorboard"])
    ),
    "controls.labelled_only": Wire(
        False, of_report(lambda r: "labelled_only" not in r.models), (False, True)
    ),
    "controls.shifted": Wire(
        False,
        of_report(lambda r: set(r.models["alone"].shifted)),
        ({"typos", "dropped words", "upper case"}, set()),
    ),
    "controls.hard_answers": Wire(True, of_report(lambda r: r.over_hard is not None), (False, True)),
    "controls.untuned_start": Wire(
        True,
        of_report(lambda r: "untuned_start" in r.models),
        (False, True),
        base={"student.init": "projected"},
    ),
    "controls.plain_start": Wire(
        True,
        of_report(lambda r: "plain_start" in r.models),
        (False, True),
        base={"student.init": "projected"},
    ),
    "controls.tfidf": Wire(False, of_report(lambda r: r.over_floor is not None), (True, False)),
    "controls.resamples": Wire(123, resamples, ([100], [123])),
    "controls.latency_repeats": Wire(7, of_report(lambda r: r.teacher.latency_ms.texts), (5, 7)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Data files, and the homes that tests share."""
    place = tmp_path_factory.mktemp("wiring")
    films = [
        f"Films number {i},Title {i},{'pos' if i % 2 else 'neg'},{'new' if i % 3 else 'old'}"
        for i in range(40)
    ]
    header = "text,title,label,kind"
    few = [f"Another film {i},Title,{'pos' if i % 2 else 'neg'},new" for i in range(4)]
    contents = {
        "films": films,
        "others": films,
        "test": few,
        "overlap": [*few, *films[:3]],
        "latin": [*films, "Un café crème,Titre,pos,new"],
        "blank": [*films, "No label,Title,,new"],
        "mixed": [*films, *(f"Film in capitals {i},Title,POS,new" for i in range(5))],
        "kinds": [f"Film {i} of kind {i % 20},Title,kind {i % 20},new" for i in range(200)],
        "rare": [*films, "One of its kind,Title,odd,new"],
    }
    for name, lines in contents.items():
        text = "\n".join([header, *lines])
        (place / f"{name}.csv").write_text(text, encoding="latin-1" if name == "latin" else "utf-8")
    for name, whole in (("answers", 1), ("percent", 100)):
        shares = [
            f"{0.9 * whole},{0.1 * whole}" if i % 2 else f"{0.2 * whole},{0.8 * whole}" for i in range(40)
        ]
        lines = ["text,label,kind,pos,neg"]
        lines += [
            f"Film {i},{('neg', 'pos')[i % 2]},{'new' if i % 3 else 'old'},{shares[i]}" for i in range(40)
        ]
        (place / f"{name}.csv").write_text("\n".join(lines))
    (place / "transfer.csv").write_text("\n".join(["text", *(f"Unlabelled film {i}" for i in range(30))]))
    return place


@pytest.mark.parametrize("place", FIELDS)
def test_a_field_has_its_effect(folder, tmp_path, monkeypatch, tiny_config, place):
    assert place in WIRES, f"add an entry for {place} to WIRES"
    wire = WIRES[place]
    # Tests of students share the trained teacher and its knowledge. Tests of teachers need an empty home, and
    # untrained students must not get into the cache of the others.
    homes = {"teacher": tmp_path, "controls": folder / "untrained"}
    monkeypatch.setenv("KD_HOME", str(homes.get(place.partition(".")[0], folder / "home")))
    monkeypatch.chdir(folder)
    base = tiny_config.change(wire.base)
    seen = wire.look(base), wire.look(base.change({place: wire.value}))
    assert seen == wire.seen
    assert seen[0] != seen[1]


def test_no_entry_without_a_field():
    assert set(WIRES) == set(FIELDS)
