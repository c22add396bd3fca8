"""HttpOnly cookies of a browser's sign-in, which authenticate EventSource and images, too.

Over TLS their names begin with `__Host-`, so that no other host (not even one under the same domain) and no page
without TLS can set them. The plain names are ignored then.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import Request, Response

from services.api.auth.signed_in import Entered, Tokens
from services.api.auth.trusted_browsers.repository import DEVICE_LIFE
from services.api.http.problems import Forbidden

ACCESS, REFRESH, DEVICE = "metrica_access", "metrica_refresh", "metrica_device"
PREFIX = "__Host-"
PATHS = {ACCESS: "/", REFRESH: "/v1/auth", DEVICE: "/v1/auth"}
"""Paths without TLS. With the prefix, browsers require /."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def read(request: Request, name: str) -> str | None:
    """The value of a cookie; None if the request has none, or several of that name.

    Only blanks are trimmed: parsers that trim more accept a name with a strange character before it as ours. If a name
    comes twice, another site may have set one of the two: both are ignored.
    """
    full_name = PREFIX + name if _is_secure(request) else name
    values = set()
    for header in request.headers.getlist("cookie"):
        for part in header.split(";"):
            key, _, value = part.strip(" \t").partition("=")
            if key == full_name:
                values.add(value)
    return values.pop() if len(values) == 1 else None


def put(request: Request, response: Response, tokens: Tokens, now: datetime) -> None:
    """Set the cookies of a sign-in."""
    _set(request, response, ACCESS, tokens.access, tokens.access_until - now)
    _set(request, response, REFRESH, tokens.refresh, tokens.refresh_until - now)


def put_entered(request: Request, response: Response, entered: Entered, now: datetime) -> None:
    """Set the cookies of a new sign-in, and that of a trusted browser."""
    put(request, response, entered.tokens, now)
    if entered.device is not None:
        _set(request, response, DEVICE, entered.device, DEVICE_LIFE)


def drop(request: Request, response: Response, *, trust: bool = False) -> None:
    """Delete the cookies of a sign-in; with `trust`, also that of a trusted browser."""
    for name in (ACCESS, REFRESH, *((DEVICE,) if trust else ())):
        if _is_secure(request):
            response.delete_cookie(PREFIX + name, path="/", secure=True, httponly=True, samesite="lax")
        response.delete_cookie(name, path=PATHS[name], httponly=True, samesite="lax")


def refuse_other_sites(request: Request) -> None:
    """Refuse a change with a cookie that a page of another site requests (CSRF).

    Current browsers send `Sec-Fetch-Site`, older ones `Origin`. A request with neither is refused.

    Raises:
        Forbidden: the request is from another site, or its origin is unknown.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site in {"same-origin", "none"}
    else:
        ours = origin is not None and origin.partition("://")[2] == request.headers.get("host")
    if not ours:
        raise Forbidden(
            "Another site's page asks for this. Programs send `Authorization: Bearer`, and no cookie.",
            code="request-of-another-site",
        )


def _set(request: Request, response: Response, name: str, value: str, life: timedelta) -> None:
    secure = _is_secure(request)
    response.set_cookie(
        PREFIX + name if secure else name,
        value,
        max_age=int(life.total_seconds()),
        path="/" if secure else PATHS[name],
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def _is_secure(request: Request) -> bool:
    return request.url.scheme in {"https", "wss"}
