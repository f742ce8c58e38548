"""The Export page before, while and after a bundle is made. Nothing is converted here."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON
from kd_core.jobs.store import Store
from tests import disturbed, without_gold
from tests.ui.charts import alts
from tests.ui.finished import EVIL, OTHER, RUN, THIRD, App, benchmark, finish, inert, numbers, read, sample
from tests.unit.deployment.stairs import FORMS, MACHINE

PAGE = "use/export/page.py"
JOB = OTHER


@pytest.fixture
def done(store: Store) -> Store:
    return finish(store)


def export(store: Store, to: Path | None, job_id: str = JOB, run: str = RUN, **changes: Any) -> None:
    """Adds an export that is done; ``changes`` are settings, and what its report has more."""
    settings = {"run": run, "to": to and str(to), "onnx": True, "int8": True}
    settings |= {name: value for name, value in changes.items() if name in ("int8", "agree")}
    store.create_run(job_id, settings, kind="export", name="Export of Demo")
    report = {"run": run, "task": "bbc-headlines", "to": to and str(to), "texts": 524, "machine": MACHINE}
    store.save_report(job_id, report | {"forms": FORMS} | changes)
    store.set_status(job_id, "done")


@pytest.fixture
def made(done: Store, home: Path) -> Path:
    """Adds a bundle of 3 files that was made in the dashboard, and returns its zip."""
    place = home / "exports" / "x" / "kd.zip"
    place.parent.mkdir(parents=True)
    with zipfile.ZipFile(place, "w") as archive:
        for name, size in (("model/config.json", 10), ("model/model.safetensors", 2_000), ("README.md", 30)):
            archive.writestr(f"kd-{RUN}/{name}", "x" * size)
    export(done, place)
    return place


def headings(page: AppTest) -> list[str]:
    assert not page.exception
    return [element.value for element in page.subheader]


def downloads(page: AppTest) -> list[str]:
    return [button.proto.label for button in page.get("download_button")]


def test_without_a_run(app: App) -> None:
    page = app(PAGE)
    assert page.info[0].value.startswith("No run is done yet.")
    assert not page.button


def test_student_before_the_export(app: App, done: Store, home: Path) -> None:
    folder = home / "runs" / RUN
    student = folder / "students" / "student-0"
    student.mkdir(parents=True)
    (student / "model.safetensors").write_bytes(b"w" * 400_000)
    (student / "tokenizer.json").write_bytes(b"t" * 1_000)
    (folder / "report.json").write_bytes(b"r" * 3_000)
    done.create_run(OTHER, LESSON.model_dump(mode="json"), name="Queued")
    page = app(PAGE)
    assert page.query_params["run"] == RUN
    (option,) = page.selectbox(key=f"export.run.{RUN}").options
    assert option.startswith("Demo · bbc-headlines: minilm-l6 → tiny · ")
    report = done.report(RUN).student
    shown = numbers(page)
    assert shown["Accuracy"] == f"{100 * report.accuracy:.1f} %"
    assert [metric.delta for metric in page.metric] == ["± 2.8", "", ""]
    assert (shown["Size"], shown["A text takes"]) == (f"{report.size_mb:.1f} MB", "1.69 ms")
    sizes = page.table[0].value.set_index("File")["About"].str.replace("\u00a0", " ")
    assert sizes[sizes != "a few kB"].to_dict() == {
        "model/": "0.4 MB",
        "onnx/model_int8.onnx": "0.1 MB",
        "onnx/model.onnx": "0.4 MB",
        "onnx/": "1 kB",
        "report.json": "3 kB",
    }
    assert len(page.code) == 2
    page.toggle(key="export.onnx").set_value(False).run()
    assert page.toggle(key="export.int8").disabled
    assert "onnx/" not in set(page.table[0].value["File"])
    assert ["transformers" in block.value for block in page.code] == [True]


def test_score_of_several_seeds_is_that_of_the_exported_one(app: App, done: Store) -> None:
    report = sample()
    report["config"]["training"]["metric"] = "macro_f1"
    (first,) = report["student"]["seeds"].values()
    report["student"]["seeds"]["1"] = first
    report["student"]["macro_f1"] = 0.5
    done.save_report(RUN, report)
    page = app(PAGE, run=RUN)
    assert page.metric[0].value == f"{100 * first['macro_f1']:.1f} %"
    assert page.metric[0].label == "Macro-F1"
    assert "The student of seed 0, the first of 2, as it was trained" in read(page)


@pytest.mark.parametrize(("onnx", "int8"), [(True, False), (False, True)])
def test_making_a_bundle(app: App, done: Store, home: Path, onnx: bool, int8: bool) -> None:
    page = app("review/report/page.py", run=RUN).button(key="report.export").click().run()
    assert (page.title[0].value, page.query_params["run"]) == ("Export", RUN)
    page = app(PAGE, run=RUN)
    page.button(key="export.make").click().run()
    assert f"There is no run {RUN} in the data folder; it may have been deleted or be elsewhere." in read(
        page
    )
    assert done.runs(kind="export") == []
    (home / "runs" / RUN).mkdir(parents=True)
    page.toggle(key="export.onnx").set_value(onnx)
    page.toggle(key="export.int8").set_value(int8)
    page.button(key="export.make").click().run()
    (job,) = done.runs(kind="export")
    assert job.name == "Export of Demo"
    assert (job.config["onnx"], job.config["int8"]) == (onnx, onnx and int8), "int8 needs ONNX"
    target = Path(job.config["to"])
    assert target.name == f"kd-{RUN}.zip"
    assert target.is_relative_to(home / "exports")
    waits = "Waits for its turn: one job at a time uses this machine"
    assert waits in [bar.proto.text for bar in page.get("progress")]
    assert page.button(key="export.make").disabled
    assert page.button(key="export.job.stop")


def test_made_bundle(app: App, made: Path) -> None:
    page = app(PAGE, run=RUN)
    said = read(page)
    assert (
        "- **ONNX int8**: 30.0x smaller and 20.0x faster than the teacher; 0.2 points less accurate than the "
        "distilled student." in said
    )
    assert "one text, without the tokenizer, on 1 thread, 100 test texts" in said
    assert alts(page) == [
        "Size: Teacher 90.0 MB, Distilled 10.0 MB, ONNX 12.0 MB, ONNX int8 3.0 MB.",
        "Latency: Teacher 8.00 ms, Distilled 1.00 ms, ONNX 0.80 ms, ONNX int8 0.40 ms.",
        "Accuracy: Teacher 87.6 %, Distilled 88.2 %, ONNX 88.2 %, ONNX int8 88.0 %.",
    ]
    assert downloads(page) == ["Download zip, 3 kB"]
    listed = page.table[0].value.replace("\u00a0", " ", regex=True)
    assert listed.to_numpy().tolist() == [
        ["model/", "2 kB", "The student: its config, weights and tokenizer"],
        ["README.md", "30 bytes", "Model card"],
    ]
    pipeline, onnx = (block.value for block in page.code)
    assert 'pipeline("text-classification", model="model")' in pipeline
    assert 'InferenceSession("onnx/model_int8.onnx")' in onnx
    assert page.button(key="export.make").label == "Make it again"
    for setting in ("cascade", "calibrate"):
        assert "What is in it" in headings(page)
        page.toggle(key=f"export.{setting}").set_value(True).run()
        assert "What is in it" not in headings(page), "another one is wanted"
        assert page.button(key="export.make").label == "Make the bundle"
        page.toggle(key=f"export.{setting}").set_value(False).run()


def test_bundle_with_a_cascade(app: App, made: Path, done: Store) -> None:
    assert "The cascade in the zip" not in headings(app(PAGE, run=RUN))
    found = "The student answers where it is at least 90 % sure. The pair was to agree with the teacher."
    export(done, made, THIRD, agree=99.9, int8=False, cascade=found)
    page = app(PAGE, run=RUN)
    assert "The cascade in the zip" in headings(page)
    assert page.toggle(key="export.cascade").value
    assert page.number_input(key="export.agree").value == 99.5, "no field has more"
    assert not page.toggle(key="export.int8").value
    assert f"**{found.replace('. The', '.** The')}" in read(page)
    assert page.code[-1].value == 'python cascade.py "a text"'
    page.number_input(key="export.agree").set_value(95.0).run()
    assert "What is in it" not in headings(page)
    assert "was made with other settings: Hugging Face, ONNX, cascade." in read(page)


def test_times_are_the_newest_that_nothing_disturbed(app: App, done: Store) -> None:
    def takes(page: AppTest) -> str:
        return numbers(page)["A text takes"]

    done.save_report(RUN, disturbed(sample()))
    said = read(app(PAGE, run=RUN))
    assert "on the machine of the run. While answers were timed, the processor was at other work" in said
    done.save_report(RUN, sample())
    forms = [form for form in FORMS if form["who"] != "alone"]  # as exports are
    busy = [form | {"latency_ms": form["latency_ms"] | {"busy": 0.4}} for form in forms]
    export(done, None, forms=busy)
    page = app(PAGE, run=RUN)
    assert takes(page) == "1.69 ms", "that of the run"
    assert "of the time: export again when the machine is idle." in read(page)
    done.save_report(JOB, done.report_json(JOB) | {"forms": forms})
    page = app(PAGE, run=RUN)
    assert takes(page) == "1.00 ms"
    day = f"{done.run(JOB).created.astimezone():%d %b %Y}"
    assert f"as it was trained, in PyTorch, one text at a time in the export of {day}." in read(page)
    benchmark(done, THIRD)
    page = app(PAGE, run=RUN)
    assert takes(page) == "1.57 ms"
    assert alts(page)[1] == "Latency: Teacher 9.22 ms, Distilled 1.57 ms, ONNX 0.48 ms, ONNX int8 0.34 ms."


def test_earlier_bundles(app: App, made: Path, done: Store, home: Path) -> None:
    newer = home / "exports" / "y" / f"kd-{RUN}.zip"
    newer.parent.mkdir(parents=True)
    newer.write_bytes(made.read_bytes())
    export(done, newer, THIRD)
    page = app(PAGE, run=RUN)
    assert "Earlier bundles" in headings(page)
    assert read(page).count("Hugging Face, ONNX, ONNX int8") == 1
    assert downloads(page) == ["Download zip, 3 kB", "Download, 3 kB"]
    made.unlink()
    assert "Earlier bundles" not in headings(app(PAGE, run=RUN))
    newer.unlink()
    page = app(PAGE, run=RUN)
    assert "The zip is no longer on this machine." in read(page)
    assert not downloads(page)
    export(done, home, "20260131-170000-0000")
    page = app(PAGE, run=RUN)
    assert page.code[0].value == str(home), "the command has made a folder"
    assert not downloads(page)


def test_network_that_loads_by_its_code(app: App, store: Store) -> None:
    finish(store, student__model="cnn")
    export(store, None)
    page = app(PAGE, run=RUN)
    assert "transformers has no convolutional network, so the code of one comes along" in read(page)
    transformers, onnx = (block.value for block in page.code)
    assert "trust_remote_code=True" in transformers
    assert "onnxruntime" in onnx


def test_export_that_failed(app: App, made: Path, store: Store) -> None:
    store.create_run(THIRD, {"run": RUN}, kind="export")
    store.set_status(THIRD, "failed", f"The disk with {EVIL} is full.")
    page = app(PAGE, run=RUN)
    assert f"The disk with {EVIL} is full." in read(page)
    inert(page)
    assert page.button(key="export.job.again").label == "Start it again"
    assert downloads(page), "the one before is still there"


def test_link_to_no_finished_run(app: App, done: Store) -> None:
    done.create_run(OTHER, LESSON.model_dump(mode="json"), name=EVIL)
    page = app(PAGE, run=OTHER)
    assert f"The run {EVIL} is queued: only a finished run has a student to export." in read(page)
    inert(page)
    assert page.selectbox(key=f"export.run.{RUN}").value == RUN
    assert "There is no run ../../etc" in read(app(PAGE, run="../../etc"))


def test_agreement_is_not_called_accuracy(app: App, made: Path, store: Store) -> None:
    store.save_report(RUN, without_gold(sample()))
    page = app(PAGE)
    assert any(alt.startswith("Agreement: ") for alt in alts(page))
    assert "Agreement" in page.dataframe[-1].value
    assert "Accuracy:" not in read(page)
