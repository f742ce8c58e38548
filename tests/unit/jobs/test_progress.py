"""How much of a run is done, and how long the rest takes."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from time import monotonic, sleep

import pytest

from kd_core.config import DistillConfig
from kd_core.distillation.events import (
    STAGES,
    TEXTS_SCORED,
    Estimated,
    Event,
    Finished,
    Progress,
    Resolved,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.jobs.progress import TRIED, CountedProgress, RunProgress, TimeLeft
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store
from tests.unit.jobs.planned import plan

SIZES = {
    "teacher": {"layers": 6, "hidden": 384, "heads": 12, "intermediate": 1536},
    "student": {"layers": 2, "hidden": 128, "heads": 2, "intermediate": 512},
}
TEXTS = {"teacher": 32, "student": 64, "alone": 32, "labelled_only": 32}  # in a step


def resolved(changes=None, *, transfer=12_000) -> Resolved:
    """What the demo says once it has read its task."""
    sizes = {f"{model}.{name}": size for model, given in SIZES.items() for name, size in given.items()}
    demo = plan(sizes | (changes or {}), rows={"transfer": transfer})
    return Resolved(demo.config.model_dump(mode="json"), demo.classes, dict(demo.rows), dict(demo.tokens))


class Clock:
    """Plays the demo on a machine where each thing takes a known time."""

    def __init__(
        self,
        progress: RunProgress,
        step: dict[str, float],
        text: float = 0.9e-3,
        said: Resolved | None = None,
    ) -> None:
        self.progress, self.step, self.text = progress, step, text
        self.now = 0.0
        self.seen: list[tuple[float, float, float | None]] = []  # time, progress, seconds left
        self.tell(said or resolved())

    def tell(self, event: Event) -> None:
        self.progress.feed(event, self.now)
        row = self.progress.row
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


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Students are trained one after the other, on a machine of any number of cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


# Seconds of a step that add up to those of tests/samples/report.json; transfer texts nearly double it.
SPEEDS = {"teacher": 0.1, "student": 0.03, "alone": 0.0165, "labelled_only": 0.0165}


@pytest.mark.parametrize("slower", [1, 7])
def test_the_time_left_is_close_on_a_machine_of_any_speed(slower):
    clock = Clock(RunProgress(), {who: slower * s for who, s in SPEEDS.items()}, slower * 0.9e-3)
    clock.demo()
    total = clock.now
    measured = [(at, left) for at, _, left in clock.seen if left is not None]
    assert measured[0][0] < 0.05 * total  # it does not take long to know something
    for at, left in measured:
        assert left == pytest.approx(total - at, abs=0.15 * total)


def test_the_time_left_is_close_where_students_are_trained_side_by_side(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    clock = Clock(RunProgress(), SPEEDS, said=resolved({"student.model": "tiny"}))

    def side_by_side() -> None:
        """The distilled one on one core; on the other its controls, which together take nearly as long."""
        began, moments = clock.now, []
        for steps, start in (("student",), 0.0), (("alone", "labelled_only"), 0.0):
            for who in steps:
                moments += [(start + number * SPEEDS[who], who, number) for number in range(0, 1201, 10)]
                start += 1200 * SPEEDS[who]
        for at, who, number in sorted(moments):
            clock.now = began + at
            speed = TEXTS[who] / SPEEDS[who]
            clock.tell(
                Step(who, 0, number, 1200, 1.0, 1.0, 1.0, 0.0, 1e-4, speed)
                if number
                else TrainingStarted(who, 0, 1200)
            )

    clock.stage("teach", lambda: clock.train("teacher", 200))
    clock.stage("record", clock.record)
    clock.stage("distil", side_by_side)
    clock.stage("validate", clock.validate)
    for at, share, left in clock.seen:
        if left is not None:
            assert left == pytest.approx(clock.now - at, abs=0.15 * clock.now)
            assert share == pytest.approx(at / clock.now, abs=0.15)


def test_the_progress_never_goes_back_and_is_a_share_of_the_time():
    clock = Clock(RunProgress(), SPEEDS)
    clock.demo()
    shares = [share for _, share, _ in clock.seen]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares[-2] < 1.0
    for at, share, _ in clock.seen:
        assert share == pytest.approx(at / clock.now, abs=0.12)


def test_nothing_is_said_before_something_is_known():
    assert RunProgress().row == {
        "progress": 0.0,
        "seconds_left": None,
        "pace": {"spent": 0.0, "progress": 0.0, "costs": {}},
    }


def test_an_estimate_from_before_the_start_is_said_until_something_is_measured():
    estimated = {"teach": 0.0, "record": 0.0, "distil": 60.0, "validate": 5.0}
    clock = Clock(RunProgress(estimated=estimated), SPEEDS)
    assert clock.progress.seconds_left == pytest.approx(65.0)
    clock.stage("teach", lambda: clock.tell(TrainingStarted("teacher", 0, 200, cached=True)), cached=True)
    clock.stage("record", lambda: None, cached=True)
    assert clock.progress.seconds_left == pytest.approx(65.0)
    clock.train("student", 1200)
    assert clock.progress.progress == pytest.approx(36.0 / (36.0 + clock.progress.seconds_left), abs=0.01)


def test_an_estimate_that_counted_on_a_cache_that_is_gone_is_mended():
    estimated = {"teach": 0.0, "record": 0.0, "distil": 60.0, "validate": 5.0}
    progress = RunProgress(estimated=estimated)
    progress.feed(resolved(), 0.0)
    progress.feed(TrainingStarted("teacher", 0, 200), 0.0)
    assert progress.seconds_left == pytest.approx(65.0 + 20.0, abs=5)


def test_what_comes_from_the_cache_takes_no_time():
    clock = Clock(RunProgress(), SPEEDS)
    clock.stage("teach", lambda: clock.tell(TrainingStarted("teacher", 0, 200, cached=True)), cached=True)
    clock.stage("record", lambda: None, cached=True)
    clock.train("student", 1200)
    clock.tell(TrainingStarted("alone", 0, 1200, cached=True))
    left = clock.progress.seconds_left
    clock.train("labelled_only", 1200)
    assert left == pytest.approx(1200 * SPEEDS["labelled_only"] + 8, abs=5)


def test_steps_and_texts_are_taken_from_the_run_once_it_says_them():
    short = Clock(RunProgress(), SPEEDS, said=resolved({"training.steps": 60, "training.evaluate_every": 5}))
    short.train("student", 60)
    assert short.progress.seconds_left < 60  # and not three times 1,200 steps


@pytest.mark.parametrize(
    ("name", "transfer", "students"),
    [
        ("bbc-headlines", 12_000, 3),
        ("bbc-headlines", 0, 2),
        ("own.csv", 0, 2),
        ("own.csv", 40, 3),
        ("hub:ag_news", 0, 2),
        ("hub:imdb", 5_000, 3),  # which has an unlabelled split
    ],
)
def test_the_run_says_whether_its_task_has_transfer_texts(name, transfer, students):
    progress = RunProgress()
    progress.feed(resolved({"task.name": name}, transfer=transfer), 0.0)
    trained = [one.part.who for one in progress._parts.values() if one.part.stage == "distil"]
    assert trained == ["student", "alone", "labelled_only"][:students]


def test_a_pause_counts_as_neither_work_nor_slowness():
    clock = Clock(RunProgress(), SPEEDS)
    clock.train("teacher", 200)
    clock.tell(StageFinished("teach", 20.0))
    clock.tell(Progress("record", "texts", 2_048, 13_256))
    clock.now += 2
    clock.tell(Progress("record", "texts", 4_096, 13_256))
    before = clock.progress.seconds_left
    clock.now += 3_600
    clock.tell(Progress("record", "texts", 6_144, 13_256))
    assert clock.progress.seconds_left < before


def test_a_resumed_run_goes_on_from_its_progress():
    first = Clock(RunProgress(), SPEEDS)
    first.stage("teach", lambda: first.train("teacher", 200))
    first.stage("record", first.record)
    first.train("student", 1200)
    before = first.progress.row

    resumed = Clock(RunProgress(before["pace"]), SPEEDS)
    assert resumed.progress.progress >= before["progress"]
    cached = TrainingStarted("teacher", 0, 200, cached=True)
    resumed.stage("teach", lambda: resumed.tell(cached), cached=True)
    resumed.stage("record", lambda: None, cached=True)
    resumed.tell(TrainingStarted("student", 0, 1200, cached=True))
    assert resumed.progress.seconds_left == pytest.approx(before["seconds_left"], rel=0.1)
    assert resumed.progress.progress == pytest.approx(before["progress"], abs=0.05)
    resumed.train("alone", 1200, start=600)
    assert resumed.progress.progress > before["progress"] + 0.1


@pytest.mark.parametrize(
    ("changes", "longer"),
    [
        ({"training.seeds": [0, 1, 2]}, 2.5),
        ({"objective.alpha": 1.0}, 0.6),  # no third student, and no transfer texts
        ({"controls.labelled_only": False}, 0.7),
        ({"student.layers": 8, "student.hidden": 512, "student.intermediate": 2048}, 3.0),
    ],
)
def test_the_config_says_how_much_there_is_to_do(changes, longer):
    def distil(said):
        progress = RunProgress()
        progress.feed(said, 0.0)
        return sum(one.cost for one in progress._parts.values() if one.part.stage == "distil")

    ratio = distil(resolved(changes)) / distil(resolved())
    assert ratio == pytest.approx(longer, rel=0.3) if longer < 3 else ratio > longer


def test_the_texts_of_the_teacher_are_half_of_the_validation():
    progress = RunProgress(estimated={"teach": 0.0, "record": 0.0, "distil": 0.0, "validate": 10.0})
    progress.feed(resolved(), 0.0)
    left = []
    for label, done, total in (
        ("scoring the teacher", 0, 5),
        (TEXTS_SCORED, 50, 100),
        (TEXTS_SCORED, 100, 100),
        ("scoring distilled student, seed 0", 1, 5),
        ("measuring latency", 4, 5),
    ):
        progress.feed(Progress("validate", label, done, total), 1.0)
        left.append(progress.seconds_left)
    assert left == pytest.approx([10.0, 7.5, 5.0, 5.0, 1.25])


def test_events_of_a_run_that_has_not_said_what_it_does_do_no_harm():
    progress = RunProgress()
    for event in (
        TrainingStarted("student", 0, 100),
        Step("student", 0, 10, 100, 1, 1, 1, 0, 1e-4, 1_000.0),
        Progress("record", "texts", 64, 128),
        Progress("validate", "scoring", 1, 5),
    ):
        progress.feed(event, 1.0)
    assert (progress.progress, progress.seconds_left) == (0.0, None)
    progress.feed(Finished("run"), 2.0)
    assert progress.progress == 1.0


def test_what_version_0_1_has_measured_is_left_out():
    state = {"spent": 20.0, "progress": 0.25, "measured": {"teach": [20.0, 18.0]}}
    progress = RunProgress(state)
    progress.feed(resolved(), 0.0)
    assert (progress.progress, progress.seconds_left) == (0.25, None)


def test_a_job_that_counts_takes_its_speed_from_what_it_has_done_itself():
    """Forty of a hundred were done before it was interrupted; then ten more in ten seconds."""
    progress = CountedProgress()
    assert progress.row == {"progress": 0.0, "seconds_left": None}
    for now, done, left in ((100.0, 40, None), (105.0, 40, None), (110.0, 50, 50.0), (130.0, 60, 60.0)):
        progress.feed(Progress(None, "trainings", done, 100), now)
        assert progress.row == {"progress": done / 100, "seconds_left": left}


def said(*expected: tuple[float, float | None]) -> list[float | None]:
    """What is said of the time left at the end of each second of (seconds, left at their end)."""
    time_left, now, left, heard = TimeLeft(), 0.0, expected[0][1], []
    for seconds, until in expected:
        began, before = now, left
        while now < began + seconds:
            now += 1
            share = (now - began) / seconds
            left = until if until is None or before is None else before + share * (until - before)
            heard.append(time_left.check(left, left or 0.0, now))
    return heard


def test_a_time_left_that_comes_true_is_said_all_the_time():
    assert None not in said((0, 60.0), (60, 0.0))
    assert None not in said((0, 3_600.0), (7_200, 0.0)), "also where it takes twice as long"


def test_on_a_busy_machine_a_time_left_is_as_long_as_it_then_takes():
    """What was estimated as a minute takes ten: a second of it goes by in ten."""
    heard = said((0, 60.0), (600, 0.0))
    assert heard[:TRIED] == pytest.approx([60 - 0.1 * second for second in range(1, TRIED + 1)], abs=0.2)
    assert heard[TRIED + 1 :] == pytest.approx([600 - second for second in range(TRIED + 2, 601)], abs=1)


def test_what_an_estimate_has_learned_of_other_work_does_not_count_twice():
    """A minute of work for 100 seconds; from the 50th on it takes four times as long, as the estimate says.

    Half a minute of work is left then: 50 seconds before, 200 after.
    """
    time_left, heard = TimeLeft(), []
    for second in range(1, 251):
        work = 60 - 0.6 * second if second <= 50 else 30 - 0.15 * (second - 50)
        slowness = 1 / 0.6 if second <= 50 else 4 / 0.6
        heard.append(time_left.check(work * slowness, work, float(second)))
    assert heard[:50] == pytest.approx([100 - second for second in range(1, 51)])
    assert heard[50:] == pytest.approx([200 - second for second in range(1, 201)])


def test_a_time_left_that_does_not_come_true_is_said_no_more():
    """ "14 s left" for two minutes, while a model is loaded, say."""
    heard = said((120, 14.0))
    assert heard[:TRIED] == [14.0] * TRIED
    assert heard[TRIED + 1 :] == [None] * (120 - TRIED - 1)


def test_a_long_time_left_that_grows_is_said_no_more_until_it_comes_true():
    heard = said((0, 600.0), (600, 780.0), (780, 0.0))
    assert heard[100] is not None
    assert heard[200:600] == [None] * 400
    assert None not in heard[900:]


def test_without_a_time_left_none_is_said():
    assert said((30, None)) == [None] * 30
    assert said((10, 14.0), (1, None), (15, 14.0))[-15:] == [14.0] * 15, (
        "and what was said before is forgotten"
    )


def test_an_estimate_that_the_run_makes_itself_counts_like_one_before_it():
    progress = RunProgress()
    progress.feed(Estimated({"teach": 20.0, "record": 10.0, "distil": 50.0, "validate": 0.0}, {}), 0.0)
    progress.feed(resolved(), 0.0)
    assert progress.seconds_left == pytest.approx(80.0)


def test_the_time_left_of_a_run_that_says_nothing_is_taken_back(kd_home, monkeypatch):
    monkeypatch.setattr("kd_core.jobs.progress.TRIED", 2.0)
    with closing(Store()) as store:
        store.create_run("r1", DistillConfig().model_dump(mode="json"))
        store.write("r1", [(datetime.now(UTC), Estimated(dict.fromkeys(STAGES, 1.0), {}))])
        recorder = Recorder(store, "r1")
        recorder(resolved())
        seen: list[float | None] = []
        until = monotonic() + 60
        while monotonic() < until and (not seen or seen[-1] is not None):
            left = store.run("r1").seconds_left
            if seen or left is not None:
                seen.append(left)
            sleep(0.05)
        recorder.close()
    assert seen[0] == pytest.approx(4.0)
    assert seen[-1] is None


def test_a_time_left_is_tried_by_a_clock_that_stands_still_in_a_pause(kd_home, monkeypatch):
    monkeypatch.setattr("kd_core.jobs.recorder.EVERY", 0.01)
    looks, now = [], [0.0]

    def clock() -> float:
        looks.append(now[0])
        return now[0]

    with closing(Store()) as store:
        store.create_run("r1", DistillConfig().model_dump(mode="json"))
        store.write("r1", [(datetime.now(UTC), Estimated(dict.fromkeys(STAGES, 1.0), {}))])
        recorder = Recorder(store, "r1", clock=clock)
        recorder(resolved())
        while len(looks) < 20:
            sleep(0.01)
        assert store.run("r1").seconds_left == pytest.approx(4.0)
        now[0] = TRIED + 1.0
        while looks[-10:] != [now[0]] * 10:
            sleep(0.01)
        assert store.run("r1").seconds_left is None
        recorder.close()


def test_what_auto_has_become_is_known_while_it_runs(kd_home):
    with closing(Store()) as store:
        store.create_run("r1", DistillConfig().model_dump(mode="json"))
        assert (store.run("r1").temperature, store.run("r1").teacher) == (None, "auto")
        recorder = Recorder(store, "r1")
        said = resolved({"objective.temperature": 3.0, "teacher.model": "minilm-l3"})
        recorder(said)
        recorder.close()
        assert (store.run("r1").temperature, store.run("r1").teacher) == (3.0, "minilm-l3")
