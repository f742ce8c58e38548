from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from kd_core.distillation.comparison import judge
from kd_core.search import Cell, Score, SearchConfig, SearchResult, Setting
from kd_core.search.results import (
    best_of,
    choose,
    compared_with_best,
    difference,
    flattered,
    optimism,
)

USUAL = 4.0  # the default temperature


def scores_of(*accuracies: float, right: tuple[str, ...] = ()) -> list[Score]:
    """Of folds 0, 1, ... of seed 0, with right and wrong answers where ``right`` has them."""
    answers = right or ("",) * len(accuracies)
    return [
        Score(seed=0, fold=i, accuracy=one, seconds=1.0, right=answers[i]) for i, one in enumerate(accuracies)
    ]


def cell(number: int, *accuracies: float, t: float = 4.0, alpha: float = 0.3, **facts: Any) -> Cell:
    setting = Setting(
        temperature=t, alpha=alpha, learning_rate="auto", student="tiny", divergence="forward_kl"
    )
    mean = sum(accuracies) / len(accuracies)
    known = {"state": "done", "setting": setting, "params": 100, "teacher_texts": 50} | facts
    return Cell(number=number, scores=scores_of(*accuracies), mean=mean, se=0.01, **known)


def compared(*cells: Cell) -> list[Cell]:
    best = best_of(cells, USUAL)
    return compared_with_best(cells, None if best is None else cells[best])


def test_interval_of_nadeau_and_bengio() -> None:
    found = difference(scores_of(0.90, 0.92, 0.94), scores_of(0.89, 0.90, 0.91))
    assert found.mean == pytest.approx(0.02)
    # Differences 1, 2, 3 points: s = 1, t(0.975, 2) = 4.3027, so 2 ± 4.3027 √(1/3 + 1/2).
    assert found.se == pytest.approx(0.01 / 3**0.5)
    assert (found.low, found.high) == pytest.approx((0.02 - 0.039278, 0.02 + 0.039278), abs=1e-6)


def test_interval_over_folds_and_seeds() -> None:
    def scores(*accuracies: float) -> list[Score]:
        pairs = [(seed, fold) for seed in (0, 1) for fold in (0, 1, 2)]
        return [
            Score(seed=s, fold=f, accuracy=a, seconds=1.0)
            for (s, f), a in zip(pairs, accuracies, strict=True)
        ]

    found = difference(scores(0.9, 0.8, 0.7, 0.9, 0.8, 0.7), scores(0.89, 0.78, 0.67, 0.89, 0.78, 0.67)[::-1])
    # Pairs have the same seed and fold: 1, 2, 3, 1, 2, 3 points. s² = 4/5, t(0.975, 5) = 2.570582, and three
    # folds: 2 ± 2.570582 √(4/5) √(1/6 + 1/2).
    half = 0.01 * 2.570582 * math.sqrt(4 / 5) * math.sqrt(1 / 6 + 1 / 2)
    assert (found.mean, found.low, found.high) == pytest.approx((0.02, 0.02 - half, 0.02 + half), abs=1e-6)


def test_interval_of_folds_that_differ_alike_is_that_of_the_texts() -> None:
    """One text more in each of two folds of 50: no spread over folds, and 2 texts of 100 show nothing."""
    best = scores_of(0.90, 0.90, right=("1" * 45 + "0" * 5,) * 2)
    other = scores_of(0.88, 0.88, right=("1" * 44 + "0" * 6,) * 2)
    found, texts = difference(best, other), judge(np.array([([0] * 44 + [1] + [0] * 5) * 2], float))
    assert (found.mean, found.se) == (pytest.approx(0.02), pytest.approx(0))
    assert (found.low, found.high) == (texts.low, texts.high)
    assert found.low < 0 < found.high
    swapped = difference(other, best)
    assert (swapped.low, swapped.high) == (-found.high, -found.low)
    assert (difference(best, best).low, difference(best, best).high) == (0, 0)
    unknown = difference(best, scores_of(0.88, 0.88))
    assert (unknown.low, unknown.high) == pytest.approx((0.02, 0.02))  # no texts are known of one of them
    one_seed = [score.model_copy(update={"seed": 1}) for score in best]
    both = difference([*best, *one_seed], [*other, *(s.model_copy(update={"seed": 1}) for s in other)])
    assert (both.low, both.high) == pytest.approx((found.low, found.high)), (
        "the same texts, not twice as many"
    )
    assert "right" not in best[0].model_dump()


def test_wide_interval_of_folds_is_not_narrowed_by_the_texts() -> None:
    best = scores_of(0.9, 0.5, right=("1" * 9 + "0", "1" * 5 + "0" * 5))
    other = scores_of(0.5, 0.9, right=("1" * 5 + "0" * 5, "1" * 9 + "0"))
    found = difference(best, other)
    # Differences 0.4 and -0.4: s = 0.4 √2, t(0.975, 1) = 12.7062, n = k = 2: half = t s √(1/2 + 1).
    half = 12.7062 * 0.4 * math.sqrt(2) * math.sqrt(1.5)
    assert (found.low, found.high) == pytest.approx((-half, half), rel=1e-4)


@pytest.mark.parametrize(
    ("others", "same", "near"),
    [
        # Differences of 1, 2, 3 points: the mean is 3.5 standard errors; of 4, -3, 2 it is half of one.
        ([(0.89, 0.90, 0.91), (0.86, 0.95, 0.92)], [True, True], [False, True]),
        # Folds differ far more than these cells do, but all by one point.
        ([(0.89, 0.91, 0.93)], [False], [False]),
        ([(0.88, 0.91, 0.93)], [True], [False]),  # 2, 1, 1 points
        ([(0.90, 0.92, 0.94)], [True], [True]),
    ],
)
def test_cells_compared_with_the_best(others, same, near) -> None:
    best, *rest = compared(
        cell(0, 0.90, 0.92, 0.94), *(cell(number, *one) for number, one in enumerate(others, 1))
    )
    assert (best.same_as_best, best.near_best) == (True, True)
    assert [one.same_as_best for one in rest] == same
    assert [one.near_best for one in rest] == near


def test_cell_at_exactly_one_standard_error_is_near() -> None:
    """Of differences 1/2 and 0 in two folds the mean and its standard error are 1/4."""
    _, one = compared(cell(0, 0.75, 0.5), cell(1, 0.25, 0.5))
    assert (one.from_best.mean, one.from_best.se, one.near_best) == (0.25, 0.25, True)


def test_cell_that_is_clearly_better_is_not_the_same() -> None:
    [alone] = compared_with_best([cell(0, 0.81, 0.911, 1.01)], cell(0, 0.80, 0.90, 1.00))
    assert alone.from_best.high < 0
    assert (alone.same_as_best, alone.near_best) == (False, True)


def test_only_finished_cells_are_compared() -> None:
    cells = compared(cell(0, 0.9, 0.8), cell(1, 0.95, 0.9, state="pruned"), cell(2, 0.99, state="running"))
    assert best_of(cells, USUAL) == 0
    assert [one.same_as_best for one in cells] == [True, None, None]
    unfinished = [cell(0, 0.9, state="running")]
    assert (best_of(unfinished, USUAL), choose(compared(*unfinished), USUAL)) == (None, None)
    assert compared_with_best(unfinished, None) == unfinished


NEAR = partial(cell, 1, 0.9, 0.81, 0.835)
OTHER = partial(cell, 2, 0.9, 0.81, 0.835)


@pytest.mark.parametrize(
    ("one", "other", "usual", "chosen"),
    [
        (NEAR(), OTHER(t=8.0), USUAL, 1),  # the nearest to the defaults
        (NEAR(), OTHER(t=8.0, teacher_texts=0), USUAL, 2),  # the fewest texts of the teacher
        (NEAR(teacher_texts=1), OTHER(t=8.0, teacher_texts=0), USUAL, 2),
        (NEAR(), OTHER(t=8.0, params=10), USUAL, 2),  # the smallest
        (NEAR(params=10), OTHER(teacher_texts=0), USUAL, 1),  # size comes first
        (NEAR(), cell(2, 0.5, 0.4, 0.45, params=1), USUAL, 1),  # clearly worse
        (NEAR(), cell(2, 0.99, 0.9, params=1, state="pruned"), USUAL, 1),
        (NEAR(), OTHER(t=8.0), 1.0, 0),  # where a class is rare, the default is T = 1
        # From the defaults, T = 4 and alpha = 0.6: a doubled temperature is as far as 0.25 of alpha.
        (NEAR(t=8.0, alpha=0.6), OTHER(alpha=0.36), USUAL, 2),
        (NEAR(t=8.0, alpha=0.6), OTHER(alpha=0.34), USUAL, 1),
        (NEAR(t=2.0, alpha=0.6), OTHER(alpha=0.84), USUAL, 2),
        (NEAR(t=2.0, alpha=0.6), OTHER(alpha=0.86), USUAL, 1),
        (NEAR(), cell(2, 0.9, 0.81, 0.837), USUAL, 2),  # of equal cost: the highest mean
        (NEAR(), OTHER(setting=None), USUAL, 1),
    ],
)
def test_choice_within_one_standard_error(one, other, usual, chosen) -> None:
    assert choose(compared(cell(0, 0.9, 0.8, 0.85, t=1.0), one, other), usual) == chosen


@pytest.mark.parametrize(("usual", "best"), [(4.0, 0), (1.0, 1)])
def test_of_equal_means_the_nearest_to_the_default_is_best(usual, best) -> None:
    assert best_of([cell(0, 0.9, 0.8, t=4.0), cell(1, 0.9, 0.8, t=1.0)], usual) == best


def test_optimism_of_the_best_mean() -> None:
    """In settings that are all equal the best mean is luck, of which the bootstrap finds nearly all."""
    rng = np.random.default_rng(0)
    luck, found = [], []
    for _ in range(60):
        cells = [cell(number, *(0.8 + 0.01 * rng.standard_normal(9))) for number in range(16)]
        luck.append(max(c.mean or 0 for c in cells) - 0.8)
        found.append(optimism(cells, 400))
    assert np.mean(found) == pytest.approx(np.mean(luck), rel=0.1)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([cell(0, 0.9, 0.9, 0.9), cell(1, 0.8, 0.8, 0.8)], pytest.approx(0)),
        # Whichever fold is drawn, the cell that is best there has 0 on the other one; the best mean is 0.5.
        ([cell(0, 1.0, 0.0), cell(1, 0.0, 0.6)], pytest.approx(0.5)),
        ([cell(0, 0.9, 0.8)], None),
        ([cell(0, 0.9), cell(1, 0.8)], None),
        ([cell(0, 0.9, 0.8), cell(1, 0.7, 0.9, state="pruned")], None),
    ],
)
def test_optimism_by_hand(cells, expected) -> None:
    assert optimism(cells, 400) == expected


def result_of(*cells: Cell, optimism: float | None = None, choice: int | None = None) -> SearchResult:
    facts = {"study": "s", "alone": [], "teacher": [], "best": choice, "complete": True, "seconds": 0.0}
    config = SearchConfig()
    known = facts | {"config": config, "trainings": 0, "trainings_done": 0}
    return SearchResult(cells=list(cells), choice=choice, optimism=optimism, **known)


@pytest.mark.parametrize(
    ("states", "optimism", "expected"),
    [
        (["done"] * 3, 0.004, "The best of 3 settings %s about 0.4 points less than its mean (%s)."),
        (["done"] * 3, 0.0004, "The best of 3 settings %s hardly less than its mean (%s)."),
        (["done"] * 3, -0.002, "The best of 3 settings %s hardly less than its mean (%s)."),
        (["done"] * 3, None, "The best of 3 settings %s hardly less than its mean (%s)."),
        (
            ["done", "done", "pruned", "failed"],
            0.004,
            "The best of 3 settings %s at least 0.4 points less than its mean (%s, without the 1 that were "
            "given up).",
        ),
        (
            ["done", "pruned", "pruned"],
            -0.002,
            "The best of 3 settings %s at least 0.0 points less than its mean (%s, without the 2 that were "
            "given up).",
        ),
    ],
)
def test_sentence_on_optimism(states, optimism, expected) -> None:
    cells = [cell(number, 0.9, state=state) for number, state in enumerate(states)]
    picked = "was picked on these very texts, which flatters it: on others expect"
    assert flattered(result_of(*cells, optimism=optimism)) == expected % (picked, "bootstrap of the choice")


def test_config_of_a_cell() -> None:
    found = result_of(cell(0, 0.9, t=1.0), cell(1, 0.9, t=2.0), cell(2, 0.9, setting=None), choice=1)
    assert found.chosen() == found.config.apply(found.cells[1].setting)
    assert found.chosen(0).objective.temperature == 1.0
    assert found.chosen(2) is None
    assert result_of(cell(0, 0.9)).chosen() is None
