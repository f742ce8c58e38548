"""How much of a run is done, and how long the rest takes."""

from __future__ import annotations

import pytest

from kd_core.config import DistillConfig
from kd_core.distillation.events import (
    Event,
    Finished,
    Progress,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.jobs.progress import RunProgress

CONFIG = DistillConfig().model_dump(mode="json")
TEXTS = {"teacher": 32, "student": 64, "alone": 32, "labelled_only": 32}  # in a step


class Clock:
    """Plays the demo on a machine where each thing takes a known time."""

    def __init__(self, pace: RunProgress, step: dict[str, float], text: float) -> None:
        self.pace, self.step, self.text = pace, step, text
        self.now = 0.0
        self.seen: list[tuple[float, float, float | None]] = []  # time, progress, seconds left

    def tell(self, event: Event) -> None:
        self.pace.feed(event, self.now)
        row = self.pace.row
        self.seen.append((self.now, row["progress"], row["seconds_left"]))

    def train(self, who: str, steps: int, seed: int = 0, start: int = 0) -> None:
        self.tell(TrainingStarted(who, seed, steps))
        for number in range(start + 1, steps + 1):
            self.now += self.step[who]
            if number == start + 1 or number % 10 == 0:
                speed = TEXTS[who] / self.step[who]
                self.tell(Step(who, seed, number, steps, 1.0, 1.0, 1.0, 0.0, 1e-4, speed))

    def record(self, texts: int = 13_256, chunk: int = 2_048) -> None:
        for done in range(0, texts, chunk):
            self.now += chunk * self.text
            self.tell(Progress("record", "texts", min(texts, done + chunk), texts))

    def stage(self, name: str, work, cached: bool = False) -> None:
        self.tell(StageStarted(name))
        before = self.now
        work()
        self.tell(StageFinished(name, self.now - before, cached))

    def demo(self) -> None:
        self.stage("teach", lambda: self.train("teacher", 200))
        self.stage("record", self.record)
        self.stage("distil", lambda: [self.train(who, 1200) for who in ("student", "alone", "labelled_only")])
        self.stage("validate", self.validate)
        self.tell(Finished("run"))

    def validate(self) -> None:
        for done in range(4):
            self.tell(Progress("validate", "scoring", done, 5))
            self.now += 1.5


SPEEDS = {"teacher": 0.1, "student": 0.0224, "alone": 0.0187, "labelled_only": 0.0187}


@pytest.mark.parametrize("slower", [1, 7])
def test_the_time_left_is_close_on_a_machine_of_any_speed(slower):
    clock = Clock(RunProgress(CONFIG), {who: slower * s for who, s in SPEEDS.items()}, slower * 0.9e-3)
    clock.demo()
    total = clock.now
    measured = [(at, left) for at, _, left in clock.seen if left is not None]
    assert measured[0][0] < 0.05 * total  # it does not take long to know something
    for at, left in measured:
        assert left == pytest.approx(total - at, abs=0.15 * total)


def test_the_progress_never_goes_back_and_is_a_share_of_the_time():
    clock = Clock(RunProgress(CONFIG), SPEEDS, 0.9e-3)
    clock.demo()
    shares = [share for _, share, _ in clock.seen]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares[-2] < 1.0
    for at, share, _ in clock.seen:
        assert share == pytest.approx(at / clock.now, abs=0.12)


def test_nothing_is_said_before_something_is_known():
    assert RunProgress(CONFIG).row == {
        "progress": 0.0,
        "seconds_left": None,
        "pace": {"spent": 0.0, "progress": 0.0, "measured": {}},
    }


def test_an_estimate_from_before_the_start_is_said_until_something_is_measured():
    estimated = {"teach": 0.0, "record": 0.0, "distil": 60.0, "validate": 5.0}
    clock = Clock(RunProgress(CONFIG, estimated=estimated), SPEEDS, 0.9e-3)
    assert clock.pace.seconds_left == pytest.approx(65.0)
    clock.stage("teach", lambda: clock.tell(TrainingStarted("teacher", 0, 200, cached=True)), cached=True)
    clock.stage("record", lambda: None, cached=True)
    assert clock.pace.seconds_left == pytest.approx(65.0)
    clock.train("student", 1200)
    assert clock.pace.progress == pytest.approx(26.9 / (26.9 + clock.pace.seconds_left), abs=0.01)


def test_an_estimate_that_counted_on_a_cache_that_is_gone_is_mended():
    estimated = {"teach": 0.0, "record": 0.0, "distil": 60.0, "validate": 5.0}
    pace = RunProgress(CONFIG, estimated=estimated)
    pace.feed(TrainingStarted("teacher", 0, 200), 0.0)
    assert pace.seconds_left == pytest.approx(65.0 + 20.0, abs=5)


def test_what_comes_from_the_cache_takes_no_time():
    clock = Clock(RunProgress(CONFIG), SPEEDS, 0.9e-3)
    clock.stage("teach", lambda: clock.tell(TrainingStarted("teacher", 0, 200, cached=True)), cached=True)
    clock.stage("record", lambda: None, cached=True)
    clock.train("student", 1200)
    clock.tell(TrainingStarted("alone", 0, 1200, cached=True))
    left = clock.pace.seconds_left
    clock.train("labelled_only", 1200)
    assert left == pytest.approx(1200 * 0.0187 + 8, abs=5)


def test_steps_and_texts_are_taken_from_the_run_once_it_says_them():
    short = Clock(RunProgress(CONFIG), SPEEDS, 0.9e-3)
    short.train("student", 60)
    assert short.pace.seconds_left < 60  # the config alone says 1,200 steps for each of three students


def test_a_pause_counts_as_neither_work_nor_slowness():
    clock = Clock(RunProgress(CONFIG), SPEEDS, 0.9e-3)
    clock.train("teacher", 200)
    clock.tell(StageFinished("teach", 20.0))
    clock.tell(Progress("record", "texts", 2_048, 13_256))
    clock.now += 2
    clock.tell(Progress("record", "texts", 4_096, 13_256))
    before = clock.pace.seconds_left
    clock.now += 3_600
    clock.tell(Progress("record", "texts", 6_144, 13_256))
    assert clock.pace.seconds_left < before


def test_a_resumed_run_goes_on_from_its_progress():
    first = Clock(RunProgress(CONFIG), SPEEDS, 0.9e-3)
    first.stage("teach", lambda: first.train("teacher", 200))
    first.stage("record", first.record)
    first.train("student", 1200)
    before = first.pace.row

    resumed = Clock(RunProgress(CONFIG, before["pace"]), SPEEDS, 0.9e-3)
    assert resumed.pace.progress >= before["progress"]
    cached = TrainingStarted("teacher", 0, 200, cached=True)
    resumed.stage("teach", lambda: resumed.tell(cached), cached=True)
    resumed.stage("record", lambda: None, cached=True)
    resumed.tell(TrainingStarted("student", 0, 1200, cached=True))
    assert resumed.pace.seconds_left == pytest.approx(before["seconds_left"], rel=0.1)
    assert resumed.pace.progress == pytest.approx(before["progress"], abs=0.05)
    resumed.train("alone", 1200, start=600)
    assert resumed.pace.progress > before["progress"] + 0.1


@pytest.mark.parametrize(
    ("changes", "longer"),
    [
        ({"training.seeds": [0, 1, 2]}, 2.5),
        ({"objective.alpha": 1.0}, 0.6),  # no third student, and no transfer texts
        ({"controls.labelled_only": False}, 0.7),
        ({"student.model": "medium"}, 3.0),
    ],
)
def test_the_config_says_how_much_there_is_to_do(changes, longer):
    def distil(config):
        pace = RunProgress(config)
        pace.feed(StageFinished("teach", 1.0), 0.0)
        pace.feed(StageFinished("record", 1.0), 0.0)
        pace.feed(TrainingStarted("student", 0, 1200), 0.0)
        for number in (10, 20):
            pace.feed(Step("student", 0, number, 1200, 1, 1, 1, 0, 1e-4, 1_000.0), 0.0)
        return sum(part.cost for part in pace._parts.values() if part.stage == "distil")

    changed = DistillConfig().change(changes).model_dump(mode="json")
    ratio = distil(changed) / distil(CONFIG)
    assert ratio == pytest.approx(longer, rel=0.3) if longer < 3 else ratio > longer


def test_a_config_of_another_version_does_no_harm():
    clock = Clock(RunProgress({"task": {"colour": "red"}}), SPEEDS, 0.9e-3)
    clock.demo()
    assert clock.pace.progress == 1.0
