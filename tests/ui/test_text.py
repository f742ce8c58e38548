"""``escape``: what a reader sees is the text, and nothing in it is markup."""

from __future__ import annotations

import html

import pytest

from kd_core.config import LESSON
from kd_core.jobs.store import Store
from pages.shared.text import escape, run_line, unbroken


@pytest.mark.parametrize(
    "text",
    [
        "![](http://127.0.0.1:9/x)",
        "[a](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "**bold** _it_ `code` ~~no~~",
        "$x$ costs $5",
        ":material/delete: :smile: :red[x]",
        "# heading",
        "- item",
        "1. item",
        "&lt; & &amp;",
        "a -> b -- c <= d",
        "http://example.org www.example.org a@example.org",
    ],
)
def test_the_text_survives_and_its_markup_does_not(text: str) -> None:
    escaped = escape(text)
    assert html.unescape(escaped).replace("\u2060", "") == text
    assert not set(escaped) & set("*_`$<>[]~\\")
    for pattern in (":material/delete:", ":smile:", "://", "www.", "a@", "-&", "--"):
        assert pattern not in escaped
    assert escaped[0] not in "#-1"


def test_it_is_one_line() -> None:
    assert escape("two\n\n# lines\t") == "two # lines"


def test_plain_text_stays_as_it_is() -> None:
    assert escape("bbc-headlines, T = 4.0 (12:30)") == "bbc-headlines, T = 4.0 (12:30)"
    assert escape(4.0) == "4.0"


@pytest.mark.parametrize(
    ("name", "begins"),
    [("Demo", "Demo · bbc-headlines: minilm-l6 → tiny · "), ("", "bbc-headlines: minilm-l6 → tiny · ")],
)
def test_a_run_in_a_list_is_known_by_what_it_did_and_when(store: Store, name: str, begins: str) -> None:
    store.create_run("20260131-143000-a1b2", LESSON.model_dump(mode="json"), name=name)
    run = store.run("20260131-143000-a1b2")
    assert run_line(run) == f"{begins}{run.created.astimezone():%d %b %Y %H:%M}"


def test_a_teacher_that_is_a_file_is_not_named_by_the_tokenizer_of_the_run(store: Store) -> None:
    config = LESSON.model_dump(mode="json")
    config["task"] |= {"name": "/a/probs.csv", "knowledge": "/a/probs.csv"}
    store.create_run("20260131-143000-a1b2", config)
    run = store.run("20260131-143000-a1b2")
    assert run.title == "probs.csv: answers → tiny"
    assert run_line(run).startswith("probs.csv: answers → tiny · ")


def test_a_number_and_its_unit_stay_together() -> None:
    assert unbroken("25 % of 10.7 MB in 3 ms, 4 msgs") == "25\u00a0% of 10.7\u00a0MB in 3\u00a0ms, 4 msgs"


def test_a_setting_and_its_value_stay_together() -> None:
    said = "A student of T = 4 and alpha = 0.3: what = 2?"
    assert unbroken(said).replace("\u00a0", "_") == "A student of T_=_4 and alpha_=_0.3: what = 2?"


def test_an_interval_stays_together() -> None:
    said = "+0.6 points (95 % interval −3.1 to +4.3), 88.3 % ± 2.8, 96.0 % −4.9/+2.6, 1 to 3"
    assert (
        unbroken(said).replace("\u00a0", "_")
        == "+0.6_points (95_%_interval −3.1_to_+4.3), 88.3_%_±_2.8, 96.0_%_−4.9/+2.6, 1 to 3"
    )


def test_what_is_written_from_the_right_turns_nothing_around_it() -> None:
    assert f"{escape('مدنية')} for 123 answers" == "\u2068مدنية\u2069 for 123 answers"
    assert escape("Medina") == "Medina"
    sentence = escape("“مدنية” and “أهل مكة” have the fewest test texts, 61.8 %.")
    assert sentence == "“\u2068مدنية\u2069” and “\u2068أهل مكة\u2069” have the fewest test texts, 61.8 %."
    mixed = "قال 3 رجال (من KD)"
    assert escape(mixed) == f"\u2068{mixed}\u2069", "it is Arabic, whatever it names"
