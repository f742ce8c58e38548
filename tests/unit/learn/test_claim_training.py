"""The trainings behind the claims lab, on a tiny task: their texts and their teachers."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from kd_core.data import load_task
from kd_core.distillation.distil import seen
from kd_core.distillation.roles import StudentVariant
from kd_core.errors import ConfigError, DataError
from kd_core.learn.claim_training import common, trainings
from kd_core.learn.claims import findings
from kd_core.learn.lab_results import OWN, LabConfig, unpack_answers
from kd_core.learn.lab_training import run_lab


def lab(name, config, **more) -> LabConfig:
    return LabConfig(lab=name, distil=config, seeds=(0,), **more)


def test_unseen_class(short_config):
    task = load_task(short_config.task)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(len(task.train) + len(task.transfer), 5)).astype(np.float32)
    knowledge = Dataset.from_dict({"logits": logits.tolist()})
    whole, all_answers = seen(StudentVariant("student", short_config.objective, 30), task, knowledge)
    assert (len(whole.train), len(whole.transfer), len(all_answers)) == (65, 30, 95)
    variant = StudentVariant("student", short_config.objective, 30, unseen=task.labels[2])
    less, its_answers = seen(variant, task, knowledge)
    for split, full in ((less.train, task.train), (less.validation, task.validation)):
        assert split["text"][:] == [t for t, c in zip(full["text"], full["label"], strict=True) if c != 2]
    chosen = logits[65:95].argmax(axis=1)
    kept = [text for text, c in zip(task.transfer["text"][:30], chosen, strict=True) if c != 2]
    assert less.transfer["text"][:] == kept
    assert 0 < len(kept) < 30
    assert less.test["text"][:] == task.test["text"][:], "it is tested on all classes"
    rows = [*np.flatnonzero(np.asarray(task.train["label"]) != 2), *(65 + np.flatnonzero(chosen != 2))]
    assert np.allclose(its_answers["logits"][:], logits[rows]), "each text keeps its own logits"
    with pytest.raises(ConfigError, match="No class 'zebra' can be left out; those of this task are film"):
        seen(StudentVariant("student", short_config.objective, 0, unseen="zebra"), task, knowledge)


def test_training_without_a_class(kd_home, short_config):
    task = load_task(short_config.task)
    config = lab("hinton2015", short_config.change({"task.transfer_texts": 0}), classes=task.labels[:3])
    made = trainings(config)
    assert len(made) == 1 + 3 * 4
    assert made[0].variant.unseen == ""
    assert {t.variant.objective.alpha for t in made if t.variant.who == "student"} == {0}
    assert [t.variant.objective.temperature for t in made[2:5]] == [1, 4, 10]
    report = run_lab(common(config), made[:3], kd_home / "work")
    known, alone, soft = report["cells"]
    assert "unseen" not in known
    assert (alone["unseen"], soft["unseen"]) == (0, 0)
    for cell in (alone, soft):
        before, after = unpack_answers(cell["answers"]), unpack_answers(cell["shifted"])
        changed = before != after
        assert np.isfinite(cell["shift"])
        assert set(after[changed] if cell["shift"] > 0 else before[changed]) <= {0}, (
            "to that class, or from it"
        )
    truth = unpack_answers(report["truth"])
    assert truth.tolist() == task.test["label"][:]
    assert known["accuracy"] == pytest.approx((unpack_answers(known["answers"]) == truth).mean())


@pytest.mark.slow
def test_early_stopped_teachers(kd_home, short_config):
    config = lab("cho2019", short_config)
    assert common(config).task.transfer_texts == 0
    report = run_lab(common(config), trainings(config), kd_home / "work")
    names = [f"{epochs} epochs, seed 0" for epochs in (1, 2, 5, 10)]
    assert list(report["teachers"]) == [OWN, *names]
    assert report["teachers"][names[0]] == report["teachers"][OWN], (
        "the config's own has one epoch and seed 0"
    )
    assert [cell["teacher"] for cell in report["cells"]] == [OWN, *names]
    found = findings("cho2019", report)
    assert found.main is not None
    assert found.main.seeds == 1


def test_claims_need_a_trainable_teacher(short_config):
    answers = short_config.change({"task.knowledge": "answers.csv"})
    for claim in ("hinton2015", "cho2019", "stanton2021"):
        with pytest.raises(ConfigError, match=rf"a file of answers \(answers.csv\), and {claim} teaches"):
            LabConfig.from_dict({"lab": claim, "distil": answers.model_dump(mode="json")})
    assert LabConfig(distil=answers).lab == "transfer"


def test_transfer_sizes_are_limited_by_the_task(short_config):
    config = lab("transfer", short_config, transfer=(0, 40, 500, 2_000))
    assert config.within(600).transfer == (0, 40, 500, 600)
    assert config.within(0).transfer == (0,)
    assert lab("stanton2021", short_config, transfer=(0, 40)).within(7).transfer == (0, 7)
    with pytest.raises(DataError, match="compares few transfer texts with many, and this task has 0"):
        lab("stanton2021", short_config, transfer=(0, 40)).within(0)


def test_random_teacher(kd_home, short_config):
    config = lab("stanton2021", short_config, transfer=(0, 40))
    made = trainings(config)
    assert [t.name for t in made] == [
        "student alone",
        "0 transfer texts",
        "40 transfer texts",
        "0 transfer texts, random teacher",
        "40 transfer texts, random teacher",
    ]
    report = run_lab(common(config), made, kd_home / "work")
    own, random = (unpack_answers(report["teachers"][name]) for name in (OWN, "random"))
    assert not np.array_equal(own, random)
    assert len(set(random)) > 1, "its logits are scaled so that it predicts several classes"
    assert findings("stanton2021", report).main is not None
