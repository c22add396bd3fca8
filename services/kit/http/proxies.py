"""Which proxies are believed about who asks: those that METRICA_TRUSTED_PROXIES names, and nobody else.

A trusted proxy appends its client's address to `X-Forwarded-For`, and says in `X-Forwarded-Proto` how it was asked.
The client is the right-most address there that is no trusted proxy's: what stands left of it, anybody can have written.
From others, and in any other header (`Forwarded`, `X-Real-IP` …), nothing is believed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from services.kit.http.addresses import Address, parse

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

PEER = "metrica.peer"
"""In a scope: the address that the connection comes from, a proxy's too."""
ANEW, OLD = 1.0, 30.0
"""Seconds between two look-ups of the names for a stranger's sake, and after which an answer is too old."""
LOOK_UP_SECONDS = 3.0
MOST_HOPS = 32

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_NUMBERS = re.compile(r"[0-9.]+")

log = logging.getLogger(__name__)  # settings are read before logs are configured


def _look_up(name: str) -> set[str]:
    return {str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}


class TrustedProxies:
    """The proxies that are believed.

    Args:
        entries: addresses, networks, and names, which are looked up again and again.
        look_up: gives a name's addresses.

    Raises:
        ValueError: one is neither, or a network of everybody.
    """

    def __init__(self, entries: Iterable[str] = (), look_up: Callable[[str], set[str]] = _look_up) -> None:
        self._networks, self._names = [], []
        for entry in entries:
            network = _network(entry)
            if network is not None:
                self._networks.append(network)
            else:
                self._names.append(entry)
        self._look_up = look_up
        self._found: set[Address] = set()
        self._looked_at = -OLD
        self._looking: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        return bool(self._networks or self._names)

    def trusts(self, text: str) -> bool:
        """Tell whether an address is a trusted proxy's, as far as the names were looked up."""
        address = parse(text)
        return address is not None and (address in self._found or any(address in network for network in self._networks))

    async def trusts_now(self, text: str) -> bool:
        """The same, after the names were looked up again where that may change the answer."""
        if self._names:
            age = time.monotonic() - self._looked_at
            if age >= OLD or (age >= ANEW and not self.trusts(text)):
                await self._refresh()
        return self.trusts(text)

    def client(self, peer: str, forwarded_for: str) -> str:
        """The right-most address that is no trusted proxy's; the last proxy's where there is none to be read."""
        client = peer
        for hop in reversed(forwarded_for.split(",")[-MOST_HOPS:]):
            address = parse(_without_port(hop.strip()))
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return client

    async def _refresh(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._find())
        await asyncio.shield(self._looking)

    async def _find(self) -> None:
        found: set[Address] = set()
        for name in self._names:
            try:
                async with asyncio.timeout(LOOK_UP_SECONDS):
                    told = await asyncio.to_thread(self._look_up, name)
            except (OSError, TimeoutError, UnicodeError) as error:
                log.info("the trusted proxy %s is not found: %s", name, str(error) or repr(error))
                continue
            found.update(address for one in told if (address := parse(one)) is not None)
        self._found, self._looked_at = found, time.monotonic()


class ForwardedHeaders:
    """Puts the client's address and scheme into the scope, as a trusted proxy says them. Plain ASGI."""

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
        told = _values(scope, b"x-forwarded-for")
        if told:
            scope["client"] = (self._proxies.client(peer, ",".join(told)), 0)
        schemes = _values(scope, b"x-forwarded-proto")
        scheme = schemes[-1].rpartition(",")[2].strip().lower() if schemes else ""
        if scheme in {"http", "https"}:
            scope["scheme"] = scheme


def read_proxies(text: str) -> TrustedProxies:
    """The setting: addresses, networks and names, with commas or blanks between.

    Raises:
        ValueError: one is none of these.
    """
    return TrustedProxies(text.replace(",", " ").split())


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """An address or network; None for a name."""
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        if not _NAME.fullmatch(entry) or _NUMBERS.fullmatch(entry):
            raise ValueError(
                f"{entry!r} is no trusted proxy: name its address, its network (10.0.0.0/24) or its host name"
            ) from None
        return None
    if network.prefixlen == 0:
        raise ValueError(f"{entry} is everybody: name the proxy's own address or network")
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:  # ::ffff:0:0/96
        return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    return network


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]
