"""Tests of the paired comparison of two students, and of the interval and the p-value that come with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.metrics import f1_score

from kd_core.distillation.comparison import (
    Verdict,
    f1_gains,
    f1_loss,
    f1_verdict,
    judge,
    mean_squares,
    of_other_texts,
    tail_of_zero,
    verdict,
)
from kd_core.distillation.metrics import scores, wilson
from kd_core.errors import DataError
from tests.bench.bench_verdict import says, simulated

PROPERTY = settings(deadline=None, max_examples=30)
NO_EVENT = -np.log(0.025)  # a Poisson mean that shows at least one event in 97.5 % of samples


def outcomes(student_only: int, alone_only: int, both: int = 20, neither: int = 5):
    student = [True] * (both + student_only) + [False] * (alone_only + neither)
    alone = [True] * both + [False] * student_only + [True] * alone_only + [False] * neither
    return np.array([student]), np.array([alone])


@st.composite
def pairs(draw):
    """Draw the outcomes of two students, (seeds, texts), with texts and seeds that differ in difficulty."""
    seeds, texts = draw(st.integers(1, 4)), draw(st.integers(2, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    hard = random.random(texts) * draw(st.floats(0.2, 1.5))
    return tuple(random.random((seeds, texts)) > hard * draw(st.floats(0.3, 1.0)) for _ in range(2))


@PROPERTY
@given(st.integers(0, 60), st.integers(0, 60))
def test_one_seed_has_the_p_value_of_mcnemars_exact_test(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert verdict(*outcomes(b, c)).p_value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("texts", [30, 5000])
@pytest.mark.parametrize(
    ("b", "c", "p", "kind"),
    [  # p is twice the tail of a fair coin, by hand
        (4, 0, 2 / 2**4, "no_difference"),
        (5, 0, 2 / 2**5, "no_difference"),
        (6, 0, 2 / 2**6, "helped"),
        (0, 5, 2 / 2**5, "no_difference"),
        (0, 6, 2 / 2**6, "hurt"),
        (7, 1, 2 * (1 + 8) / 2**8, "no_difference"),
        (9, 2, 2 * (1 + 11 + 55) / 2**11, "no_difference"),
        (14, 5, 2 * (1 + 19 + 171 + 969 + 3876 + 11628) / 2**19, "no_difference"),
    ],
)
def test_few_disagreements_by_hand(b, c, p, kind, texts):
    found = verdict(*outcomes(b, c, both=texts - b - c, neither=0))
    assert (found.kind, found.p_value, found.delta) == (kind, pytest.approx(p), (b - c) / texts)
    assert (found.low > 0, found.high < 0) == (kind == "helped", kind == "hurt")
    assert (found.n, found.seeds) == (texts, 1)


def test_interval_without_any_disagreement():
    found, bound = verdict(*outcomes(0, 0, both=500, neither=0)), NO_EVENT / 500
    assert found == Verdict("no_difference", 0.0, pytest.approx(-bound), pytest.approx(bound), 1.0, 500, 1)
    heavier = judge(np.zeros((3, 500)), 3.0)
    assert (heavier.low, heavier.high) == pytest.approx((-3 * bound, 3 * bound))
    assert judge(np.zeros((1, 500)), 0.5).high == pytest.approx(bound), "a text weighs at least 1"


def test_bounds_stay_between_minus_one_and_one():
    assert (judge(np.zeros((1, 2))).low, judge(np.zeros((1, 2))).high) == (-1.0, 1.0)
    found = verdict(np.ones((1, 10), bool), np.zeros((1, 10), bool))
    assert (found.kind, found.delta, found.high) == ("helped", 1.0, 1.0)


def test_interval_of_many_disagreements_is_nearly_normal():
    found = verdict(*outcomes(600, 200, both=8000, neither=1200))
    half = 1.96 * (800 / 10_000**2) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.04 - half, 0.04 + half), abs=0.0002)


def test_coverage_of_the_interval_of_one_seed():
    random = np.random.default_rng(0)
    held = []
    for _ in range(150):
        alone = random.random((1, 300)) < 0.8
        student = np.where(random.random((1, 300)) < 0.2, random.random((1, 300)) < 0.9, alone)
        found = verdict(student, alone)
        held.append(found.low <= 0.2 * (0.9 - 0.8) <= found.high)
    assert 0.94 <= np.mean(held) <= 0.995


@PROPERTY
@given(pairs(), st.integers(0, 2**32))
def test_properties_of_every_verdict(outcome, seed):
    found = verdict(*outcome)
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0) == (found.kind != "no_difference")
    assert found.low <= found.delta <= found.high
    assert 0 < found.p_value <= 1

    back = verdict(*outcome[::-1])
    assert (back.delta, back.low, back.high) == pytest.approx((-found.delta, -found.high, -found.low))
    assert back.p_value == pytest.approx(found.p_value)
    assert {found.kind, back.kind} in ({"helped", "hurt"}, {"no_difference"})

    random = np.random.default_rng(seed)
    seeds, texts = (random.permutation(size) for size in outcome[0].shape)
    shuffled = verdict(*(right[seeds][:, texts] for right in outcome))
    assert (shuffled.low, shuffled.high) == pytest.approx((found.low, found.high), abs=1e-9)


@PROPERTY
@given(pairs(), st.integers(1, 40))
def test_texts_without_news_and_repeated_seeds_change_nothing(outcome, more):
    one = [right[:1] for right in outcome]
    found = verdict(*one)
    longer = verdict(*(np.hstack([right, np.ones((1, more), bool)]) for right in one))
    assert longer.p_value == pytest.approx(found.p_value)
    thrice = verdict(*(np.repeat(right, 3, axis=0) for right in one))
    assert (thrice.low, thrice.high) == pytest.approx((found.low, found.high), abs=1e-9)
    assert (thrice.p_value, thrice.seeds) == (pytest.approx(found.p_value), 3)


@pytest.mark.parametrize("gains", [[0.2, 0.1, 0.1, 0.0], [0.3, 0.2, -0.1, -0.05]])
def test_interval_scales_with_the_gains(gains):
    gains = np.array([gains * 20]) / 10
    small, unseen = judge(gains), judge(gains, 0.1)
    large, heavier = judge(4 * gains), judge(4 * gains, 0.4)
    assert (large.low, large.high) == pytest.approx((4 * small.low, 4 * small.high))
    assert (heavier.low, heavier.high) == pytest.approx((4 * unseen.low, 4 * unseen.high))
    assert large.p_value == pytest.approx(small.p_value)
    assert unseen.low < small.low


# P(a s G(a) <= d G(c)) for gamma variables is that of a beta variable of (a, c) below d / (s + d).
@pytest.mark.parametrize(
    ("gains", "heaviest", "times", "ups", "downs", "place"),
    [
        ([1] * 5, 1.0, 1, 5, 1, 1 / 2),
        ([1] * 5, 3.0, 1, 5, 1, 3 / 4),
        ([1, 1, 1, -1], 1.0, 1, 3, 2, 1 / 2),
        ([1, 1, 1, -1], 1.0, 2, 6, 3, 1 / 2),
        ([1, 1, 1, -1], 2.0, 1, 3, 9 / 5, 5 / 8),
        ([2, 1, -1, -0.5], 1.0, 1, 9 / 5, 2.5 / 0.9, 0.54 / 1.54),
        ([2, 1, -1, -0.5], 0.1, 1, 9 / 5, 2.8, 1 / 3),
        ([2, 1], 0.0, 1, 9 / 5, 1, 1 / 2),
    ],
)
def test_tail_of_zero_by_hand(gains, heaviest, times, ups, downs, place):
    expected = special.betainc(ups, downs, place)
    assert tail_of_zero(np.array(gains), heaviest, times) == pytest.approx(expected, rel=1e-5)


def test_tail_of_zero_without_gains():
    assert tail_of_zero(np.zeros(3), 0.0) == pytest.approx(1.0)
    assert tail_of_zero(np.array([-1.0, 0.0]), 1.0) == pytest.approx(1.0)


# Several seeds


def test_mean_squares_by_hand():
    # Seeds: 1 and 1. Texts: 0.5, 0 and 2.5, so 2 * (0.25 + 1 + 2.25) / 2. The rest: 0.5, 0, -0.5, and back.
    assert mean_squares(np.array([[1.0, 0, 2], [0, 0, 3]])) == pytest.approx((0.0, 3.5, 0.5))
    # Seeds: 2 and 0, so 3 * (1 + 1) / 1. Texts: 1.5, 0.5 and 1, so 2 * (0.25 + 0.25) / 2. The rest: all 0.5.
    assert mean_squares(np.array([[3.0, 1, 2], [0, 0, 0]])) == pytest.approx((6.0, 0.5, 0.5))
    assert mean_squares(np.array([[1.0, -1, 2]])) == (0.0, 2.0, 0.0)
    assert mean_squares(np.array([[1.0], [2.0]])) == (0.0, 5.0, 0.0)


def test_seeds_that_disagree_show_no_difference():
    pair = [np.vstack([outcomes(b, 0, 80 - b, 20)[side][0] for b in (10, 0, 5)]) for side in (0, 1)]
    found = verdict(*pair)
    assert (found.kind, found.delta) == ("no_difference", pytest.approx(0.05))
    assert verdict(*(right[:1] for right in pair)).kind == "helped"


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.0), (3, 0.02), (5, 0.01)])
def test_few_false_verdicts_of_several_seeds(seeds, spread):
    """Of 600 samples 5 % are 30, with a standard error of 5."""
    gains = simulated(np.random.default_rng(0), 600, 300, 0.8, spread, seeds)
    found = says(gains)
    some = np.flatnonzero(found)[:5].tolist() + np.flatnonzero(~found)[:5].tolist()
    assert [judge(gains[i].astype(float)).kind != "no_difference" for i in some] == found[some].tolist()
    assert 0.015 < found.mean() < 0.08


def test_without_a_part_of_the_texts_it_is_students_t_over_seeds():
    random = np.random.default_rng(4)
    gains = np.zeros((4, 300))
    for seed, count in enumerate((40, 25, 30, 45)):
        gains[seed, random.permutation(300)[:count]] = 1
    a, b, e = mean_squares(gains)
    assert b < e
    found, expected = judge(gains), stats.ttest_1samp(gains.mean(axis=1), 0)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert a == pytest.approx(300 * gains.mean(axis=1).var(ddof=1))


@pytest.mark.parametrize("shift", [0.01, 0.03, 0.1])
def test_interval_of_seeds_and_texts_is_nearly_students_t(shift):
    """Its degrees of freedom are (S - 1) (A + T) / A, and its variance (A + T) / (S N)."""
    random = np.random.default_rng(1)
    noise = random.normal(0, 0.3, (3, 4000))
    gains = random.normal(0.02, 0.6, 4000) + noise + shift * np.array([[-1], [0], [1]])
    a, b, e = mean_squares(gains)
    t = stats.t.ppf(0.975, 2 * (a + b - e) / a)
    half = t * ((a + b - e) / (3 * 4000)) ** 0.5
    found = judge(gains)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.02)
    assert (found.low + found.high) / 2 == pytest.approx(gains.mean(), abs=0.02 * half)


def test_one_text_of_several_seeds_counts_as_one():
    found, single = judge(np.array([[0.1], [0.1], [0.0]])), judge(np.array([[0.2 / 3]]))
    assert (found.kind, found.delta, found.seeds) == ("no_difference", pytest.approx(0.2 / 3), 3)
    assert (found.low, found.high) == pytest.approx((single.low, single.high))
    heavier = judge(np.array([[0.1], [0.1], [0.0]]), 0.3)
    # The mean square over the seeds is (0.2 / 3)**2, and that of the seeds 0.02 / 3: 2 / 3 of it.
    assert heavier.low == pytest.approx(judge(np.array([[0.2 / 3]]), 0.2).low)


# F1


@PROPERTY
@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(5, 80), st.sampled_from([1.0, 0.9, 0.5]))
def test_gains_of_texts_add_up_to_the_difference_of_f1(seed, classes, texts, weight):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(texts) % classes)
    one, two = (
        np.where(random.random(texts) < 0.7, labels, random.integers(classes, size=texts)) for _ in "ab"
    )
    for among in (None, [1]):
        gains = f1_gains(one, two, labels, None if among is None else np.array(among), weight)
        first, second = (f1_score(labels, said, labels=among, average="macro") for said in (one, two))
        assert gains.mean() == pytest.approx(first - weight * second)
    assert not f1_gains(one, two, labels)[one == two].any()
    assert not f1_gains(one, two, labels, np.array([classes])).any(), "no text and no answer has that class"


# Class 0: F1 of 1 and 2/3, 4 and 3 texts and answers. Class 1: F1 of 1 and 4/5, 4 and 5 texts and answers.
@pytest.mark.parametrize(
    ("classes", "weight", "expected"),
    [
        ([0, 1], 1.0, (2 - 5 / 6) * 4 / 7 + 0.9 * 4 / 9),
        ([1], 1.0, (2 - 0.9) * 8 / 9),
        ([1], 0.25, 0.6 * 8 / 9),
    ],
)
def test_largest_loss_of_one_text_by_hand(classes, weight, expected):
    student, alone, labels = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])
    assert f1_loss(student, alone, labels, np.array(classes), weight) == pytest.approx(expected)
    # Of class 1, which nobody answers, D' is 2: a text of it that is missed weighs 2 * 4 / 2.
    assert f1_loss(0 * labels, 0 * labels, labels, np.array([1]), 1.0) == pytest.approx(4)


def test_macro_f1_of_both_models_is_over_the_classes_of_the_labels():
    labels = np.array([0] * 50 + [1] * 50)
    student = np.where(np.arange(100) == 0, 2, labels)  # one answer of a class that no text has
    alone = np.where(np.arange(100) < 5, 1, labels)
    found = f1_verdict(student[None], alone[None], labels)
    one, two = (scores(np.eye(3)[said], labels, ("a", "b", "c")).macro_f1 for said in (student, alone))
    assert found.delta == pytest.approx(one - two)
    assert found.delta > 0.04


def test_f1_without_disagreement_leaves_room_for_a_rare_class():
    labels = np.array([0] * 97 + [1] * 3)
    weight = (100 / (2 * 97) / 2 + 100 / (2 * 3) / 2) / 2
    found = f1_verdict(labels[None], labels[None], labels)
    assert (found.low, found.high) == pytest.approx((-weight * NO_EVENT / 100, weight * NO_EVENT / 100))


def test_gain_in_a_rare_class_counts_for_more_in_macro_f1():
    labels = np.array([0] * 90 + [1] * 10)
    alone, student = np.zeros(100, int), np.where(np.arange(100) >= 92, 1, 0)
    found = f1_verdict(student[None], alone[None], labels)
    assert found.kind == "helped"
    assert found.delta > 4 * verdict((student == labels)[None], (alone == labels)[None]).delta
    same = f1_verdict(np.stack([student] * 3), alone[None], labels)
    assert (same.low, same.high, same.seeds) == (pytest.approx(found.low), pytest.approx(found.high), 3)
    of_one = f1_verdict(student[None], alone[None], labels, np.array([1]))
    assert of_one.delta == pytest.approx(16 / 18)


def test_few_false_verdicts_from_rare_classes():
    sizes = [175, 136, 106, 83, 65, 51, 39, 31, 24, 14, 11, 9, *[3] * 9, 4, 5, 5, 7]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    random = np.random.default_rng(0)
    one = np.where(random.random(len(labels)) < 0.75, labels, random.integers(0, 4, len(labels)))
    two, apart = one.copy(), random.choice(len(labels), 14, replace=False)
    two[apart] = np.where(one[apart] == labels[apart], 0, labels[apart])
    told_apart = 0
    for _ in range(60):
        swapped = random.random(len(labels)) < 0.5
        pair = (np.where(swapped, two, one)[None], np.where(swapped, one, two)[None])
        told_apart += f1_verdict(*pair, labels).kind != "no_difference"
    assert told_apart <= 3


# Errors, and texts that differ


@pytest.mark.parametrize(
    ("shapes", "error", "message"),
    [
        (((1, 0), (1, 0)), DataError, "no test texts to compare the students on; give the task a test split"),
        (((1, 3), (1, 4)), ValueError, r"got shapes \(1, 3\) and \(1, 4\)"),
        (((3,), (3,)), ValueError, r"\(seeds, items\), got shapes \(3,\) and \(3,\)"),
    ],
)
def test_outcomes_that_cannot_be_compared(shapes, error, message):
    with pytest.raises(error, match=message):
        verdict(*(np.zeros(shape, bool) for shape in shapes))


def test_difference_of_scores_on_different_texts():
    """The first is in Newcombe 1998, table II, method 10: 56 of 70 against 48 of 80."""
    low, high = of_other_texts(48 / 80, wilson(48 / 80, 80), 56 / 70, wilson(56 / 70, 70))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    expected = (0.1 - np.hypot(0.1, 0.2), 0.1 + np.hypot(0.05, 0.1))
    assert of_other_texts(0.5, (0.4, 0.7), 0.6, (0.5, 0.65)) == pytest.approx(expected)
