"""The playground: one text asked closely, and many at once. The models are pretended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.deployment import predict
from kd_core.distillation.roles import CORE
from kd_core.errors import RunError
from kd_core.jobs.store import Store
from kd_core.system.atomic import seal
from pages.use.playground import many_texts, one_text
from tests import without_gold
from tests.ui.charts import alts
from tests.ui.finished import EVIL, OTHER, RUN, App, finish, inert, plain, read, sample

PAGE = "use/playground/page.py"
MANY = {"playground.view": "Many texts"}
LABELS = ("business", "entertainment", "politics", "sports", "tech")
UNKNOWN = 1


class Tokenizer:
    """Takes each word for a token; the emoji is not in the vocabulary."""

    unk_token_id = UNKNOWN

    def __call__(
        self, text: str, *, truncation: bool = False, max_length: int = 0, **_: Any
    ) -> dict[str, Any]:
        words = text.split()[: max_length - 2] if truncation else text.split()
        offsets, place = [(0, 0)], 0
        for word in words:
            place = text.index(word, place) + len(word)
            offsets.append((place - len(word), place))
        ids = [UNKNOWN if word == "😀" else 7 for word in words]
        return {"input_ids": ids, "offset_mapping": [*offsets, (0, 0)]}

    def num_special_tokens_to_add(self) -> int:
        return 2


class Model:
    """Says business where a text has "shares", else sports; the student alone always says tech."""

    tokenizer, labels, max_length = Tokenizer(), LABELS, 12

    def __init__(self, who: str) -> None:
        self.who = who

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        self.texts = texts
        return [[2, *self.tokenizer(text, truncation=True, max_length=12)["input_ids"], 3] for text in texts]

    def logits(self, ids: list[list[int]]) -> np.ndarray:
        return self.predict(self.texts)

    def predict(self, texts: Sequence[str], *_: Any, on_rows: Any = None, **__: Any) -> np.ndarray:
        answers = [4 if self.who == "alone" else 0 if "shares" in text else 3 for text in texts]
        if on_rows:
            on_rows(len(texts))
        return 3 * np.eye(5, dtype=np.float32)[answers]


@pytest.fixture
def report() -> dict[str, Any]:
    return sample()


@pytest.fixture
def done(home: Path, store: Store, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Store:
    """Adds a finished run with two test texts; on the second, teacher and student differ."""
    finish(store, report=report)
    (home / "runs" / RUN).mkdir(parents=True)
    business, sports = [4.0, 0, 0, 0, 0], [0, 0, 0, 4.0, 0]
    pd.DataFrame(
        {
            "text": [f"{EVIL} shares rise", "striker buys shares"],
            "label": [0, 3],
            "teacher": [business, sports],
            "student-0": [business, business],
        }
    ).to_parquet(home / "runs" / RUN / "predictions.parquet")
    monkeypatch.setattr(predict, "open_models", lambda run_id: {who: Model(who) for who in CORE})
    return store


def ask(app: App, text: str) -> AppTest:
    return app(PAGE).text_area(key="playground.text").set_value(text).run()


def headings(page: AppTest) -> list[str]:
    return [element.value for element in page.subheader]


# One text


def test_without_a_finished_run(app: App, store: Store) -> None:
    assert app(PAGE).info[0].value.startswith("No run is done yet.")


def test_answers_to_a_test_text(app: App, done: Store) -> None:
    page = ask(app, f"{EVIL} shares rise")
    said = read(page)
    answers = "**Teacher and distilled student say business; the student alone says tech."
    assert f"{answers} The true class is business.**" in said
    inert(page)
    assert headings(page)[:3] == ["business", "business", "tech"]
    badges = [text.split(" ", 1)[1][:5] for text in said.split("\n") if "badge[:material" in text]
    assert badges == ["Right", "Right", "Wrong"]
    # softmax of (3, 0, 0, 0, 0): e³ / (e³ + 4) = 83.4 %, and 4.2 % for each of the others
    assert said.count("83.4 % sure · ") == 3
    assert alts(page)[0].startswith("Teacher: business 83.4 %, entertainment 4.2 %")
    assert page.text_area(key="playground.text").proto.ignore_rerun, "typing alone asks nobody"
    page.slider(key="playground.temperature").set_value(3.0).run()
    # softmax of (3, 0, 0, 0, 0) / 3: e / (e + 4) = 40.5 %
    assert read(page).count("40.5 % sure · ") == 3
    assert headings(page)[:3] == ["business", "business", "tech"]


def test_calibrated_answers(app: App, done: Store, report: dict[str, Any], home: Path) -> None:
    folder = home / "runs" / RUN
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    seal(folder)
    page = app(PAGE)
    page.toggle(key="playground.calibrated").set_value(True).run()
    assert "missing or damaged: validation.parquet" in read(page)
    logits = [[4.0, 0, 0, 0, 0]] * 10  # of models that are right in 6 of 10 cases, and far too sure of it
    table = pd.DataFrame({"label": [0] * 6 + [1, 2, 3, 4]})
    table = table.assign(teacher=logits, **{"student-0": logits, "alone-0": logits})
    table.to_parquet(folder / "validation.parquet")
    page.run()
    assert not page.warning
    # At T the logits 4 give 60 %, so e^(4 / T) = 6, and the 3 of these models 6^(3 / 4) / (6^(3 / 4) + 4).
    assert read(page).count("48.9 % sure · ") == 3


def test_words_that_mattered(app: App, done: Store) -> None:
    page = ask(app, "the shares rise")
    # Without "shares" the teacher says sports: of 83.39 % for business, 4.15 % are left.
    assert alts(page)[1].startswith(
        "Teacher, words that mattered most for business: shares +79.2 points, the 0.0 points"
    )
    assert alts(page)[3] == (
        "Student alone, words that mattered most for tech: the 0.0 points, shares 0.0 points, rise 0.0 points"
    )
    table = page.dataframe[0].value
    assert table["Word"].tolist() == ["the", "shares", "rise"]
    assert table["Distilled student"].tolist() == [0.0, 79.2, 0.0]
    hangs = "No answer hangs on a single word here: leaving one out changes it by 0.0 points at most."
    assert hangs not in read(page)
    page.toggle(key="playground.words").set_value(False).run()
    assert not page.dataframe
    assert hangs in read(ask(app, "the prices rise"))
    assert ask(app, "亚洲股市上涨").dataframe[0].value["Word"].tolist() == list("亚洲股市上涨")


def test_teacher_that_is_a_file(app: App, done: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    monkeypatch.setattr(one_text, "PATIENCE", -1.0)
    monkeypatch.setattr(predict, "open_models", lambda run_id: {who: Model(who) for who in CORE[1:]})
    monkeypatch.setattr(DeltaGenerator, "progress", lambda self, value, **_: shares.append(value))
    said = read(app(PAGE))
    assert "The teacher of this run is a file of answers: to this text it has sports." in said
    assert shares[-1] == 1, "of two models, too"
    assert "The teacher of this run is a file of answers: it has none to a new text." in read(ask(app, "new"))


def test_nobody_is_right_without_a_true_class(app: App, done: Store, report: dict[str, Any]) -> None:
    assert not {"true class", "Right", "Wrong"} & set(read(ask(app, "no such text")).split())
    assert "true class" not in read(ask(app, "no such text"))
    done.save_report(RUN, without_gold(report))
    said = read(app(PAGE))
    assert not [word for word in ("The true class", "Right", "Wrong") if word in said]


def test_examples_begin_where_teacher_and_student_differ(app: App, done: Store, home: Path) -> None:
    shutil.copytree(home / "runs" / RUN, home / "runs" / OTHER)
    finish(done, OTHER, sample() | {"run_id": OTHER}, "Other")
    page = app(PAGE, run=RUN)
    assert page.text_area(key="playground.text").value == "striker buys shares"
    assert page.get("button_group")[0].options == ["Teacher and student disagree (1)", "All (2)"]
    page.text_area(key="playground.text").set_value("no such text").run()
    example = page.selectbox(key=f"playground.example.{RUN}.differ")
    assert example.options == ["striker buys shares"]
    example.set_value(1).run()
    assert page.text_area(key="playground.text").value == "striker buys shares"
    assert "The true class is sports." in read(page)
    page.selectbox(key=f"playground.run.{RUN}").set_value(OTHER).run()
    assert page.query_params["run"] == OTHER
    assert page.selectbox(key=f"playground.example.{OTHER}.differ").value is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  \n", "Type a text, or pick an example above."),
        ("\0", "There is nothing to classify: the text is empty. Write a few words."),
        ("shares " * 143_000, "The text has 1,001,000 characters; only the first 20,000 are looked at."),
        (
            "shares " * 143_000,
            "Of 2,858 word pieces the first 10 are read; what comes after them is cut off.",
        ),
        ("shares " * 143_000, "The first 60 words were looked at."),
        (" " * predict.MAX_CHARACTERS + "striker buys shares ", "The true class is sports."),
        ("😀 😀 😀", "3 of 3 word pieces are not in its vocabulary, so its answer says little."),
        ("shares 😀 shares", "1 of 3 word pieces is not in its vocabulary."),
    ],
    ids=["blank", "nul", "long", "cut", "words", "blanks before", "unknown", "one unknown"],
)
def test_texts_that_people_type(app: App, done: Store, text: str, said: str) -> None:
    assert said in read(ask(app, text))


def test_runs_that_cannot_be_asked(
    app: App, done: Store, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done.create_run(OTHER, DistillConfig().model_dump(mode="json"), name=EVIL)
    page = app(PAGE, run=OTHER)
    queued = f"The run {EVIL} is queued: only a finished run has models to ask. Another one is shown."
    assert queued in read(page)
    inert(page)
    assert "20200101-000000-0000" in plain(app(PAGE, run="20200101-000000-0000").error[0].value)
    report["student"]["seeds"]["1"] = report["student"]["seeds"]["0"]
    done.save_report(RUN, report)
    assert "The students are those of seed 0, the first of 2." in read(app(PAGE))
    times = "Times are of the student of seed 0, the first of 2; its scores are means over the seeds."
    assert times in read(app("review/capacity/page.py"))

    def refuse(run_id: str) -> None:
        raise RunError(f"Files of run {run_id} are missing or were changed: *x*.")

    monkeypatch.setattr(predict, "open_models", refuse)
    st.cache_resource.clear()
    assert f"Files of run {RUN} are missing or were changed: *x*." in read(app(PAGE))


# Many texts


def paste(app: App, lines: str) -> AppTest:
    return app(PAGE, **MANY).text_area(key="playground.lines").set_value(lines).run()


def upload(page: AppTest, content: bytes, name: str = "a.csv") -> AppTest:
    page.button_group(key="playground.source").set_value("Upload a file").run()
    page.file_uploader(key="playground.file").set_value((name, content, "")).run()
    assert not page.exception
    return page


def classify(page: AppTest) -> AppTest:
    page.button(key="playground.start").click().run()
    assert not page.exception
    return page


def test_pasted_lines(app: App, done: Store) -> None:
    page = paste(app, f"=1+1 shares\n\n  striker  \n\r\n{'shares ' * 40}")
    assert page.button(key="playground.start").label == "Classify 3 texts"
    table = classify(page).dataframe[0].value
    assert table["text"].tolist() == ["=1+1 shares", "striker", ("shares " * 40).strip()]
    assert table["teacher"].tolist() == ["business", "sports", "business"]
    assert table["agreement"].tolist() == ["Teacher and distilled student"] * 3
    assert [(metric.label, metric.value, metric.delta) for metric in page.metric] == [
        ("Distilled student agrees with the teacher", "100.0 %", "−56.1/+0.0, 3 of 3"),
        ("Student alone agrees with the teacher", "0.0 %", "−0.0/+56.1, 0 of 3"),
    ]
    assert page.metric[0].help.startswith("How often, and how closely, the student agrees with its teacher")
    whose = "1 (teacher), 1 (distilled student), 1 (student alone) of 3"
    assert f"Texts that are longer than is read, so that their end is lost: {whose}." in read(page)
    assert [button.label for button in page.get("download_button")] == ["Download CSV"]
    assert len(page.run().dataframe[0].value) == 3


@pytest.mark.parametrize(
    ("lines", "said"),
    [("\n \n", ""), ("\0\n\0", ""), ("a\n" * 4, "These are 4 texts, more than 3 at a time.")],
)
def test_lines_that_are_not_classified(
    app: App, done: Store, monkeypatch: pytest.MonkeyPatch, lines: str, said: str
) -> None:
    monkeypatch.setattr(many_texts, "MAX_TEXTS", 3)
    page = paste(app, lines)
    assert said in read(page)
    assert page.button(key="playground.start").disabled


def test_file_with_labels(app: App, done: Store) -> None:
    content = b"text,label\n@shares,business\n,tech\nstriker,business\ngoal,cooking\nwhistle,\n"
    page = upload(app(PAGE, **MANY), content)
    assert "a.csv: 1 row without a text dropped." in read(page)
    table = classify(page).dataframe[0].value
    assert table["label"].tolist() == ["business", "business", "cooking", ""]
    right = [f"{metric.value} {metric.delta}" for metric in page.metric][2:]
    assert right == ["50.0 % ± 40.5, 1 of 2", "50.0 % ± 40.5, 1 of 2", "0.0 % −0.0/+65.8, 0 of 2"]
    assert "1 of 4 texts have no label, and 1 of 3 labels are none of the classes" in read(page)


def test_file_that_cannot_be_read(app: App, done: Store) -> None:
    page = upload(app(PAGE, **MANY), b"\x89PNG\r\n")
    assert "a.csv is not a CSV file: its content is a PNG image." in read(page)
    assert page.button(key="playground.start").disabled


def test_batch_that_is_stopped_keeps_what_is_there(app: App, done: Store) -> None:
    chunk = many_texts.CHUNK
    texts = [f"shares {i}" for i in range(2 * chunk)]
    batch = many_texts.Batch(RUN, many_texts.Texts(texts))
    batch.logits = {who: [Model(who).predict(texts[:chunk])] for who in CORE}
    batch.done = chunk
    batch.stop()
    page = app(PAGE, **MANY)
    page.session_state["playground.batch"] = batch
    assert f"Stopped: {chunk} of {2 * chunk} texts were classified." in read(page.run())
    assert len(page.dataframe[0].value) == chunk
    page.session_state["playground.batch"].stopped = False
    assert len(page.run().dataframe[0].value) == 2 * chunk
