from __future__ import annotations

import shlex
import sys
from types import SimpleNamespace

import click
import pytest

from kd_core.cli.flags import options, read_config
from kd_core.config import DEMO, DistillConfig, changed, differing
from kd_core.distillation.reproduce import command, python, without_places
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
        "task.smoothing": 0.25,
        "objective.class_weights": "sport=3,odd news=0.5",
        "training.metric": "f1:odd news",
    },
    "choices": {"objective.divergence": "reverse_kl", "student.init": "random", "task.max_length": 128},
}


def stored(name: str) -> dict:
    return DistillConfig().change(CONFIGS[name]).model_dump(mode="json")


@pytest.mark.parametrize("name", CONFIGS)
def test_command_and_python_give_the_config_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = DistillConfig().change(CONFIGS[name])
    kd, distill, *args = shlex.split(command(stored(name)).replace("\\\n", ""))  # as a shell joins lines
    assert (kd, distill) == ("kd", "distill")
    parser = click.Command("distill", params=[option for group in options().values() for option in group])
    assert read_config(None, parser.make_context("distill", args).params) == wanted
    ran: list[DistillConfig] = []
    fake = SimpleNamespace(DistillConfig=DistillConfig)
    fake.distill = lambda config: ran.append(config) or SimpleNamespace(sentence="")
    monkeypatch.setitem(sys.modules, "kd_core", fake)
    exec(python(stored(name)))
    assert ran == [wanted]


def test_the_demo_in_a_terminal_is_that_of_the_dashboard() -> None:
    said = " ".join(command(DEMO.model_dump(mode="json")).replace("\\\n", "").split())
    assert f"$(BIN)/{said}\n" in (ROOT / "Makefile").read_text("utf-8")


def test_only_what_differs_from_the_defaults_is_said() -> None:
    assert command(stored("defaults")) == "kd distill"
    assert command(stored("numbers")) == (
        "kd distill \\\n  --temperature 2.5 \\\n  --learning-rate 1e-05 \\\n  --seeds 0,1,2"
    )
    assert changed(stored("numbers")) == CONFIGS["numbers"]


def test_a_list_that_no_flag_takes_is_left_to_the_file() -> None:
    columns = {"task.knowledge": "answers.csv", "task.answer_columns": ["yes, sure", "no"]}
    config = DistillConfig().change(columns).model_dump(mode="json")
    assert command(config) == (
        "# A value for --answer-columns has a comma: use the file.\nkd distill --config FILE"
    )
    assert "['yes, sure', 'no']" in python(config)


def test_a_setting_that_an_older_run_did_not_have() -> None:
    defaults = stored("defaults")
    old = {**defaults, "task": {"name": "bbc-headlines"}}
    del old["controls"]
    assert differing([defaults, old])["controls.shifted"] == [True, None]
    assert command(old) == "kd distill"


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("/home/me/films.csv", "films.csv"),
        ("~/films.csv", "films.csv"),
        ("C:\\Users\\me\\films.csv", "films.csv"),
        ("data/of/mine/", "mine"),
        ("owner/name", "owner/name"),
        ("hub:owner/name", "hub:owner/name"),
        ("bbc-headlines", "bbc-headlines"),
    ],
)
def test_a_config_that_is_passed_on_names_no_folder_of_this_machine(place: str, shown: str) -> None:
    names = dict.fromkeys(("task.name", "teacher.model", "student.model"), place)
    config = stored("defaults")
    for name in names:
        config[name.split(".")[0]][name.split(".")[1]] = place
    found = without_places(config)
    assert [found[section][name] for section, name in (n.split(".") for n in names)] == [shown] * 3
    assert found["training"] == config["training"]
