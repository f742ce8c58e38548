"""The choice: which cells cannot be told from the best, and which of them is taken."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from kd_core.distillation.comparison import judge
from kd_core.search import Cell, Score, Setting
from kd_core.search.results import best_of, choose, compared_with_best, difference, optimism

pytestmark = pytest.mark.usefixtures("own_database")


def cell(number: int, *accuracies: float, t: float = 4.0, alpha: float = 0.3, **facts: Any) -> Cell:
    setting = Setting(
        temperature=t, alpha=alpha, learning_rate="auto", student="tiny", divergence="forward_kl"
    )
    scores = [Score(seed=0, fold=i, accuracy=a, seconds=1.0) for i, a in enumerate(accuracies)]
    mean = sum(accuracies) / len(accuracies)
    known = {"state": "done", "setting": setting, "params": 100, "teacher_texts": 50} | facts
    return Cell(number=number, scores=scores, mean=mean, se=0.01, **known)


def test_the_difference_has_the_interval_of_nadeau_and_bengio() -> None:
    found = difference(cell(0, 0.90, 0.92, 0.94).scores, cell(1, 0.89, 0.90, 0.91).scores)
    assert found.mean == pytest.approx(0.02)
    # Differences 1, 2, 3 points: s = 1, t(0.975, 2) = 4.3027, so 2 ± 4.3027 √(1/3 + 1/2).
    assert found.se == pytest.approx(0.01 / 3**0.5)
    assert (found.low, found.high) == pytest.approx((0.02 - 0.039278, 0.02 + 0.039278), abs=1e-6)


def test_folds_that_differ_alike_by_chance_do_not_show_a_difference() -> None:
    """One text more in each of two folds of 50: no spread over folds, and two texts of 100 show nothing."""
    best = [Score(seed=0, fold=i, accuracy=0.90, seconds=1.0, right="1" * 45 + "0" * 5) for i in range(2)]
    other = [Score(seed=0, fold=i, accuracy=0.88, seconds=1.0, right="1" * 44 + "0" * 6) for i in range(2)]
    found, texts = difference(best, other), judge(np.array([([0] * 44 + [1] + [0] * 5) * 2], float))
    assert (found.mean, found.se) == (pytest.approx(0.02), pytest.approx(0))
    assert (found.low, found.high) == (texts.low, texts.high)
    assert found.low < 0 < found.high
    assert difference(best, best).high == 0
    # Of a search of before nothing is known of single texts.
    before = [score.model_copy(update={"right": ""}) for score in other]
    assert difference(best, before).low == pytest.approx(0.02)
    assert "right" not in best[0].model_dump()


USUAL = 4.0  # the default temperature


def compared(cells: list[Cell]) -> list[Cell]:
    best = best_of(cells, USUAL)
    return compared_with_best(cells, None if best is None else cells[best])


def test_the_choice_is_within_one_standard_error_of_the_best() -> None:
    """Of differences 1, 2, 3 points the mean is 3.5 standard errors; of 4, -3, 2 it is half of one."""
    best = cell(0, 0.90, 0.92, 0.94)
    worse, alike = cell(1, 0.89, 0.90, 0.91, params=1), cell(2, 0.86, 0.95, 0.92, params=10)
    cells = compared([best, worse, alike])
    assert [c.same_as_best for c in cells] == [True, True, True]  # three folds tell little
    assert [c.near_best for c in cells] == [True, False, True]
    assert choose(cells, USUAL) == 2


def test_picking_the_best_flatters_it() -> None:
    """Settings that are all equal: the best mean is luck, and the bootstrap finds nearly all of it."""
    rng = np.random.default_rng(0)
    luck, found = [], []
    for _ in range(60):
        cells = [cell(number, *(0.8 + 0.01 * rng.standard_normal(9))) for number in range(16)]
        luck.append(max(c.mean or 0 for c in cells) - 0.8)
        found.append(optimism(cells, 400))
    assert np.mean(found) == pytest.approx(np.mean(luck), rel=0.1)
    clear = [cell(0, 0.9, 0.9, 0.9), cell(1, 0.8, 0.8, 0.8)]
    assert optimism(clear, 400) == pytest.approx(0)
    assert optimism(clear[:1], 400) is None


def test_what_cannot_be_told_from_the_best_is_found_by_pairs() -> None:
    best = cell(0, 0.80, 0.90, 1.00)
    steadily_worse = cell(1, 0.79, 0.89, 0.99)  # folds differ far more than these two cells do
    now_and_then = cell(2, 0.82, 0.85, 1.00)
    cells = compared([best, steadily_worse, now_and_then])
    assert [c.same_as_best for c in cells] == [True, False, True]
    assert [c.near_best for c in cells] == [True, False, True]
    assert best_of(cells, USUAL) == 0
    [alone] = compared_with_best([cell(0, 0.81, 0.911, 1.01)], best)
    assert alone.from_best.high < 0
    assert (alone.same_as_best, alone.near_best) == (False, True), "clearly better is not the same"


def test_of_those_the_smallest_then_the_cheapest_then_the_nearest_is_chosen() -> None:
    def chosen(*others: Cell, usual: float = USUAL) -> int | None:
        return choose(compared([cell(0, 0.9, 0.8, 0.85, t=1.0), *others]), usual)

    near, far = cell(1, 0.9, 0.81, 0.835, t=4.0), cell(2, 0.9, 0.81, 0.835, t=8.0)
    assert chosen(near, far) == 1
    assert chosen(near, cell(2, 0.9, 0.81, 0.835, t=8.0, teacher_texts=0)) == 2
    assert chosen(near, cell(2, 0.9, 0.81, 0.835, t=8.0, params=10)) == 2
    assert chosen(near, cell(2, 0.5, 0.4, 0.45, params=1)) == 1  # clearly worse
    assert chosen(near, cell(2, 0.99, 0.9, params=1, state="pruned")) == 1
    assert chosen(near, far, usual=1.0) == 0, "where a class is rare, the default is T = 1"
    alike = {number: partial(cell, number, 0.9, 0.81, 0.835) for number in (1, 2)}
    assert chosen(alike[1](params=10), alike[2](teacher_texts=0)) == 1, "the size comes first"
    # From the defaults, T = 4 and alpha = 0.6: a doubled temperature is as far as 0.25 of alpha.
    assert chosen(alike[1](t=8.0, alpha=0.6), alike[2](alpha=0.36)) == 2
    assert chosen(alike[1](t=8.0, alpha=0.6), alike[2](alpha=0.34)) == 1
    twins = [cell(0, 0.9, 0.8, t=4.0), cell(1, 0.9, 0.8, t=1.0)]
    assert (best_of(twins, 4.0), best_of(twins, 1.0)) == (0, 1)


def test_nothing_is_chosen_before_a_cell_is_done() -> None:
    assert choose(compared([cell(0, 0.9, state="running")]), USUAL) is None
