"""Export: what a person reads before, while and after a bundle is made. Nothing is converted here."""

from __future__ import annotations

import html
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON
from kd_core.jobs.store import Store
from kd_core.system.formatting import plus_minus
from tests import SAMPLES, disturbed, without_gold
from tests.ui.charts import alts
from tests.ui.speed.benched import keep, sample
from tests.unit.deployment.stairs import FORMS, MACHINE

App = Callable[..., AppTest]
PAGE = "use/export/page.py"
RUN, JOB, OTHER = "20260131-143000-a1b2", "20260131-150000-c3d4", "20260131-160000-e5f6"
EVIL = "![x](http://127.0.0.1:9/x) <b>"


def words(page: AppTest) -> list[str]:
    assert not page.exception
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error)
    return [html.unescape(element.value).replace("\u2060", "") for kind in kinds for element in kind]


@pytest.fixture
def done(store: Store) -> Store:
    store.create_run(RUN, LESSON.model_dump(mode="json"), name="Demo")
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    return store


def export(store: Store, to: str | None, status: Any = "done", **changes: Any) -> None:
    config = {"run": RUN, "to": to, "onnx": True, "int8": True}
    store.create_run(JOB, config, kind="export", name="Export of Demo")
    report = {"run": RUN, "task": "bbc-headlines", "to": to, "texts": 524, "forms": FORMS, "machine": MACHINE}
    store.save_report(JOB, report | changes)
    store.set_status(JOB, status)


@pytest.fixture
def made(done: Store, home: Path) -> Path:
    """A bundle of 3 files that was made in the dashboard."""
    place = home / "exports" / "x" / "kd.zip"
    place.parent.mkdir(parents=True)
    with zipfile.ZipFile(place, "w") as archive:
        for name, size in (("model/config.json", 10), ("model/model.safetensors", 2_000), ("README.md", 30)):
            archive.writestr(f"kd-{RUN}/{name}", "x" * size)
    export(done, str(place))
    return place


def test_of_several_seeds_the_numbers_are_those_of_the_one_that_is_exported(app: App, done: Store) -> None:
    """The mean stood above a first step of another accuracy."""
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    (seed, first), *_ = report["student"]["seeds"].items()
    assert seed == "0"
    report["student"]["seeds"]["1"] = first
    report["student"]["accuracy"] = 0.5
    done.save_report(RUN, report)
    page = app(PAGE, run=RUN)
    shown = next(metric for metric in page.metric if metric.label == "Accuracy")
    assert shown.value == f"{100 * first['accuracy']:.1f} %"
    assert any("The student of seed 0, the first of 2, as it was trained" in text for text in words(page))


def test_without_a_finished_run_it_says_what_to_do(app: App, store: Store) -> None:
    page = app(PAGE)
    assert page.info[0].value.startswith("No run is done yet.")
    assert not page.button


def test_the_newest_finished_run_and_a_link_to_it(app: App, done: Store) -> None:
    done.create_run(OTHER, LESSON.model_dump(mode="json"), name="Queued")
    page = app(PAGE)
    assert page.selectbox(key=f"export.run.{RUN}").value == RUN
    assert page.query_params["run"] == RUN
    assert (
        page.selectbox(key=f"export.run.{RUN}")
        .options[0]
        .startswith("Demo · bbc-headlines: minilm-l6 → tiny · ")
    )
    assert page.toggle(key="export.onnx").value
    assert page.toggle(key="export.int8").value
    assert page.button(key="export.make").label == "Make the bundle"


def test_it_says_how_good_large_and_fast_the_student_is(app: App, done: Store) -> None:
    student = done.report(RUN).student
    shown = app(PAGE, run=RUN).metric
    metrics = {metric.label: metric.value for metric in shown}
    assert metrics["Accuracy"] == f"{100 * student.accuracy:.1f} %"
    assert [metric.delta for metric in shown] == ["± 2.8", "", ""]
    assert metrics["Size"] == f"{student.size_mb:.1f} MB"
    assert metrics["A text takes"].endswith(" ms")


def test_a_run_that_is_judged_by_macro_f1_shows_the_students(app: App, done: Store) -> None:
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    report["config"]["training"]["metric"] = "macro_f1"
    report["student"]["macro_f1_interval"] = (0.8, 0.9)
    done.save_report(RUN, report)
    (seed,) = report["student"]["seeds"].values()
    shown = app(PAGE, run=RUN).metric[0]
    assert (shown.label, shown.value) == ("Macro-F1", f"{100 * seed['macro_f1']:.1f} %")
    assert shown.delta == plus_minus(seed["macro_f1"], 0.8, 0.9)


def test_int8_needs_onnx(app: App, done: Store) -> None:
    page = app(PAGE)
    page.toggle(key="export.onnx").set_value(False).run()
    assert page.toggle(key="export.int8").disabled


@pytest.mark.parametrize(
    ("onnx", "int8", "asked"),
    [(True, True, (True, True)), (True, False, (True, False)), (False, True, (False, False))],
)
def test_making_a_bundle(app: App, done: Store, home: Path, onnx: bool, int8: bool, asked: Any) -> None:
    (home / "runs" / RUN).mkdir(parents=True)
    page = app(PAGE, run=RUN)
    page.toggle(key="export.onnx").set_value(onnx)
    page.toggle(key="export.int8").set_value(int8)
    page.button(key="export.make").click().run()
    (job,) = done.runs(kind="export")
    assert job.name == "Export of Demo"
    assert (job.config["onnx"], job.config["int8"]) == asked
    target = Path(job.config["to"])
    assert target.name == f"kd-{RUN}.zip"
    assert target.is_relative_to(home / "exports")
    assert "Waits for its turn: one job at a time uses this machine" in [
        element.proto.text for element in page.get("progress")
    ]
    assert page.button(key="export.make").disabled
    assert page.button(key="export.job.stop")


def test_a_run_whose_folder_is_gone(app: App, done: Store, home: Path) -> None:
    page = app(PAGE, run=RUN)
    page.button(key="export.make").click().run()
    assert f"There is no run {RUN} in the data folder; it may have been deleted or be elsewhere." in words(
        page
    )
    assert done.runs(kind="export") == []


def test_what_each_step_costs_and_buys(app: App, made: Path) -> None:
    page = app(PAGE, run=RUN)
    said = "\n".join(words(page))
    assert (
        "- **ONNX int8**: 30.0x smaller and 20.0x faster than the teacher; 0.2 points less accurate than the "
        "distilled student." in said
    )
    assert alts(page) == [
        "Size: Teacher 90.0 MB, Distilled 10.0 MB, ONNX 12.0 MB, ONNX int8 3.0 MB.",
        "Latency: Teacher 8.00 ms, Distilled 1.00 ms, ONNX 0.80 ms, ONNX int8 0.40 ms.",
        "Accuracy: Teacher 87.6 %, Distilled 88.2 %, ONNX 88.2 %, ONNX int8 88.0 %.",
    ]
    assert "one text, without the tokenizer, on 1 thread, 100 test texts" in said
    assert page.button(key="export.make").label == "Make it again"
    page.toggle(key="export.cascade").set_value(True).run()
    made_otherwise = page.button(key="export.make")
    assert (made_otherwise.label, made_otherwise.proto.type) == ("Make the bundle", "primary")


def test_a_text_takes_as_long_above_as_below(app: App, made: Path, done: Store) -> None:
    """2.51 ms stood above a bar of 1.26."""

    def takes(page: AppTest) -> str:
        return next(metric.value for metric in page.metric if metric.label == "A text takes")

    forms = [form for form in FORMS if form["who"] != "alone"]  # as exports are
    done.save_report(JOB, done.report_json(JOB) | {"forms": forms})
    page = app(PAGE, run=RUN)
    assert takes(page) == "1.00 ms"
    day = f"{done.run(JOB).created.astimezone():%d %b %Y}"
    assert f"The student as it was trained, in PyTorch, one text at a time in the export of {day}." in words(
        page
    )
    keep(done, OTHER, sample("bench.json") | {"run": RUN})
    page = app(PAGE, run=RUN)
    assert takes(page) == "1.57 ms"
    assert alts(page)[1] == ("Latency: Teacher 9.22 ms, Distilled 1.57 ms, ONNX 0.48 ms, ONNX int8 0.34 ms.")
    assert f"Latency, in the benchmark of {day}: one text" in "\n".join(words(page))
    assert page.dataframe[-1].value["Latency p50"].tolist()[1] == "9.22 ms"


def test_an_export_beside_other_work_does_not_count_against_a_run_without(app: App, done: Store) -> None:
    forms = [form for form in FORMS if form["runtime"] == "pytorch" and form["who"] != "alone"]
    export(done, None, forms=[form | {"latency_ms": form["latency_ms"] | {"busy": 0.4}} for form in forms])
    page = app(PAGE, run=RUN)
    assert next(metric.value for metric in page.metric if metric.label == "A text takes") == "1.69 ms"
    assert alts(page)[1] == "Latency: Teacher 8.00 ms, Distilled 1.00 ms."
    assert "of the time: export again when the machine is idle." in "\n".join(words(page))


def test_what_disturbed_the_times_of_the_run_is_said(app: App, done: Store) -> None:
    done.save_report(RUN, disturbed(done.report_json(RUN)))
    said = "\n".join(words(app(PAGE, run=RUN)))
    assert "on the machine of the run. While answers were timed, the processor was at other work" in said


def test_the_zip_and_how_to_use_it(app: App, made: Path) -> None:
    page = app(PAGE, run=RUN)
    button = page.get("download_button")[0].proto
    assert button.label == "Download zip, 3 kB"
    listed = page.table[0].value.replace("\u00a0", " ", regex=True)
    assert listed.to_numpy().tolist() == [
        ["model/", "2 kB", "The student: its config, weights and tokenizer"],
        ["README.md", "30 bytes", "Model card"],
    ]
    pipeline, onnx = (block.value for block in page.code)
    assert 'pipeline("text-classification", model="model")' in pipeline
    assert 'InferenceSession("onnx/model_int8.onnx")' in onnx


def test_a_bundle_that_is_not_calibrated_is_not_the_one_that_is_wanted(app: App, made: Path) -> None:
    page = app(PAGE, run=RUN)
    assert "What is in it" in [element.value for element in page.subheader]
    page.toggle(key="export.calibrate").set_value(True).run()
    assert "What is in it" not in [element.value for element in page.subheader]


def test_what_a_bundle_with_a_cascade_holds(app: App, made: Path, done: Store, home: Path) -> None:
    config = {"run": RUN, "to": str(made), "onnx": True, "int8": True, "calibrate": False, "agree": 97.0}
    done.create_run(OTHER, config, kind="export")
    done.save_report(OTHER, done.report_json(JOB))
    done.set_status(OTHER, "done")
    page = app(PAGE, run=RUN)
    assert page.toggle(key="export.cascade").value
    assert page.number_input(key="export.agree").value == 97
    assert "What is in it" in [element.value for element in page.subheader]
    page.number_input(key="export.agree").set_value(95.0).run()
    assert "What is in it" not in [element.value for element in page.subheader]
    said = "The zip to download, 3 kB, was made with other settings: Hugging Face, ONNX, ONNX int8, cascade."
    assert said in words(page)


def test_what_the_cascade_in_it_does(app: App, made: Path, done: Store) -> None:
    """The README in the zip alone said it."""
    page = app(PAGE, run=RUN)
    assert "The cascade in the zip" not in [element.value for element in page.subheader]
    config = {"run": RUN, "to": str(made), "onnx": True, "int8": False, "agree": 99.9}
    done.create_run(OTHER, config, kind="export")
    found = "The student answers where it is at least 90 % sure. The pair was to agree with the teacher."
    done.save_report(OTHER, done.report_json(JOB) | {"cascade": found})
    done.set_status(OTHER, "done")
    page = app(PAGE, run=RUN)
    assert "The cascade in the zip" in [element.value for element in page.subheader]
    assert page.number_input(key="export.agree").value == 99.5, "no field has more"
    assert not page.toggle(key="export.int8").value
    said = "**The student answers where it is at least 90 % sure.** The pair was to agree with the teacher."
    assert said in [text.replace("\u00a0", " ") for text in words(page)]
    assert page.code[-1].value == 'python cascade.py "a text"'


def test_what_will_be_in_it_and_how_to_load_it_before_it_is_made(app: App, done: Store, home: Path) -> None:
    student = home / "runs" / RUN / "students" / "student-0"
    student.mkdir(parents=True)
    (student / "model.safetensors").write_bytes(b"w" * 400_000)
    (student / "tokenizer.json").write_bytes(b"t" * 1_000)
    (home / "runs" / RUN / "report.json").write_bytes(b"r" * 3_000)
    page = app(PAGE, run=RUN)
    sizes = page.table[0].value.set_index("File")["About"].str.replace("\u00a0", " ")
    assert sizes[sizes != "a few kB"].to_dict() == {
        "model/": "0.4 MB",
        "onnx/model_int8.onnx": "0.1 MB",
        "onnx/model.onnx": "0.4 MB",
        "onnx/": "1 kB",
        "report.json": "3 kB",
    }
    assert set(sizes[["README.md", "reproduce.py"]]) == {"a few kB"}
    assert len(page.code) == 2
    page.toggle(key="export.onnx").set_value(False).run()
    assert "onnx/" not in set(page.table[0].value["File"])
    assert ["transformers" in block.value for block in page.code] == [True]


def test_earlier_bundles_can_be_downloaded_too(app: App, made: Path, done: Store, home: Path) -> None:
    newer = home / "exports" / "y" / f"kd-{RUN}.zip"
    newer.parent.mkdir(parents=True)
    newer.write_bytes(made.read_bytes())
    done.create_run(OTHER, {"run": RUN, "to": str(newer)}, kind="export")
    done.save_report(OTHER, done.report_json(JOB) | {"to": str(newer)})
    done.set_status(OTHER, "done")
    page = app(PAGE, run=RUN)
    assert "Earlier bundles" in [element.value for element in page.subheader]
    assert sum("Hugging Face, ONNX, ONNX int8" in text for text in words(page)) == 1
    assert [button.proto.label for button in page.get("download_button")] == [
        "Download zip, 3 kB",
        "Download, 3 kB",
    ]
    made.unlink()
    assert "Earlier bundles" not in [element.value for element in app(PAGE, run=RUN).subheader]


def test_a_zip_that_was_freed(app: App, made: Path) -> None:
    made.unlink()
    page = app(PAGE, run=RUN)
    assert any(text.startswith("The zip is no longer on this machine.") for text in words(page))
    assert not page.get("download_button")


def test_a_folder_that_the_command_made(app: App, done: Store, tmp_path: Path) -> None:
    export(done, str(tmp_path))
    page = app(PAGE, run=RUN)
    assert page.code[0].value == str(tmp_path)
    assert not page.get("download_button")


@pytest.mark.parametrize(
    ("model", "network"),
    [("bilstm", "BiLSTM"), ("cnn", "convolutional network"), ("static", "static network")],
)
def test_no_transformer_loads_by_its_code(app: App, done: Store, model: str, network: str) -> None:
    config = LESSON.change({"student.model": model}).model_dump(mode="json")
    done.create_run(OTHER, config)
    done.save_report(OTHER, json.loads((SAMPLES / "report.json").read_text("utf-8")))
    done.set_status(OTHER, "done")
    done.create_run(JOB, {"run": OTHER}, kind="export")
    report = {"run": OTHER, "to": None, "texts": 5, "forms": FORMS, "machine": MACHINE}
    done.save_report(JOB, report)
    done.set_status(JOB, "done")
    page = app(PAGE, run=OTHER)
    said = f"transformers has no {network}, so the code of one comes along, which `trust_remote_code=True` "
    assert f"{said}lets run. The ONNX form needs none." in words(page)
    transformers, onnx = (block.value for block in page.code)
    assert "trust_remote_code=True" in transformers
    assert "onnxruntime" in onnx


def test_an_export_that_failed_beside_the_one_before(app: App, made: Path, store: Store) -> None:
    store.create_run(OTHER, {"run": RUN}, kind="export")
    store.set_status(OTHER, "failed", f"The disk with {EVIL} is full.")
    page = app(PAGE, run=RUN)
    assert page.error[0].value != f"The disk with {EVIL} is full."
    assert f"The disk with {EVIL} is full." in words(page)
    assert page.button(key="export.job.again").label == "Start it again"
    assert page.get("download_button")


def test_a_link_to_a_run_that_is_not_done(app: App, done: Store) -> None:
    done.create_run(OTHER, LESSON.model_dump(mode="json"), name=EVIL)
    page = app(PAGE, run=OTHER)
    assert "![" not in page.warning[0].value
    assert f"The run {EVIL} is queued: only a finished run has a student to export." in html.unescape(
        page.warning[0].value
    ).replace("\u2060", "")
    assert page.selectbox(key=f"export.run.{RUN}").value == RUN


def test_a_link_to_no_run(app: App, done: Store) -> None:
    page = app(PAGE, run="../../etc")
    assert any(text.startswith("There is no run ../../etc") for text in words(page))


def test_from_the_report(app: App, done: Store) -> None:
    page = app("review/report/page.py", run=RUN)
    page.button(key="report.export").click().run()
    assert page.title[0].value == "Export"
    assert page.query_params["run"] == RUN


def test_agreement_is_not_called_accuracy(app: App, made: Path, store: Store) -> None:
    store.save_report(RUN, without_gold(json.loads((SAMPLES / "report.json").read_text("utf-8"))))
    page = app(PAGE)
    assert any(alt.startswith("Agreement: ") for alt in alts(page))
    assert "Agreement" in page.dataframe[-1].value
    assert not any("Accuracy:" in text for text in words(page))
