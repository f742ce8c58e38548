"""The dashboard's ASGI middleware: uploads before log-in, their rate, and framing by other sites."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pages import door
from pages.shared import visitors


def ask(path: str, method: str = "PUT") -> tuple[int, dict[bytes, bytes]]:
    """Return the status and the headers. The application behind the door answers 200."""
    sent: list[dict[str, Any]] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(door.Door(behind)({"type": "http", "path": path, "method": method}, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def test_uploads_need_an_admitted_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "_ADMITTED", {"known"})
    place = "/_stcore/upload_file/stranger/1"
    for path in (place, f"/base{place}", "/_stcore/upload%5ffile/stranger/1"):
        assert ask(path)[0] == 403, path
    assert ask("/_stcore/upload_file/known/1")[0] == 200
    assert ask("/_stcore/health", "GET")[0] == 200


def test_upload_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(visitors, "_ADMITTED", {"one", "other"})
    monkeypatch.setattr(door.time, "monotonic", lambda: now[0])
    gate = door.Door(None)  # type: ignore[arg-type]

    def upload(session: str, method: str = "PUT") -> int:
        return gate._refuse(session, {"method": method})

    assert [upload("one") for _ in range(31)] == [0] * 30 + [429]
    assert (upload("other"), upload("one", "DELETE")) == (0, 0)
    now[0] = 61
    assert upload("one") == 0


def test_no_framing_by_other_sites() -> None:
    for path in ("/", "/_stcore/upload_file/stranger/1"):
        assert ask(path)[1][b"content-security-policy"] == b"frame-ancestors 'self'"
