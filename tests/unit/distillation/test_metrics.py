import json
import subprocess
import sys
from dataclasses import asdict, astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special
from sklearn import metrics

from kd_core.distillation.balance import score
from kd_core.distillation.comparison import verdict
from kd_core.distillation.metrics import (
    CELLS,
    ClassScore,
    fidelity,
    fidelity_cells,
    macro_f1_interval,
    scores,
    softmax,
)
from kd_core.errors import DataError, DivergedError

NAMES = ("a", "b", "c")
PROPERTY = settings(deadline=None, max_examples=50)
LOGITS = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-30, 30))


def logits_of(*rows):
    """Logits whose softmax is ``rows``."""
    return np.log(np.array(rows, dtype=float))


def random_case(n=400, classes=3, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, classes)), random.integers(classes, size=n)


# softmax


def test_softmax_by_hand_and_without_overflow():
    assert softmax(np.array([[0.0, np.log(3)]])) == pytest.approx(np.array([[0.25, 0.75]]))
    assert softmax(np.array([[1000.0, 1000.0]], dtype=np.float32)).tolist() == [[0.5, 0.5]]


# scores


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


def test_the_interval_is_wilsons():
    # 3 of 4, z = 1.96: (3 + z²/2) / (4 + z²) -+ z / (4 + z²) * sqrt(3 * 1 / 4 + z² / 4)
    z = 1.959963984540054
    middle, half = (3 + z**2 / 2) / (4 + z**2), z / (4 + z**2) * (0.75 + z**2 / 4) ** 0.5
    result = scores(np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 1]), NAMES)
    assert (result.low, result.high) == pytest.approx((middle - half, middle + half))


def test_calibration_by_hand():
    # Two texts in (0.6, 0.667], one right; one in (0.867, 0.933], right.
    logits = logits_of([0.62, 0.38], [0.66, 0.34], [0.9, 0.1])
    result = scores(logits, np.array([0, 1, 0]), ("a", "b"))
    first, second = result.reliability

    assert astuple(first) == pytest.approx((9 / 15, 10 / 15, 0.64, 0.5, 2))
    assert astuple(second) == pytest.approx((13 / 15, 14 / 15, 0.9, 1.0, 1))
    assert result.ece == pytest.approx((2 * 0.14 + 1 * 0.1) / 3)


def test_the_last_bin_holds_sure_answers():
    result = scores(np.array([[800.0, -800.0], [0.0, 900.0]]), np.array([0, 0]), ("a", "b"))
    assert [(b.low, b.high, b.confidence, b.accuracy, b.count) for b in result.reliability] == [
        (pytest.approx(14 / 15), 1.0, 1.0, 0.5, 2)
    ]
    assert result.ece == 0.5


def test_an_edge_belongs_to_the_bin_below():
    # Four equal classes would be 0.25; 0.2 = 3/15 is an edge, reached with five.
    result = scores(np.zeros((1, 5)), np.array([0]), tuple("abcde"))
    assert result.reliability[0].high == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_sklearn(seed):
    logits, labels = random_case(classes=5, seed=seed)
    predicted = logits.argmax(axis=1)
    result = scores(logits, labels, tuple("abcde"))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(labels, predicted)

    assert result.accuracy == metrics.accuracy_score(labels, predicted)
    assert result.confusion == metrics.confusion_matrix(labels, predicted).tolist()
    assert result.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert [c.precision for c in result.per_class] == pytest.approx(precision.tolist())
    assert [c.recall for c in result.per_class] == pytest.approx(recall.tolist())
    assert [c.f1 for c in result.per_class] == pytest.approx(f1.tolist())
    assert [c.support for c in result.per_class] == support.tolist()


def test_a_class_that_never_occurs_has_zeros_and_no_part_in_macro_f1():
    result = scores(np.eye(3)[[0, 1, 1]], np.array([0, 1, 0]), NAMES)
    assert result.per_class[2] == ClassScore("c", precision=0.0, recall=0.0, f1=0.0, support=0)
    assert result.macro_f1 == pytest.approx(2 / 3)  # a: 2/3, b: 2/3
    assert result.macro_f1 == pytest.approx(metrics.f1_score([0, 1, 0], [0, 1, 1], average="macro"))


def test_results_are_plain_json():
    logits, labels = random_case(n=20)
    for result in (
        scores(logits.astype(np.float32), labels, NAMES),
        fidelity(logits.astype(np.float32), -logits, labels),
        verdict(labels[None] == 0, labels[None] == 1),
    ):
        assert json.loads(json.dumps(asdict(result))) == asdict(result)


@PROPERTY
@given(LOGITS, st.randoms(use_true_random=False))
def test_scores_are_consistent(logits, random):
    labels = np.array([random.randrange(3) for _ in logits])
    result = scores(logits, labels, NAMES)
    counts = [b.count for b in result.reliability]

    assert 0 <= result.low <= result.accuracy <= result.high <= 1
    assert 0 <= result.ece <= 1
    assert sum(map(sum, result.confusion)) == sum(counts) == len(labels)
    assert min(counts) > 0
    for b in result.reliability:
        assert b.low - 1e-12 <= b.confidence <= b.high + 1e-12
    right = sum(b.accuracy * b.count for b in result.reliability)
    assert right / len(labels) == pytest.approx(result.accuracy)


def test_scores_of_no_text():
    message = "there are no texts to score; give the task a test split with at least one text"
    with pytest.raises(DataError, match=message):
        scores(np.zeros((0, 3)), np.zeros(0, dtype=int), NAMES)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite(bad):
    logits, labels = random_case(n=4)
    logits[1, 2] = logits[3, 0] = bad
    message = r"outputs are NaN or infinite for 2 of 4 texts; train it again .*\(--learning-rate, "
    with pytest.raises(DivergedError, match=message):
        scores(logits, labels, NAMES)
    with pytest.raises(DivergedError, match=message):
        fidelity(np.zeros((4, 3)), logits, labels)


def test_inputs_that_do_not_fit():
    logits, labels = random_case(n=4)
    with pytest.raises(ValueError, match=r"got \(4, 3\) and \(3,\)"):
        scores(logits, labels[:3], NAMES)
    with pytest.raises(ValueError, match="2 class names for logits of 3 classes"):
        scores(logits, labels, NAMES[:2])
    with pytest.raises(ValueError, match="between 0 and 2, got 0 to 3"):
        scores(logits, np.array([0, 1, 3, 2]), NAMES)
    with pytest.raises(ValueError, match="between 0 and 2, got -1 to 2"):
        fidelity(logits, logits, np.array([0, 1, -1, 2]))
    with pytest.raises(ValueError, match=r"shape \(4, 3\), student logits of \(4, 4\)"):
        fidelity(logits, np.zeros((4, 4)), labels)


# fidelity


def test_fidelity_by_hand():
    labels = np.array([0, 0, 0, 0, 0, 0])
    teacher = np.eye(3)[[0, 1, 1, 1, 0, 0]]
    student = np.eye(3)[[0, 0, 1, 2, 1, 0]]
    expected = ["both_right", "mended", "inherited", "inherited", "new_error", "both_right"]

    assert fidelity_cells(teacher, student, labels) == expected
    result = fidelity(teacher, student, labels)
    assert (result.both_right, result.mended, result.inherited, result.new_error) == (2, 1, 2, 1)
    assert result.agreement == 0.5


def test_kl_by_hand():
    teacher, student = logits_of([0.5, 0.5], [0.9, 0.1]), logits_of([0.25, 0.75], [0.9, 0.1])
    expected = (0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)) / 2
    assert fidelity(teacher, student, np.array([0, 0])).kl == pytest.approx(expected)


def test_kl_is_scipys_and_has_a_direction():
    teacher, labels = random_case()
    student, _ = random_case(seed=1)
    expected = special.rel_entr(softmax(teacher), softmax(student)).sum(axis=1).mean()
    assert fidelity(teacher, student, labels).kl == pytest.approx(expected)
    assert fidelity(student, teacher, labels).kl != pytest.approx(expected)


def test_kl_is_never_negative():
    # Shifted logits mean the same distribution; rounding takes some of these sums just below zero.
    values = [fidelity(z, z + 0.1, y).kl for z, y in (random_case(n=20, seed=seed) for seed in range(20))]
    assert min(values) == 0.0
    assert max(values) < 1e-12


@PROPERTY
@given(LOGITS, st.randoms(use_true_random=False))
def test_fidelity_is_consistent(teacher, random):
    labels = np.array([random.randrange(3) for _ in teacher])
    student = teacher[::-1]
    result = fidelity(teacher, student, labels)
    n = len(labels)

    assert result.both_right + result.mended + result.inherited + result.new_error == n
    assert result.both_right + result.new_error == round(n * scores(teacher, labels, NAMES).accuracy)
    assert result.both_right + result.mended == round(n * scores(student, labels, NAMES).accuracy)
    assert result.kl >= 0
    assert set(fidelity_cells(teacher, student, labels)) <= set(CELLS)
    # Where both are right they agree; where one is right they do not.
    assert result.both_right <= round(n * result.agreement) <= result.both_right + result.inherited
    same = fidelity(teacher, teacher, labels)
    assert (same.agreement, same.kl, same.mended, same.new_error) == (1.0, 0.0, 0, 0)
    # Adding one number to all logits changes no probability.
    assert fidelity(teacher, teacher + 5.0, labels).kl == pytest.approx(0, abs=1e-9)


# the interval of macro-F1


def test_the_interval_of_macro_f1_holds_the_true_one_in_about_95_of_100():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        labels = random.integers(4, size=300)
        answers = np.where(random.random(300) < 0.8, labels, random.integers(4, size=300))
        low, high = macro_f1_interval(answers[None], labels)
        held += low <= 0.8 + 0.2 / 4 <= high  # of a guess, a quarter is right
    assert 276 <= held <= 294


@pytest.mark.parametrize("classes", [None, [1]])
def test_the_interval_of_macro_f1_and_of_one_class_is_that_of_a_bootstrap(classes):
    random = np.random.default_rng(1)
    labels = random.integers(3, size=400)
    answers = np.stack([np.where(random.random(400) < 0.85, labels, 0) for _ in range(2)])
    drawn = random.integers(400, size=(1000, 400))
    means = [
        np.mean(
            [metrics.f1_score(labels[rows], said[rows], labels=classes, average="macro") for said in answers]
        )
        for rows in drawn
    ]
    expected = tuple(np.quantile(means, [0.025, 0.975]))
    assert macro_f1_interval(answers, labels, classes) == pytest.approx(expected, abs=0.004)


def test_a_class_without_a_text_has_no_part_in_macro_f1_though_a_model_answers_it():
    """50 texts of each of two classes and one answer of a third: 98 of 99 and 1, and not two thirds of it."""
    labels = np.array([0] * 50 + [1] * 50)
    said = np.where(np.arange(100) == 0, 2, labels)
    result = scores(np.eye(3)[said], labels, ("a", "b", "c"))
    assert result.macro_f1 == pytest.approx((98 / 99 + 1) / 2)
    low, high = macro_f1_interval(said[None], labels)
    assert low < result.macro_f1 < high
    assert score("macro_f1", said, labels, ("a", "b", "c")) == pytest.approx(result.macro_f1)


@pytest.mark.parametrize("recall", [0.1, 0.2])
def test_the_interval_of_macro_f1_allows_for_a_rare_class_that_is_never_answered(recall):
    """71 and 4 texts, one in a hundred of the first taken for the second: most draws answer no rare one."""
    random = np.random.default_rng(2)
    labels = np.array([0] * 71 + [1] * 4)
    hits, alarms, missed = 4 * recall, 0.71, 4 * (1 - recall)
    true = (2 * hits / (4 + hits + alarms) + 2 * 70.29 / (71 + 70.29 + missed)) / 2
    never = []
    for _ in range(400):
        said = np.where(random.random(75) < np.where(labels == 0, 0.01, recall), 1, 0)
        if not (said[labels == 1] == 1).any():
            low, high = macro_f1_interval(said[None], labels)
            never.append(low <= true <= high)
    assert len(never) > 80
    assert np.mean(never) > 0.9, "it was 0 of 100, for a class with an F1 of 0 had no error"


def test_the_texts_that_are_added_by_hand():
    """Four rare texts, none found: F = 0, its error that of one in six; the other class has 8 / 12."""
    labels, said = np.array([0] * 4 + [1] * 4), np.zeros(8, dtype=int)
    near = 2 / 7  # one of five found, one of these missed: D = 4 + 3
    rare = 4 * (near / 7) ** 2 + ((2 - 2 * near) / 7) ** 2 + (near / 7) ** 2
    often = 4 * ((2 - 2 * 8 / 12) / 12) ** 2 + 4 * (8 / 12 / 12) ** 2
    cross = 2 * 4 * (-near / 7) * (-8 / 12 / 12)  # the same four texts are wrong for both
    half = 1.959964 * np.sqrt((rare + often + cross) / 4)
    mean = 4 / 12
    low, high = macro_f1_interval(said[None], labels)
    assert np.log(high / (1 - high)) - np.log(mean / (1 - mean)) == pytest.approx(half / (mean * (1 - mean)))
    assert np.log(mean / (1 - mean)) - np.log(low / (1 - low)) == pytest.approx(half / (mean * (1 - mean)))


def test_the_interval_of_macro_f1_at_its_ends():
    labels = np.array([0, 1, 1])
    assert macro_f1_interval(labels[None], labels) is None, "three right answers do not show 100 ± 0 %"
    assert macro_f1_interval(1 - labels[None], labels) is None


# module


def test_the_module_loads_no_torch():
    code = (
        "import sys, kd_core.distillation.metrics; sys.exit({'torch', 'sklearn'} & set(sys.modules) != set())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
