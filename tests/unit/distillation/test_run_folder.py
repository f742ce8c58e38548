"""What a finished run leaves on disk, and what can be done with it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from statistics import fmean, stdev
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.distillation.events import Evaluated
from kd_core.distillation.report import Report
from kd_core.distillation.resolve import resolve, token_lengths
from kd_core.distillation.run_folder import CONFIG, _sentence, with_fewer_seeds
from kd_core.distillation.sentences import UNLABELLED, all_right, below_floor, sentence
from kd_core.models.inference import encode, predict_logits
from kd_core.models.loading import load_teacher
from kd_core.system.atomic import is_whole, seal
from kd_core.system.cache import USED
from tests import SAMPLES

NAMES = ["student-0", "alone-0", "labelled_only-0", "student-1", "alone-1", "labelled_only-1"]


def test_the_folder_is_whole_and_nothing_lies_beside_it(finished_run):
    assert is_whole(finished_run.folder)
    names = {path.name for path in finished_run.folder.iterdir()}
    assert {"asked.yaml", "config.yaml", "manifest.json", "predictions.parquet", "report.json"} <= names
    assert sorted(path.name for path in (finished_run.folder / "students").iterdir()) == sorted(NAMES)
    assert [path.name for path in (finished_run.home / "runs").iterdir()] == [finished_run.report.run_id]
    assert list((finished_run.home / "work").iterdir()) == []
    listed = json.loads((finished_run.folder / "manifest.json").read_text())
    assert "students/student-1/model.safetensors" in listed


def test_the_config_is_the_resolved_one(finished_run, tiny_config):
    given = tiny_config.change({"training.seeds": (0, 1)})
    task = load_task(given.task)
    model, tokenizer = load_teacher(given.teacher, task)
    kept = DistillConfig.from_file(finished_run.folder / "config.yaml")
    assert kept == resolve(given, task, model.config, token_lengths(tokenizer, task))
    assert finished_run.report.config == kept.model_dump(mode="json")
    assert (kept.task.max_length, kept.student.init, kept.teacher.layers) == (64, "teacher_vectors", 4)


def test_the_report_on_disk_is_the_one_returned(finished_run):
    assert Report.read(finished_run.folder) == finished_run.report


def test_report_has_the_keys_that_the_command_promises(finished_run):
    report = json.loads((finished_run.folder / "report.json").read_text())
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", report["run_id"])
    assert finished_run.folder.name == report["run_id"]
    for who in ("teacher", "student", "alone", "labelled_only"):
        model = report[who]
        assert {"accuracy", "macro_f1", "ece", "params", "size_mb", "latency_ms", "shifted"} <= set(model)
        assert 0 < model["latency_ms"]["p50"] <= model["latency_ms"]["p95"]
        assert set(model["shifted"]) == {"typos", "dropped words", "upper case"}
    assert {"kind", "delta", "low", "high", "p_value", "n"} <= set(report["verdict"])
    assert {"agreement", "kl"} <= set(report["fidelity"])
    assert set(report["seconds"]) == {"teach", "record", "distil", "validate"}
    assert report["rows"] == {"train": 65, "validation": 15, "test": 25, "transfer": 40, "spans": 0}
    assert report["labels"] == ["film", "money", "politics", "sport", "tech"]
    assert report["cached"] == {"teach": False, "record": False}


def test_several_seeds_give_means_and_spread(finished_run):
    report = finished_run.report
    for who in [report.models[who] for who in ("student", "alone", "labelled_only")]:
        accuracies = [scores.accuracy for scores in who.seeds.values()]
        assert list(who.seeds) == [0, 1]
        assert who.accuracy == pytest.approx(fmean(accuracies))
        assert who.spread == pytest.approx(stdev(accuracies))
        assert who.macro_f1 == pytest.approx(fmean(scores.macro_f1 for scores in who.seeds.values()))
    assert list(report.teacher.seeds) == [0]
    assert (report.verdict.seeds, report.verdict.n) == (2, 25)
    assert report.verdict.delta == pytest.approx(report.student.accuracy - report.models["alone"].accuracy)
    scores = (report.models["tfidf"].accuracy, report.teacher.accuracy)
    advice = below_floor(*scores, reached=report.student.accuracy, transfer=True)
    over = {"labelled_only": report.gains["labelled_only"]}
    assert report.sentence == sentence(report.verdict, report.over_floor, advice, over)


def test_the_answers_on_the_validation_texts_are_kept(finished_run):
    table = pd.read_parquet(finished_run.folder / "validation.parquet")
    assert list(table.columns) == ["text", "label", "teacher", *NAMES, "tfidf"]
    task = load_task(DistillConfig.from_dict(finished_run.report.config).task)
    assert (table["text"].tolist(), table["label"].tolist()) == (
        task.validation["text"][:],
        task.validation["label"][:],
    )
    weights = finished_run.folder / "students" / "student-1"
    model = AutoModelForSequenceClassification.from_pretrained(weights).eval()
    encoded = encode(AutoTokenizer.from_pretrained(weights), task.validation, 64)
    np.testing.assert_allclose(np.stack(table["student-1"]), predict_logits(model, encoded), atol=1e-5)
    # The teacher's are those of the look that its weights were kept from.
    right = float((np.stack(table["teacher"]).argmax(axis=1) == table["label"]).mean())
    teacher = [e.accuracy for e in finished_run.events if isinstance(e, Evaluated) and e.who == "teacher"]
    assert right == pytest.approx(max(teacher))
    assert "validation" not in finished_run.report.student.shifted


def test_predictions_and_scores_say_the_same(finished_run):
    table = pd.read_parquet(finished_run.folder / "predictions.parquet")
    assert list(table.columns) == ["text", "label", "teacher", *NAMES, "tfidf"]
    assert len(table) == 25
    for name in NAMES:
        who, seed = name.split("-")
        logits = np.stack(table[name])
        assert logits.shape == (25, 5)
        right = float((logits.argmax(axis=1) == table["label"]).mean())
        assert finished_run.report.models[who].seeds[int(seed)].accuracy == pytest.approx(right)


def test_size_is_that_of_the_file(finished_run):
    file = finished_run.folder / "students" / "student-0" / "model.safetensors"
    assert finished_run.report.student.size_mb == pytest.approx(file.stat().st_size / 1e6)
    weights = load_file(file)
    assert not [name for name in weights if "projection" in name]
    assert finished_run.report.student.params == sum(tensor.numel() for tensor in weights.values())


def test_what_is_said_where_all_is_right_and_where_texts_without_labels_are_missing():
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


def test_seeds_are_taken_from_the_newest_run_that_is_whole(kd_home, tmp_path):
    def written(place, *seeds, teacher="teachers/one"):
        place.mkdir(parents=True)
        config = DistillConfig().change({"training.seeds": seeds})
        (place / CONFIG).write_text(config.to_yaml(), "utf-8")
        (place / USED).write_text(f"{teacher}\nknowledge/one\nalone/x\n", "utf-8")
        seal(place)
        return place

    work = written(tmp_path / "work", 0, 1, 2)
    asked = DistillConfig().change({"training.seeds": (0, 1, 2)})
    assert with_fewer_seeds(asked, work) is None
    whole = written(kd_home / "runs" / "20260101-000000-aaaa", 0, 1)
    written(kd_home / "runs" / "20260102-000000-aaaa", 0, 1, teacher="teachers/another")
    written(kd_home / "runs" / "20260103-000000-aaaa", 0, 1, 2)  # none is missing there
    damaged = written(kd_home / "runs" / "20260104-000000-aaaa", 0)
    (damaged / CONFIG).write_text((damaged / CONFIG).read_text("utf-8") + " ", "utf-8")
    assert with_fewer_seeds(asked, work) == whole
