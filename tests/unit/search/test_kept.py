from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multinomial

from kd_core.distillation.comparison import f1_gains, f1_loss
from kd_core.search.kept import F1Pairs, Pairs, at_least, at_most, compared, even_texts, texts_to_show

counts = st.integers(0, 300)
WANTED = 1.6449  # standard errors, one-sided, for 95 %

# Accuracy


def test_pairs_are_counted_by_who_is_right() -> None:
    student = np.array([True, True, False, False, True])
    teacher = np.array([True, False, True, False, True])
    assert Pairs.of(student, teacher) == Pairs(2, 1, 1, 1)
    assert Pairs(2, 1, 1, 1).kept == 1.0
    assert Pairs(72, 0, 18, 10).kept == 0.8
    # Against the whole teacher the score is McNemar's.
    assert Pairs(100, 12, 5, 30).score(1.0) == pytest.approx(7 / math.sqrt(17))


@pytest.mark.parametrize(
    ("pairs", "share"), [((90, 2, 2, 6), 0.9), ((60, 10, 12, 18), 0.8), ((250, 20, 10, 36), 0.98)]
)
def test_variance_is_that_of_the_likeliest_shares_under_the_hypothesis(pairs, share) -> None:
    """Find the likeliest by a search over p11 and p01; p10 = q p01 - (1 - q) p11 makes the student keep q."""

    def unlikely(shares: np.ndarray) -> float:
        both, teacher_only = shares
        student_only = share * teacher_only - (1 - share) * both
        cells = np.array([both, student_only, teacher_only, 1 - both - student_only - teacher_only])
        return 1e9 if (cells <= 0).any() else -float(np.array(pairs) @ np.log(cells))

    starts = product((0.3, 0.6, 0.85), (0.12, 0.2, 0.3))
    tries = (minimize(unlikely, start, method="Nelder-Mead", options={"xatol": 1e-9}) for start in starts)
    both, teacher_only = min(tries, key=lambda found: found.fun).x
    student_only = share * teacher_only - (1 - share) * both
    excess = ((1 - share) * pairs[0] + pairs[1] - share * pairs[2]) / sum(pairs)
    expected = excess * math.sqrt(sum(pairs) / (share * (student_only + teacher_only)))
    assert Pairs(*pairs).score(share) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("pairs", "least", "most"),
    [
        ((40, 0, 0, 0), 0.937, 1 / 0.937),  # the rule of three: 3 / 40 remain possible
        ((400, 0, 0, 0), 0.9933, 1 / 0.9933),
        ((0, 0, 0, 5), 0.0, None),
        ((0, 5, 0, 0), 0.0, None),
        ((0, 0, 5, 0), 0.0, None),
    ],
)
def test_bounds_without_a_disagreement_or_a_right_answer(pairs, least, most) -> None:
    assert Pairs(*pairs).kept == (1.0 if least else 0.0)
    assert at_least(Pairs(*pairs)) == pytest.approx(least, abs=0.001)
    assert at_most(Pairs(*pairs)) == (None if most is None else pytest.approx(most, abs=0.001))


@given(counts, counts, counts, counts)
def test_score_at_the_bounds(both, student_only, teacher_only, neither) -> None:
    pairs = Pairs(both, student_only, teacher_only, neither)
    if not pairs.kept:
        return
    bound = at_least(pairs)
    assert 0 <= bound <= pairs.kept
    if bound:
        assert pairs.score(bound) == pytest.approx(WANTED, abs=0.01)
        assert at_least(pairs, 0.99) <= bound
    if (most := at_most(pairs)) is not None:
        assert most >= pairs.kept
        swapped = Pairs(both, teacher_only, student_only, neither)
        assert swapped.score(1 / most) == pytest.approx(WANTED, abs=0.01)


@given(st.integers(1, 300), counts, counts, counts)
def test_so_many_texts_as_are_needed_show_a_share(both, student_only, teacher_only, neither) -> None:
    pairs = Pairs(both, student_only, teacher_only, neither)
    share = 0.97 * pairs.kept
    needed = texts_to_show(pairs, share)
    assert needed is not None
    assert at_least(pairs.times(needed / pairs.texts)) >= share - 1e-5
    if needed > 2:
        assert at_least(pairs.times((needed - 1.01) / pairs.texts)) <= share + 1e-5


def test_error_rate_of_the_bound_of_accuracy() -> None:
    """Sum over all tables of 60 texts: teacher 0.9, student 0.882, 0.08 of disagreement."""
    tables = np.array([t for t in product(range(61), range(12), range(16)) if sum(t) <= 60])
    tables = np.column_stack((tables, 60 - tables.sum(axis=1)))
    chances = multinomial.pmf(tables, 60, (0.851, 0.031, 0.049, 0.069))
    assert chances.sum() > 0.9999
    likely = chances > 1e-5
    wrong = sum(
        chance
        for table, chance in zip(tables[likely], chances[likely], strict=True)
        if Pairs(*map(float, table)).score(0.98) > WANTED
    )
    assert 0.01 < wrong < 0.06


# F1

LABELS = np.array([0] * 6 + [1] * 4)
TEACHER = np.array([0] * 7 + [1] * 3)  # F1 of 12/13 and 6/7
STUDENT = np.array([1] + [0] * 7 + [1] * 2)  # F1 of 10/13 and 4/7


@pytest.mark.parametrize(
    ("metric", "kept"), [("accuracy", 7 / 9), ("macro_f1", 61 / 81), ("f1:b", 4 / 6), ("f1:a", 10 / 12)]
)
def test_share_is_the_students_score_over_the_teachers(metric, kept) -> None:
    assert compared(metric, STUDENT, TEACHER, LABELS, ("a", "b")).kept == pytest.approx(kept)


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.98, 1.2])
def test_gains_of_texts_add_up_to_the_difference(weight) -> None:
    one = f1_gains(STUDENT, TEACHER, LABELS, np.array([1]), weight)
    assert one.mean() == pytest.approx(4 / 7 - weight * 6 / 7)
    both = f1_gains(STUDENT, TEACHER, LABELS, None, weight)
    assert both.mean() == pytest.approx((61 - weight * 81) / 91)


@pytest.mark.parametrize(
    ("classes", "weight", "loss"),
    [
        # D' is 13 and 7; F' is 11/13 and 5/7 with a weight of 1: a text of b is taken for a.
        ([0, 1], 1.0, 5 * ((2 - 5 / 7) / 7 + 11 / 13 / 13)),
        ([1], 1.0, 10 * (2 - 5 / 7) / 7),
        # With a weight of 0.5 F' is 1/2, and to be missed by both is worth as much.
        ([1], 0.5, 10 * 0.5 / 7),
    ],
)
def test_heaviest_loss_of_a_text(classes, weight, loss) -> None:
    assert f1_loss(STUDENT, TEACHER, LABELS, np.array(classes), weight) == pytest.approx(loss)


@pytest.mark.parametrize("others", [95, 995])
def test_few_texts_of_a_rare_class_show_little(others) -> None:
    """Compare with the bound of five texts of a class, however many there are of others.

    Both find 5 of 5. Each gains 2 (1 - q) / D', one that is taken for them costs (1 + q) / 2 / D', and
    P(Gamma(5) <= x Gamma(1)) = (1 + 1 / x)**-5 is 0.05 at the bound q.
    """
    root = 20 ** (1 / 5) - 1
    labels = np.array([1] * 5 + [0] * others)
    equal = compared("f1:b", labels, labels, labels, ("a", "b"))
    assert equal.kept == 1.0
    assert at_least(equal) == pytest.approx((4 - root) / (4 + root), abs=0.002)
    assert at_least(compared("accuracy", labels, labels, labels, ("a", "b"))) > 0.97


def test_bounds_and_texts_needed_of_f1() -> None:
    pairs = compared("macro_f1", STUDENT, TEACHER, LABELS, ("a", "b"))
    assert texts_to_show(pairs, pairs.kept) is None
    times = texts_to_show(pairs, 0.7, 0.99) // 10
    fewer, enough, many = (
        F1Pairs(*(np.tile(values, count) for values in (STUDENT, TEACHER, LABELS)), np.arange(2))
        for count in (times - 1, times + 1, 40)
    )
    assert at_least(fewer, 0.99) < 0.7 < at_least(enough, 0.99)
    assert at_least(many) < many.kept < (most := at_most(many)) < 1
    none = compared("macro_f1", np.ones(3, int), np.zeros(3, int), np.ones(3, int), ("a", "b"))
    assert (none.kept, at_least(none)) == (0.0, 0.0)  # of a teacher that is never right
    assert many.swapped.score(1 / most) == pytest.approx(WANTED, abs=0.01)


@pytest.mark.parametrize("texts", [300, 600, 1200])
def test_error_rate_of_the_bound_of_f1(texts) -> None:
    """Simulate 5 % of a class, of which both find 9 of 10, and the student 98 % of that."""
    recall = 0.882 * 1.1 / (2 - 0.882)  # F1 = 2 r / (1 + r + 0.1) is 0.9 x 0.98
    random = np.random.default_rng(texts)
    wrong = 0
    for _ in range(300):
        labels = (random.random(texts) < 0.05).astype(int)
        one, other = random.random((2, texts))
        other = np.where(random.random(texts) < 0.7, one, other)
        teacher = np.where(labels, one < 0.9, one > 1 - 0.1 / 19).astype(int)
        student = np.where(labels, other < recall, other > 1 - 0.1 / 19).astype(int)
        wrong += compared("f1:b", student, teacher, labels, ("a", "b")).score(0.98) > WANTED
    assert wrong <= 18


def test_texts_of_even_classes_that_say_as_much() -> None:
    assert even_texts([950, 50]) == pytest.approx(4 / (1 / 950 + 1 / 50))  # 190
    assert even_texts([100] * 5) == pytest.approx(500)
