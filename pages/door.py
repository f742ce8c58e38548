"""What every request goes through before Streamlit sees it."""

from __future__ import annotations

import time
from collections import deque
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.shared.visitors import FRAMES, is_admitted

UPLOADS = "/_stcore/upload_file/"
MOST_UPLOADS, SECONDS = 30, 60.0  # of one session


class Door:
    """Nobody shows these pages inside their own, and nobody uploads a file before they are let in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._uploads: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), FRAMES]}
            await send(message)

        _, found, rest = unquote(scope["path"]).partition(UPLOADS)
        if found and scope["method"] != "OPTIONS" and (refused := self._refuse(rest.split("/")[0], scope)):
            await send_with_policy({"type": "http.response.start", "status": refused, "headers": []})
            return await send({"type": "http.response.body", "body": b"Log in first, or wait a minute."})
        return await self._app(scope, receive, send_with_policy)

    def _refuse(self, session: str, scope: Scope) -> int:
        """The status of a request that goes no further; else 0."""
        if not is_admitted(session):
            return 403
        if scope["method"] == "DELETE":  # a file is taken out of the form again
            return 0
        now, last = time.monotonic(), self._uploads.setdefault(session, deque(maxlen=MOST_UPLOADS))
        if len(last) == MOST_UPLOADS and now - last[0] < SECONDS:
            return 429
        last.append(now)
        return 0
