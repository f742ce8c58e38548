"""Stop, pause and resume of a whole run."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from kd_core import distill
from kd_core.distillation import pipeline, run, run_folder
from kd_core.distillation.events import (
    Finished,
    Note,
    Progress,
    StageFinished,
    StageStarted,
    Step,
)
from kd_core.distillation.training import TRAINING_VERSION, losses
from kd_core.errors import DivergedError, RunError, Stopped
from kd_core.system.atomic import is_whole
from kd_core.system.control import Control
from tests.unit.distillation.left import steps, student
from tests.unit.distillation.training.trained import WatchedControl, same


def stop_when(control: Control, events: list, reached):
    def on_event(event) -> None:
        events.append(event)
        if reached(event):
            control.stop()

    return on_event


STOPS = {
    "teach": (lambda e: isinstance(e, Step) and (e.who, e.step) == ("teacher", 2), []),
    "teacher's evaluation": (lambda e: isinstance(e, Step) and (e.who, e.step) == ("teacher", 5), []),
    "record": (lambda e: isinstance(e, Progress) and e.stage == "record", ["teachers"]),
    "student": (
        lambda e: isinstance(e, Step) and (e.who, e.step) == ("student", 2),
        ["knowledge", "teachers", "vectors"],
    ),
    "alone": (
        lambda e: isinstance(e, Step) and (e.who, e.step) == ("alone", 2),
        [
            "knowledge",
            "scores",
            "teachers",
            "vectors",
        ],  # scores: the teacher's answers that the replay is compared with
    ),
    "validate": (
        lambda e: isinstance(e, Progress) and e.label == "scoring the teacher",
        ["alone", "knowledge", "scores", "teachers", "vectors"],
    ),
    "latency": (
        lambda e: isinstance(e, Progress) and e.label == "measuring latency",
        ["alone", "knowledge", *["scores"] * 5, "teachers", "vectors"],  # on test and on validation texts
    ),
}


@pytest.mark.parametrize("place", STOPS)
def test_a_stop_leaves_nothing_half_done(kd_home, short_config, place):
    reached, entries = STOPS[place]
    control, events = Control(), []
    with pytest.raises(Stopped):
        distill(short_config, stop_when(control, events, reached), control, run_id="20260131-143000-a1b2")
    assert not [event for event in events if isinstance(event, Finished)]
    assert not (kd_home / "runs").exists()
    caches = kd_home / "cache"
    assert sorted(path.parent.name for path in caches.glob("*/*")) == entries, "and no temporary folders"
    assert all(is_whole(path) for path in caches.glob("*/*"))
    # Only what it takes to go on is left.
    assert {path.name for path in kd_home.glob("work/*")} <= {"20260131-143000-a1b2"}

    told = events.index(next(event for event in events if reached(event)))
    after = [event.step for event in events[told + 1 :] if isinstance(event, Step)]
    assert after == []


@pytest.fixture(scope="module")
def undisturbed(short_config, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(tmp_path_factory.mktemp("undisturbed")))
        return distill(short_config)


@pytest.mark.parametrize("place", ["teach", "student", "alone", "latency"])
def test_a_stopped_run_goes_on_by_its_id(kd_home, short_config, undisturbed, place):
    control, events, run_id = Control(), [], "20260131-143000-a1b2"
    with pytest.raises(Stopped):
        distill(short_config, stop_when(control, [], STOPS[place][0]), control, run_id=run_id)
    with pytest.raises(RunError, match=r"was begun with objective\.temperature = .*, not 9\.0"):
        distill(short_config.change({"objective.temperature": 9.0}), run_id=run_id)
    resumed = distill(short_config, events.append, run_id=run_id)
    if place in ("student", "alone"):
        assert [e.step for e in steps(events, place)] == [3]
    assert resumed.run_id == run_id
    assert list((kd_home / "work").iterdir()) == []
    for name in ("student-0", "alone-0"):
        assert same(student(resumed, name), student(undisturbed, name))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", b"\x95\x00"),
        ("config.yaml", b""),
        ("config.yaml", b"task: ["),
        ("resolved.yaml", b"\x95\x00"),
    ],
)
def test_a_run_whose_beginning_is_damaged_says_so(tmp_path, short_config, file, content):
    work = tmp_path / "20260131-143000-a1b2"
    assert run_folder.begin(work, short_config, short_config) == short_config
    (work / file).write_bytes(content)
    with pytest.raises(
        RunError, match=r"^What run \S+ was begun with is damaged on disk, .* Start a new run\.$"
    ):
        run_folder.begin(work, short_config, short_config)


def test_an_empty_note_of_what_auto_meant_is_made_anew(tmp_path, short_config):
    run_folder.begin(tmp_path, short_config, short_config)
    (tmp_path / "resolved.yaml").write_bytes(b"")
    assert run_folder.begin(tmp_path, short_config, short_config) == short_config


@pytest.mark.parametrize("run_id", ["../../thesis", "my run", "."])
def test_no_run_is_named_so_that_it_lies_elsewhere(kd_home, short_config, run_id):
    with pytest.raises(RunError, match=r" is not a run; a run is named like 20260131-143000-a1b2\.$"):
        distill(short_config, run_id=run_id)
    assert not (kd_home / "work").exists()


def test_the_seconds_of_a_run_are_those_of_all_its_starts(tmp_path, monkeypatch):
    events = []
    one = run.Run(None, None, tmp_path, events.append, Control())
    ticks = iter([0.0, 5.0, 100.0, 102.0])
    monkeypatch.setattr(one.control, "clock", lambda: next(ticks))
    with pytest.raises(Stopped), run.Clock(one).stage("distil"):
        raise Stopped
    resumed = run.Clock(one)
    with resumed.stage("distil"):
        pass
    assert resumed.seconds == {"distil": 7.0}
    assert events[1:] == [StageStarted("distil"), StageFinished("distil", 7.0)]


def test_a_pause_is_no_time_of_a_stage(tmp_path, monkeypatch):
    control, events = Control(), []
    hand = SimpleNamespace(now=0.0)
    monkeypatch.setattr("kd_core.system.control.time", SimpleNamespace(monotonic=lambda: hand.now))
    with run.Clock(run.Run(None, None, tmp_path, events.append, control)).stage("distil"):
        hand.now = 5.0
        control.pause()
        hand.now = 3605.0
        control.resume()
        hand.now = 3607.0
    assert events == [StageStarted("distil"), StageFinished("distil", 7.0)]


def test_a_resumed_run_keeps_what_auto_meant_when_it_began(kd_home, short_config, undisturbed, monkeypatch):
    run_id, asked, control = "20260131-143000-a1b2", [], Control()
    with pytest.raises(Stopped):
        distill(short_config, stop_when(control, [], STOPS["student"][0]), control, run_id=run_id)

    def other_defaults(*about):
        asked.append(pipeline_resolve(*about).change({"task.max_length": 8, "training.learning_rate": 0.5}))
        return asked[-1]

    pipeline_resolve = pipeline.resolve
    monkeypatch.setattr(pipeline, "resolve", other_defaults)
    resumed = distill(short_config, run_id=run_id)
    assert asked[0].model_dump(mode="json") != resumed.config == undisturbed.config
    assert same(student(resumed), student(undisturbed))


@pytest.mark.parametrize("later", [0, 1])
def test_of_another_training_version_nothing_is_gone_on_with(kd_home, short_config, monkeypatch, later):
    """Of the same one only the rest of the student alone is left to do."""
    run_id, events, control = "20260131-143000-a1b2", [], Control()
    with pytest.raises(Stopped):
        distill(short_config, stop_when(control, [], STOPS["alone"][0]), control, run_id=run_id)
    for module in (run, run_folder):
        monkeypatch.setattr(module, "TRAINING_VERSION", TRAINING_VERSION + later)
    resumed = distill(short_config, events.append, run_id=run_id)
    first = {event.who: event.step for event in reversed(events) if isinstance(event, Step)}
    assert first == ({"alone": 3} if not later else {"teacher": 1, "student": 1, "alone": 1})
    assert [event for event in events if isinstance(event, Note)] == [Note(run_folder.ANEW)] * later
    assert sorted(path.parent.name for path in kd_home.glob("cache/[at]*/*")) == ["alone"] + (
        ["teachers"] * (1 + later)
    )
    assert (kd_home / "cache" / "teachers" / resumed.teacher_key).is_dir()


@pytest.mark.parametrize("more", ["", "one more match today,sport\n"])
def test_on_other_texts_nothing_is_gone_on_with(kd_home, short_config, tmp_path, more):
    """What was a training text before may be a test text now."""
    file = tmp_path / "texts.csv"
    file.write_text(Path(short_config.task.name).read_text("utf-8"), "utf-8")
    config = short_config.change({"task.name": str(file)})
    run_id, events, control = "20260131-143000-a1b2", [], Control()
    with pytest.raises(Stopped):
        distill(config, stop_when(control, [], STOPS["alone"][0]), control, run_id=run_id)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(more)
    resumed = distill(config, events.append, run_id=run_id)
    first = {event.who: event.step for event in reversed(events) if isinstance(event, Step)}
    assert first == ({"teacher": 1, "student": 1, "alone": 1} if more else {"alone": 3})
    assert [event for event in events if isinstance(event, Note)] == [Note(run_folder.CHANGED)] * bool(more)
    assert same(student(resumed), student(distill(config)))


def test_a_pause_holds_the_run_until_it_is_resumed(kd_home, short_config):
    events, control = [], WatchedControl()

    def on_event(event) -> None:
        events.append(event)
        if event == Progress("record", "texts", 64, 105):
            control.pause()

    thread = threading.Thread(target=distill, args=[short_config, on_event, control])
    thread.start()
    assert control.blocked.wait(30)
    assert thread.is_alive()
    assert events[-1] == Progress("record", "texts", 64, 105)
    control.resume()
    thread.join(30)
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize(
    ("who", "flag"), [("teacher", "--teacher-learning-rate"), ("student", "--learning-rate")]
)
def test_a_diverged_training_names_its_step_and_rate(kd_home, short_config, monkeypatch, who, flag):
    config = short_config.change({"teacher.learning_rate": 0.25, "training.learning_rate": 0.5})
    name = "hard_loss" if who == "teacher" else "soft_loss"
    original = getattr(losses, name)
    monkeypatch.setattr(losses, name, lambda *args, **options: original(*args, **options) * float("nan"))
    rate, of = ("0.25", 5) if who == "teacher" else ("0.5", 3)
    whose = "distilled student" if who == "student" else who
    text = (
        f"The loss of the {whose} became nan at step 1 of {of} with learning rate {rate}; try a smaller "
        f"{flag}."
    )
    with pytest.raises(DivergedError, match=f"^{re.escape(text)}$"):
        distill(config)
    assert not (kd_home / "runs").exists()
    kinds = {path.parent.name for path in (kd_home / "cache").glob("*/*")}
    assert kinds == (set() if who == "teacher" else {"teachers", "knowledge", "vectors"})
