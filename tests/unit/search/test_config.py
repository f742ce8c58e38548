from __future__ import annotations

import pytest

from kd_core.config import DistillConfig
from kd_core.errors import ConfigError
from kd_core.search import SearchConfig, Setting


def test_grid_has_every_combination_and_the_student_alone() -> None:
    config = SearchConfig.from_dict(
        {"temperatures": "1,2", "alphas": (0.1, 0.5, 0.9), "students": "tiny,mini", "folds": 4}
    )
    found = [(s.temperature, s.alpha, s.student) for s in config.settings]
    assert found[:3] == [(1.0, 0.1, "tiny"), (1.0, 0.1, "mini"), (1.0, 0.5, "tiny")]
    assert len(set(found)) == len(found) == 12
    assert [(setting.student, setting.alpha) for setting in config.alone] == [("tiny", 1.0), ("mini", 1.0)]
    assert config.trainings == (12 + 2) * 4 + 4


def test_setting_changes_its_fields() -> None:
    config = SearchConfig(distill=DistillConfig())
    changed = config.apply(
        Setting(temperature=7.0, alpha=0.6, learning_rate=1e-3, student="mini", divergence="js")
    )
    assert (changed.objective.temperature, changed.objective.alpha) == (7.0, 0.6)
    assert (changed.objective.divergence, changed.student.model) == ("js", "mini")
    assert changed.training.learning_rate == 1e-3
    assert changed.task == config.distill.task


def test_random_settings_lie_between_the_ends_and_can_be_repeated() -> None:
    config = SearchConfig(temperatures=(1, 8), alphas=(0.1, 0.8), method="random", trials=50)
    found = [setting for setting in config.settings if setting]
    assert len(found) == 50
    assert all(1 <= s.temperature <= 8 and 0.1 <= s.alpha <= 0.8 for s in found)
    assert len({s.temperature for s in found}) > 40
    assert config.settings == SearchConfig.model_validate(config.model_dump()).settings


def test_no_random_setting_is_drawn_twice() -> None:
    one = {"temperatures": (4,), "alphas": (0.5,), "method": "random", "trials": 5}
    config = SearchConfig.from_dict(one | {"students": ("tiny", "mini")})
    assert sorted(setting.student for setting in config.settings) == ["mini", "tiny"]
    assert config.cells == 4  # with the student alone
    assert SearchConfig.from_dict(LARGE).cells == 10_001  # as large as a grid may be
    assert len(SearchConfig.from_dict(one).settings) == 1


HUNDRED = [number / 100 for number in range(1, 101)]
LARGE = {"temperatures": HUNDRED, "alphas": HUNDRED}


SECTIONS = "task, teacher, student, objective, training, controls"


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        (
            {"temperatures": "", "alphas": "0.1,2", "distill": {"objective": {"alpha": 3}}},
            [
                "objective.alpha must be between 0 and 1, got 3",
                "temperatures must have a value at least, got none",
                "alphas must be between 0 and 1, got '0.1,2'",
            ],
        ),
        (
            {"folds": 1, "method": "best"},
            [
                "method must be one of grid, random, tpe, got 'best'",
                "folds must be between 2 and 20, got 1",
            ],
        ),
        ({"students": "tiny,../x y"}, ["students have a problem: '../x y' is no model"]),
        (
            {**LARGE, "learning_rates": [0.1, 0.2]},
            ["method grid would try 20,000 settings, more than 10,000; shorten the lists, or take random"],
        ),
        ({"alphas": [0.005, *HUNDRED]}, ["alphas must have 100 values at most, got 101"]),
        ({"study": "mine (student alone)"}, ["study must not end in ' (student alone)', as the tables"]),
        (
            {"more": 1, "study": "x" * 201, "distill": {"more": 1}},
            [
                "study must be a text of 200 characters at most",
                f"more is not a setting; choose from {SECTIONS}",
                f"more is not a setting; choose from {', '.join(SearchConfig.model_fields)}",
            ],
        ),
        ({"temperatures": ["0"]}, ["temperatures must be between 0.01 and 100, got ['0']"]),
        ({"temperatures": "1,1"}, ["temperatures must differ, got 1.0,1.0"]),
    ],
)
def test_problems_of_a_config(own_database, values, problems) -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig.from_dict(values)
    for problem, begin in zip(caught.value.problems, problems, strict=True):
        assert problem.startswith(begin)
