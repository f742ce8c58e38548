"""Step 4: what is measured, on which texts, and what the report says of several seeds."""

from __future__ import annotations

from dataclasses import replace

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
from kd_core.distillation.validate import shifted_sets, validate
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
            "controls": {"resamples": 100, "latency_repeats": 5},
        }
    )
    return Run(tiny_task, config, kd_home / "work", ignore, Control())


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


def answers(table, name: str) -> np.ndarray:
    return np.stack(table[name]).argmax(axis=1)


def test_means_and_spread_over_the_seeds(run, trained, tiny_task):
    found = validate(run, trained)
    labels = np.asarray(tiny_task.test["label"])
    assert list(found.predictions.columns) == [
        "text",
        "label",
        "teacher",
        "student-3",
        "alone-3",
        "student-4",
        "alone-4",
        "tfidf",
    ]
    assert found.predictions["text"].tolist() == tiny_task.test["text"][:]
    for who in ("student", "alone"):
        accuracies = [accuracy_score(labels, answers(found.predictions, f"{who}-{seed}")) for seed in (3, 4)]
        report = found.models[who]
        assert [report.seeds[seed].accuracy for seed in (3, 4)] == pytest.approx(accuracies)
        assert report.accuracy == pytest.approx(np.mean(accuracies))
        assert report.spread == pytest.approx(np.std(accuracies, ddof=1))
        f1 = [f1_score(labels, answers(found.predictions, f"{who}-{s}"), average="macro") for s in (3, 4)]
        assert report.macro_f1 == pytest.approx(np.mean(f1))
        assert (report.low, report.high) == wilson(report.accuracy, 25)
        said = np.stack([answers(found.predictions, f"{who}-{seed}") for seed in (3, 4)])
        assert report.macro_f1_interval == macro_f1_interval(said, labels)
    assert found.models["teacher"].spread == 0.0
    assert set(found.models) == {"teacher", "student", "alone", "tfidf"}


def test_the_verdict_compares_student_and_alone_of_the_same_seed(run, trained, tiny_task):
    found = validate(run, trained)
    labels = np.asarray(tiny_task.test["label"])
    right = {name: answers(found.predictions, name) == labels for name in found.predictions.columns[2:]}
    delta = np.mean([right[f"student-{s}"].astype(int) - right[f"alone-{s}"] for s in (3, 4)])
    assert found.verdict.delta == pytest.approx(delta)
    assert (found.verdict.n, found.verdict.seeds) == (25, 2)


def test_a_student_is_compared_with_each_control_that_was_trained(run, trained):
    starts = [replace(model, who="plain_start") for model in trained if model.who == "alone"]
    found = validate(run, [*trained, *starts])
    assert found.over_by_metric["plain_start"] == found.verdict, "the answers of the student alone"
    assert found.over_by_metric == found.over
    by_f1 = replace(run, config=run.config.change({"training.metric": "macro_f1"}))
    found = validate(by_f1, [*trained, *starts])
    assert found.over_by_metric["plain_start"] == found.f1_gain == found.over_by_metric["alone"]
    over = found.models["student"].macro_f1 - found.models["teacher"].macro_f1
    assert found.over_by_metric["teacher"].delta == pytest.approx(over) != 0


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "f1:film"])
def test_a_gain_is_in_what_the_run_is_judged_by(run, trained, metric):
    three = [trained[0], replace(trained[0], who="student", seed=4), trained[4]]
    found = validate(replace(run, config=run.config.change({"training.metric": metric})), three)
    student, alone, floor = (found.models[who].by(metric) for who in ("student", "alone", "tfidf"))
    assert found.verdict.delta == pytest.approx(student - alone) != 0
    assert found.over_floor.delta == pytest.approx(student - floor) != 0
    assert found.stairs_metric == metric
    assert found.stairs["alone"].delta == pytest.approx(alone - floor)
    assert found.stairs["student"] == found.verdict
    between = {who: model for who, model in found.models.items() if 0 < model.by(metric) < 1}
    assert between
    for model in between.values():
        low, high = model.interval(metric)
        assert low < model.by(metric) < high
    assert found.over["alone"].delta == pytest.approx(
        found.models["student"].accuracy - found.models["alone"].accuracy
    )
    f1 = "macro_f1" if metric == "accuracy" else metric
    assert found.f1_gain.delta == pytest.approx(found.models["student"].by(f1) - found.models["alone"].by(f1))


def test_fidelity_is_that_of_the_first_seed(run, trained):
    found = validate(run, trained)
    agreement = (answers(found.predictions, "teacher") == answers(found.predictions, "student-3")).mean()
    assert found.fidelity.agreement == pytest.approx(agreement)
    assert found.fidelity.kl > 0


def test_a_student_that_is_the_teacher_is_perfectly_faithful(run, trained):
    twin = replace(trained[0], who="student", seed=3)
    found = validate(run, [trained[0], twin, trained[2]])
    assert (found.fidelity.agreement, found.fidelity.kl) == (1.0, pytest.approx(0.0, abs=1e-6))
    assert found.models["student"].accuracy == found.models["teacher"].accuracy


def test_the_share_of_texts_with_a_piece_that_the_student_lacks(run, trained, tiny_task, tiny_tokenizer):
    words = {word for text in tiny_task.test["text"] for word in text.split()} - {"goal"}
    smaller, _ = trim_vocabulary(tiny_tokenizer, [*words, *tiny_task.validation["text"]])
    found = validate(run, [trained[0], replace(trained[1], tokenizer=smaller), trained[2]])
    held_out = [*tiny_task.validation["text"], *tiny_task.test["text"]]
    assert "goal" not in smaller.get_vocab()
    assert found.unknown_texts == sum("goal" in text.split() for text in held_out) / 45 > 0


def test_of_a_tokenizer_of_another_kind_no_share_is_known(run, trained, tiny_tokenizer):
    other, _ = trim_vocabulary(tiny_tokenizer, ["goal"])
    foreign = replace(trained[0], tokenizer=other)
    assert validate(run, [foreign, *trained[1:3]]).unknown_texts is None


def test_shifted_texts(run, trained, tiny_task):
    elsewhere = labelled(["goal", "bank"], [0, 4])
    task = replace(tiny_task, shifted={"elsewhere": elsewhere})
    sets = shifted_sets(task)
    assert set(sets) == {*KINDS, "elsewhere"}
    copies = corrupted(tiny_task.test["text"], seed=0)
    assert {kind: sets[kind]["text"][:] for kind in KINDS} == copies
    assert all(sets[kind]["label"][:] == tiny_task.test["label"][:] for kind in KINDS)

    found = validate(replace(run, task=task), trained[:3])
    for report in found.models.values():
        assert set(report.shifted) == {*KINDS, "elsewhere"}
        assert report.shifted["elsewhere"] in (0.0, 0.5, 1.0)
        # The tokenizer lowers all letters.
        assert report.shifted["upper case"] == pytest.approx(report.accuracy)
        assert report.shifted_score == {}
        right = report.accuracy, (report.low, report.high)
        other = report.shifted["elsewhere"], wilson(report.shifted["elsewhere"], 2)
        assert report.rises["elsewhere"] == pytest.approx(of_other_texts(*right, *other))
        same = verdict(*[np.ones((1, len(tiny_task.test)), bool)] * 2)
        assert report.rises["upper case"] == (same.low, same.high), "each text has the same answer"
        low, high = report.rises["typos"]
        assert low <= report.shifted["typos"] - report.accuracy <= high

    in_f1 = replace(run, task=task, config=run.config.change({"training.metric": "macro_f1"}))
    for report in validate(in_f1, trained[:3]).models.values():
        assert set(report.shifted_score) == set(report.shifted)
        assert report.shifted_score["upper case"] == pytest.approx(report.macro_f1)
        low, high = report.rises["typos"]
        assert low <= report.shifted_score["typos"] - report.macro_f1 <= high
        # Of two texts of two classes, one right: F1 is 2 / 3 of its class and 0 of the other, or 1 / 3.
        right = {0.0: (0.0,), 0.5: (0.5, 1 / 3), 1.0: (1.0,)}[report.shifted["elsewhere"]]
        assert any(report.shifted_score["elsewhere"] == pytest.approx(share) for share in right)


def test_without_shifted_texts(run, trained):
    quiet = replace(run, config=run.config.change({"controls.shifted": False}))
    assert all(report.shifted == {} for report in validate(quiet, trained[:3]).models.values())


def test_size_and_latency_by_architecture(run, trained, monkeypatch):
    timed: list[tuple[set[str], int, list[str]]] = []

    def latency(answers, texts, tokens, *, repeats, elsewhere, control):
        timed.append((set(answers), repeats, texts))
        assert torch.get_num_threads() == 1
        assert list(elsewhere) == [], "all compute on this processor"
        sizes = {name: answer(texts[0]).shape for name, answer in answers.items()}
        assert sizes == dict.fromkeys(answers, (1, 5))
        assert tokens["teacher"] == [len(text.split()) + 2 for text in texts], "special tokens included"
        assert tokens["tfidf"] == [0] * 5
        return {
            name: Latency(float(name == "teacher") or 5.0 * (name == "tfidf"), 2.0, 1, 1, repeats, 9.0)
            for name in answers
        }

    monkeypatch.setattr(module, "latency", latency)
    found = validate(run, trained)
    texts = run.task.test["text"][:5]
    assert timed == [({"teacher", "student", "tfidf"}, 5, texts)], "alone and distilled are one architecture"
    assert found.models["tfidf"].latency_ms.p50 == 5.0
    assert found.models["alone"].latency_ms == found.models["student"].latency_ms
    assert found.models["teacher"].latency_ms != found.models["student"].latency_ms
    for model in trained[:3]:
        report = found.models[model.who]
        assert report.params == sum(p.numel() for p in model.model.parameters())
        file = model.folder / "model.safetensors"
        assert report.size_mb == pytest.approx(file.stat().st_size / 1e6)


def test_scores_of_teacher_and_alone_are_kept(run, trained, kd_home):
    first = validate(run, trained)
    entries = set((kd_home / "cache" / "scores").iterdir())
    assert len(entries) == 6, "the teacher and two seeds of the student alone, on test and validation texts"
    passes: list[str] = []
    hooks = [
        model.model.register_forward_hook(lambda *_, name=model.name: passes.append(name))
        for model in trained
    ]
    again = validate(run, trained)
    for hook in hooks:
        hook.remove()
    # The rest is 15 passes for the latency.
    assert passes.count("teacher") == 15
    assert "alone-3" not in passes
    assert passes.count("student-4") == 5
    assert again.verdict == first.verdict
    assert set((kd_home / "cache" / "scores").iterdir()) == entries
    for number, (setting, value) in enumerate((("task.max_length", 8), ("training.precision", "bf16")), 2):
        validate(replace(run, config=run.config.change({setting: value})), trained)
        assert len(list((kd_home / "cache" / "scores").iterdir())) == 6 * number, f"other numbers: {setting}"


def test_the_floor_is_a_model_among_the_others(run, trained, tiny_task):
    found = validate(run, trained)
    baseline = TfidfBaseline.fit(tiny_task.train["text"], tiny_task.train["label"], len(tiny_task.labels))
    labels = np.asarray(tiny_task.test["label"])
    right = baseline.logits(tiny_task.test["text"]).argmax(axis=1) == labels
    students = np.stack([answers(found.predictions, f"student-{seed}") == labels for seed in (3, 4)])
    floor = found.models["tfidf"]
    assert floor.accuracy == pytest.approx(right.mean())
    assert found.over_floor.delta == pytest.approx(students.mean() - right.mean())
    assert (found.over_floor.n, found.over_floor.seeds) == (len(labels), 2)
    alone = np.mean([found.models["alone"].seeds[seed].accuracy for seed in (3, 4)])
    assert list(found.stairs) == ["alone", "student"], "each against the one before: TF-IDF, alone, student"
    assert found.stairs["alone"].delta == pytest.approx(alone - right.mean())
    assert found.stairs["student"] == found.verdict == found.over["alone"]
    assert found.over["tfidf"] == found.over_floor
    assert found.over["teacher"] == found.over_teacher
    assert "student" not in found.over
    assert (floor.params, floor.embedding_params, floor.size_mb) == (
        baseline.params,
        0,
        baseline.megabytes,
    )
    assert floor.latency_ms.p50 > 0
    typos = corrupted(tiny_task.test["text"], seed=0)["typos"]
    assert floor.shifted["typos"] == pytest.approx((baseline.logits(typos).argmax(axis=1) == labels).mean())
    assert not run.notes
    without = replace(run, config=run.config.change({"controls.tfidf": False}))
    left_out = validate(without, trained)
    assert left_out.over_floor is None
    assert set(left_out.models) == {"teacher", "student", "alone"}


def test_a_floor_that_reads_the_beginning_of_texts_says_so(run, trained, tiny_task, monkeypatch):
    some = sorted(map(len, tiny_task.train["text"][:]))[len(tiny_task.train) // 2]
    monkeypatch.setattr("kd_core.distillation.validate.CHARACTERS", some)
    validate(run, trained[:3])
    share = np.mean([len(text) > some for text in tiny_task.train["text"]])
    said = f"TF-IDF reads the first {some} characters of a text, and {100 * share:.0f} % of the training"
    assert [note for note in run.notes if note.startswith(said)]


def test_progress_and_stop(run, trained, kd_home):
    events: list[Progress] = []
    validate(replace(run, on_event=events.append), trained[:3])
    assert [(e.label, e.done, e.total) for e in events] == [
        ("scoring the teacher", 0, 5),
        *[("texts scored by the teacher", done, 100) for done in (25, 50, 75, 100)],
        ("scoring distilled student, seed 3", 1, 5),
        ("scoring student alone, seed 3", 2, 5),
        ("fitting TF-IDF", 3, 5),
        ("measuring latency", 4, 5),
        ("done", 5, 5),
    ]

    def stop(event: Progress) -> None:
        if event.label == "scoring distilled student, seed 3":
            run.control.stop()

    with pytest.raises(Stopped):
        validate(replace(run, on_event=stop), trained[:3])
