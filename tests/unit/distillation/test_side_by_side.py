"""Small students, one on each core: helpers train what the run then takes."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from kd_core import distill
from kd_core.config import DistillConfig
from kd_core.distillation import distil as students
from kd_core.distillation import side_by_side as module
from kd_core.distillation.events import Evaluated, Event, Note, Step, TrainingStarted, ignore
from kd_core.distillation.run import Run
from kd_core.distillation.side_by_side import StudentPool, at_once, lock_of, on_one_core
from kd_core.errors import Stopped
from kd_core.system.container import cores
from kd_core.system.control import Control
from kd_core.system.helpers import with_threads
from tests.unit.distillation.training.trained import same, student

RUN = "20260131-143000-a1b2"
NAMES = ["student-0", "alone-0", "labelled_only-0"]


@pytest.fixture
def two_cores(kd_home, finished_run, monkeypatch):
    """Each student is trained on one of them, and there is no memory for a helper.

    The teacher is the finished run's: trained on two cores it would have other bits.
    """
    for kind in ("teachers", "knowledge", "vectors"):
        shutil.copytree(finished_run.home / "cache" / kind, kd_home / "cache" / kind)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(module, "MANY_STEPS", 1)
    monkeypatch.setattr(module, "MEMORY", float("inf"))
    with with_threads(2):
        yield


def told(events: list[Event], name: str) -> list[tuple[str, int]]:
    """What was told of a student, but of its speed and whether it was cached."""
    mine = [e for e in events if isinstance(e, TrainingStarted | Step | Evaluated)]
    return [(type(e).__name__, getattr(e, "step", 0)) for e in mine if f"{e.who}-{e.seed}" == name]


@pytest.mark.slow
def test_a_run_and_its_helper_end_with_what_one_process_does(
    tiny_config, two_cores, finished_run, monkeypatch
) -> None:
    other_began, events = threading.Event(), []

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, TrainingStarted) and event.who == "labelled_only":
            other_began.set()

    def once_the_helper_works(run: Run, **given: Any) -> Any:
        assert other_began.wait(300), (run.work / "helper-1.txt").read_text()
        return train(run, **given)

    train = students.train_student
    monkeypatch.setattr(module, "MEMORY", 1.0)
    monkeypatch.setattr(students, "train_student", once_the_helper_works)
    report = distill(tiny_config, on_event, run_id=RUN)
    for name in NAMES:
        assert same(student(report, name), student(finished_run.report, name))
        assert told(events, name) == told(finished_run.events, name), "each once, whoever trained it"
    assert torch.get_num_threads() == 2
    children = [child.cmdline() for child in psutil.Process().children()]
    assert not [command for command in children if "kd_core.distillation.helper" in command]


@pytest.fixture
def company(tiny_task, tiny_config, tmp_path) -> tuple[StudentPool, list[Event]]:
    events: list[Event] = []
    run = Run(tiny_task, tiny_config, tmp_path, events.append, Control())
    return StudentPool(run, shared=True), events


def test_what_a_helper_has_done_is_told_once_but_for_notes(company) -> None:
    team, events = company
    started = {"who": "alone", "seed": 0, "steps": 6, "cached": False}
    team.on_line(json.dumps({"kind": "TrainingStarted", "content": started}))
    team.on_line('{"kind": "Step", "cont')  # it was ended in the middle of a line
    team.on_line(json.dumps({"kind": "done", "content": "alone-0"}))

    def train(run: Run) -> str:
        run.on_event(TrainingStarted("alone", 0, 6, cached=True))
        run.on_event(Note("Look."))
        return "it"

    assert team.train("alone-0", train) == "it"
    assert events == [TrainingStarted("alone", 0, 6), Note("Look.")]
    assert team.train("alone-1", train) == "it"
    assert events[2:] == [TrainingStarted("alone", 0, 6, cached=True), Note("Look.")]


def test_a_stop_is_heard_while_a_helper_has_the_student(company) -> None:
    team, _ = company
    team.run.control.stop()
    with lock_of(team.run.work, "alone-0"), pytest.raises(Stopped):
        team.train("alone-0", ignore)


@pytest.mark.parametrize(
    ("changes", "number", "threads", "expected"),
    [
        ({}, 3, "2", 2),
        ({}, 3, "16", 3),
        ({}, 3, "2,4", 2),
        ({}, 3, "many", min(3, len(cores()))),
        ({}, 3, "1", 1),
        ({}, 1, "2", 1),
        ({"training.steps": 799}, 3, "2", 1),  # over before a helper has done much
        ({"training.steps": 800}, 3, "2", 2),
        ({"student.hidden": 256}, 3, "2", 1),
        ({"student.model": "cnn"}, 3, "2", 1),
    ],
)
def test_only_narrow_students_with_much_to_do_share_the_cores(
    changes, number, threads, expected, monkeypatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    narrow = {"student.model": "custom", "student.hidden": 128, "training.steps": 900}
    config = DistillConfig().change(narrow | changes)
    assert at_once(config, number) == expected
    assert on_one_core(config, number) == (expected > 1 or threads in ("1", "many"))


@pytest.mark.parametrize(("memory", "helping"), [(0.5e9, 0), (5e9, 1)])
def test_memory_decides_how_many_help(company, two_cores, monkeypatch, memory, helping) -> None:
    team, _ = company
    asked: list[Any] = []
    monkeypatch.setattr(module, "helpers", lambda given, *_, **__: asked.append(given) or nullcontext())
    monkeypatch.setattr(module, "MEMORY", 1e9)
    monkeypatch.setattr(module, "available_memory", lambda: memory)
    with module.student_pool(team.run, 3) as made:
        assert made.shared
        assert torch.get_num_threads() == 1
    command = ("kd_core.distillation.helper", str(Path(team.run.work).absolute()))
    assert asked == [[command]] * helping
