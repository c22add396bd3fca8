"""A browser's sign-in: cookies that no script reads. They are what EventSource and pictures are let in by, too.

Over TLS their names begin with `__Host-`: no other host, not even a neighbour under the same domain, and no page that
came without TLS can set them. Then the plain names are not read at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import Request, Response

from services.api.auth.signed_in import Entered, Tokens
from services.api.auth.trusted_browsers import DEVICE_LIFE
from services.api.http.problems import Forbidden

ACCESS, REFRESH, DEVICE = "metrica_access", "metrica_refresh", "metrica_device"
PREFIX = "__Host-"
PATHS = {ACCESS: "/", REFRESH: "/v1/auth", DEVICE: "/v1/auth"}
"""Without TLS. With the prefix, it is / for all: browsers ask for that."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def read(request: Request, name: str) -> str | None:
    """What a browser's cookie holds.

    The header is read to the letter: other parsers trim more than blanks, by which a name with a strange character
    before it becomes one of ours. Of a name that comes twice, one was put there by somebody else: none is believed.
    """
    wanted = PREFIX + name if _is_secure(request) else name
    found = set()
    for header in request.headers.getlist("cookie"):
        for part in header.split(";"):
            named, _, value = part.strip(" \t").partition("=")
            if named == wanted:
                found.add(value)
    return found.pop() if len(found) == 1 else None


def put(request: Request, response: Response, tokens: Tokens, now: datetime) -> None:
    """Give a browser the cookies of its sign-in."""
    _set(request, response, ACCESS, tokens.access, tokens.access_until - now)
    _set(request, response, REFRESH, tokens.refresh, tokens.refresh_until - now)


def put_entered(request: Request, response: Response, entered: Entered, now: datetime) -> None:
    """The same after signing in, and the cookie by which the browser is trusted from now on."""
    put(request, response, entered.tokens, now)
    if entered.device is not None:
        _set(request, response, DEVICE, entered.device, DEVICE_LIFE)


def drop(request: Request, response: Response, *, trust: bool = False) -> None:
    """Take them back; the browser stays trusted unless `trust` goes, too."""
    for name in (ACCESS, REFRESH, *((DEVICE,) if trust else ())):
        if _is_secure(request):
            response.delete_cookie(PREFIX + name, path="/", secure=True, httponly=True, samesite="lax")
        response.delete_cookie(name, path=PATHS[name], httponly=True, samesite="lax")


def refuse_other_sites(request: Request) -> None:
    """Make sure that a change that a cookie vouches for was asked for by our own page, and not by another one's form.

    Every browser of today sends `Sec-Fetch-Site`, an older one `Origin`; whoever sends neither is none.

    Raises:
        Forbidden: another site asks, or nobody says which.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site in {"same-origin", "none"}
    else:
        ours = origin is not None and origin.partition("://")[2] == request.headers.get("host")
    if not ours:
        raise Forbidden("Another site's page asks for this. Programs send `Authorization: Bearer`, and no cookie.")


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
