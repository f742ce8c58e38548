"""The verdict in words."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from kd_core.config import TaskConfig
from kd_core.distillation import agreement
from kd_core.distillation.comparison import Verdict
from kd_core.distillation.sentences import (
    LARGER,
    PHRASES,
    TWO_SEEDS,
    UNLABELLED,
    all_right,
    below_floor,
    for_a_gain,
    sentence,
)

ONE = Verdict("helped", 0.048, 0.021, 0.076, 0.001, n=531, seeds=1)
HELPED = replace(ONE, seeds=3)


@pytest.mark.parametrize(
    ("kind", "numbers", "said"),
    [
        (
            "helped",
            (0.048, 0.021, 0.076),
            "This student is better than the same one trained alone: +4.8 points (95 % interval +2.1 to "
            "+7.6, 531 test texts). Each was trained once; more seeds tell how much of that is luck.",
        ),
        (
            "no_difference",
            (0.004, -0.012, 0.02),
            "This student and the same one trained alone cannot be told apart on these 531 test texts: +0.4 "
            "points (95 % interval −1.2 to +2.0). Each was trained once; more seeds may tell them apart.",
        ),
        (
            "hurt",
            (-0.021, -0.04, -0.003),
            "This student is worse than the same one trained alone: −2.1 points (95 % interval −4.0 to −0.3, "
            "531 test texts). Each was trained once; more seeds tell how much of that is luck.",
        ),
    ],
)
def test_with_one_seed_it_is_about_this_student(kind, numbers, said):
    delta, low, high = numbers
    assert sentence(replace(ONE, kind=kind, delta=delta, low=low, high=high)) == said


@pytest.mark.parametrize(
    ("kind", "numbers", "said"),
    [
        (
            "helped",
            (0.048, 0.021, 0.076),
            "Distillation helped: +4.8 points over the same student trained alone "
            "(mean of 3 seeds, 95 % interval +2.1 to +7.6, 7,600 test texts).",
        ),
        (
            "no_difference",
            (0.0, -0.01, 0.01),
            "Distillation made no difference that these 7,600 test texts can show: "
            "0.0 points over the same student trained alone (mean of 3 seeds, 95 % interval −1.0 to +1.0).",
        ),
        (
            "hurt",
            (-0.021, -0.04, -0.003),
            "Distillation hurt: −2.1 points over the same student trained alone "
            "(mean of 3 seeds, 95 % interval −4.0 to −0.3, 7,600 test texts).",
        ),
    ],
)
def test_with_several_seeds_it_is_about_distillation(kind, numbers, said):
    delta, low, high = numbers
    assert sentence(replace(HELPED, kind=kind, delta=delta, low=low, high=high, n=7600)) == said


def test_without_a_gain_it_ends_with_what_may_bring_one():
    nothing, above = replace(HELPED, kind="no_difference", delta=0.0, low=-0.01, high=0.01), HELPED
    assert sentence(nothing, hint="Try this.").endswith("−1.0 to +1.0). Try this.")
    assert sentence(nothing, floor=above, hint="Try this.").endswith("+2.1 to +7.6). Try this.")
    assert sentence(HELPED, hint="Try this.") == sentence(HELPED)
    below = replace(nothing, kind="no_difference")
    assert "Try this" not in sentence(nothing, floor=below, advice="try unlabelled texts", hint="Try this.")


def test_a_teacher_that_is_no_better_than_the_student_alone_has_nothing_to_give():
    assert for_a_gain(0.9, 0.8, transfer=False) == UNLABELLED
    assert for_a_gain(0.9, 0.8, transfer=True) == ""
    for transfer in (True, False):
        assert for_a_gain(0.827, 0.835, transfer=transfer, metric="macro_f1").startswith(
            "On these texts its teacher is not above the student alone (in macro-F1, 82.7 % against 83.5 %)"
        )
        assert for_a_gain(0.827, 0.835, transfer=transfer) == (
            "On these texts its teacher is not above the student alone (82.7 % against 83.5 %), so there may "
            "be little to learn from it: more labelled texts or another teacher come first."
        )


def test_a_sign_survives_rounding():
    assert "interval +0.0 to +0.2" in sentence(replace(HELPED, delta=0.001, low=0.0002, high=0.002))


def other(kind: str, delta: float, low: float, high: float) -> Verdict:
    return Verdict(kind, delta, low, high, 0.01, n=531, seeds=1)


def test_a_gain_is_not_said_above_a_control_that_does_as_well():
    said = sentence(HELPED, over={"labelled_only": other("no_difference", 0.003, -0.009, 0.015)})
    assert said == (
        sentence(HELPED)
        + " The one distilled on the labelled texts alone does as well, as far as these texts "
        "can show (+0.3 points over it, 95 % interval −0.9 to +1.5)."
    )
    said = sentence(HELPED, over={"hard_answers": other("hurt", -0.02, -0.03, -0.01)})
    assert (
        "trained on the teacher's first choices as if they were labels does better (−2.0 points over" in said
    )


def test_a_gain_is_not_said_above_another_start_that_does_as_well():
    said = sentence(
        HELPED, over={"plain_start": other("no_difference", 0.003, -0.009, 0.015)}, metric="macro_f1"
    )
    assert said.endswith(
        " The one trained alone from random weights does as well, as far as these texts can show "
        "(+0.3 points of macro-F1 over it, 95 % interval −0.9 to +1.5)."
    )


def test_probabilities_help_a_student_or_in_general():
    def said(seeds: int, kind: str = "helped") -> str:
        student = SimpleNamespace(accuracy=0.8, low=0.7, high=0.9, seeds=range(seeds))
        gain = replace(HELPED, kind=kind, delta=0.02, low=0.01, high=0.03, seeds=seeds)
        return agreement.sentence(TaskConfig(gold="none"), "accuracy", student, 500, 0.8, gain, None)

    assert "The teacher's probabilities helped: +2.0 points, 95 % interval" in said(3)
    assert said(3).startswith(
        "Agreement with the teacher on 500 test texts by 3 students: 80.0 %, 95 % interval 70.0 % to 90.0 %. "
    )
    assert said(1).endswith(
        "With the teacher's probabilities this student is better: +2.0 points, 95 % interval +1.0 to +3.0 in "
        "agreement over the same student on its teacher's hard answers. Each was trained once; more seeds "
        "tell how much of that is luck."
    )


@pytest.mark.parametrize(
    ("kind", "place"),
    [("helped", ""), ("no_difference", "not shown to be better than"), ("hurt", "worse than")],
)
@pytest.mark.parametrize(
    ("gold", "metric", "what"),
    [("none", "accuracy", "agreement"), ("test", "accuracy", "accuracy"), ("none", "macro_f1", "macro-F1")],
)
def test_where_labels_are_the_teachers_the_floor_comes_first_unless_it_is_below(
    kind, place, gold, metric, what
):
    student = SimpleNamespace(accuracy=0.8, low=0.7, high=0.9, seeds=[0])
    floor = replace(ONE, kind=kind, delta=-0.01, low=-0.03, high=0.01)
    task = TaskConfig(gold=gold, answers="labels")
    said = agreement.sentence(task, metric, student, 500, 0.85, None, floor, "try more")
    begins = (
        "Accuracy by the gold labels of 500 test texts: 80.0 %, 95 % interval 70.0 % to 90.0 %. Agreement "
        "with the teacher: 85.0 %."
        if gold == "test"
        else "Agreement with the teacher on 500 test texts: 80.0 %, 95 % interval 70.0 % to 90.0 %."
    )
    first = (
        f"The distilled student is {place} TF-IDF, which only counts words and letters (−1.0 points of "
        f"{what}, 95 % interval −3.0 to +1.0): try more. "
    )
    assert said == f"{first * bool(place)}{begins} {agreement.LABELS_ALONE}"
    task = TaskConfig(gold=gold, answers="probabilities")  # of which with alpha 1, say, nothing is learned
    said = agreement.sentence(task, metric, student, 500, 0.85, None, floor, "try more")
    assert said.endswith(agreement.CHOICES_ALONE)


def test_of_several_seeds_the_agreement_is_the_first_ones():
    student = SimpleNamespace(accuracy=0.8, low=0.7, high=0.9, seeds=[0, 1, 2])
    said = agreement.sentence(TaskConfig(gold="test"), "accuracy", student, 500, 0.85, None, None)
    assert said.startswith(
        "Accuracy by the gold labels of 500 test texts by 3 students: 80.0 %, 95 % interval 70.0 % to "
        "90.0 %. The first of them agrees with the teacher on 85.0 %."
    )


def test_a_control_that_does_worse_is_not_in_the_way():
    better = other("helped", 0.03, 0.01, 0.05)
    assert sentence(HELPED, over={"labelled_only": better, "hard_answers": better}) == sentence(HELPED)
    as_good = {"labelled_only": other("no_difference", 0.0, -0.01, 0.01)}
    nothing = replace(HELPED, kind="no_difference")
    assert sentence(nothing, over=as_good) == sentence(nothing)


def test_a_student_above_the_floor_says_so_at_the_end():
    said = sentence(HELPED, floor=other("helped", 0.071, 0.04, 0.1))
    assert said == (
        sentence(HELPED) + " The student is above TF-IDF, which only counts words and letters "
        "(+7.1 points, 95 % interval +4.0 to +10.0)."
    )


def test_two_seeds_ask_for_a_third() -> None:
    """Of one degree of freedom: 44 points, where the interval of a single seed had 8."""
    none = replace(HELPED, kind="no_difference", delta=-0.016, low=-0.238, high=0.203)
    assert sentence(replace(none, seeds=2)).endswith(f"interval −23.8 to +20.3). {TWO_SEEDS}")
    assert TWO_SEEDS not in sentence(none) + sentence(replace(HELPED, seeds=2))


@pytest.mark.parametrize(
    ("kind", "numbers", "place", "gain"),
    [
        ("no_difference", (0.008, -0.02, 0.03), "not shown to be better than", "+0.8 points"),
        ("hurt", (-0.03, -0.05, -0.01), "worse than", "−3.0 points"),
    ],
)
def test_a_student_that_is_not_above_the_floor_says_so_first(kind, numbers, place, gain):
    said = sentence(HELPED, floor=other(kind, *numbers), advice="try this")
    begin = f"The distilled student is {place} TF-IDF, which only counts words and letters ({gain}, 95 % "
    assert said.startswith(begin)
    assert "): try this. Distillation" in said
    assert said.endswith(sentence(HELPED))


FIRST = "more labelled texts or another teacher come first"


@pytest.mark.parametrize(
    ("floor", "teacher", "transfer", "advice"),
    [
        (0.8, 0.9, False, f"try {LARGER}, more labelled texts, or unlabelled ones as a transfer set"),
        (0.8, 0.9, True, f"try {LARGER} or more labelled texts"),
        (
            0.8,
            0.8,
            True,
            f"its teacher is not above it either; {FIRST}",
        ),
        (0.995, 1.0, False, "on this task, counting is enough"),
    ],
)
def test_what_to_do_about_a_student_that_is_not_above_the_floor(floor, teacher, transfer, advice):
    assert below_floor(floor, teacher, transfer=transfer) == advice


def test_a_student_as_good_as_its_teacher_needs_no_larger_one() -> None:
    """It is above the floor, and so few test texts do not show it."""
    advice = below_floor(0.875, 0.917, reached=1.0, transfer=False)
    more = "more of them, not a larger student, may show it"
    assert advice == f"on these texts it is not below its teacher, so {more}"
    assert below_floor(0.875, 0.917, reached=0.9, transfer=True).startswith("try a larger student")


def test_a_larger_student_has_no_more_to_learn_from_a_teacher_that_is_no_better_than_the_student_alone() -> (
    None
):
    """Seen on reviews in a language that the teacher's tokenizer does not know."""
    scores = {"reached": 0.114, "alone": 0.229, "transfer": False}
    better = "on these texts its teacher is not above the student alone (14.6 % against 22.9 %); "
    assert below_floor(0.0, 0.146, **scores) == better + FIRST
    assert below_floor(0.0, 0.146, **scores, file=True) == f"{better}more labelled texts come first"
    assert below_floor(0.0, 0.3, **scores).startswith("try a larger student")


def test_a_teacher_that_is_a_file_is_not_taught_longer() -> None:
    advice = below_floor(0.8, 0.8, transfer=True, file=True)
    assert advice == f"its teacher is not above it either; {FIRST}"


def test_where_tiny_is_below_the_floor_cnn_is_the_next_to_try() -> None:
    for student in ("static", "tiny"):
        advice = below_floor(0.8, 0.9, transfer=True, student=student)
        assert advice == f"try {PHRASES}, {LARGER} or more labelled texts"
    assert below_floor(0.8, 0.9, transfer=True, student="cnn") == f"try {LARGER} or more labelled texts"


COUNTS = "TF-IDF, which only counts words and letters"


@pytest.mark.parametrize(
    ("floor", "above", "too"),
    [
        (1, False, f", and so is {COUNTS}"),
        (0.983, False, f", and {COUNTS}, on 98.3 % of them, which is not shown to be less"),
        (0.8, True, ""),
        (None, False, ""),
    ],
)
def test_where_all_is_right_no_seed_tells_more(floor: float | None, above: bool, too: str) -> None:
    assert all_right(59, floor, above) == (
        f"This student and the same one trained alone are right on all 59 test texts{too}. These are "
        "too easy, or too few, to tell models apart: bring harder ones, or more."
    )
