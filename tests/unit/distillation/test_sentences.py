"""Tests of the verdict in words."""

from __future__ import annotations

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


def gain(kind: str, delta: float, low: float, high: float, seeds: int = 1) -> Verdict:
    return Verdict(kind, delta, low, high, 0.01, n=7600, seeds=seeds)


HELPED, NOTHING = gain("helped", 0.048, 0.021, 0.076, 3), gain("no_difference", 0.0, -0.01, 0.0002, 3)
HURT, AS_GOOD = gain("hurt", -0.02, -0.03, -0.01, 3), gain("no_difference", 0.003, -0.009, 0.015)


@pytest.mark.parametrize(
    ("verdict", "seeds", "begin", "end"),
    [
        (HELPED, 1, "This student is better than the same one trained alone: +4.8 points", "is luck."),
        (NOTHING, 1, "This student and the same one trained alone cannot be told apart", "tell them apart."),
        (HURT, 1, "This student is worse than the same one trained alone: −2.0 points", "is luck."),
        (HELPED, 3, "Distillation helped: +4.8 points over", "+2.1 to +7.6, 7,600 test texts)."),
        (NOTHING, 3, "Distillation made no difference that these 7,600 test texts can", "−1.0 to +0.0)."),
        (
            NOTHING,
            2,
            "Distillation made no difference that these 7,600 test texts can",
            f"+0.0). {TWO_SEEDS}",
        ),
        (HURT, 3, "Distillation hurt: −2.0 points over the same student", "−3.0 to −1.0, 7,600 test texts)."),
    ],
)
def test_verdict_in_words(verdict, seeds, begin, end):
    said = sentence(replace(verdict, seeds=seeds))
    assert said.startswith(begin)
    assert said.endswith(end)


WELL = "does as well, as far as these texts can show (+0.3 points over it, 95 % interval −0.9 to +1.5)."
BETTER = "does better (−2.0 points over it, 95 % interval −3.0 to −1.0)."
COUNTS = "TF-IDF, which only counts words and letters"
STUDENT = "The distilled student is"


@pytest.mark.parametrize(
    ("verdict", "more", "before", "after"),
    [
        (HELPED, {}, "", ""),
        (NOTHING, {}, "", " Try this."),
        (NOTHING, {"floor": HELPED}, "", f" The student is above {COUNTS} (+4.8 points, 95 % interval"),
        (HELPED, {"floor": AS_GOOD}, f"{STUDENT} not shown to be better than {COUNTS} (+0.3 points, ", ""),
        (NOTHING, {"floor": HURT}, f"{STUDENT} worse than {COUNTS} (−2.0 points, 95 % interval", ""),
        (
            HELPED,
            {"over": {"labelled_only": AS_GOOD}},
            "",
            f" The one distilled on the labelled texts alone {WELL}",
        ),
        (HELPED, {"over": {"plain_start": HURT}}, "", f" The one trained alone from random weights {BETTER}"),
        (HELPED, {"over": {"labelled_only": HELPED, "hard_answers": HELPED}}, "", ""),
        (NOTHING, {"over": {"labelled_only": AS_GOOD}}, "", " Try this."),
    ],
)
def test_what_is_added_to_a_verdict(verdict, more, before, after):
    said, added, found = (
        sentence(verdict),
        sentence(verdict, advice="bring texts", hint="Try this.", **more),
        "",
    )
    first, _, last = added.partition(said)
    assert first.startswith(before)
    assert first.endswith("): bring texts. " if before else found)
    assert last.startswith(after)
    assert ("Try this." in last) == (verdict is NOTHING and not before)
    assert bool(last) == bool(after)


def test_verdict_in_points_of_macro_f1():
    said = sentence(HELPED, floor=HELPED, over={"plain_start": AS_GOOD}, metric="macro_f1")
    assert said.count("points of macro-F1") == 3


FEW = "On these texts its teacher is not above the student alone ({}82.7 % against 83.5 %)"


@pytest.mark.parametrize(
    ("teacher", "more", "begin"),
    [
        (0.836, {"transfer": False}, UNLABELLED),
        (0.836, {"transfer": True}, ""),
        (0.835, {"transfer": False}, "On these texts its teacher is not above"),
        (0.827, {"transfer": True}, FEW.format("")),
        (0.827, {"transfer": True, "metric": "macro_f1"}, FEW.format("in macro-F1, ")),
    ],
)
def test_what_may_bring_a_gain(teacher, more, begin):
    said = for_a_gain(teacher, 0.835, **more)
    assert said.startswith(begin)
    assert bool(said) == bool(begin)


TRY, FIRST = f"try {LARGER} or more labelled texts", "more labelled texts or another teacher come first"
ALONE = "on these texts its teacher is not above the student alone (14.6 % against 22.9 %); "
REACHED = "on these texts it is not below its teacher, so more of them, not a larger student, may show it"


@pytest.mark.parametrize(
    ("floor", "teacher", "more", "advice"),
    [
        (
            0.8,
            0.9,
            {"transfer": False},
            f"try {LARGER}, more labelled texts, or unlabelled ones as a transfer set",
        ),
        (0.8, 0.9, {}, TRY),
        (0.8, 0.9, {"file": True}, "try a larger student or more labelled texts"),
        (0.8, 0.9, {"student": "tiny"}, TRY.replace("try", f"try {PHRASES},")),
        (0.8, 0.9, {"student": "static"}, TRY.replace("try", f"try {PHRASES},")),
        (0.8, 0.9, {"student": "cnn"}, TRY),
        (0.8, 0.8, {}, f"its teacher is not above it either; {FIRST}"),
        (0.995, 1.0, {}, "on this task, counting is enough"),
        (0.99, 1.0, {}, TRY),
        (0.875, 0.917, {"reached": 0.917}, REACHED),
        (0.875, 0.917, {"reached": 0.9}, TRY),
        (0.0, 0.146, {"reached": 0.114, "alone": 0.229}, ALONE + FIRST),
        (0.0, 0.146, {"alone": 0.229, "file": True}, f"{ALONE}more labelled texts come first"),
        (0.0, 0.3, {"alone": 0.229, "more": "texts"}, f"try {LARGER} or texts"),
    ],
)
def test_advice_for_a_student_that_is_not_above_tfidf(floor, teacher, more, advice):
    assert below_floor(floor, teacher, **{"transfer": True} | more) == advice


@pytest.mark.parametrize(
    ("floor", "above", "too"),
    [
        (1, False, f", and so is {COUNTS}. These"),
        (0.983, False, f", and {COUNTS}, on 98.3 % of them, which is not shown to be less. These"),
        (0.8, True, ". These"),
        (None, False, ". These"),
    ],
)
def test_all_test_texts_right(floor: float | None, above: bool, too: str) -> None:
    begin = "This student and the same one trained alone are right on all 59 test texts"
    assert all_right(59, floor, above).startswith(begin + too)


AGREES = "Agreement with the teacher on 500 test texts: 80.0 %, 95 % interval 70.0 % to 90.0 %. "
RIGHT = AGREES.replace("Agreement with the teacher on", "Accuracy by the gold labels of")
OTHERS, FIRST_OF = (
    "Agreement with the teacher: 85.0 %. ",
    "The first of them agrees with the teacher on 85.0 %. ",
)
BETTER_BY = (
    "better: +4.8 points, 95 % interval +2.1 to +7.6 in agreement over the same student on its teacher's"
)


@pytest.mark.parametrize(
    ("task", "metric", "seeds", "verdict", "floor", "parts"),
    [
        (("none", "labels"), "accuracy", 1, None, HELPED, (AGREES, agreement.LABELS_ALONE)),
        (("none", "probabilities"), "accuracy", 1, None, None, (AGREES, agreement.CHOICES_ALONE)),
        (("test", "labels"), "accuracy", 1, None, None, (RIGHT, OTHERS, agreement.LABELS_ALONE)),
        (("test", "labels"), "accuracy", 3, None, None, (FIRST_OF, agreement.LABELS_ALONE)),
        (
            ("none", "labels"),
            "accuracy",
            1,
            None,
            AS_GOOD,
            ("not shown to be better", "of agreement", AGREES),
        ),
        (("none", "labels"), "macro_f1", 1, None, HURT, ("worse than", "of macro-F1", "try more. ", AGREES)),
        (("test", "labels"), "accuracy", 1, None, HURT, ("worse than", "of accuracy", RIGHT)),
        (("none", "probabilities"), "accuracy", 1, HELPED, None, (AGREES, BETTER_BY, "is luck.")),
        (
            ("none", "probabilities"),
            "accuracy",
            3,
            HELPED,
            None,
            ("The teacher's probabilities helped: +4.8",),
        ),
    ],
)
def test_agreement_in_words(task, metric, seeds, verdict, floor, parts):
    student = SimpleNamespace(accuracy=0.8, low=0.7, high=0.9, seeds=range(seeds))
    verdict = verdict and replace(verdict, seeds=seeds)
    config = TaskConfig(gold=task[0], answers=task[1])
    said = agreement.sentence(config, metric, student, 500, 0.85, verdict, floor, "try more")
    places = [said.find(part) for part in parts]
    assert places == sorted(places)
    assert places[0] >= 0
    assert (said.startswith(STUDENT)) == (floor in (AS_GOOD, HURT))
    assert ("is luck." in said) == (seeds == 1 and verdict is not None)
