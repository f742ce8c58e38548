from __future__ import annotations

import shlex
from types import SimpleNamespace

import click
import pytest

from kd_core.cli.flags import options, read_config
from kd_core.config import DEMO, DistillConfig, changed, differing
from kd_core.distillation.reproduce import command, python
from tests import ROOT

CONFIGS = {
    "defaults": {},
    "numbers": {"objective.temperature": 2.5, "training.learning_rate": 1e-5, "training.seeds": [0, 1, 2]},
    "switches": {"student.trim_vocabulary": False, "task.drop_empty": True, "controls.shifted": False},
    "texts": {
        "task.name": 'my data/it\'s $HOME; "x".csv',
        "task.delimiter": "\t",
        "task.encoding": "latin-1",
    },
    "answers": {
        "task.knowledge": "my answers.csv",
        "task.answer_columns": ["prob a", "prob b"],
        "task.answers": "logits",
        "task.gold": "test",
        "task.normalise": True,
        "task.smoothing": 0.25,
        "objective.class_weights": "sport=3,odd news=0.5",
        "training.metric": "f1:odd news",
    },
    "choices": {"objective.divergence": "reverse_kl", "student.init": "random", "task.max_length": 128},
}


def config(name: str) -> DistillConfig:
    return DistillConfig().change(CONFIGS[name])


@pytest.mark.parametrize("name", CONFIGS)
def test_the_command_gives_the_config_again(name: str) -> None:
    wanted = config(name)
    text = command(wanted.model_dump(mode="json")).replace("\\\n", "")  # as a shell joins lines
    kd, distill, *args = shlex.split(text)
    assert (kd, distill) == ("kd", "distill")
    parser = click.Command("distill", params=[option for group in options().values() for option in group])
    assert read_config(None, parser.make_context("distill", args).params) == wanted


@pytest.mark.parametrize("name", CONFIGS)
def test_the_python_code_gives_the_config_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    fake = SimpleNamespace(DistillConfig=DistillConfig)
    fake.distill = lambda config: ran.append(config) or SimpleNamespace(sentence="")
    monkeypatch.setitem(__import__("sys").modules, "kd_core", fake)
    exec(python(config(name).model_dump(mode="json")))
    assert ran == [config(name)]


def test_the_demo_in_a_terminal_is_that_of_the_dashboard() -> None:
    said = " ".join(command(DEMO.model_dump(mode="json")).replace("\\\n", "").split())
    assert f"$(BIN)/{said}\n" in (ROOT / "Makefile").read_text("utf-8")


def test_only_what_differs_from_the_defaults_is_said() -> None:
    assert command(config("defaults").model_dump(mode="json")) == "kd distill"
    stored = config("numbers").model_dump(mode="json")
    assert (
        command(stored)
        == "kd distill \\\n  --temperature 2.5 \\\n  --learning-rate 1e-05 \\\n  --seeds 0,1,2"
    )
    assert changed(stored) == {
        "objective.temperature": 2.5,
        "training.learning_rate": 1e-05,
        "training.seeds": [0, 1, 2],
    }


def test_a_list_that_no_flag_takes_is_left_to_the_file() -> None:
    columns = {"task.knowledge": "answers.csv", "task.answer_columns": ["yes, sure", "no"]}
    stored = DistillConfig().change(columns).model_dump(mode="json")
    assert command(stored) == (
        "# A value for --answer-columns has a comma: use the file.\nkd distill --config FILE"
    )
    assert "['yes, sure', 'no']" in python(stored)


def test_settings_in_which_runs_differ() -> None:
    defaults = config("defaults").model_dump(mode="json")
    other = config("choices").model_dump(mode="json")
    assert differing([defaults, defaults]) == {}
    assert differing([defaults, other, defaults]) == {
        "task.max_length": ["auto", 128, "auto"],
        "student.init": ["auto", "random", "auto"],
        "objective.divergence": ["forward_kl", "reverse_kl", "forward_kl"],
    }


def test_a_setting_that_an_older_run_did_not_have() -> None:
    defaults = config("defaults").model_dump(mode="json")
    old = {**defaults, "task": {"name": "bbc-headlines"}}
    del old["controls"]
    assert differing([defaults, old])["controls.shifted"] == [True, None]
    assert command(old) == "kd distill"
