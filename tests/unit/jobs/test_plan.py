"""What a run would be: the sizes said before the start are those of the models that are built."""

from dataclasses import replace

import pytest
from datasets.arrow_dataset import Column

from kd_core.data.task import labelled, unlabelled
from kd_core.errors import ModelError
from kd_core.jobs.plan import make_plan, read_vocabulary
from kd_core.models.loading import load_teacher
from kd_core.models.size import model_size
from kd_core.models.students import build_student
from kd_core.models.vocabulary import share_unknown


def test_the_plan_has_the_sizes_of_the_models_that_are_built(tiny_config, tiny_task):
    plan = make_plan(tiny_config, tiny_task, read_vocabulary(tiny_config.teacher, tiny_task))
    teacher, tokenizer = load_teacher(tiny_config.teacher, tiny_task)
    student, _ = build_student(plan.config.student, teacher, tokenizer, tiny_task, seed=0)
    assert plan.teacher.params == sum(p.numel() for p in teacher.parameters())
    assert plan.student.params == sum(p.numel() for p in student.parameters())
    assert plan.student.embedding_params == model_size(student.config).embedding_params
    assert (plan.student.layers, plan.student.hidden, plan.student.heads) == (2, 16, 2)
    assert plan.rows == {"train": 60, "validation": 20, "test": 25, "transfer": 40, "spans": 0}
    assert plan.classes == 5
    assert plan.tokens["train"] == pytest.approx(9, abs=2), "seven words, [CLS] and [SEP]"


def test_the_plan_is_resolved_and_an_untrimmed_student_is_larger(tiny_config, tiny_task):
    vocabulary = read_vocabulary(tiny_config.teacher, tiny_task)
    assert "auto" not in make_plan(tiny_config, tiny_task, vocabulary).config.to_yaml()
    tiny_config = tiny_config.change({"student.fill_vocabulary": 0})
    plan = make_plan(tiny_config, tiny_task, vocabulary)
    whole = make_plan(tiny_config.change({"student.trim_vocabulary": False}), tiny_task, vocabulary)
    pieces = vocabulary.size - vocabulary.used
    assert whole.student.params - plan.student.params == 16 * pieces > 0
    assert whole.unknown == 0


def test_the_plan_of_a_student_that_keeps_its_own_pieces(tiny_config, tiny_task, tmp_path):
    """A convolutional network's pairs of words hang on them, so that none can be cut."""
    vocabulary = read_vocabulary(tiny_config.teacher, tiny_task)
    teacher, tokenizer = load_teacher(tiny_config.teacher, tiny_task)
    first = make_plan(tiny_config.change({"student.model": "cnn"}), tiny_task, vocabulary).config.student
    student, own = build_student(first, teacher, tokenizer, tiny_task, seed=0)
    student.save_pretrained(tmp_path)
    own.save_pretrained(tmp_path)
    assert len(own) < vocabulary.size
    plan = make_plan(tiny_config.change({"student.model": str(tmp_path)}), tiny_task, vocabulary)
    assert plan.student.params == sum(p.numel() for p in student.parameters())


@pytest.mark.parametrize(("fill", "unknown"), [(0, 0.75), (88, 0.625), (10_000, 0)])
def test_the_plan_knows_how_many_pieces_the_student_will_have_and_lack(
    tiny_config, tiny_task, tiny_teacher, tiny_tokenizer, fill, unknown
):
    held_out = ["match", "scene party", "goal", "actor", "bank", "vote", "match goal", "today match"]
    task = replace(
        tiny_task,
        train=labelled(["match party", "scene profit"], [0, 1]),
        transfer=unlabelled([]),
        validation=labelled(held_out[:2], [0, 1]),
        test=labelled(held_out[2:], [0, 1, 2, 3, 0, 0]),
    )
    vocabulary = read_vocabulary(tiny_config.teacher, task)
    plan = make_plan(tiny_config.change({"student.fill_vocabulary": fill}), task, vocabulary)
    _, tokenizer = build_student(plan.config.student, tiny_teacher(), tiny_tokenizer, task, seed=0)
    assert len(tokenizer) == vocabulary.kept(plan.config.student)
    assert plan.unknown == share_unknown(tiny_tokenizer, tokenizer, held_out, 64) == unknown


def test_columns_are_read_whole_and_not_row_by_row(tiny_config, tiny_task, monkeypatch):
    def one_by_one(column: Column) -> None:
        raise AssertionError("row by row, 100,000 texts take two seconds each time that a form changes")

    config = tiny_config.change({"objective.temperature": "auto", "training.metric": "auto"})
    monkeypatch.setattr(Column, "__iter__", one_by_one)
    make_plan(config, tiny_task, read_vocabulary(config.teacher, tiny_task))


def test_pieces_beyond_the_longest_text_that_is_read_are_not_needed(tiny_config, tiny_task):
    only = labelled(["match"], [0])
    task = replace(tiny_task, train=only, transfer=unlabelled([]), validation=only, test=only)
    task = replace(task, test=labelled(["match " * 7 + "actor"], [3]))
    config = tiny_config.change({"student.fill_vocabulary": 0})
    for limit, unknown in ((9, 0.0), (10, 0.5)):  # of which two are [CLS] and [SEP]
        vocabulary = read_vocabulary(config.teacher, task, limit)
        assert make_plan(config, task, vocabulary).unknown == unknown


def test_the_plan_knows_what_the_teacher_cannot_read(tiny_config, tiny_task):
    assert make_plan(tiny_config, tiny_task, read_vocabulary(tiny_config.teacher, tiny_task)).unread == 0
    held_out = labelled(["match 房 goal 间"], [0])
    task = replace(tiny_task, validation=held_out, test=held_out)
    assert make_plan(tiny_config, task, read_vocabulary(tiny_config.teacher, task)).unread == 0.5


def test_the_plan_knows_how_the_teacher_cuts_words(tiny_config, tiny_task):
    assert (
        make_plan(tiny_config, tiny_task, read_vocabulary(tiny_config.teacher, tiny_task)).pieces_a_word == 1
    )
    task = replace(tiny_task, train=labelled(["match otto"], [0]))
    assert make_plan(tiny_config, task, read_vocabulary(tiny_config.teacher, task)).pieces_a_word == 2.5


def test_a_teacher_that_cannot_be_read_is_named(tiny_config, tiny_task, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    teacher = tiny_config.change({"teacher.model": str(tmp_path)}).teacher
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        read_vocabulary(teacher, tiny_task)
