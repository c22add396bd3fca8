"""Security headers of responses; allowed hosts and body size of requests.

Allowed hosts are the names of this machine and those in METRICA_HOSTS, against DNS rebinding.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.http.compression import CompressedJson
from services.api.http.framing import OneFraming

HOSTS = ("localhost", "127.0.0.1", "[::1]")
ASKED_BY_ADDRESS = ("/livez", "/readyz", "/metrics")
"""Paths that Prometheus and orchestrators request by a replica's address; they return no organization's data."""
LARGEST_BODY = 1024 * 1024

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "manifest-src 'self'; worker-src 'self'; require-trusted-types-for 'script'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class KnownHosts(TrustedHostMiddleware):
    """Middleware that refuses requests for other hosts."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] == "http" and scope["path"] in ASKED_BY_ADDRESS:
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class SecurityHeaders:
    """Middleware that adds the headers. Plain ASGI: Starlette's BaseHTTPMiddleware would delay live streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                # An organization's data and new keys are for the client alone, and are not cached.
                # Page and script must be of one version: the browser revalidates each time, and gets 304.
                headers.setdefault("Cache-Control", "no-store" if _is_data(scope["path"]) else "no-cache")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_data(path: str) -> bool:
    return path.startswith("/v1/") or path == "/v1" or path in ASKED_BY_ADDRESS


class BodyLimit:
    """Middleware that refuses a body as soon as more than `LARGEST_BODY` bytes have been received."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request."""
        seen = 0

        async def receive_bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > LARGEST_BODY:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"The body is larger than {LARGEST_BODY // 1024} KiB, the most that one request may hold.",
                )
            return message

        await self._app(scope, receive_bounded if scope["type"] == "http" else receive, send)


def install(app: FastAPI, other_hosts: Sequence[str]) -> None:
    """Add the middleware. The last one added is the outermost, so that refusals have the headers, too.

    Args:
        other_hosts: allowed hosts besides this machine's own names.
    """
    app.add_middleware(BodyLimit)
    app.add_middleware(OneFraming)
    app.add_middleware(CompressedJson)
    app.add_middleware(KnownHosts, allowed_hosts=[*HOSTS, *other_hosts], www_redirect=False)
    app.add_middleware(SecurityHeaders)
