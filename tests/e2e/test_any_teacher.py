"""A teacher that is a file, in a real browser: from a sample to the verdict and its doubtful labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from kd_core.config import DistillConfig
from pages.shared.run_form.link import form_link
from tests.e2e.test_run import MINUTE, wait_for_verdict

SHORT = {
    "training.steps": 40,
    "controls.shifted": False,
    "controls.labelled_only": False,
    "controls.latency_repeats": 10,
}
Visit = Callable[..., None]


def test_from_answers_to_the_verdict_and_doubtful_labels(
    page: Page, visit: Visit, axe: Callable[[Page], list[str]]
) -> None:
    visit(page, "/data?data.view=Answers+of+a+teacher")
    page.get_by_role("button", name="Some gold labels").click()
    page.get_by_role("button", name="Save these answers").click()
    page.get_by_role("button", name="Use this task").click()
    expect(page).to_have_url(re.compile("/distill"))
    short = urlencode(form_link(DistillConfig().change(SHORT)))
    visit(page, f"/distill?{page.url.partition('?')[2]}&{short}")
    expect(page.get_by_text("Lends its tokenizer and its start; the teacher is the file.")).to_be_visible()
    page.get_by_role("button", name="Start distillation").click()
    wait_for_verdict(page)
    expect(page.get_by_text("not needed").first).to_be_visible()

    visit(page, "/data?data.view=Doubtful+labels")
    expect(page.get_by_text("labels that the teacher contradicts").first).to_be_visible(timeout=MINUTE)
    start = page.get_by_role("button", name="Start a run with the mended labels")
    expect(start).to_be_disabled()
    assert axe(page) == []
