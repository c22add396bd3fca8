"""Quotas of exports, live streams and camera tests, so that one caller cannot use up all of them.

Each kind has three limits in a process: for one principal, for one organization, and in total. Above a limit of the
caller the response is 429, above the total 503; both tell when to try again.

    with quotas.hold(QuotaKind.EXPORT, principal, organization):
        ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import Counter as Metric

from services.api.access.principal import Principal
from services.api.http.problems import TooMany, Unavailable

RETRY_AFTER = 10
REFUSED = Metric("metrica_api_over_quota", "Requests refused because a share was used up.", ["kind", "share"])


class QuotaKind(StrEnum):
    """A limited resource; the value is the plural in messages."""

    EXPORT = "exports"
    STREAM = "live streams"
    CAMERA_TEST = "camera tests"


@dataclass(frozen=True, slots=True)
class Shares:
    """Limits of concurrent uses: of one principal, of one organization, and in total in this process."""

    principal: int
    organization: int
    total: int


class UsedUp(TooMany):
    """429: the principal's or the organization's limit is reached."""

    code = "quota-used-up"


class AllTaken(Unavailable):
    """503: the total is reached."""

    code = "all-taken"
    retry_after = RETRY_AFTER


class Quotas:
    """Present uses, by kind and holder."""

    def __init__(self, shares: Mapping[QuotaKind, Shares]) -> None:
        self._shares = dict(shares)
        self._held: dict[QuotaKind, Counter[str]] = {kind: Counter() for kind in self._shares}

    def held(self, kind: QuotaKind) -> int:
        """Number of present uses of a kind."""
        return self._held[kind][_ALL]

    @contextmanager
    def hold(self, kind: QuotaKind, principal: Principal, organization: str, address: str = "") -> Iterator[None]:
        """Use one while the context lasts. Refuses at once rather than wait.

        Args:
            principal: the user; without a sign-in, the address takes its place.
            organization: owner of the data, for the organization's limit.
            address: of the client, as `services.kit.network.client_addresses.client_network` returns it.

        Raises:
            UsedUp: the principal's or the organization's limit is reached.
            AllTaken: the total is reached.
        """
        shares, held = self._shares[kind], self._held[kind]
        mine, theirs = holder(principal, address), f"organization {organization}"
        if held[mine] >= shares.principal:
            raise _used_up(kind, "principal", "You have {held} {kind} open, the most at a time.", held=held[mine])
        if held[theirs] >= shares.organization:
            sentence = "{organization} has {held} {kind} open, the most at a time."
            raise _used_up(kind, "organization", sentence, organization=organization, held=held[theirs])
        if held[_ALL] >= shares.total:
            REFUSED.labels(kind.name.lower(), "total").inc()
            setting = f"METRICA_MAX_{kind.name}S"
            raise AllTaken(
                "{held} {kind} are open, the most that this API serves at a time ({setting}).",
                held=held[_ALL],
                kind=kind,
                setting=setting,
            )
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
    """Key of a principal's uses: the user or the API key, and without either the address."""
    if principal.user is not None:
        return f"user {principal.user}"
    if principal.key is not None:
        return f"key {principal.key}"
    return f"address {address} {principal.name}"


def _used_up(kind: QuotaKind, share: str, detail: str, **values: object) -> UsedUp:
    REFUSED.labels(kind.name.lower(), share).inc()
    return UsedUp(
        detail + " End one, or try again in {seconds} seconds.",
        retry_after=RETRY_AFTER,
        code=f"quota-of-{share}-used-up",
        kind=kind,
        seconds=RETRY_AFTER,
        **values,
    )
