"""Shares of what is scarce: exports, live streams and camera tests. Nobody takes so much that others get nothing.

Each kind has three bounds in a process: of one principal, of one organization, and of all together. Beyond one's own
share the answer is 429, beyond the total 503; both say when to try again.

    with of.quotas.hold(Kind.EXPORT, principal, organization):
        ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import Counter as Metric

from services.api.access import Principal
from services.api.http.problems import TooMany, Unavailable

RETRY_AFTER = 10
REFUSED = Metric("metrica_api_over_quota", "Requests refused because a share was used up.", ["kind", "share"])


class Kind(StrEnum):
    """What is shared out; its value is the plural that messages use."""

    EXPORT = "exports"
    STREAM = "live streams"
    CAMERA_TEST = "camera tests"


@dataclass(frozen=True, slots=True)
class Shares:
    """The most that may be held at a time: by one principal, by one organization, by all in this process."""

    principal: int
    organization: int
    total: int


class UsedUp(TooMany):
    """Somebody holds their whole share already: what they hold must end first."""


class AllTaken(Unavailable):
    """Everybody together holds all that there is."""

    retry_after = RETRY_AFTER


class Quotas:
    """What is held now, by kind and holder."""

    def __init__(self, shares: Mapping[Kind, Shares]) -> None:
        self._shares = dict(shares)
        self._held: dict[Kind, Counter[str]] = {kind: Counter() for kind in self._shares}

    def held(self, kind: Kind) -> int:
        """How many of a kind are held by all together."""
        return self._held[kind][_ALL]

    @contextmanager
    def hold(self, kind: Kind, principal: Principal, organization: str, address: str = "") -> Iterator[None]:
        """Hold one for as long as the context lasts. Nothing waits: it is there, or refused at once.

        Args:
            kind: what is held.
            principal: holds it; whoever has not signed in is told apart by the address.
            organization: whose thing it is about, for the organization's share.
            address: the client's, as `services.kit.network.client_addresses.client_network` gives it.

        Raises:
            UsedUp: 429, the principal's or the organization's share is used up.
            AllTaken: 503, the total is.
        """
        shares, held = self._shares[kind], self._held[kind]
        mine, theirs = holder(principal, address), f"organization {organization}"
        if held[mine] >= shares.principal:
            raise _used_up(kind, "principal", f"You have {held[mine]} {kind} open, the most at a time.")
        if held[theirs] >= shares.organization:
            raise _used_up(kind, "organization", f"{organization} has {held[theirs]} {kind} open, the most at a time.")
        if held[_ALL] >= shares.total:
            REFUSED.labels(kind.name.lower(), "total").inc()
            setting = f"METRICA_MAX_{kind.name}S"
            raise AllTaken(f"{held[_ALL]} {kind} are open, the most that this API serves at a time ({setting}).")
        names = (mine, theirs, _ALL)
        held.update(names)
        try:
            yield
        finally:
            held.subtract(names)
            for name in (mine, theirs):
                if not held[name]:
                    del held[name]


_ALL = "all"


def holder(principal: Principal, address: str = "") -> str:
    """What a principal's share goes by: the person or the key, and without either the address."""
    if principal.user is not None:
        return f"user {principal.user}"
    if principal.key is not None:
        return f"key {principal.key}"
    return f"address {address} {principal.name}"


def _used_up(kind: Kind, share: str, said: str) -> UsedUp:
    REFUSED.labels(kind.name.lower(), share).inc()
    return UsedUp(f"{said} End one, or try again in {RETRY_AFTER} seconds.", retry_after=RETRY_AFTER)
