"""What a client may cost: seconds, bytes and connections.

A connection *waits for its client* while a head or a body is not whole, between two requests, and while an answer is
not taken. Where there are too many connections, the one that has waited longest gives way to the new one: half-open
requests, however many, lock nobody out. Where none waits, the new one is refused.
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
    """Why a connection was ended."""

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
        stall_seconds: for the next `stall_bytes` of an answer, or all that is left of it, to be taken.
        stall_bytes: less than so many in `stall_seconds` is no progress.
        keep_alive_seconds: between two requests.
        head_bytes: of a request line and its headers.
        headers: their number.
        body_bytes: that are read of one body, whatever the application says about it.
        per_address: connections of one address (of one /64 of IPv6); proxies that are trusted have no such bound.
        total: connections of all.
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
    """What a guard knows of a connection."""

    @property
    def waits_since(self) -> float | None:
        """Since when it has waited for its client, by the loop's clock; None while it does not."""

    def make_room(self) -> None:
        """End, for another one."""

    def refuse(self) -> None:
        """End before anything was asked."""

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
        """Take a new connection in; one that waits gives way where there are too many, or the new one is refused.

        Args:
            connection: the new one.
            address: what it is counted under.
            bounded: whether the bound of one address holds for it.
        """
        theirs = self._by_address[address] if bounded else {}
        fits = _make_room(theirs, self.limits.per_address) if bounded else True
        fits = fits and _make_room(self._all, self.limits.total)
        self._all[connection] = address if bounded else ""
        if bounded:
            self._by_address[address][connection] = None
        OPEN.set(len(self._all))
        if not fits:
            connection.refuse()

    def forget(self, connection: Connection) -> None:
        """A connection has ended. A second time does nothing."""
        address = self._all.pop(connection, "")
        if address and (theirs := self._by_address.get(address)) is not None:
            theirs.pop(connection, None)
            if not theirs:
                del self._by_address[address]
        OPEN.set(len(self._all))

    def check(self, now: float) -> None:
        """End all whose time is up."""
        for connection in list(self._all):
            connection.check(now)


def _make_room(connections: Collection[Connection], most: int) -> bool:
    """Tell whether one more fits, after the one that has waited longest gave way where it had to."""
    if len(connections) < most:
        return True
    waiting = [(since, one) for one in connections if (since := one.waits_since) is not None]
    if not waiting:
        return False
    min(waiting, key=lambda pair: pair[0])[1].make_room()
    return True
