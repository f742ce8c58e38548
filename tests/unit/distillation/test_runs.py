"""Finding a run, and what is said when it is missing or was changed. ``keep`` is tested with whole runs."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from kd_core.config import DistillConfig
from kd_core.distillation import run_folder
from kd_core.distillation.events import Note
from kd_core.errors import RunError
from kd_core.system import paths
from kd_core.system.atomic import new_folder
from tests.unit.distillation.reported import report

RUN = "20260131-143000-a1b2"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    return tmp_path


def a_run() -> Path:
    with new_folder(paths.runs() / RUN) as folder:
        report().write(folder)
    return paths.runs() / RUN


def test_find(home: Path) -> None:
    assert a_run() == home / "runs" / RUN == run_folder.find(RUN)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        f"../runs/{RUN}",
        f"{RUN}/..",
        f"{RUN}/",
        f"/{RUN}",
        "/etc",
        "~",
        f"{RUN}\n",
        f" {RUN}",
        f"{RUN}\x00",
        RUN.upper(),
        RUN[:-1],
        f"{RUN}0",
        "20260131-143000-g1b2",
        "last",
    ],
)
def test_what_is_not_the_name_of_a_run(name: str) -> None:
    a_run()
    with pytest.raises(RunError) as caught:
        run_folder.find(name)
    assert str(caught.value) == f"{name!r} is not a run; a run is named like 20260131-143000-a1b2."


def test_the_example_in_the_message_is_a_name() -> None:
    assert run_folder.RUN_ID.fullmatch("20260131-143000-a1b2")


def test_a_run_that_is_not_there(home: Path) -> None:
    with pytest.raises(RunError) as caught:
        run_folder.find(RUN)
    assert (
        str(caught.value)
        == f"There is no run {RUN} in the data folder; it may have been deleted or be elsewhere."
    )


FIRST = DistillConfig()
RESOLVED = FIRST.change({"task.max_length": 64, "training.steps": 900})
LATER = FIRST.change({"task.max_length": 128, "training.steps": 1_200})  # by another version's defaults


def test_a_run_goes_on_with_the_config_that_it_was_begun_with(home: Path) -> None:
    work = home / "work" / RUN
    assert run_folder.begin(work, FIRST, RESOLVED) == RESOLVED
    files = {"config.yaml", "resolved.yaml", "training_version.txt", "made_of.txt"}
    assert {path.name for path in work.iterdir()} == files
    assert run_folder.begin(work, FIRST, LATER) == RESOLVED
    other = FIRST.change({"objective.temperature": 8.0, "training.seeds": [0, 1]})
    with pytest.raises(RunError) as caught:
        run_folder.begin(work, other, LATER)
    assert str(caught.value) == (
        f"Run {RUN} was begun with objective.temperature = 'auto', not 8.0, training.seeds = [0], not "
        "[0, 1]. Resume it with the settings that it had, or start a new run."
    )
    assert run_folder.begin(work, FIRST, LATER) == RESOLVED


def begun_by_another(work: Path, trained_by: str) -> None:
    run_folder.begin(work, FIRST, RESOLVED)
    for folder in ("student-0/checkpoint-3", "students/student-0"):
        (work / folder).mkdir(parents=True)
    (work / "training_version.txt").write_text(trained_by)


def test_what_another_version_has_trained_goes_and_is_told(home: Path) -> None:
    work, events = home / "work" / RUN, []
    begun_by_another(work, "0")
    assert run_folder.begin(work, FIRST, LATER, events.append) == RESOLVED
    assert events == [Note(run_folder.ANEW)]
    assert [path for path in work.iterdir() if path.is_dir()] == []
    (work / "student-0").mkdir()
    assert run_folder.begin(work, FIRST, LATER, events.append) == RESOLVED
    assert (len(events), (work / "student-0").is_dir()) == (1, True)


def test_what_0_1_has_begun_goes_on_as_long_as_trainings_are_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, events = home / "work" / RUN, []
    monkeypatch.setattr(run_folder, "TRAINING_VERSION", 1)
    begun_by_another(work, "1")
    older = FIRST.model_dump(mode="json")
    del older["training"]["warmup"]
    (work / "config.yaml").write_text(yaml.safe_dump(older))
    for name in ("training_version.txt", "resolved.yaml"):
        (work / name).unlink()
    monkeypatch.setattr("kd_core.config.LEGACY", {"training.warmup": 0.5})
    with pytest.raises(RunError, match=r"was begun with training\.warmup = 0\.5, not 0\.1"):
        run_folder.begin(work, FIRST, LATER, events.append)
    asked = FIRST.change({"training.warmup": 0.5})
    assert run_folder.begin(work, asked, LATER, events.append) == LATER
    assert (events, (work / "student-0" / "checkpoint-3").is_dir()) == ([], True)
    monkeypatch.setattr(run_folder, "TRAINING_VERSION", 2)
    (work / "training_version.txt").unlink()
    run_folder.begin(work, asked, LATER, events.append)
    assert (events, (work / "student-0").is_dir()) == ([Note(run_folder.ANEW)], False)


def test_a_file_is_not_a_run(home: Path) -> None:
    (home / "runs").mkdir()
    (home / "runs" / RUN).write_text("")
    with pytest.raises(RunError, match=f"^There is no run {RUN} in "):
        run_folder.find(RUN)


def test_new_names_are_names_and_differ() -> None:
    created = datetime(2026, 1, 31, 14, 30)
    names = {run_folder.new_id(created) for _ in range(20)}
    assert len(names) > 1
    for name in names:
        assert re.fullmatch(r"20260131-143000-[0-9a-f]{4}", name)
        assert run_folder.RUN_ID.fullmatch(name)
