"""The client of a sign-in attempt."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from services.api.auth import cookies
from services.api.http.texts import cleaned

LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class Visitor:
    """The client of a sign-in attempt, and its evidence of earlier sign-ins.

    Attributes:
        address: of the client, by which attempts are counted.
        browser: whether it gets cookies, and becomes trusted.
        device: value of the cookie of a trusted browser.
        refresh: refresh token of a sign-in that may be current.
    """

    address: str
    agent: str = ""
    browser: bool = False
    device: str | None = None
    refresh: str | None = None


def visitor_of(request: Request, *, browser: bool, refresh: str | None = None) -> Visitor:
    """The client of a request; `refresh` is the refresh token that a program sends."""
    agent = cleaned(request.headers.get("user-agent", ""), LONGEST_AGENT)
    return Visitor(
        address=address_of(request),
        agent=agent,
        browser=browser,
        device=cookies.read(request, cookies.DEVICE) if browser else None,
        refresh=cookies.read(request, cookies.REFRESH) if browser else refresh,
    )


def address_of(request: Request) -> str:
    """The client's address, as a trusted proxy forwards it."""
    return request.client.host if request.client else "unknown"
