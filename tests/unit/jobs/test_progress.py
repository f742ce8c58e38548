"""How much of a run is done, and how long the rest takes."""

import pytest

from kd_core.distillation.events import (
    TEXTS_SCORED,
    Estimated,
    Finished,
    Progress,
    StageFinished,
    StageStarted,
    TrainingStarted,
)
from kd_core.jobs.progress import TRIED, CountedProgress, RunProgress, TimeLeft
from tests.unit.jobs.planned import announce
from tests.unit.jobs.told import step

TEXTS = {"teacher": 32, "student": 64, "alone": 32, "labelled_only": 32}  # in a step
# Seconds of a step that add up to those of tests/samples/report.json; transfer texts nearly double it.
SPEEDS = {"teacher": 0.1, "student": 0.03, "alone": 0.0165, "labelled_only": 0.0165}
EXPECTED = {"teach": 0.0, "record": 0.0, "distil": 60.0, "validate": 5.0}  # where the cache has the teacher
CACHED = TrainingStarted("teacher", 0, 200, cached=True)


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Train students one after the other, on a machine of any number of cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


class Clock:
    """Plays the demo on a machine where each thing takes a known time, times ``slower``."""

    def __init__(self, progress=None, slower=1) -> None:
        self.progress, self.slower, self.now = progress or RunProgress(), slower, 0.0
        self.seen: list[tuple[float, float, float | None]] = []  # time, progress, seconds left
        self.tell(announce({"student.model": "tiny"}))

    def tell(self, event) -> None:
        self.progress.feed(event, self.now)
        row = self.progress.row
        self.seen.append((self.now, row["progress"], row["seconds_left"]))

    def train(self, *who: str, steps=1200, start=0) -> None:
        """Train some models side by side."""
        for one in who:
            self.tell(TrainingStarted(one, 0, steps))
        for number in range(start + 1, steps + 1):
            self.now += max(SPEEDS[one] for one in who) * self.slower
            for one in who:
                if number == start + 1 or number % 10 == 0:
                    speed = TEXTS[one] / max(SPEEDS[one] for one in who) / self.slower
                    self.tell(step(number, who=one, steps=steps, speed=speed))

    def stage(self, name: str, *work) -> None:
        self.tell(StageStarted(name))
        before = self.now
        for part in work:
            part()
        self.tell(StageFinished(name, self.now - before, not work))

    def teach_and_record(self) -> None:
        self.stage("teach", lambda: self.train("teacher", steps=200))
        self.stage("record", lambda: self.count("record", 2_048, 13_256, 2_048 * 0.9e-3))

    def from_cache(self) -> None:
        self.tell(CACHED)
        self.stage("teach")
        self.stage("record")

    def count(self, stage: str, chunk: int, total: int, seconds: float) -> None:
        for done in range(0, total, chunk):
            self.now += seconds * self.slower
            self.tell(Progress(stage, "texts", min(total, done + chunk), total))


@pytest.mark.parametrize("slower", [1, 7])
def test_progress_and_time_left_are_close_at_any_speed(slower):
    clock = Clock(slower=slower)
    clock.teach_and_record()
    clock.stage(
        "distil", *(lambda who=who: clock.train(who) for who in ("student", "alone", "labelled_only"))
    )
    clock.stage("validate", lambda: clock.count("validate", 1, 5, 1.5))
    clock.tell(Finished("run"))
    total, shares = clock.now, [share for _, share, _ in clock.seen]
    measured = [(at, left) for at, _, left in clock.seen if left is not None]
    assert measured[0][0] < 0.05 * total, "it does not take long to know something"
    for at, left in measured:
        assert left == pytest.approx(total - at, abs=0.15 * total)
    for at, share, _ in clock.seen:
        assert share == pytest.approx(at / total, abs=0.12)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1], shares[-2] < 1.0) == (0.0, 1.0, True)


def test_students_side_by_side_share_the_time(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    clock = Clock(RunProgress(estimated=EXPECTED))
    clock.from_cache()
    clock.train("student", "alone", "labelled_only")
    assert clock.progress.progress == pytest.approx(36 / (36 + clock.progress.seconds_left), abs=0.02)


def test_events_before_the_run_says_what_it_does_do_no_harm():
    progress = RunProgress()
    pace = {"spent": 0.0, "progress": 0.0, "costs": {}}
    assert progress.row == {"progress": 0.0, "seconds_left": None, "pace": pace}
    for event in (TrainingStarted("student", 0, 100), step(10), Progress("record", "texts", 64, 128)):
        progress.feed(event, 1.0)
    progress.feed(Progress("validate", "scoring", 1, 5), 1.0)
    assert (progress.progress, progress.seconds_left) == (0.0, None)
    progress.feed(Finished("run"), 2.0)
    assert progress.progress == 1.0


def test_estimate_holds_until_something_is_measured():
    clock = Clock(RunProgress(estimated=EXPECTED))
    assert clock.progress.seconds_left == pytest.approx(65.0)
    clock.from_cache()
    assert clock.progress.seconds_left == pytest.approx(65.0)
    clock.train("student")
    assert clock.progress.progress == pytest.approx(36.0 / (36.0 + clock.progress.seconds_left), abs=0.01)
    gone = Clock(RunProgress(estimated=EXPECTED))
    gone.tell(TrainingStarted("teacher", 0, 200))
    assert gone.progress.seconds_left == pytest.approx(65.0 + 20.0, abs=5), "it had counted on the cache"
    own = RunProgress()
    own.feed(Estimated({"teach": 20.0, "record": 10.0, "distil": 50.0, "validate": 0.0}, {}), 0.0)
    own.feed(announce(), 0.0)
    assert own.seconds_left == pytest.approx(80.0)


def test_pause_counts_as_neither_work_nor_slowness():
    clock, left = Clock(), []
    clock.train("teacher", steps=200)
    clock.tell(StageFinished("teach", 20.0))
    for pause, done in ((0, 2_048), (2, 4_096), (3_600, 6_144)):
        clock.now += pause
        clock.tell(Progress("record", "texts", done, 13_256))
        left.append(clock.progress.seconds_left)
    assert left[2] < left[1]


def test_resumed_run_goes_on_from_its_progress():
    first = Clock()
    first.teach_and_record()
    first.train("student")
    before = first.progress.row
    resumed = Clock(RunProgress(before["pace"]))
    assert resumed.progress.progress >= before["progress"]
    resumed.from_cache()
    resumed.tell(TrainingStarted("student", 0, 1200, cached=True))
    assert resumed.progress.seconds_left == pytest.approx(before["seconds_left"], rel=0.1)
    assert resumed.progress.progress == pytest.approx(before["progress"], abs=0.05)
    resumed.train("alone", start=600)
    assert resumed.progress.progress > before["progress"] + 0.1


@pytest.mark.parametrize(
    ("changes", "transfer", "least", "most"),
    [
        ({"objective.alpha": 1.0}, 12_000, 0.45, 0.75),  # no third student, and no transfer texts
        ({}, 0, 0.45, 0.75),
        ({"training.steps": 60, "training.evaluate_every": 5}, 12_000, 0.04, 0.06),
        ({"student.layers": 8, "student.hidden": 512, "student.intermediate": 2048}, 12_000, 3.0, 99),
    ],
)
def test_settings_say_how_much_there_is_to_do(changes, transfer, least, most):
    usual, other = RunProgress(), RunProgress()
    usual.feed(announce(), 0.0)
    other.feed(announce(changes, rows={"transfer": transfer}), 0.0)
    distil = [
        sum(p.cost for p in each._parts.values() if p.part.stage == "distil") for each in (other, usual)
    ]
    assert least < distil[0] / distil[1] < most


def test_texts_of_the_teacher_are_half_of_the_validation():
    progress = RunProgress(estimated={"teach": 0.0, "record": 0.0, "distil": 0.0, "validate": 10.0})
    progress.feed(announce(), 0.0)
    for label, done, total, left in (
        ("scoring the teacher", 0, 5, 10.0),
        (TEXTS_SCORED, 50, 100, 7.5),
        (TEXTS_SCORED, 100, 100, 5.0),
        ("scoring distilled student, seed 0", 1, 5, 5.0),
        ("measuring latency", 4, 5, 1.25),
    ):
        progress.feed(Progress("validate", label, done, total), 1.0)
        assert progress.seconds_left == pytest.approx(left)


def test_counting_job_takes_its_speed_from_what_it_has_done_itself():
    """Forty of a hundred were done before it was interrupted; then ten more in ten seconds."""
    progress = CountedProgress()
    assert progress.row == {"progress": 0.0, "seconds_left": None}
    for now, done, left in ((100.0, 40, None), (105.0, 40, None), (110.0, 50, 50.0), (130.0, 60, 60.0)):
        progress.feed(Progress(None, "trainings", done, 100), now)
        assert progress.row == {"progress": done / 100, "seconds_left": left}


def heard(*expected):
    """Return what is said of the time left at the end of each second of (seconds, left at their end)."""
    time_left, now, left, said = TimeLeft(), 0.0, expected[0][1], []
    for seconds, last in expected:
        began, before = now, left
        while now < began + seconds:
            now += 1
            share = (now - began) / seconds
            left = last if last is None or before is None else before + share * (last - before)
            said.append((now, time_left.check(left, left or 0.0, now)))
    return said


TEN_TIMES = ((0, 60.0), (600, 0.0))  # what was estimated as a minute takes ten
GROWS = ((0, 600.0), (600, 780.0), (780, 0.0))
STUCK = ((120, 14.0),)  # while a model is loaded, say


@pytest.mark.parametrize(
    ("expected", "seconds", "says"),
    [
        (((0, 60.0), (60, 0.0)), slice(None), lambda at: 60 - at),
        (((0, 3_600.0), (7_200, 0.0)), slice(None), lambda at: 3_600 - at / 2),
        (TEN_TIMES, slice(0, TRIED), lambda at: 60 - 0.1 * at),
        (TEN_TIMES, slice(TRIED + 1, None), lambda at: 600 - at),
        (STUCK, slice(0, TRIED), lambda at: 14),
        (STUCK, slice(TRIED + 1, None), None),
        (GROWS, slice(100, 101), lambda at: 600 + 0.3 * at),
        (GROWS, slice(200, 600), None),
        (GROWS, slice(900, None), lambda at: 1_380 - at),
        (((30, None),), slice(None), None),
        (((10, 14.0), (1, None), (15, 14.0)), slice(-15, None), lambda at: 14),  # an unknown time forgets
    ],
)
def test_time_left_is_said_while_it_comes_true(expected, seconds, says):
    for at, left in heard(*expected)[seconds]:
        assert left == (says and pytest.approx(says(at), abs=1))


def test_slowness_that_the_estimate_has_learned_does_not_count_twice():
    """A minute of work for 100 seconds takes four times as long from the 50th on, as the estimate says."""
    time_left = TimeLeft()
    for at in range(1, 251):
        work = 60 - 0.6 * at if at <= 50 else 30 - 0.15 * (at - 50)
        left = time_left.check(work / 0.6 * (1 if at <= 50 else 4), work, float(at))
        assert left == pytest.approx(100 - at if at <= 50 else 250 - at)
