"""What is recorded of the teacher, when it is recorded again, and how it is found later."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets.table import MemoryMappedTable

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.data.task import labelled, unlabelled
from kd_core.distillation.events import Progress, ignore
from kd_core.distillation.record import FILE, _only_answer, record
from kd_core.distillation.recorded_answers import recorded_answers
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


def entries(run: Run) -> list:
    return list((run.work.parent / "cache" / "knowledge").iterdir())


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
    assert isinstance(knowledge.data, MemoryMappedTable)
    [place] = entries(run)
    assert [file["filename"] for file in knowledge.cache_files] == [str(place / FILE)]


@pytest.mark.parametrize(
    ("texts", "told"),
    [(40, [(32, 100), (60, 100), (92, 100), (100, 100)]), (0, [(32, 60), (60, 60)])],
)
def test_progress_counts_up_to_all_texts(run, teacher, tiny_task, monkeypatch, texts, told):
    monkeypatch.setattr(inference, "BATCH", 32)
    events: list = []
    task = replace(tiny_task, transfer=tiny_task.transfer.select(range(texts)))
    knowledge, _ = record(replace(run, task=task, on_event=events.append), teacher)
    assert events == [Progress("record", "texts", *numbers) for numbers in told]
    assert len(knowledge) == 60 + texts


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


@pytest.mark.parametrize(
    ("answers", "only"), [([1] * 5, 1), ([0], 0), ([1, 1, 1, 1, 0], None), ([0, 1, 1], None), ([], None)]
)
def test_one_text_with_another_answer_is_enough(monkeypatch, answers, only):
    monkeypatch.setattr("kd_core.distillation.record.CHUNK", 2)
    logits = np.eye(3, dtype=np.float32)[answers].tolist()
    assert _only_answer(Dataset.from_dict({"logits": logits})) == only


def of_task(change):
    return lambda run: replace(run, task=replace(run.task, **change(run.task)))


def of_config(**changes):
    settings = {name.replace("__", "."): value for name, value in changes.items()}
    return lambda run: replace(run, config=run.config.change(settings))


def another_text(task) -> dict:
    return {"train": labelled([*task.train["text"][:-1], "another goal"], task.train["label"])}


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (of_task(another_text), True),
        (of_task(lambda _: {"transfer": unlabelled(["another goal"])}), True),
        (of_task(lambda task: {"train": task.train.select(range(59, -1, -1))}), True),
        (of_config(task__max_length=32), True),
        (of_config(training__precision="bf16"), True),
        (None, True),  # other weights
        (lambda run: run, False),
        (of_config(objective__temperature=1.0, objective__alpha=0.9), False),
        (of_config(student__model="bilstm"), False),
        (of_config(training__seeds=(5,), training__batch_size=3), False),
        (of_config(controls__shifted=False), False),
    ],
)
def test_what_it_is_made_of_decides_whether_it_is_recorded_again(run, teacher, change, again):
    first, _ = record(run, teacher)
    if change is None:
        with torch.no_grad():
            teacher.model.classifier.bias[0] += 1e-3
    elif not again:
        teacher.model.register_forward_pre_hook(lambda *_: pytest.fail("the teacher was asked again"))
    found, cached = record(change(run) if change else run, teacher)
    assert cached == (not again)
    assert len(entries(run)) == 1 + again
    assert again or found["logits"][:] == first["logits"][:]


def test_a_stop_keeps_nothing(run, teacher, monkeypatch):
    monkeypatch.setattr(inference, "BATCH", 16)
    done: list[int] = []

    def on_event(event: Progress) -> None:
        done.append(event.done)
        if event.done == 32:
            run.control.stop()

    with pytest.raises(Stopped):
        record(replace(run, on_event=on_event), teacher)
    assert done == [16, 32]
    assert entries(run) == []


def test_answers_for_other_classes_than_the_tasks_are_refused(run, teacher, tiny_task):
    other = replace(tiny_task, labels=tiny_task.labels[:3])
    with pytest.raises(DataError, match=r"answers for 5 classes, and the task has 3\. Choose a teacher"):
        record(replace(run, task=other), teacher)
    assert entries(run) == []


def test_answers_of_a_finished_run_are_found_by_its_task(finished_run, tmp_path, monkeypatch):
    shutil.copytree(finished_run.home, tmp_path / "home")
    monkeypatch.setenv("KD_HOME", str(tmp_path / "home"))
    report = finished_run.report
    task = load_task(config := DistillConfig.from_dict(report.config).task)
    rows = len(task.train) + len(task.transfer)
    runs = [("20200101-000000-0000", report.config), (report.run_id, report.config)]
    asked = config.model_copy(update={"max_length": "auto"})  # as a page has it; the run's is resolved
    found = recorded_answers(asked, rows, runs)
    assert found is not None
    assert found.run_id == report.run_id
    [place] = (tmp_path / "home" / "cache" / "knowledge").iterdir()
    assert np.array_equal(found.logits, np.asarray(Dataset.from_file(str(place / FILE))["logits"], "float32"))
    # The last ones may be spans of the texts, as many as another run's settings say.
    less = recorded_answers(asked.model_copy(update={"augment": 8}), rows - 5, runs)
    assert less is not None
    assert np.array_equal(less.logits, found.logits[: rows - 5])

    assert (
        recorded_answers(config.model_copy(update={"split_seed": config.split_seed + 1}), rows, runs) is None
    )
    assert recorded_answers(asked, rows + 1, runs) is None
    shutil.rmtree(place)
    assert recorded_answers(asked, rows, runs) is None
