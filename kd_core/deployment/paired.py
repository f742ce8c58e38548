"""Forms of a run's models compared text by text, as all of them answer the same test texts. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kd_core.deployment.reports import Judged, Paired
from kd_core.deployment.runtimes import split_form
from kd_core.distillation.balance import judged_classes, score
from kd_core.distillation.comparison import Bools, Ints, f1_verdict, verdict
from kd_core.distillation.metrics import macro_f1_interval


def reference(form: str) -> str | None:
    """What a form is compared with: its model in PyTorch; of that, the student with the teacher."""
    who, runtime = split_form(form)
    if runtime != "pytorch":
        return f"{who}-pytorch"
    return "teacher-pytorch" if who != "teacher" else None


def judge(
    answers: Mapping[str, Ints], labels: Ints, metric: str, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """For each form what its ``FormReport`` has of its answers (texts,): ``paired`` and ``judged``.

    ``metric`` as in ``training.metric``; ``names`` are the classes.
    """
    found: dict[str, dict[str, Any]] = {form: {} for form in answers}
    for form, pair in compare({form: said == labels for form, said in answers.items()}).items():
        found[form]["paired"] = pair
    if metric != "accuracy":
        for form, said in answers.items():
            other = answers.get(reference(form) or "")
            found[form]["judged"] = _judged(said, other, labels, metric, names, found[form].get("paired"))
    return found


def compare(right: Mapping[str, Bools]) -> dict[str, Paired]:
    """Each form that has a reference against it. ``right``: for each form, whether it is right, (texts,)."""
    pairs = ((form, reference(form)) for form in right)
    return {form: _paired(right[form], right[other]) for form, other in pairs if other and other in right}


def _paired(form: Bools, other: Bools) -> Paired:
    found = verdict(form[None], other[None])
    return {
        "lost": int(np.sum(other & ~form)),
        "gained": int(np.sum(form & ~other)),
        "delta": found.delta,
        "low": found.low,
        "high": found.high,
        "texts": found.n,
    }


def _judged(
    answers: Ints, other: Ints | None, labels: Ints, metric: str, names: Sequence[str], pair: Paired | None
) -> Judged:
    classes = judged_classes(metric, labels, names)
    low, high = macro_f1_interval(answers[None], labels, classes) or (None, None)
    gap = None if other is None else f1_verdict(answers[None], other[None], labels, classes)
    return {
        "metric": metric,
        "score": score(metric, answers, labels, names),
        "low": low,
        "high": high,
        "paired": {**pair, "delta": gap.delta, "low": gap.low, "high": gap.high} if pair and gap else None,
    }
