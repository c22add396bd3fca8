"""Forwarded headers: the client's address and scheme, believed from trusted proxies alone.

`X-Forwarded-For` gives the address, `X-Forwarded-Proto` the scheme. From any other sender, and in any other header
(`Forwarded`, `X-Real-IP` …), nothing is believed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from services.kit.network.trusted_proxies import TrustedProxies

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

PEER = "metrica.peer"
"""Key of a scope: the address that the connection comes from, a proxy's too."""


class ForwardedHeaders:
    """Puts the client's address and scheme into the scope, as a trusted proxy gives them. Plain ASGI."""

    def __init__(self, app: Application, proxies: TrustedProxies) -> None:
        self._app, self._proxies = app, proxies

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            client = scope.get("client")
            peer = client[0] if client else ""
            scope[PEER] = peer
            if peer and self._proxies and await self._proxies.trusts_now(peer):
                self._believe(scope, peer)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope, peer: str) -> None:
        forwarded_for = _values(scope, b"x-forwarded-for")
        if forwarded_for:
            scope["client"] = (self._proxies.client(peer, ",".join(forwarded_for)), 0)
        schemes = _values(scope, b"x-forwarded-proto")
        scheme = schemes[-1].rpartition(",")[2].strip().lower() if schemes else ""
        if scheme in {"http", "https"}:
            scope["scheme"] = scheme


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]
