"""Forms of a run's models compared text by text, as all of them answer the same test texts. No torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kd_core.deployment.reports import Paired
from kd_core.deployment.runtimes import split_form
from kd_core.distillation.comparison import Bools, verdict


def reference(form: str) -> str | None:
    """What a form is compared with: its model in PyTorch; of that, the student with the teacher."""
    who, runtime = split_form(form)
    if runtime != "pytorch":
        return f"{who}-pytorch"
    return "teacher-pytorch" if who != "teacher" else None


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
