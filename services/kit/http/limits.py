"""Limits on clients: seconds, bytes and connections.

A connection *waits for its client* while a request's head or body is incomplete, between two requests, and while the
client does not read an answer. Where there are too many connections, the one that has waited longest is closed for the
new one: half-open requests, however many, lock no client out. Where none waits, the new one is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from prometheus_client import Counter, Gauge

OPEN = Gauge("metrica_http_connections", "Connections to this service's HTTP server now.")
ENDED = Counter("metrica_http_connections_ended", "Connections that this service ended, by why.", ["why"])


class Why(StrEnum):
    """Reason for which a connection was ended."""

    HEAD = "slow head"
    BODY = "slow body"
    STALLED = "answer not taken"
    MADE_ROOM = "made room"
    TOO_MANY = "too many"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server.

    Attributes:
        head_seconds: for a request's head, from the connection's opening or the first byte of a next request.
        body_seconds: for a request's body, from the end of its head.
        stall_seconds: for the client to take the next `stall_bytes` of an answer, or all that is left of it.
        stall_bytes: fewer than this in `stall_seconds` count as no progress.
        keep_alive_seconds: between two requests.
        head_bytes: of a request line and its headers.
        headers: number of a request's headers.
        body_bytes: read of one body, whatever the application allows.
        per_address: connections of one address (of one /64 of IPv6); trusted proxies have no such limit.
        total: connections of all clients.
    """

    head_seconds: float = 10.0
    body_seconds: float = 30.0
    stall_seconds: float = 30.0
    stall_bytes: int = 4096
    keep_alive_seconds: int = 5
    head_bytes: int = 16 * 1024
    headers: int = 100
    body_bytes: int = 2 * 1024 * 1024
    per_address: int = 256
    total: int = 2048


class Connection(Protocol):
    """The part of a connection that a guard uses."""

    @property
    def waits_since(self) -> float | None:
        """The time by the loop's clock since which it has waited for its client; None while it does not wait."""

    def make_room(self) -> None:
        """End, to make room for another connection."""

    def refuse(self) -> None:
        """End before the first request."""

    def check(self, now: float) -> None:
        """End if its time is up."""


class Guard:
    """The connections of one server, by address."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._all: dict[Connection, str] = {}
        self._by_address: defaultdict[str, dict[Connection, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, connection: Connection, address: str, *, bounded: bool) -> None:
        """Register a new connection. Where there are too many, one that waits is ended, or else the new one is refused.

        Args:
            connection: the new one.
            address: the key that it is counted under.
            bounded: whether the limit per address holds for it.
        """
        same_address = self._by_address[address] if bounded else {}
        fits = _make_room(same_address, self.limits.per_address) if bounded else True
        fits = fits and _make_room(self._all, self.limits.total)
        self._all[connection] = address if bounded else ""
        if bounded:
            self._by_address[address][connection] = None
        OPEN.set(len(self._all))
        if not fits:
            connection.refuse()

    def forget(self, connection: Connection) -> None:
        """Remove a connection that has ended. A second call does nothing."""
        address = self._all.pop(connection, "")
        if address and (same_address := self._by_address.get(address)) is not None:
            same_address.pop(connection, None)
            if not same_address:
                del self._by_address[address]
        OPEN.set(len(self._all))

    def check(self, now: float) -> None:
        """End the connections whose time is up."""
        for connection in list(self._all):
            connection.check(now)


def _make_room(connections: Collection[Connection], most: int) -> bool:
    """Tell whether one more connection fits; ends the one that has waited longest where that is needed."""
    if len(connections) < most:
        return True
    waiting = [(since, connection) for connection in connections if (since := connection.waits_since) is not None]
    if not waiting:
        return False
    min(waiting, key=lambda pair: pair[0])[1].make_room()
    return True
