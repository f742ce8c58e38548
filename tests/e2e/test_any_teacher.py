"""A teacher that is a file, and a cascade, in a real browser.

From a sample to the verdict, its doubtful labels and a run without them; from own texts to a promise that the
pair keeps. Runs are of a few steps: what they say of the texts is another test's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

from kd_core.config import DistillConfig
from pages.shared.run_form.link import form_link
from tests.e2e.dashboard import MINUTE, RUN, choose_file, wait_for_verdict

SHORT = {
    "training.steps": 40,
    "controls.shifted": False,
    "controls.labelled_only": False,
    "controls.latency_repeats": 10,
}
Visit = Callable[..., None]
ROW = 35  # pixels of a row of an editor, and about as many of its headings


def set_up(page: Page, visit: Visit, **changes: object) -> None:
    """From a task that is shown on Data to the form."""
    page.get_by_role("button", name="Use this task").click()
    expect(page).to_have_url(re.compile("/distill"))
    short = urlencode(form_link(DistillConfig().change(SHORT | changes)))
    visit(page, f"/distill?{page.url.partition('?')[2]}&{short}")


def distill(page: Page) -> str:
    """To the verdict; the run's id."""
    page.get_by_role("button", name="Start distillation").click()
    return finished(page)


def finished(page: Page) -> str:
    expect(page).to_have_url(re.compile(rf"/distill.*{RUN.pattern}"))
    wait_for_verdict(page)
    match = RUN.search(page.url)
    assert match
    return match[1]


def doubtful(page: Page, visit: Visit, run: str) -> int:
    """How many labels the teacher of the run contradicts, as its page says."""
    visit(page, f"/data?data.view=Doubtful+labels&run={run}")
    said = page.get_by_text("that the teacher contradicts, the surest first")
    expect(said).to_be_visible(timeout=MINUTE)
    return int(said.inner_text().split()[0])


def mark_first(page: Page, as_: str) -> None:
    """The label that the teacher doubts most. A cell is drawn on a canvas, and is no element of its own."""
    page.get_by_test_id("stDataFrame").locator(".dvn-scroller").dblclick(position={"x": 50, "y": 1.5 * ROW})
    page.get_by_role("option", name=as_, exact=True).click()


def test_from_answers_to_the_verdict_and_a_run_with_a_doubtful_label_mended(
    page: Page, visit: Visit, axe: Callable[[Page], list[str]]
) -> None:
    visit(page, "/data?data.view=Answers+of+a+teacher")
    page.get_by_role("button", name="Some gold labels").click()
    page.get_by_role("button", name="Save these answers").click()
    set_up(page, visit)
    expect(page.get_by_text("Lends its tokenizer and its start; the teacher is the file.")).to_be_visible()
    first = distill(page)
    expect(page.get_by_text("not needed").first).to_be_visible()

    before = doubtful(page, visit, first)
    start = page.get_by_role("button", name="Start a run with the mended labels")
    expect(start).to_be_disabled()
    assert axe(page) == []
    mark_first(page, "wrong label")
    expect(page.get_by_text(f"1 of {before} marked, 1 text to be mended")).to_be_visible()
    start.click()
    second = finished(page)
    assert second != first
    expect(page.get_by_text(re.compile("1 text mended")).first).to_be_visible()
    assert doubtful(page, visit, second) == before - 1


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Of all texts, at least")


def test_a_cascade_from_own_texts_to_what_it_promises(
    page: Page, visit: Visit, axe: Callable[[Page], list[str]], tmp_path: Path
) -> None:
    """The student answers as its teacher does, or nearly: two words tell the classes apart."""
    words = {"weather": "rain", "music": "song"}
    rows = [f"the {words[name]} number {i},{name}" for i in range(350) for name in words]
    file = tmp_path / "words.csv"
    file.write_text("\n".join(["text,label", *rows]))
    visit(page, "/data?data.view=Upload+your+own")
    choose_file(page, "data.file", file)
    page.get_by_role("button", name="Save this task").click()
    set_up(page, visit, **{"teacher.model": "scratch", "teacher.epochs": 3})
    run = distill(page)

    visit(page, "/tradeoffs")
    slider(page).focus()
    slider(page).press("End")
    expect(page.get_by_text(re.compile("106 validation texts cannot show 99.5"))).to_be_visible()
    slider(page).press("Home")
    said = page.get_by_text(re.compile(r"The pair was to agree with the teacher on 80\.0"))
    expect(said).to_contain_text(re.compile(r"on 174 test texts this (held|did not hold|fell short)"))
    for label in ("Answered by the student", "A text takes on average", "A million texts cost"):
        expect(page.get_by_text(label, exact=True)).to_be_visible()
    page.get_by_role("radio", name="is right").click()
    expect(page.get_by_text(re.compile("The pair was to be right on 80"))).to_be_visible()
    page.get_by_role("button", name="Add the student in int8").click()
    page.get_by_role("radio", name="ONNX int8").click()
    expect(page.get_by_text(f"kd cascade {run} --agree 80 --right --int8")).to_be_visible()
    expect(page.get_by_text("(timed in turns, by p50 and p95)")).to_be_visible()
    assert axe(page) == []
