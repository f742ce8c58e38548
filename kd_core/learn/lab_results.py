"""What a lab measured, cell by cell, and what can be read out of it. No torch."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Annotated, Any, Literal, NotRequired, Self, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from kd_core.config import LESSON, MOST_SEEDS, SEEDS, DistillConfig, Seed
from kd_core.distillation.comparison import Verdict, verdict
from kd_core.distillation.metrics import wilson
from kd_core.distillation.roles import Role
from kd_core.errors import DataError
from kd_core.system.settings import Settings, setting

LabName = Literal["transfer", "hinton2015", "cho2019", "stanton2021"]
OWN = "own"  # the lab's teacher, among several


class LabConfig(Settings):
    """A lab that trains. ``distil`` is what all its students have in common."""

    lab: LabName = setting("transfer", "What is measured: by transfer texts, or the claim of a paper")
    distil: DistillConfig = LESSON
    transfer: tuple[Annotated[int, Field(ge=0)], ...] = setting(
        (0, 500, 2_000, 8_000), "Transfer texts of each student", min_length=1
    )
    seeds: tuple[Seed, ...] = setting(
        (0, 1, 2), "Seeds: each trains its own students", legal=SEEDS, min_length=1, max_length=MOST_SEEDS
    )
    classes: tuple[str, ...] = setting(
        (), "Of hinton2015: the classes that are left out, one after the other"
    )

    @field_validator("distil")
    @classmethod
    def _has_a_teacher(cls, distil: DistillConfig, others: ValidationInfo) -> DistillConfig:
        lab = others.data.get("lab", "transfer")
        if lab != "transfer" and (file := distil.task.knowledge):
            raise ValueError(
                f"learns from a file of answers ({file}), and {lab} teaches teachers of its own; choose the "
                "settings of another run"
            )
        return distil

    def within(self, texts: int) -> Self:
        """Its sizes, of a task with so many transfer texts. Raises: DataError where they say nothing then."""
        sizes = tuple(sorted({min(size, texts) for size in self.transfer}))
        if self.lab == "stanton2021" and len(sizes) < 2:
            raise DataError(
                f"{self.lab} compares few transfer texts with many, and this task has {texts:,}: choose the "
                "settings of a run with some."
            )
        return self.model_copy(update={"transfer": sizes})


class LabCell(TypedDict):
    """One student."""

    name: str
    seed: int
    who: Role
    transfer: int  # texts
    layers: int
    hidden: int
    accuracy: float
    right: str  # a bit for each test text, in hexadecimal
    params: int
    embedding_params: int
    # Of what is recorded since the claims of papers:
    validation: NotRequired[float]  # accuracy on the validation texts
    answers: NotRequired[str]  # the class of each test text, by ``pack_answers``
    teacher: NotRequired[str]  # of ``LabReport.teachers``
    temperature: NotRequired[float]
    unseen: NotRequired[int]  # the class that it never saw,
    shift: NotRequired[float]  # what is added to that class's logit, chosen on validation,
    shifted: NotRequired[str]  # and the answers then
    machine: NotRequired[dict[str, str | int]]  # where it is not that of the report
    curve: NotRequired[list[tuple[int, float]]]  # of a race: step, accuracy on the validation texts


class LabReport(TypedDict):
    config: dict[str, Any]
    training_version: NotRequired[int]  # 0.1 did not note it
    machine: dict[str, str | int]
    test_texts: int
    teacher: dict[Literal["accuracy", "validation"], float]  # on test texts; of a race also on validation
    labels: NotRequired[list[str]]
    truth: NotRequired[str]  # of the test texts, as ``answers``
    teachers: NotRequired[dict[str, str]]  # their answers
    cells: list[LabCell]
    latency: NotRequired[Any]  # of what is recorded: the machine, and the milliseconds of each architecture


def pack(right: NDArray[np.bool_]) -> str:
    return np.packbits(right).tobytes().hex()


def unpack(text: str, count: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count].astype(bool)


def pack_answers(classes: NDArray[np.integer[Any]]) -> str:
    return b64encode(zlib.compress(classes.astype("<u2").tobytes(), 9)).decode()


def unpack_answers(text: str) -> NDArray[np.int64]:
    return np.frombuffer(zlib.decompress(b64decode(text)), "<u2").astype(np.int64)


def best_shift(logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], place: int) -> float:
    """What to add to the logits (N, C) of the class ``place`` so that most of the ``labels`` (N,) are met.

    Accuracy only changes where the shift makes up for a text's distance from the best other class; of the
    best stretch between two such shifts (the first, where several are as good) it is the middle.
    """
    z = np.asarray(logits, dtype=np.float64)
    others = np.delete(z, place, axis=1)
    needed = others.max(axis=1) - z[:, place]  # from here on the text is taken for that class
    gained = (labels == place).astype(int)
    lost = np.delete(np.arange(z.shape[1]), place)[others.argmax(axis=1)] == labels
    order = np.argsort(needed)
    ends, first = np.unique(needed[order], return_index=True)
    change = np.add.reduceat((gained - lost)[order], first)
    right = np.concatenate([[0], np.cumsum(change)])  # below all ends, then from each on
    edges = np.concatenate([[ends[0] - 1], ends, [ends[-1] + 1]])
    best = int(right.argmax())
    return float((edges[best] + edges[best + 1]) / 2)


def transfer_table(report: LabReport) -> pd.DataFrame:
    """A row for each setting that has a cell: who, transfer, seeds, accuracies, accuracy, low, high (of it),
    and delta, delta_low, delta_high, kind: the verdict against the student alone, over the seeds of both.

    Student alone first, then by transfer texts; on hard answers before the others, and without the one from
    random weights, of which ``start_over_random`` tells. The verdict's columns are empty where there is
    nothing to compare with.
    """
    cells = [cell for cell in report["cells"] if cell["who"] != "plain_start"]
    count = report["test_texts"]
    settings = sorted({(cell["who"] != "alone", cell["transfer"], cell["who"]) for cell in cells})
    alone = {cell["seed"]: cell for cell in cells if cell["who"] == "alone"}
    rows = []
    for _, transfer, who in settings:
        mine = {cell["seed"]: cell for cell in cells if (cell["who"], cell["transfer"]) == (who, transfer)}
        accuracies = [mine[seed]["accuracy"] for seed in sorted(mine)]
        low, high = wilson(fmean(accuracies), count)
        row: dict[str, Any] = {
            "who": who,
            "transfer": transfer,
            "seeds": len(mine),
            "accuracies": accuracies,
            "accuracy": fmean(accuracies),
            "low": low,
            "high": high,
        }
        gain = compared(report, mine.values(), alone.values()) if who != "alone" else None
        if gain:
            row |= {"delta": gain.delta, "delta_low": gain.low, "delta_high": gain.high}
            row |= {"kind": gain.kind}
        rows.append(row)
    columns = ["who", "transfer", "seeds", "accuracies", "accuracy", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "delta", "delta_low", "delta_high", "kind"])


def compared(report: LabReport, cells: Iterable[LabCell], others: Iterable[LabCell]) -> Verdict | None:
    """Cells of one setting against those of another, text by text, over the seeds that both have."""
    mine, theirs = ({cell["seed"]: cell for cell in some} for some in (cells, others))
    seeds = sorted(mine.keys() & theirs.keys())
    if not seeds:
        return None
    right = [
        np.stack([unpack(some[seed]["right"], report["test_texts"]) for seed in seeds])
        for some in (mine, theirs)
    ]
    return verdict(right[0], right[1])


def cells_of(report: LabReport, **wanted: Any) -> list[LabCell]:
    """Those with these values: ``cells_of(report, who="student", transfer=8_000)``."""
    return [cell for cell in report["cells"] if wanted.items() <= cell.items()]


def soft_over_hard(report: LabReport) -> Verdict | None:
    """What the teacher's probabilities add to its first choices on the same texts; None: not measured."""
    hard = cells_of(report, who="hard_answers")
    texts = hard[0]["transfer"] if hard else 0
    return compared(report, cells_of(report, who="student", transfer=texts), hard)


def start_over_random(report: LabReport) -> Verdict | None:
    """What the student alone has of its start; None: none was trained from random weights."""
    return compared(report, cells_of(report, who="alone"), cells_of(report, who="plain_start"))


def size_table(report: LabReport) -> pd.DataFrame:
    """A row for each architecture: layers, hidden, params, embedding_share, seeds, accuracy, low, high, and
    latency_ms (median of one text at a time; empty until it was measured)."""
    cells, times = report["cells"], report["latency"]["ms"] if "latency" in report else {}
    rows = []
    for layers, hidden in sorted({(cell["layers"], cell["hidden"]) for cell in cells}):
        mine = [cell for cell in cells if (cell["layers"], cell["hidden"]) == (layers, hidden)]
        accuracy = fmean(cell["accuracy"] for cell in mine)
        low, high = wilson(accuracy, report["test_texts"])
        rows.append(
            {
                "layers": layers,
                "hidden": hidden,
                "params": mine[0]["params"],
                "embedding_share": mine[0]["embedding_params"] / mine[0]["params"],
                "seeds": len(mine),
                "accuracy": accuracy,
                "low": low,
                "high": high,
                "latency_ms": times.get(f"{layers}x{hidden}", {}).get("p50"),
            }
        )
    return pd.DataFrame(rows).astype({"latency_ms": float})


def against_best(report: LabReport) -> dict[tuple[int, int], Verdict]:
    """Each architecture, (layers, hidden), against the one with the best mean accuracy, text by text."""
    sizes: dict[tuple[int, int], list[LabCell]] = {}
    for cell in report["cells"]:
        sizes.setdefault((cell["layers"], cell["hidden"]), []).append(cell)
    best = max(sizes.values(), key=lambda cells: fmean(cell["accuracy"] for cell in cells))
    pairs = {size: compared(report, cells, best) for size, cells in sizes.items()}
    return {size: pair for size, pair in pairs.items() if pair}


def worse_than_best(report: LabReport) -> set[tuple[int, int]]:
    """The architectures, (layers, hidden), that are shown to be worse than the best.

    Each is compared with the best of all, so each p-value counts times the comparisons (Bonferroni): of 15
    without it, one in two grids of equal students would show a difference.
    """
    pairs = against_best(report)
    others = len(pairs) - 1
    return {size for size, pair in pairs.items() if pair.kind == "hurt" and pair.p_value * others < 0.05}


def smallest(grid: pd.DataFrame, accuracy: float) -> Mapping[Any, Any] | None:
    """The row with the fewest parameters that reaches ``accuracy``."""
    rows = grid[grid["accuracy"] >= accuracy].sort_values("params").to_dict("records")
    return next(iter(rows), None)
