"""The report of one run: what a person reads in each of its tabs."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON, VERSION, of_today
from kd_core.distillation.events import Evaluated, Step
from kd_core.distillation.metrics import softmax
from kd_core.distillation.sentences import LARGER
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store
from kd_core.system import paths
from kd_core.system.atomic import seal
from pages.review.report.head import actions
from pages.shared.text import FIND_SMALLEST
from tests import SAMPLES, disturbed, with_floor, without_gold
from tests.ui.charts import alts
from tests.ui.speed.benched import keep, sample

App = Callable[..., AppTest]
PAGE = "review/report/page.py"
RUN, OTHER = "20260131-143000-a1b2", "20260131-150000-c3d4"
EVIL = "![x](http://127.0.0.1:9/x) <b>$x$ :material/home:"


@pytest.fixture
def report() -> dict[str, Any]:
    return json.loads((SAMPLES / "report.json").read_text("utf-8"))


@pytest.fixture
def done(store: Store, report: dict[str, Any]) -> Store:
    config = LESSON.change({"objective.temperature": 2.0})
    store.create_run(RUN, config.model_dump(mode="json"), name="Demo")
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    return store


def open_tab(app: App, name: str) -> AppTest:
    page = app(PAGE, run=RUN)
    page.session_state["report.tab"] = name
    page.run()
    assert not page.exception
    return page


def words(page: AppTest) -> list[str]:
    assert not page.exception
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error)
    return [element.value.replace("\u00a0", " ") for kind in kinds for element in kind]


ORDER = ("Demo", "Better", "Distillation helped", "Download HTML", "7.2x faster")


def in_order(block: Any) -> Iterator[Any]:
    """What a person reads or presses, from the top of the page."""
    for child in getattr(block, "children", {}).values():
        yield from in_order(child)
    if block.type in ("title", "heading", "markdown", "caption", "button", "download_button"):
        yield block


def plain(text: str) -> str:
    """A text that went through ``escape``."""
    return html.unescape(text)


def test_without_a_finished_run_it_says_what_to_do(app: App, store: Store) -> None:
    page = app(PAGE)
    assert words(page)[0].startswith("What a run found: whether distillation helped")
    assert page.info[0].value.startswith("No run is done yet.")


def test_without_a_run_in_the_link_the_newest_that_is_done(app: App, done: Store) -> None:
    done.create_run(OTHER, LESSON.model_dump(mode="json"), name="Newer, but queued")
    page = app(PAGE)
    assert page.title[0].value == "Demo"
    assert page.query_params["run"] == RUN


def test_verdict_and_measures(app: App, done: Store) -> None:
    page = app(PAGE, run=RUN)
    said = [plain(text) for text in words(page)]
    assert any("Better" in text for text in said), "of one seed"
    assert (
        "**Distillation helped: +3.6 points over the same student trained alone "
        "(95 % interval +0.6 to +6.7, 524 test texts).**" in said
    )
    for sentence in (
        "**87.6 % right, the teacher 87.6 %**",
        "**8.5x smaller than the teacher**",
        "**7.2x faster than the teacher**",
    ):
        assert sentence in said
    spoken = alts(page)
    assert (
        spoken[1] == "Distilled student against each other model. Student alone: +3.6 points (+0.6 to +6.7)."
    )
    assert spoken[0] == (
        "Accuracy: Teacher 87.6 %, Distilled student 87.6 %, Distilled on labelled texts only 86.3 %, "
        "Student alone 84.0 %."
    )
    assert spoken[3].startswith("Latency: Teacher 12.1 ms, Distilled student 1.69 ms")
    (of_speed,) = (text for text in said if "Speed does not follow size" in text)
    assert of_speed.startswith("All students have the same architecture, so their speed was measured once.")
    assert "layers" not in of_speed, "a static student has none"


def test_the_headline_follows_a_new_measurement(app: App, done: Store, report: dict[str, Any]) -> None:
    """It went on telling of times beside other work, and asking for new ones, above these."""
    done.save_report(RUN, disturbed(with_floor(report)))
    page = open_tab(app, "Speed")
    said = [plain(text) for text in words(page)]
    assert "**7.2x faster than the teacher, timed beside other work**" in said
    assert sum("at other work for 60 % (teacher), 60 % (distilled student)" in text for text in said) == 1
    keep(done, OTHER, sample("bench.json") | {"run": RUN})
    day = f"{done.run(OTHER).created.astimezone():%d %b %Y}"
    page = open_tab(app, "Speed")
    said = [plain(text) for text in words(page)]
    assert "**5.9x faster than the teacher**" in said
    assert not any("other work" in text for text in said)
    assert alts(page)[3] == "Latency: Teacher 9.22 ms, Distilled student 1.57 ms."
    assert any(
        text.startswith(f"Latencies are those of the benchmark of {day}, which does not time TF-IDF.")
        for text in said
    )
    page = open_tab(app, "Quality")
    assert sum("Latencies are those of" in text for text in words(page)) == 1, "once, beside the bars"
    page = open_tab(app, "Speed")
    assert [metric.value for metric in page.metric] == [
        "9.22 ms",
        "17.4 ms",
        "108",
        "1.57 ms",
        "5.89 ms",
        "638",
    ]
    assert any(f"of 9 tokens on average, in the benchmark of {day}." in text for text in said)
    table = open_tab(app, "Quality").dataframe[0].value.set_index("Model")["Latency p50"]
    assert (table["Teacher"], table["Student alone"], table["TF-IDF"]) == ("9.22 ms", "1.57 ms", "")


def test_no_difference_says_what_to_conclude_and_what_to_do(
    app: App, done: Store, report: dict[str, Any]
) -> None:
    assert "What to conclude, and what to do next" not in [each.label for each in app(PAGE).expander]
    rows = report["rows"] | {"transfer": 0}
    gap = report["verdict"] | {"kind": "no_difference", "delta": 0.012, "low": -0.01, "high": 0.03}
    for transfer, spans, advice in (
        (0, 0, "unlabelled texts"),
        (500, 500, "unlabelled texts"),
        (500, 0, "**Search** for its settings"),
    ):
        texts = {"transfer": transfer, "spans": spans}
        done.save_report(RUN, report | {"verdict": gap, "rows": rows | texts})
        [what] = [each for each in app(PAGE).expander if each.label.startswith("What to conclude")]
        assert "Nothing is shown either way" in what.markdown[0].value
        assert advice in what.markdown[0].value


def test_the_verdict_comes_before_the_buttons(app: App, done: Store) -> None:
    read = [getattr(element, "value", None) or element.label for element in in_order(app(PAGE, run=RUN).main)]
    places = [next(i for i, text in enumerate(read) if part in str(text)) for part in ORDER]
    assert places == sorted(places)


@pytest.mark.parametrize("name", ["Demo", ""])
def test_the_downloads_have_the_whole_report(done: Store, report: dict[str, Any], name: str) -> None:
    """A browser fetches them when the button is pressed, which AppTest cannot: as the button makes them."""
    made: dict[str, Callable[[], str]] = {}

    def keep(label: str, data: Callable[[], str], **_: Any) -> None:
        made[label] = data

    done.rename(RUN, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pages.review.report.head.st.download_button", keep)
        actions(done.run(RUN), done.report(RUN))
    assert json.loads(made["Download JSON"]()) == of_today(report)
    page = plain(made["Download HTML"]())
    assert f"<h1>{name or 'bbc-headlines: minilm-l6 → tiny'}</h1>" in page
    assert report["sentence"] in page


def test_quality(app: App, done: Store) -> None:
    page = open_tab(app, "Quality")
    overview, scores = (frame.value for frame in page.dataframe)
    (falls,) = (table.value for table in page.table)
    assert overview["Accuracy"].tolist()[1] == "87.6 % ± 2.8"
    assert scores["class"].tolist() == ["business", "entertainment", "politics", "sports", "tech"]
    columns = json.loads(page.dataframe[1].proto.columns)
    assert columns["class"]["width"] == 120, "a long name leaves its numbers in sight"
    assert falls["typos"][0] == "−15.3"
    (note,) = [caption for caption in page.caption if caption.value.startswith("On 524 test texts; ±")]
    assert note.proto.help.endswith("with texts of like confidence put together.")
    assert "weighs all classes" not in note.value  # what words mean is asked for, beside what was found
    assert "Taken for another class most often: “business” for “politics”, 11 texts." in words(page)
    page.segmented_control(key="report.model").set_value("teacher").run()
    assert "Taken for another class most often: “business” for “politics”, 16 texts." in words(page)


def test_mistakes_of_several_seeds_are_not_called_texts(
    app: App, done: Store, report: dict[str, Any]
) -> None:
    report["student"]["seeds"]["1"] = report["student"]["seeds"]["0"]
    done.save_report(RUN, report)
    page = open_tab(app, "Quality")
    said = "Taken for another class most often: “business” for “politics”, 22 answers of 2 seeds."
    assert said in words(page)
    right = [[9 * (row == column) for column in range(5)] for row in range(5)]
    wrong = [[9, 1, 0, 0, 0], *right[1:]]
    for seed, confusion in (("0", right), ("1", wrong)):
        report["student"]["seeds"][seed] = report["student"]["seeds"][seed] | {"confusion": confusion}
    done.save_report(RUN, report)
    assert any(text.endswith(", 1 answer of 2 seeds.") for text in words(open_tab(app, "Quality")))


def test_the_floor_stands_among_the_models_and_is_explained(
    app: App, done: Store, report: dict[str, Any]
) -> None:
    done.save_report(RUN, with_floor(report))
    page = open_tab(app, "Quality")
    last = page.dataframe[0].value.iloc[-1]
    assert [last["Model"], last["Accuracy"], last["Size"]] == ["TF-IDF", "80.9 % ± 3.4", "0.8 MB"]
    assert [last["Latency p50"], last["p95"]] == ["1.50 ms", "1.75 ms"]
    size = "its size is 4 bytes for each weight and each feature's IDF, and the features' letters."
    assert any(caption.proto.help.endswith(size) for caption in page.caption)
    assert any(alt.endswith("Distilled student 10.7 MB, TF-IDF 0.8 MB.") for alt in alts(page))
    other = next(table.value for table in page.table if "Test texts" in table.value)
    assert other.iloc[-1].tolist()[:3] == ["TF-IDF", "80.9\u00a0%", "−20.9"]  # on one line on a phone
    page.segmented_control(key="report.model").set_value("tfidf").run()
    assert "Confusion of the classes: TF-IDF" in alts(page)


def test_where_the_gain_comes_from_is_no_list(app: App, done: Store, report: dict[str, Any]) -> None:
    """A table's cells are Markdown, in which "+ soft labels" would be a bullet."""
    gain = {"kind": "helped", "low": 0.006, "high": 0.067, "p_value": 0.01, "n": 524, "seeds": 1}
    report["stairs"] = {"student": gain | {"delta": 0.0364}}
    done.save_report(RUN, report)
    page = open_tab(app, "Quality")
    stairs = next(table.value for table in page.table if "Gain" in table.value)
    steps = stairs["What is added"]
    assert [plain(step) for step in steps] == ["Student alone", "+ soft labels", "+ transfer texts"]
    assert not steps.str.startswith("+").any()
    interval = "(+0.6\u00a0to\u00a0+6.7)"
    assert stairs["Gain"].iloc[-1] == f"+3.6\u00a0points {interval}", "its interval stays on one line"
    (link,) = [link.proto for link in page.get("page_link") if link.proto.label == "Set that run up"]
    asked = dict(parse_qsl(link.query_string))
    assert (asked["distill.plain_start"], asked["distill.untuned_start"]) == ("True", "True")


def test_fidelity_and_the_texts_behind_it(app: App, done: Store, home: Path, report: dict[str, Any]) -> None:
    folder = home / "runs" / RUN
    folder.mkdir(parents=True)
    right, wrong = [4.0, 0, 0, 0, 0], [0, 4.0, 0, 0, 0]
    pd.DataFrame(
        {
            "text": [EVIL, "=1+1", "c"],
            "label": [0, 0, 0],
            "teacher": [right, wrong, right],
            "student-0": [wrong, right, right],
        }
    ).to_parquet(folder / "predictions.parquet")
    page = open_tab(app, "Fidelity")
    assert [(metric.label, metric.value) for metric in page.metric] == [
        ("Agreement", "88.2 %"),
        ("Divergence", "0.234 nats"),
    ]
    assert page.dataframe[0].value["text"].tolist() == [EVIL]
    assert page.dataframe[0].value["student"].tolist() == ["entertainment"]
    page.segmented_control(key="report.cell").set_value("mended").run()
    assert page.dataframe[0].value["text"].tolist() == ["=1+1"]
    page.segmented_control(key="report.cell").set_value("inherited").run()
    assert "There is no such text." in words(page)
    report["config"]["task"] |= {"knowledge": "answers.csv", "answers": "labels", "gold": "rows"}
    done.save_report(RUN, report)
    assert [metric.label for metric in open_tab(app, "Fidelity").metric] == ["Agreement"], "no probabilities"


def test_without_gold_labels_no_cells_are_named(app: App, done: Store, report: dict[str, Any]) -> None:
    assert "The texts behind each cell" in [head.value for head in open_tab(app, "Fidelity").subheader]
    done.save_report(RUN, without_gold(report))
    page = open_tab(app, "Fidelity")
    assert "The texts behind these numbers" in [head.value for head in page.subheader]
    assert "The texts behind each cell" not in [head.value for head in page.subheader]


def test_a_folder_on_another_machine(app: App, done: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    warning = plain(open_tab(app, "Fidelity").warning[0].value)
    assert warning.startswith("The folder of this run was removed from this machine")
    (paths.home() / paths.ID).write_text("another")
    warning = plain(open_tab(app, "Fidelity").warning[0].value)
    assert "is on another machine, " in warning
    assert "Its numbers are above." in warning


def test_speed_with_its_conditions(app: App, done: Store) -> None:
    page = open_tab(app, "Speed")
    values = [metric.value for metric in page.metric]
    assert values == ["12.1 ms", "12.9 ms", "82", "1.69 ms", "3.88 ms", "593"]
    assert any(plain(text).startswith("One text, without the tokenizer, on 1 thread") for text in words(page))
    assert page.dataframe[0].value["Time"].tolist() == ["20 s", "12 s", "79 s", "8 s"]


def test_curves(app: App, done: Store) -> None:
    page = open_tab(app, "Curves")
    assert "The curves of this run were not recorded in this database." in words(page)
    recorder = Recorder(done, RUN)
    for who in ("student", "labelled_only"):
        recorder(Step(who, 0, 10, 10, 1.0, 1.0, 1.0, 0.0, 1e-4, 100.0))
        recorder(Evaluated(who, 0, 10, 0.8, 0.5))
    recorder.close()
    page = open_tab(app, "Curves")
    assert "From the cache, so without a curve here: teacher, student alone." in words(page)
    page.segmented_control(key="report.curve_model").set_value("labelled_only").run()
    page.toggle(key="report.log").set_value(True).run()
    spoken = alts(page)
    assert spoken[-1] == "Training loss over the steps: Distilled on labelled texts only"
    assert "Validation accuracy of each model over the training steps" in spoken


def test_how_to_get_it_again(app: App, done: Store) -> None:
    command, python, config = (block.value for block in open_tab(app, "Reproduce").code)
    flags = (
        "--teacher minilm-l6",
        "--teacher-pooling first",
        "--student tiny",
        "--temperature 2.0",
        "--alpha 0.3",
    )
    assert command == " \\\n  ".join(("kd distill", *flags))
    assert '"objective.temperature": 2.0' in python
    assert "  max_length: 64" in config
    assert config.startswith(f"version: {VERSION}\n"), "a later one knows what was not a setting then"


def test_duplicate_fills_the_form(app: App, done: Store) -> None:
    page = app(PAGE, run=RUN)
    page.button(key="report.duplicate").click().run()
    assert not page.exception
    assert page.slider(key="distill.temperature").value == 2


def test_seeds_are_added_by_one_click(app: App, done: Store) -> None:
    before = done.report(RUN).config["training"]["seeds"]
    page = app(PAGE, run=RUN)
    page.button(key="report.seeds").click().run()
    assert not page.exception
    added = next(run for run in done.runs() if run.id != RUN)
    assert added.config["training"]["seeds"] == [*before, max(before) + 1, max(before) + 2]
    assert added.name.endswith(f", {len(before) + 2} seeds")


@pytest.mark.parametrize(
    ("status", "words_said"),
    [
        ("queued", "This run is queued, at 0 %. Its report opens here when it is done."),
        ("running", "This run is running, at 0 %. Its report opens here when it is done."),
        ("stopped", "This run was stopped and has no report."),
        ("interrupted", "This run was interrupted and has no report."),
    ],
)
def test_a_run_that_is_not_done(app: App, store: Store, status: Any, words_said: str) -> None:
    store.create_run(RUN, LESSON.model_dump(mode="json"), status=status)
    page = app(PAGE, run=RUN)
    assert words_said in words(page)
    link = page.main.get("page_link")[-1].proto
    assert link.label in ("Watch it live", "Open it, to see how far it came and to resume it")


def test_a_failed_run_says_why(app: App, store: Store) -> None:
    store.create_run(RUN, LESSON.model_dump(mode="json"), name=EVIL)
    store.set_status(RUN, "failed", f"The file {EVIL} is gone.")
    page = app(PAGE, run=RUN)
    assert page.text[0].value == f"The file {EVIL} is gone."
    assert not [text for text in words(page) if "![" in text]


def test_a_deleted_run(app: App, done: Store) -> None:
    done.delete_run(RUN)
    error = plain(app(PAGE, run=RUN).error[0].value)
    assert error == f"There is no run {RUN}; it may have been deleted."


@pytest.mark.parametrize("page", [PAGE, "build/distill/page.py"])
def test_a_link_to_a_job_of_another_kind_says_so(app: App, store: Store, page: str) -> None:
    store.create_run(RUN, {"run": RUN}, kind="bench", name="Benchmark of Demo")
    error = plain(app(page, run=RUN).error[0].value)
    assert error == f"{RUN} is no distillation but another job: Benchmark of Demo."


def test_a_run_id_that_is_a_path(app: App, done: Store) -> None:
    error = plain(app(PAGE, run="../../etc").error[0].value)
    assert error.startswith("There is no run ../../etc")


def test_class_names_are_never_markdown(app: App, done: Store, report: dict[str, Any]) -> None:
    report["labels"][0] = EVIL
    report["notes"] = [EVIL]
    report["sentence"] = EVIL
    done.save_report(RUN, report)
    page = open_tab(app, "Quality")
    assert not [text for text in words(page) if "![" in text or "<b>" in text]


@pytest.mark.parametrize("first", ["", "This student is better than the same one trained alone."])
def test_advice_names_the_pages_own_control(
    app: App, done: Store, report: dict[str, Any], first: str
) -> None:
    sentence = (
        f"The distilled student is worse than TF-IDF (−3.0 points): try {LARGER} or more labelled texts."
    )
    done.save_report(RUN, report | {"sentence": f"{first} {sentence}".strip()})
    page = app(PAGE, run=RUN)
    said = " ".join(words(page))
    if not first:
        assert "**The distilled student is worse than TF-IDF (−3.0 points):** try a larger" in said
    assert f"try a larger student (*{FIND_SMALLEST}* on Distill looks for it) or more labelled texts." in said
    assert "kd distill" not in html.unescape(said)
    link = next(link.proto for link in page.get("page_link") if link.proto.label == FIND_SMALLEST)
    assert link.page == "distill"
    assert "distill.temperature=2" in link.query_string, "with the settings of the run"


def test_notes_name_the_pages_own_settings(app: App, done: Store, report: dict[str, Any]) -> None:
    note = "The distilled student answers no test text with 'b': bring more of them, or try --class-weights"
    done.save_report(RUN, report | {"notes": [f"{note} balanced."]})
    said = html.unescape(" ".join(words(app(PAGE, run=RUN))))
    assert "bring more of them, or set the class weights to balanced on Distill." in said
    assert "--class-weights" not in said


def test_without_such_advice_there_is_no_link(app: App, done: Store) -> None:
    assert FIND_SMALLEST not in [link.proto.label for link in app(PAGE, run=RUN).get("page_link")]


def test_how_many_texts_hold_what_the_student_lacks(done, app, report):
    says = "of the validation and test texts hold a word piece that the student lacks."
    assert not any(says in text for text in words(open_tab(app, "Quality"))), "a report of 0.1 does not know"
    done.save_report(RUN, report | {"unknown_texts": 0.214})
    assert any(f"21 % {says}" in text for text in words(open_tab(app, "Quality")))


def test_the_calibration_error_stands_beside_that_of_chance(app: App, done: Store) -> None:
    said = " ".join(words(open_tab(app, "Quality")))
    assert re.search(
        r"Calibration error 5\.6 %\. A model as sure as this one whose confidence is exact would show 2\.9 % "
        r"on as many texts, and in 19 of 20 cases less than 4\.\d %: so it is off by more "
        r"than chance explains\.",
        said,
    )


def test_temperature_scaling_of_a_finished_run(
    app: App, done: Store, report: dict[str, Any], home: Path
) -> None:
    page = open_tab(app, "Quality")
    page.toggle(key="report.calibrated").set_value(True).run()
    assert f"There is no run {RUN} in" in plain(page.warning[0].value)
    folder = home / "runs" / RUN
    folder.mkdir(parents=True)
    seal(folder)
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (400, len(report["labels"])))
    truth = [random.choice(len(row), p=row) for row in softmax(logits)]
    table = pd.DataFrame({"label": truth, "student-0": list(3 * logits)})
    for name in ("predictions", "validation"):
        table.to_parquet(folder / f"{name}.parquet")
    page.run()
    assert not page.warning
    found = re.search(
        r"divided by T = (\d\.\d\d), .* goes from (\S+) % to (\S+) %\. An export", " ".join(words(page))
    )
    assert found
    temperature, before, after = map(float, found.groups())
    assert temperature == pytest.approx(3, rel=0.2)
    assert before > 2 * after
    assert f"Calibration error {found[3]} %. A model as sure as this one" in " ".join(words(page))


def test_a_control_that_does_as_well_is_named_beside_the_verdict(
    app: App, done: Store, report: dict[str, Any]
) -> None:
    assert not any("A control does as well" in text for text in words(app(PAGE, run=RUN)))
    gap = report["verdict"] | {"kind": "no_difference", "delta": 0.012, "low": -0.01, "high": 0.03}
    done.save_report(RUN, report | {"over": {"alone": report["verdict"], "labelled_only": gap}})
    page = app(PAGE, run=RUN)
    assert any("Better" in text for text in words(page))
    assert sum("A control does as well" in text for text in words(page)) == 2  # badge and picture
    worse = gap | {"kind": "hurt", "delta": -0.02, "low": -0.03, "high": -0.01}
    done.save_report(RUN, report | {"over": {"alone": report["verdict"], "labelled_only": worse}})
    better = words(app(PAGE, run=RUN))
    assert sum("A control does better" in text for text in better) == 2
    assert not any("A control does as well" in text for text in better)
    done.save_report(RUN, report | {"over": {"alone": report["verdict"], "labelled_only": gap}})
    assert any(
        "Distilled on labelled texts only does as well, as far as these texts can show: accuracy 86.3 %"
        in text
        for text in words(page)
    )


@pytest.mark.parametrize(("kind", "badge"), [("no_difference", "does as well"), ("hurt", "does better")])
def test_tf_idf_that_is_not_below_the_student_stands_beside_the_verdict(
    app: App, done: Store, report: dict[str, Any], kind: str, badge: str
) -> None:
    assert not any("TF-IDF does" in text for text in words(app(PAGE, run=RUN)))
    done.save_report(RUN, report | {"over_floor": report["verdict"] | {"kind": kind}})
    assert any(f"TF-IDF {badge}" in text for text in words(app(PAGE, run=RUN)))


def test_how_well_scores_of_few_texts_are_known_is_said(app: App, done: Store) -> None:
    said = words(app(PAGE, run=RUN, **{"report.tab": "Quality"}))
    [few] = [plain(text) for text in said if "“tech” has the fewest test texts, " in plain(text)]
    assert re.search(r"recognised, [\d.]+ %, has a 95 % interval of \d+ % to \d+ %\.", few)


def test_the_open_tab_is_in_the_address(app: App, done: Store) -> None:
    page = app(PAGE, run=RUN, **{"report.tab": "Reproduce"})
    assert page.code
    assert not page.dataframe
