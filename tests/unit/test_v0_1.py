"""What version 0.1 has left is opened, compared and gone on with."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kd_core.cli import main
from kd_core.config import LEGACY, VERSION, DistillConfig, differing, of_today, sections, settings
from kd_core.distillation.report import Report
from kd_core.jobs.store import Store
from tests.v0_1 import CHECKPOINT, CHOSEN, DONE, OLD, STOPPED, complete, document, restore

# What a cached model is found by, beside its texts and its first weights.
TEACHER, ALONE = (
    "Recipe(who='teacher', seed=0, steps=4, batch_size=32, learning_rate=0.0005, evaluate_every=2, "
    "precision='fp32', warmup=0.1, weight_decay=0.01, max_grad_norm=1.0, transfer_batch_size=0, "
    "objective=ObjectiveConfig(divergence='forward_kl', temperature=4.0, alpha=1.0, t_squared=True, "
    "dkd_target_weight=1.0, dkd_other_weight=8.0, hidden_weight=0.0, cosine_weight=0.0, "
    "attention_weight=0.0, relation_weight=0.0))",
    "Recipe(who='alone', seed=0, steps=6, batch_size=32, learning_rate=0.0005, evaluate_every=1, "
    "precision='fp32', warmup=0.1, weight_decay=0.01, max_grad_norm=1.0, transfer_batch_size=0, "
    "objective=ObjectiveConfig(divergence='forward_kl', temperature=4.0, alpha=1.0, t_squared=True, "
    "dkd_target_weight=1.0, dkd_other_weight=8.0, hidden_weight=0.0, cosine_weight=0.0, "
    "attention_weight=0.0, relation_weight=0.0))",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    restore(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


@pytest.fixture
def kd(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """``kd("runs", "--json")``: what the command prints, on stdout and on stderr."""

    def run(*arguments: str) -> tuple[str, str]:
        status = main(arguments)
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out, printed.err

    return run


def missing(old: Any, new: Any, place: str = "", *, values: bool = True) -> list[str]:
    """Where ``new`` lacks a name that ``old`` has, or has another value there; more names are allowed."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            lost
            for key, value in old.items()
            for lost in (
                missing(value, new[key], f"{place}.{key}", values=values)
                if key in new
                else [f"{place}.{key}"]
            )
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [lost for i, (a, b) in pairs for lost in missing(a, b, f"{place}.{i}", values=values)]
    return [place] if values and old != new else []


def test_what_is_missing_is_found() -> None:
    old, new = {"a": [{"b": 1, "c": 2}], "d": 3}, {"a": [{"b": 1, "c": 4, "x": 0}]}
    assert missing(old, new) == [".a.0.c", ".d"]
    assert missing(old, new, values=False) == [".d"]


# Configs


def stored_config() -> dict[str, Any]:
    return yaml.safe_load((OLD / "home" / "runs" / DONE / "config.yaml").read_text("utf-8"))


def test_each_setting_that_0_1_did_not_have_says_what_was_done_then() -> None:
    before = {f"{section}.{name}" for section, fields in stored_config().items() for name in fields}
    today = {f"{section}.{name}" for section, fields in sections() for name in fields.model_fields}
    assert before <= today
    assert set(LEGACY) == today - before


def test_a_config_goes_through_yaml_with_all_that_it_said() -> None:
    stored = stored_config()
    config = DistillConfig.from_dict(of_today(stored))
    assert missing(stored, config.model_dump(mode="json")) == []
    assert settings(config.model_dump(mode="json")).items() >= LEGACY.items()
    assert yaml.safe_load(config.to_yaml())["version"] == VERSION
    assert DistillConfig.from_yaml(config.to_yaml()) == config


def test_auto_means_what_it_meant(store: Store) -> None:
    """Otherwise runs that 0.1 began would go on with other settings: it stored what was asked for alone."""
    from kd_core.data import load_task
    from kd_core.distillation.resolve import resolve, token_lengths
    from kd_core.models.loading import load_teacher

    asked = DistillConfig.from_dict(store.run(DONE).config)
    task = load_task(asked.task)
    teacher, tokenizer = load_teacher(asked.teacher, task)
    resolved = resolve(asked, task, teacher.config, token_lengths(tokenizer, task))
    assert asked.student.init == asked.training.learning_rate == "auto"
    assert resolved.model_dump(mode="json") == Report.read(store_folder(DONE)).config


def store_folder(run_id: str) -> Path:
    return Path(os.environ["KD_HOME"]) / "runs" / run_id


def test_models_in_the_cache_are_found_by_the_same_names(store: Store) -> None:
    from kd_core.distillation.distil import student_recipe
    from kd_core.distillation.roles import student_variants
    from kd_core.distillation.training.batches import Recipe

    config = DistillConfig.from_dict(Report.read(store_folder(DONE)).config)
    alone = next(variant for variant in student_variants(config, 0) if variant.who == "alone")
    assert repr(student_recipe(config, alone, 0)) == ALONE
    assert repr(Recipe("teacher", 0, 4, 32, 5e-4, 2, "fp32")) == TEACHER


# Runs, and a search


def test_the_commands_print_what_they_printed(home: Path, kd) -> None:
    for name, arguments in {
        "runs": ["runs"],
        "show": ["show", DONE],
        "search": ["search", "--resume", "search"],
    }.items():
        printed = json.loads(kd(*arguments, "--json")[0])
        assert missing(document(name, home), printed) == []
    listed = kd("runs")[0]
    assert [name for name in ("stopped", "chosen", "done") if name not in listed] == []
    assert "33.3 %" in kd("show", DONE)[0]


def test_the_search_is_in_optunas_tables_too(home: Path) -> None:
    from kd_core.search import result

    found = result("search").model_dump(mode="json")
    assert missing(document("search", home), found) == []
    assert found["run_id"] == CHOSEN


def test_what_a_run_reported_is_read(store: Store) -> None:
    kinds = [type(entry.event).__name__ for entry in store.events(DONE)]
    assert kinds[:2] == ["StageStarted", "TrainingStarted"]
    assert (kinds[-1], kinds.count("StageFinished"), kinds.count("Checkpointed")) == ("Finished", 4, 14)
    assert [stage.state for stage in store.stages(STOPPED)] == ["done", "done", "stopped", "waiting"]
    assert store.curve(DONE).groupby("who").size().to_dict() == {"alone": 6, "student": 6, "teacher": 4}
    assert store.evaluations(STOPPED)["who"].tolist() == ["teacher", "teacher", "student"]


def test_two_runs_are_compared(store: Store) -> None:
    configs = [store.run(run_id).config for run_id in (DONE, STOPPED)]
    assert differing(configs) == {"objective.temperature": [4.0, 2.0]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stopped run as it is done today; in it, ``checkpoint``: the first of its student."""
    from kd_core import distill
    from kd_core.distillation.events import Checkpointed, Event
    from kd_core.distillation.training import trainer

    home = tmp_path_factory.mktemp("today") / "home"
    restore(home)
    kept = home / "checkpoint"

    def on_event(event: Event) -> None:
        if isinstance(event, Checkpointed) and (event.who, event.step) == ("student", 1):
            shutil.copytree(event.path, kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(home))
        patch.setattr(trainer, "SECONDS_BETWEEN_CHECKPOINTS", 0)
        stored = yaml.safe_load((home / "work" / STOPPED / "config.yaml").read_text("utf-8"))
        folder = Path(distill(DistillConfig.from_dict(of_today(stored)), on_event).folder)
    kept.rename(folder / "checkpoint")
    return folder


def test_the_stopped_run_goes_on_from_its_checkpoint(home: Path, undisturbed: Path, kd) -> None:
    complete(home / CHECKPOINT, undisturbed / "checkpoint")
    printed, progress = kd("resume", STOPPED, "--json")
    assert "Distilled student: 2 of 6" in progress
    assert "Distilled student: 1 of 6" not in progress
    report = json.loads(printed)
    assert missing(document("distill", home), report, values=False) == []
    assert report["config"]["objective"]["temperature"] == 2.0
    for name in ("student-0", "alone-0"):
        mine, other = (run / "students" / name for run in (Path(report["folder"]), undisturbed))
        assert (mine / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def test_the_models_of_the_finished_run_answer(home: Path, undisturbed: Path, kd) -> None:
    complete(home / "runs" / DONE, undisturbed)
    teachers = undisturbed.parents[1] / "cache" / "teachers"
    shutil.copytree(
        teachers / Report.read(undisturbed).teacher_key,
        home / "cache" / "teachers" / Report.read(home / "runs" / DONE).teacher_key,
    )
    answer = json.loads(kd("predict", DONE, "Where is my parcel?", "--json")[0])
    assert "technical" in json.dumps(answer)
