"""What a lab measured, cell by cell, and what can be read out of it. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from kd_core.config import SEEDS, DistillConfig, Seed
from kd_core.distillation.comparison import verdict
from kd_core.distillation.metrics import wilson
from kd_core.distillation.roles import Role
from kd_core.system.settings import Settings, setting


class LabConfig(Settings):
    """What does the student learn from? ``distil`` is what all cells have in common."""

    distil: DistillConfig = Field(default_factory=DistillConfig)
    transfer: tuple[Annotated[int, Field(ge=0)], ...] = setting(
        (0, 500, 2_000, 8_000), "Transfer texts of each student", min_length=1
    )
    seeds: tuple[Seed, ...] = setting(
        (0, 1, 2), "Seeds: each trains its own students", legal=SEEDS, min_length=1
    )


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


class LabReport(TypedDict):
    config: dict[str, Any]
    training_version: NotRequired[int]  # 0.1 did not note it
    machine: dict[str, str | int]
    test_texts: int
    teacher: dict[Literal["accuracy"], float]
    cells: list[LabCell]
    latency: NotRequired[Any]  # of what is recorded: the machine, and the milliseconds of each architecture


def pack(right: NDArray[np.bool_]) -> str:
    return np.packbits(right).tobytes().hex()


def unpack(text: str, count: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count].astype(bool)


def transfer_table(report: LabReport) -> pd.DataFrame:
    """A row for each setting that has a cell: who, transfer, seeds, accuracies, accuracy, low, high (of it),
    and delta, delta_low, delta_high, kind: the verdict against the student alone, over the seeds of both.

    Student alone first, then by transfer texts. The verdict's columns are empty where there is nothing to
    compare with.
    """
    cells, count = report["cells"], report["test_texts"]
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
        pairs = sorted(mine.keys() & alone.keys()) if who != "alone" else []
        if pairs:
            both = [[unpack(model[seed]["right"], count) for seed in pairs] for model in (mine, alone)]
            gain = verdict(np.stack(both[0]), np.stack(both[1]))
            row |= {"delta": gain.delta, "delta_low": gain.low, "delta_high": gain.high}
            row |= {"kind": gain.kind}
        rows.append(row)
    columns = ["who", "transfer", "seeds", "accuracies", "accuracy", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "delta", "delta_low", "delta_high", "kind"])


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


def smallest(grid: pd.DataFrame, accuracy: float) -> Mapping[Any, Any] | None:
    """The row with the fewest parameters that reaches ``accuracy``."""
    rows = grid[grid["accuracy"] >= accuracy].sort_values("params").to_dict("records")
    return next(iter(rows), None)
