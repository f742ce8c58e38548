"""The numbers in each lesson's texts, and its right answer, from what was recorded. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any

import numpy as np

from kd_core.config import slider
from kd_core.distillation.comparison import Verdict
from kd_core.distillation.metrics import softmax, wilson
from kd_core.learn.anatomy import anatomy, gradient_sizes, t_squared_growth
from kd_core.learn.choosing import best_of
from kd_core.learn.examples import shipped
from kd_core.learn.lab_results import (
    LabReport,
    cells_of,
    compared,
    size_table,
    smallest,
    soft_over_hard,
    start_over_random,
    transfer_table,
)
from kd_core.learn.recorded import other_tasks, other_texts, recorded, recorded_lab, recorded_race
from kd_core.system import formatting

INTERVAL = "answer_interval"  # among a lesson's values
GIVE_UP = 0.01  # of accuracy, against the best student


@dataclass(frozen=True)
class Facts:
    """The right answer, and the words for the placeholders of the lesson's texts."""

    answer: str | float
    words: Mapping[str, str]
    interval: tuple[float, float] | None = None  # of an answer that was measured, 95 %

    def fill(self, text: str, escape: Callable[[object], str] = str) -> str:
        """``text`` with its placeholders filled, each through ``escape``."""
        return text.format_map({name: escape(value) for name, value in self.words.items()})


@lru_cache(maxsize=8)
def facts(lesson: str) -> Facts:
    """Raises: KeyError for a lesson without any, DataError without the corpus that the headlines are from."""
    answer, values = FACTS[lesson]()
    interval = values.pop(INTERVAL, None)
    return Facts(answer, {name: str(value) for name, value in values.items()}, interval)


AnswerAndValues = tuple[str | float, dict[str, Any]]


def _soft_labels() -> AnswerAndValues:
    """The class whose nearest one these texts settle best: it comes first in most samples of them."""
    examples = shipped()
    shares = examples.similarity(1.0)
    samples = [examples.similarity_of_samples(label) for label in range(len(examples.labels))]
    nearest = np.nanargmax(shares, axis=1)
    stays = np.array(
        [(drawn.argmax(axis=1) == first).mean() for drawn, first in zip(samples, nearest, strict=True)]
    )
    row = int(stays.argmax())
    column = int(nearest[row])
    low, high = np.quantile(samples[row][:, column], [0.025, 0.975])
    unsettled = np.delete(stays, row)
    others = [label for i, label in enumerate(examples.labels) if i != row]
    order = np.argsort(-examples.logits["teacher"], axis=1)
    wrong = order[:, 0] != examples.truth
    closest, read = examples.labels[column], examples.right_of(row)
    doubtful = int(examples.disagreements()[0])
    return closest, {
        "texts": len(examples.texts),
        "class": examples.labels[row],
        "closest": closest,
        "share": formatting.percent(shares[row, column], 0),
        "share_low": formatting.percent(low, 0),
        "share_high": formatting.percent(high, 0),
        "read": len(read),
        "second_on": int((order[read, 1] == column).sum()),
        "stays": formatting.percent(stays[row]),
        "least_stays": formatting.percent(unsettled.min(), 0),
        "most_stays": formatting.percent(unsettled.max(), 0),
        "others": len(others),
        "even": formatting.percent(1 / len(others), 0),
        "wrong": int(wrong.sum()),
        "second": int((order[wrong, 1] == examples.truth[wrong]).sum()),
        "doubtful": examples.texts[doubtful],
        "doubtful_label": examples.labels[int(examples.truth[doubtful])],
        "doubtful_answer": examples.labels[int(order[doubtful, 0])],
        **{f"other_{i}": label for i, label in enumerate(others, 1)},
    }


def _temperature() -> AnswerAndValues:
    examples = shipped()
    logits = examples.logits["teacher"]
    sure = softmax(logits).max(axis=1)
    right = logits.argmax(axis=1) == examples.truth
    row = int(np.argmin(np.abs(sure - 0.9) + ~right))  # one that it gets right, and is 90 % sure of
    _, highest, _ = slider("objective.temperature")
    cold, hot, hottest = (softmax(logits[row], t) for t in (1.0, 8.0, highest))
    first, second, *_, last = np.argsort(-logits[row])
    trained, untrained = (
        float(np.median(t_squared_growth(z, logits, examples.truth, "forward_kl", 1.0, 4.0)))
        for z in (examples.logits["alone"], np.zeros_like(logits))
    )
    student = examples.logits["alone"][row]
    at_1, at_8, at_16 = gradient_sizes(student, logits[row], 0, "forward_kl", [1.0, 8.0, 16.0])
    return 100 * float(hot[first]), {
        "row": row,
        "headline": examples.texts[row],
        "first": examples.labels[first],
        "runner_up": examples.labels[second],
        "last": examples.labels[last],
        "cold": formatting.percent(cold[first]),
        "cold_second": formatting.percent(cold[second]),
        "hot_first": formatting.percent(hot[first]),
        "hot_second": formatting.percent(hot[second]),
        "half_at": f"{(logits[row, first] - logits[row, second]) / np.log(2):.1f}",
        "half_surer": f"{int(100 * np.median(sure))} %",
        "classes": len(examples.labels),
        "most_entropy": f"{np.log(len(examples.labels)):.2f}",
        "highest": f"{highest:g}",
        "hottest": formatting.percent(hottest[first]),
        "even": formatting.percent(1 / len(examples.labels)),
        "cold_ratio": formatting.times(cold[second] / cold[last]),
        "hot_ratio": formatting.times(hot[second] / hot[last]),
        "weaker": f"{at_1 / at_8:.1f} times",
        "with_t_squared": f"{64 * at_8 / at_1:.1f} times",
        "halved": f"{at_8 / at_16:.1f} times",
        "texts": len(examples.texts),
        "growth_trained": f"{trained:.1f}",
        "growth_untrained": f"{untrained:.1f}",
    }


def _alpha() -> AnswerAndValues:
    examples = shipped()
    doubtful = examples.disagreements()
    row = int(doubtful[0])
    teacher, label = examples.logits["teacher"][row], int(examples.truth[row])
    answer = int(teacher.argmax())
    names = {label: f"{examples.labels[label]}, as the label says"}
    names[answer] = f"{examples.labels[answer]}, as the teacher says"

    def push(alpha: float, temperature: float = 4.0, t_squared: bool = True) -> Any:
        loss = anatomy(
            np.zeros(len(teacher)),
            teacher,
            label,
            divergence="forward_kl",
            temperature=temperature,
            alpha=alpha,
            t_squared=t_squared,
        )
        return -loss.gradient

    low, high, step = slider("objective.alpha")
    alphas = np.linspace(low, high, round((high - low) / step) + 1)
    turn, turn_cold = (
        next(alpha for alpha in alphas if push(alpha, temperature).argmax() == label)
        for temperature in (4.0, 1.0)
    )
    pushes, plain = push(0.3), int(push(0.3, t_squared=False).argmax())
    report = recorded_lab("transfer")
    alone, labelled = _mean_accuracy(report, "alone"), _mean_accuracy(report, "student")
    low, high = wilson(labelled, report["test_texts"])
    gain = _against_alone(report, 0)
    assert gain is not None, "both were recorded"
    return names[int(pushes.argmax())], {
        "row": row,
        "headline": examples.texts[row],
        "label": examples.labels[label],
        "wrong_class": examples.labels[answer],
        "sure": formatting.percent(float(softmax(teacher)[answer])),
        "raised": examples.labels[int(pushes.argmax())],
        "push_teacher": f"{pushes[answer]:+.2f}".replace("-", "−"),
        "push_label": f"{pushes[label]:+.2f}".replace("-", "−"),
        "turn": f"{turn:g}",
        "turn_cold": f"{turn_cold:g}",
        "turn_cold_enough": "Yes:" if turn_cold <= turn else "No:",
        "plain_winner": "The label" if plain == label else "The teacher, still",
        "disagreements": len(doubtful),
        "texts": len(examples.texts),
        "alone": formatting.percent(alone),
        "labelled": formatting.percent(labelled),
        "labelled_gain": _gain(gain),
        "labelled_told": {
            "helped": "here they helped more than their errors hurt",
            "hurt": "here their errors hurt more than they helped",
            "no_difference": "whether they helped more than their errors hurt, these texts cannot tell",
        }[gain.kind],
        "alpha": f"{report['config']['objective']['alpha']:g}",
        "seeds": len({cell["seed"] for cell in report["cells"]}),
        "test_texts": report["test_texts"],
        "uncertain": f"{50 * (high - low):.1f}",
    }


def _mean_accuracy(report: LabReport, who: str) -> float:
    """Over the seeds, of those that learned from the labelled texts only."""
    return fmean(c["accuracy"] for c in report["cells"] if c["who"] == who and not c["transfer"])


def _data_and_size() -> AnswerAndValues:
    report, sizes = recorded_lab("transfer"), recorded_lab("size")
    grid = size_table(sizes)
    table = transfer_table(report)
    alone, labelled, *_, best = table.to_dict("records")
    most = dict(grid.iloc[int(grid["accuracy"].argmax())])
    student = smallest(grid, most["accuracy"] - GIVE_UP)
    assert student is not None, "the best is within a point of itself"
    few, many = grid["layers"].min(), grid["layers"].max()
    narrow, broad = grid["hidden"].min(), grid["hidden"].max()
    first, deep, wide = (
        dict(grid[(grid["layers"] == layers) & (grid["hidden"] == hidden)].iloc[0])
        for layers, hidden in ((few, narrow), (many, narrow), (few, broad))
    )
    transfer = _over_labelled(report, best["transfer"])
    lowest = _apart(sizes, first, most)
    assert lowest is not None, "they have seeds in common"
    assert transfer is not None, "both were recorded"
    return 100 * best["delta"], {
        INTERVAL: (100 * best["delta_low"], 100 * best["delta_high"]),
        "alone": formatting.percent(alone["accuracy"]),
        "teacher": formatting.percent(report["teacher"]["accuracy"]),
        "most": f"{best['transfer']:,}",
        "narrow": int(narrow),
        "gain_points": formatting.points(best["delta"]),
        "interval": formatting.interval(best["delta_low"], best["delta_high"]),
        "distilled": formatting.percent(best["accuracy"]),
        "labelled": formatting.percent(labelled["accuracy"]),
        "labelled_gain": formatting.points(labelled["delta"]),
        "labelled_interval": formatting.interval(labelled["delta_low"], labelled["delta_high"]),
        "labelled_told": _told(labelled["kind"]),
        "transfer_told": _told(transfer.kind),
        "both_told": _told(best["kind"]),
        "random_start": formatting.percent(_mean_accuracy(report, "plain_start")),
        "start_gain": _gain(start_over_random(report)),
        **_few_labels(),
        "seed_spread": f"{100 * max(max(seeds) - min(seeds) for seeds in table['accuracies']):.1f}",
        "measured": len(grid),
        "smallest": _size(student),
        "smallest_accuracy": _accuracy(student),
        "smallest_params": formatting.count(int(student["params"])),
        "best": _size(most),
        "best_accuracy": _accuracy(most),
        "best_params": formatting.count(int(most["params"])),
        "apart": _gain(_apart(sizes, student, most)),
        "first": _size(first),
        "first_gap": f"{100 * (most['accuracy'] - first['accuracy']):.1f}",
        "first_interval": formatting.interval(lowest.low, lowest.high),
        **_grows("deep", deep, first),
        **_grows("wide", wide, first),
        **{f"shift_{who}": f"{other:.1f} %" for who, (_, other) in other_texts().items()},
        **{f"fall_{who}": f"{test - other:.1f}" for who, (test, other) in other_texts().items()},
        "transfer_gain": _gain(transfer),
        "soft_gain": _gain(soft_over_hard(report)),
    }


def _grows(name: str, row: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, str]:
    """What a larger architecture costs against the smallest."""
    return {
        name: _size(row),
        f"{name}_params": f"{row['params'] / first['params']:.1f} times",
        f"{name}_time": f"{row['latency_ms'] / first['latency_ms']:.1f} times",
    }


def _apart(sizes: LabReport, one: Mapping[str, Any], other: Mapping[str, Any]) -> Verdict | None:
    mine, theirs = (cells_of(sizes, layers=row["layers"], hidden=row["hidden"]) for row in (one, other))
    return compared(sizes, mine, theirs)


def _over_labelled(report: LabReport, transfer: int) -> Verdict | None:
    """What transfer texts add to the teacher's answers to the labelled ones."""
    mine, theirs = (cells_of(report, who="student", transfer=texts) for texts in (transfer, 0))
    return compared(report, mine, theirs)


def _gain(gain: Verdict | None) -> str:
    return f"{formatting.points(gain.delta)} ({formatting.interval(gain.low, gain.high)})" if gain else ""


def _told(kind: str) -> str:
    return "these texts cannot tell from nothing" if kind == "no_difference" else "is more than chance"


def _size(row: Mapping[str, Any]) -> str:
    return f"{row['layers']:.0f} x {row['hidden']:.0f}"


def _accuracy(row: Mapping[str, Any]) -> str:
    return formatting.with_interval(row["accuracy"], row["low"], row["high"])


def _when_not() -> AnswerAndValues:
    report, tasks = recorded_lab("transfer"), other_tasks()
    table = transfer_table(report)
    few = min(texts for texts in table["transfer"] if texts)
    distilled = table[table["who"] == "student"]
    gains = dict(zip(distilled["transfer"], distilled["kind"], strict=True))
    alone, *_, most = table.to_dict("records")
    questions = tasks["questions"]
    known = recorded()
    answers = {who: logits.argmax(axis=1) for who, logits in known.logits.items()}

    def counted(name: str, other: Any) -> dict[str, str]:
        return {f"{name}_{who}": f"{int((mine == other).sum())}" for who, mine in answers.items()}

    shown = {
        f"{task.partition('-')[0]}_{who}": f"{numbers[who]:.1f} %"
        for task, numbers in tasks.items()
        for who in ("floor", "alone", "distilled", "teacher")
    }
    words = {
        **shown,
        **{who: shown[f"questions_{who}"] for who in ("alone", "distilled", "teacher")},
        "train": f"{questions['train']:,}",
        "gap": f"{questions['teacher'] - questions['alone']:.1f}",
        "most": f"{most['transfer']:,}",
        "few": "No" if gains[few] == "no_difference" else "Yes",
        "few_gain": _gain(_against_alone(report, few)),
        "others": (
            "With other numbers of transfer texts the same student does gain."
            if "helped" in gains.values()
            else "Nor does any of the others."
        ),
        "soft_gain": _gain(soft_over_hard(report)),
        "lab_random": formatting.percent(_mean_accuracy(report, "plain_start")),
        "lab_alone": formatting.percent(alone["accuracy"]),
        "lab_gain": _gain(_against_alone(report, 0)),
        "room": f"{100 * (report['teacher']['accuracy'] - alone['accuracy']):.1f}",
        "agree_texts": len(known.truth),
        **counted("agree", answers["teacher"]),
        **counted("right", known.truth),
    }
    return f"About {words['alone']}, no gain that can be seen", words


def _few_labels() -> dict[str, str]:
    """The race with few labels: what its fewest transfer texts bring over the student alone."""
    report = recorded_race("few")
    texts = min(cell["transfer"] for cell in report["cells"] if cell["transfer"])
    return {
        "few_labels": f"{report['config']['task']['train_texts']}",
        "few_texts": f"{texts:,}",
        "few_labels_gain": _gain(_against_alone(report, texts)),
    }


def _against_alone(report: LabReport, transfer: int) -> Verdict | None:
    distilled = cells_of(report, who="student", transfer=transfer)
    return compared(report, distilled, cells_of(report, who="alone"))


def _choosing() -> AnswerAndValues:
    seen, unseen = best_of(recorded_lab("size"))
    gained = 100 * (unseen[-1] - unseen[0])
    return 100 * float(unseen[-1]), {
        "tried": len(seen),
        "seen": formatting.percent(seen[-1]),
        "unseen": formatting.percent(unseen[-1]),
        "unpicked": formatting.percent(unseen[0]),
        "gap": f"{100 * (seen[-1] - unseen[-1]):.1f}",
        "gained": f"trying them all brought {formatting.signed(gained)} points",
    }


FACTS: dict[str, Callable[[], AnswerAndValues]] = {
    "soft-labels": _soft_labels,
    "temperature": _temperature,
    "alpha": _alpha,
    "data-and-size": _data_and_size,
    "when-not": _when_not,
    "choosing": _choosing,
}
