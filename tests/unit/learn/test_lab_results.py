"""The results of a lab, on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kd_core.distillation.metrics import wilson
from kd_core.errors import ConfigError
from kd_core.learn.lab_results import LabConfig, pack, size_table, smallest, transfer_table, unpack
from tests.unit.learn.lab_cells import TEXTS, cell, report


def test_packing():
    right = np.array([True, False, False, True, True, False, True, False, True])
    assert pack(right) == "9a80"
    assert unpack("9a80", 9).tolist() == right.tolist()


def test_curve_has_means_and_intervals():
    curve = transfer_table(
        report(
            cell("many", 18, transfer=2000),
            cell("none", 12),
            cell("alone", 10),
            cell("alone", 12, seed=1),
        )
    )
    assert list(zip(curve["who"], curve["transfer"], strict=True)) == [
        ("alone", 0),
        ("student", 0),
        ("student", 2000),
    ]
    alone = curve.iloc[0]
    assert alone["accuracies"] == [0.5, 0.6]
    assert alone["accuracy"] == pytest.approx(0.55)
    assert (alone["low"], alone["high"]) == wilson(0.55, TEXTS)
    assert pd.isna(alone["delta"])


def test_verdict_is_paired_by_seed():
    curve = transfer_table(
        report(
            cell("alone", 4),
            cell("alone", 6, seed=1),
            cell("many", 16, transfer=500),
            cell("many", 18, transfer=500, seed=1),
            cell("many", 20, transfer=500, seed=2),  # nothing to compare this one with
        )
    )
    found = curve.iloc[1]
    assert found["delta"] == pytest.approx(0.6)
    assert 0 < found["delta_low"] < 0.6 < found["delta_high"] <= 1
    assert found["kind"] == "helped"
    assert found["seeds"] == 3


def test_no_verdict_without_a_baseline():
    assert transfer_table(report(cell("none", 12)))["kind"].isna().all()


def test_grid_and_smallest_student():
    found = report(
        cell("2x128", 16),
        cell("2x128", 18, seed=1),
        cell("1x128", 15, layers=1),
        cell("1x64", 12, layers=1, hidden=64),
    )
    grid = size_table(found)
    assert grid["layers"].to_list() == [1, 1, 2]
    assert grid["params"].to_list() == [64_000, 128_000, 256_000]
    assert grid["embedding_share"].to_list() == pytest.approx([0.6, 0.6, 0.3])
    assert grid["accuracy"].to_list() == pytest.approx([0.6, 0.75, 0.85])
    assert grid["latency_ms"].isna().all()
    chosen = smallest(grid, 0.7)
    assert chosen
    assert (chosen["layers"], chosen["hidden"]) == (1, 128)
    assert smallest(grid, 0.86) is None
    timed = size_table(found | {"latency": {"ms": {"1x64": {"p50": 0.4}}}})
    assert timed["latency_ms"].to_list()[0] == 0.4


def test_a_lab_needs_seeds_and_sizes():
    assert LabConfig().transfer == (0, 500, 2000, 8000)
    for bad, problem in (
        ({"seeds": ()}, "seeds must be a list of whole numbers from 0 up, got ()"),
        ({"seeds": (-1,)}, "seeds must be a list of whole numbers from 0 up, got (-1,)"),
        ({"transfer": ()}, "transfer must have a value at least, got none"),
        ({"transfer": (-500,)}, "transfer must be at least 0, got (-500,)"),
        ({"distil": {"objective": {"alpha": 2}}}, "objective.alpha must be between 0 and 1, got 2"),
    ):
        with pytest.raises(ConfigError) as caught:
            LabConfig.from_dict(bad)
        assert caught.value.problems == (problem,)
