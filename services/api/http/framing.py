"""Refuses requests with ambiguous framing, and closes their connections, against request smuggling.

Given both Transfer-Encoding and Content-Length, h11 follows the former, as RFC 9112 (6.3) permits, but keeps the
connection open. A proxy in front that follows the length would take for the body's rest what h11 takes for another
request.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.http import problems

_FRAMING = (b"content-length", b"transfer-encoding")


class OneFraming:
    """Middleware that refuses a request with more than one framing header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] == "http" and sum(name in _FRAMING for name, _ in scope["headers"]) > 1:
            detail = "The request says twice where its body ends: send Content-Length, or Transfer-Encoding."
            headers = {"Connection": "close"}
            refusal = problems.answer(Request(scope), HTTPStatus.BAD_REQUEST, detail, headers=headers)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)
