"""Classes that are rare: what each weighs in the hard loss, and what models are judged by. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kd_core.config import FEW_TEMPERATURE, LOW_TEMPERATURE, RARE, TEMPERATURE, flag, weights_by_hand
from kd_core.errors import ConfigError
from kd_core.models.presets import MANY_CLASSES
from kd_core.system.formatting import counted

FEW = 3  # validation texts of a class: with less each of them moves macro-F1 by points
FORGOTTEN = 0.25  # as RARE; with less, a student that learns from soft answers does without the class


def class_weights(choice: str, names: Sequence[str], labels: ArrayLike) -> NDArray[np.float64] | None:
    """The weight of each class in the hard loss, (C,); None where all weigh the same.

    "balanced" is N / (C n_c) for the N training ``labels``, n_c of class c: the classes count alike, and the
    mean weight of a text is 1 (King and Zeng 2001, section 4.2, for equal shares). By hand: 1 unless given.
    Raises: ConfigError for a class that the task does not have.
    """
    if choice == "none":
        return None
    if choice == "balanced":
        counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(names))
        weights: NDArray[np.float64] = counts.sum() / (len(names) * np.maximum(counts, 1))
        return weights
    given = weights_by_hand(choice)
    check_classes("objective.class_weights", given, names)
    return np.array([given.get(name, 1.0) for name in names])


def check_classes(setting: str, given: Sequence[str] | dict[str, float], names: Sequence[str]) -> None:
    """Raises: ConfigError where the setting names a class that is not one of the task's."""
    if unknown := [name for name in given if name not in names]:
        raise ConfigError(
            f"{flag(setting)} names {', '.join(map(repr, unknown))}, not a class of this task; "
            f"its classes are {', '.join(map(repr, names))}"
        )


def rarest(names: Sequence[str], labels: ArrayLike) -> tuple[str, float]:
    """The class with the fewest texts, and how many it has of its fair share (1: as many as the mean)."""
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(names))
    place = int(counts.argmin())
    return names[place], float(counts[place] * len(names) / max(counts.sum(), 1))


def texts_by_class(names: Sequence[str], labels: ArrayLike) -> dict[str, int]:
    """How many of the ``labels`` (N,) each class has."""
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))


def auto_metric(names: Sequence[str], labels: ArrayLike) -> str:
    """What ``training.metric = auto`` means for these training labels."""
    return "macro_f1" if rarest(names, labels)[1] < RARE else "accuracy"


def fixed_metric(choice: str, names: Sequence[str], train: ArrayLike, validation: ArrayLike) -> str:
    """``training.metric`` without ``auto``, by the labels of two splits.

    Raises: ConfigError where it is the F1 of a class that no validation text has.
    """
    if choice == "auto":
        return auto_metric(names, train)
    if choice.startswith("f1:"):
        name = choice.removeprefix("f1:")
        check_classes("training.metric", [name], names)
        if not texts_by_class(names, validation)[name]:
            raise ConfigError(
                f"{flag('training.metric')} {choice}: none of the {len(np.asarray(validation)):,} validation "
                f"texts is {name!r}, so it cannot tell one model from another. Give more labelled texts of "
                "that class, or use macro_f1"
            )
    return choice


def auto_temperature(names: Sequence[str], labels: ArrayLike) -> float:
    """What ``objective.temperature = auto`` means for these training labels."""
    if rarest(names, labels)[1] < FORGOTTEN:
        return LOW_TEMPERATURE
    return TEMPERATURE if len(names) >= MANY_CLASSES else FEW_TEMPERATURE


def why_macro_f1(names: Sequence[str], labels: ArrayLike) -> str:
    """The reason of ``auto_metric``, in a sentence."""
    name, share = rarest(names, labels)
    texts = len(np.asarray(labels))
    fair = texts / len(names)
    return (
        f"The class {name!r} has {share * fair:,.0f} of the {texts:,} training texts, less than half of a "
        f"fair share ({fair:,.0f}), so models are judged by macro-F1, in which each class counts alike."
    )


def score(metric: str, predicted: ArrayLike, labels: ArrayLike, names: Sequence[str]) -> float:
    """accuracy, macro_f1 (of the classes among the labels) or f1:CLASS of answers (N,), in [0, 1]."""
    from sklearn.metrics import f1_score

    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if metric == "accuracy":
        return float((predicted == labels).mean())
    own = judged_classes(metric, labels, names)
    return float(f1_score(labels, predicted, labels=own, average="macro", zero_division=0))


def judged_classes(metric: str, labels: ArrayLike, names: Sequence[str]) -> NDArray[np.int64]:
    """Whose F1 the mean is of: for macro_f1 the classes among the labels (N,), for f1:CLASS that one."""
    if metric == "macro_f1":
        return np.unique(np.asarray(labels, dtype=np.int64))
    return np.array([list(names).index(metric.removeprefix("f1:"))])


def never_answered(
    who: str,
    seeds: Sequence[Sequence[Sequence[int]]],
    names: Sequence[str],
    train: ArrayLike,
    *,
    balanced: bool,
) -> list[str]:
    """What to do where a model answers no text with a class that has some: in accuracy it hardly shows.

    ``seeds``: of each the confusion (C, C), whose rows are the truth and columns the answers. ``train``: the
    labels of the training texts; weights of the classes help those that have few of them.
    """
    counts = np.sum(np.asarray(seeds, dtype=np.int64), axis=0)
    lost = np.flatnonzero((counts.sum(axis=1) > 0) & (counts.sum(axis=0) == 0)).tolist()
    if not lost:
        return []
    listed = ", ".join(f"{names[i]!r}" for i in lost[:5]) + (f" and {len(lost) - 5:,} more" * (len(lost) > 5))
    texts = np.bincount(np.asarray(train), minlength=len(names))
    rare = not balanced and (texts[lost] < texts.mean()).any()
    weights = f", or try {flag('objective.class_weights')} balanced" if rare else ""
    return [f"{who} answers no test text with {listed}, though there are some: bring more of them{weights}."]


def notes(
    metric: str, names: Sequence[str], train: ArrayLike, validation: ArrayLike, test: ArrayLike
) -> list[str]:
    """What a person should know of the classes of a run, by the labels of its splits."""
    found = (
        [why_macro_f1(names, train)] if metric == "macro_f1" and auto_metric(names, train) == metric else []
    )
    seen = np.unique(np.asarray(test))
    if missing := [repr(name) for place, name in enumerate(names) if place not in seen]:
        subject = (
            f"The class {missing[0]} has" if len(missing) == 1 else f"The classes {', '.join(missing)} have"
        )
        found.append(f"{subject} no test text: how well it is recognised is not known. Add such texts.")
    few = {name: count for name, count in texts_by_class(names, validation).items() if 0 < count < FEW}
    if few and metric == "macro_f1":
        name, count = min(few.items(), key=lambda pair: pair[1])
        # The first of them that is recognised takes its F1 from 0 to 2 / (count + 1).
        moves = 200 / (count + 1) / len(np.unique(np.asarray(validation)))
        found.append(
            f"The class {name!r} has {counted(count, 'validation text')}: one can move the validation "
            f"macro-F1 by about {moves:.0f} points, so that which weights are best is partly chance. Add "
            f"such texts, or judge by accuracy ({flag('training.metric')} accuracy)."
        )
    return found
