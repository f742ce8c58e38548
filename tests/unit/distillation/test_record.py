"""Step 2: what is recorded of the teacher, when it is recorded again, and how it lies on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets.table import MemoryMappedTable

from kd_core.config import DistillConfig
from kd_core.data.task import labelled, unlabelled
from kd_core.distillation.events import Progress, ignore
from kd_core.distillation.record import FILE, _only_answer, record
from kd_core.distillation.run import Run, Trained
from kd_core.errors import DataError, Stopped
from kd_core.models import inference
from kd_core.system.control import Control


@pytest.fixture
def teacher(tiny_teacher, tiny_tokenizer, tmp_path) -> Trained:
    return Trained("teacher", 0, tiny_teacher("bert"), tiny_tokenizer, tmp_path)


@pytest.fixture
def run(kd_home, tiny_task) -> Run:
    config = DistillConfig.from_dict({"task": {"max_length": 64}, "training": {"precision": "fp32"}})
    return Run(tiny_task, config, kd_home / "work", ignore, Control())


def entries(home) -> list[str]:
    return sorted(path.name for path in (home / "cache" / "knowledge").iterdir())


def test_it_is_the_teachers_logits_of_every_text_in_order(run, teacher, tiny_task, monkeypatch):
    monkeypatch.setattr(inference, "CHUNK", 13)  # several chunks and batches
    monkeypatch.setattr(inference, "BATCH", 5)
    knowledge, cached = record(run, teacher)
    assert not cached
    assert knowledge.column_names == ["logits"]
    texts = [*tiny_task.train["text"], *tiny_task.transfer["text"]]
    with torch.no_grad():
        rows = [torch.tensor([teacher.tokenizer(text)["input_ids"]]) for text in texts]
        logits = torch.cat([teacher.model(row).logits for row in rows]).numpy()
    np.testing.assert_allclose(np.asarray(knowledge["logits"]), logits, atol=1e-5)


def test_no_transfer_set(run, teacher, tiny_task):
    knowledge, _ = record(replace(run, task=replace(tiny_task, transfer=unlabelled([]))), teacher)
    assert len(knowledge) == len(tiny_task.train)


def test_it_lies_in_a_file_that_is_mapped_into_memory(run, teacher, kd_home):
    knowledge, _ = record(run, teacher)
    assert isinstance(knowledge.data, MemoryMappedTable)
    place = kd_home / "cache" / "knowledge" / entries(kd_home)[0] / FILE
    assert [file["filename"] for file in knowledge.cache_files] == [str(place)]


def test_progress_counts_up_to_all_texts(run, teacher, monkeypatch):
    monkeypatch.setattr(inference, "BATCH", 32)
    events: list = []
    record(replace(run, on_event=events.append), teacher)
    assert events == [Progress("record", "texts", done, 100) for done in (32, 60, 92, 100)]


def test_the_second_time_nothing_is_computed(run, teacher, kd_home):
    first, _ = record(run, teacher)
    teacher.model.register_forward_pre_hook(lambda *_: pytest.fail("the teacher was asked again"))
    again, cached = record(run, teacher)
    assert cached
    assert again["logits"][:] == first["logits"][:]
    assert len(entries(kd_home)) == 1


def test_a_teacher_of_one_answer_is_told_each_time(run, teacher):
    """Also where its answers are recorded already."""
    with torch.no_grad():
        teacher.model.classifier.weight.zero_()
        teacher.model.classifier.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]))
    for cached in (False, True):
        again = replace(run, notes=[])
        assert record(again, teacher)[1] == cached
        assert again.notes == [
            "The teacher gives the same answer, 'politics', for each of the 100 texts. A student can learn "
            "little from it: teach it longer or with another learning rate, or choose another teacher."
        ]


def test_one_text_with_another_answer_is_enough(monkeypatch):
    monkeypatch.setattr("kd_core.distillation.record.CHUNK", 2)
    same = [[0.0, 1.0, 0.5]] * 5
    assert _only_answer(Dataset.from_dict({"logits": same})) == 1
    assert _only_answer(Dataset.from_dict({"logits": [*same, [2.0, 1.0, 0.5]]})) is None


def _text(run: Run, teacher: Trained) -> tuple[Run, Trained]:
    texts = [*run.task.train["text"][:-1], "another goal"]
    return replace(run, task=replace(run.task, train=labelled(texts, run.task.train["label"]))), teacher


def _transfer_text(run: Run, teacher: Trained) -> tuple[Run, Trained]:
    return replace(run, task=replace(run.task, transfer=unlabelled(["another goal"]))), teacher


def _order(run: Run, teacher: Trained) -> tuple[Run, Trained]:
    return replace(run, task=replace(run.task, train=run.task.train.select(range(59, -1, -1)))), teacher


def _max_length(run: Run, teacher: Trained) -> tuple[Run, Trained]:
    return replace(run, config=run.config.change({"task.max_length": 32})), teacher


def _precision(run: Run, teacher: Trained) -> tuple[Run, Trained]:
    return replace(run, config=run.config.change({"training.precision": "bf16"})), teacher


def _weights(run: Run, teacher: Trained) -> tuple[Run, Trained]:
    with torch.no_grad():
        teacher.model.classifier.bias[0] += 1e-3
    return run, teacher


@pytest.mark.parametrize("change", [_text, _transfer_text, _order, _max_length, _precision, _weights])
def test_what_it_is_made_of_decides_its_key(run, teacher, kd_home, change):
    record(run, teacher)
    _, cached = record(*change(run, teacher))
    assert not cached
    assert len(entries(kd_home)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"objective.temperature": 1.0, "objective.alpha": 0.9},
        {"student.model": "bilstm"},
        {"training.seeds": (5,), "training.batch_size": 3},
        {"controls.shifted": False},
    ],
)
def test_what_the_student_does_is_none_of_its_business(run, teacher, changes):
    record(run, teacher)
    _, cached = record(replace(run, config=run.config.change(changes)), teacher)
    assert cached


def test_damaged_knowledge_is_recorded_again(run, teacher, kd_home):
    first = np.asarray(record(run, teacher)[0]["logits"])
    file = kd_home / "cache" / "knowledge" / entries(kd_home)[0] / FILE
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    again, cached = record(run, teacher)
    assert not cached
    np.testing.assert_array_equal(np.asarray(again["logits"]), first)


def test_a_stop_keeps_nothing(run, teacher, kd_home, monkeypatch):
    monkeypatch.setattr(inference, "BATCH", 16)
    done: list[int] = []

    def on_event(event: Progress) -> None:
        done.append(event.done)
        if event.done == 32:
            run.control.stop()

    with pytest.raises(Stopped):
        record(replace(run, on_event=on_event), teacher)
    assert done == [16, 32]
    assert entries(kd_home) == []


def test_answers_for_other_classes_than_the_tasks_are_refused(run, teacher, tiny_task, kd_home):
    other = replace(tiny_task, labels=tiny_task.labels[:3])
    with pytest.raises(DataError, match=r"answers for 5 classes, and the task has 3\. Choose a teacher"):
        record(replace(run, task=other), teacher)
    assert entries(kd_home) == []
