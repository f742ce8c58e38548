"""What a search tries: its settings, its cells, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from kd_core.config import DistillConfig
from kd_core.errors import ConfigError
from kd_core.search import SearchConfig, Setting

pytestmark = pytest.mark.usefixtures("own_database")


def test_a_grid_has_every_combination_and_the_student_alone() -> None:
    config = SearchConfig.from_dict(
        {"temperatures": "1,2", "alphas": (0.1, 0.5, 0.9), "students": "tiny,mini", "folds": 4}
    )
    settings = [setting for setting in config.settings if setting]
    assert [(s.temperature, s.alpha, s.student) for s in settings[:4]] == [
        (1.0, 0.1, "tiny"),
        (1.0, 0.1, "mini"),
        (1.0, 0.5, "tiny"),
        (1.0, 0.5, "mini"),
    ]
    assert len(settings) == 12
    assert [setting.student for setting in config.alone] == ["tiny", "mini"]
    assert config.trainings == (12 + 2) * 4 + 4


def test_each_setting_reaches_its_field() -> None:
    config = SearchConfig(distill=DistillConfig())
    changed = config.apply(
        Setting(temperature=7.0, alpha=0.6, learning_rate=1e-3, student="mini", divergence="js")
    )
    assert (changed.objective.temperature, changed.objective.alpha) == (7.0, 0.6)
    assert (changed.objective.divergence, changed.student.model) == ("js", "mini")
    assert changed.training.learning_rate == 1e-3
    assert changed.task == config.distill.task


def test_random_settings_lie_between_the_ends_and_are_the_same_each_time() -> None:
    config = SearchConfig(temperatures=(1, 8), alphas=(0.1, 0.8), method="random", trials=50)
    found = [setting for setting in config.settings if setting]
    assert len(found) == 50
    assert all(1 <= s.temperature <= 8 and 0.1 <= s.alpha <= 0.8 for s in found)
    assert len({s.temperature for s in found}) > 40
    assert config.settings == SearchConfig.model_validate(config.model_dump()).settings


def test_no_setting_is_drawn_twice() -> None:
    one = {"temperatures": (4,), "alphas": (0.5,), "method": "random", "trials": 5}
    config = SearchConfig.from_dict(one | {"students": ("tiny", "mini")})
    assert sorted(setting.student for setting in config.settings) == ["mini", "tiny"]
    assert config.cells == 4  # with the student alone
    assert len(SearchConfig.from_dict(one).settings) == 1


def test_all_problems_of_a_config_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig.from_dict(
            {
                "temperatures": "",
                "alphas": "0.1,2",
                "folds": 1,
                "method": "best",
                "students": "tiny,../x y",
                "distill": {"objective": {"alpha": 3}},
            }
        )
    *others, students, method, folds = caught.value.problems
    assert others == [
        "objective.alpha must be between 0 and 1, got 3",
        "temperatures must have a value at least, got none",
        "alphas must be between 0 and 1, got '0.1,2'",
    ]
    assert students.startswith("students have a problem: '../x y' is no model")
    assert method == "method must be one of grid, random, tpe, got 'best'"
    assert folds == "folds must be between 2 and 20, got 1"


def test_a_search_has_an_end() -> None:
    """Whoever sends a link has written it: the form alone would make each setting, and stand still."""
    hundred = [number / 100 for number in range(1, 101)]
    lists = {"temperatures": hundred, "alphas": hundred}
    assert SearchConfig.from_dict(lists).cells == 10_001  # with the student alone
    with pytest.raises(ConfigError, match="method grid would try 20,000 settings, more than 10,000; shorten"):
        SearchConfig.from_dict({**lists, "learning_rates": [0.1, 0.2]})
    assert SearchConfig.from_dict({**lists, "learning_rates": [0.1, 0.2], "method": "tpe"}).cells == 22
    with pytest.raises(ConfigError, match="alphas must have 100 values at most, got 101"):
        SearchConfig.from_dict({"alphas": [0.005, *hundred]})


def test_the_name_of_a_search_is_not_that_of_anothers_tables() -> None:
    with pytest.raises(ConfigError, match=r"study must not end in ' \(student alone\)', as the tables"):
        SearchConfig.from_dict({"study": "mine (student alone)"})


def test_the_runs_settings_and_those_of_the_search_are_told_apart() -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig.from_dict({"more": 1, "study": "x" * 201, "distill": {"more": 1}})
    assert [problem.partition(", got")[0] for problem in caught.value.problems] == [
        "study must be a text of 200 characters at most",
        "more is not a setting; choose from task, teacher, student, objective, training, controls",
        f"more is not a setting; choose from {', '.join(SearchConfig.model_fields)}",
    ]


def test_a_list_without_a_legal_value_is_one_problem() -> None:
    with pytest.raises(ConfigError, match=r"^temperatures must be between 0.01 and 100, got \['0'\]$"):
        SearchConfig.from_dict({"temperatures": ["0"]})


def test_values_must_differ() -> None:
    with pytest.raises(ConfigError, match=r"^temperatures must differ, got 1\.0,1\.0$"):
        SearchConfig.from_dict({"temperatures": "1,1"})
