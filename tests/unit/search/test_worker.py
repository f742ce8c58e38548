"""Cross-validation with real models: what they see, and that a cell is what the ordinary steps give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kd_core.data.splits import normalised
from kd_core.data.task import Task
from kd_core.distillation.events import Event, Progress, ignore
from kd_core.distillation.training.trainer import DistillTrainer
from kd_core.models import inference
from kd_core.search import SearchResult, run_search
from kd_core.search.folds import fold_tasks
from kd_core.system.control import Control

pytestmark = pytest.mark.usefixtures("own_database")


class Guarded:
    """A held-out part that nobody can read but who unwraps it to score a student."""

    def __init__(self, split: Any) -> None:
        self.split = split

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the held-out part was read: {name}")


@dataclass
class Searched:
    found: SearchResult
    tasks: list[Task]
    learned: list[list[tuple[int, ...]]]  # token ids that each training was given, teachers' too
    held_out: list[list[tuple[int, ...]]]  # token ids that were scored
    taught: int
    work: Path
    said: list[str]  # what it was doing


@pytest.fixture(scope="module")
def searched(search_config, tmp_path_factory) -> Searched:
    """A real search of two cells on two folds, whose held-out texts can be read for scoring alone."""
    from kd_core.distillation.training import fit
    from kd_core.search import worker

    tasks: list[Task] = []
    learned: list[list[tuple[int, ...]]] = []
    held_out: list[list[tuple[int, ...]]] = []
    taught: list[str] = []

    def ids(split: Any) -> list[tuple[int, ...]]:
        return [tuple(row) for row in split["input_ids"]]

    def guarded(*arguments: Any) -> list[Task]:
        tasks.extend(fold_tasks(*arguments))
        return [replace(task, test=Guarded(task.test)) for task in tasks]

    def encode(tokenizer: Any, split: Any, length: int) -> Any:
        if not isinstance(split, Guarded):
            return inference.encode(tokenizer, split, length)
        encoded = inference.encode(tokenizer, split.split, length)
        held_out.append(ids(encoded))
        return encoded

    class Trainer(DistillTrainer):
        def __init__(self, model: Any, recipe: Any, run: Any, **options: Any) -> None:
            taught.append(recipe.who)
            learned.append(ids(options["train"]) + ids(options["validation"]))
            super().__init__(model, recipe, run, **options)

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(home))
        patch.delenv("KD_DATABASE_URL", raising=False)
        patch.setattr(worker, "fold_tasks", guarded)
        patch.setattr(worker, "encode", encode)
        patch.setattr(fit, "DistillTrainer", Trainer)
        config = search_config.model_copy(update={"alphas": (0.5,)})
        said: list[str] = []

        def hear(event: Event) -> None:
            if isinstance(event, Progress):
                said.append(event.label)

        found = run_search(config, "tiny", home / "work" / "search", hear, Control())
    return Searched(found, tasks, learned, held_out, taught.count("teacher"), home / "work" / "search", said)


def test_no_held_out_text_is_seen_by_teacher_students_vocabulary_or_choice_of_steps(searched) -> None:
    # Whatever else had read the guarded part would have failed the search.
    assert searched.found.complete
    for task in searched.tasks:
        outside = {normalised(text) for text in task.test["text"]}
        for split in (task.train, task.validation, task.transfer):
            assert not outside & {normalised(text) for text in split["text"]}
    # Each fold's texts in the teacher's pieces, and in the students'; a training learns from one fold.
    assert len(searched.held_out) == 4
    scored = [set(part) for part in searched.held_out]
    for part in searched.learned:
        assert any(not seen & set(part) for seen in scored)


def test_a_teacher_learns_once_for_all_cells_of_its_fold(searched) -> None:
    assert searched.taught == 2
    assert len(searched.learned) == 2 + (2 + 1) * 2
    assert [score.fold for score in searched.found.teacher] == [0, 1]
    assert searched.found.trainings_done == searched.found.trainings == 8
    assert not searched.work.exists()


def test_how_far_a_folds_teacher_is_is_said(searched) -> None:
    """It may take longer than all students of its fold."""
    steps = [said for said in searched.said if said.startswith("teacher of fold 2 of 2, step ")]
    assert len(steps) > 1
    last, whole = steps[-1].removeprefix("teacher of fold 2 of 2, step ").split(" of ")
    assert last == whole


def test_a_score_is_the_accuracy_on_the_held_out_part(searched) -> None:
    sizes = [len(task.test) for task in searched.tasks]
    assert sum(sizes) == 65
    for cell in (*searched.found.cells, *searched.found.alone):
        for score in cell.scores:
            right = score.accuracy * sizes[score.fold]
            assert right == pytest.approx(round(right))
        assert cell.params > 1_000
    assert searched.found.cells[0].teacher_texts == 65 + 40
    assert searched.found.alone[0].teacher_texts == 0


def test_a_cell_is_what_the_ordinary_steps_would_give_on_its_fold(searched, search_config, kd_home) -> None:
    """The reuse of vocabulary, texts and initial weights changes no score."""
    from kd_core.distillation.distil import train_student
    from kd_core.distillation.record import record
    from kd_core.distillation.resolve import resolve, token_lengths
    from kd_core.distillation.roles import student_variants
    from kd_core.distillation.run import Run
    from kd_core.distillation.teach import teach
    from kd_core.models.loading import load_teacher
    from kd_core.search.worker import for_search

    cell, task = searched.found.cells[1], searched.tasks[0]
    config = search_config.apply(cell.setting)
    model, tokenizer = load_teacher(config.teacher, task)
    config = for_search(resolve(config, task, model.config, token_lengths(tokenizer, task)))
    run = Run(task, config, kd_home / "run", ignore, Control())
    teacher, _ = teach(run, model, tokenizer)
    knowledge, _ = record(run, teacher)
    lesson = student_variants(config, len(task.transfer))[0]
    student = train_student(run, lesson, 0, teacher, knowledge)
    encoded = inference.encode(student.tokenizer, task.test, run.max_length)
    logits = inference.predict_logits(student.model, encoded)
    assert cell.scores[0].accuracy == float((logits.argmax(axis=1) == encoded["label"]).mean())
