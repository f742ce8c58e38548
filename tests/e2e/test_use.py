"""Playground and export in a real browser, with the models of one short real run that all tests share."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kd_core.distillation.roles import NAMES
from kd_core.system.formatting import percent
from tests.e2e.dashboard import ROOT, Server, running

MODELS = ("teacher", "student", "alone")
TEXT = "My parcel never came and I want my money back"
FORMULA = '=HYPERLINK("http://127.0.0.1:9/x")'
SHORT = (
    *("--task", "assets/samples/support-messages.csv", "--teacher", "scratch", "--teacher-hidden", "64"),
    *("--steps", "40", "--latency-repeats", "10", "--no-labelled-only"),
)
Visit = Callable[[Page, str], None]


@dataclass(frozen=True)
class Home:
    """A ``KD_HOME`` with one finished run."""

    folder: Path
    run: str

    def kd(self, *arguments: str) -> Any:
        return kd(self.folder, *arguments)


def kd(home: Path, *arguments: str) -> Any:
    """What a command prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "kd_core.cli", *arguments, "--json"],
        cwd=ROOT,
        # One thread: for models this small a second is no help, and beside other work it is a hindrance.
        env={**os.environ, "KD_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("use") / "home"
    return Home(folder, kd(folder, "distill", *SHORT)["run_id"])


@pytest.fixture(scope="module")
def server(finished: Home) -> Iterator[Server]:
    with running(finished.folder) as server:
        yield server


def test_a_click_on_a_mark_opens_its_report(page: Page, visit: Visit, finished: Home) -> None:
    visit(page, "/tradeoffs")
    marks = page.locator(".st-key-tradeoffs-chart .js-plotly-plot .scatterlayer .points path")
    marks.last.hover(force=True)  # Plotly listens above it
    expect(page.locator(".hoverlayer .hovertext").first).to_be_visible()
    marks.last.click(force=True)
    expect(page).to_have_url(re.compile(rf"/report\?run={finished.run}"))
    expect(page.get_by_role("heading", name=re.compile("support-messages"), level=1)).to_be_visible()
    page.get_by_role("link", name="Trade-offs").click()  # and once opened, it is not opened again
    expect(marks.last).to_be_visible()
    page.wait_for_timeout(1500)
    expect(page).to_have_url(re.compile(r"/tradeoffs"))


def test_the_button_of_a_row_opens_its_report(page: Page, visit: Visit, finished: Home) -> None:
    visit(page, "/runs")
    table = page.get_by_test_id("stDataFrame").first
    # A canvas, which has a copy for screen readers once it is at rest; behind a box to tick and the name.
    expect(table.locator("canvas td").first).to_be_attached()
    table.click(position={"x": 33 + 215 + 30, "y": 52})
    expect(page).to_have_url(re.compile(rf"/report\?run={finished.run}"))


def test_on_a_phone_pictures_and_runs_come_before_buttons(
    browser: Callable[..., Page], visit: Visit, finished: Home
) -> None:
    """The order is in app.css, which leans on how Streamlit nests them."""
    page = browser(width=390, height=844)

    def top(place: str) -> float:
        page.locator(place).first.wait_for()
        return page.locator(place).first.evaluate("element => element.getBoundingClientRect().top")  # type: ignore[no-any-return]

    visit(page, f"/report?run={finished.run}")
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0)
    assert top(".st-key-report-accuracy") < top(".st-key-report-actions") < top("[data-testid=stTabs]")
    visit(page, "/runs")
    assert top("[data-testid=stDataFrame]") < top(".st-key-runs-bar")
    expect(page.get_by_role("button", name="Open report")).to_be_hidden()


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_what_a_finished_run_shows_can_be_read_by_everyone(
    theme: str,
    width: int,
    browser: Callable[..., Page],
    visit: Visit,
    finished: Home,
    axe: Callable[[Page], list[str]],
) -> None:
    page = browser(theme=theme, width=width)
    for path in ("report?report.tab=Reproduce", "export?", "tradeoffs?", "capacity?"):
        visit(page, f"/{path}&run={finished.run}".replace("?&", "?"))
        expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0)
        assert axe(page) == [], path


def test_one_text_has_three_answers_and_the_words_that_mattered(
    page: Page, visit: Visit, finished: Home, console_errors: Callable[[Page], list[str]]
) -> None:
    [said] = finished.kd("predict", finished.run, TEXT)["predictions"]
    visit(page, f"/playground?run={finished.run}")
    page.get_by_label("Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Classify").click()
    for who in MODELS:
        answer, probability = max(said[who].items(), key=lambda item: item[1])
        card = page.get_by_test_id("stColumn").filter(has=page.locator(f".st-key-playground-card-{who}"))
        expect(card.get_by_text(NAMES[who], exact=True)).to_be_visible()
        expect(card.get_by_role("heading", name=answer, exact=True)).to_be_visible()
        expect(card.get_by_text(f"{percent(probability)} sure")).to_be_visible()
        # Each word, with the points that the answer loses without it where that is enough to tell.
        shaded = [re.compile(rf"^{word}([+−]\d+\.\d)?\s*$") for word in TEXT.split()]
        expect(page.locator(f".st-key-playground-shades-{who} .bartext")).to_have_text(shaded)
    assert console_errors(page) == []


def test_many_texts_come_back_as_a_file_that_no_spreadsheet_runs(
    page: Page, visit: Visit, finished: Home, tmp_path: Path, console_errors: Callable[[Page], list[str]]
) -> None:
    texts = [TEXT, FORMULA, "The app stops when I press save"]
    said = finished.kd("predict", finished.run, *texts)["predictions"]
    visit(page, f"/playground?run={finished.run}&playground.view=Many+texts")
    lines = page.get_by_label("Texts, one on each line")
    lines.fill("\n".join(texts))
    lines.press("Control+Enter")
    page.get_by_role("button", name="Classify 3 texts").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    file = tmp_path / "answers.csv"
    download.value.save_as(file)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["text"] for row in rows] == [texts[0], f"'{FORMULA}", texts[2]]
    for who in MODELS:
        assert [row[who] for row in rows] == [max(row[who], key=row[who].get) for row in said]
    assert console_errors(page) == []


def test_the_zip_that_is_downloaded_is_whole_and_answers_as_the_run_does(
    page: Page, visit: Visit, finished: Home, tmp_path: Path, console_errors: Callable[[Page], list[str]]
) -> None:
    visit(page, f"/export?run={finished.run}")
    page.get_by_role("button", name="Make the bundle").click()
    button = page.get_by_role("button", name=re.compile("Download zip"))
    expect(button).to_be_visible()
    for form in ("Teacher", "Distilled", "ONNX", "ONNX int8"):
        expect(page.locator(".st-key-export-accuracy").get_by_text(form, exact=True)).to_be_visible()
    with page.expect_download() as download:
        button.click()
    assert download.value.suggested_filename == f"kd-{finished.run}.zip"
    file = tmp_path / "bundle.zip"
    download.value.save_as(file)
    with zipfile.ZipFile(file) as archive:
        top = f"kd-{finished.run}/"
        sums = json.loads(archive.read(f"{top}checksums.json"))
        assert {f"{top}{name}" for name in sums} == set(archive.namelist()) - {f"{top}checksums.json"}
        for name, listed in sums.items():
            content = archive.read(top + name)
            assert (len(content), hashlib.sha256(content).hexdigest()) == (listed["bytes"], listed["sha256"])
    assert {"model/model.safetensors", "onnx/model.onnx", "onnx/model_int8.onnx", "README.md"} <= set(sums)
    assert console_errors(page) == []
