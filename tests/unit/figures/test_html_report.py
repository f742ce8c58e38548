"""Tests of the report as one file of HTML."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from kd_core.config import VERSION, DistillConfig
from kd_core.figures.html_report import html_report
from tests import with_floor
from tests.unit.figures.sampled import SAMPLE, read

EVIL = "</script><script>alert(1)</script><img src=http://127.0.0.1:9/x>"


class Page(HTMLParser):
    """The tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, report: dict, **options: Any) -> None:
        super().__init__()
        self.source = html_report(read(report), **options)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self._inside = ""
        self.feed(self.source)
        self.text = " ".join(" ".join(self._words).split())
        self.charts = [attrs["aria-label"] for tag, attrs in self.tags if tag == "figure"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self._words.append(data)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(copy.deepcopy(SAMPLE), name="My run")


def test_words_of_the_report(page: Page) -> None:
    for words in (
        "My run",
        "bbc-headlines, minilm-l6 to tiny, 24 November 2026 13:54 UTC, about 2 min in all",
        "Distillation helped: +3.6 points over the same student trained alone (95 % interval +0.6",
        "8.5x smaller than the teacher.",
        "87.6 % ± 2.8",
        "Student and teacher give the same answer to 88.2 % of the test texts.",
        "KL(teacher, student), is ",
        "7.2x faster than the teacher. All students have the same architecture, so their speed was measured",
        "One text, without the tokenizer, on 1 thread",
        "2,125 BBC News articles after dropping duplicates",
        "Run 20261124-135420-bcc7, made with KD Studio.",
        f"version: {VERSION} task: name: bbc-headlines",
    ):
        assert words in page.text


def test_page_needs_no_network_and_names_its_charts(page: Page) -> None:
    assert ("html", {"lang": "en"}) in page.tags
    assert not [tag for tag, attrs in page.tags if tag in ("link", "img", "iframe") or "src" in attrs]
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none';")
    assert len(re.findall(r"plotly\.js v\d", page.source)) == 1
    assert page.charts == [
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


def test_words_of_a_user_stay_text(page: Page, report: dict) -> None:
    report["labels"][0] = EVIL
    for who in ("teacher", "student", "alone", "labelled_only"):
        report[who]["seeds"]["0"]["per_class"][0]["name"] = EVIL
    report["config"]["task"]["name"] = f"/data/{EVIL}.csv"
    report |= {"notes": [EVIL], "sentence": EVIL}
    evil = Page(report, name=EVIL)
    assert [tag for tag, _ in evil.tags] == [tag for tag, _ in page.tags]
    assert EVIL in evil.text


def test_parts_that_only_some_runs_have(page: Page, report: dict) -> None:
    explained = "TF-IDF counts words and letters, with logistic regression"
    assert explained not in page.text
    curve = {"who": ["student"], "seed": [0], "step": [1]}
    losses = pd.DataFrame(curve | {"loss": [1.0], "hard": [1.0], "soft": [1.0], "intermediate": [0.0]})
    evaluations = pd.DataFrame(curve | {"accuracy": [0.5], "score": [0.25]})
    report["config"]["training"]["metric"] = "macro_f1"
    more = Page(with_floor(report), curve=losses, evaluations=evaluations)
    assert explained in more.text
    assert "TF-IDF 80.5 % 80.9 % ± 3.4" in more.text
    assert {"Validation macro-F1", "Training loss: distilled student"} <= set(more.charts)
    # Of a file of labels there is no divergence, and of several seeds the first is compared.
    report["labelled_only"] = None
    for who in ("teacher", "student", "alone"):
        report[who]["shifted"] = {}
    report["student"]["seeds"]["1"] = report["student"]["seeds"]["0"]
    report["config"]["task"] |= {"knowledge": "answers.csv", "answers": "labels", "gold": "rows"}
    less = Page(report)
    assert "The first seed's student and teacher give the same answer to" in less.text
    for words in ("KL(teacher, student)", "Other texts", "Distilled on labelled texts only"):
        assert words not in less.text


def test_command_and_names_without_paths_of_the_machine(report: dict) -> None:
    home = "/home/ada.lovelace"
    asked = DistillConfig().change({"objective.temperature": 2.0}).model_dump(mode="json")
    for section, name, value in (
        ("task", "name", f"{home}/films.csv"),
        ("task", "test_file", f"{home}/held out.csv"),
        ("task", "transfer_file", "C:\\Users\\ada.lovelace\\more.txt"),
        ("teacher", "model", f"{home}/models/teacher"),
        ("student", "model", "~/ada.lovelace/student"),
    ):
        report["config"][section][name] = asked[section][name] = value
    page = Page(report | {"folder": f"{home}/kd/runs/x"}, name="Films", config=asked)
    assert "ada.lovelace" not in page.source
    assert "films.csv, teacher to student, 24 November 2026" in page.text
    for words in ("--task films.csv", "--temperature 2.0", "name: films.csv"):
        assert words in page.text


@pytest.mark.parametrize("name", ["owner/name", "hub:owner/name"])
def test_names_that_are_no_places_stay(report: dict, name: str) -> None:
    report["config"]["task"]["name"] = report["config"]["teacher"]["model"] = name
    assert f"{name}, {name} to tiny" in Page(report).text
