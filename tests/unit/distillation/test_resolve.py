"""Tests of how "auto" becomes a number, from the task, the teacher's architecture and the settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AlbertConfig, XLMConfig

from kd_core.config import DistillConfig
from kd_core.data import task as data
from kd_core.data.task import labelled, unlabelled
from kd_core.distillation import resolve as module
from kd_core.distillation.resolve import announce, auto_length, mean_tokens, token_lengths
from kd_core.errors import ConfigError, ModelError
from kd_core.models.pooled import pooled
from kd_core.models.students import build_student


@pytest.fixture
def bert(tiny_teacher):
    """The config of the tiny teacher: 4 layers of 32, 2 heads, intermediate 64, 66 positions."""
    return tiny_teacher("bert").config


@pytest.fixture
def resolve(tiny_tokenizer, tiny_task):
    """Resolve as the engine does, with the lengths that the tiny teacher's tokenizer finds."""

    def resolved(changes, teacher, task=tiny_task):
        lengths = token_lengths(tiny_tokenizer, task)
        return module.resolve(DistillConfig().change(changes), task, teacher, lengths)

    return resolved


def leaves(config: DistillConfig) -> dict[str, object]:
    dumped = config.model_dump().items()
    return {f"{section}.{name}": value for section, fields in dumped for name, value in fields.items()}


GIVEN = {
    "task.max_length": 32,
    "teacher.epochs": 3,
    "teacher.learning_rate": 0.25,
    "student.init": "random",
    "student.fill_vocabulary": 123,
    "student.pooling": "max",
    "objective.temperature": 3.0,
    "training.steps": 17,
    "training.learning_rate": 0.125,
    "training.evaluate_every": 4,
    "training.precision": "fp32",
}
STEPS, EVERY, RATE = "training.steps", "training.evaluate_every", "training.learning_rate"
NARROW = {"student.model": "custom", "student.hidden": 16}  # narrower than the tiny teacher


def model(name: str, **more: object) -> dict[str, object]:
    return {"student.model": name} | {f"student.{key}": value for key, value in more.items()}


def sizes(layers: int, hidden: int, heads: int, intermediate: int, init: str) -> dict[str, object]:
    built = {"layers": layers, "hidden": hidden, "heads": heads, "intermediate": intermediate, "init": init}
    return {f"student.{name}": value for name, value in built.items()}


def taught(epochs: int, rate: float, weights: str = "last") -> dict[str, object]:
    return {"teacher.epochs": epochs, "teacher.learning_rate": rate, "teacher.weights": weights}


# Settings; the task and the teacher, where they differ from 60 texts of 5 classes, 40 transfer texts and the
# tiny BERT; and what is resolved. "reads" is what the head of a pooled teacher reads.
RESOLVED = [
    (GIVEN, {}, GIVEN),
    # At least 900 steps and three passes, and at least 12 steps for each class
    ({}, {"rows": 60}, {STEPS: 900, EVERY: 75}),
    ({}, {"rows": 12_800}, {STEPS: 1200, EVERY: 100}),
    ({}, {"rows": 12_801}, {STEPS: 1203, EVERY: 100}),
    ({"training.batch_size": 8}, {"rows": 5000}, {STEPS: 1875, EVERY: 156}),
    ({}, {"rows": 77, "classes": 77, "transfer": 0}, {STEPS: 77 * 12}),
    ({STEPS: 240}, {}, {EVERY: 20}),
    ({STEPS: 30}, {}, {EVERY: 2}),
    ({STEPS: 5}, {}, {EVERY: 1}),
    ({STEPS: 5, EVERY: 9}, {}, {EVERY: 5}),
    # Fewer from the teacher's vectors without transfer texts, or with fewer than a tenth
    (NARROW, {"transfer": 0}, {STEPS: 300}),
    (NARROW, {"transfer": 5}, {STEPS: 300}),
    (NARROW, {"transfer": 6}, {STEPS: 900}),
    (NARROW | {"student.init": "projected"}, {"transfer": 0}, {STEPS: 900}),
    (NARROW, {"transfer": 0, "rows": 5000}, {STEPS: 3 * 157}),
    (model("cnn"), {"hidden_size": 256, "transfer": 20}, {STEPS: 600, "student.init": "teacher_vectors"}),
    (model("cnn"), {"hidden_size": 256, "transfer": 1}, {STEPS: 300}),
    (model("static"), {"hidden_size": 256, "transfer": 20}, {STEPS: 900}),
    (model("tiny"), {"hidden_size": 256, "transfer": 20}, {STEPS: 900, "student.init": "teacher_vectors"}),
    # The teacher's epochs: at least 120 steps, and at most 20
    ({}, {"rows": 1280, "num_hidden_layers": 6}, taught(3, 1e-4)),
    ({}, {"rows": 1280, "num_hidden_layers": 12}, taught(3, 3e-5)),
    ({"teacher.probe": False}, {"rows": 1280}, taught(5, 1e-4)),
    ({}, {"rows": 320}, taught(12, 1e-4)),
    ({}, {"rows": 60}, taught(20, 1e-4)),
    ({"teacher.model": "scratch"}, {"rows": 1280}, taught(20, 5e-4, "best")),
    ({"teacher.model": "scratch"}, {"num_hidden_layers": 12}, taught(20, 5e-4, "best")),
    # The teacher's probe, which a head of few classes over the mean of few layers does not need
    ({}, {"reads": "mean", "num_hidden_layers": 11}, {"teacher.probe": False, "teacher.pooling": "mean"}),
    ({}, {"reads": "mean", "classes": 19}, {"teacher.probe": False}),
    ({}, {"reads": "mean", "num_hidden_layers": 12}, {"teacher.probe": True}),
    ({}, {"reads": "mean", "classes": 20}, {"teacher.probe": True}),
    ({"teacher.probe": False}, {"reads": "mean", "classes": 20}, {"teacher.probe": False}),
    ({}, {}, {"teacher.probe": True, "teacher.pooling": "first"}),
    ({"teacher.probe": False}, {}, {"teacher.probe": False}),
    ({"teacher.pooling": "first"}, {"reads": "mean"}, {"teacher.pooling": "mean"}),  # as it was trained
    # Learning rates
    (model("tiny"), {}, {RATE: 5e-4}),
    (model("mini"), {}, {RATE: 5e-4}),  # 256 wide
    (model("custom", hidden=257, heads=1), {}, {RATE: 1e-4}),
    (model("bilstm"), {}, {RATE: 1e-4}),
    (model("cnn"), {}, {RATE: 4e-3}),
    (model("static"), {}, {RATE: 4e-3}),
    (model("half"), {"classes": 20, "hidden_size": 384}, {RATE: 3e-4}),
    (model("half"), {"classes": 19, "hidden_size": 384}, {RATE: 1e-4}),
    (model("half"), {"classes": 20, "hidden_size": 768}, {RATE: 1e-4}),
    (model("half", init="random"), {"classes": 20, "hidden_size": 384}, {RATE: 1e-4}),
    # The student's sizes and start, and how many frequent word pieces join
    (model("tiny"), {}, sizes(2, 128, 2, 512, "random") | {"student.fill_vocabulary": 0}),
    (model("half"), {}, sizes(2, 32, 2, 64, "teacher_layers") | {"student.fill_vocabulary": 11_000}),
    (model("third"), {}, sizes(1, 32, 2, 64, "teacher_layers")),
    (NARROW, {}, sizes(2, 16, 2, 64, "teacher_vectors") | {"student.fill_vocabulary": 17_000}),
    (model("bilstm"), {}, sizes(1, 300, 1, 200, "random")),
    (model("cnn"), {}, sizes(1, 128, 1, 384, "random")),
    (model("static"), {}, sizes(1, 128, 1, 256, "random")),
    (model("half", init="random"), {}, {"student.fill_vocabulary": 0}),
    # A transformer of many classes that starts from the teacher starts with a probe
    (model("half"), {"classes": 20}, {"student.probe": True}),
    (model("half"), {"classes": 19}, {"student.probe": False}),
    (model("half", init="random"), {"classes": 20}, {"student.probe": False}),
    (model("half", probe=False), {"classes": 20}, {"student.probe": False}),
    (model("cnn"), {"classes": 20}, {"student.probe": False, "student.pooling": "mean"}),
    (model("static"), {"classes": 20}, {"student.probe": False}),
    (model("cnn"), {"classes": 19}, {"student.pooling": "pairs"}),
    (model("tiny"), {"classes": 19}, {"student.pooling": "max"}),
    # A rare class lowers the temperature, and other families resolve as well
    ({}, {"rare": 2}, {"objective.temperature": 1.0, "training.metric": "macro_f1"}),
    ({}, {"rare": 9}, {"objective.temperature": 2.0, "training.metric": "accuracy"}),
    *((model(name), {"family": "distilbert"}, {}) for name in ("half", "cnn")),
    *((model(name), {"family": "albert"}, {}) for name in ("third", "static")),
    *((model(name), {"family": "modernbert"}, {}) for name in ("half", "bilstm")),
]


@pytest.mark.parametrize(("changes", "where", "expected"), RESOLVED)
def test_automatic_values(resolve, tiny_task, tiny_teacher, changes, where, expected):
    where = {"classes": 5, "rows": max(60, where.get("classes", 0)), "transfer": 40, "rare": 0} | where
    classes, rows, rare = where.pop("classes"), where.pop("rows"), where.pop("rare")
    teacher = tiny_teacher(where.pop("family", "bert")).config
    teacher.id2label = {i: f"class {i:02}" for i in range(classes)}
    teacher.label2id = {name: i for i, name in teacher.id2label.items()}
    labels = [classes - 1] * rare + [i % (classes - (rare > 0)) for i in range(rows - rare)]
    task = replace(
        tiny_task,
        labels=tuple(teacher.label2id),
        train=labelled(["goal"] * rows, labels),
        transfer=tiny_task.transfer.select(range(where.pop("transfer"))),
    )
    reads = where.pop("reads", "first")
    for name, value in where.items():
        setattr(teacher, name, value)
    teacher = pooled(teacher) if reads == "mean" else teacher
    resolved = resolve(changes, teacher, task)
    found = leaves(resolved)
    assert {place: found[place] for place in expected} == expected
    assert "auto" not in found.values()
    assert resolve(found, teacher, task) == resolved
    assert DistillConfig.from_yaml(resolved.to_yaml()) == resolved


@pytest.mark.parametrize(
    ("teacher", "sizes"),
    [
        (XLMConfig(), (2048, 16, 8192)),
        (
            AlbertConfig(hidden_size=4096, num_attention_heads=64, intermediate_size=16_384),
            (4096, 64, 16_384),
        ),
    ],
)
def test_teacher_of_another_family_or_size(resolve, teacher, sizes):
    resolved = resolve({}, teacher)
    assert (resolved.teacher.hidden, resolved.teacher.heads, resolved.teacher.intermediate) == sizes
    assert resolved.student.init == "teacher_vectors"


def test_precision_is_that_of_the_machine(resolve, bert, monkeypatch):
    for precision in ("bf16", "fp16", "fp32"):
        monkeypatch.setattr(module, "fast_precision", lambda *_, precision=precision: precision)
        assert resolve({}, bert).training.precision == precision
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert resolve({"training.precision": "fp16"}, bert).training.precision == "fp16"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"training.precision": "fp16"},
            ConfigError,
            "training.precision fp16 needs a GPU, and there is none",
        ),
        (
            {"training.metric": "f1:sport"},
            ConfigError,
            "--metric f1:sport: none of the 3 validation texts is 'sport'",
        ),
        (
            {"student.init": "teacher_layers"},
            ModelError,
            "^--student-init teacher_layers copies whole layers",
        ),
        (
            model("tiny", pooling="mean"),
            ModelError,
            "mean is there for cnn and static alone, and the student is tiny; use auto, or the student cnn",
        ),
    ],
)
def test_settings_that_are_refused_before_any_training(
    resolve, tiny_task, bert, changes, error, message, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    task = replace(tiny_task, validation=labelled(["a film"] * 3, [1] * 3))
    with pytest.raises(error, match=message):
        resolve(changes, bert, task)
    assert resolve({"training.metric": "f1:politics"}, bert, task).training.metric == "f1:politics"


# Lengths of texts. 99 of 100 texts are to be held whole, special tokens included.
@pytest.mark.parametrize(
    ("texts", "length"),
    [
        (["goal " * 62] * 40, 64),
        (["goal " * 63] * 40, 128),
        (["goal " * 126] * 40, 128),
        (["goal " * 127] * 40, 256),
        (["goal " * 4000] * 4, 256),
        (["goal"] * 239 + ["goal " * 200], 64),
        (["goal"] * 235 + ["goal " * 200] * 5, 256),
        (["好" * 62] * 40, 64),  # words without spaces: each character is a token
        (["好" * 63] * 40, 128),
        (["好" * 216] * 40, 256),
    ],
)
def test_length_is_what_the_texts_need(resolve, tiny_task, bert, texts, length):
    bert.max_position_embeddings = 512
    assert resolve({}, bert, replace(tiny_task, transfer=unlabelled(texts))).task.max_length == length


@pytest.mark.parametrize(("family", "length"), [("bert", 66), ("roberta", 65)])
@pytest.mark.parametrize("given", ["auto", 4000])
def test_length_is_at_most_what_the_teacher_reads(resolve, tiny_task, tiny_teacher, family, length, given):
    """The tiny models have 66 positions, of which RoBERTa keeps pad_token_id + 1 free."""
    task = replace(tiny_task, transfer=unlabelled(["goal " * 100] * 40))
    assert resolve({"task.max_length": given}, tiny_teacher(family).config, task).task.max_length == length


def test_splits_count_by_their_texts_and_not_by_those_of_the_sample(tiny_task):
    # Of 60 texts half are long: 30 of 6,060, and then 30 of 600.
    lengths = {"train": [10, 100], "transfer": [10]}
    assert auto_length(replace(tiny_task, transfer=unlabelled(["goal"] * 6_000)), lengths) == 64
    assert auto_length(replace(tiny_task, transfer=unlabelled(["goal"] * 540)), lengths) == 128
    assert auto_length(tiny_task, {}) == 64


def test_lengths_are_those_of_a_sample_from_all_over_a_split(tiny_task, tiny_tokenizer, monkeypatch):
    def found(texts):
        return token_lengths(tiny_tokenizer, replace(tiny_task, transfer=unlabelled(texts)))["transfer"]

    monkeypatch.setattr(data, "SAMPLE", 10)
    texts = ["goal " * count for count in range(40)]
    assert found(texts) == [2, 6, 10, 14, 18, 22, 26, 30, 34, 38]
    monkeypatch.setattr(data, "LETTERS", 500)  # of the 5 x (0 + 4 + ... + 36) = 900: every other text
    assert found(texts) == [2, 10, 18, 26, 34]
    assert found([]) == []
    assert mean_tokens({"train": [4, 10, 40], "transfer": []}, 16) == {"train": 10.0, "transfer": 0.0}


def test_run_announces_how_much_it_has_to_do(resolve, tiny_task, bert, tiny_tokenizer):
    config = resolve({}, bert)
    said = announce(config, tiny_task, token_lengths(tiny_tokenizer, tiny_task))
    assert DistillConfig.from_dict(said.config) == config
    rows = {"train": 60, "validation": 20, "test": 25, "transfer": 40, "spans": 0}
    assert (said.classes, said.rows) == (5, rows)
    assert said.tokens == {"train": 9.0, "transfer": 9.0}, "seven words and two special tokens"


@pytest.mark.parametrize("checkpoint", [False, True])
def test_texts_are_cut_where_a_model_has_no_more_positions(
    resolve, bert, tiny_teacher, tiny_tokenizer, tmp_path, checkpoint
):
    student, limit = "tiny", 66
    if checkpoint:  # which has fewer than its teacher
        short, student, limit = tiny_teacher("bert"), str(tmp_path), 40
        short.config.max_position_embeddings = limit
        short.save_pretrained(tmp_path)
        tiny_tokenizer.save_pretrained(tmp_path)
    resolved = resolve({"task.max_length": 500, "student.model": student}, bert)
    assert resolved.task.max_length == limit
    for asked, doubts in (
        (500, [f"Texts are cut at {limit} tokens, not at 500: the models have no more positions."]),
        ("auto", []),
        (limit, []),
    ):
        config = DistillConfig().change({"task.max_length": asked})
        assert module.doubts(config, resolved, {"train": [9]}) == doubts


@pytest.mark.parametrize(("lengths", "share"), [([64] * 9 + [65], None), ([64] * 8 + [65, 900], "20 %")])
def test_texts_that_lose_their_end_are_counted(resolve, bert, lengths, share):
    resolved = resolve({"task.max_length": 64}, bert)
    said = module.doubts(resolved, resolved, {"train": lengths})
    expected = f"{share} of the training texts have more than 64 tokens and lose their end. Keep more tokens"
    assert [sentence.startswith(expected) for sentence in said] == [True] * (share is not None)


@pytest.mark.parametrize("name", ["cnn", "bilstm"])
def test_distilled_student_can_be_a_student_again(
    resolve, tiny_task, tiny_teacher, tiny_tokenizer, tmp_path, name
):
    teacher = tiny_teacher("bert")
    first = resolve(model(name), teacher.config).student
    before, tokenizer = build_student(first, teacher, tiny_tokenizer, tiny_task, 0)
    before.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = resolve(model(str(tmp_path)), teacher.config).student
    assert (again.init, again.pooling, again.trim_vocabulary) == ("pretrained", first.pooling, False)
    student, _ = build_student(again, teacher, tiny_tokenizer, tiny_task, 1)
    theirs = before.state_dict()
    assert all(torch.equal(values, theirs[weight]) for weight, values in student.state_dict().items())
