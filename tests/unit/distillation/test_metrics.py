import json
import subprocess
import sys
from dataclasses import asdict, astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special, stats
from sklearn import metrics

from kd_core.distillation.metrics import (
    CELLS,
    ClassScore,
    Verdict,
    below_floor,
    fidelity,
    fidelity_cells,
    scores,
    sentence,
    softmax,
    verdict,
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
        verdict(labels[None] == 0, labels[None] == 1, resamples=100),
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


# verdict


def outcomes(both: int, student_only: int, alone_only: int, neither: int):
    student = [True] * (both + student_only) + [False] * (alone_only + neither)
    alone = [True] * both + [False] * student_only + [True] * alone_only + [False] * neither
    return np.array([student]), np.array([alone])


def test_all_better_helped():
    result = verdict(np.ones((1, 10), bool), np.zeros((1, 10), bool), resamples=200)
    assert result == Verdict("helped", 1.0, 1.0, 1.0, pytest.approx(2 / 2**10), n=10, seeds=1)


def test_all_worse_hurt():
    result = verdict(np.zeros((2, 10), bool), np.ones((2, 10), bool), resamples=200)
    assert result == Verdict("hurt", -1.0, -1.0, -1.0, pytest.approx(2 / 2**10), n=10, seeds=2)


@pytest.mark.parametrize("seeds", [1, 3])
def test_identical_students_show_no_difference(seeds):
    correct = np.random.default_rng(0).random((seeds, 50)) < 0.8
    result = verdict(correct, correct.copy(), resamples=200)
    assert result == Verdict("no_difference", 0.0, 0.0, 0.0, 1.0, n=50, seeds=seeds)


def test_mcnemar_by_hand():
    # 8 discordant items, 1 against 7: p = 2 * (C(8,0) + C(8,1)) / 2^8
    assert verdict(*outcomes(20, 7, 1, 5), resamples=100).p_value == pytest.approx(2 * 9 / 256)


@PROPERTY
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_binomial_test(b, c):
    student, alone = outcomes(3, b, c, 2)
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert verdict(student, alone, resamples=10).p_value == pytest.approx(expected)


def test_p_with_several_seeds_by_enumeration():
    random = np.random.default_rng(3)
    student, alone = random.random((3, 8)) < 0.9, random.random((3, 8)) < 0.5
    sums = (student.astype(int) - alone.astype(int)).sum(axis=0)
    signs = 1 - 2 * ((np.arange(2**8)[:, None] >> np.arange(8)) & 1)
    expected = (np.abs(signs @ sums) >= abs(sums.sum())).mean()
    assert 0 < expected < 1
    assert verdict(student, alone, resamples=10).p_value == pytest.approx(expected)


def test_interval_is_that_of_resampled_indices():
    """The multinomial shortcut against the plain way, with seeds and items drawn."""
    random = np.random.default_rng(1)
    student, alone = random.random((3, 120)) < 0.9, random.random((3, 120)) < 0.8
    difference = student.astype(float) - alone
    means = [
        difference[random.integers(3, size=3)][:, random.integers(120, size=120)].mean() for _ in range(4000)
    ]
    result = verdict(student, alone, resamples=20_000)
    assert (result.low, result.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.006)
    assert result.delta == pytest.approx(difference.mean())


def test_interval_is_about_the_normal_one():
    # 60 of 1000 items better, 20 worse: delta 0.04, variance of d = 0.08 - 0.04²
    result = verdict(*outcomes(800, 60, 20, 120), resamples=20_000)
    half = 1.96 * ((0.08 - 0.04**2) / 1000) ** 0.5
    assert result.delta == pytest.approx(0.04)
    assert (result.low, result.high) == pytest.approx((0.04 - half, 0.04 + half), abs=0.001)
    assert result.kind == "helped"
    assert verdict(*outcomes(800, 20, 60, 120), resamples=2000).kind == "hurt"
    assert verdict(*outcomes(800, 40, 38, 122), resamples=2000).kind == "no_difference"


def test_pairing_narrows_the_interval():
    paired = verdict(*outcomes(800, 60, 20, 120), resamples=2000)
    student, alone = outcomes(800, 60, 20, 120)
    shuffled = np.random.default_rng(0).permutation(alone[0])[None]
    unpaired = verdict(student, shuffled, resamples=2000)
    assert unpaired.delta == paired.delta
    assert unpaired.high - unpaired.low > 1.5 * (paired.high - paired.low)


def test_seeds_that_disagree_widen_the_interval():
    one_student, one_alone = outcomes(80, 20, 0, 0)
    none_student, none_alone = outcomes(100, 0, 0, 0)
    agree = verdict(np.repeat(one_student, 2, 0), np.repeat(one_alone, 2, 0), resamples=2000)
    differ = verdict(
        np.vstack([one_student, none_student]), np.vstack([one_alone, none_alone]), resamples=2000
    )
    assert agree.kind == "helped"
    assert differ.kind == "no_difference"  # a quarter of the resamples hold only the seed without a gain
    assert differ.low == 0.0


def test_coverage():
    """About 95 % of intervals hold the true difference; chosen seeds, so the count never changes."""
    random = np.random.default_rng(0)
    held = 0
    for i in range(200):
        alone = random.random((1, 300)) < 0.8
        student = np.where(random.random((1, 300)) < 0.2, random.random((1, 300)) < 0.9, alone)
        result = verdict(student, alone, resamples=400, seed=i)
        held += result.low <= 0.2 * (0.9 - 0.8) <= result.high
    assert 180 <= held <= 198


def test_the_seed_decides_the_interval():
    student, alone = outcomes(80, 9, 4, 7)
    again = [verdict(student, alone, resamples=300, seed=seed) for seed in (5, 5, 6)]
    assert again[0] == again[1]
    assert again[0] != again[2]


def test_chunks_cover_all_resamples(monkeypatch):
    monkeypatch.setattr("kd_core.distillation.metrics._CHUNK", 20)
    result = verdict(*outcomes(800, 60, 20, 120), resamples=1001)
    assert (result.low, result.high) == pytest.approx((0.0225, 0.0575), abs=0.004)


@PROPERTY
@given(st.integers(1, 3), st.integers(1, 25), st.randoms(use_true_random=False))
def test_swapping_the_students_mirrors_the_verdict(seeds, items, random):
    student, alone = (
        np.array([[random.random() < 0.7 for _ in range(items)] for _ in range(seeds)]) for _ in range(2)
    )
    there = verdict(student, alone, resamples=50)
    back = verdict(alone, student, resamples=50)
    assert there.low <= there.high
    assert -1 <= there.delta <= 1
    assert 0 < there.p_value <= 1
    assert back.delta == -there.delta
    assert back.p_value == pytest.approx(there.p_value)


def test_verdict_on_nothing_and_on_shapes_that_differ():
    with pytest.raises(DataError, match="no test texts to compare the students on"):
        verdict(np.zeros((1, 0), bool), np.zeros((1, 0), bool), resamples=10)
    with pytest.raises(ValueError, match=r"got shapes \(1, 3\) and \(1, 4\)"):
        verdict(np.zeros((1, 3), bool), np.zeros((1, 4), bool), resamples=10)
    with pytest.raises(ValueError, match=r"\(seeds, items\), got shapes \(3,\) and \(3,\)"):
        verdict(np.zeros(3, bool), np.zeros(3, bool), resamples=10)
    with pytest.raises(ValueError, match="resamples must be at least 1, got 0"):
        verdict(np.zeros((1, 3), bool), np.zeros((1, 3), bool), resamples=0)


# sentence

HELPED = Verdict("helped", 0.048, 0.021, 0.076, 0.001, n=531, seeds=1)


def test_sentence_helped():
    assert sentence(HELPED) == (
        "Distillation helped: +4.8 points over the same student trained alone "
        "(95 % interval +2.1 to +7.6, 531 test headlines)."
    )


def test_sentence_no_difference():
    result = replace(HELPED, kind="no_difference", delta=0.004, low=-0.012, high=0.02)
    assert sentence(result, "test texts") == (
        "Distillation made no difference that these 531 test texts can show: "
        "+0.4 points over the same student trained alone (95 % interval −1.2 to +2.0)."
    )


def test_sentence_hurt():
    result = replace(HELPED, kind="hurt", delta=-0.021, low=-0.04, high=-0.003, n=7600)
    assert sentence(result, "test texts") == (
        "Distillation hurt: −2.1 points over the same student trained alone "
        "(95 % interval −4.0 to −0.3, 7,600 test texts)."
    )


def floor(kind: str, delta: float, low: float, high: float) -> Verdict:
    return Verdict(kind, delta, low, high, 0.01, n=531, seeds=1)


def test_a_student_above_the_floor_says_so_at_the_end():
    said = sentence(HELPED, floor=floor("helped", 0.071, 0.04, 0.1))
    assert said == (
        sentence(HELPED) + " It is above TF-IDF, which only counts words and letters "
        "(+7.1 points, 95 % interval +4.0 to +10.0)."
    )


@pytest.mark.parametrize(
    ("kind", "numbers", "place", "gain"),
    [
        (
            "no_difference",
            (0.008, -0.02, 0.03),
            "not shown to be better than",
            "+0.8 points",
        ),
        ("hurt", (-0.03, -0.05, -0.01), "worse than", "−3.0 points"),
    ],
)
def test_a_student_that_is_not_above_the_floor_says_so_first(kind, numbers, place, gain):
    said = sentence(HELPED, floor=floor(kind, *numbers), advice="try this")
    begin = f"The distilled student is {place} TF-IDF, which only counts words and letters ({gain}, 95 % "
    assert said.startswith(begin)
    assert "): try this. Distillation" in said
    assert said.endswith(sentence(HELPED))


@pytest.mark.parametrize(
    ("floor", "teacher", "transfer", "advice"),
    [
        (0.8, 0.9, False, "try a larger student, more labelled texts, or unlabelled ones as a transfer set"),
        (0.8, 0.9, True, "try a larger student or more labelled texts"),
        (0.8, 0.8, True, "its teacher is not above it either; teach that one longer, or choose another"),
        (0.995, 1.0, False, "on this task, counting is enough"),
    ],
)
def test_what_to_do_about_a_student_that_is_not_above_the_floor(floor, teacher, transfer, advice):
    assert below_floor(floor, teacher, transfer=transfer) == advice


def test_sentence_of_several_seeds():
    assert sentence(replace(HELPED, seeds=3)) == (
        "Distillation helped: +4.8 points over the same student trained alone "
        "(mean of 3 seeds, 95 % interval +2.1 to +7.6, 531 test headlines)."
    )
    result = replace(HELPED, kind="no_difference", delta=0.0, low=-0.01, high=0.01, seeds=3)
    assert sentence(result) == (
        "Distillation made no difference that these 531 test headlines can show: "
        "0.0 points over the same student trained alone (mean of 3 seeds, 95 % interval −1.0 to +1.0)."
    )


def test_a_sign_survives_rounding():
    assert "interval +0.0 to +0.2" in sentence(replace(HELPED, delta=0.001, low=0.0002, high=0.002))


# module


def test_the_module_loads_no_torch():
    code = (
        "import sys, kd_core.distillation.metrics; sys.exit({'torch', 'sklearn'} & set(sys.modules) != set())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
