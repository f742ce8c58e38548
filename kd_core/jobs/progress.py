"""How much of a run is done, and how long the rest will take.

What there is to do, and how much work each part of it is (``cost``), is known when the run has read its task.
Seconds come from the estimate before the start. What the parts that are done really took scales the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kd_core.distillation.events import (
    TEXTS_SCORED,
    Estimated,
    Event,
    Finished,
    Progress,
    Resolved,
    Stage,
    StageFinished,
    Step,
    TrainingStarted,
)
from kd_core.jobs.cost import Part, by_stage, parts
from kd_core.jobs.plan import announced

MEMORY = 0.98  # weight of what was measured before, at each new measurement
PAUSE = 10  # a measurement this many times slower than expected is none
TRIED = 15  # seconds, or a quarter of a longer time: so long a time left has to come true
COMES_TRUE = 0.25  # of the seconds that went by: so much shorter it has to be afterwards
STANDS_STILL = 0.02  # as COMES_TRUE: nobody knows when what hardly moves will end


@dataclass
class _Running:
    """``cost`` is in seconds, or in work where nobody estimated any; ``done`` is a share, 0 to 1.

    ``at`` is when it last was fed since it began, None before: several may go on at once.
    """

    part: Part
    cost: float
    done: float = 0.0
    at: float | None = None

    @property
    def left(self) -> float:
        return self.cost * (1 - self.done)


class RunProgress:
    """Fed with a run's events.

    ``state`` is that of an earlier one, to go on from where a resumed run was; ``estimated`` the seconds that
    were expected of each stage before the start, 0 where its result was in the cache. A run that nobody has
    estimated tells them itself.
    """

    def __init__(
        self, state: Mapping[str, Any] | None = None, estimated: Mapping[str, float] | None = None
    ) -> None:
        before = state or {}
        self._spent: float = before.get("spent", 0.0)
        self._progress: float = before.get("progress", 0.0)
        # For each stage: the seconds that were measured, and the cost that was expected for them.
        self._measured: dict[str, list[float]] = {k: list(v) for k, v in before.get("costs", {}).items()}
        self._estimated = dict(estimated or {})
        self._parts: dict[tuple[str, int], _Running] = {}

    @property
    def row(self) -> dict[str, Any]:
        """The columns of the run's row."""
        state = {"spent": self._spent, "progress": self.progress, "costs": self._measured}
        return {"progress": self.progress, "seconds_left": self.seconds_left, "pace": state}

    @property
    def seconds_left(self) -> float | None:
        """None until the run has said what it does, and something was estimated or measured."""
        if not self._parts or not (self._measured or any(self._estimated.values())):
            return None
        return sum(one.left * self._slowness(one.part.stage) for one in self._parts.values())

    @property
    def work_left(self) -> float:
        """The rest in the seconds that were expected before the start, however fast it goes."""
        return sum(one.left for one in self._parts.values())

    @property
    def progress(self) -> float:
        """Share of the run's time that is behind it, 0 to 1; it never goes back, and is 1 at the very end."""
        left = self.seconds_left
        if left is not None and self._spent + left > 0:
            self._progress = max(self._progress, min(0.99, self._spent / (self._spent + left)))
        return self._progress

    def feed(self, event: Event, now: float) -> None:
        """``now`` is the monotonic time at which the event came."""
        match event:
            case Estimated(expected):
                self._estimated = expected
            case Resolved():
                self._parts = self._foresee(event)
            case TrainingStarted(who, seed, _, cached):
                one = self._part(who, seed)
                one.done, one.at = float(cached), None
            case Step(who, seed, step, steps):
                one, done = self._part(who, seed), step / steps
                # The trainer's own clock: a pause does not count. Its first report only says where it starts.
                texts = (done - one.done) * steps * one.part.texts
                seconds = texts / max(event.samples_per_second, 1e-9) / one.part.together
                self._advance(one, done, seconds, now)
            case Progress("record", _, done, total):
                one = self._part("record")
                self._advance(one, done / total, 0.0 if one.at is None else now - one.at, now)
            # The teacher comes first, and takes about as long as all that follows.
            case Progress("validate", label, done, total) if label == TEXTS_SCORED:
                self._part("validate").done = 0.5 * done / total
            case Progress("validate", _, done, total):
                self._part("validate").done = 0.5 + 0.5 * (done - 1) / max(total - 1, 1) if done else 0.0
            case StageFinished(stage):
                for one in self._parts.values():
                    one.done = 1.0 if one.part.stage == stage else one.done
            case Finished():
                self._progress = 1.0

    def _foresee(self, event: Resolved) -> dict[tuple[str, int], _Running]:
        planned = parts(announced(event))
        work = by_stage(planned)
        estimated = {stage: seconds for stage, seconds in self._estimated.items() if seconds}
        usual = sum(estimated.values()) / sum(work[stage] for stage in estimated) if estimated else 1.0
        running: dict[tuple[str, int], _Running] = {}
        for part in planned:
            stage = part.stage
            rate = estimated[stage] / work[stage] if stage in estimated else usual
            cached = self._estimated.get(stage) == 0
            running[part.who or stage, part.seed] = _Running(part, part.work * rate, float(cached))
        return running

    def _part(self, name: str, seed: int = 0) -> _Running:
        """Of a role or a stage; one that was not foreseen costs nothing."""
        return self._parts.get((name, seed)) or _Running(Part("distil", 0.0), 0.0)

    def _advance(self, one: _Running, done: float, seconds: float, now: float) -> None:
        """``one`` is ``done`` now, and took ``seconds`` since it last was fed."""
        stage, cost, goes_on = one.part.stage, one.cost * (done - one.done), one.at is not None
        one.done, one.at = done, now
        paused = self._measured and seconds > PAUSE * cost * self._slowness(stage)
        if goes_on and cost > 0 and not paused:
            before = self._measured.get(stage, [0.0, 0.0])
            self._measured[stage] = [MEMORY * before[0] + seconds, MEMORY * before[1] + cost]
            self._spent += seconds

    def _slowness(self, stage: Stage) -> float:
        """Real over expected seconds: of this stage, or else of all that was measured."""
        if not self._measured:
            return 1.0
        measured = [self._measured[stage]] if stage in self._measured else list(self._measured.values())
        return sum(seconds for seconds, _ in measured) / sum(cost for _, cost in measured)


class CountedProgress:
    """The progress of a job that counts what it has done: a benchmark, an export, a search.

    What was done before it was interrupted is not counted into its speed.
    """

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._now = 0.0
        self._done = self._total = 0

    @property
    def row(self) -> dict[str, Any]:
        """The columns of the job's row."""
        progress = self._done / self._total if self._total else 0.0
        return {"progress": progress, "seconds_left": self.seconds_left}

    @property
    def seconds_left(self) -> float | None:
        """None until something was done."""
        if self._first is None or self._done <= self._first[1]:
            return None
        seconds, done = self._now - self._first[0], self._done - self._first[1]
        return seconds / done * self.work_left

    @property
    def work_left(self) -> int:
        return self._total - self._done

    def feed(self, event: Event, now: float) -> None:
        """``now`` is the monotonic time at which the event came."""
        if isinstance(event, Progress):
            self._first = self._first or (now, event.done)
            self._now, self._done, self._total = now, event.done, event.total


class TimeLeft:
    """Says how long the rest takes while that comes true; by how fast the work goes where that is slowly.

    An estimate knows neither what else the machine has to do nor how long what no event tells of takes, such
    as loading a model; without this, "14 s left" can be said for minutes. Nothing is said while it stays.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=1_000)  # when, and how much work was left then

    def check(self, left: float | None, work: float, now: float) -> float | None:
        """``left`` seconds are expected at the monotonic time ``now``; None where they are not to be said.

        ``work`` is what is left to do, in any unit. What came true is measured by it: an estimate that has
        already become slower, as its machine has, shrinks by less than the time that went by.
        """
        if left is None:
            self._seen.clear()
            return None
        if not self._seen or now - self._seen[-1][0] >= TRIED / 5:
            self._seen.append((now, work))
        for at, before in reversed(self._seen):
            if work and now - at >= max(TRIED, left * before / work / 4):
                pace = left * (before / work - 1) / (now - at)
                if pace >= COMES_TRUE:
                    return left
                return left / pace if pace >= STANDS_STILL else None
        return left
