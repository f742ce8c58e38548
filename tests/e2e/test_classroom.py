"""A classroom in real browsers: a vote, the limit of seats, refused strangers, and printed handouts."""

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
from pages.shared.room.questions import lesson_question
from tests.e2e.dashboard import CUT, Classroom, settle

Browser = Callable[..., Page]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Classroom]:
    """A classroom with two seats besides the presenter's. It must write nothing."""
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


def test_a_vote_and_a_full_classroom(
    room: Classroom,
    browser: Browser,
    axe: Callable[[Page], list[str]],
    console_errors: Callable[[Page], list[str]],
) -> None:
    presenter = enter(browser(zoom=1.5), room.presenter)
    navigation = presenter.get_by_test_id("stTopNav")
    expect(navigation.get_by_text("Race")).to_be_visible()
    assert navigation.evaluate("element => element.scrollWidth - element.clientWidth") == 0
    expect(presenter).to_have_url(f"{room.url}/present")  # the secret word is no longer in the address
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
    questions.scroll_into_view_if_needed()  # an open list closes when its page scrolls
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
    enter(student, room.url)  # the QR code was scanned again
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


def test_strangers_are_refused(room: Classroom, browser: Browser) -> None:
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
    page.goto(f"{room.url}/lessons?lesson=alpha")  # a link made in a dashboard
    expect(page.get_by_text("Step 1 of")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_handout_prints_on_two_pages(page: Page, tmp_path: Path) -> None:
    assert main(["handout", "--to", str(tmp_path)]) == 0
    for place, name in enumerate(lessons(), start=1):
        page.goto((tmp_path / f"{place}-{name}.html").as_uri())
        expect(page.locator("figure svg.main-svg").first).to_be_visible()
        printed = page.pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type /Page\b", printed)) == 2, name
