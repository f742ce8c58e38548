"""What every request to a classroom goes through before Streamlit sees it.

A classroom is open to all who know its address, so its door lets through what *Learn* needs and nothing else.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.shared.room import browsers
from pages.shared.visitors import FRAMES

Headers = list[tuple[bytes, bytes]]
CORE = "/_stcore/"  # Streamlit's own; the rest of it (uploads, agents, metrics) stays closed
OPEN_CORE = ("health", "host-config", "stream", "bidi-components/")
CLOSED = ("/auth/", "/oauth2callback", "/app/static/")
ASSETS = ("/static/", "/component/", "/media/", CORE)
PRESENT = "/present/"
MOST_OF_ONE = 4  # open pages of one browser
FULL = (
    "This classroom is full: all {seats} seats are taken. Close the page in another tab, or ask who presents."
)

NOTHING = "There is nothing here. Type the whole address that is shown in the room, with the word at its end."


class RoomDoor:
    """``base``: the path of the classroom's address, "/kadomirute"."""

    def __init__(self, app: ASGIApp, base: str = "") -> None:
        self._app, self._base = app, base.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await self._connect(scope, receive, send)
        if scope["type"] == "http":
            return await self._answer(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, cookies = unquote(scope["path"]), _cookies(scope)
        if scope["method"] not in ("GET", "HEAD"):
            return await _refuse(send, 405, "Nothing is uploaded or changed here.")
        if not (path == self._base or path.startswith(f"{self._base}/")) or not _is_open(path):
            return await _refuse(send, 404, NOTHING)
        _, found, word = path.removeprefix(self._base).partition(PRESENT)
        if found:
            if not browsers.is_word(word):
                return await _refuse(send, 404, NOTHING)
            # On to an address without the word: this one may be seen on a projector.
            place = f"{self._base}/present".encode()
            headers = [
                (b"location", place),
                (b"cache-control", b"no-store"),
                self._cookie(browsers.PRESENTER, word),
            ]
            return await _refuse(send, 303, "", headers)
        new: Headers = [FRAMES]
        # The base alone leads on to the address with a slash; to it no browser sends its cookie.
        if path != self._base and not any(part in path for part in ASSETS):
            if not self._has_room(cookies):
                return await _refuse(send, 503, FULL.format(seats=browsers.SEATS))
            if browsers.browser_of(cookies) is None:
                new.append(self._cookie(browsers.BROWSER, browsers.new_browser()))

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *new]}
            await send(message)

        return await self._app(scope, receive, send_more)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = _cookies(scope)
        browser = browsers.browser_of(cookies)
        if browser is None or not self._has_room(cookies) or browsers.SEATED[browser] >= MOST_OF_ONE:
            return await send({"type": "websocket.close", "code": 1008})
        if browsers.presents(cookies):  # and needs no seat
            return await self._app(scope, receive, send)
        browsers.SEATED[browser] += 1
        try:
            return await self._app(scope, receive, send)
        finally:
            browsers.SEATED[browser] -= 1
            if not browsers.SEATED[browser]:
                del browsers.SEATED[browser]

    def _has_room(self, cookies: dict[str, str]) -> bool:
        """Whoever presents always has a seat, and so has a browser that sits already."""
        seated = browsers.browser_of(cookies) in browsers.SEATED
        return seated or browsers.presents(cookies) or len(browsers.SEATED) < browsers.SEATS

    def _cookie(self, name: str, value: str) -> tuple[bytes, bytes]:
        """For this session of the browser, unseen by scripts; never sent from another site."""
        return (b"set-cookie", f"{name}={value}; Path={self._base}/; HttpOnly; SameSite=Strict".encode())


def _is_open(path: str) -> bool:
    _, core, rest = path.partition(CORE)
    if core:
        return any(rest == name or (name.endswith("/") and rest.startswith(name)) for name in OPEN_CORE)
    return not any(closed in path for closed in CLOSED)


def _cookies(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope.get("headers", ()):
        if name == b"cookie":
            try:
                found |= {key: each.value for key, each in SimpleCookie(value.decode("latin-1")).items()}
            except CookieError:
                continue
    return found


async def _refuse(send: Send, status: int, words: str, headers: Headers | None = None) -> None:
    plain = (b"content-type", b"text/plain; charset=utf-8")
    await send(
        {"type": "http.response.start", "status": status, "headers": [plain, FRAMES, *(headers or [])]}
    )
    await send({"type": "http.response.body", "body": words.encode()})
