"""The smallest student that keeps enough: what it keeps, which is taken, and the command."""

from __future__ import annotations

import dataclasses
import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multinomial
from sklearn.metrics import f1_score

from kd_core.cli import main
from kd_core.cli.ladder import show
from kd_core.config import DistillConfig
from kd_core.deployment import forms, int8_answers
from kd_core.distillation.comparison import f1_gains, f1_loss
from kd_core.distillation.events import Progress
from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import VALIDATION
from kd_core.errors import ConfigError, ModelError, Stopped
from kd_core.job_kinds import ladder_handler
from kd_core.jobs.store import Store
from kd_core.search.kept import F1Pairs, Pairs, at_least, compared, even_texts, texts_to_show
from kd_core.search.ladder import LadderConfig, LadderResult, Rung, outlook
from kd_core.system.control import Control
from tests import ROOT

counts = st.integers(0, 300)


# What is kept


def test_pairs_are_counted_by_who_is_right() -> None:
    student = np.array([True, True, False, False, True])
    teacher = np.array([True, False, True, False, True])
    assert Pairs.of(student, teacher) == Pairs(2, 1, 1, 1)
    assert Pairs(2, 1, 1, 1).kept == 1.0
    assert Pairs(72, 0, 18, 10).kept == 0.8


def test_against_the_whole_teacher_it_is_mcnemars_test() -> None:
    assert Pairs(100, 12, 5, 30).score(1.0) == pytest.approx(7 / math.sqrt(17))


@pytest.mark.parametrize(
    ("pairs", "share"), [((90, 2, 2, 6), 0.9), ((60, 10, 12, 18), 0.8), ((250, 20, 10, 36), 0.98)]
)
def test_the_variance_is_that_of_the_likeliest_shares_under_the_one_in_question(pairs, share) -> None:
    """The likeliest by a search over p11 and p01; p10 = q p01 - (1 - q) p11 makes the student keep q."""

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


def test_no_disagreement_among_few_texts_shows_little() -> None:
    """The rule of three: 40 texts without an event leave 3 / 40 possible, so about 0.93 is shown."""
    assert at_least(Pairs(40, 0, 0, 0)) == pytest.approx(0.937, abs=0.001)
    assert at_least(Pairs(400, 0, 0, 0)) == pytest.approx(0.9933, abs=0.0005)


@pytest.mark.parametrize("pairs", [(0, 0, 0, 5), (0, 5, 0, 0), (0, 0, 5, 0)])
def test_nothing_is_said_of_a_teacher_or_a_student_without_a_right_answer(pairs) -> None:
    assert Pairs(*pairs).kept == 0.0
    assert at_least(Pairs(*pairs)) == 0.0


@given(counts, counts, counts, counts)
def test_at_the_bound_the_score_is_what_was_asked(both, student_only, teacher_only, neither) -> None:
    pairs = Pairs(both, student_only, teacher_only, neither)
    if not pairs.kept:
        return
    bound = at_least(pairs)
    assert 0 <= bound <= pairs.kept
    if bound:
        assert pairs.score(bound) == pytest.approx(1.6449, abs=0.01)
        assert at_least(pairs, 0.99) <= bound


@given(st.integers(1, 300), counts, counts, counts)
def test_as_many_texts_as_are_needed_show_it(both, student_only, teacher_only, neither) -> None:
    pairs = Pairs(both, student_only, teacher_only, neither)
    share = 0.97 * pairs.kept
    needed = texts_to_show(pairs, share)
    assert needed is not None
    assert at_least(pairs.times(needed / pairs.texts)) >= share - 1e-5
    if needed > 2:
        assert at_least(pairs.times((needed - 1.01) / pairs.texts)) <= share + 1e-5


def test_a_share_of_098_is_claimed_of_a_student_that_keeps_no_more_in_at_most_6_of_100_samples() -> None:
    """Exactly, by all tables of 60 texts: teacher 0.9, student 0.882, 0.08 of disagreement."""
    shares = (0.851, 0.031, 0.049, 0.069)
    wrong = 0.0
    for a, b in product(range(61), repeat=2):
        for c in range(61 - a - b if a + b <= 60 else 0):
            chance = multinomial.pmf((a, b, c, 60 - a - b - c), 60, shares)
            if chance > 1e-7 and at_least(Pairs(a, b, c, 60 - a - b - c)) > 0.98:
                wrong += chance
    assert 0.01 < wrong < 0.06


# What is kept of F1

LABELS = np.array([0] * 6 + [1] * 4)
TEACHER = np.array([0] * 7 + [1] * 3)  # F1 of 12/13 and 6/7
STUDENT = np.array([1] + [0] * 7 + [1] * 2)  # F1 of 10/13 and 4/7


@pytest.mark.parametrize(
    ("metric", "kept"), [("accuracy", 7 / 9), ("macro_f1", 61 / 81), ("f1:b", 4 / 6), ("f1:a", 10 / 12)]
)
def test_the_share_is_the_students_score_by_the_teachers(metric, kept) -> None:
    assert compared(metric, STUDENT, TEACHER, LABELS, ("a", "b")).kept == pytest.approx(kept)


def test_the_gains_of_texts_add_up_to_the_difference_with_any_weight() -> None:
    for weight in (0.0, 0.5, 0.98, 1.2):
        one = f1_gains(STUDENT, TEACHER, LABELS, np.array([1]), weight)
        assert one.mean() == pytest.approx(4 / 7 - weight * 6 / 7)
        assert f1_gains(STUDENT, TEACHER, LABELS, None, weight).mean() == pytest.approx(
            (61 - weight * 81) / 91
        )


def test_the_heaviest_loss_is_a_text_of_the_rarest_class_or_one_that_is_taken_for_it() -> None:
    """D' is 13 and 7; F' is 11/13 and 5/7 with a weight of 1. In both, a text of b is taken for a."""
    two = f1_loss(STUDENT, TEACHER, LABELS, np.array([0, 1]), 1.0)
    assert two == pytest.approx(5 * ((2 - 5 / 7) / 7 + 11 / 13 / 13))
    assert f1_loss(STUDENT, TEACHER, LABELS, np.array([1]), 1.0) == pytest.approx(10 * (2 - 5 / 7) / 7)
    # With a weight of 0.5 F' is 1/2, and to be missed by both is worth as much: what is taken for b costs.
    assert f1_loss(STUDENT, TEACHER, LABELS, np.array([1]), 0.5) == pytest.approx(10 * 0.5 / 7)


def test_few_texts_of_a_rare_class_show_little_however_many_there_are_of_others() -> None:
    """Both find 5 of 5. Each gains 2 (1 - q) / D', one that is taken for them costs (1 + q) / 2 / D', and
    P(Gamma(5) <= x Gamma(1)) = (1 + 1 / x)**-5 is 0.05 at the bound q."""
    root = 20 ** (1 / 5) - 1
    for others in (95, 995):
        labels = np.array([1] * 5 + [0] * others)
        equal = compared("f1:b", labels, labels, labels, ("a", "b"))
        assert equal.kept == 1.0
        assert at_least(equal) == pytest.approx((4 - root) / (4 + root), abs=0.002)
        assert at_least(compared("accuracy", labels, labels, labels, ("a", "b"))) > 0.97


def test_with_equal_classes_the_bound_of_macro_f1_is_about_that_of_accuracy() -> None:
    random = np.random.default_rng(0)
    labels = random.permutation(np.arange(600) % 3)
    teacher = np.where(random.random(600) < 0.9, labels, random.integers(3, size=600))
    student = np.where(random.random(600) < 0.95, teacher, random.integers(3, size=600))
    by_f1, by_accuracy = (
        compared(metric, student, teacher, labels, "abc") for metric in ("macro_f1", "accuracy")
    )
    assert at_least(by_f1, 0.99) == pytest.approx(at_least(by_accuracy, 0.99), abs=0.004)
    share = by_accuracy.kept - 0.01
    needed = texts_to_show(by_accuracy, share), texts_to_show(by_f1, by_f1.kept - 0.01)
    assert needed[1] == pytest.approx(needed[0], rel=0.2)


def test_as_many_texts_as_are_needed_show_it_by_f1_too() -> None:
    pairs = compared("macro_f1", STUDENT, TEACHER, LABELS, ("a", "b"))
    needed = texts_to_show(pairs, 0.7, 0.99)
    assert texts_to_show(pairs, pairs.kept) is None
    times = needed // 10
    fewer, enough = (
        F1Pairs(*(np.tile(values, count) for values in (STUDENT, TEACHER, LABELS)), np.array([0, 1]))
        for count in (times - 1, times + 1)
    )
    assert at_least(fewer, 0.99) < 0.7 < at_least(enough, 0.99)


@pytest.mark.parametrize("metric", ["macro_f1", "f1:b"])
def test_nothing_is_kept_of_a_teacher_that_finds_none(metric) -> None:
    labels, teacher = np.array([1, 1, 1]), np.array([0, 0, 0])
    nothing = compared(metric, labels, teacher, labels, ("a", "b"))
    assert (nothing.kept, at_least(nothing)) == (0.0, 0.0)


def test_a_share_of_f1_is_claimed_of_a_student_that_keeps_no_more_in_at_most_6_of_100_samples() -> None:
    """15, 30 and 60 texts of a class on the mean, of which both find 9 of 10, and the student 98 % of that;
    docs/statistics.md has more."""
    recall = 0.882 * 1.1 / (2 - 0.882)  # F1 = 2 r / (1 + r + 0.1) is 0.9 x 0.98
    for texts in (300, 600, 1200):
        random = np.random.default_rng(texts)
        wrong = 0
        for _ in range(300):
            labels = (random.random(texts) < 0.05).astype(int)
            one, other = random.random((2, texts))
            other = np.where(random.random(texts) < 0.7, one, other)
            teacher = np.where(labels, one < 0.9, one > 1 - 0.1 / 19).astype(int)
            student = np.where(labels, other < recall, other > 1 - 0.1 / 19).astype(int)
            pairs = compared("f1:b", student, teacher, labels, ("a", "b"))
            wrong += pairs.score(0.98) > 1.6449
        assert wrong <= 18


# Which is taken


def rung(student: str, kept: float, bound: float, answer: str, **facts) -> Rung:
    about = {"params": 5_000_000, "texts": 400, "accuracy": 0.8, "run_id": f"run of {student}"}
    return Rung(student=student, kept=kept, at_least=bound, answer=answer, **(about | facts))


def ladder(*rungs: Rung, **settings) -> LadderResult:
    config = LadderConfig(students=("tiny", "mini", "half"), int8=False, **settings)
    return LadderResult(config=config, rungs=rungs, teacher_params=20_000_000)


def test_it_ends_with_the_first_that_is_shown() -> None:
    likely = rung("tiny", 0.985, 0.96, "likely", needed=900, size_mb=10.7)
    assert ladder().next == "tiny"
    assert ladder(likely).next == "mini"
    shown = ladder(likely, rung("mini", 0.995, 0.981, "shown", size_mb=30.8))
    assert shown.next is None
    assert shown.chosen == shown.rungs[1]
    assert shown.sentence == (
        "Shown: mini, with 25 % of the teacher's parameters, keeps 99.5 % of its accuracy on the validation "
        "texts, at least 98.1 %."
    )
    few = ladder(rung("tfidf", 0.995, 0.981, "shown", params=70_000))
    assert few.sentence.startswith("Shown: TF-IDF, with less than 1 % of the teacher's parameters, keeps")
    better = ladder(rung("tiny", 1.667, 1.2, "shown")).sentence
    assert "at least 120.0 %. So the teacher is the weaker of the two: teach it for more passes" in better
    assert "weaker" not in ladder(rung("tiny", 1.02, 0.99, "shown")).sentence


def test_or_else_the_smallest_that_is_likely_is_offered_with_what_would_settle_it() -> None:
    result = ladder(
        rung("tiny", 0.93, 0.90, "no"),
        rung("mini", 0.985, 0.96, "likely", needed=900),
        rung("half", 0.99, 0.97, "likely", needed=700),
    )
    assert result.next is None
    assert result.sentence == (
        "Likely: mini, with 25 % of the teacher's parameters, keeps 98.5 % of its accuracy on the validation "
        "texts, but they show no more than 96.0 %. About 900 of them would settle it, if they say what these "
        "400 do."
    )


def test_the_smallest_file_is_taken_whatever_was_tried_first() -> None:
    result = ladder(
        rung("tiny", 0.985, 0.96, "likely", size_mb=10.7),
        rung("mini", 0.985, 0.96, "likely", size_mb=7.9, int8=True),
        rung("mini", 0.99, 0.97, "likely", size_mb=30.8),
    )
    assert result.chosen == result.rungs[1]
    assert result.sentence.startswith(
        "Likely: mini, int8, with 25 % of the teacher's parameters, keeps 98.5 %"
    )


def test_or_none_and_what_the_best_keeps() -> None:
    result = ladder(
        rung("tiny", 0.93, 0.90, "no"), rung("mini", 0.95, 0.92, "no"), rung("half", 0.94, 0.9, "no")
    )
    assert result.chosen is None
    assert result.sentence == (
        "None of these students is likely to keep 98 % of the teacher's accuracy. The most is 95.0 %, of "
        "mini."
    )


def test_where_none_keeps_enough_the_larger_ones_that_were_not_tried_are_named() -> None:
    config = LadderConfig(students=("tiny", "mini"), int8=False)
    result = LadderResult(config=config, rungs=(rung("mini", 0.9, 0.8, "no"),), teacher_params=20_000_000)
    assert result.sentence.endswith(
        "The most is 90.0 %, of mini. Not tried yet, from the smallest up: third, half."
    )
    beyond = result.model_copy(update={"rungs": (rung("mini", 0.99, 0.8, "likely", fits=False),)})
    assert "Not tried" not in beyond.sentence, "they would be beyond the limit, too"


def test_what_failed_is_beyond_no_limit_and_keeps_nothing() -> None:
    said = "None of these students is likely to keep 98 % of the teacher's accuracy."
    failed = ladder().with_error("cnn", "out of memory")
    judged = failed.model_copy(update={"rungs": (*failed.rungs, rung("mini", 0.95, 0.92, "no"))})
    assert judged.sentence == f"{said} The most is 95.0 %, of mini."


def test_where_all_failed_nothing_is_said_of_what_would_have_decided(capsys) -> None:
    """By auto that is not known before a student is judged."""
    failed = ladder().with_error("cnn", "out of memory")
    said = "None of these students could be tried: each failed, for the reason that it shows."
    assert failed.sentence == said
    show(failed.model_dump(mode="json"), as_json=False)
    shown = capsys.readouterr().out
    assert "out of memory" in shown
    assert said in shown
    assert "accuracy" not in shown


def test_what_is_beyond_the_limits_is_not_offered() -> None:
    result = ladder(rung("tiny", 0.995, 0.985, "shown", fits=False), within_ms=0.1)
    assert result.next == "mini"
    assert result.chosen is None
    assert "within the limits" in result.sentence


@pytest.fixture
def sample(tmp_path) -> Report:
    """A report of 10.7 MB and 1.69 ms, and 1,000 validation texts: the teacher is right on 900, the student
    on 5 others and not on 10 of these, TF-IDF on the first 800."""
    right = {"teacher": [*range(900)], "student-0": [*range(890), *range(900, 905)], "tfidf": [*range(800)]}
    answers = pd.DataFrame({"text": [f"text {row}" for row in range(1000)], "label": 2})
    for name, rows in right.items():
        logits = np.zeros((1000, 5), dtype=np.float32)
        logits[rows, 2] = 1.0
        answers[name] = list(logits)
    answers.to_parquet(tmp_path / VALIDATION)
    content = json.loads((ROOT / "tests" / "samples" / "report.json").read_text("utf-8"))
    floor = content["student"] | {"params": 100, "size_mb": 0.8, "latency_ms": None}
    return Report.from_dict(content | {"folder": str(tmp_path), "tfidf": floor})


@pytest.mark.parametrize(
    ("keep", "answer", "needed"), [(98, "shown", 547), (99, "likely", 4_065), (99.5, "no", None)]
)
def test_a_student_by_the_answers_that_its_run_has_kept(sample, keep, answer, needed) -> None:
    config = LadderConfig(students=("tiny",), int8=False, keep=keep)
    floor, tiny = LadderResult(config=config).with_report("tiny", sample).rungs
    assert (tiny.kept, tiny.texts) == (895 / 900, 1_000)
    assert tiny.at_least == at_least(Pairs(890, 5, 10, 95), 0.975)  # two are judged, and share the 5 %
    assert (tiny.answer, tiny.needed) == (answer, needed)
    assert (floor.title, floor.kept, floor.answer) == ("TF-IDF", 800 / 900, "no")
    assert (floor.params, floor.size_mb, tiny.params) == (100, 0.8, sample.student.params)


def test_milliseconds_that_were_timed_beside_other_work_are_said_to_be(sample) -> None:
    assert LadderResult(config=LadderConfig(students=("tiny",), int8=False)).doubt == ""
    times = dataclasses.replace(sample.student.latency_ms, busy=0.4)
    timed = sample.student.model_copy(update={"latency_ms": times})
    slow = sample.model_copy(update={"models": dict(sample.models) | {"student": timed}})
    on_gpu = slow.model_copy(update={"machine": slow.machine | {"accelerator": "a fast one"}})
    for report, doubt in (
        (sample, ""),
        (on_gpu, ""),
        (slow, "the processor was at other work for 60 % (tiny) of the time"),
    ):
        result = LadderResult(config=LadderConfig(students=("tiny",), int8=False)).with_report("tiny", report)
        assert doubt in result.doubt
        assert bool(result.doubt) == bool(doubt)


@pytest.fixture
def skewed(tmp_path, sample) -> Report:
    """950 of 1,000 validation texts are of the first class, which the student says of all; the teacher is
    right on 920 of them and on 45 of the others."""
    names = sample.labels[:2]
    labels = np.array([0] * 950 + [1] * 50)
    chosen = {"teacher": [0] * 920 + [1] * 30 + [0] * 5 + [1] * 45, "student-0": [0] * 1000}
    answers = pd.DataFrame({"text": [f"text {row}" for row in range(1000)], "label": labels})
    for name, said in chosen.items():
        answers[name] = list(np.eye(len(sample.labels), dtype=np.float32)[said])
    answers.to_parquet(tmp_path / VALIDATION)
    assert names == ["business", "entertainment"]
    return sample


def by(report: Report, metric: str) -> Report:
    training = report.config["training"] | {"metric": metric}
    return report.model_copy(update={"config": report.config | {"training": training}})


def test_a_student_that_never_says_the_rare_class_keeps_accuracy_and_no_f1(skewed) -> None:
    config = LadderConfig(students=("tiny",), int8=False, keep=95)
    of_accuracy = LadderResult(config=config).with_report("tiny", by(skewed, "accuracy"))
    (rung,) = of_accuracy.rungs
    assert (rung.answer, rung.kept) == ("shown", 950 / 965)
    assert of_accuracy.sentence.startswith("Shown: tiny, with ")
    assert "keeps 98.4 % of its accuracy on the validation texts" in of_accuracy.sentence

    of_f1 = LadderResult(config=config).with_report("tiny", by(skewed, "macro_f1"))
    (rung,) = of_f1.rungs
    student, teacher = 1900 / 1950, (1840 / 1875 + 90 / 125) / 2
    assert rung.answer == "no"
    assert rung.kept == pytest.approx(student / 2 / teacher)
    assert 0.45 < rung.at_least < rung.kept < 0.6
    assert (rung.accuracy, rung.score) == (skewed.student.accuracy, skewed.student.macro_f1)
    assert (of_f1.metric, of_f1.teacher_tested) == ("macro_f1", skewed.teacher.macro_f1)
    assert of_f1.sentence.startswith(
        "None of these students is likely to keep 95 % of the teacher's macro-F1. The most is 57.3 %, of "
        "tiny."
    )

    of_class = LadderResult(config=config).with_report("tiny", by(skewed, "f1:entertainment"))
    assert [(rung.answer, rung.kept, rung.at_least) for rung in of_class.rungs] == [("no", 0.0, 0.0)]
    assert "95 % of the teacher's F1 of entertainment." in of_class.sentence


def test_a_result_of_before_is_of_accuracy_and_goes_on_so(skewed) -> None:
    config = LadderConfig(students=("tiny", "mini"), int8=False, keep=95)
    old = LadderResult(config=config, rungs=(rung("tiny", 0.9, 0.85, "no"),), teacher_accuracy=0.9)
    stored = old.model_dump(mode="json", exclude={"metric": True, "teacher_score": True})
    stored["rungs"][0].pop("score")
    read = LadderResult.model_validate(stored)
    assert (read.measure, read.rungs[0].tested, read.teacher_tested) == ("accuracy", 0.8, 0.9)
    further = read.with_report("mini", by(skewed, "macro_f1"))
    assert (further.metric, further.rungs[1].kept) == ("accuracy", 950 / 965)
    assert further.rungs[1].tested == skewed.student.accuracy


@pytest.mark.parametrize(
    ("limits", "fits"),
    [({"mb": 10.699228, "ms": 1.6866065}, True), ({"mb": 10.6}, False), ({"ms": 1.68}, False)],
)
def test_a_limit_is_in_megabytes_or_in_milliseconds(sample, limits, fits) -> None:
    within = {f"within_{unit}": most for unit, most in limits.items()}
    config = LadderConfig(students=("tiny",), int8=False, **within)
    assert LadderResult(config=config).with_report("tiny", sample).rungs[1].fits is fits


def test_before_the_start_it_says_what_so_many_texts_can_show() -> None:
    config = LadderConfig(students=("tiny", "mini", "half"), int8=False)
    assert outlook(config, {"a": 300, "b": 16}) == (
        "316 validation texts can show of an equal student that it keeps 96.2 %, so 98 % can be likely but "
        "hardly shown; about 987 would be enough."
    )
    assert outlook(config, {"a": 2_000}).endswith("that it keeps 98.6 %: enough for 98 %.")


def test_by_f1_the_outlook_is_that_of_as_many_texts_as_the_rare_class_allows() -> None:
    config = LadderConfig(students=("tiny", "mini", "half"), int8=False)
    counts = {"ham": 950, "spam": 50, "none": 0}
    assert even_texts([950, 50]) == pytest.approx(4 / (1 / 950 + 1 / 50))  # 190
    assert even_texts([100] * 5) == pytest.approx(500)
    of_190 = outlook(config, {"a": 190})
    keeps = of_190[of_190.index("of an equal") : of_190.index("about")]
    found = outlook(config, counts, "macro_f1")
    assert found.startswith(
        "1,000 validation texts, 50 of them 'spam', say about as much of macro-F1 as 190 say of accuracy: "
        f"{keeps}about 5,1"
    )
    assert "say about as much of F1 of spam as 50 say of accuracy: " in outlook(config, counts, "f1:spam")


def test_what_it_may_be_told() -> None:
    with pytest.raises(ConfigError, match=r"keep must be between 50 and 100, got '98.5 %'"):
        LadderConfig.from_dict({"keep": "98.5 %"})
    config = LadderConfig(distill=DistillConfig(), students=("tiny", "half"), int8=False)
    assert config.rung("half").student.model == "half"
    assert config.rung("half").controls.labelled_only is config.rung("half").controls.shifted is False
    assert config.confidence == pytest.approx(1 - 0.05 / 3)  # TF-IDF, tiny, half
    assert LadderConfig(students=("tiny", "half")).confidence == pytest.approx(1 - 0.05 / 5)  # int8 too


# The job and the command


def kd(*arguments: str) -> int:
    return main(list(arguments))


@pytest.fixture
def flags(tiny_config, tmp_path, kd_home, monkeypatch) -> list[str]:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    file = tmp_path / "run.yaml"
    file.write_text(tiny_config.to_yaml(), encoding="utf-8")
    taught = ["--teacher-epochs", "30", "--teacher-learning-rate", "0.003"]  # it has half of the texts right
    return ["distill", "--config", str(file), *taught, "--students", "custom,half"]


def test_each_student_is_a_run_judged_on_the_validation_texts(flags, capsys) -> None:
    assert kd(*flags, "--keep", "100", "--no-tfidf", "--no-int8", "--json") == 0
    printed = capsys.readouterr()
    assert "15 validation texts can show of an equal student that it keeps " in printed.err
    result = LadderResult.model_validate(json.loads(printed.out))
    store = Store()
    runs = {row.id: row for row in store.runs(kind="distil")}
    assert [rung.student for rung in result.rungs] == ["custom", "half"]
    for rung in result.rungs:
        row = runs[rung.run_id]
        assert (row.status, row.name) == ("done", f"Keep 100 %: {rung.student}")
        report = Report.read(Path(store.report(row.id).folder))
        answers = pd.read_parquet(Path(report.folder) / VALIDATION)
        right = [
            np.stack(list(answers[name])).argmax(axis=1) == answers["label"]
            for name in ("student-0", "teacher")
        ]
        assert rung.kept == pytest.approx(right[0].sum() / right[1].sum())
        assert (rung.texts, rung.params, rung.accuracy) == (
            15,
            report.student.params,
            report.student.accuracy,
        )
        # One look at the validation texts, at the end: they have chosen nothing.
        assert report.config["training"]["evaluate_every"] == report.config["training"]["steps"] == 6
    assert store.report(result.rungs[1].run_id).cached == {"teach": True, "record": True}
    [job] = store.runs(kind="ladder")
    assert job.status == "done"
    assert kd("show", job.id) == 0
    assert "Shares of the teacher's accuracy that are kept; 100 % is wanted." in capsys.readouterr().out


def test_the_command_shows_a_row_for_each_and_what_came_out(flags, capsys) -> None:
    assert kd(*flags, "--keep", "50", "--within-mb", "0.001") == 0
    shown = capsys.readouterr().out
    assert "50 % is wanted" in shown
    assert "TF-IDF" in shown
    assert "beyond the limits" in shown
    assert (
        "None of these students within the limits is likely to keep 50 % of the teacher's accuracy." in shown
    )


def test_each_is_judged_in_int8_too_by_the_answers_of_that_form(flags, capsys) -> None:
    assert kd(*flags, "--students", "custom", "--keep", "100", "--json") == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert [rung.title for rung in result.rungs] == ["TF-IDF", "custom, int8", "custom"]
    small, full = result.rungs[1:]
    form = forms.open_form(small.run_id, "student", "int8")
    answers = pd.read_parquet(Path(Store().report(small.run_id).folder) / VALIDATION)
    truth = answers["label"]
    right = form.predict(answers["text"].to_list()).argmax(axis=1) == truth
    assert small.kept == right.sum() / (np.stack(list(answers["teacher"])).argmax(axis=1) == truth).sum()
    texts, labels = forms.test_split(small.run_id)
    assert small.accuracy == (form.predict(texts).argmax(axis=1) == labels).mean()
    assert small.size_mb == form.size_mb
    assert (small.run_id, small.params) == (full.run_id, full.params)
    assert small.latency_ms > 0
    # The table names the file, and says how to have what was chosen.
    [job] = Store().runs(kind="ladder")
    for taken, way in ((small, "kd export {} --onnx --int8"), (full, "kd show {}")):
        rungs = [
            taken.model_copy(update={"answer": "shown"}) if rung == taken else rung for rung in result.rungs
        ]
        Store().save_report(job.id, result.model_copy(update={"rungs": tuple(rungs)}).model_dump(mode="json"))
        assert kd("show", job.id) == 0
        shown = capsys.readouterr().out
        assert "custom, int8" in shown
        assert f"Run {taken.run_id}: {way.format(taken.run_id)}\n" in shown


def test_by_macro_f1_every_number_is_of_it_and_says_so(flags, capsys) -> None:
    given = ["--students", "custom", "--keep", "60", "--metric", "macro_f1"]
    assert kd(*flags, *given, "--json") == 0
    printed = capsys.readouterr()
    assert "say about as much of macro-F1 as " in printed.err
    result = LadderResult.model_validate(json.loads(printed.out))
    assert [rung.title for rung in result.rungs] == ["TF-IDF", "custom, int8", "custom"]
    report = Store().report(result.rungs[2].run_id)
    answers = pd.read_parquet(Path(report.folder) / VALIDATION)
    scores = [
        f1_score(answers["label"], np.stack(list(answers[name])).argmax(axis=1), average="macro")
        for name in ("tfidf", "student-0", "teacher")
    ]
    floor, small, full = result.rungs
    assert [floor.kept, full.kept] == pytest.approx([score / scores[2] for score in scores[:2]])
    assert [floor.score, full.score] == [report.models["tfidf"].macro_f1, report.student.macro_f1]
    texts, labels = forms.test_split(small.run_id)
    said = forms.open_form(small.run_id, "student", "int8").predict(texts).argmax(axis=1)
    assert small.score == pytest.approx(f1_score(labels, said, average="macro"))
    [job] = Store().runs(kind="ladder")
    taken = full.model_copy(update={"answer": "shown"})
    shown = result.model_copy(update={"rungs": (floor.model_copy(update={"answer": "no"}), taken)})
    Store().save_report(job.id, shown.model_dump(mode="json"))
    assert kd("show", job.id) == 0
    said = capsys.readouterr().out
    assert "Shares of the teacher's macro-F1 that are kept; 60 % is wanted." in said
    assert "of its macro-F1 on the validation texts" in said
    assert f"which decided nothing: macro-F1 {100 * full.score:.1f} %, the teacher " in said


def test_a_class_that_cannot_be_judged_is_said_at_once(flags, capsys) -> None:
    assert kd(*flags, "--keep", "90", "--metric", "f1:nothing") != 0
    assert "--metric names 'nothing', not a class of this task" in capsys.readouterr().err
    assert Store().runs() == []


def test_its_answers_in_int8_are_a_part_of_the_progress_and_can_be_stopped(flags, tiny_config) -> None:
    store, control = Store(), Control()
    config = LadderConfig(distill=tiny_config.change({"controls.tfidf": False}), students=("custom",))
    store.create_run("20260101-000000-aaaa", config.model_dump(mode="json"), kind="ladder")
    heard: list[Progress] = []

    def stop_in_int8(event) -> None:
        heard.append(event)
        if event.label == "student custom: asking the student in int8":
            control.stop()

    with pytest.raises(Stopped):
        ladder_handler(store.run("20260101-000000-aaaa"), stop_in_int8, control)
    assert heard[-1].label == "student custom: asking the student in int8"
    assert 0.8 <= heard[-1].done / heard[-1].total < 1
    ladder_handler(store.run("20260101-000000-aaaa"), heard.append, Control())
    assert heard[-1].done == heard[-1].total
    assert [row.status for row in store.runs(kind="distil")] == ["done"]  # it was not trained again


def test_a_student_that_cannot_be_converted_is_judged_as_it_is(flags, capsys, monkeypatch) -> None:
    def refuse(run_id: str, *_) -> None:
        raise ModelError("no such operator")

    monkeypatch.setattr(int8_answers, "measure", refuse)
    assert kd(*flags, "--students", "custom", "--keep", "100", "--no-tfidf", "--json") == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert [(rung.title, rung.error) for rung in result.rungs] == [
        ("custom, int8", "no such operator"),
        ("custom", ""),
    ]
    assert result.rungs[1].answer != "failed"


def test_a_student_that_the_teacher_cannot_have_is_said_and_the_next_one_tried(flags, capsys) -> None:
    assert kd(*flags, "--keep", "100", "--student-init", "teacher_layers") == 0
    shown = capsys.readouterr().out
    assert "--student-init teacher_layers copies whole layers of the teacher" in " ".join(shown.split())
    assert Store().runs(kind="distil", status=("done",))[0].name == "Keep 100 %: half"


def test_a_ladder_that_was_stopped_goes_on_with_the_run_that_it_had_begun(flags, capsys, tiny_config) -> None:
    store, control = Store(), Control()
    config = LadderConfig(
        distill=tiny_config.change({"controls.tfidf": False}), students=("custom", "half"), keep=100
    )
    store.create_run("20260101-000000-aaaa", config.model_dump(mode="json"), kind="ladder")
    row = store.run("20260101-000000-aaaa")

    def stop_early(event) -> None:
        if event.label.startswith("student custom: training the distilled student"):
            control.stop()

    with pytest.raises(Stopped):
        ladder_handler(row, stop_early, control)
    begun = LadderResult.model_validate(store.report_json(row.id)).running
    assert [(run.id, run.status) for run in store.runs(kind="distil")] == [(begun, "stopped")]
    store.set_status(row.id, "stopped")
    assert kd("resume", row.id, "--json") == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert result.rungs[0].run_id == begun
    assert store.run(begun).status == "done"


def test_a_mistake_is_one_line_with_the_flag(flags, capsys) -> None:
    assert kd(*flags, "--keep", "120") != 0
    assert "--keep must be between 50 and 100, got '120'" in capsys.readouterr().err


def test_several_processes_are_refused_for_they_do_one_run(flags, capsys, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert kd(*flags, "--keep", "98") != 0
    assert "start it without accelerate" in capsys.readouterr().err
    assert Store().runs() == []


def test_a_teacher_that_is_a_file_has_nothing_to_keep(capsys, kd_home, monkeypatch) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    file = str(ROOT / "assets" / "samples" / "answers-some-gold.csv")
    assert kd("distill", "--knowledge", file, "--keep", "90") != 0
    said = capsys.readouterr().err
    assert f"kd: this run learns from a file of answers ({file}), which has no accuracy to keep" in said
    assert "leave out --keep, or --knowledge" in said
