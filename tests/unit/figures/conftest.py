"""A report, and the losses and looks of a run."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.unit.figures.sampled import SAMPLE


@pytest.fixture
def report() -> dict:
    return json.loads(json.dumps(SAMPLE))


@pytest.fixture
def curve() -> pd.DataFrame:
    """Two steps of a distilled student with two seeds, and of the student alone."""
    rows = [("student", 0, 1, 2.0, 1.0, 3.0), ("student", 0, 2, 1.0, 0.5, 1.5)]
    rows += [("student", 1, 1, 2.2, 1.2, 3.2), ("student", 1, 2, 1.2, 0.6, 1.8)]
    rows += [("alone", 0, 1, 1.6, 1.6, 0.0), ("alone", 0, 2, 0.8, 0.8, 0.0)]
    columns = ["who", "seed", "step", "loss", "hard", "soft"]
    return pd.DataFrame(rows, columns=columns).assign(intermediate=0.0)


@pytest.fixture
def evaluations() -> pd.DataFrame:
    rows = [("teacher", 0, 10, 0.9), ("student", 0, 10, 0.5), ("student", 0, 20, 0.8)]
    rows += [("student", 1, 10, 0.7), ("student", 1, 20, 0.6), ("alone", 0, 20, 0.7)]
    return pd.DataFrame(rows, columns=["who", "seed", "step", "accuracy"]).assign(
        loss=1.0, score=lambda looks: looks["accuracy"]
    )
