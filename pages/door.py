"""What every request goes through before Streamlit sees it."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.shared.visitors import is_admitted

UPLOADS = "/_stcore/upload_file/"
FRAMES = (b"content-security-policy", b"frame-ancestors 'self'")


class Door:
    """Nobody shows these pages inside their own, and nobody uploads a file before they are let in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), FRAMES]}
            await send(message)

        _, found, rest = unquote(scope["path"]).partition(UPLOADS)
        if found and scope["method"] != "OPTIONS" and not is_admitted(rest.split("/")[0]):
            await send_with_policy({"type": "http.response.start", "status": 403, "headers": []})
            return await send({"type": "http.response.body", "body": b"Log in first."})
        return await self._app(scope, receive, send_with_policy)
