"""Claims of papers: the deciding comparisons by hand, also of unfinished labs."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core.distillation.comparison import judge, verdict
from kd_core.distillation.metrics import wilson
from kd_core.learn.claims import (
    RANDOM,
    TEMPERATURES,
    claims,
    findings,
    inherited,
    recall,
    right_option,
    unseen_table,
)
from kd_core.learn.lab_results import OWN, best_shift, pack_answers, unpack_answers
from tests.unit.learn.claimed import TRUTH, answers, cell, of_teachers, report, unseen


def test_packing() -> None:
    found = np.array([0, 3, 65_535, 7])
    assert unpack_answers(pack_answers(found)).tolist() == found.tolist()


def test_best_shift_is_optimal() -> None:
    rng = np.random.default_rng(0)
    for place in range(3):
        labels = rng.integers(0, 3, 80)
        logits = rng.normal(size=(80, 3)) + 2 * np.eye(3)[labels]
        logits[:, place] -= 3  # its bias is much too low

        def right(shift: float, z=logits, y=labels, c=place) -> int:
            return int(((z + shift * (np.arange(3) == c)).argmax(axis=1) == y).sum())

        needed = np.delete(logits, place, axis=1).max(axis=1) - logits[:, place]
        between = np.sort(needed)
        tried = [between[0] - 1, *(between[:-1] + between[1:]) / 2, between[-1] + 1]
        assert right(best_shift(logits, labels, place)) == max(map(right, tried)) > right(0)


def test_hinton2015() -> None:
    cells = [cell("student", seed, TRUTH) for seed in (0, 1)]
    for seed in (0, 1):
        cells += [unseen("alone", seed, place, 2) for place in range(3)]
        cells += [unseen("student", seed, place, 15, T) for place in range(3) for T in TEMPERATURES]
    found = findings("hinton2015", report(cells))
    assert recall(report(cells), "student", 4, shifted=True).shape == (2, 60)
    marks = found.points.set_index(["place", "series"])["mean"]
    assert marks["T = 10", "before"] == 0
    assert marks["T = 4", "after"] == pytest.approx(0.75)
    assert marks["Labels alone", "after"] == pytest.approx(0.1)
    expected = verdict(recall(report(cells), "student", 4, True), recall(report(cells), "alone", None, True))
    assert found.main == expected
    assert (found.main.kind, found.main.delta) == ("helped", pytest.approx(0.65))
    assert found.others["the class seen"].delta == pytest.approx(-0.25)
    assert found.level == ("It has seen the class", 1.0)
    assert right_option("hinton2015", found) == "More than three quarters"
    bars = found.points.set_index(["place", "series"])[["low", "high"]]
    assert tuple(bars.loc[("T = 4", "after")]) == pytest.approx(wilson(0.75, 60)), (
        "two seeds have the same texts"
    )
    always = [unseen("student", 0, place, 20) for place in range(3)]
    assert right_option("hinton2015", findings("hinton2015", report(always))) == "More than three quarters"
    table = unseen_table(report(cells))
    assert len(table) == 12
    row = table[(table["class"] == "b") & (table["setting"] == "T = 1")].iloc[0]
    assert (row["before"], row["after"], row["shift"]) == (0, 0.75, 2)
    assert row["accuracy"] == pytest.approx(55 / 60)


def test_incomplete_seeds_do_not_count() -> None:
    cells = [cell("student", 0, TRUTH), *(unseen("alone", 0, place, 2) for place in range(3))]
    cells += [unseen("student", 0, place, 15) for place in range(2)]
    found = findings("hinton2015", report(cells))
    assert found.main is None
    assert list(found.points["place"].unique()) == ["Labels alone"]
    assert findings("hinton2015", report([])).points.empty


def test_cho2019_chooses_on_validation() -> None:
    found = findings("cho2019", of_teachers({1: 4, 2: 19, 5: 12, 10: 6}))
    assert (found.early, found.main.kind) == (2, "helped")
    assert found.main.delta == pytest.approx(13 / 60)
    assert right_option("cho2019", found) == "Those of the early one"
    assert found.others["teacher"].delta == pytest.approx(18 / 60)
    assert found.others["over alone"].delta == pytest.approx(-4 / 60)
    other = findings(
        "cho2019", of_teachers({1: 4, 2: 19, 5: 12, 10: 20}, validation={1: 9, 2: 1, 5: 2, 10: 20})
    )  # the latest is best on validation, but is no early one
    assert (other.early, other.main.kind) == (1, "hurt")
    assert right_option("cho2019", other) == "Those of the one of 10 epochs"
    marks = other.points.set_index(["place", "series"])["mean"]
    assert marks["5", "teacher"] == pytest.approx(50 / 60)


def test_cho2019_without_all_students() -> None:
    whole = of_teachers({1: 4, 2: 19, 5: 12, 10: 6}, seeds=(0,))
    found = findings("cho2019", {**whole, "cells": whole["cells"][:-1]})
    assert (found.main, found.early) == (None, 0)
    assert "10" not in set(found.points["place"])
    two = of_teachers({1: 4, 2: 19, 5: 12, 10: 6}, seeds=(0, 1))
    found = findings("cho2019", {**two, "cells": two["cells"][:-1]})
    assert (found.main, found.early) == (None, 0), "nor of the first seed alone"


def test_stanton2021() -> None:
    teacher = answers({0: 5}, wrong=1)  # 15 errors
    random = np.roll(TRUTH, 20)
    cells = []
    for seed in (0, 1, 2):
        cells.append(cell("alone", seed, answers({0: 8}, wrong=1)))
        cells.append(cell("student", seed, answers({0: 20})))
        cells.append(cell("student", seed, teacher, transfer=8_000))
        cells.append(cell("student", seed, TRUTH, teacher=RANDOM))
        cells.append(cell("student", seed, random, teacher=RANDOM, transfer=8_000))
    mine = report(cells, {OWN: teacher, RANDOM: random})
    found = findings("stanton2021", mine)
    assert found.others["agreement"].delta == pytest.approx(15 / 60)
    assert found.others["accuracy"].delta == pytest.approx(-15 / 60)
    gains = np.zeros((3, 60))
    gains[:, 5:20] = 2.0
    assert found.main == judge(gains)
    assert right_option("stanton2021", found) == "Agreement with the teacher"
    assert found.others["random agreement"].delta == pytest.approx(1)
    assert inherited(mine) == (pytest.approx(12 / 15), 1.0, 15)
    assert found.others["inherited"].delta == pytest.approx(3 / 15)
    marks = found.points.set_index(["place", "series"])["mean"]
    assert marks["8,000", "random accuracy"] == 0
    assert findings("stanton2021", report(cells[:2], {OWN: teacher})).main is None
    mine["cells"] = [one for one in cells if (one["seed"], one["transfer"], one["teacher"]) != (2, 0, OWN)]
    assert findings("stanton2021", mine).main == judge(gains[:2]), "over the seeds of all four"


def test_students_are_paired_by_seed() -> None:
    few, many = (
        [cell("student", seed, answers({0: 5 + 10 * seed}), transfer=texts) for seed in (0, 1)]
        for texts in (0, 8_000)
    )
    found = findings("stanton2021", report([*few[::-1], *many]))
    assert found.others["accuracy"] == verdict(np.ones((2, 60), bool), np.ones((2, 60), bool))


def test_claims_are_complete() -> None:
    assert list(claims()) == ["hinton2015", "cho2019", "stanton2021"]
    for claim in claims().values():
        assert claim.address.startswith("https://arxiv.org/abs/")
        assert "**Reproduced** means:" in claim.here
        assert len(claim.options) > 2
