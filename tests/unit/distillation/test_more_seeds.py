"""Seeds that are added to a finished run: only their students are trained."""

from pathlib import Path

import pytest

from kd_core import distill
from kd_core.config import DistillConfig
from kd_core.distillation.events import TrainingStarted
from kd_core.distillation.report import Report
from kd_core.system import cache, paths


def trained(config: DistillConfig) -> tuple[Report, list[str]]:
    """A run, and the models that it has trained itself."""
    events: list = []
    report = distill(config, events.append)
    began = [event for event in events if isinstance(event, TrainingStarted) and not event.cached]
    return report, [f"{event.who}-{event.seed}" for event in began]


def weights(report: Report, student: str) -> bytes:
    return (paths.runs() / report.run_id / "students" / student / "model.safetensors").read_bytes()


@pytest.fixture
def config(short_config: DistillConfig, kd_home: Path) -> DistillConfig:
    return short_config.change({"controls.labelled_only": True})


def test_added_seeds_train_only_their_own_students(config: DistillConfig) -> None:
    first, models = trained(config)
    assert models == ["teacher-0", "student-0", "alone-0", "labelled_only-0"]
    more, models = trained(config.change({"training.seeds": [0, 1]}))
    assert models == ["student-1", "alone-1", "labelled_only-1"]
    assert [sorted(more.models[who].seeds) for who in ("student", "alone")] == [[0, 1], [0, 1]]
    for student in ("student-0", "labelled_only-0"):
        assert weights(more, student) == weights(first, student)
    assert f"The students of the seeds before are those of run {first.run_id}." in more.notes
    assert (paths.runs() / more.run_id / "replay.parquet").is_file()
    assert more.student.seeds[0] == first.student.seeds[0]


def test_a_replay_of_another_seed_is_not_taken_for_that_of_the_first(config: DistillConfig) -> None:
    first, _ = trained(config.change({"training.seeds": [1, 0]}))
    assert (paths.runs() / first.run_id / "replay.parquet").is_file()
    more, models = trained(config.change({"training.seeds": [0, 1, 2]}))
    assert models == ["student-2", "alone-2", "labelled_only-2"]
    assert not (paths.runs() / more.run_id / "replay.parquet").is_file()


def test_other_settings_train_anew(config: DistillConfig) -> None:
    trained(config)
    _, models = trained(config.change({"training.seeds": [0, 1], "objective.temperature": 3.0}))
    assert "student-0" in models
    _, again = trained(config)  # the same seeds: whoever runs it again wants to see it trained
    assert "student-0" in again


def test_other_texts_in_the_same_file_train_anew(config: DistillConfig, tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text(Path(config.task.name).read_text("utf-8"), "utf-8")
    own = config.change({"task.name": str(file)})
    trained(own)
    with file.open("a", encoding="utf-8") as more:
        more.write("one more match today,sport\n")
    _, models = trained(own.change({"training.seeds": [0, 1]}))
    assert {"teacher-0", "student-0"} <= set(models)


def test_another_checkpoint_in_the_same_folder_trains_anew(
    config: DistillConfig, tiny_teacher, tiny_tokenizer, tmp_path: Path
) -> None:
    tiny_tokenizer.save_pretrained(tmp_path / "student")
    tiny_teacher("bert", seed=1).save_pretrained(tmp_path / "student")
    own = config.change({"student.model": str(tmp_path / "student")})
    first, _ = trained(own)
    tiny_teacher("bert", seed=2).save_pretrained(tmp_path / "student")
    more, models = trained(own.change({"training.seeds": [0, 1]}))
    assert {"student-0", "alone-0"} <= set(models)
    assert weights(more, "student-0") != weights(first, "student-0")


def test_a_damaged_run_is_not_taken_from(config: DistillConfig) -> None:
    first, _ = trained(config)
    damaged = paths.runs() / first.run_id / "students" / "student-0" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    _, models = trained(config.change({"training.seeds": [0, 1]}))
    assert "student-0" in models


def test_a_damaged_note_of_another_run_keeps_nobody_from_training(config: DistillConfig) -> None:
    first, _ = trained(config)
    (paths.runs() / first.run_id / cache.USED).write_bytes(b"\xff")
    _, models = trained(config.change({"training.seeds": [0, 1]}))
    assert "student-0" in models
