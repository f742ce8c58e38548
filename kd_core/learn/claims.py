"""What papers say of distillation, tested here: the numbers behind each verdict. No torch.

Each claim is one comparison, fixed before anything was measured, and judged by ``comparison``: where its
interval is above zero the claim is reproduced, below zero contradicted, and else these texts cannot show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from kd_core.distillation.comparison import Verdict, judge, verdict
from kd_core.distillation.metrics import wilson
from kd_core.learn.lab_results import OWN, LabCell, LabReport, cells_of, unpack_answers
from kd_core.system import paths

ClaimName = Literal["hinton2015", "cho2019", "stanton2021"]
Bools = NDArray[np.bool_]

FILE = paths.app_folder() / "assets" / "claims.yaml"
TEMPERATURES = (1, 4, 10)
EPOCHS = (1, 2, 5, 10)  # of teachers
RANDOM = "random"  # a teacher that was never taught
OUTCOMES = {"helped": "Reproduced", "no_difference": "Not shown at this scale", "hurt": "Contradicted"}


class Claim(BaseModel):
    """What a paper says, how it is tested here and what is asked first: a part of ``assets/claims.yaml``.

    ``title``, ``x`` and ``y`` are the picture's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    paper: str
    address: str
    says: str
    here: str
    title: str
    x: str
    y: str
    question: str
    options: tuple[str, ...]


@lru_cache(maxsize=1)
def claims() -> dict[ClaimName, Claim]:
    parts = yaml.safe_load(FILE.read_text("utf-8"))
    return {name: Claim.model_validate(part) for name, part in parts.items()}


def by_epochs(epochs: int, seed: int) -> str:
    """The name of a teacher in a report."""
    return f"{epochs} epochs, seed {seed}"


@dataclass(frozen=True)
class Findings:
    """``points`` has a row for each mark: place, series, mean, low, high, values (of each seed).

    ``main`` decides the claim; None while its students are still being trained. ``level`` is a number that
    all places are compared with, in words and as a share. ``others`` are further comparisons, by name.
    """

    points: pd.DataFrame
    main: Verdict | None
    level: tuple[str, float] | None
    others: Mapping[str, Verdict]
    early: int = 0  # of cho2019: the epochs that were chosen, on validation


def findings(claim: ClaimName, report: LabReport) -> Findings:
    """``report`` may be of a lab under way: what is missing is left out."""
    return _FINDINGS[claim](report)


# Hinton, Vinyals and Dean 2015


def recall(report: LabReport, who: str, temperature: float | None, shifted: bool) -> Bools:
    """(S seeds, N test texts): whether a text is given its class by the student that never saw that class.

    Only seeds that have a student for each class. ``temperature``: None for those of labels alone.
    """
    truth = unpack_answers(report["truth"])
    cells = [cell for cell in cells_of(report, who=who) if "unseen" in cell]
    if temperature is not None:
        cells = [cell for cell in cells if cell["temperature"] == temperature]
    classes = sorted({cell["unseen"] for cell in report["cells"] if "unseen" in cell})
    rows = []
    for seed in sorted({cell["seed"] for cell in cells}):
        mine = {cell["unseen"]: cell for cell in cells if cell["seed"] == seed}
        if sorted(mine) == classes:
            answers = [unpack_answers(mine[c]["shifted" if shifted else "answers"]) for c in classes]
            rows.append(
                np.concatenate([(found == c)[truth == c] for c, found in zip(classes, answers, strict=True)])
            )
    return np.array(rows, dtype=bool)


def _hinton2015(report: LabReport) -> Findings:
    settings: dict[str, tuple[str, float | None]] = {"Labels alone": ("alone", None)}
    settings |= {f"T = {T}": ("student", T) for T in TEMPERATURES}
    after = {place: recall(report, *setting, shifted=True) for place, setting in settings.items()}
    points = _points(
        (place, series, right)
        for place, setting in settings.items()
        for series, right in (("before", recall(report, *setting, shifted=False)), ("after", after[place]))
    )
    saw = _saw_all(report)
    others = {f"{place} over labels alone": _compared(after[place], after["Labels alone"]) for place in after}
    others["shift"] = _compared(after["T = 4"], recall(report, "student", 4, shifted=False))
    others["the class seen"] = _compared(after["T = 4"], saw)
    others.pop("Labels alone over labels alone")
    found = {name: pair for name, pair in others.items() if pair}
    level = ("It has seen the class", float(saw.mean())) if saw.size else None
    return Findings(points, found.get("T = 4 over labels alone"), level, found)


def _saw_all(report: LabReport) -> Bools:
    """As ``recall``, of the students that saw all classes."""
    truth = unpack_answers(report["truth"])
    classes = sorted({cell["unseen"] for cell in report["cells"] if "unseen" in cell})
    cells = [cell for cell in report["cells"] if "unseen" not in cell]
    rows = [unpack_answers(cell["answers"]) == truth for cell in sorted(cells, key=lambda cell: cell["seed"])]
    return np.array(
        [np.concatenate([row[truth == c] for c in classes]) for row in rows if classes], dtype=bool
    )


def unseen_table(report: LabReport) -> pd.DataFrame:
    """A row for each class and setting: class, setting, before, after (recall), shift, accuracy (of all
    texts, after the shift), each the mean over seeds."""
    truth, labels = unpack_answers(report["truth"]), report["labels"]
    rows = []
    for cell in report["cells"]:
        if "unseen" in cell:
            place = cell["unseen"]
            before, after = unpack_answers(cell["answers"]), unpack_answers(cell["shifted"])
            rows.append(
                {
                    "class": labels[place],
                    "setting": "Labels alone" if cell["who"] == "alone" else f"T = {cell['temperature']:g}",
                    "before": (before == place)[truth == place].mean(),
                    "after": (after == place)[truth == place].mean(),
                    "shift": cell["shift"],
                    "accuracy": (after == truth).mean(),
                }
            )
    columns = ["class", "setting", "before", "after", "shift", "accuracy"]
    return pd.DataFrame(rows, columns=columns).groupby(columns[:2], sort=False).mean().reset_index()


# Cho and Hariharan 2019


def _cho2019(report: LabReport) -> Findings:
    truth = unpack_answers(report["truth"])
    students: dict[int, list[LabCell]] = {epochs: [] for epochs in EPOCHS}
    for cell in sorted(cells_of(report, who="student"), key=lambda cell: cell["seed"]):
        students[int(cell["teacher"].split()[0])].append(cell)
    right = {epochs: _right(report, cells) for epochs, cells in students.items()}
    teachers = {
        epochs: np.array([unpack_answers(report["teachers"][cell["teacher"]]) == truth for cell in cells])
        for epochs, cells in students.items()
    }
    points = _points(
        (f"{epochs}", series, some[epochs])
        for series, some in (("teacher", teachers), ("student", right))
        for epochs in EPOCHS
    )
    alone = _right(report, cells_of(report, who="alone"))
    others = {
        "teacher": _compared(teachers[EPOCHS[-1]], teachers[EPOCHS[0]]),
        **{f"{epochs}": _compared(right[epochs], right[EPOCHS[-1]]) for epochs in EPOCHS[:-1]},
        "over alone": _compared(right[EPOCHS[-1]], alone),
    }
    found = {name: pair for name, pair in others.items() if pair}
    level = ("Student alone", float(alone.mean())) if alone.size else None
    whole = all(len(students[epochs]) == len(students[EPOCHS[0]]) > 0 for epochs in EPOCHS)
    early = max(EPOCHS[:-1], key=lambda epochs: np.mean([c["validation"] for c in students[epochs]] or [0]))
    return Findings(points, found.get(f"{early}") if whole else None, level, found, early if whole else 0)


# Stanton et al. 2021


def _stanton2021(report: LabReport) -> Findings:
    alone = cells_of(report, who="alone")
    sizes = sorted({cell["transfer"] for cell in cells_of(report, who="student", teacher=OWN)})
    own = {texts: cells_of(report, who="student", teacher=OWN, transfer=texts) for texts in sizes}
    random = {texts: cells_of(report, who="student", teacher=RANDOM, transfer=texts) for texts in sizes}
    places: dict[str, list[LabCell]] = {"Alone": alone} | {f"{texts:,}": own[texts] for texts in sizes}
    points = _points(
        [(place, "agreement", _agrees(report, cells)) for place, cells in places.items()]
        + [(place, "accuracy", _right(report, cells)) for place, cells in places.items()]
        + [(f"{texts:,}", "random agreement", _agrees(report, cells)) for texts, cells in random.items()]
        + [(f"{texts:,}", "random accuracy", _right(report, cells)) for texts, cells in random.items()]
    )
    teacher = unpack_answers(report["teachers"][OWN]) == unpack_answers(report["truth"])
    level = ("The teacher's accuracy", float(teacher.mean()))
    if len(sizes) < 2:
        return Findings(points, None, level, {})
    few, many = own[sizes[0]], own[sizes[-1]]
    others = {
        "agreement": _compared(_agrees(report, many), _agrees(report, few)),
        "accuracy": _compared(_right(report, many), _right(report, few)),
        "inherited": _compared(_agrees(report, many)[:, ~teacher], _agrees(report, alone)[:, ~teacher])
        if alone
        else None,
        "random agreement": _compared(_agrees(report, random[sizes[-1]]), _agrees(report, random[sizes[0]])),
    }
    pairs = [_agrees(report, many), _agrees(report, few), _right(report, many), _right(report, few)]
    seeds = min(map(len, pairs))
    a, b, c, d = (pair[:seeds].astype(np.float64) for pair in pairs)
    main = judge((a - b) - (c - d)) if seeds else None
    return Findings(points, main, level, {name: pair for name, pair in others.items() if pair})


def inherited(report: LabReport) -> tuple[float, float, int]:
    """Of the teacher's errors, the share that the student alone makes too, with the same answer, and the
    share that the one with most transfer texts makes; and how many errors there are."""
    wrong = unpack_answers(report["teachers"][OWN]) != unpack_answers(report["truth"])
    most = max(cell["transfer"] for cell in report["cells"])
    alone, student = (
        cells_of(report, who="alone"),
        cells_of(report, who="student", teacher=OWN, transfer=most),
    )
    shares = [float(_agrees(report, cells)[:, wrong].mean()) for cells in (alone, student)]
    return shares[0], shares[1], int(wrong.sum())


def _right(report: LabReport, cells: Sequence[LabCell]) -> Bools:
    truth = unpack_answers(report["truth"])
    return np.array([unpack_answers(cell["answers"]) == truth for cell in _by_seed(cells)], dtype=bool)


def _agrees(report: LabReport, cells: Sequence[LabCell]) -> Bools:
    """Each with its own teacher."""
    teachers = {name: unpack_answers(answers) for name, answers in report["teachers"].items()}
    return np.array(
        [unpack_answers(cell["answers"]) == teachers[cell["teacher"]] for cell in _by_seed(cells)], dtype=bool
    )


def _by_seed(cells: Sequence[LabCell]) -> list[LabCell]:
    return sorted(cells, key=lambda cell: cell["seed"])


def _compared(one: Bools, other: Bools) -> Verdict | None:
    """Over the seeds that both have: trainings go seed by seed, so these are the first."""
    seeds = min(len(one), len(other))
    return verdict(one[:seeds], other[:seeds]) if seeds else None


def _points(marks: Iterable[tuple[str, str, Bools]]) -> pd.DataFrame:
    """Of (place, series, right): a row for each that has a seed."""
    rows = []
    for place, series, right in marks:
        if right.size:
            low, high = wilson(float(right.mean()), right.shape[1])
            rows.append(
                (place, series, float(right.mean()), low, high, [float(v) for v in right.mean(axis=1)])
            )
    return pd.DataFrame(rows, columns=["place", "series", "mean", "low", "high", "values"])


def right_option(claim: ClaimName, found: Findings) -> str:
    """Which of the question's options the measurement has answered."""
    options = claims()[claim].options
    if claim == "hinton2015":
        points = found.points
        share = points[(points["place"] == "T = 4") & (points["series"] == "after")]["mean"].iloc[0]
        return options[min(3, int(4 * share))]
    kind = found.main.kind if found.main else "no_difference"
    return options[("helped", "hurt", "no_difference").index(kind)]


_FINDINGS: Mapping[ClaimName, Callable[[LabReport], Findings]] = {
    "hinton2015": _hinton2015,
    "cho2019": _cho2019,
    "stanton2021": _stanton2021,
}
