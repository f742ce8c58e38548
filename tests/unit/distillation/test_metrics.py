"""Tests of scores, fidelity and intervals, against values by hand and against sklearn and scipy."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special
from sklearn import metrics

from kd_core.distillation.balance import score
from kd_core.distillation.metrics import (
    CELLS,
    ClassScore,
    Latency,
    fidelity,
    fidelity_cells,
    macro_f1_interval,
    scores,
    softmax,
    waited,
)
from kd_core.errors import DataError, DivergedError

NAMES = ("a", "b", "c")
PROPERTY = settings(deadline=None, max_examples=30)
LOGITS = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-30, 30))
Z = 1.959963984540054


def logits_of(*rows):
    """Give logits whose softmax is ``rows``."""
    return np.log(np.array(rows, dtype=float))


def random_case(n=400, classes=3, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, classes)), random.integers(classes, size=n)


def test_softmax_by_hand_and_without_overflow():
    assert softmax(np.array([[0.0, np.log(3)]])) == pytest.approx(np.array([[0.25, 0.75]]))
    assert softmax(np.array([[0.0, 2 * np.log(3)]]), 2.0) == pytest.approx(np.array([[0.25, 0.75]]))
    assert softmax(np.array([[1000.0, 1000.0]], dtype=np.float32)).tolist() == [[0.5, 0.5]]


def test_scores_by_hand():
    logits = logits_of([0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.15, 0.25, 0.6])
    result = scores(logits, np.array([0, 1, 1, 2]), NAMES)
    assert result.accuracy == 0.75
    assert result.confusion == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert result.per_class == [
        ClassScore("a", precision=0.5, recall=1.0, f1=pytest.approx(2 / 3), support=1),
        ClassScore("b", precision=1.0, recall=0.5, f1=pytest.approx(2 / 3), support=2),
        ClassScore("c", precision=1.0, recall=1.0, f1=1.0, support=1),
    ]
    assert result.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    # Wilson's interval of 3 of 4
    middle, half = (3 + Z**2 / 2) / (4 + Z**2), Z / (4 + Z**2) * (0.75 + Z**2 / 4) ** 0.5
    assert (result.low, result.high) == pytest.approx((middle - half, middle + half))


@pytest.mark.parametrize(
    ("logits", "labels", "bins", "ece"),
    [
        (  # two texts in (9/15, 10/15], of which one is right, and one in (13/15, 14/15]
            logits_of([0.62, 0.38], [0.66, 0.34], [0.9, 0.1]),
            [0, 1, 0],
            [(9 / 15, 10 / 15, 0.64, 0.5, 2), (13 / 15, 14 / 15, 0.9, 1.0, 1)],
            (2 * 0.14 + 0.1) / 3,
        ),
        (np.array([[800.0, -800.0], [0.0, 900.0]]), [0, 0], [(14 / 15, 1.0, 1.0, 0.5, 2)], 0.5),
        (np.zeros((1, 5)), [0], [(2 / 15, 3 / 15, 0.2, 1.0, 1)], 0.8),  # an edge is of the bin below
    ],
)
def test_calibration_bins_by_hand(logits, labels, bins, ece):
    result = scores(logits, np.array(labels), "abcde"[: logits.shape[1]])
    assert [astuple(one) for one in result.reliability] == [pytest.approx(one) for one in bins]
    assert result.ece == pytest.approx(ece)


@pytest.mark.parametrize("seed", range(2))
def test_scores_agree_with_sklearn(seed):
    logits, labels = random_case(classes=5, seed=seed)
    predicted = logits.argmax(axis=1)
    result = scores(logits, labels, tuple("abcde"))
    expected = metrics.precision_recall_fscore_support(labels, predicted)
    assert result.accuracy == metrics.accuracy_score(labels, predicted)
    assert result.confusion == metrics.confusion_matrix(labels, predicted).tolist()
    assert result.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    by_class = np.array([astuple(row)[1:] for row in result.per_class])
    np.testing.assert_allclose(by_class.T, expected)


@pytest.mark.parametrize(
    ("answers", "labels", "expected"),
    [
        ([0, 1, 1], [0, 1, 0], 2 / 3),  # no text and no answer of class 2
        ([2, *[0] * 49, *[1] * 50], [*[0] * 50, *[1] * 50], (98 / 99 + 1) / 2),  # one answer of class 2
    ],
)
def test_class_without_texts_has_no_part_in_macro_f1(answers, labels, expected):
    answers, labels = np.array(answers), np.array(labels)
    result = scores(np.eye(3)[answers], labels, NAMES)
    assert result.per_class[2] == ClassScore("c", precision=0.0, recall=0.0, f1=0.0, support=0)
    assert result.macro_f1 == pytest.approx(expected)
    assert score("macro_f1", answers, labels, NAMES) == pytest.approx(expected)
    low, high = macro_f1_interval(answers[None], labels)
    assert low < expected < high


@PROPERTY
@given(LOGITS, st.randoms(use_true_random=False))
def test_properties_of_scores_and_fidelity(teacher, random):
    labels, student, n = np.array([random.randrange(3) for _ in teacher]), teacher[::-1], len(teacher)
    result, found = scores(teacher, labels, NAMES), fidelity(teacher, student, labels)
    counts = [b.count for b in result.reliability]
    assert 0 <= result.low <= result.accuracy <= result.high <= 1
    assert 0 <= result.ece <= 1
    assert sum(map(sum, result.confusion)) == sum(counts) == n
    assert min(counts) > 0
    assert all(b.low - 1e-12 <= b.confidence <= b.high + 1e-12 for b in result.reliability)
    assert sum(b.accuracy * b.count for b in result.reliability) / n == pytest.approx(result.accuracy)

    assert found.both_right + found.mended + found.inherited + found.new_error == n
    assert found.both_right + found.new_error == round(n * result.accuracy)
    assert found.both_right + found.mended == round(n * scores(student, labels, NAMES).accuracy)
    # Where both are right they agree; where one is right they do not.
    assert found.both_right <= round(n * found.agreement) <= found.both_right + found.inherited
    assert found.kl >= 0
    assert set(fidelity_cells(teacher, student, labels)) <= set(CELLS)
    same = fidelity(teacher, teacher, labels)
    assert (same.agreement, same.kl, same.mended, same.new_error) == (1.0, 0.0, 0, 0)
    # Adding one number to all logits changes no probability.
    assert fidelity(teacher, teacher + 5.0, labels).kl == pytest.approx(0, abs=1e-9)


FOUR = np.zeros((4, 3))
BROKEN = np.where(np.arange(12).reshape(4, 3) % 7 == 5, np.nan, 0.0)  # one number of one text
DIVERGED = r"outputs are NaN or infinite for 1 of 4 texts; train it again .*\(--learning-rate, "


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: scores(np.zeros((0, 3)), np.zeros(0, int), NAMES), DataError, "no texts to score; give the"),
        (lambda: scores(BROKEN, np.zeros(4, int), NAMES), DivergedError, DIVERGED),
        (lambda: scores(FOUR - np.inf, np.zeros(4, int), NAMES), DivergedError, "infinite for 4 of 4"),
        (lambda: fidelity(FOUR, BROKEN, np.zeros(4, int)), DivergedError, DIVERGED),
        (lambda: scores(FOUR, np.zeros(3, int), NAMES), ValueError, r"got \(4, 3\) and \(3,\)"),
        (lambda: scores(np.zeros(4), np.zeros(4, int), NAMES), ValueError, r"got \(4,\) and \(4,\)"),
        (lambda: scores(FOUR, np.zeros(4, int), "ab"), ValueError, "2 class names for logits of 3 classes"),
        (lambda: scores(FOUR, np.array([0, 1, 3, 2]), NAMES), ValueError, "between 0 and 2, got 0 to 3"),
        (lambda: fidelity(FOUR, FOUR, np.array([0, 1, -1, 2])), ValueError, "0 and 2, got -1 to 2"),
        (
            lambda: fidelity(FOUR, np.zeros((4, 4)), np.zeros(4, int)),
            ValueError,
            r"teacher logits of shape \(4, 3\), student logits of \(4, 4\)",
        ),
    ],
)
def test_inputs_that_cannot_be_scored(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_fidelity_by_hand():
    teacher, student = np.eye(3)[[0, 1, 1, 1, 0, 0]], np.eye(3)[[0, 0, 1, 2, 1, 0]]
    labels = np.zeros(6, int)
    expected = ["both_right", "mended", "inherited", "inherited", "new_error", "both_right"]
    assert fidelity_cells(teacher, student, labels) == expected
    result = fidelity(teacher, student, labels)
    assert (result.both_right, result.mended, result.inherited, result.new_error) == (2, 1, 2, 1)
    assert result.agreement == 0.5


def test_kl_divergence_by_hand_and_as_scipy_has_it():
    teacher, student = logits_of([0.5, 0.5], [0.9, 0.1]), logits_of([0.25, 0.75], [0.9, 0.1])
    expected = (0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)) / 2
    assert fidelity(teacher, student, np.array([0, 0])).kl == pytest.approx(expected)
    (teacher, labels), (student, _) = random_case(), random_case(seed=1)
    expected = special.rel_entr(softmax(teacher), softmax(student)).sum(axis=1).mean()
    assert fidelity(teacher, student, labels).kl == pytest.approx(expected)
    assert fidelity(student, teacher, labels).kl != pytest.approx(expected)
    # Rounding takes some of these sums just below zero.
    values = [fidelity(z, z + 0.1, y).kl for z, y in (random_case(n=20, seed=seed) for seed in range(20))]
    assert min(values) == 0.0
    assert max(values) < 1e-12


# The interval of macro-F1


def test_coverage_of_the_interval_of_macro_f1():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        labels = random.integers(4, size=300)
        answers = np.where(random.random(300) < 0.8, labels, random.integers(4, size=300))
        low, high = macro_f1_interval(answers[None], labels)
        held += low <= 0.8 + 0.2 / 4 <= high  # a quarter of the guesses is right
    assert 276 <= held <= 294


@pytest.mark.parametrize("classes", [None, [1]])
def test_interval_of_macro_f1_is_that_of_a_bootstrap(classes):
    random = np.random.default_rng(1)
    labels = random.integers(3, size=400)
    answers = np.stack([np.where(random.random(400) < 0.85, labels, 0) for _ in range(2)])
    cells = np.stack([labels * 3 + said for said in answers])
    means = []
    for rows in random.integers(400, size=(2000, 400)):
        counts = np.stack([np.bincount(cell[rows], minlength=9).reshape(3, 3) for cell in cells])
        f1 = 2 * counts.diagonal(axis1=1, axis2=2) / (counts.sum(axis=1) + counts.sum(axis=2))
        means.append(f1[:, slice(None) if classes is None else classes].mean())
    expected = tuple(np.quantile(means, [0.025, 0.975]))
    assert macro_f1_interval(answers, labels, classes) == pytest.approx(expected, abs=0.004)


def test_interval_of_macro_f1_by_hand():
    """Four rare texts, none found: F = 0, its error that of one in six; the other class has 8 / 12."""
    labels, said = np.array([0] * 4 + [1] * 4), np.zeros(8, dtype=int)
    near = 2 / 7  # one of five found, one of these missed: D = 4 + 3
    rare = 4 * (near / 7) ** 2 + ((2 - 2 * near) / 7) ** 2 + (near / 7) ** 2
    often = 4 * ((2 - 2 * 8 / 12) / 12) ** 2 + 4 * (8 / 12 / 12) ** 2
    cross = 2 * 4 * (-near / 7) * (-8 / 12 / 12)  # the same four texts are wrong for both
    mean = 4 / 12
    half = Z * np.sqrt((rare + often + cross) / 4) / (mean * (1 - mean))
    expected = special.expit(special.logit(mean) + np.array([-half, half]))
    assert macro_f1_interval(said[None], labels) == pytest.approx(tuple(expected))
    for answers in (labels, 1 - labels):
        assert macro_f1_interval(answers[None], labels) is None, "without errors, or hits, there is none"


def test_latency_that_other_work_disturbed():
    assert [waited(busy) for busy in (None, 1.0, 0.7, 0.5)] == [0, 0, 0, 0.5]
    assert Latency(2.0, 7.0, 1, 1, 5, 9.0).tail == 3.5
    assert Latency(0.0, 7.0, 1, 1, 5, 9.0).tail == 1
