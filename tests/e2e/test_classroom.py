"""A classroom in real browsers: the way in, a vote, its limit, the presenter's keys, and paper."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from kd_core.cli import main
from kd_core.learn.lessons import lessons
from pages.learn.labs.catalogue import LABS
from pages.shared.room.questions import lesson_question
from tests.e2e.dashboard import Classroom, settle

Browser = Callable[..., Page]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Classroom]:
    """With two seats besides the presenter's. Nothing may be written."""
    room = Classroom(tmp_path / "home", "--seats", "2")
    room.start()
    yield room
    room.stop()
    assert "Traceback" not in room.log.read_text()
    assert not room.home.exists()


def enter(page: Page, address: str) -> Page:
    page.goto(address)
    settle(page)
    return page


def test_a_vote_in_a_room_that_fills_up(
    room: Classroom,
    browser: Browser,
    axe: Callable[[Page], list[str]],
    console_errors: Callable[[Page], list[str]],
) -> None:
    presenter = enter(browser(zoom=1.5), room.presenter)
    expect(presenter).to_have_url(f"{room.url}/present")  # the word is not there to be photographed
    expect(presenter.get_by_text(room.url, exact=True)).to_be_visible()
    expect(presenter.get_by_role("img").first).to_be_visible()
    assert axe(presenter) == []

    student = enter(browser(width=390, height=844), room.url)
    frames: list[str] = []
    student.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))))
    student.reload()
    settle(student)
    expect(student.get_by_role("link", name="Room")).to_have_count(0)
    lesson = lessons()["alpha"]
    question = lesson_question(lesson)
    wrong = next(option for option in question.options if option not in question.right)

    questions = presenter.get_by_role("combobox", name="Question")
    questions.scroll_into_view_if_needed()  # at this zoom it is below; a list closes when its page scrolls
    presenter.wait_for_timeout(300)
    questions.click()
    presenter.get_by_role("option", name=lesson.title).click()
    expect(questions).to_have_value(lesson.title)
    settle(presenter)
    presenter.get_by_role("button", name="Ask the room").click()
    student.get_by_role("radio", name=wrong).check(force=True)
    assert axe(student) == []
    expect(student.get_by_role("button", name="Send")).to_be_enabled()
    student.get_by_role("button", name="Send").click()
    expect(student.get_by_text("It counts; wait for the others.")).to_be_visible()
    student.reload()
    expect(student.get_by_text("It counts; wait for the others.")).to_be_visible()
    enter(student, room.url)  # as who photographs the picture again
    expect(student.get_by_text("It counts; wait for the others.")).to_be_visible()
    expect(presenter.get_by_text("1 of 1 has answered")).to_be_visible()
    assert "check_circle" not in student.content() + "".join(frames)
    assert "check_circle" not in student.url
    assert presenter.evaluate(CUT) == []
    expect(student.get_by_role("link", name="See it in the lab")).to_have_count(0)
    presenter.get_by_role("button", name="Reveal").click()
    expect(student.get_by_text("check_circle").first).to_be_visible()
    student.get_by_role("link", name="See it in the lab").click()
    expect(student).to_have_url(re.compile(r"/loss"))
    settle(student)
    assert axe(student) == []

    enter(browser(), f"{room.url}/race")
    late = browser()
    late.goto(room.url)
    expect(late.get_by_text("This classroom is full: all 2 seats are taken.")).to_be_visible()
    assert console_errors(presenter) == console_errors(student) == []


def test_what_no_stranger_can_do(room: Classroom, browser: Browser) -> None:
    site = room.url.rpartition("/")[0]
    for path, method, status in (
        (site, "GET", 404),
        (f"{site}/learn", "GET", 404),
        (f"{room.url}/_stcore/upload_file/session/1", "PUT", 405),
        (f"{room.url}/_stcore/agent/interact", "POST", 405),
        (f"{room.url}/_stcore/metrics", "GET", 404),
        (f"{room.url}/present/guess", "GET", 404),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(path, method=method))
        with refused.value as answer:
            assert answer.code == status, path
    page = browser()
    page.goto(f"{room.url}/present")
    expect(page.get_by_role("dialog")).to_contain_text("Page not found")
    expect(page.get_by_text("Ask a question")).to_have_count(0)
    page.goto(f"{room.url}/distill")
    expect(page.get_by_role("dialog")).to_contain_text("Page not found")
    expect(page.get_by_role("heading", name="Lessons", level=1)).to_be_visible()
    page.goto(f"{room.url}/lessons?lesson=alpha")  # as a link from a dashboard has it
    expect(page.get_by_text("Step 1 of")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_presenters_keys_type_and_reset(page: Page, visit: Callable[..., None]) -> None:
    visit(page, "/lessons?lesson=alpha&view=presenter")
    expect(page.get_by_test_id("stSidebar")).to_have_count(0)
    expect(page.get_by_text("The student has two sources.")).to_have_css("font-size", "24px")
    page.wait_for_function("() => window.kdTurns")  # who listens has come
    settle(page)
    page.keyboard.press("PageDown")
    expect(page.get_by_text("Step 2 of 4")).to_be_visible()
    settle(page)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Step 3 of 4")).to_be_visible()
    settle(page)
    page.keyboard.press("PageUp")
    expect(page.get_by_text("Step 2 of 4")).to_be_visible()
    settle(page)
    slider = page.get_by_role("slider", name="Alpha")
    slider.focus()
    page.keyboard.press("ArrowRight")  # of the slider, not of the lesson
    expect(slider).to_have_value("0.35")
    expect(page.get_by_text("Step 2 of 4")).to_be_visible()
    page.get_by_role("button", name="Reset").click()
    expect(slider).to_have_value("0.3")
    page.get_by_role("button", name="Leave presenter view").click()
    expect(page.get_by_test_id("stSidebar")).to_be_visible()


def test_where_nothing_goes_on_the_presenters_key_scrolls(page: Page, visit: Callable[..., None]) -> None:
    visit(page, "/quiz?view=presenter")
    page.wait_for_function("() => window.kdTurns")
    page.get_by_role("heading", name="Quiz").click()
    page.keyboard.press("PageDown")
    page.wait_for_function("() => document.querySelector('[data-testid=stMain]').scrollTop > 0")


CUT = """() => {
    const main = document.querySelector('[data-testid=stMain]'), found = [];
    const words = 'p, button, label, summary, h1, h2, h3, li, td, [role=tab]';
    for (const each of main.querySelectorAll(words)) {
        const {overflowX, overflowY, display} = getComputedStyle(each);
        if (!each.offsetParent || display === 'inline') continue;
        if (overflowX !== 'visible' && each.scrollWidth > each.clientWidth + 1
            || ['hidden', 'clip'].includes(overflowY) && each.scrollHeight > each.clientHeight + 2)
            found.push(each.textContent);
    }
    for (const chart of main.querySelectorAll('.js-plotly-plot')) {
        const box = chart.getBoundingClientRect();
        for (const each of chart.querySelectorAll('text')) {
            const {left, right, top, bottom, width} = each.getBoundingClientRect();
            if (width && (left < box.left - 1 || right > box.right + 1
                || top < box.top - 1 || bottom > box.bottom + 1))
                found.push(`in a chart: ${each.textContent}`);
        }
    }
    const page = document.documentElement;
    return page.scrollWidth > page.clientWidth ? [...found, 'the page'] : found;
}"""


@pytest.mark.parametrize("width", [1440, 1280])
def test_the_navigation_is_not_cut_at_a_zoom_of_150_per_cent(
    width: int, room: Classroom, browser: Browser
) -> None:
    navigation = enter(browser(zoom=1.5, width=width), room.presenter).get_by_test_id("stTopNav")
    expect(navigation.get_by_text("Race")).to_be_visible()
    assert navigation.evaluate("element => element.scrollWidth - element.clientWidth") == 0


def test_nothing_is_cut_at_a_zoom_of_150_per_cent(browser: Browser, visit: Callable[..., None]) -> None:
    page = browser(zoom=1.5)
    labs = [f"/{lab.name}?hide=question&" for lab in LABS]  # with all that an answer reveals
    steps = [f"/lessons?lesson={name}&step={step}&" for name in lessons() for step in ("1", "3")]
    for path in ("/learn?", "/quiz?", "/race?", *labs, *steps):
        visit(page, f"{path}view=presenter")
        expect(page.locator("html")).to_have_css("font-size", "24px")
        assert page.evaluate("devicePixelRatio * innerWidth") == 1440
        assert page.evaluate(CUT) == [], path


def test_a_lesson_on_paper(page: Page, tmp_path: Path) -> None:
    """One sheet each: the question, and behind it the answer."""
    assert main(["handout", "--to", str(tmp_path)]) == 0
    for place, name in enumerate(lessons(), start=1):
        page.goto((tmp_path / f"{place}-{name}.html").as_uri())
        expect(page.locator("figure svg.main-svg").first).to_be_visible()
        printed = page.pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type /Page\b", printed)) == 2, name


def test_the_handout_of_a_lesson_in_the_dashboard(page: Page, visit: Callable[..., None]) -> None:
    visit(page, "/lessons?lesson=temperature")
    with page.expect_download() as started:
        page.get_by_role("button", name="Handout").click()
    assert started.value.suggested_filename == "temperature.html"
    assert "The answer" in Path(started.value.path()).read_text("utf-8")
