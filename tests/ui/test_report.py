"""The report of one run: what a person reads in each of its tabs, and what it starts."""

from __future__ import annotations

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

from kd_core.config import LESSON, VERSION, DistillConfig, of_today
from kd_core.deployment.benchmark import BenchConfig
from kd_core.distillation.events import Evaluated, Step
from kd_core.distillation.metrics import softmax
from kd_core.distillation.report import Report
from kd_core.distillation.sentences import LARGER
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store
from kd_core.search.curve import CurveConfig, CurveResult, Gain
from kd_core.system import paths
from kd_core.system.atomic import seal
from pages.review.report.head import actions
from pages.shared.text import FIND_SMALLEST
from tests import disturbed, with_floor, without_gold
from tests.ui.charts import alts
from tests.ui.finished import (
    EVIL,
    OTHER,
    RUN,
    THIRD,
    App,
    benchmark,
    finish,
    inert,
    keys,
    links,
    numbers,
    plain,
    read,
    sample,
)

PAGE = "review/report/page.py"
GAP = {"kind": "no_difference", "delta": 0.012, "low": -0.01, "high": 0.03}


@pytest.fixture
def report() -> dict[str, Any]:
    return sample()


@pytest.fixture
def done(store: Store) -> Store:
    return finish(store, objective__temperature=2.0)


def open_tab(app: App, name: str) -> AppTest:
    page = app(PAGE, run=RUN, **{"report.tab": name})
    assert not page.exception
    return page


def in_order(block: Any) -> Iterator[str]:
    """Yields what a person reads or presses, from the top of the page."""
    for child in getattr(block, "children", {}).values():
        yield from in_order(child)
    if block.type in ("title", "heading", "markdown", "caption", "button", "download_button"):
        yield str(getattr(block, "value", None) or block.label)


# The head


def test_without_a_finished_run(app: App, store: Store) -> None:
    page = app(PAGE)
    assert "What a run found: whether distillation helped" in read(page)
    assert page.info[0].value.startswith("No run is done yet.")


@pytest.mark.parametrize(
    ("status", "said", "link"),
    [
        ("queued", "This run is queued, at 0 %. Its report opens here when it is done.", "Watch it live"),
        ("stopped", "This run was stopped and has no report.", "Open it, to see how far it came"),
        ("failed", "This run failed and has no report.", "Open it, to see how far it came"),
    ],
)
def test_run_that_is_not_done(app: App, store: Store, status: Any, said: str, link: str) -> None:
    store.create_run(RUN, LESSON.model_dump(mode="json"), name=EVIL)
    store.set_status(RUN, status, f"The file {EVIL} is gone." if status == "failed" else None)
    page = app(PAGE, run=RUN)
    assert said in read(page)
    assert [text.value for text in page.text] == [f"The file {EVIL} is gone."] * (status == "failed")
    assert any(label.startswith(link) for label in links(page))
    inert(page)


@pytest.mark.parametrize("run", ["../../etc", RUN, "bench"])
def test_link_to_no_run(app: App, store: Store, run: str) -> None:
    store.create_run("bench", {"run": RUN}, kind="bench", name="Benchmark of Demo")
    said = f"There is no run {run}; it may have been deleted."
    if run == "bench":
        said = "bench is no distillation but another job: Benchmark of Demo."
    assert said in read(app(PAGE, run=run))


def test_verdict_and_measures(app: App, done: Store) -> None:
    done.create_run(OTHER, LESSON.model_dump(mode="json"), name="Newer, but queued")
    page = app(PAGE)
    assert page.query_params["run"] == RUN, "the newest that is done"
    said = list(in_order(page.main))
    wanted = ("Demo", "Better", "Distillation helped", "Download HTML", "7.2x faster")
    places = [next(i for i, text in enumerate(said) if part in text) for part in wanted]
    assert places == sorted(places)
    for sentence in (
        "**Distillation helped: +3.6 points over the same student trained alone "
        "(95 % interval +0.6 to +6.7, 524 test texts).**",
        "**87.6 % right, the teacher 87.6 %**",
        "**8.5x smaller than the teacher**",
        "**7.2x faster than the teacher**",
        "All students have the same architecture, so their speed was measured once.",
        "Speed does not follow size",
    ):
        assert sentence in read(page)
    spoken = alts(page)
    assert spoken[0] == (
        "Accuracy: Teacher 87.6 %, Distilled student 87.6 %, Distilled on labelled texts only 86.3 %, "
        "Student alone 84.0 %."
    )
    assert (
        spoken[1] == "Distilled student against each other model. Student alone: +3.6 points (+0.6 to +6.7)."
    )
    assert spoken[3].startswith("Latency: Teacher 12.1 ms, Distilled student 1.69 ms")
    assert "What to conclude, and what to do next" not in [each.label for each in page.expander]
    assert FIND_SMALLEST not in links(page)


@pytest.mark.parametrize(
    ("transfer", "spans", "advice"),
    [(0, 0, "unlabelled texts"), (500, 500, "unlabelled texts"), (500, 0, "**Search** for its settings")],
)
def test_no_difference_says_what_to_do(
    app: App, done: Store, report: dict[str, Any], transfer: int, spans: int, advice: str
) -> None:
    rows = report["rows"] | {"transfer": transfer, "spans": spans}
    done.save_report(RUN, report | {"verdict": report["verdict"] | GAP, "rows": rows})
    [what] = [each for each in app(PAGE).expander if each.label.startswith("What to conclude")]
    assert "Nothing is shown either way" in what.markdown[0].value
    assert advice in what.markdown[0].value


@pytest.mark.parametrize(
    ("kind", "low", "high", "badge"),
    [("no_difference", -0.01, 0.03, "does as well"), ("hurt", -0.03, -0.01, "does better")],
)
def test_controls_that_are_not_worse_stand_beside_the_verdict(
    app: App, done: Store, report: dict[str, Any], kind: str, low: float, high: float, badge: str
) -> None:
    assert not re.search("A control does|TF-IDF does", read(app(PAGE, run=RUN)))
    gap = report["verdict"] | {"kind": kind, "delta": (low + high) / 2, "low": low, "high": high}
    over = {"alone": report["verdict"], "labelled_only": gap}
    done.save_report(RUN, report | {"over": over, "over_floor": report["verdict"] | {"kind": kind}})
    said = read(app(PAGE, run=RUN))
    assert "Better" in said
    assert said.count(f"A control {badge}") == 2, "badge and picture"
    assert said.count("A control does") == 2
    assert f"TF-IDF {badge}" in said
    as_good = "Distilled on labelled texts only does as well, as far as these texts can show: accuracy 86.3 %"
    assert (as_good in said) == (kind == "no_difference")


@pytest.mark.parametrize("first", ["", "This student is better than the same one trained alone."])
def test_advice_names_the_controls_of_the_pages(
    app: App, done: Store, report: dict[str, Any], first: str
) -> None:
    worse = f"The distilled student is worse than TF-IDF (−3.0 points): try {LARGER} or more labelled texts."
    note = "The distilled student answers no test text with 'b': bring more, or try --class-weights balanced."
    done.save_report(RUN, report | {"sentence": f"{first} {worse}".strip(), "notes": [note]})
    page = app(PAGE, run=RUN)
    said = read(page)
    if not first:
        assert "**The distilled student is worse than TF-IDF (−3.0 points):** try a larger" in said
    assert f"try a larger student (*{FIND_SMALLEST}* on Distill looks for it) or more labelled texts." in said
    assert "bring more, or set the class weights to balanced on Distill." in said
    assert "kd distill" not in said
    assert "distill.temperature=2" in links(page)[FIND_SMALLEST], "with the settings of the run"


@pytest.mark.parametrize("name", ["Demo", ""])
def test_downloads_have_the_whole_report(done: Store, report: dict[str, Any], name: str) -> None:
    """Calls what makes the files, since AppTest cannot fetch them."""
    made: dict[str, Callable[[], str]] = {}
    done.rename(RUN, name)
    with pytest.MonkeyPatch.context() as patch:
        download = "pages.review.report.head.st.download_button"
        patch.setattr(download, lambda label, data, **_: made.setdefault(label, data))
        actions(done.run(RUN), done.report(RUN))
    assert json.loads(made["Download JSON"]()) == of_today(report)
    page = plain(made["Download HTML"]())
    assert f"<h1>{name or 'bbc-headlines: minilm-l6 → tiny'}</h1>" in page
    assert report["sentence"] in page


def test_duplicate(app: App, done: Store) -> None:
    page = app(PAGE, run=RUN).button(key="report.duplicate").click().run()
    assert not page.exception
    assert page.slider(key="distill.temperature").value == 2


def test_two_more_seeds(app: App, done: Store) -> None:
    before = done.report(RUN).config["training"]["seeds"]
    assert not app(PAGE, run=RUN).button(key="report.seeds").click().run().exception
    added = next(run for run in done.runs() if run.id != RUN)
    assert added.config["training"]["seeds"] == [*before, max(before) + 1, max(before) + 2]
    assert added.name.endswith(f", {len(before) + 2} seeds")


# Quality


def test_quality(app: App, done: Store, report: dict[str, Any]) -> None:
    done.save_report(RUN, report | {"unknown_texts": 0.214})
    page = open_tab(app, "Quality")
    overview, scores = (frame.value for frame in page.dataframe)
    assert overview["Accuracy"].tolist()[1] == "87.6 % ± 2.8"
    assert scores["class"].tolist() == ["business", "entertainment", "politics", "sports", "tech"]
    said = read(page)
    assert "21 % of the validation and test texts hold a word piece that the student lacks." in said
    assert re.search(
        r"Calibration error 5\.6 %\. A model as sure as this one whose confidence is exact would show 2\.9 % "
        r"on as many texts, and in 19 of 20 cases less than 4\.\d %: so it is off by more "
        r"than chance explains",
        said,
    )
    assert re.search(
        r"“tech” has the fewest test texts, .*recognised, [\d.]+ %, has a 95 % interval of \d+ % to \d+ %\.",
        said,
    )
    assert "Taken for another class most often: “business” for “politics”, 11 texts." in said
    page.segmented_control(key="report.model").set_value("teacher").run()
    assert "Taken for another class most often: “business” for “politics”, 16 texts." in read(page)


def test_tfidf_stands_among_the_models(app: App, done: Store, report: dict[str, Any]) -> None:
    done.save_report(RUN, with_floor(report))
    page = open_tab(app, "Quality")
    last = page.dataframe[0].value.iloc[-1]
    assert [last["Model"], last["Accuracy"], last["Size"]] == ["TF-IDF", "80.9 % ± 3.4", "0.8 MB"]
    assert [last["Latency p50"], last["p95"]] == ["1.50 ms", "1.75 ms"]
    page.segmented_control(key="report.model").set_value("tfidf").run()
    assert "Confusion of the classes: TF-IDF" in alts(page)


def test_where_the_gain_comes_from(app: App, done: Store, report: dict[str, Any]) -> None:
    gain = {"kind": "helped", "low": 0.006, "high": 0.067, "p_value": 0.01, "n": 524, "seeds": 1}
    report["stairs"] = {"student": gain | {"delta": 0.0364}}
    done.save_report(RUN, report)
    page = open_tab(app, "Quality")
    stairs = next(table.value for table in page.table if "Gain" in table.value)
    steps = stairs["What is added"]
    assert [plain(step) for step in steps] == ["Student alone", "+ soft labels", "+ transfer texts"]
    assert not steps.str.startswith("+").any(), "Markdown would make a list of it"
    interval = "(+0.6\u00a0to\u00a0+6.7)"
    assert stairs["Gain"].iloc[-1] == f"+3.6\u00a0points {interval}", "its interval stays on one line"
    asked = dict(parse_qsl(links(page)["Set that run up"]))
    assert (asked["distill.plain_start"], asked["distill.untuned_start"]) == ("True", "True")


def test_temperature_scaling(app: App, done: Store, report: dict[str, Any], home: Path) -> None:
    page = open_tab(app, "Quality")
    page.toggle(key="report.calibrated").set_value(True).run()
    assert f"There is no run {RUN} in" in read(page)
    folder = home / "runs" / RUN
    folder.mkdir(parents=True)
    seal(folder)
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (400, len(report["labels"])))
    truth = [random.choice(len(row), p=row) for row in softmax(logits)]
    for name in ("predictions", "validation"):
        pd.DataFrame({"label": truth, "student-0": list(3 * logits)}).to_parquet(folder / f"{name}.parquet")
    page.run()
    assert not page.warning
    said = read(page)
    found = re.search(r"divided by T = (\d\.\d\d), .* goes from (\S+) % to (\S+) %\. An export", said)
    assert found
    temperature, before, after = map(float, found.groups())
    assert temperature == pytest.approx(3, rel=0.2)
    assert before > 2 * after
    assert f"Calibration error {found[3]} %. A model as sure as this one" in said


def test_class_names_notes_and_verdict_stay_plain(app: App, done: Store, report: dict[str, Any]) -> None:
    report["labels"][0] = EVIL
    done.save_report(RUN, report | {"notes": [EVIL], "sentence": EVIL})
    page = open_tab(app, "Quality")
    assert EVIL in read(page)
    inert(page)


# Would more texts help?


def curve(store: Store, report: dict[str, Any], parts: int, status: str) -> CurveResult:
    """Adds a measurement of which so many parts are done, each a point below the one with more texts."""
    result = CurveResult.of(CurveConfig(run=RUN), Report.from_dict(report))
    done, left = result.left[:parts], result.left[parts:]
    whole = {part.kind: part for part in result.whole}
    worse = {who: value - 0.01 for who, value in result.whole[0].accuracy.items()}
    shares = {"delta": 0.01, "low": 0.002, "high": 0.018}
    gains = [Gain(kind=p.kind, texts=p.texts, whole=whole[p.kind].texts, **shares) for p in done]
    measured = [part.model_copy(update={"accuracy": worse, "score": worse}) for part in done]
    result = result.model_copy(update={"left": left, "parts": tuple(measured), "gains": tuple(gains)})
    store.create_run(OTHER, result.config.model_dump(mode="json"), kind="curve")
    store.save_report(OTHER, result.model_dump(mode="json"))
    store.set_status(OTHER, status, "The disk is full." if status == "failed" else None)
    return result


def by_texts(page: AppTest) -> list[str]:
    return [alt.split(":")[0] for alt in alts(page) if "by the number of" in alt]


def test_curve_is_queued_by_one_click(app: App, done: Store, report: dict[str, Any]) -> None:
    page = app(PAGE, run=RUN)
    assert CurveResult.of(CurveConfig(run=RUN), Report.from_dict(report)).plan in read(page)
    page.button(key="report.curve").click().run()
    (job,) = done.runs(kind="curve")
    assert CurveConfig.from_dict(job.config) == CurveConfig(run=RUN)
    assert "report.curve" not in keys(page)
    assert page.button(key="report.curve_job.stop")


@pytest.mark.parametrize("status", ["running", "failed"])
def test_curve_that_is_not_done(app: App, done: Store, report: dict[str, Any], status: str) -> None:
    result = curve(done, report, 1, status)
    page = app(PAGE, run=RUN)
    assert result.sentence not in read(page), "nothing is claimed yet"
    assert by_texts(page) == ["Accuracy by the number of labelled texts"]
    assert ("The disk is full." in read(page)) == (status == "failed")
    assert ("report.curve" in keys(page)) == (status == "failed")


def test_curve_that_is_done(app: App, done: Store, report: dict[str, Any]) -> None:
    report["config"]["training"]["metric"] = "macro_f1"
    result = curve(done, report, 4, "done")
    assert result.next is None
    page = app(PAGE, run=RUN)
    assert plain(result.sentence) in read(page)
    assert "+1.0 points of macro-F1 (95 % interval" in read(page)
    assert by_texts(page) == [f"Macro-F1 by the number of {kind} texts" for kind in ("labelled", "transfer")]


# Fidelity, Curves and Reproduce


def test_fidelity_and_the_texts_behind_it(app: App, done: Store, home: Path, report: dict[str, Any]) -> None:
    (home / "runs" / RUN).mkdir(parents=True)
    right, wrong = [4.0, 0, 0, 0, 0], [0, 4.0, 0, 0, 0]
    answers = {"teacher": [right, wrong, right], "student-0": [wrong, right, right]}
    table = pd.DataFrame({"text": [EVIL, "=1+1", "c"], "label": [0, 0, 0], **answers})
    table.to_parquet(home / "runs" / RUN / "predictions.parquet")
    page = open_tab(app, "Fidelity")
    assert numbers(page) == {"Agreement": "88.2 %", "Divergence": "0.234 nats"}
    assert "The texts behind each cell" in read(page)
    assert page.dataframe[0].value[["text", "student"]].to_numpy().tolist() == [[EVIL, "entertainment"]]
    page.segmented_control(key="report.cell").set_value("mended").run()
    assert page.dataframe[0].value["text"].tolist() == ["=1+1"]
    page.segmented_control(key="report.cell").set_value("inherited").run()
    assert "There is no such text." in read(page)
    done.save_report(RUN, without_gold(report))
    page = open_tab(app, "Fidelity")
    assert "The texts behind these numbers" in read(page), "without gold labels there are no such cells"
    assert "The texts behind each cell" not in read(page)
    report["config"]["task"] |= {"knowledge": "answers.csv", "answers": "labels", "gold": "rows"}
    done.save_report(RUN, report)
    assert list(numbers(open_tab(app, "Fidelity"))) == ["Agreement"], "labels have no probabilities"


def test_folder_on_another_machine(app: App, done: Store) -> None:
    assert "The folder of this run was removed from this machine" in read(open_tab(app, "Fidelity"))
    (paths.home() / paths.ID).write_text("another")
    said = read(open_tab(app, "Fidelity"))
    assert "is on another machine, " in said
    assert "Its numbers are above." in said


def test_curves(app: App, done: Store) -> None:
    said = "The curves of this run were not recorded in this database."
    assert said in read(open_tab(app, "Curves"))
    recorder = Recorder(done, RUN)
    for who in ("student", "labelled_only"):
        recorder(Step(who, 0, 10, 10, 1.0, 1.0, 1.0, 0.0, 1e-4, 100.0))
        recorder(Evaluated(who, 0, 10, 0.8, 0.5))
    recorder.close()
    page = open_tab(app, "Curves")
    assert "From the cache, so without a curve here: teacher, student alone." in read(page)
    page.segmented_control(key="report.curve_model").set_value("labelled_only").run()
    page.toggle(key="report.log").set_value(True).run()
    assert alts(page)[-1] == "Training loss over the steps: Distilled on labelled texts only"
    assert "Validation accuracy of each model over the training steps" in alts(page)


def test_reproduce(app: App, done: Store) -> None:
    page = open_tab(app, "Reproduce")
    assert not page.dataframe
    command, python, config = (block.value for block in page.code)
    flags = ("minilm-l6", "-pooling first", "tiny", "2.0", "0.3")
    names = ("teacher ", "teacher", "student ", "temperature ", "alpha ")
    shown = [f"--{name}{value}" for name, value in zip(names, flags, strict=True)]
    assert command == " \\\n  ".join(("kd distill", *shown))
    assert '"objective.temperature": 2.0' in python
    assert "  max_length: 64" in config
    assert config.startswith(f"version: {VERSION}\n"), "a later one knows what was not a setting then"


# Speed


def test_times_of_the_run(app: App, done: Store) -> None:
    page = open_tab(app, "Speed")
    values = [metric.value for metric in page.metric]
    assert values == ["12.1 ms", "12.9 ms", "82", "1.69 ms", "3.88 ms", "593"]
    assert "One text, without the tokenizer, on 1 thread" in read(page)
    assert page.dataframe[0].value["Time"].tolist() == ["20 s", "12 s", "79 s", "8 s"]


def test_benchmark_is_measured_and_stopped(app: App, done: Store) -> None:
    page = open_tab(app, "Speed")
    assert page.button(key="report.measure").label == "Measure"
    page.button(key="report.measure").click().run()
    [job] = done.runs(kind="bench")
    assert (job.status, job.config["run"], job.name) == ("queued", RUN, "Benchmark of Demo")
    assert "report.measure" not in keys(page)
    page.button(key="report.bench.stop").click().run()
    assert done.run(job.id).status == "stopped"


def test_benchmark(app: App, done: Store) -> None:
    benchmark(done, THIRD, notes=[*sample("bench.json")["notes"], EVIL])
    benchmark(done, "20260131-170000-a7b8", run_id="20260131-100000-ffff")
    page = open_tab(app, "Speed")
    inert(page)
    table = page.dataframe[0].value.set_index("Model")
    teacher = ["87.6 % ± 2.8", "", "90.9 MB", "247.5 MB", "9.22 ms", "17.4 ms", ""]
    assert table.loc["Teacher, PyTorch"].tolist() == teacher
    gain = "30.4x smaller, 26.8x faster"
    student = ["88.2 % ± 2.8", "", "3.0 MB", "111.3 MB", "0.34 ms", "0.57 ms", gain]
    assert table.loc["Distilled student, ONNX int8"].tolist() == student
    said = read(page)
    for part in (
        "Accuracy on 524 test texts",
        "Latency: one text, without the tokenizer, on 1 thread, 8.7 tokens on average.",
        "pinned to as many cores as threads",
        "the tokenizer is not: it comes on top, 0.03 ms for a text of the teacher",
        "With one text at a time the student gains less on the teacher than in batches of 32.",
        EVIL,
    ):
        assert part in said
    first, *_, last = alts(page)[-4:]
    assert first.startswith("Median time of a batch, by batch size. Test texts, 1 thread. Batch 1: Teacher")
    assert "Texts of 128 tokens, 1 thread" in last
    assert len(page.dataframe[1].value) == 4 * 3 * 6
    page.segmented_control(key="report.bench_threads").set_value(2).run()
    assert all("2 threads" in alt for alt in alts(page)[-4:])
    cell = next(cell for cell in sample("bench.json")["cells"] if cell["threads"] == 2)
    assert page.dataframe[1].value.iloc[0]["p50"] == f"{cell['p50']:.2f} ms"


def test_benchmark_that_failed(app: App, done: Store) -> None:
    forms = sample("bench.json")["forms"]
    forms[0]["latency_ms"] |= {"p95": None, "tokenizer": True}
    benchmark(done, forms=forms)
    done.create_run(THIRD, BenchConfig(run=RUN).model_dump(mode="json"), kind="bench")
    done.set_status(THIRD, "failed", f"The file {EVIL} is gone.")
    page = open_tab(app, "Speed")
    assert f"The file {EVIL} is gone." in read(page)
    inert(page)
    table = page.dataframe[0].value.set_index("Model")
    assert table.loc["Teacher, PyTorch"].tolist()[4:6] == ["9.22 ms", ""], "the one before stays"
    assert "Latency: from text to answer, tokenizer included, on 1 thread, 8.7 tokens" in read(page)
    page.button(key="report.bench.again").click().run()
    assert done.run(THIRD).status == "queued"


def test_headline_follows_a_new_benchmark(app: App, done: Store, report: dict[str, Any]) -> None:
    done.save_report(RUN, disturbed(with_floor(report)))
    said = read(open_tab(app, "Speed"))
    assert "**7.2x faster than the teacher, timed beside other work**" in said
    benchmark(done)
    page = open_tab(app, "Speed")
    said = read(page)
    assert "**5.9x faster than the teacher**" in said
    assert "other work" not in said
    assert alts(page)[3] == "Latency: Teacher 9.22 ms, Distilled student 1.57 ms."


def test_teacher_that_is_a_file_has_no_benchmark(app: App, store: Store, report: dict[str, Any]) -> None:
    report["config"]["task"]["knowledge"] = "answers.csv"
    report["teacher"] |= {"latency_ms": None, "size_mb": 0.0}
    store.create_run(RUN, DistillConfig.from_dict(report["config"]).model_dump(mode="json"), name="File")
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    page = open_tab(app, "Speed")
    assert "with no speed to compare with" in read(page)
    assert "report.measure" not in keys(page)
    capacity = read(app("review/capacity/page.py", run=RUN))
    assert "Speed tab" not in capacity
    assert "a new benchmark" not in capacity
