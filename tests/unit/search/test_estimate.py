from __future__ import annotations

import pytest

from kd_core.errors import ModelError
from kd_core.jobs.estimate import estimate
from kd_core.jobs.plan import make_plan, read_vocabulary
from kd_core.search import SearchConfig, outlook
from kd_core.search.estimate import rung_seconds, rungs
from kd_core.search.ladder import LadderConfig

pytestmark = pytest.mark.usefixtures("own_database")


def test_outlook_counts_students_and_teachers(short_config, tiny_task) -> None:
    vocabulary = read_vocabulary(short_config.teacher, tiny_task)

    def seconds(temperatures: int, folds: int = 2, workers: int = 1, alphas: tuple = (0.5,)) -> float:
        several = {"temperatures": range(1, temperatures + 1), "alphas": alphas}
        config = SearchConfig(distill=short_config, folds=folds, workers=workers, **several)
        found = outlook(config, tiny_task, vocabulary, (), lambda: 1e9)
        assert (found.workers, found.measured) == (workers, False)
        assert found.trainings == (temperatures * len(alphas) + 1) * folds + folds
        return found.seconds

    cell = seconds(2) - seconds(1)
    assert cell > 0
    assert seconds(5) == pytest.approx(seconds(1) + 4 * cell)
    assert seconds(2, alphas=(0.1, 0.5)) == pytest.approx(seconds(1) + 3 * cell)
    assert seconds(1, folds=3) > seconds(1) * 1.2
    # Of 5 cells of equal weight, the student alone being one that takes less, two workers save a part.
    assert seconds(5) - 5 * cell < seconds(5, workers=2) < seconds(5)


def test_ladder_teaches_once(short_config, tiny_task) -> None:
    def plan_of(config):
        if config.student.model == "half":
            raise ModelError("this teacher cannot have it")
        return make_plan(config, tiny_task, read_vocabulary(short_config.teacher, tiny_task))

    config = LadderConfig(distill=short_config, students=("cnn", "half", "tiny", "mini"), int8=False)
    plans = rungs(config, plan_of)
    assert [(name, plan.config.student.model) for name, plan in plans.items()] == [
        (name, name) for name in ("cnn", "tiny", "mini")
    ]
    cnn, tiny, mini = (estimate(plan, (), lambda: 1e9).seconds for plan in plans.values())
    assert cnn["teach"] > 0
    later = sum(one[stage] for one in (tiny, mini) for stage in ("distil", "validate"))
    in_pytorch = sum(rung_seconds(config, plans.values(), (), lambda: 1e9))
    assert in_pytorch == pytest.approx(sum(cnn.values()) + later)
    int8 = config.model_copy(update={"int8": True})
    asked = sum(one["validate"] for one in (cnn, tiny, mini))
    assert sum(rung_seconds(int8, plans.values(), (), lambda: 1e9)) == pytest.approx(in_pytorch + asked)
