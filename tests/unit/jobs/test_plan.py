"""What a run would be: the sizes said before the start are those of the models that are built."""

from dataclasses import replace

import pytest
from datasets.arrow_dataset import Column

from kd_core.data.task import labelled, unlabelled
from kd_core.errors import ModelError
from kd_core.jobs.plan import make_plan, read_vocabulary
from kd_core.models.loading import load_teacher
from kd_core.models.students import build_student
from kd_core.models.vocabulary import share_unknown


def planned(config, task, **changes):
    task = replace(task, **changes)
    return make_plan(config, task, read_vocabulary(config.teacher, task))


def parameters(model) -> int:
    return sum(tensor.numel() for tensor in model.parameters())


def test_plan_has_the_sizes_of_the_models_that_are_built(tiny_config, tiny_task, monkeypatch, tmp_path):
    config = tiny_config.change({"objective.temperature": "auto", "training.metric": "auto"})
    with monkeypatch.context() as patch:  # 100,000 texts take two seconds each time that a form changes
        patch.setattr(Column, "__iter__", lambda _: pytest.fail("columns are read row by row"))
        plan = planned(config, tiny_task)
    teacher, tokenizer = load_teacher(config.teacher, tiny_task)
    student, _ = build_student(plan.config.student, teacher, tokenizer, tiny_task, seed=0)
    assert (plan.teacher.params, plan.student.params) == (parameters(teacher), parameters(student))
    assert (plan.student.layers, plan.student.hidden, plan.student.heads, plan.classes) == (2, 16, 2, 5)
    assert plan.rows == {"train": 60, "validation": 20, "test": 25, "transfer": 40, "spans": 0}
    assert plan.tokens["train"] == pytest.approx(9, abs=2), "seven words, [CLS] and [SEP]"
    assert (plan.unread, plan.pieces_a_word) == (0, 1)
    assert "auto" not in plan.config.to_yaml()
    # A convolutional network's pairs of words hang on its own pieces, of which none can be cut.
    first = planned(config.change({"student.model": "cnn"}), tiny_task).config.student
    student, own = build_student(first, teacher, tokenizer, tiny_task, seed=0)
    student.save_pretrained(tmp_path)
    own.save_pretrained(tmp_path)
    plan = planned(config.change({"student.model": str(tmp_path)}), tiny_task)
    assert plan.student.params == parameters(student)


def test_untrimmed_student_is_larger(tiny_config, tiny_task):
    vocabulary = read_vocabulary(tiny_config.teacher, tiny_task)
    config = tiny_config.change({"student.fill_vocabulary": 0})
    trims = [config.change({"student.trim_vocabulary": trim}) for trim in (True, False)]
    plan, whole = (make_plan(config, tiny_task, vocabulary) for config in trims)
    assert whole.student.params - plan.student.params == 16 * (vocabulary.size - vocabulary.used) > 0
    assert whole.unknown == 0


@pytest.mark.parametrize(("fill", "unknown"), [(0, 0.75), (88, 0.625), (10_000, 0)])
def test_pieces_that_the_student_has_and_lacks(
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


@pytest.mark.parametrize(("limit", "unknown"), [(9, 0.0), (10, 0.5)])
def test_pieces_beyond_the_longest_text_that_is_read_are_not_needed(tiny_config, tiny_task, limit, unknown):
    only, test = labelled(["match"], [0]), labelled(["match " * 7 + "actor"], [3])  # and [CLS] and [SEP]
    task = replace(tiny_task, train=only, transfer=unlabelled([]), validation=only, test=test)
    config = tiny_config.change({"student.fill_vocabulary": 0})
    assert make_plan(config, task, read_vocabulary(config.teacher, task, limit)).unknown == unknown


def test_what_the_teacher_cannot_read(tiny_config, tiny_task, tmp_path):
    held_out = labelled(["match 房 goal 间"], [0])
    assert planned(tiny_config, tiny_task, validation=held_out, test=held_out).unread == 0.5
    assert planned(tiny_config, tiny_task, train=labelled(["match otto"], [0])).pieces_a_word == 2.5
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        planned(tiny_config.change({"teacher.model": str(tmp_path)}), tiny_task)
