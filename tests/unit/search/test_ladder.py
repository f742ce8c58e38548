"""The smallest student that keeps enough: which is taken, and what is said of it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from kd_core.cli.ladder import show
from kd_core.config import DistillConfig
from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import VALIDATION
from kd_core.errors import ConfigError
from kd_core.search.kept import Pairs, at_least, even_texts
from kd_core.search.ladder import LadderConfig, LadderResult, Rung
from kd_core.search.ladder_sentences import conclusion, doubt, outlook
from tests import ROOT


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
    assert conclusion(shown) == (
        "Shown: mini, with 25 % of the teacher's parameters, keeps 99.5 % of its accuracy on the validation "
        "texts, at least 98.1 %."
    )
    much = conclusion(ladder(rung("tiny", 1.372, 0.73, "likely")))
    assert much.endswith(
        "at least 73.0 %. So the teacher may be the weaker of the two: teach it for more passes, or take "
        "another, before anything is distilled from it."
    )
    better = conclusion(ladder(rung("tiny", 1.667, 1.2, "shown")))
    assert "at least 120.0 %. So the teacher is the weaker of the two: teach it for more passes" in better
    assert "weaker" not in conclusion(ladder(rung("tiny", 1.02, 0.99, "shown")))


def test_tfidf_is_told_of_and_not_chosen() -> None:
    """No run stores it, so nobody could have it."""
    floor = rung("tfidf", 0.995, 0.981, "shown", params=70_000, size_mb=1.2)
    one = ladder(floor, rung("tiny", 0.985, 0.96, "likely"))
    assert (one.chosen, one.next) == (one.rungs[1], "mini")
    assert conclusion(one).endswith(
        "TF-IDF, which counts words and letters and has no teacher, is shown to keep enough: 99.5 %, at "
        "least 98.1 %."
    )
    none = ladder(rung("tfidf", 1.372, 0.73, "likely", params=70_000), rung("half", 0.94, 0.91, "no"))
    assert none.chosen is None
    assert "The most is 94.0 %, of half." in conclusion(none)
    assert conclusion(none).endswith(
        "137.2 %, at least 73.0 %. So the teacher may be the weaker of the two: teach it for more passes, or "
        "take another, before anything is distilled from it."
    )


PARAMS = {"cnn": 2_450_000, "tiny": 2_650_000, "mini": 7_700_000, "third": 8_100_000, "half": 9_900_000}


@pytest.mark.parametrize(
    ("size_mb", "int8", "following"),
    [
        (10.6, True, "mini"),  # whose file in int8 may be 7.7 MB
        (8.6, True, "mini"),
        (8.5, True, None),  # less than a tenth is not worth a training
        (3.0, True, None),
        (10.6, False, None),  # in PyTorch mini has 30.8 MB
    ],
)
def test_after_one_that_is_shown_those_are_tried_whose_file_could_be_smaller(
    size_mb, int8, following
) -> None:
    config = LadderConfig(students=("tiny", "mini", "half"), int8=int8)
    shown = rung("tiny", 0.99, 0.981, "shown", size_mb=size_mb)
    result = LadderResult(config=config, rungs=(shown,), teacher_params=20_000_000)
    assert (result.next, result.needs_params) == (None, True), "as an older result ends"
    known = result.model_copy(update={"params": PARAMS})
    assert (known.next, known.needs_params) == (following, False)


def test_the_smallest_file_is_found_in_whatever_order_they_are_given() -> None:
    config = LadderConfig(students=("half", "mini", "tiny", "cnn"))
    half = rung("half", 0.99, 0.985, "shown", size_mb=10.4, int8=True)
    after_half = LadderResult(config=config, rungs=(half,), teacher_params=20_000_000, params=PARAMS)
    assert after_half.next == "mini"
    mini = rung("mini", 0.97, 0.95, "no", size_mb=8.3, int8=True)
    tiny = rung("tiny", 0.99, 0.981, "shown", size_mb=3.0, int8=True)
    after_tiny = after_half.model_copy(update={"rungs": (half, mini, tiny)})
    assert after_tiny.next == "cnn"  # 2.5 MB
    assert after_tiny.chosen == tiny
    beyond = after_half.model_copy(update={"rungs": (half, mini, tiny.model_copy(update={"fits": False}))})
    assert (beyond.next, beyond.chosen) == ("cnn", half)


def test_what_this_teacher_cannot_have_is_not_tried_after_one_that_is_shown() -> None:
    config = LadderConfig(students=("half", "custom"))
    half = rung("half", 0.99, 0.985, "shown", size_mb=10.4)
    assert LadderResult(config=config, rungs=(half,), params={"half": 9_900_000}).next is None


def test_or_else_the_smallest_that_is_likely_is_offered_with_what_would_settle_it() -> None:
    result = ladder(
        rung("tiny", 0.93, 0.90, "no"),
        rung("mini", 0.985, 0.96, "likely", needed=900),
        rung("half", 0.99, 0.97, "likely", needed=700),
    )
    assert result.next is None
    assert conclusion(result) == (
        "Likely: mini, with 25 % of the teacher's parameters, keeps 98.5 % of its accuracy on the validation "
        "texts, but they show only that it keeps 96.0 % or more. About 900 of them would settle it, if they "
        "say what these 400 do."
    )


def test_no_one_is_sent_to_label_millions_of_texts() -> None:
    """Of sentences of film reviews cnn kept 98.003 %."""
    near = ladder(rung("tiny", 0.98003, 0.934, "likely", needed=88_115_342, texts=750))
    assert conclusion(near).endswith(
        "but they show only that it keeps 93.4 % or more. It is so near to 98 % that hardly any number of "
        "texts would settle it."
    )


def test_the_smallest_file_is_taken_whatever_was_tried_first() -> None:
    result = ladder(
        rung("tiny", 0.985, 0.96, "likely", size_mb=10.7),
        rung("mini", 0.985, 0.96, "likely", size_mb=7.9, int8=True),
        rung("mini", 0.99, 0.97, "likely", size_mb=30.8),
    )
    assert result.chosen == result.rungs[1]
    assert conclusion(result).startswith(
        "Likely: mini, int8, with 25 % of the teacher's parameters, keeps 98.5 %"
    )


def test_or_none_and_what_the_best_keeps() -> None:
    result = ladder(
        rung("tiny", 0.93, 0.90, "no"), rung("mini", 0.95, 0.92, "no"), rung("half", 0.94, 0.9, "no")
    )
    assert result.chosen is None
    assert conclusion(result) == (
        "None of these students is likely to keep 98 % of the teacher's accuracy. The most is 95.0 %, of "
        "mini."
    )


def test_of_the_best_it_is_said_whether_the_texts_rule_out_what_is_wanted() -> None:
    few = ladder(rung("tiny", 0.93, 0.9, "no"), rung("half", 0.96, 0.91, "no", at_most=1.004, texts=316))
    assert conclusion(few).endswith(
        "The most is 96.0 %, of half: between 91.0 % and 100.4 % by these 316 texts, which are too few to "
        "rule out 98 %."
    )
    enough = ladder(rung("half", 0.94, 0.91, "no", at_most=0.966, texts=1_200))
    assert "between 91.0 % and 96.6 % by these 1,200 texts, which rule out 98 %." in conclusion(enough)


def test_of_those_within_the_limits_the_best_is_named() -> None:
    small = rung("tiny", 0.93, 0.9, "no", at_most=0.966, size_mb=3.0)
    large = rung("half", 0.99, 0.985, "shown", at_most=1.01, size_mb=10.4, fits=False)
    assert conclusion(ladder(small, large, within_mb=5)) == (
        "None of these students within the limits is likely to keep 98 % of the teacher's accuracy. The most "
        "is 93.0 %, of tiny: between 90.0 % and 96.6 % by these 400 texts, which rule out 98 %."
    )


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"mb": 2.5}, "2.5 MB: the smallest is tiny, int8, with 3.0 MB."),
        ({"ms": 0.1}, "0.1 ms a text: the quickest is half, with 0.40 ms."),
        (
            {"mb": 2.5, "ms": 0.1},
            "2.5 MB and 0.1 ms a text: the smallest is tiny, int8, with 3.0 MB; the quickest is half, with "
            "0.40 ms.",
        ),
    ],
)
def test_where_none_is_within_the_limits_it_is_said_how_near_they_come(limits, said) -> None:
    beyond = (
        rung("tiny", 0.93, 0.9, "no", int8=True, size_mb=3.0, latency_ms=0.6, fits=False),
        rung("half", 0.99, 0.97, "likely", size_mb=39.6, latency_ms=0.4, fits=False),
    )
    within = {f"within_{unit}": most for unit, most in limits.items()}
    assert conclusion(ladder(*beyond, **within)) == f"None of these students is within {said}"


def test_where_none_keeps_enough_the_larger_ones_that_were_not_tried_are_named() -> None:
    config = LadderConfig(students=("tiny", "mini"), int8=False)
    result = LadderResult(config=config, rungs=(rung("mini", 0.9, 0.8, "no"),), teacher_params=20_000_000)
    assert conclusion(result).endswith(
        "The most is 90.0 %, of mini. Not tried yet, from the smallest up: third, half."
    )
    within = config.model_copy(update={"within_mb": 5.0})
    beyond = LadderResult(config=within, rungs=(rung("mini", 0.99, 0.8, "likely", fits=False),))
    assert "Not tried" not in conclusion(beyond), "they would be beyond the limit, too"


def test_what_failed_is_beyond_no_limit_and_keeps_nothing() -> None:
    said = "None of these students is likely to keep 98 % of the teacher's accuracy."
    failed = ladder().with_error("cnn", "out of memory")
    judged = failed.model_copy(update={"rungs": (*failed.rungs, rung("mini", 0.95, 0.92, "no"))})
    assert conclusion(judged) == f"{said} The most is 95.0 %, of mini."


def test_where_all_failed_nothing_is_said_of_what_would_have_decided(capsys) -> None:
    """By auto that is not known before a student is judged."""
    failed = ladder().with_error("cnn", "out of memory")
    said = "None of these students could be tried: each failed, for the reason that it shows."
    assert conclusion(failed) == said
    show(failed.model_dump(mode="json"), as_json=False)
    shown = capsys.readouterr().out
    assert "out of memory" in shown
    assert said in shown
    assert "accuracy" not in shown


def test_what_is_beyond_the_limits_is_not_offered() -> None:
    result = ladder(rung("tiny", 0.995, 0.985, "shown", fits=False), within_ms=0.1)
    assert result.next == "mini"
    assert result.chosen is None


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
    assert doubt(LadderResult(config=LadderConfig(students=("tiny",), int8=False))) == ""
    times = dataclasses.replace(sample.student.latency_ms, busy=0.4)
    timed = sample.student.model_copy(update={"latency_ms": times})
    slow = sample.model_copy(update={"models": dict(sample.models) | {"student": timed}})
    for report, said in (
        (sample, ""),
        (slow, "the processor was at other work for 60 % (tiny) of the time"),
    ):
        result = LadderResult(config=LadderConfig(students=("tiny",), int8=False)).with_report("tiny", report)
        assert said in doubt(result)
        assert bool(doubt(result)) == bool(said)


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
    assert conclusion(of_accuracy).startswith("Shown: tiny, with ")
    assert "keeps 98.4 % of its accuracy on the validation texts" in conclusion(of_accuracy)

    of_f1 = LadderResult(config=config).with_report("tiny", by(skewed, "macro_f1"))
    (rung,) = of_f1.rungs
    student, teacher = 1900 / 1950, (1840 / 1875 + 90 / 125) / 2
    assert rung.answer == "no"
    assert rung.kept == pytest.approx(student / 2 / teacher)
    assert 0.45 < rung.at_least < rung.kept < 0.6
    assert (rung.accuracy, rung.score) == (skewed.student.accuracy, skewed.student.macro_f1)
    assert (of_f1.metric, of_f1.teacher_tested) == ("macro_f1", skewed.teacher.macro_f1)
    assert conclusion(of_f1).startswith(
        "None of these students is likely to keep 95 % of the teacher's macro-F1. The most is 57.3 %, of "
        "tiny: between 48.4 % and 68.6 % by these 1,000 texts, which rule out 95 %."
    )

    of_class = LadderResult(config=config).with_report("tiny", by(skewed, "f1:entertainment"))
    assert [(rung.answer, rung.kept, rung.at_least) for rung in of_class.rungs] == [("no", 0.0, 0.0)]
    assert "95 % of the teacher's F1 of entertainment." in conclusion(of_class)


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
        "With 316 validation texts an equal student is shown to keep 96.2 %, so 98 % can be likely but "
        "hardly shown; about 987 would be enough."
    )
    assert outlook(config, {"a": 2_000}).endswith("is shown to keep 98.6 %: enough for 98 %.")
    three = config.model_copy(update={"distill": config.distill.change({"training.seeds": [4, 5, 6]})})
    assert outlook(three, {"a": 2_000}).endswith(" %. Of each student one is judged, that of seed 4.")
    assert three.rung("tiny").training.seeds == (4,), "no other is paid for"


def test_by_f1_the_outlook_is_that_of_as_many_texts_as_the_rare_class_allows() -> None:
    config = LadderConfig(students=("tiny", "mini", "half"), int8=False)
    counts = {"ham": 950, "spam": 50, "none": 0}
    assert even_texts([950, 50]) == pytest.approx(4 / (1 / 950 + 1 / 50))  # 190
    assert even_texts([100] * 5) == pytest.approx(500)
    of_190 = outlook(config, {"a": 190})
    keeps = of_190[of_190.index("an equal") : of_190.index("about")]
    found = outlook(config, counts, "macro_f1")
    assert found.startswith(
        "With 1,000 validation texts, 50 of them 'spam' (as good for macro-F1 as 190 for accuracy), "
        f"{keeps}about 5,1"
    )
    assert "(as good for F1 of spam as 50 for accuracy), " in outlook(config, counts, "f1:spam")


def test_what_it_may_be_told() -> None:
    with pytest.raises(ConfigError, match=r"keep must be between 50 and 100, got '98.5 %'"):
        LadderConfig.from_dict({"keep": "98.5 %"})
    config = LadderConfig(distill=DistillConfig(), students=("tiny", "half"), int8=False)
    assert config.rung("half").student.model == "half"
    assert config.rung("half").controls.labelled_only is config.rung("half").controls.shifted is False
    assert config.confidence == pytest.approx(1 - 0.05 / 3)  # TF-IDF, tiny, half
    assert LadderConfig(students=("tiny", "half")).confidence == pytest.approx(1 - 0.05 / 5)  # int8 too
