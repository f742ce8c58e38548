"""What is said when there is no room on the disk or in memory."""

from __future__ import annotations

from collections import namedtuple
from datetime import UTC, datetime

import psutil
import pytest

from kd_core import job_kinds
from kd_core.config import DistillConfig
from kd_core.distillation.events import STAGES, Estimated, StageStarted, TrainingStarted
from kd_core.errors import RunError, Stopped
from kd_core.jobs import room
from kd_core.system.control import Control
from tests.unit.jobs.space.folders import RUN


def only(monkeypatch, *, disk: float = 1e12, memory: float = 1e12) -> None:
    """So many bytes are free."""
    Usage, Memory = namedtuple("Usage", "free"), namedtuple("Memory", "available")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(disk))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(memory))


def test_room_for_any_run(monkeypatch):
    only(monkeypatch, disk=500e6)
    room.check_room()
    only(monkeypatch, disk=312e6)
    with pytest.raises(
        RunError, match=r"has 312 MB free, and this needs about 500 MB\. Free some space, for"
    ):
        room.check_room()


def test_room_for_a_model(monkeypatch, tiny_config):
    config = tiny_config.change({"student.hidden": 64, "student.layers": 4})
    teacher, student = (room._size(config.teacher, one).params for one in (None, config.student))
    assert student > 2 * teacher > 0
    copies = room.DISK_COPIES * 4
    only(monkeypatch, disk=500e6 + copies * teacher)
    room.check_training(config, "teacher")
    for who in ("student", "alone", "labelled_only"):
        with pytest.raises(RunError, match="MB free, and this needs about"):
            room.check_training(config, who)
    # 4 layers, 16 texts of 64 tokens, hidden 32, 2 heads.
    step = 4 * 16 * 64 * (68 * 32 + 10 * 2 * 64)
    only(monkeypatch, memory=room.MEMORY_COPIES * 4 * teacher + step)
    room.check_training(config, "teacher")
    for change in ({"teacher.batch_size": 17}, {"task.max_length": 65}):
        with pytest.raises(RunError, match=r"^Training the teacher needs about \d+ MB of memory, and \d+ MB"):
            room.check_training(config.change(change), "teacher")
    with pytest.raises(RunError, match=r"^Training the student needs about \d+ MB of memory, and \d+ MB are"):
        room.check_training(config, "alone")


def test_transfer_texts_take_memory_with_whoever_learns_from_them(tiny_config):
    size = room._size(tiny_config.teacher, tiny_config.student)

    def rows(who: str, **task: int) -> float:
        config = tiny_config.change({f"task.{name}": value for name, value in task.items()})
        alone = room._activations(config, size, "alone")
        return room._activations(config, size, who) / alone * config.training.batch_size

    own = tiny_config.training.batch_size
    both = own + tiny_config.training.transfer_batch_size
    for who in ("student", "hard_answers"):
        assert rows(who, transfer_texts=10, augment=0) == rows(who, transfer_texts=0, augment=4) == both
        assert rows(who, transfer_texts=0, augment=0) == own
    assert rows("labelled_only", transfer_texts=10) == own


def test_a_student_is_not_expected_to_keep_a_huge_vocabulary(monkeypatch):
    sizes: list[int] = []
    config = DistillConfig()
    monkeypatch.setattr(room, "TRIMMED", 1000)
    for trim in (True, False):
        student = config.student.model_copy(update={"trim_vocabulary": trim})
        sizes.append(room._size.__wrapped__(config.teacher, student).params)
    assert sizes[1] - sizes[0] == (30_522 - 1000) * 128


def test_a_run_starts_only_where_there_is_room(monkeypatch, store, tiny_config):
    store.create_run(RUN, tiny_config.model_dump(mode="json"))
    only(monkeypatch, disk=100e6)
    with pytest.raises(RunError, match="has 100 MB free"):
        job_kinds.distil_handler(store.run(RUN), print, Control())


def test_a_run_without_an_estimate_makes_one_once_it_has_read_its_task(monkeypatch, store, tiny_config):
    store.create_run(RUN, tiny_config.model_dump(mode="json"))
    only(monkeypatch)

    def told() -> list[str]:
        events, control = [], Control()

        def on_event(event) -> None:
            events.append(event)
            if isinstance(event, StageStarted):
                control.stop()

        with pytest.raises(Stopped):
            job_kinds.distil_handler(store.run(RUN), on_event, control)
        for expected in events:
            if isinstance(expected, Estimated):
                assert all(expected.seconds[stage] > 0 for stage in STAGES)
                store.write(RUN, [(datetime.now(UTC), expected)])
        return [type(event).__name__ for event in events]

    first = told()
    assert first.index("Estimated") + 1 == first.index("Resolved"), "which the progress is counted from"
    assert "Estimated" not in told(), "of one that is resumed a part is done"


def test_each_training_starts_only_where_there_is_room(monkeypatch, store, tiny_config):
    store.create_run(RUN, tiny_config.model_dump(mode="json"))
    only(monkeypatch)
    told = []

    def on_event(event) -> None:
        told.append(event)
        if isinstance(event, TrainingStarted) and event.who == "student":
            pytest.fail("it started")
        if isinstance(event, TrainingStarted):
            only(monkeypatch, disk=500e6)

    with pytest.raises(RunError, match="has 500 MB free, and this needs about"):
        job_kinds.distil_handler(store.run(RUN), on_event, Control())
    assert [event.who for event in told if isinstance(event, TrainingStarted)] == ["teacher"]
