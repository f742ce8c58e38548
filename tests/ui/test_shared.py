"""What pages share: fields, text, numbers, badges, parts, tooltips; and how the pages' files are laid out."""

from __future__ import annotations

import ast
import html
from typing import Any, get_args

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from kd_core import config
from kd_core.config import LESSON
from kd_core.distillation import roles
from kd_core.jobs.states import Status
from kd_core.jobs.store import Store
from kd_core.learn.glossary import terms
from kd_core.system import formatting
from pages.shared import addresses, badges
from pages.shared.text import escape, run_line, term, unbroken
from pages.shared.written import MOST, decimals, percent, written
from tests import ROOT
from tests.ui.lab_page import RUN, App, act

PAGES = ROOT / "pages"
PARSED = {file: ast.parse(file.read_text(encoding="utf-8")) for file in PAGES.rglob("*.py")}


# Fields


def show(name: str, /, **parameters: str) -> AppTest:
    """Return a page with one field, whose value stands in an ``st.code``; ``name`` may have arguments."""
    section, arguments = name.split(".", 1)
    place = "ladder" if section == "LadderConfig" else "config"
    field, _, more = arguments.partition(", ")
    test = AppTest.from_string(
        "import streamlit as st\n"
        "from kd_core import config\n"
        "from kd_core.search import ladder\n"
        "from pages.shared.fields import field\n"
        f"st.code(repr(field({place}.{section}, {field!r}, key='test.field', {more})))\n",
        default_timeout=20,
    )
    test.query_params.update({f"test.{key}": value for key, value in parameters.items()})
    test.run()
    assert not test.exception
    return test


def value(test: AppTest) -> str:
    return str(test.code[0].value)


NARROW = "StudentConfig.heads, options=[1, 2, 4], value=4"


@pytest.mark.parametrize(
    ("field", "widget", "first", "change", "then"),
    [
        ("ObjectiveConfig.temperature", "slider", "2.0", 7.5, "7.5"),
        ("StudentConfig.hidden", "slider", "128", 320, "320"),
        ("ObjectiveConfig.divergence", "selectbox", "'forward_kl'", "dkd", "'dkd'"),
        ("TrainingConfig.precision", "selectbox", "'auto'", "bf16", "'bf16'"),
        ("StudentConfig.trim_vocabulary", "toggle", "True", False, "False"),
        ("LadderConfig.within_mb, step=1.0", "number_input", "None", 5.0, "5.0"),
        ("TrainingConfig.learning_rate", "number_input", "'auto'", 3e-4, "0.0003"),
        ("TaskConfig.text_column", "text_input", "None", "review", "'review'"),
        ("TrainingConfig.seeds", "text_input", "'0'", "0, 1, 2", "'0, 1, 2'"),
        (NARROW, "selectbox", "4", 2, "2"),
    ],
)
def test_field_changes_its_value(field: str, widget: str, first: str, change: Any, then: str) -> None:
    test = show(field)
    assert value(test) == first
    assert value(act(test, (widget, "test.field", change))) == then


def test_field_has_the_bounds_of_the_config() -> None:
    slider = show("ObjectiveConfig.temperature").slider[0]
    assert (slider.min, slider.max, slider.step) == config.slider("objective.temperature")
    assert slider.help.startswith("Divides the logits of both models in the soft loss")
    number = show("TrainingConfig.learning_rate").number_input[0]
    assert (number.placeholder, number.min, number.max) == ("auto", 1e-8, 1)
    assert show("TrainingConfig.precision").selectbox[0].options == ["auto", "fp32", "bf16", "fp16"]
    box = show(f"{NARROW}, label='Attention heads'").selectbox[0]
    assert (box.label, box.options) == ("Attention heads", ["1", "2", "4"])


@pytest.mark.parametrize(
    ("field", "step"),
    [
        ("TrainingConfig.batch_size", 1),
        ("TrainingConfig.warmup", 0.01),
        ("TrainingConfig.max_grad_norm", 0.1),
    ],
)
def test_number_moves_by_a_step_of_its_size(field: str, step: float) -> None:
    assert show(field).number_input[0].step == pytest.approx(step)


@pytest.mark.parametrize(
    ("field", "text", "expected", "legal"),
    [
        ("ObjectiveConfig.temperature", "7.5", "7.5", True),
        ("ObjectiveConfig.temperature", "2", "2.0", True),  # the default: nothing to say
        ("ObjectiveConfig.divergence", "js", "'js'", True),
        ("StudentConfig.trim_vocabulary", "false", "False", True),
        ("StudentConfig.hidden", "256", "256", True),
        ("TaskConfig.name", "bbc-articles", "'bbc-articles'", True),
        ("LadderConfig.within_mb, step=1.0", "2.5", "2.5", True),
        ("ObjectiveConfig.temperature", "999", "2.0", False),
        ("ObjectiveConfig.temperature", "nan", "2.0", False),
        ("ObjectiveConfig.temperature", "![](http://127.0.0.1:9/x)", "2.0", False),
        ("ObjectiveConfig.divergence", "magic", "'forward_kl'", False),
        ("StudentConfig.trim_vocabulary", "perhaps", "True", False),
        ("TrainingConfig.steps", "0", "'auto'", False),
        ("TrainingConfig.batch_size", "many", "32", False),
        (NARROW, "3", "4", False),
    ],
)
def test_link_sets_a_field_or_is_told_what_is_used(field: str, text: str, expected: str, legal: bool) -> None:
    test = show(field, field=text)
    assert value(test) == expected
    said = [html.unescape(caption.value).replace("\u2060", "") for caption in test.caption]
    words = f"The link has test.field={text}, which is not possible here; {expected.strip(chr(39))} is used."
    assert said == [f":material/warning: {words}"] * (not legal)
    assert not any("![](" in caption.value for caption in test.caption)


# Text and numbers


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
def test_escaped_text_survives_and_its_markup_does_not(text: str) -> None:
    escaped = escape(text)
    assert html.unescape(escaped).replace("\u2060", "") == text
    assert not set(escaped) & set("*_`$<>[]~\\")
    for pattern in (":material/delete:", ":smile:", "://", "www.", "a@", "-&", "--"):
        assert pattern not in escaped
    assert escaped[0] not in "#-1"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("two\n\n# lines\t", "two # lines"),
        ("bbc-headlines, T = 4.0 (12:30)", "bbc-headlines, T = 4.0 (12:30)"),
        (4.0, "4.0"),
        ("Medina", "Medina"),
        # What is written from the right turns nothing around it.
        ("مدنية", "\u2068مدنية\u2069"),
        ("“مدنية” has the fewest texts", "“\u2068مدنية\u2069” has the fewest texts"),
        ("قال 3 رجال (من KD)", "\u2068قال 3 رجال (من KD)\u2069"),
    ],
)
def test_plain_text_is_escaped_as_one_line(text: object, escaped: str) -> None:
    assert escape(text) == escaped


@pytest.mark.parametrize(
    "shown",
    [
        "25_% of 10.7_MB in 3_ms, 4 msgs",
        "A student of T_=_4 and alpha_=_0.3: what = 2?",
        "+0.6_points (95_%_interval −3.1_to_+4.3), 88.3_%_±_2.8, 96.0_%_−4.9/+2.6, 1 to 3",
    ],
)
def test_number_stays_with_its_unit(shown: str) -> None:
    assert unbroken(shown.replace("_", " ")) == shown.replace("_", "\u00a0")


@pytest.mark.parametrize(
    ("name", "task", "begins"),
    [
        ("Demo", {}, "Demo · bbc-headlines: minilm-l6 → tiny · "),
        ("", {"name": "/a/probs.csv", "knowledge": "/a/probs.csv"}, "probs.csv: answers → tiny · "),
    ],
)
def test_line_of_a_run(store: Store, name: str, task: dict[str, str], begins: str) -> None:
    stored = LESSON.model_dump(mode="json")
    store.create_run(RUN, stored | {"task": stored["task"] | task}, name=name)
    run = store.run(RUN)
    assert run_line(run) == f"{begins}{run.created.astimezone():%d %b %Y %H:%M}"


@pytest.mark.parametrize(("share", "shown"), [(0.7125, 71.2), (0.7126, 71.3), (0.0125, 1.2), (None, None)])
def test_percent_is_rounded_as_everywhere(share: float | None, shown: float | None) -> None:
    assert percent(share) == shown
    assert share is None or formatting.percent(share) == f"{shown} %"


def test_numbers_of_tables_are_written_and_stay_numbers() -> None:
    assert [decimals(3)(number) for number in (-3.4841, 0.5, -0.0001)] == ["−3.484", "0.500", "0.000"]
    styler = written(pd.DataFrame({"size": [22.71, 0.058, None]}), {"size": formatting.megabytes})
    assert not isinstance(styler, pd.DataFrame)
    assert styler.data["size"].tolist()[:2] == [22.71, 0.058]
    assert all(said in styler.to_html() for said in (">22.7 MB<", ">58 kB<", ">–<"))
    many = pd.DataFrame({"size": [1.0] * (MOST + 1)})
    assert written(many, {"size": formatting.megabytes}) is many


# Badges and parts of a page


def test_every_verdict_and_status_has_a_badge() -> None:
    assert list(badges.VERDICTS) == list(roles.VERDICTS)
    assert tuple(badges.STATUSES) == get_args(Status)


def test_part_that_fails_takes_no_other_away() -> None:
    def page() -> None:
        import threading

        import streamlit as st

        from kd_core.errors import KDError
        from pages.shared.beside import again, beside

        both = threading.Barrier(2, timeout=20)

        def left() -> None:
            both.wait()  # one after the other, nobody would come
            st.markdown("the left part")

        def right() -> None:
            both.wait()
            raise KDError("no right part")

        def timed(run_id: str) -> None:  # its timer runs it alone: nothing around it catches the error
            raise KDError(f"no {run_id}")

        beside(left)
        beside(right)
        again(timed, "r1", every=2)
        st.markdown("the rest")

    test = AppTest.from_function(page, default_timeout=60).run()
    assert not test.exception
    assert {element.value for element in test.markdown} == {"the left part", "the rest"}
    assert {element.value for element in test.error} == {"no right part", "no r1"}


# Tooltips

KINDS = ("metric", "slider", "select_slider", "selectbox", "toggle", "number_input", "pills")
MORE = {  # labels that are more than the word itself
    "Alpha: weight of the hard loss": "alpha",
    "Times T²": "T²",
}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (addresses.lab("temperature"), {"Temperature"}),
        (addresses.lab("loss"), {"Soft loss", "Temperature", "Times T²"}),
        (addresses.DISTILL, {"Temperature"}),
    ],
)
def test_words_of_the_glossary_have_its_meaning_on_hover(
    app: App, monkeypatch: pytest.MonkeyPatch, path: str, wanted: set[str]
) -> None:
    monkeypatch.setattr("pages.shared.run_form.plan.calibrate", lambda: 1e12)  # a machine of known speed
    page = app(path, hide="question")
    names = {name.casefold(): each.name for each in terms().values() for name in (each.name, *each.also)}
    found = [(one.label, one.help) for kind in KINDS for one in page.get(kind) if hasattr(one, "label")]
    found += [(text.value, text.proto.help) for text in page.markdown]
    meant = [(label, help, MORE.get(label) or names.get(label.casefold())) for label, help in found]
    assert [label for label, help, name in meant if name and term(name) not in (help or "")] == []
    assert wanted <= {label for label, _, name in meant if name}


# The pages' files


def test_page_uses_its_own_parts_and_shared_ones() -> None:
    """Also those of a page in whose folder it lies. What lies in ``pages`` itself is around all pages."""
    foreign = []
    for file, tree in PARSED.items():
        found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names = {f"{node.module}.{name.name}" for node in found for name in node.names}
        names |= {str(node.module) for node in found}
        used = {ROOT / f"{name.replace('.', '/')}.py" for name in names} & PARSED.keys()
        own = {PAGES / "shared", *file.parents} - {PAGES}
        foreign += [(file, part) for part in used if file.parent != PAGES and not own & {*part.parents}]
    assert foreign == []


def test_all_that_is_drawn_is_also_told_in_words() -> None:
    drawn = {"plotly_chart", "chart", "dataframe", "data_editor", "image", "pyplot", "line_chart", "flow"}
    found = [
        (name, file.name, "alt" in {word.arg for word in node.keywords})
        for file, tree in PARSED.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        if (name := getattr(node.func, "attr", getattr(node.func, "id", ""))) in drawn
    ]
    names = [name for name, *_ in found]
    assert names.count("chart") > 20
    assert names.count("dataframe") > 10
    assert "plotly_chart" not in names, "its fonts, colours and toolbar would not be those of ``chart``"
    assert [(name, file) for name, file, told in found if not told] == []
