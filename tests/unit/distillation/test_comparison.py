"""The verdict: p of exact binomials worked out by hand, and properties that make test and interval one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from kd_core.distillation.comparison import (
    Verdict,
    f1_gains,
    f1_verdict,
    judge,
    mean_squares,
    of_other_texts,
    verdict,
)
from kd_core.distillation.metrics import scores, wilson
from kd_core.errors import DataError
from tests.bench.bench_verdict import says, simulated

PROPERTY = settings(deadline=None, max_examples=60)


def outcomes(student_only: int, alone_only: int, both: int = 20, neither: int = 5, seeds: int = 1):
    student = [True] * (both + student_only) + [False] * (alone_only + neither)
    alone = [True] * both + [False] * student_only + [True] * alone_only + [False] * neither
    return np.array([student] * seeds), np.array([alone] * seeds)


@st.composite
def pairs(draw, least_seeds=1):
    """Outcomes of two students, (seeds, texts), from a few numbers: texts differ, and so do seeds."""
    seeds, texts = draw(st.integers(least_seeds, 4)), draw(st.integers(2, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    hard = random.random(texts) * draw(st.floats(0.2, 1.5))
    return tuple(random.random((seeds, texts)) > hard * draw(st.floats(0.3, 1.0)) for _ in range(2))


# One seed


@PROPERTY
@given(st.integers(0, 60), st.integers(0, 60))
def test_with_one_seed_p_is_mcnemars_exact(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert verdict(*outcomes(b, c)).p_value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("texts", [30, 500, 5000])
@pytest.mark.parametrize(
    ("b", "c", "p"),
    [  # twice the tail of a fair coin, by hand
        (4, 0, 2 / 2**4),
        (5, 0, 2 / 2**5),
        (7, 1, 2 * (1 + 8) / 2**8),
        (9, 2, 2 * (1 + 11 + 55) / 2**11),
        (14, 5, 2 * (1 + 19 + 171 + 969 + 3876 + 11628) / 2**19),
    ],
)
def test_few_disagreements_are_no_verdict(b, c, p, texts):
    found = verdict(*outcomes(b, c, both=texts - b - c, neither=0))
    assert found.kind == "no_difference"
    assert found.low < 0 < found.high
    assert found.p_value == pytest.approx(p)


def test_six_against_none_are_one():
    found = verdict(*outcomes(6, 0, both=490, neither=4))
    assert found.kind == "helped"
    assert found.p_value == pytest.approx(2 / 2**6)
    assert 0 < found.low < found.delta == 6 / 500 < found.high


def test_no_disagreement_is_not_certainty():
    """3.7 texts: an event of which this is more frequent than that is seen at least once in 97.5 of 100."""
    found = verdict(*outcomes(0, 0, both=500, neither=0))
    bound = -np.log(0.025) / 500
    assert found == Verdict("no_difference", 0.0, pytest.approx(-bound), pytest.approx(bound), 1.0, 500, 1)


def test_the_interval_is_nearly_the_normal_one_where_there_is_enough():
    found = verdict(*outcomes(600, 200, both=8000, neither=1200))
    half = 1.96 * (800 / 10_000**2) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.04 - half, 0.04 + half), abs=0.0002)


def test_one_seed_covers_in_at_least_95_of_100():
    random = np.random.default_rng(0)
    held = []
    for _ in range(400):
        alone = random.random((1, 300)) < 0.8
        student = np.where(random.random((1, 300)) < 0.2, random.random((1, 300)) < 0.9, alone)
        found = verdict(student, alone)
        held.append(found.low <= 0.2 * (0.9 - 0.8) <= found.high)
    assert 0.94 <= np.mean(held) <= 0.995


def test_pairing_narrows_the_interval():
    student, alone = outcomes(60, 20, both=800, neither=120)
    unpaired = verdict(student, np.random.default_rng(0).permutation(alone[0])[None])
    paired = verdict(student, alone)
    assert unpaired.delta == paired.delta
    assert unpaired.high - unpaired.low > 1.5 * (paired.high - paired.low)


# Test and interval are one


@PROPERTY
@given(pairs())
def test_a_verdict_is_where_p_is_below_5_in_100_and_the_interval_has_no_zero(outcome):
    found = verdict(*outcome)
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0) == (found.kind != "no_difference")
    assert found.low <= found.delta <= found.high
    assert 0 < found.p_value <= 1


@PROPERTY
@given(pairs())
def test_swapping_the_students_mirrors_the_verdict(outcome):
    there, back = verdict(*outcome), verdict(*outcome[::-1])
    assert (back.delta, back.low, back.high) == pytest.approx((-there.delta, -there.high, -there.low))
    assert back.p_value == pytest.approx(there.p_value)
    assert {there.kind, back.kind} in ({"helped", "hurt"}, {"no_difference"})


@PROPERTY
@given(pairs(), st.integers(0, 2**32))
def test_the_order_of_texts_and_of_seeds_says_nothing(outcome, seed):
    random = np.random.default_rng(seed)
    seeds, texts = (random.permutation(size) for size in outcome[0].shape)
    there, shuffled = verdict(*outcome), verdict(*(right[seeds][:, texts] for right in outcome))
    assert (shuffled.low, shuffled.high) == pytest.approx((there.low, there.high), abs=1e-9)


@PROPERTY
@given(pairs(), st.integers(1, 40))
def test_texts_that_all_get_right_change_no_p_with_one_seed(outcome, more):
    one = [right[:1] for right in outcome]
    longer = [np.hstack([right, np.ones((1, more), bool)]) for right in one]
    assert verdict(*longer).p_value == pytest.approx(verdict(*one).p_value)


@PROPERTY
@given(pairs())
def test_a_seed_seen_twice_is_no_second_seed(outcome):
    one = [right[:1] for right in outcome]
    alone, twice = verdict(*one), verdict(*(np.repeat(right, 3, axis=0) for right in one))
    assert (twice.low, twice.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    assert twice.p_value == pytest.approx(alone.p_value)


# Several seeds


def test_seeds_that_disagree_are_no_verdict():
    """Gains of 10, 0 and 5 points: the texts alone would say yes, three trainings do not."""
    student = np.vstack([outcomes(b, 0, both=80 - b, neither=20)[0] for b in (10, 0, 5)])
    alone = np.vstack([outcomes(b, 0, both=80 - b, neither=20)[1] for b in (10, 0, 5)])
    found = verdict(student, alone)
    assert found.kind == "no_difference"
    assert verdict(student[:1], alone[:1]).kind == "helped"
    assert found.delta == pytest.approx(0.05)


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.0), (3, 0.02), (5, 0.01)])
def test_of_several_seeds_that_differ_by_luck_alone_few_are_a_verdict(seeds, spread):
    """Of 600 samples 5 % are 30, with a standard error of 5; docs/statistics.md has the whole grid."""
    gains = simulated(np.random.default_rng(0), 600, 300, 0.8, spread, seeds)
    found = says(gains)
    some = np.flatnonzero(found)[:5].tolist() + np.flatnonzero(~found)[:5].tolist()
    assert [judge(gains[i].astype(float)).kind != "no_difference" for i in some] == found[some].tolist()
    assert 0.015 < found.mean() < 0.08


def test_where_texts_have_no_part_it_is_students_t_over_the_seeds():
    """No text is more often gained than chance would have it, so that only the spread of seeds counts."""
    random = np.random.default_rng(4)
    gains = np.zeros((4, 300))
    for seed, count in enumerate((40, 25, 30, 45)):
        gains[seed, random.permutation(300)[:count]] = 1
    a, b, e = mean_squares(gains)
    assert b < e
    found = judge(gains)
    expected = stats.ttest_1samp(gains.mean(axis=1), 0)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert a == pytest.approx(300 * gains.mean(axis=1).var(ddof=1))


def test_the_mean_squares_are_those_of_two_factors():
    gains = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    # Seeds: 1 and 1. Texts: 0.5, 0 and 2.5, so 2 * (0.25 + 1 + 2.25) / 2. The rest: 0.5, 0, -0.5, and back.
    assert mean_squares(gains) == pytest.approx((0.0, 3.5, 0.5))


def test_of_one_text_there_is_no_luck_but_that_of_the_text():
    found, single = judge(np.array([[1.0], [1.0], [0.0]])), judge(np.array([[2 / 3]]))
    assert (found.kind, found.delta, found.seeds) == ("no_difference", pytest.approx(2 / 3), 3)
    assert (found.low, found.high) == pytest.approx((single.low, single.high))


# Any metric


@PROPERTY
@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(5, 80))
def test_shares_of_texts_add_up_to_the_difference_of_two_macro_f1(seed, classes, texts):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(texts) % classes)
    one, two = (
        np.where(random.random(texts) < 0.7, labels, random.integers(classes, size=texts)) for _ in "ab"
    )
    gains = f1_gains(one, two, labels)
    expected = [metrics.f1_score(labels, said, average="macro") for said in (one, two)]
    assert gains.mean() == pytest.approx(expected[0] - expected[1])
    assert not gains[one == two].any()
    rare = f1_gains(one, two, labels, np.array([1]))
    expected = [metrics.f1_score(labels, said, labels=[1], average="macro") for said in (one, two)]
    assert rare.mean() == pytest.approx(expected[0] - expected[1])
    nowhere = f1_gains(one, two, labels, np.array([classes]))
    assert not nowhere.any(), "of no text, and of no answer"


def test_both_macro_f1_of_a_difference_are_means_over_the_same_classes():
    """One answer of a class that no text has: the difference is that of the two macro-F1 of the table."""
    labels = np.array([0] * 50 + [1] * 50)
    student = np.where(np.arange(100) == 0, 2, labels)
    alone = np.where(np.arange(100) < 5, 1, labels)
    found = f1_verdict(student[None], alone[None], labels)
    names = ("a", "b", "c")
    by_table = [scores(np.eye(3)[said], labels, names).macro_f1 for said in (student, alone)]
    assert found.delta == pytest.approx(by_table[0] - by_table[1])
    assert found.delta > 0.04


def test_a_gain_in_a_rare_class_counts_for_more_in_macro_f1():
    labels = np.array([0] * 90 + [1] * 10)
    alone = np.zeros(100, int)
    student = np.where(np.arange(100) >= 92, 1, 0)
    found = f1_verdict(student[None], alone[None], labels)
    assert found.kind == "helped"
    assert found.delta > 4 * verdict((student == labels)[None], (alone == labels)[None]).delta
    same = f1_verdict(np.stack([student] * 3), alone[None], labels)
    assert (same.low, same.high, same.seeds) == (pytest.approx(found.low), pytest.approx(found.high), 3)


def test_equal_models_are_told_apart_by_no_rare_class():
    """Their answers are swapped at random; two texts of a rare class were a verdict in 43 of 200 draws."""
    sizes = [175, 136, 106, 83, 65, 51, 39, 31, 24, 14, 11, 9, *[3] * 9, 4, 5, 5, 7]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    random = np.random.default_rng(0)
    one = np.where(random.random(len(labels)) < 0.75, labels, random.integers(0, 4, len(labels)))
    two, apart = one.copy(), random.choice(len(labels), 14, replace=False)
    two[apart] = np.where(one[apart] == labels[apart], 0, labels[apart])
    told_apart = 0
    for _ in range(200):
        swapped = random.random(len(labels)) < 0.5
        pair = (np.where(swapped, two, one)[None], np.where(swapped, one, two)[None])
        told_apart += f1_verdict(*pair, labels).kind != "no_difference"
    assert told_apart <= 10


def test_a_whole_difference_stays_within_bounds():
    found = verdict(np.ones((1, 10), bool), np.zeros((1, 10), bool))
    assert (found.kind, found.delta, found.high) == ("helped", 1.0, 1.0)
    assert found.p_value == pytest.approx(2 / 2**10)


def test_nothing_and_shapes_that_differ():
    with pytest.raises(DataError, match="no test texts to compare the students on"):
        verdict(np.zeros((1, 0), bool), np.zeros((1, 0), bool))
    with pytest.raises(ValueError, match=r"got shapes \(1, 3\) and \(1, 4\)"):
        verdict(np.zeros((1, 3), bool), np.zeros((1, 4), bool))
    with pytest.raises(ValueError, match=r"\(seeds, items\), got shapes \(3,\) and \(3,\)"):
        verdict(np.zeros(3, bool), np.zeros(3, bool))


def test_scores_of_different_texts() -> None:
    """Newcombe 1998, table II, method 10: 56 of 70 against 48 of 80 are 0.2 apart, 0.0524 to 0.3339."""
    low, high = of_other_texts(48 / 80, wilson(48 / 80, 80), 56 / 70, wilson(56 / 70, 70))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
