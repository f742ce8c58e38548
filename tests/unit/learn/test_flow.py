"""The loss as a flow of numbers, each computed from earlier ones."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core.learn.anatomy import anatomy
from kd_core.learn.flow import MOST_CLASSES, Number, Stage, loss_flow, number
from kd_core.objectives import CARDS

SETTINGS = {"temperature": 2.0, "alpha": 0.3}


def flow_of(classes: int, divergence: str, label: int = 1) -> tuple[list[Stage], object]:
    random = np.random.default_rng(0)
    student, teacher = random.normal(size=(2, classes))
    loss = anatomy(student, teacher, label, divergence=divergence, **SETTINGS)
    labels = [f"class {i}" for i in range(classes)]
    return loss_flow(loss, student, teacher, label, labels, divergence=divergence, **SETTINGS), loss


def numbers(stages: list[Stage]) -> dict[str, Number]:
    found = [number for stage in stages for row in stage.rows for number in row.numbers]
    assert len({number.id for number in found}) == len(found)
    return {number.id: number for number in found}


@pytest.mark.parametrize("divergence", CARDS)
@pytest.mark.parametrize("classes", [2, 5, 40])
def test_every_number_follows_from_earlier_ones(divergence: str, classes: int) -> None:
    stages, _ = flow_of(classes, divergence)
    before: set[str] = set()
    for stage in stages:
        for row in stage.rows:
            for each in row.numbers:
                assert set(each.parts) | set(each.way) <= before | {each.id}, each.id
                assert each.how.endswith((".", each.value)), "it says how"
                before.add(each.id)
    assert [stage.title for stage in stages] == [
        "Logits",
        "Softened",
        "Compared",
        "Weighed",
        "Summed",
        "Pushed back",
    ]


@pytest.mark.parametrize("divergence", CARDS)
def test_numbers_equal_the_anatomy(divergence: str) -> None:
    stages, loss = flow_of(5, divergence)
    found = numbers(stages)
    for id_, value in {
        "D": loss.divergence,
        "soft": loss.soft,
        "hard": loss.hard,
        "total": loss.total,
    }.items():
        assert found[id_].value == number(value)
    assert [found[f"d_{i}"].value for i in range(5)] == [number(term) for term in loss.terms]
    assert [found[f"g_{i}"].value for i in range(5)] == [number(-g, sign=True) for g in loss.gradient]
    assert max(abs(found[f"g_{i}"].share) for i in range(5)) == pytest.approx(1)


def test_explanations_can_be_recomputed() -> None:
    stages, _ = flow_of(5, "forward_kl")
    found = numbers(stages)
    terms, value = found["d_0"].how.replace("−", "-").replace("×", "*").split(" = ")
    assert eval(terms, {"log": np.log}) == pytest.approx(float(value), abs=0.01)
    powers, share = found["p_teacher_0"].how.rpartition(": ")[2].split(" = ")
    assert eval(powers) == pytest.approx(float(share), abs=0.001)


def test_explanations_without_temperature() -> None:
    student, teacher, names = np.array([1.0, 3.0]), np.array([3.0, 1.0]), ["a", "b"]

    def says(divergence: str) -> str:
        loss = anatomy(student, teacher, 0, divergence=divergence, **SETTINGS)
        stages = loss_flow(loss, student, teacher, 0, names, divergence=divergence, **SETTINGS)
        return numbers(stages)["d_0"].how

    assert says("logit_mse") == "(1.000 − 3.000)² = 4.000"
    assert says("hard_answers") == (  # -log softmax(1, 3)[0]
        "Hard answers, of all logits, 3.000 and 1.000 among them: 2.127. The formula is below."
    )


def test_zero_gradient() -> None:
    logits, settings = np.array([1.0, 2.0]), {"temperature": 4.0, "alpha": 0.0}
    loss = anatomy(logits, logits, 0, divergence="forward_kl", **settings)
    stages = loss_flow(loss, logits, logits, 0, ["a", "b"], divergence="forward_kl", **settings)
    assert numbers(stages)["g_0"].how.endswith(": a step does not move the student's logit of a (label).")


@pytest.mark.parametrize("first", [1000.0, -3000.0])
def test_extreme_powers_are_left_out(first: float) -> None:
    teacher, student = np.array([first, first - 1]), np.zeros(2)
    loss = anatomy(student, teacher, 0, divergence="forward_kl", **SETTINGS)
    stages = loss_flow(loss, student, teacher, 0, ["a", "b"], divergence="forward_kl", **SETTINGS)
    assert numbers(stages)["p_teacher_0"].how.endswith("over all classes.")


def test_rows_of_many_classes() -> None:
    stages, loss = flow_of(40, "forward_kl", label=7)
    found = numbers(stages)
    assert "p_teacher_7" in found
    shown = [int(id_.removeprefix("d_")) for id_ in found if id_.startswith("d_") and id_ != "d_rest"]
    assert len(shown) == MOST_CLASSES
    rest = [i for i in range(40) if i not in shown]
    assert found["d_rest"].value == number(loss.terms[rest].sum())
    assert "d_rest" in found["D"].parts


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (-0.1, "−0.100"), (2e-5, "2.0e−05"), (-1e-12, "−1.0e−12"), (12.3456, "12.346")],
)
def test_number_format(value: float, text: str) -> None:
    assert number(value) == text
    assert number(abs(value), sign=True).startswith("+") == (value != 0)
