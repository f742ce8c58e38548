"""What is said when there is no room on the disk or in memory."""

from collections import namedtuple

import psutil
import pytest

from kd_core import job_kinds
from kd_core.config import DistillConfig
from kd_core.distillation.events import STAGES, Estimated, Resolved
from kd_core.errors import RunError
from kd_core.jobs import estimate, room
from kd_core.system.control import Control
from tests.unit.jobs.told import RUN, write


def only(monkeypatch, *, disk: float = 1e12, memory: float = 1e12) -> None:
    """Leave so many bytes free."""
    Usage, Memory = namedtuple("Usage", "free"), namedtuple("Memory", "available")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(disk))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(memory))


def test_room_for_a_model(kd_home, monkeypatch, tiny_config):
    config = tiny_config.change({"student.hidden": 64, "student.layers": 4})
    teacher, student = (room._size(config.teacher, one).params for one in (None, config.student))
    assert student > 2 * teacher > 0
    only(monkeypatch, disk=500e6 + room.DISK_COPIES * 4 * teacher)
    room.check_training(config, "teacher")
    for who in ("student", "alone", "labelled_only"):
        with pytest.raises(RunError, match="MB free, and this needs about"):
            room.check_training(config, who)
    # 4 layers, 16 texts of 64 tokens, hidden 32, 2 heads.
    step = 4 * 16 * 64 * (68 * 32 + 10 * 2 * 64)
    only(monkeypatch, memory=room.MEMORY_COPIES * 4 * teacher + step)
    room.check_training(config, "teacher")
    for changes in ({"teacher.batch_size": 17}, {"task.max_length": 65}):
        with pytest.raises(RunError, match=r"^Training the teacher needs about \d+ MB of memory, and \d+ MB"):
            room.check_training(config.change(changes), "teacher")
    with pytest.raises(RunError, match=r"^Training the student needs about \d+ MB of memory"):
        room.check_training(config, "alone")


@pytest.mark.parametrize(
    ("who", "transfer", "augment", "rows"),
    [("student", 10, 0, 16), ("hard_answers", 0, 4, 16), ("student", 0, 0, 8), ("labelled_only", 10, 0, 8)],
)
def test_transfer_texts_take_memory_with_whoever_learns_from_them(tiny_config, who, transfer, augment, rows):
    config = tiny_config.change({"task.transfer_texts": transfer, "task.augment": augment})
    size = room._size(config.teacher, config.student)
    one = size.layers * 64 * (68 * size.hidden + 10 * size.heads * 64)
    assert room._activations(config, size, who) == rows * one


def test_student_is_not_expected_to_keep_a_huge_vocabulary(monkeypatch):
    config = DistillConfig()
    monkeypatch.setattr(room, "TRIMMED", 1000)
    students = [config.student.model_copy(update={"trim_vocabulary": trim}) for trim in (True, False)]
    trimmed, whole = (room._size.__wrapped__(config.teacher, student).params for student in students)
    assert whole - trimmed == (30_522 - 1000) * 128


def test_training_starts_only_where_there_is_room_and_is_estimated_once(monkeypatch, store, tiny_config):
    store.create_run(RUN, tiny_config.model_dump(mode="json"))
    monkeypatch.setattr(estimate, "calibrate", lambda: 1e11)

    def told(disk: float, then: float) -> list[str]:
        events = []

        def on_event(event) -> None:
            events.append(type(event).__name__)
            if isinstance(event, Estimated):
                assert all(event.seconds[stage] > 0 for stage in STAGES)
                write(store, RUN, event)
            if isinstance(event, Resolved):
                only(monkeypatch, disk=then)

        only(monkeypatch, disk=disk)
        says = rf"has {min(disk, then) / 1e6:.0f} MB free, and this needs about 50\d MB\. Free some space"
        with pytest.raises(RunError, match=says):
            job_kinds.distil_handler(store.run(RUN), on_event, Control())
        return events

    assert told(499e6, 1e12) == []
    first, second = told(500e6, 500e6), told(500e6, 500e6)
    assert first.index("Estimated") + 1 == first.index("Resolved"), "which the progress is counted from"
    assert "TrainingStarted" not in first
    assert "Estimated" not in second, "of one that is resumed a part is done"
