"""``training.report_to``: what experiment trackers hear, and that nothing else changes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_core import distill
from kd_core.config import DistillConfig, TrainingConfig
from kd_core.distillation.events import Step
from kd_core.distillation.training.trainer import ENVIRONMENT, train
from kd_core.errors import ConfigError, DivergedError
from tests.unit.conftest import tiny_recipe

LOSSES = ("loss", "hard", "soft")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was, after a test that sets what is for the trackers."""
    for name in (*ENVIRONMENT, "TENSORBOARD_LOGGING_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would draw of a model: tag -> (step, value)."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def test_tensorboard_has_the_losses_of_every_model(short_config: DistillConfig, kd_home: Path) -> None:
    events: list = []
    config = short_config.change({"training.report_to": "tensorboard", "training.seeds": "0,1"})
    report = distill(config, events.append)
    folder = Path(report.folder) / "tensorboard"
    names = ["alone-0", "alone-1", "student-0", "student-1", "teacher"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        who, seed = name.partition("-")[::2]
        told = [
            event
            for event in events
            if isinstance(event, Step) and (event.who, event.seed) == (who, int(seed or 0))
        ]
        assert told
        seen = scalars(folder / name)
        for part in LOSSES:
            expected = [(event.step, pytest.approx(getattr(event, part), rel=1e-6)) for event in told]
            assert seen[f"train/{part}"] == expected, f"{name}: {part}"
        assert [step for step, _ in seen["eval/accuracy"]][-1] == told[-1].steps
    assert max(value for _, value in scalars(folder / "student-0")["train/soft"]) > 0
    assert {value for _, value in scalars(folder / "alone-0")["train/soft"]} == {0.0}


def test_it_changes_neither_weights_nor_what_is_in_the_cache(
    short_config: DistillConfig, kd_home: Path
) -> None:
    one = distill(short_config.change({"training.report_to": ["tensorboard"]}))
    caches = sorted(path.relative_to(kd_home) for path in kd_home.glob("cache/*/*"))
    other = distill(short_config)
    assert other.cached == {"teach": True, "record": True}
    assert sorted(path.relative_to(kd_home) for path in kd_home.glob("cache/*/*")) == caches
    weights = [
        load_file(Path(report.folder) / "students" / "student-0" / "model.safetensors")
        for report in (one, other)
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert not (Path(other.folder) / "tensorboard").exists()


def test_a_training_that_diverges_closes_what_trackers_have_open(trainer, tmp_path: Path) -> None:
    subject = trainer(tiny_recipe(learning_rate=1e30, max_grad_norm=1e30), report_to=["tensorboard"])
    with pytest.raises(DivergedError):
        train(subject)
    writers = [c.tb_writer for c in subject.callback_handler.callbacks if hasattr(c, "tb_writer")]
    assert writers == [None]
    assert "train/loss" in scalars(tmp_path / "tensorboard" / "student-0")


def test_the_folder_of_the_environment_goes_first(
    trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "mine"))
    train(trainer(report_to=["tensorboard"]))
    assert "train/loss" in scalars(tmp_path / "mine")
    assert not (tmp_path / "tensorboard").exists()


WANDB = """
calls = []
run = None
config = type("Config", (dict,), {"update": lambda self, *_, **__: None})()

class Run:
    summary = {}
    def _label(self, **_): pass

def init(project, name):
    global run
    calls.append(("init", project, name))
    run = Run()

def log(values, **_):
    calls.append(("log", sorted(name for name in values if name in ("train/hard", "train/soft"))))

def finish():
    global run
    calls.append(("finish",))
    run = None
"""


def test_wandb_gets_a_run_for_each_model(trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real one needs an account or a network: here, a module that notes how it is called."""
    (tmp_path / "wandb" / "sdk" / "lib").mkdir(parents=True)
    for place in ("", "sdk", "sdk/lib"):
        (tmp_path / "wandb" / place / "__init__.py").write_text("" if place else WANDB)
    (tmp_path / "wandb" / "sdk" / "lib" / "config_util.py").write_text("class ConfigError(Exception): pass")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("wandb", "wandb.sdk", "wandb.sdk.lib", "wandb.sdk.lib.config_util"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    for who in ("student", "alone"):
        train(trainer(tiny_recipe(who=who), report_to=["wandb"]))
    calls = sys.modules["wandb"].calls
    starts = [i for i, call in enumerate(calls) if call[0] == "init"]
    assert [calls[i] for i in starts] == [
        ("init", "kd-studio", f"{tmp_path.name} student-0"),
        ("init", "kd-studio", f"{tmp_path.name} alone-0"),
    ]
    assert calls[starts[1] - 1] == calls[-1] == ("finish",)
    assert calls[starts[0] + 1] == ("log", ["train/hard", "train/soft"])
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"


@pytest.mark.parametrize("typed", ["tensorboard, mlflow", ["tensorboard", "mlflow"]])
def test_names_as_typed(typed: object) -> None:
    assert DistillConfig().change({"training.report_to": typed}).training.report_to == (
        "tensorboard",
        "mlflow",
    )


@pytest.mark.parametrize("typed", ["", None, []])
def test_none(typed: object) -> None:
    assert DistillConfig().change({"training.report_to": typed}) == DistillConfig()
    assert TrainingConfig().report_to == ()


def test_an_unknown_tracker() -> None:
    with pytest.raises(ConfigError) as caught:
        DistillConfig().change({"training.report_to": "tensorboard,sheet"})
    assert str(caught.value) == (
        "training.report_to must be some of tensorboard, mlflow, wandb, trackio, got 'tensorboard,sheet'"
    )


def test_a_tracker_that_is_not_installed(
    short_config: DistillConfig, kd_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kd_core.distillation.resolve.find_spec", lambda name: None if name == "trackio" else name
    )
    with pytest.raises(ConfigError) as caught:
        distill(short_config.change({"training.report_to": "tensorboard,trackio"}))
    assert str(caught.value) == (
        "training.report_to has trackio, not installed here; install it with pip install trackio, or leave "
        "it out"
    )
