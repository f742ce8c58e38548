"""A run's folders: what it was begun with, what it leaves when it is done, and how it is found."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.distillation import run_folder
from kd_core.distillation.events import Evaluated, Note
from kd_core.distillation.report import Report
from kd_core.distillation.resolve import resolve, token_lengths
from kd_core.distillation.run_folder import ANEW, CHANGED, CONFIG, _sentence, begin, with_fewer_seeds
from kd_core.distillation.sentences import UNLABELLED, all_right, sentence
from kd_core.errors import RunError
from kd_core.models.inference import encode, predict_logits
from kd_core.models.loading import load_teacher
from kd_core.system.atomic import is_whole, seal
from kd_core.system.cache import USED
from tests import SAMPLES

RUN = "20260131-143000-a1b2"
STUDENTS = [f"{who}-{seed}" for seed in (0, 1) for who in ("student", "alone", "labelled_only")]


def test_a_finished_run_is_whole_and_nothing_lies_beside_it(finished_run):
    folder = finished_run.folder
    assert is_whole(folder)
    assert {path.name for path in folder.iterdir()} == {
        *("asked.yaml", "caches.txt", "config.yaml", "manifest.json", "predictions.parquet"),
        *("replay.parquet", "report.json", "students", "validation.parquet"),
    }
    assert sorted(path.name for path in (folder / "students").iterdir()) == sorted(STUDENTS)
    assert "students/student-1/model.safetensors" in json.loads((folder / "manifest.json").read_text())
    assert [path.name for path in (finished_run.home / "runs").iterdir()] == [finished_run.report.run_id]
    assert list((finished_run.home / "work").iterdir()) == []
    assert Report.read(folder) == finished_run.report
    assert list(finished_run.report.rows.values()) == [65, 15, 25, 40, 0]


def test_the_config_of_a_finished_run_is_the_resolved_one(finished_run, tiny_config):
    given = tiny_config.change({"training.seeds": (0, 1)})
    task = load_task(given.task)
    model, tokenizer = load_teacher(given.teacher, task)
    kept = DistillConfig.from_file(finished_run.folder / CONFIG)
    assert kept == resolve(given, task, model.config, token_lengths(tokenizer, task))
    assert finished_run.report.config == kept.model_dump(mode="json")
    assert (kept.task.max_length, kept.student.init, kept.teacher.layers) == (64, "teacher_vectors", 4)


@pytest.mark.parametrize(("file", "split"), [("predictions", "test"), ("validation", "validation")])
def test_the_answers_of_all_models_are_kept(finished_run, file, split):
    rows = getattr(load_task(DistillConfig.from_dict(finished_run.report.config).task), split)
    table = pd.read_parquet(finished_run.folder / f"{file}.parquet")
    assert list(table.columns) == ["text", "label", "teacher", *STUDENTS, "tfidf"]
    assert [table["text"].tolist(), table["label"].tolist()] == [rows["text"][:], rows["label"][:]]
    weights = finished_run.folder / "students" / "student-1"
    model = AutoModelForSequenceClassification.from_pretrained(weights).eval()
    encoded = encode(AutoTokenizer.from_pretrained(weights), rows, 64)
    np.testing.assert_allclose(np.stack(table["student-1"]), predict_logits(model, encoded), atol=1e-5)
    # The teacher's are those of the look that its weights were kept from.
    looks = [e.accuracy for e in finished_run.events if isinstance(e, Evaluated) and e.who == "teacher"]
    accuracy = finished_run.report.teacher.accuracy if split == "test" else max(looks)
    assert (np.stack(table["teacher"]).argmax(axis=1) == table["label"]).mean() == pytest.approx(accuracy)


def test_the_sentence_says_where_all_is_right_and_where_texts_without_labels_are_missing():
    """Of 100 transfer texts as many may be parts of the labelled ones, and bring nothing of their own."""
    sample = Report.from_dict(json.loads((SAMPLES / "report.json").read_text("utf-8")))
    none = replace(sample.verdict, kind="no_difference", delta=0.0, low=-0.01, high=0.01)

    def said(spans: int, **right: float) -> str:
        models = {
            who: model.model_copy(update={"accuracy": right.get(who, model.accuracy)})
            for who, model in sample.models.items()
        }
        config = DistillConfig().change({"training.metric": "accuracy"})
        task = SimpleNamespace(test=range(524), transfer=range(100), spans=spans)
        found = SimpleNamespace(models=models, verdict=none, over_floor=None, over_by_metric={})
        return _sentence(SimpleNamespace(config=config, task=task), found)

    assert said(0, student=1.0, alone=1.0) == all_right(524)
    assert said(0, student=1.0) == said(0) == sentence(none)
    assert said(100) == said(0) + f" {UNLABELLED}"


# A run that is found


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "../x",
            f"../runs/{RUN}",
            f"{RUN}/..",
            f"{RUN}/",
            f"/{RUN}",
            "/etc",
            "~",
            f"{RUN}\n",
        ),
        *(
            f" {RUN}",
            f"{RUN}\x00",
            RUN.upper(),
            RUN[:-1],
            f"{RUN}0",
            "20260131-143000-g1b2",
            "last",
            "my run",
        ),
    ],
)
def test_what_is_not_the_name_of_a_run(kd_home, name: str) -> None:
    (kd_home / "runs" / RUN).mkdir(parents=True)
    with pytest.raises(RunError) as caught:
        run_folder.find(name)
    assert str(caught.value) == f"{name!r} is not a run; a run is named like 20260131-143000-a1b2."


def test_find_a_folder_and_nothing_else(kd_home) -> None:
    place = kd_home / "runs" / RUN
    missing = f"^There is no run {RUN} in the data folder; it may have been deleted or be elsewhere.$"
    with pytest.raises(RunError, match=missing):
        run_folder.find(RUN)
    place.parent.mkdir(parents=True)
    place.write_text("")
    with pytest.raises(RunError, match=missing):
        run_folder.find(RUN)
    place.unlink()
    place.mkdir()
    assert run_folder.find(RUN) == place


def test_new_names_are_names_and_differ() -> None:
    names = {run_folder.new_id(datetime(2026, 1, 31, 14, 30)) for _ in range(20)}
    assert len(names) > 1
    for name in names:
        assert re.fullmatch(r"20260131-143000-[0-9a-f]{4}", name)
        assert run_folder.RUN_ID.fullmatch(name)


# A run that begins, or goes on

FIRST = DistillConfig()
RESOLVED = FIRST.change({"task.max_length": 64, "training.steps": 900})
LATER = FIRST.change({"task.max_length": 128, "training.steps": 1_200})  # by another version's defaults


@pytest.fixture
def work(kd_home) -> Path:
    """A work folder that was begun, with a checkpoint."""
    work = kd_home / "work" / RUN
    assert begin(work, FIRST, RESOLVED, made_of="texts") == RESOLVED
    (work / "student-0" / "checkpoint-3").mkdir(parents=True)
    return work


def test_a_run_goes_on_with_the_config_that_it_was_begun_with(work: Path) -> None:
    files = {"config.yaml", "resolved.yaml", "training_version.txt", "made_of.txt"}
    assert {path.name for path in work.iterdir() if path.is_file()} == files
    assert begin(work, FIRST, LATER, made_of="texts") == RESOLVED
    other = FIRST.change({"objective.temperature": 8.0, "training.seeds": [0, 1]})
    with pytest.raises(RunError) as caught:
        begin(work, other, LATER)
    assert str(caught.value) == (
        f"Run {RUN} was begun with objective.temperature = 'auto', not 8.0, training.seeds = [0], not "
        "[0, 1]. Resume it with the settings that it had, or start a new run."
    )
    assert (work / "student-0").is_dir()


@pytest.mark.parametrize(
    ("version", "made_of", "told"),
    [
        (None, "texts", []),
        ("0", "texts", [Note(ANEW)]),
        (None, "other texts", [Note(CHANGED)]),
        ("0", "other texts", [Note(ANEW)]),
    ],
)
def test_what_another_version_has_trained_or_on_other_texts_goes(work: Path, version, made_of, told) -> None:
    if version:
        (work / "training_version.txt").write_text(version)
    events: list = []
    assert begin(work, FIRST, LATER, events.append, made_of) == RESOLVED
    assert (events, (work / "student-0").is_dir()) == (told, not told)
    (work / "student-0").mkdir(exist_ok=True)
    begin(work, FIRST, LATER, events.append, made_of)  # it is told and done once
    assert (events, (work / "student-0").is_dir()) == (told, True)


def test_what_0_1_has_begun_goes_on_as_long_as_trainings_are_the_same(work: Path, monkeypatch) -> None:
    older, events = FIRST.model_dump(mode="json"), []
    del older["training"]["warmup"]
    (work / CONFIG).write_text(yaml.safe_dump(older))
    for name in ("training_version.txt", "resolved.yaml", "made_of.txt"):
        (work / name).unlink()
    monkeypatch.setattr(run_folder, "TRAINING_VERSION", 1)
    monkeypatch.setattr("kd_core.config.LEGACY", {"training.warmup": 0.5})
    with pytest.raises(RunError, match=r"was begun with training\.warmup = 0\.5, not 0\.1"):
        begin(work, FIRST, LATER, events.append)
    asked = FIRST.change({"training.warmup": 0.5})
    assert begin(work, asked, LATER, events.append, "texts") == LATER
    assert (events, (work / "student-0" / "checkpoint-3").is_dir()) == ([], True)
    monkeypatch.setattr(run_folder, "TRAINING_VERSION", 2)
    (work / "training_version.txt").unlink()
    begin(work, asked, LATER, events.append, "texts")
    assert (events, (work / "student-0").is_dir()) == ([Note(ANEW)], False)


@pytest.mark.parametrize(
    ("file", "content"),
    [(CONFIG, b"\x95\x00"), (CONFIG, b""), (CONFIG, b"task: ["), ("resolved.yaml", b"\x95\x00")],
)
def test_a_run_whose_beginning_is_damaged_says_so(work, file, content):
    (work / file).write_bytes(content)
    message = rf"^What run {RUN} was begun with is damaged on disk, .* Start a new run\.$"
    with pytest.raises(RunError, match=message):
        begin(work, FIRST, RESOLVED)


def test_an_empty_note_of_what_auto_meant_is_made_anew(work):
    (work / "resolved.yaml").write_bytes(b"")
    assert begin(work, FIRST, LATER, made_of="texts") == LATER


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (None, True),
        (lambda run: (run / USED).write_text("teachers/other\nknowledge/one\n"), False),
        (lambda run: (run / USED).write_text("teachers/one\nknowledge/other\n"), False),
        (lambda run: (run / USED).write_bytes(b"\xff"), False),
        (lambda run: write_config(run, (0, 1, 2)), False),  # no seed is missing there
        (lambda run: write_config(run, (0, 3)), False),
        (lambda run: write_config(run, (0,), **{"objective.temperature": 3.0}), False),
        (lambda run: (run / CONFIG).write_text("seeds: ["), False),
    ],
)
def test_seeds_are_taken_from_the_newest_run_that_is_alike_and_whole(kd_home, tmp_path, spoil, found):
    asked = write_config(tmp_path / "work", (0, 1, 2))
    assert with_fewer_seeds(asked, tmp_path / "work") is None
    older, newest = (kd_home / "runs" / f"2026010{day}-000000-aaaa" for day in (1, 2))
    for run in (older, newest):
        write_config(run, (0, 1))
        seal(run)
    if spoil:
        (newest / "manifest.json").unlink()
        spoil(newest)
        seal(newest)
    assert with_fewer_seeds(asked, tmp_path / "work") == (newest if found else older)
    (older / CONFIG).write_text((older / CONFIG).read_text("utf-8") + " ", "utf-8")
    assert with_fewer_seeds(asked, tmp_path / "work") == (newest if found else None), "that one is damaged"


def write_config(place: Path, seeds: tuple[int, ...], **changes) -> DistillConfig:
    place.mkdir(parents=True, exist_ok=True)
    config = DistillConfig().change({"training.seeds": seeds} | changes)
    (place / CONFIG).write_text(config.to_yaml(), "utf-8")
    (place / USED).write_text("teachers/one\nknowledge/one\nalone/x\n", "utf-8")
    return config
