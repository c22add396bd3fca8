"""Where a request ends, said once: what two readers would end at two places is refused, and its connection closed.

h11 goes by the chunks where a length is said as well, as RFC 9112 (6.3) lets it, but keeps the connection then. A proxy
before it that goes by the length would take for the body's rest what h11 takes for a next request: request smuggling.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.http import problems

_FRAMING = (b"content-length", b"transfer-encoding")


class OneFraming:
    """Refuses a request that says twice where it ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and sum(name in _FRAMING for name, _ in scope["headers"]) > 1:
            detail = "The request says twice where its body ends: send Content-Length, or Transfer-Encoding."
            headers = {"Connection": "close"}
            refusal = problems.answer(Request(scope), HTTPStatus.BAD_REQUEST, detail, headers=headers)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)
