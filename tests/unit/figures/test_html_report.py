from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from kd_core.config import VERSION, DistillConfig
from kd_core.distillation.report import Report
from kd_core.figures.html_report import html_report
from tests import SAMPLES, with_floor

SAMPLE = SAMPLES / "report.json"
EVIL = "</script><script>alert(1)</script><img src=http://127.0.0.1:9/x>"


@pytest.fixture
def report() -> dict:
    return json.loads(SAMPLE.read_text("utf-8"))


def page_of(report: dict, **options: Any) -> str:
    return html_report(Report.model_validate(report), **options)


class Page(HTMLParser):
    """The tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_person_reads_the_result(report: dict) -> None:
    page = Page(page_of(report, name="My run"))
    assert ("html", {"lang": "en"}) in page.tags
    for words in (
        "My run",
        "bbc-headlines, minilm-l6 to tiny, 24 November 2026 13:54 UTC, about 2 min in all",
        "Distillation helped: +3.6 points over the same student trained alone (95 % interval +0.6",
        "8.5x smaller than the teacher.",
        "87.6 % ± 2.8",
        "Student and teacher give the same answer to 88.2 % of the test texts.",
        "nats",
        "7.2x faster than the teacher. All students have the same architecture, so their speed was measured "
        "once.",
        "One text, without the tokenizer, on 1 thread",
        "2,125 BBC News articles after dropping duplicates",
        "Run 20261124-135420-bcc7, made with KD Studio.",
    ):
        assert words in page.text


def test_the_floor_is_in_the_table_and_explained_where_it_was_fitted(report: dict) -> None:
    explained = "TF-IDF counts words and letters, with logistic regression"
    page = Page(page_of(with_floor(report)))
    assert "TF-IDF 80.9 % ± 3.4 80.5 %" in page.text
    assert explained in page.text
    assert explained not in Page(page_of(report)).text


def test_whose_agreement_it_is_and_no_divergence_from_labels_alone(report: dict) -> None:
    assert "<p>Student and teacher give the same answer to" in page_of(report)
    assert "KL(teacher, student), is " in page_of(report)
    report["student"]["seeds"]["1"] = next(iter(report["student"]["seeds"].values()))
    report["config"]["task"] |= {"knowledge": "answers.csv", "answers": "labels", "gold": "rows"}
    page = page_of(report)
    assert "<p>The first seed&#39;s student and teacher give the same answer to" in page
    assert "KL(teacher, student)" not in page


def test_every_chart_has_its_name(report: dict) -> None:
    names = [attrs["aria-label"] for tag, attrs in Page(page_of(report)).tags if tag == "figure"]
    assert names == [
        "Accuracy on the test texts",
        "How much better the distilled student is",
        "Size on disk",
        "Latency, one text at a time",
        "F1 of each class",
        "Confusion: distilled student",
        "Calibration: distilled student",
        "Calibration: student alone",
        "Accuracy on other texts",
        "Teacher and student, text by text",
    ]


def test_it_needs_no_network_and_plotly_once(report: dict) -> None:
    source = page_of(report)
    page = Page(source)
    assert not [tag for tag, attrs in page.tags if tag in ("link", "img", "iframe") or "src" in attrs]
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none';")
    assert len(re.findall(r"plotly\.js v\d", source)) == 1


def test_what_a_user_wrote_stays_text(report: dict) -> None:
    clean = Page(page_of(report))
    report["labels"][0] = EVIL
    for who in ("teacher", "student", "alone", "labelled_only"):
        report[who]["seeds"]["0"]["per_class"][0]["name"] = EVIL
    report["config"]["task"]["name"] = f"/data/{EVIL}.csv"
    report["notes"] = [EVIL]
    report["sentence"] = EVIL
    page = Page(page_of(report, name=EVIL))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in clean.tags]
    assert EVIL in page.text


def test_curves_where_they_were_recorded(report: dict) -> None:
    assert "Validation accuracy" not in page_of(report)[-100_000:]
    curve = pd.DataFrame(
        {"who": ["student"], "seed": [0], "step": [1], "loss": [1.0], "hard": [1.0], "soft": [1.0]}
    ).assign(intermediate=0.0)
    evaluations = pd.DataFrame({"who": ["student"], "seed": [0], "step": [1], "accuracy": [0.5]}).assign(
        score=0.25
    )
    names = [
        attrs.get("aria-label")
        for _, attrs in Page(page_of(report, curve=curve, evaluations=evaluations)).tags
    ]
    assert {"Validation accuracy", "Training loss: distilled student"} <= set(names)
    report["config"]["training"]["metric"] = "macro_f1"
    by_f1 = Page(page_of(report, curve=curve, evaluations=evaluations)).tags
    assert "Validation macro-F1" in {attrs.get("aria-label") for _, attrs in by_f1}


def test_the_command_is_of_what_was_asked_for(report: dict) -> None:
    asked = DistillConfig().change({"objective.temperature": 2.0}).model_dump(mode="json")
    text = Page(page_of(report, config=asked)).text
    assert "kd distill \\ --temperature 2.0 In Python" in text


def test_the_file_says_of_which_version_it_is(report: dict) -> None:
    assert f"version: {VERSION} task: name: bbc-headlines" in Page(page_of(report)).text


def test_a_run_without_controls(report: dict) -> None:
    report["labelled_only"] = None
    for who in ("teacher", "student", "alone"):
        report[who]["shifted"] = {}
    text = Page(page_of(report)).text
    assert "Other texts" not in text
    assert "Distilled on labelled texts only" not in text


def test_it_tells_no_path_and_no_user_of_the_machine_where_it_was_made(report: dict) -> None:
    home = "/home/ada.lovelace"
    for section, name, value in (
        ("task", "name", f"{home}/films.csv"),
        ("task", "test_file", f"{home}/held out.csv"),
        ("task", "transfer_file", "C:\\Users\\ada.lovelace\\more.txt"),
        ("teacher", "model", f"{home}/models/teacher"),
        ("student", "model", "~/ada.lovelace/student"),
    ):
        report["config"][section][name] = value
    report |= {"folder": f"{home}/kd/runs/x"}
    text = page_of(report, name="Films", config=report["config"])
    assert "ada.lovelace" not in text
    words = Page(text).text
    assert "films.csv, teacher to student, 24 November 2026" in words
    assert "--task films.csv" in words
    assert "name: films.csv" in words


@pytest.mark.parametrize("name", ["owner/name", "hub:owner/name", "bbc-headlines", "minilm-l6"])
def test_names_that_are_no_places_stay(report: dict, name: str) -> None:
    report["config"]["task"]["name"] = report["config"]["teacher"]["model"] = name
    assert f"{name}, {name} to tiny" in Page(page_of(report)).text
