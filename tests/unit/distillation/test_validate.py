"""Tests of what is measured of a run's models, on which texts, and what several seeds say."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from kd_core.config import DistillConfig
from kd_core.data.corruption import corrupted
from kd_core.data.task import labelled
from kd_core.distillation import validate as module
from kd_core.distillation.comparison import of_other_texts, verdict
from kd_core.distillation.events import Progress, ignore
from kd_core.distillation.metrics import Latency, macro_f1_interval, wilson
from kd_core.distillation.run import Run, Trained
from kd_core.distillation.validate import logits_of, validate
from kd_core.errors import Stopped
from kd_core.models.baselines import TfidfBaseline
from kd_core.models.vocabulary import trim_vocabulary
from kd_core.system.control import Control

KINDS = {"typos", "dropped words", "upper case"}


@pytest.fixture
def run(kd_home, tiny_task) -> Run:
    config = DistillConfig.from_dict(
        {
            "task": {"max_length": 64},
            "training": {"precision": "fp32"},
            "controls": {"resamples": 100, "latency_repeats": 5, "shifted": False, "tfidf": False},
        }
    )
    return Run(tiny_task, config, kd_home / "work", ignore, Control())


def change(run: Run, changes: dict[str, object]) -> Run:
    return replace(run, config=run.config.change(changes))


@pytest.fixture(scope="module")
def trained(tiny_teacher, tiny_tokenizer, tmp_path_factory) -> list[Trained]:
    """A teacher, and two seeds of each student; they differ in their random weights alone."""
    names = [("teacher", 0), *((who, seed) for seed in (3, 4) for who in ("student", "alone"))]
    models = []
    for number, (who, seed) in enumerate(names):
        model, folder = tiny_teacher("bert", seed=number), tmp_path_factory.mktemp(f"{who}-{seed}")
        model.save_pretrained(folder)
        models.append(Trained(who, seed, model, tiny_tokenizer, folder))
    return models


@pytest.fixture(scope="module")
def whole(trained, tiny_task, tmp_path_factory) -> SimpleNamespace:
    """Give what is found of all models and TF-IDF, the test labels, the answers to them, and the events."""
    home, events = tmp_path_factory.mktemp("home"), []
    config = DistillConfig.from_dict(
        {
            "task": {"max_length": 64},
            "training": {"precision": "fp32"},
            "controls": {"latency_repeats": 5, "shifted": False},
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(home))
        found = validate(Run(tiny_task, config, home / "work", events.append, Control()), trained)
    answers = {name: answers_of(found, name) for name in found.predictions.columns[2:]}
    labels = np.asarray(tiny_task.test["label"])
    return SimpleNamespace(found=found, labels=labels, answers=answers, events=events)


def answers_of(found, name: str) -> np.ndarray:
    return np.stack(found.predictions[name]).argmax(axis=1)


def test_means_and_spread_over_the_seeds(whole, tiny_task):
    found, labels = whole.found, whole.labels
    columns = ["text", "label", "teacher", "student-3", "alone-3", "student-4", "alone-4", "tfidf"]
    assert list(found.predictions.columns) == list(found.validation.columns) == columns
    assert found.predictions["text"].tolist() == tiny_task.test["text"][:]
    assert found.validation["text"].tolist() == tiny_task.validation["text"][:]
    for who in ("student", "alone"):
        said = [whole.answers[f"{who}-{seed}"] for seed in (3, 4)]
        accuracies = [accuracy_score(labels, answers) for answers in said]
        report = found.models[who]
        assert [report.seeds[seed].accuracy for seed in (3, 4)] == pytest.approx(accuracies)
        assert report.accuracy == pytest.approx(np.mean(accuracies))
        assert report.spread == pytest.approx(np.std(accuracies, ddof=1))
        f1 = [f1_score(labels, answers, average="macro") for answers in said]
        assert report.macro_f1 == pytest.approx(np.mean(f1))
        assert (report.low, report.high) == wilson(report.accuracy, 25)
        assert report.macro_f1_interval == macro_f1_interval(np.stack(said), labels)
    assert found.models["teacher"].spread == 0.0


def test_verdict_pairs_students_of_one_seed_and_fidelity_is_of_the_first(whole):
    right = {name: answers == whole.labels for name, answers in whole.answers.items()}
    pair = (np.stack([right[f"{who}-{seed}"] for seed in (3, 4)]) for who in ("student", "alone"))
    assert whole.found.verdict == verdict(*pair)
    assert (whole.found.verdict.n, whole.found.verdict.seeds) == (25, 2)
    agreement = (whole.answers["teacher"] == whole.answers["student-3"]).mean()
    assert whole.found.fidelity.agreement == pytest.approx(agreement), "of the first seed"
    assert whole.found.fidelity.kl > 0


def test_tfidf_is_a_model_among_the_others(whole, tiny_task):
    found, labels = whole.found, whole.labels
    baseline = TfidfBaseline.fit(tiny_task.train["text"], tiny_task.train["label"], len(tiny_task.labels))
    right = baseline.logits(tiny_task.test["text"]).argmax(axis=1) == labels
    floor, student, alone = (found.models[who] for who in ("tfidf", "student", "alone"))
    assert floor.accuracy == pytest.approx(right.mean())
    assert (floor.params, floor.embedding_params, floor.size_mb) == (baseline.params, 0, baseline.megabytes)
    assert floor.latency_ms.p50 > 0
    assert found.over_floor.delta == pytest.approx(student.accuracy - right.mean())
    assert (found.over_floor.n, found.over_floor.seeds) == (25, 2)
    assert list(found.stairs) == ["alone", "student"], "each against the one before: TF-IDF, alone, student"
    assert found.stairs["alone"].delta == pytest.approx(alone.accuracy - right.mean())
    assert found.stairs["student"] == found.verdict
    assert found.over == found.over_by_metric
    teacher, floor_, alone_ = found.over_teacher, found.over_floor, found.verdict
    assert found.over == {"teacher": teacher, "tfidf": floor_, "alone": alone_}


def test_progress(whole):
    assert [(event.label, event.done, event.total) for event in whole.events] == [
        ("scoring the teacher", 0, 7),
        ("texts scored by the teacher", 25, 25),
        ("scoring distilled student, seed 3", 1, 7),
        ("scoring student alone, seed 3", 2, 7),
        ("scoring distilled student, seed 4", 3, 7),
        ("scoring student alone, seed 4", 4, 7),
        ("fitting TF-IDF", 5, 7),
        ("measuring latency", 6, 7),
        ("done", 7, 7),
    ]


def test_stop(run, trained):
    def stop(event: Progress) -> None:
        if event.label == "scoring distilled student, seed 3":
            run.control.stop()

    with pytest.raises(Stopped):
        validate(replace(run, on_event=stop), trained[:3])


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "f1:film"])
def test_gains_are_in_what_the_run_is_judged_by(run, trained, metric):
    three = [trained[0], replace(trained[0], who="student", seed=4), trained[4]]
    three.append(replace(three[2], who="plain_start"))
    found = validate(change(run, {"training.metric": metric, "controls.tfidf": True}), three)
    student, alone, floor = (found.models[who].by(metric) for who in ("student", "alone", "tfidf"))
    assert found.verdict.delta == pytest.approx(student - alone) != 0
    assert found.over_floor.delta == pytest.approx(student - floor) != 0
    assert found.stairs_metric == metric
    assert found.stairs["plain_start"].delta == pytest.approx(alone - floor)
    assert found.stairs["student"] == found.verdict
    assert found.over_by_metric["plain_start"] == found.over_by_metric["alone"] == found.verdict
    between = [model for model in found.models.values() if 0 < model.by(metric) < 1]
    assert between
    assert all(model.interval(metric)[0] < model.by(metric) < model.interval(metric)[1] for model in between)
    by_accuracy = found.models["student"].accuracy - found.models["alone"].accuracy
    assert found.over["alone"].delta == pytest.approx(by_accuracy)
    f1 = "macro_f1" if metric == "accuracy" else metric
    assert found.f1_gain.delta == pytest.approx(found.models["student"].by(f1) - found.models["alone"].by(f1))
    assert found.over_by_metric["teacher"].delta == pytest.approx(0)


def test_student_that_is_the_teacher_is_perfectly_faithful(run, trained, tiny_tokenizer):
    foreign, _ = trim_vocabulary(tiny_tokenizer, ["goal"])
    twin = replace(trained[0], who="student", seed=3)
    found = validate(run, [replace(trained[0], tokenizer=foreign), twin, trained[2]])
    assert found.unknown_texts is None, "the student's tokenizer is no part of the teacher's"
    found = validate(run, [trained[0], twin, trained[2]])
    assert (found.fidelity.agreement, found.fidelity.kl) == (1.0, pytest.approx(0.0, abs=1e-6))
    assert found.models["student"].accuracy == found.models["teacher"].accuracy
    assert set(found.models) == {"teacher", "student", "alone"}
    assert (found.over_floor, found.over_hard, found.models["student"].shifted) == (None, None, {})


def test_share_of_texts_with_a_piece_that_the_student_lacks(run, trained, tiny_task, tiny_tokenizer):
    words = {word for text in tiny_task.test["text"] for word in text.split()} - {"goal"}
    smaller, _ = trim_vocabulary(tiny_tokenizer, [*words, *tiny_task.validation["text"]])
    found = validate(run, [trained[0], replace(trained[1], tokenizer=smaller), trained[2]])
    held_out = [*tiny_task.validation["text"], *tiny_task.test["text"]]
    assert "goal" not in smaller.get_vocab()
    assert found.unknown_texts == sum("goal" in text.split() for text in held_out) / 45 > 0


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_shifted_texts(run, trained, tiny_task, metric):
    task = replace(tiny_task, shifted={"elsewhere": labelled(["goal", "bank"], [0, 4])})
    asked = {"training.metric": metric, "controls.shifted": True, "controls.tfidf": True}
    found = validate(change(replace(run, task=task), asked), trained[:3])
    copies = corrupted(tiny_task.test["text"], seed=0)
    baseline = TfidfBaseline.fit(tiny_task.train["text"], tiny_task.train["label"], len(tiny_task.labels))
    labels = np.asarray(tiny_task.test["label"])
    for kind in KINDS:
        right = baseline.logits(copies[kind]).argmax(axis=1) == labels
        assert found.models["tfidf"].shifted[kind] == pytest.approx(right.mean())
    same = verdict(*[np.ones((1, len(labels)), bool)] * 2)
    for who in ("teacher", "student", "alone"):
        report = found.models[who]
        assert set(report.shifted) == {*KINDS, "elsewhere"}
        assert report.shifted["elsewhere"] in (0.0, 0.5, 1.0)
        # The tokenizer lowers all letters.
        assert report.shifted["upper case"] == pytest.approx(report.accuracy)
        scores = report.shifted_score or report.shifted
        low, high = report.rises["typos"]
        assert low <= scores["typos"] - report.by(metric) <= high
        if metric == "accuracy":
            assert report.shifted_score == {}
            assert report.rises["upper case"] == (same.low, same.high), "each text has the same answer"
            right = report.accuracy, (report.low, report.high)
            other = report.shifted["elsewhere"], wilson(report.shifted["elsewhere"], 2)
            assert report.rises["elsewhere"] == pytest.approx(of_other_texts(*right, *other))
        else:
            assert set(report.shifted_score) == set(report.shifted)
            assert report.shifted_score["upper case"] == pytest.approx(report.macro_f1)
            # With one of two texts right, F1 is 2 / 3 or 1 of its class and 0 of the other.
            possible = {0.0: (0.0,), 0.5: (0.5, 1 / 3), 1.0: (1.0,)}[report.shifted["elsewhere"]]
            assert any(scores["elsewhere"] == pytest.approx(share) for share in possible)


def test_latency_is_measured_once_for_each_architecture(run, trained, monkeypatch):
    timed: list[tuple[set[str], int, list[str]]] = []

    def latency(answers, texts, tokens, *, repeats, elsewhere, control):
        timed.append((set(answers), repeats, texts))
        assert torch.get_num_threads() == 1
        assert list(elsewhere) == [], "all compute on this processor"
        assert {answer(texts[0]).shape for answer in answers.values()} == {(1, 5)}
        assert tokens["teacher"] == [len(text.split()) + 2 for text in texts], "special tokens included"
        assert tokens["tfidf"] == [0] * 5
        ms = {"teacher": 1.0, "student": 2.0, "tfidf": 5.0}
        return {name: Latency(ms[name], 9.0, 1, 1, repeats, 9.0) for name in answers}

    monkeypatch.setattr(module, "latency", latency)
    models = validate(change(run, {"controls.tfidf": True}), trained).models
    for model in trained[:3]:
        size = (model.folder / "model.safetensors").stat().st_size / 1e6
        assert models[model.who].size_mb == pytest.approx(size)
        assert models[model.who].params == sum(p.numel() for p in model.model.parameters())
    assert timed == [({"teacher", "student", "tfidf"}, 5, run.task.test["text"][:5])]
    assert [models[who].p50 for who in ("teacher", "student", "alone", "tfidf")] == [1, 2, 2, 5]


def test_logits_of_a_model_that_runs_share_are_kept(run, trained, kd_home):
    sets, kept = {"test": run.task.test}, kd_home / "cache" / "scores"
    passes: list[str] = []
    for model in trained[:3]:
        model.model.register_forward_hook(lambda *_, name=model.name: passes.append(name))
    first = [logits_of(run, model, sets)["test"] for model in trained[:3]]
    assert len(list(kept.iterdir())) == 2, "of the teacher and the student alone"
    passes.clear()
    again = [logits_of(run, model, sets)["test"] for model in trained[:3]]
    assert set(passes) == {"student-3"}
    np.testing.assert_array_equal(first, again)
    for number, changes in enumerate(({"task.max_length": 8}, {"training.precision": "bf16"}), 3):
        logits_of(change(run, changes), trained[0], sets)
        assert len(list(kept.iterdir())) == number, f"other numbers: {changes}"


def test_note_where_tfidf_reads_the_beginning_of_texts(run, trained, tiny_task, monkeypatch):
    some = sorted(map(len, tiny_task.train["text"][:]))[len(tiny_task.train) // 2]
    monkeypatch.setattr(module, "CHARACTERS", some)
    module._fit_floor(run)
    share = np.mean([len(text) > some for text in tiny_task.train["text"]])
    said = f"TF-IDF reads the first {some} characters of a text, and {100 * share:.0f} % of the training"
    assert [note[: len(said)] for note in run.notes] == [said]
