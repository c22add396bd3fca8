"""What every answer carries, and what every request must be: asked of a name that is known, and of a bounded size.

Names of this machine, and those that METRICA_HOSTS adds, so that DNS rebinding finds nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.http.framing import OneFraming

HOSTS = ("localhost", "127.0.0.1", "[::1]")
ASKED_BY_ADDRESS = ("/livez", "/readyz", "/metrics")
"""What Prometheus and orchestrators ask each replica for, by the address that they were given: it shows no store."""
LARGEST_BODY = 1024 * 1024

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class KnownHosts(TrustedHostMiddleware):
    """Turns away who asks by another name."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and scope["path"] in ASKED_BY_ADDRESS:
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class SecurityHeaders:
    """Adds the headers. Plain ASGI: a middleware that wraps responses would hold live streams back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                # What is kept of an organization's data, or of a new key, is kept by the client alone and by no cache.
                # A new version's page and script must come together: the browser asks each time, and is told 304.
                headers.setdefault("Cache-Control", "no-store" if _is_data(scope["path"]) else "no-cache")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_data(path: str) -> bool:
    return path.startswith("/v1/") or path == "/v1" or path in ASKED_BY_ADDRESS


class BodyLimit:
    """Refuses a body that is too large, before it is read or as soon as it is seen."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
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
    """Guard an application. The last one added is the first one asked: headers stand on refusals, too.

    Args:
        app: the application.
        other_hosts: names by which it may be asked for, besides this machine's own.
    """
    app.add_middleware(BodyLimit)
    app.add_middleware(OneFraming)
    app.add_middleware(KnownHosts, allowed_hosts=[*HOSTS, *other_hosts], www_redirect=False)
    app.add_middleware(SecurityHeaders)
