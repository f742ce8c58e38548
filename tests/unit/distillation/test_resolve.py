"""``auto`` becomes a number, in one place, once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from transformers import AlbertConfig, BartConfig, BertConfig, XLMConfig

from kd_core.config import DistillConfig, sections
from kd_core.data import task as data
from kd_core.data.task import labelled, unlabelled
from kd_core.distillation import resolve as module
from kd_core.distillation.resolve import announce, auto_length, mean_tokens, token_lengths
from kd_core.errors import ConfigError, ModelError
from kd_core.models.pooled import pooled
from kd_core.models.size import student_config
from kd_core.models.students import build_student
from kd_core.system.settings import fixed


@pytest.fixture
def bert(tiny_teacher):
    """The config of the tiny teacher: 4 layers of 32, 2 heads, intermediate 64, 66 positions."""
    return tiny_teacher("bert").config


@pytest.fixture
def lengths_of(tiny_tokenizer):
    return partial(token_lengths, tiny_tokenizer)


@pytest.fixture
def resolve(lengths_of):
    """As the engine does it, with the lengths that the tiny teacher's tokenizer finds."""
    return lambda config, task, teacher: module.resolve(config, task, teacher, lengths_of(task))


def leaves(config: DistillConfig) -> dict[str, object]:
    return {
        f"{section}.{name}": value
        for section, fields in config.model_dump().items()
        for name, value in fields.items()
    }


def autos(config: DistillConfig) -> list[str]:
    return [place for place, value in leaves(config).items() if value == "auto"]


def help_of(place: str) -> str:
    section, name = place.split(".")
    return str(dict(sections())[section].model_fields[name].description)


def test_no_auto_is_left(resolve, tiny_task, bert):
    assert len(autos(DistillConfig())) >= 8
    assert autos(resolve(DistillConfig(), tiny_task, bert)) == []


@pytest.mark.parametrize("student", ["tiny", "mini", "half", "third", "custom", "bilstm", "cnn", "static"])
@pytest.mark.parametrize("family", ["bert", "distilbert", "albert", "modernbert"])
def test_nor_for_any_student_and_it_is_idempotent(resolve, tiny_task, tiny_teacher, student, family):
    config, model = DistillConfig().change({"student.model": student}), tiny_teacher(family).config
    resolved = resolve(config, tiny_task, model)
    assert autos(resolved) == []
    assert resolve(resolved, tiny_task, model) == resolved
    assert DistillConfig.from_yaml(resolved.to_yaml()) == resolved


def test_what_was_given_stays(resolve, tiny_task, bert):
    given = {
        "task.max_length": 32,
        "teacher.epochs": 3,
        "teacher.learning_rate": 0.25,
        "student.init": "random",
        "student.fill_vocabulary": 123,
        "student.pooling": "max",
        "training.steps": 17,
        "training.learning_rate": 0.125,
        "training.evaluate_every": 4,
        "training.precision": "fp32",
    }
    resolved = leaves(resolve(DistillConfig().change(given), tiny_task, bert))
    assert {place: resolved[place] for place in given} == given


@pytest.mark.parametrize(
    ("rows", "batch_size", "steps", "every"),
    [(60, 32, 900, 75), (400 * 32, 32, 1200, 100), (400 * 32 + 1, 32, 1203, 100), (5000, 8, 1875, 156)],
)
def test_steps_are_900_or_three_passes(resolve, tiny_task, bert, rows, batch_size, steps, every):
    task = replace(tiny_task, train=labelled(["goal"] * rows, [0] * rows))
    training = resolve(DistillConfig().change({"training.batch_size": batch_size}), task, bert).training
    assert (training.steps, training.evaluate_every) == (steps, every)
    assert "auto: 900; for one that starts from the teacher's vectors 300" in help_of("training.steps")
    assert "auto: a twelfth" in help_of("training.evaluate_every")


@pytest.mark.parametrize(
    ("init", "transfer", "rows", "steps"),
    [
        ("auto", 0, 60, 300),
        ("auto", 5, 60, 300),  # fewer than a tenth are as none
        ("auto", 6, 60, 900),
        ("projected", 0, 60, 900),
        ("auto", 0, 5000, 471),  # 157 batches in a pass
    ],
)
def test_a_start_from_the_teachers_vectors_needs_fewer_steps(
    resolve, tiny_task, bert, init, transfer, rows, steps
):
    train, texts = labelled(["goal"] * rows, [0] * rows), tiny_task.transfer.select(range(transfer))
    narrow = {"student.model": "custom", "student.hidden": 16, "student.init": init}
    task = replace(tiny_task, train=train, transfer=texts)
    assert resolve(DistillConfig().change(narrow), task, bert).training.steps == steps


@pytest.mark.parametrize(
    ("student", "transfer", "steps"),
    [("cnn", 20, 600), ("cnn", 0, 300), ("cnn", 1, 300), ("static", 20, 900), ("tiny", 20, 900)],
)
def test_a_cnn_with_transfer_texts_needs_fewer(resolve, tiny_task, bert, student, transfer, steps):
    wide = BertConfig(**(bert.to_dict() | {"hidden_size": 256, "num_attention_heads": 4}))
    task = replace(tiny_task, transfer=tiny_task.transfer.select(range(transfer)))
    resolved = resolve(DistillConfig().change({"student.model": student}), task, wide)
    assert (resolved.student.init, resolved.training.steps) == ("teacher_vectors", steps)


def test_many_classes_need_more_steps(resolve, tiny_task, bert):
    classes = tuple(f"class {number:02}" for number in range(77))
    train = labelled(["goal"] * 77, list(range(77)))
    task = replace(tiny_task, labels=classes, train=train, transfer=tiny_task.transfer.select([]))
    assert resolve(DistillConfig(), task, bert).training.steps == 77 * 12


def test_validation_is_looked_at_a_dozen_times_of_the_steps_given(resolve, tiny_task, bert):
    for steps, every in ((240, 20), (30, 2), (5, 1)):
        resolved = resolve(DistillConfig().change({"training.steps": steps}), tiny_task, bert)
        assert resolved.training.evaluate_every == every


@pytest.mark.parametrize(
    ("changes", "rows", "layers", "epochs", "rate"),
    [
        ({}, 40 * 32, 6, 3, 1e-4),
        ({}, 40 * 32, 12, 3, 3e-5),
        ({"teacher.probe": False}, 40 * 32, 6, 5, 1e-4),
        ({}, 10 * 32, 6, 12, 1e-4),  # 120 steps
        ({}, 60, 6, 20, 1e-4),
        ({"teacher.model": "scratch"}, 40 * 32, 4, 20, 5e-4),
        ({"teacher.model": "scratch"}, 60, 12, 20, 5e-4),
    ],
)
def test_the_teachers_epochs_and_rate(resolve, tiny_task, bert, changes, rows, layers, epochs, rate):
    bert.num_hidden_layers = layers
    task = replace(tiny_task, train=labelled(["goal"] * rows, [0] * rows))
    teacher = resolve(DistillConfig().change(changes), task, bert).teacher
    assert (teacher.epochs, teacher.learning_rate) == (epochs, rate)
    assert teacher.weights == ("best" if changes.get("teacher.model") == "scratch" else "last")
    assert "auto: the last; from scratch the best" in help_of("teacher.weights")
    assert "auto: 3, without the probe 5, of few texts up to 20" in help_of("teacher.epochs")
    assert "auto: 1e-4, from scratch 5e-4, 3e-5 for 12 layers" in help_of("teacher.learning_rate")


@pytest.mark.parametrize(
    ("classes", "reads", "layers", "asked", "probes"),
    [
        (5, "mean", 11, True, False),
        (19, "mean", 6, True, False),
        (5, "mean", 12, True, True),
        (5, "mean", 12, False, False),
        (20, "mean", 6, True, True),
        (20, "mean", 6, False, False),
        (5, "first", 6, True, True),
        (5, "first", 6, False, False),
    ],
)
def test_a_head_of_few_classes_that_reads_the_mean_begins_without_a_probe(
    resolve, tiny_task, bert, classes, reads, layers, asked, probes
):
    bert.num_hidden_layers = layers
    labels = tuple(f"class {number:02}" for number in range(classes))
    task = replace(tiny_task, labels=labels, train=labelled(["goal"] * classes, list(range(classes))))
    teacher = pooled(bert) if reads == "mean" else bert
    resolved = resolve(DistillConfig().change({"teacher.probe": asked}), task, teacher).teacher
    assert (resolved.pooling, resolved.probe) == (reads, probes)
    assert resolved.epochs == 20
    assert "with fewer than 20 and less than 12 layers" in help_of("teacher.probe")


def test_a_head_that_was_trained_before_reads_what_it_reads(resolve, tiny_task, bert):
    asked = DistillConfig().change({"teacher.pooling": "first"})
    assert resolve(asked, tiny_task, pooled(bert)).teacher.pooling == "mean", "its folder has code"


@pytest.mark.parametrize(
    ("student", "rate"),
    [
        ({"student.model": "tiny"}, 5e-4),
        ({"student.model": "mini"}, 5e-4),  # 256 wide
        ({"student.model": "small"}, 1e-4),
        ({"student.model": "custom", "student.hidden": 257, "student.heads": 1}, 1e-4),
        ({"student.model": "bilstm"}, 1e-4),
        ({"student.model": "cnn"}, 4e-3),
        ({"student.model": "static"}, 4e-3),
    ],
)
def test_narrow_students_learn_faster(resolve, tiny_task, bert, student, rate):
    assert resolve(DistillConfig().change(student), tiny_task, bert).training.learning_rate == rate
    assert "auto: 4e-3 for cnn and static, 5e-4 up to hidden size 256" in help_of("training.learning_rate")


@pytest.mark.parametrize(
    ("student", "classes", "hidden", "rate"),
    [
        ({"student.model": "half"}, 20, 384, 3e-4),
        ({"student.model": "half"}, 19, 384, 1e-4),
        ({"student.model": "half"}, 20, 768, 1e-4),
        ({"student.model": "half", "student.init": "random"}, 20, 384, 1e-4),
    ],
)
def test_copied_layers_take_larger_steps_towards_many_classes(
    resolve, tiny_task, bert, student, classes, hidden, rate
):
    task = replace(tiny_task, labels=tuple(f"class {i}" for i in range(classes)))
    bert.hidden_size = hidden
    assert resolve(DistillConfig().change(student), task, bert).training.learning_rate == rate
    assert "3e-4 up to 384 for layers of the teacher that learn 20 classes" in help_of(
        "training.learning_rate"
    )


def test_a_run_says_how_much_is_ahead(resolve, tiny_task, bert, lengths_of):
    config = resolve(DistillConfig(), tiny_task, bert)
    lengths = lengths_of(tiny_task)
    said = announce(config, tiny_task, lengths)
    assert DistillConfig.from_dict(said.config) == config
    assert (said.classes, said.rows) == (
        5,
        {"train": 60, "validation": 20, "test": 25, "transfer": 40, "spans": 0},
    )
    # Seven words, the one that is a letter among them, and two special tokens.
    assert said.tokens == {"train": 9.0, "transfer": 9.0}
    none = replace(tiny_task, transfer=unlabelled([]))
    alone = announce(config, none, lengths | {"transfer": []})
    assert (alone.rows["transfer"], alone.tokens["transfer"]) == (0, 0.0)


def test_lengths_are_those_of_a_sample_from_all_over_a_split(tiny_task, monkeypatch, lengths_of):
    monkeypatch.setattr(data, "SAMPLE", 10)
    task = replace(tiny_task, transfer=unlabelled(["goal " * count for count in range(40)]))
    assert lengths_of(task)["transfer"] == [2, 6, 10, 14, 18, 22, 26, 30, 34, 38]
    monkeypatch.setattr(data, "LETTERS", 500)  # of the 5 x (0 + 4 + ... + 36) = 900: every other text
    assert lengths_of(task)["transfer"] == [2, 10, 18, 26, 34]
    none = replace(tiny_task, transfer=unlabelled([]))
    assert lengths_of(none)["transfer"] == []


def test_what_is_read_of_a_text_by_hand():
    assert mean_tokens({"train": [4, 10, 40], "transfer": []}, 16) == {"train": 10.0, "transfer": 0.0}


def test_splits_count_by_their_texts_not_by_those_of_the_sample(tiny_task):
    # 60 texts of which half are long, and 6,000 of which none is: 0.5 % in all, then 5 %.
    lengths = {"train": [10, 100], "transfer": [10]}
    many = replace(tiny_task, transfer=unlabelled(["goal"] * 6_000))
    assert auto_length(many, lengths) == 64
    assert auto_length(replace(tiny_task, transfer=unlabelled(["goal"] * 540)), lengths) == 128
    assert auto_length(tiny_task, {}) == 64


@pytest.mark.parametrize(
    ("words", "length"), [(7, 64), (62, 64), (63, 128), (126, 128), (127, 256), (4000, 256)]
)
def test_max_length_is_what_the_texts_need(resolve, tiny_task, bert, words, length):
    bert.max_position_embeddings = 512
    task = replace(tiny_task, transfer=unlabelled(["goal " * words] * 40))
    assert resolve(DistillConfig(), task, bert).task.max_length == length


@pytest.mark.parametrize(("characters", "length"), [(62, 64), (63, 128), (216, 256)])
def test_where_words_have_no_spaces_characters_are_counted(
    resolve, tiny_task, bert, characters, length, lengths_of
):
    bert.max_position_embeddings = 512
    task = replace(tiny_task, transfer=unlabelled(["好" * characters] * 40))
    config = resolve(DistillConfig(), task, bert)
    assert config.task.max_length == length
    assert announce(config, task, lengths_of(task)).tokens["transfer"] == characters + 2


def test_one_long_text_in_a_hundred_does_not_count(resolve, tiny_task, bert):
    bert.max_position_embeddings = 512
    for long, length in ((1, 64), (5, 256)):
        task = replace(tiny_task, transfer=unlabelled(["goal"] * (240 - long) + ["goal " * 200] * long))
        assert resolve(DistillConfig(), task, bert).task.max_length == length


@pytest.mark.parametrize(("family", "length"), [("bert", 66), ("roberta", 65)])
@pytest.mark.parametrize("given", ["auto", 4000])
def test_max_length_is_at_most_what_the_teacher_can_read(
    resolve, tiny_task, tiny_teacher, family, length, given
):
    """The tiny models have 66 positions, of which RoBERTa keeps pad_token_id + 1 free."""
    task = replace(tiny_task, transfer=unlabelled(["goal " * 100] * 40))
    config = DistillConfig().change({"task.max_length": given})
    assert resolve(config, task, tiny_teacher(family).config).task.max_length == length


@pytest.mark.parametrize("family", [XLMConfig, BartConfig])
def test_a_teacher_of_another_family_can_have_a_student_of_filters(family, resolve, tiny_task):
    resolved = resolve(DistillConfig(), tiny_task, family())
    assert resolved.teacher.hidden == family().hidden_size
    assert resolved.teacher.intermediate == 4 * family().hidden_size
    assert resolved.student.init == "teacher_vectors"


def test_the_largest_teachers_have_legal_sizes(resolve, tiny_task):
    """Those of albert-xxlarge, which nobody has typed."""
    sizes = {"hidden_size": 4096, "num_attention_heads": 64, "intermediate_size": 16_384}
    teacher = resolve(DistillConfig(), tiny_task, AlbertConfig(**sizes)).teacher
    assert (teacher.hidden, teacher.heads, teacher.intermediate) == (4096, 64, 16_384)


def test_precision_is_what_the_machine_is_fast_at(resolve, tiny_task, bert, monkeypatch):
    for precision in ("bf16", "fp16", "fp32"):
        monkeypatch.setattr(module, "fast_precision", lambda *_, precision=precision: precision)
        assert resolve(DistillConfig(), tiny_task, bert).training.precision == precision


@pytest.mark.parametrize(
    ("model", "sizes", "init"),
    [
        ("tiny", (2, 128, 2, 512), "random"),  # wider than the tiny teacher
        ("half", (2, 32, 2, 64), "teacher_layers"),
        ("third", (1, 32, 2, 64), "teacher_layers"),
        ("custom", (2, 16, 2, 64), "teacher_vectors"),
        ("bilstm", (1, 300, 1, 200), "random"),
        ("cnn", (1, 128, 1, 384), "random"),  # wider than the tiny teacher
        ("static", (1, 128, 1, 256), "random"),
    ],
)
def test_the_sizes_that_are_stored_are_those_that_are_built(resolve, tiny_task, bert, model, sizes, init):
    config = DistillConfig().change({"student.model": model, "student.hidden": 16})
    resolved = resolve(config, tiny_task, bert)
    student, teacher = resolved.student, resolved.teacher
    assert (student.layers, student.hidden, student.heads, student.intermediate) == sizes
    assert (teacher.layers, teacher.hidden, teacher.heads, teacher.intermediate) == (4, 32, 2, 64)
    assert student.init == init


@pytest.mark.parametrize(
    ("student", "pieces"),
    [
        ({"model": "half"}, 11_000),
        ({"model": "custom", "hidden": 16}, 17_000),
        ({"model": "tiny"}, 0),  # wider than the tiny teacher
        ({"model": "half", "init": "random"}, 0),
        ({"model": "half", "fill_vocabulary": 7}, 7),
    ],
)
def test_frequent_pieces_join_where_they_start_with_a_meaning(resolve, tiny_task, bert, student, pieces):
    config = DistillConfig().change({f"student.{name}": value for name, value in student.items()})
    assert resolve(config, tiny_task, bert).student.fill_vocabulary == pieces


@pytest.mark.parametrize(
    ("model", "classes", "asked", "probes"),
    [
        ("half", 20, {}, True),
        ("half", 19, {}, False),
        ("half", 20, {"student.init": "random"}, False),
        ("half", 20, {"student.probe": False}, False),
        ("cnn", 20, {}, False),
        ("static", 20, {}, False),
    ],
)
def test_a_transformer_of_many_classes_begins_with_a_probe(
    resolve, tiny_task, bert, model, classes, asked, probes
):
    names = tuple(f"class {i}" for i in range(classes))
    bert.id2label = dict(enumerate(names))
    bert.label2id = {label: i for i, label in enumerate(names)}
    config = DistillConfig().change({"student.model": model, **asked})
    assert resolve(config, replace(tiny_task, labels=names), bert).student.probe is probes
    assert "there are 20 classes or more" in help_of("student.probe")


@pytest.mark.parametrize(
    ("model", "classes", "pooling"), [("cnn", 19, "pairs"), ("cnn", 20, "mean"), ("tiny", 19, "max")]
)
def test_the_head_of_cnn_reads_pairs_and_with_many_classes_the_mean(
    resolve, tiny_task, bert, model, classes, pooling
):
    bert.id2label = {i: f"class {i}" for i in range(classes)}
    bert.label2id = {label: i for i, label in bert.id2label.items()}
    config = resolve(DistillConfig().change({"student.model": model}), tiny_task, bert)
    assert config.student.pooling == pooling
    student = student_config(config.student, bert, 100)
    assert getattr(student, "mean", False) == (pooling == "mean")
    assert getattr(student, "pairs", 0) == (500_000 // 19 if pooling == "pairs" else 0)


@pytest.mark.parametrize(("rare", "asked", "temperature"), [(2, "auto", 1), (9, "auto", 2), (2, 3, 3)])
def test_where_a_class_is_rare_the_temperature_is_low(resolve, tiny_task, bert, rare, asked, temperature):
    """Of 60 texts and five classes, 12 are a fair share, and 3 a quarter of it."""
    labels = [4] * rare + [i % 4 for i in range(60 - rare)]
    skewed = replace(tiny_task, train=labelled(["a film"] * 60, labels))
    config = DistillConfig().change({"objective.temperature": asked})
    assert resolve(config, skewed, bert).objective.temperature == temperature


def test_a_mean_that_a_student_does_not_have_is_refused(resolve, tiny_task, bert):
    config = DistillConfig().change({"student.model": "tiny", "student.pooling": "mean"})
    with pytest.raises(
        ModelError,
        match="mean is there for cnn and static alone, and the student is tiny; use auto, or the student cnn",
    ):
        resolve(config, tiny_task, bert)


def test_an_impossible_start_is_refused_before_anything_is_trained(resolve, tiny_task, bert):
    with pytest.raises(ModelError, match=r"^--student-init teacher_layers copies whole layers"):
        resolve(DistillConfig().change({"student.init": "teacher_layers"}), tiny_task, bert)


def test_an_unresolved_value_is_not_a_number():
    with pytest.raises(ConfigError, match=r"^this config still has 'auto' values; resolve it first$"):
        fixed(DistillConfig().training.steps)
    assert fixed(7) == 7


def test_the_length_is_what_teacher_and_student_both_have_positions_for(
    resolve, tiny_task, bert, tiny_teacher, tiny_tokenizer, tmp_path
):
    """A student from a checkpoint may have fewer than its teacher."""
    short = {"train": [9]}
    model = tiny_teacher("bert")
    model.config.max_position_embeddings = 40
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    for student, limit in (("tiny", 66), (str(tmp_path), 40)):
        config = DistillConfig().change({"task.max_length": 500, "student.model": student})
        resolved = resolve(config, tiny_task, bert)
        assert resolved.task.max_length == limit
        assert module.doubts(config, resolved, short) == [
            f"Texts are cut at {limit} tokens, not at 500: the models have no more positions."
        ]
    for asked in ("auto", limit):
        assert module.doubts(config.change({"task.max_length": asked}), resolved, short) == []


@pytest.mark.parametrize("name", ["cnn", "static", "bilstm"])
def test_a_student_that_was_distilled_before_may_be_the_student_again(
    resolve, tiny_task, tiny_teacher, tiny_tokenizer, tmp_path, name
):
    """A cnn was refused: that it reads pairs was taken for a wish of its name."""
    teacher = tiny_teacher("bert")
    asked = DistillConfig().change({"student.model": name})
    first = resolve(asked, tiny_task, teacher.config).student
    before, tokenizer = build_student(first, teacher, tiny_tokenizer, tiny_task, 0)
    before.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = resolve(asked.change({"student.model": str(tmp_path)}), tiny_task, teacher.config).student
    assert (again.init, again.pooling, again.trim_vocabulary) == ("pretrained", first.pooling, False)
    student, _ = build_student(again, teacher, tiny_tokenizer, tiny_task, 1)
    theirs = before.state_dict()
    for weight, values in student.state_dict().items():
        assert torch.equal(values, theirs[weight]), weight
    transformer = tmp_path / "bert"
    teacher.save_pretrained(transformer)
    wish = asked.change({"student.model": str(transformer), "student.pooling": "pairs"})
    with pytest.raises(ModelError, match="--student-pooling pairs is there for cnn and static alone"):
        resolve(wish, tiny_task, teacher.config)


def test_texts_that_lose_their_end_are_counted(resolve, tiny_task, bert):
    resolved = resolve(DistillConfig().change({"task.max_length": 64}), tiny_task, bert)
    few, many = {"train": [64] * 9 + [65]}, {"train": [64] * 8 + [65, 900]}
    assert module.doubts(resolved, resolved, few) == []
    assert module.doubts(resolved, resolved, many) == [
        "20 % of the training texts have more than 64 tokens and lose their end. Keep more tokens of each "
        "text if what matters stands late; it takes longer."
    ]


def test_a_class_that_weights_are_chosen_by_has_validation_texts(resolve, tiny_task, bert):
    name, other = tiny_task.labels[:2]
    config = DistillConfig().change({"training.metric": f"f1:{name}"})
    assert resolve(config, tiny_task, bert).training.metric == f"f1:{name}"
    without = replace(tiny_task, validation=labelled(["a film"] * 3, [1] * 3))
    with pytest.raises(ConfigError, match=f"--metric f1:{name}: none of the 3 validation texts is '{name}'"):
        resolve(config, without, bert)
    assert resolve(config.change({"training.metric": f"f1:{other}"}), without, bert)


def test_float16_needs_a_gpu(resolve, tiny_task, bert, monkeypatch):
    config = DistillConfig().change({"training.precision": "fp16"})
    monkeypatch.setattr(module, "fast_precision", lambda *_: "fp32")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert resolve(config, tiny_task, bert).training.precision == "fp16"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"training.precision fp16 needs a GPU, and there is none"):
        resolve(config, tiny_task, bert)
