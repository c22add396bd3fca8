"""Somebody at the door: from where they come, and what their browser or program shows of before."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from services.api.auth import cookies
from services.api.http.texts import cleaned

LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who knocks.

    Attributes:
        address: tries are counted by it.
        agent: what the browser or program calls itself.
        browser: gets cookies, and is trusted from its first sign-in on.
        device: what the cookie of a trusted browser holds.
        refresh: a refresh token of a sign-in that may last yet.
    """

    address: str
    agent: str = ""
    browser: bool = False
    device: str | None = None
    refresh: str | None = None


def visitor_of(request: Request, *, browser: bool, refresh: str | None = None) -> Visitor:
    """Who sends a request; `refresh` is what a program shows."""
    agent = cleaned(request.headers.get("user-agent", ""), LONGEST_AGENT)
    return Visitor(
        address=address_of(request),
        agent=agent,
        browser=browser,
        device=cookies.read(request, cookies.DEVICE) if browser else None,
        refresh=cookies.read(request, cookies.REFRESH) if browser else refresh,
    )


def address_of(request: Request) -> str:
    """From where a request comes; a proxy that is trusted says so."""
    return request.client.host if request.client else "unknown"
