"""A lab about a paper's claim whose numbers can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from kd_core.learn.claims import EPOCHS, by_epochs
from kd_core.learn.lab_results import OWN, pack_answers

TRUTH = np.repeat([0, 1, 2], 20)


def answers(right: dict[int, int], wrong: int = 0) -> np.ndarray:
    """Of each class so many texts get their class, and the others ``wrong`` or, of that class, the next."""
    found = TRUTH.copy()
    for cls, count in right.items():
        found[np.flatnonzero(cls == TRUTH)[count:]] = wrong if cls != wrong else (cls + 1) % 3
    return found


def cell(who: str, seed: int, found: np.ndarray, **more: Any) -> dict[str, Any]:
    return {
        "name": who,
        "seed": seed,
        "who": who,
        "transfer": 0,
        "teacher": OWN,
        "temperature": 4.0,
        "validation": 0.5,
        "answers": pack_answers(found),
        **more,
    }


def report(cells: list[dict[str, Any]], teachers: dict[str, np.ndarray] | None = None) -> Any:
    return {
        "labels": ["a", "b", "c"],
        "truth": pack_answers(TRUTH),
        "test_texts": len(TRUTH),
        "teachers": {name: pack_answers(found) for name, found in ({OWN: TRUTH} | (teachers or {})).items()},
        "cells": cells,
    }


def unseen(who: str, seed: int, place: int, after: int, temperature: float = 4.0) -> dict[str, Any]:
    before = answers({place: 0}, wrong=(place + 1) % 3)
    return cell(
        who,
        seed,
        before,
        unseen=place,
        shift=2.0,
        shifted=pack_answers(answers({place: after}, wrong=(place + 1) % 3)),
        temperature=temperature,
    )


def of_teachers(right: dict[int, int], seeds=(0, 1, 2), validation=None) -> Any:
    cells, teachers = [], {}
    for seed in seeds:
        cells.append(cell("alone", seed, answers({0: 10})))
        for epochs in EPOCHS:
            name = by_epochs(epochs, seed)
            teachers[name] = answers({0: 2 * epochs})
            cells.append(
                cell(
                    "student",
                    seed,
                    answers({0: right[epochs]}),
                    teacher=name,
                    validation=(validation or right)[epochs] / 20,
                )
            )
    return report(cells, teachers)
