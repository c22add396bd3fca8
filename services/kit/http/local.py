"""Recognition of requests from this machine, by the connection rather than by claims in the request.

A request comes from this machine where its connection does, its `Host` is a loopback name (DNS rebinding uses another),
and no proxy has forwarded it. A browser's request besides carries Fetch metadata, which programs do not send.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from services.kit.http.proxies import PEER, Application, Scope
from services.kit.network.client_addresses import is_this_machines

OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip", b"client-ip"}
)
_SITES = frozenset({b"same-origin", b"none"})
_MODES = frozenset({b"cors", b"no-cors", b"same-origin", b"navigate"})


def peer(scope: Scope) -> str:
    """The address that the connection comes from."""
    client = scope.get("client")
    return str(scope.get(PEER, client[0] if client else ""))


def is_of_this_machine(scope: Scope) -> bool:
    """Tell whether a request comes from this machine, and names it by a loopback name."""
    headers = scope["headers"]
    if any(name in _FORWARDED or name.startswith(b"x-forwarded") for name, _ in headers):
        return False
    hosts = [value for name, value in headers if name == b"host"]
    return is_this_machines(peer(scope)) and len(hosts) == 1 and _name(hosts[0]) in OWN_NAMES


def is_browsers(scope: Scope) -> bool:
    """Tell whether a browser sends a request for one of our own pages, or for an address typed by its user.

    Browsers since 2023 mark such requests by headers that no script can set (Fetch metadata); programs do not send
    them.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return (
        headers.get(b"sec-fetch-site") in _SITES
        and headers.get(b"sec-fetch-mode") in _MODES
        and b"sec-fetch-dest" in headers
    )


def may_look_inside(scope: Scope, key: str | None) -> bool:
    """Tell whether a request may see metrics and failed checks: it comes from this machine, or has the metrics key."""
    if is_of_this_machine(scope):
        return True
    if key is None:
        return False
    headers = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = (headers[0] if len(headers) == 1 else b"").partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), key.encode())


class Inside:
    """Restricts an application to this machine and to holders of the metrics key. Plain ASGI."""

    def __init__(self, app: Application, key: str | None) -> None:
        self._app, self._key = app, key

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and not may_look_inside(scope, self._key):
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"www-authenticate", b"Bearer")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": f"{NOT_SHOWN}\n".encode()})
            return
        await self._app(scope, receive, send)


NOT_SHOWN = "Metrics are for this machine, asked as localhost, and for who sends METRICA_METRICS_KEY as a bearer token."


def _name(host: bytes) -> str:
    try:
        return urlsplit(f"//{host.decode('ascii')}").hostname or ""
    except ValueError:  # a broken address in brackets, or no ASCII
        return ""
