"""A classroom's middleware, cookies and votes: what students and strangers cannot do."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from pages.room.door import RoomDoor
from pages.shared.room import browsers, votes
from pages.shared.room.votes import Question, Votes

BASE = "/kadomirute"
QUESTION = Question("Up?", ("yes", "no"), ("yes",))


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsers, "SEATED", Counter())


async def behind(scope: Any, receive: Any, send: Any) -> None:
    """The application behind the door."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
    await send({"type": "http.response.body", "body": b"the page"})


def request(path: str, method: str = "GET", *, kind: str = "http", app: Any = behind, **cookies: str) -> Any:
    """Return the messages of the answer."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items()).encode()
    scope = {"type": kind, "path": path, "method": method, "headers": [(b"cookie", cookie)] if cookie else []}
    asyncio.run(RoomDoor(app, BASE)(scope, None, send))  # type: ignore[arg-type]
    return sent


def status(path: str, method: str = "GET", **cookies: str) -> int:
    return int(request(path, method, **cookies)[0]["status"])


def connects(**cookies: str) -> bool:
    """Return True if a session may begin."""
    return bool(
        request(f"{BASE}/_stcore/stream", kind="websocket", **cookies)[0]["type"] == "websocket.accept"
    )


def test_open_paths() -> None:
    for path in (
        "/",
        "/temperature",
        "/static/js/index.js",
        "/component/plotly/plotly.min.js",
        "/media/a.png",
    ):
        assert status(BASE + path) == 200, path
    for path in ("health", "host-config", "bidi-components/kd/x.js"):
        assert status(f"{BASE}/_stcore/{path}") == 200, path


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_methods_that_change_something_are_refused(method: str) -> None:
    for path in ("/_stcore/upload_file/session/1", "/", "/_stcore/agent/interact"):
        assert status(BASE + path, method) == 405, path


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/temperature",
        "/_stcore/health",
        "/kadomiruteX/",
        f"{BASE}/_stcore/metrics",
        f"{BASE}/_stcore/upload_file/session/1",
        f"{BASE}/_stcore/upload%5ffile/session/1",
        f"{BASE}/_stcore/agent/mcp",
        f"{BASE}/_stcore/agent/openapi.json",
        f"{BASE}/_stcore/script-health-check",
        f"{BASE}/page/_stcore/metrics",
        f"{BASE}/auth/login",
        f"{BASE}/oauth2callback",
        f"{BASE}/app/static/x",
        f"{BASE}/present/",
        f"{BASE}/present/guess",
    ],
)
def test_closed_paths_do_not_reveal_the_secret_path(path: str) -> None:
    answer = request(path)
    assert answer[0]["status"] == 404
    assert b"kadomirute" not in answer[1]["body"]


def test_the_presenters_secret_becomes_a_cookie() -> None:
    start, _ = request(f"{BASE}/present/{browsers.WORD}")
    headers = dict(start["headers"])
    assert start["status"] == 303
    assert headers[b"location"] == f"{BASE}/present".encode()
    cookie = headers[b"set-cookie"].decode()
    assert cookie == f"kd_presenter={browsers.WORD}; Path={BASE}/; HttpOnly; SameSite=Strict"


def test_only_the_whole_secret_identifies_the_presenter() -> None:
    assert browsers.presents({browsers.PRESENTER: browsers.WORD})
    for wrong in ("", browsers.WORD[:-1], browsers.WORD + "x", browsers.WORD.swapcase()):
        assert not browsers.presents({browsers.PRESENTER: wrong})
    assert not browsers.presents({})
    assert len(browsers.WORD) >= 20


def test_a_browser_gets_its_cookie_once() -> None:
    headers = dict(request(f"{BASE}/learn")[0]["headers"])
    cookie = headers[b"set-cookie"].decode()
    assert cookie.endswith(f"; Path={BASE}/; HttpOnly; SameSite=Strict")
    value = cookie.split(";")[0].removeprefix("kd_browser=")
    assert browsers.browser_of({"kd_browser": value})
    assert b"set-cookie" not in dict(request(f"{BASE}/learn", kd_browser=value)[0]["headers"])
    assert b"set-cookie" not in dict(request(f"{BASE}/static/js/a.js")[0]["headers"])
    # A browser does not send its cookie to the address without the slash.
    assert b"set-cookie" not in dict(request(BASE)[0]["headers"])
    assert headers[b"content-security-policy"] == b"frame-ancestors 'self'"


def test_forged_cookies() -> None:
    name = browsers.new_browser().split(".")[0]
    for forged in (name, f"{name}.", f"{name}.{'0' * 32}", f".{browsers._signature('x')}", "ä.ö"):
        assert browsers.browser_of({"kd_browser": forged}) is None
        assert not connects(kd_browser=forged)
    assert not connects()


def test_seats_are_limited_except_for_the_presenter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsers, "SEATS", 2)
    seated = [browsers.new_browser() for _ in range(2)]
    for cookie in seated:
        browsers.SEATED[browsers.browser_of({"kd_browser": cookie}) or ""] = 1
    late = browsers.new_browser()
    start, body = request(f"{BASE}/", kd_browser=late)
    assert start["status"] == 503
    assert body["body"].startswith(b"This classroom is full: all 2 seats are taken.")
    assert not connects(kd_browser=late)
    assert status(BASE) == 200  # redirects, perhaps to a browser that has a seat
    assert connects(kd_browser=seated[0])
    assert status(f"{BASE}/", kd_browser=seated[0]) == 200
    assert connects(kd_browser=late, kd_presenter=browsers.WORD)
    assert not connects(kd_browser=late, kd_presenter="guess")


def test_the_presenter_takes_no_seat() -> None:
    seen: list[int] = []

    async def count(scope: Any, receive: Any, send: Any) -> None:
        seen.append(len(browsers.SEATED))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        request(
            f"{BASE}/_stcore/stream",
            kind="websocket",
            app=count,
            kd_browser=browsers.new_browser(),
            kd_presenter=browsers.WORD,
        )
    assert seen == [0]


def test_pages_of_one_browser_are_limited_and_its_seat_is_released() -> None:
    cookie = browsers.new_browser()
    name = browsers.browser_of({"kd_browser": cookie}) or ""
    seen: list[int] = []

    async def count(scope: Any, receive: Any, send: Any) -> None:
        seen.append(browsers.SEATED[name])
        raise ConnectionError

    with pytest.raises(ConnectionError):
        request(f"{BASE}/_stcore/stream", kind="websocket", app=count, kd_browser=cookie)
    assert seen == [1]
    assert name not in browsers.SEATED
    browsers.SEATED[name] = 4
    assert not connects(kd_browser=cookie)


@pytest.fixture
def as_presenter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votes, "is_presenter", lambda: True)


def test_only_the_presenter_controls_a_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Votes()
    monkeypatch.setattr(votes, "is_presenter", lambda: False)
    for act in (lambda: room.open(QUESTION), room.reveal, room.close):
        with pytest.raises(PermissionError, match="Only the presenter"):
            act()
    assert (room.question, room.revealed) == (None, False)


@pytest.mark.usefixtures("as_presenter")
def test_one_answer_for_each_browser() -> None:
    room = Votes()
    assert not room.answer("a", QUESTION, "yes")  # nothing is open
    room.open(QUESTION)
    assert room.answer("a", QUESTION, "yes")
    assert not room.answer("a", QUESTION, "no")
    assert room.answer("b", QUESTION, "no")
    assert not room.answer("c", QUESTION, "perhaps")
    assert room.tally() == {"yes": 1, "no": 1}
    assert (room.answer_of("a"), room.answer_of("c")) == ("yes", None)
    room.reveal()
    assert not room.answer("c", QUESTION, "yes")
    room.open(QUESTION)  # again, without answers
    assert (room.tally(), room.revealed) == ({"yes": 0, "no": 0}, False)
    assert not room.answer("a", Question("Down?", ("yes", "no")), "yes")  # from an outdated page


@pytest.mark.usefixtures("as_presenter")
def test_answers_are_limited_by_seats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votes, "SEATS", 3)
    room = Votes()
    room.open(QUESTION)
    assert [room.answer(str(i), QUESTION, "yes") for i in range(5)] == [True, True, True, False, False]
