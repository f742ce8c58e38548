"""The playground: one text asked closely, many at once, what people will type. The models are pretended."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.deployment import predict
from kd_core.distillation.roles import CORE
from kd_core.errors import RunError
from kd_core.jobs.store import Store
from kd_core.system.atomic import seal
from pages.use.playground import one_text
from tests import without_gold
from tests.ui.charts import alts
from tests.ui.pretended import EVIL, OTHER, RUN, Model, done, report

__all__ = ["done", "report"]  # fixtures
App = Callable[..., AppTest]
PAGE = "use/playground/page.py"


def said(page: AppTest) -> list[str]:
    assert not page.exception
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.subheader)
    return [html.unescape(element.value).replace("\u2060", "") for kind in kinds for element in kind]


def type_in(page: AppTest, text: str) -> AppTest:
    page.text_area(key="playground.text").set_value(text).run()
    return page


def test_without_a_finished_run_it_says_what_to_do(app: App, store: Store) -> None:
    assert app(PAGE).info[0].value.startswith("No run is done yet.")


def test_it_opens_with_a_test_text_and_three_answers(app: App, done: Store) -> None:
    page = type_in(app(PAGE), f"{EVIL} rise")
    words = said(page)
    assert (
        "**Teacher and distilled student say business; the student alone says tech. "
        "The true class is business.**" in words
    )
    assert [element.value for element in page.subheader][:3] == ["business", "business", "tech"]
    badges = [text.split(" ", 1)[1][:5] for text in words if "badge[:material" in text]
    assert badges == ["Right", "Right", "Wrong"]
    # softmax of (3, 0, 0, 0, 0): e³ / (e³ + 4) = 83.4 %, and 4.2 % for each of the others
    assert sum(text.startswith("83.4 % sure · ") and text.endswith(" ms") for text in words) == 3
    assert any(
        "overlap with the teacher's by 100\u00a0%, those of the student alone by 21\u00a0%" in text
        for text in words
    )
    assert any("one text at a time, the models by turns, median of at most 15" in text for text in words)


@pytest.mark.parametrize(
    ("opened", "sentence"),
    [
        (PAGE, "The students are those of seed 0, the first of 2."),
        (
            "review/capacity/page.py",
            "Times are of the student of seed 0, the first of 2; its scores are means over the seeds.",
        ),
    ],
)
def test_of_several_seeds_it_says_whose_students_are_meant(
    app: App, done: Store, report: dict[str, Any], opened: str, sentence: str
) -> None:
    assert not any(sentence in text for text in said(app(opened)))
    report["student"]["seeds"]["1"] = report["student"]["seeds"]["0"]
    done.save_report(RUN, report)
    assert any(sentence in text for text in said(app(opened)))


def test_it_opens_where_teacher_and_student_disagree(app: App, done: Store) -> None:
    page = app(PAGE)
    assert page.text_area(key="playground.text").value == "striker buys shares"
    assert page.get("button_group")[0].options == ["Teacher and student disagree (1)", "All (2)"]
    assert page.selectbox(key=f"playground.example.{RUN}.differ").options == ["striker buys shares"]


def test_typing_alone_asks_nobody(app: App, done: Store) -> None:
    """Classify does: a training may be under way on the same cores."""
    assert app(PAGE).text_area(key="playground.text").proto.ignore_rerun


def test_temperature_makes_all_answers_less_sure_and_changes_none(app: App, done: Store) -> None:
    page = type_in(app(PAGE), "the shares rise")
    page.slider(key="playground.temperature").set_value(3.0).run()
    # softmax of (3, 0, 0, 0, 0) / 3: e / (e + 4) = 40.5 %
    assert sum(text.startswith("40.5 % sure · ") for text in said(page)) == 3
    assert [element.value for element in page.subheader][:3] == ["business", "business", "tech"]


def test_calibrated_answers(app: App, done: Store, report: dict[str, Any], home: Path) -> None:
    folder = home / "runs" / RUN
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    seal(folder)
    page = app(PAGE)
    page.toggle(key="playground.calibrated").set_value(True).run()
    assert "missing or damaged: validation.parquet" in html.unescape(page.warning[0].value)
    # Models that are right in 6 of 10 cases, and far too sure of it.
    logits = [[4.0, 0, 0, 0, 0]] * 10
    table = pd.DataFrame({"label": [0] * 6 + [1, 2, 3, 4]})
    table.assign(teacher=logits, **{"student-0": logits, "alone-0": logits}).to_parquet(
        folder / "validation.parquet"
    )
    page.run()
    assert not page.warning
    # At T the logits 4 give 60 %, so e^(4 / T) = 6, and the 3 of these models 6^(3 / 4) / (6^(3 / 4) + 4).
    assert sum(text.startswith("48.9 % sure · ") for text in said(page)) == 3


def test_words_that_mattered(app: App, done: Store) -> None:
    page = type_in(app(PAGE), "the shares rise")
    spoken = alts(page)
    assert spoken[0].startswith("Teacher: business 83.4 %, entertainment 4.2 %")
    assert "Student alone: business 4.2 %" in spoken[0]
    # Without "shares" the teacher says sports: of 83.39 % for business, 4.15 % are left.
    assert spoken[1].startswith(
        "Teacher, words that mattered most for business: shares +79.2 points, the 0.0 points"
    )
    assert spoken[3] == (
        "Student alone, words that mattered most for tech: the 0.0 points, shares 0.0 points, rise 0.0 points"
    )
    table = page.dataframe[0].value
    assert table["Word"].tolist() == ["the", "shares", "rise"]
    assert table["Distilled student"].tolist() == [0.0, 79.2, 0.0]
    page.toggle(key="playground.words").set_value(False).run()
    assert not page.dataframe


def test_how_far_two_models_are_goes_to_the_end(
    app: App, done: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher that is a file answers no new text, so two models are left."""
    shares: list[float] = []
    monkeypatch.setattr(one_text, "PATIENCE", -1.0)
    monkeypatch.setattr(predict, "open_models", lambda run_id: {who: Model(who) for who in CORE[1:]})
    monkeypatch.setattr(DeltaGenerator, "progress", lambda self, value, **_: shares.append(value))
    page = app(PAGE)
    assert "The teacher of this run is a file of answers: to this text it has sports." in said(page)
    assert shares[-1] == 1
    page = type_in(page, "a new text")
    assert "The teacher of this run is a file of answers: it has none to a new text." in said(page)


def test_without_gold_labels_nobody_is_right_or_wrong(app: App, done: Store, report: dict[str, Any]) -> None:
    done.save_report(RUN, without_gold(report))
    words = " ".join(said(app(PAGE)))
    assert "The true class" not in words
    assert "Right" not in words
    assert "Wrong" not in words


def test_a_text_whose_answers_hang_on_no_single_word_says_so(app: App, done: Store) -> None:
    hangs = "No answer hangs on a single word here: leaving one out changes it by 0.0 points at most."
    assert any(hangs in text for text in said(type_in(app(PAGE), "the prices rise")))
    assert not any("hangs on a single word" in text for text in said(type_in(app(PAGE), "the shares rise")))


def test_where_teacher_and_student_disagree(app: App, done: Store) -> None:
    page = app(PAGE)
    type_in(page, "no such text")
    box = page.selectbox(key=f"playground.example.{RUN}.differ")
    assert box.options == ["striker buys shares"]
    box.set_value(1).run()
    assert page.text_area(key="playground.text").value == "striker buys shares"
    assert any("The true class is sports." in text for text in said(page))


def test_an_example_of_one_run_is_not_chosen_in_another(app: App, done: Store, home: Path) -> None:
    shutil.copytree(home / "runs" / RUN, home / "runs" / OTHER)
    done.create_run(OTHER, DistillConfig().model_dump(mode="json"), name="Other")
    done.save_report(OTHER, done.report_json(RUN) | {"run_id": OTHER})
    done.set_status(OTHER, "done")
    page = app(PAGE, run=RUN)
    page.selectbox(key=f"playground.example.{RUN}.differ").set_value(1).run()
    page.selectbox(key=f"playground.run.{RUN}").set_value(OTHER).run()
    assert not page.exception
    assert page.selectbox(key=f"playground.example.{OTHER}.differ").value is None


def test_a_text_of_ones_own_has_no_true_class(app: App, done: Store) -> None:
    page = type_in(app(PAGE), "no such text")
    assert not [text for text in said(page) if "true class" in text or "Right" in text]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text(app: App, done: Store, text: str) -> None:
    page = type_in(app(PAGE), text)
    assert [element.value for element in page.info] == ["Type a text, or pick an example above."]
    assert not page.subheader


def test_only_nul(app: App, done: Store) -> None:
    page = type_in(app(PAGE), "\0")
    assert [element.value for element in page.error] == [
        "There is nothing to classify: the text is empty. Write a few words."
    ]


def test_a_million_characters(app: App, done: Store) -> None:
    words = said(type_in(app(PAGE), "shares " * 143_000))
    assert any(
        "The text has 1,001,000 characters; only the first 20,000 are looked at." in text for text in words
    )
    cut = ":material/help: Of 2,858 word pieces the first 10 are read; what comes after them is cut off."
    assert words.count(cut) == 3
    assert any("The first 60 words were looked at." in text for text in words)


def test_more_blanks_than_are_read_before_the_first_word(app: App, done: Store) -> None:
    page = type_in(app(PAGE), " " * predict.MAX_CHARACTERS + "striker buys shares ")
    assert any("The true class is sports." in text for text in said(page))
    assert "Which words mattered" in said(page)


def test_what_a_model_does_not_know(app: App, done: Store) -> None:
    words = said(type_in(app(PAGE), "😀 😀 😀"))
    note = ":material/help: 3 of 3 word pieces are not in its vocabulary, so its answer says little."
    assert words.count(note) == 3
    one = ":material/help: 1 of 3 word pieces is not in its vocabulary."
    assert said(type_in(app(PAGE), "shares 😀 shares")).count(one) == 3


def test_another_script(app: App, done: Store) -> None:
    page = type_in(app(PAGE), "亚洲股市上涨")
    assert page.dataframe[0].value["Word"].tolist() == list("亚洲股市上涨")


def test_the_run_of_the_link_and_one_that_is_not_done(app: App, done: Store, report: dict[str, Any]) -> None:
    done.create_run(OTHER, DistillConfig().model_dump(mode="json"), name="Under *way*")
    page = app(PAGE, run=OTHER)
    assert html.unescape(page.warning[0].value) == (
        "The run Under *way* is queued: only a finished run has models to ask. Another one is shown."
    )
    done.save_report(OTHER, report)
    done.set_status(OTHER, "done")
    page = app(PAGE, run=RUN)
    (box,) = (box for box in page.selectbox if box.label == "Run")
    assert box.value == RUN
    box.set_value(OTHER).run()
    assert page.query_params["run"] == OTHER
    assert not page.exception


def test_a_run_that_is_gone(app: App, done: Store) -> None:
    page = app(PAGE, run="20200101-000000-0000")
    assert "20200101-000000-0000" in html.unescape(page.error[0].value)


def test_models_that_were_changed(app: App, done: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run_id: str) -> None:
        raise RunError(f"Files of run {run_id} are missing or were changed: *x*.")

    monkeypatch.setattr(predict, "open_models", refuse)
    page = app(PAGE)
    assert not page.exception
    assert html.unescape(page.error[0].value) == f"Files of run {RUN} are missing or were changed: *x*."


# Many texts


def many(app: App) -> AppTest:
    page = app(PAGE)
    page.session_state["playground.view"] = "Many texts"
    return page.run()


def paste(page: AppTest, lines: str) -> AppTest:
    page.text_area(key="playground.lines").set_value(lines).run()
    return page


def test_pasted_lines(app: App, done: Store) -> None:
    page = paste(many(app), "=1+1 shares\n\n  striker  \n\r\nshares")
    assert page.button(key="playground.start").label == "Classify 3 texts"
    page.button(key="playground.start").click().run()
    table = page.dataframe[0].value
    assert table["text"].tolist() == ["=1+1 shares", "striker", "shares"]
    assert table["teacher"].tolist() == ["business", "sports", "business"]
    assert table["agreement"].tolist() == ["Teacher and distilled student"] * 3
    assert [(metric.label, metric.value, metric.delta) for metric in page.metric] == [
        ("Distilled student agrees with the teacher", "100.0 %", "−56.1/+0.0, 3 of 3"),
        ("Student alone agrees with the teacher", "0.0 %", "−0.0/+56.1, 0 of 3"),
    ]
    assert page.metric[0].help.startswith("How often, and how closely, the student agrees with its teacher")
    assert page.metric[0].help.endswith(" 95 % interval of 3 texts: 43.9 % to 100.0 %")
    assert [button.label for button in page.get("download_button")] == ["Download CSV"]
    page.run()
    assert len(page.dataframe[0].value) == 3


def test_what_is_not_read_of_many_texts_is_counted(app: App, done: Store) -> None:
    page = paste(many(app), "shares\n" + "shares " * 40)
    page.button(key="playground.start").click().run()
    whose = "1 (teacher), 1 (distilled student), 1 (student alone) of 2"
    cut = f":material/info: Texts that are longer than is read, so that their end is lost: {whose}."
    assert cut in said(page)


def test_ten_thousand_lines(app: App, done: Store) -> None:
    page = paste(many(app), "\n".join(f"shares {i}" for i in range(10_000)))
    page.button(key="playground.start").click().run()
    assert not page.exception
    assert len(page.dataframe[0].value) == 10_000


def test_too_many_lines(app: App, done: Store) -> None:
    page = paste(many(app), "a\n" * 20_001)
    assert page.error[0].value == (
        "These are 20,001 texts, more than 20,000 at a time. Take fewer, or classify them with the command "
        "kd predict, which reads a text from each line."
    )
    assert page.button(key="playground.start").disabled


@pytest.mark.parametrize("lines", ["", "\n \n", "\0\n\0"])
def test_no_lines(app: App, done: Store, lines: str) -> None:
    page = paste(many(app), lines)
    assert not page.exception
    assert page.button(key="playground.start").disabled


def test_a_file_with_labels(app: App, done: Store) -> None:
    page = many(app)
    page.button_group(key="playground.source").set_value("Upload a file").run()
    content = "text,label\n@shares,business\n,tech\nstriker,business\ngoal,cooking\nwhistle,\n"
    page.file_uploader(key="playground.file").set_value(("a.csv", content.encode(), "text/csv")).run()
    assert any("a.csv: 1 row without a text dropped." in text for text in said(page))
    page.button(key="playground.start").click().run()
    table = page.dataframe[0].value
    assert table["label"].tolist() == ["business", "business", "cooking", ""]
    right = [f"{metric.value} {metric.delta}" for metric in page.metric][2:]
    assert right == ["50.0 % ± 40.5, 1 of 2", "50.0 % ± 40.5, 1 of 2", "0.0 % −0.0/+65.8, 0 of 2"]
    left_out = "1 of 4 texts have no label, and 1 of 3 labels are none of the classes"
    assert any(left_out in text for text in said(page))


@pytest.mark.parametrize(("column", "count"), [("summary", 2), (None, 3)])
def test_a_header_with_the_name_of_the_runs_column_is_no_text(
    app: App, done: Store, report: dict[str, Any], column: str | None, count: int
) -> None:
    config = done.run(RUN).config
    done.create_run(OTHER, config | {"task": config["task"] | {"text_column": column}})
    done.save_report(OTHER, report)
    done.set_status(OTHER, "done")
    page = app(PAGE, run=OTHER)
    page.session_state["playground.view"] = "Many texts"
    page.run()
    page.button_group(key="playground.source").set_value("Upload a file").run()
    page.file_uploader(key="playground.file").set_value(("a.csv", b"summary\n@shares\nstriker\n", "")).run()
    assert page.button(key="playground.start").label == f"Classify {count} texts"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"\x89PNG\r\n", "a.csv is not a CSV file: its content is a PNG image."),
        ("a.txt", b"", "a.txt is empty: it has no rows."),
        ("a.parquet", b"PAR1", "a.parquet is damaged or no Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read(app: App, done: Store, name: str, content: bytes, message: str) -> None:
    page = many(app)
    page.button_group(key="playground.source").set_value("Upload a file").run()
    page.file_uploader(key="playground.file").set_value((name, content, "")).run()
    assert not page.exception
    assert html.unescape(page.error[0].value).startswith(message)
    assert page.button(key="playground.start").disabled


def test_stopped_on_the_way_keeps_what_is_there(app: App, done: Store) -> None:
    from pages.use.playground.many_texts import CHUNK, Batch, Texts

    page = many(app)
    texts = [f"shares {i}" for i in range(2 * CHUNK)]
    batch = Batch(RUN, Texts(texts))
    batch.logits = {who: [Model(who).predict(texts[:CHUNK])] for who in CORE}
    batch.done = CHUNK
    batch.stop()
    page.session_state["playground.batch"] = batch
    page.run()
    assert page.warning[0].value == f"Stopped: {CHUNK} of {2 * CHUNK} texts were classified."
    assert len(page.dataframe[0].value) == CHUNK
    page.session_state["playground.batch"].stopped = False
    page.run()
    assert len(page.dataframe[0].value) == 2 * CHUNK
