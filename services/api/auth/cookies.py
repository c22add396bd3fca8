"""A browser's sign-in: two cookies that no script reads. They are what EventSource and pictures are let in by, too."""

from __future__ import annotations

from fastapi import Request, Response

from services.api.auth.service import REFRESH_LIFE, Tokens
from services.api.auth.tokens import LIFE
from services.api.problems import Forbidden

ACCESS, REFRESH = "metrica_access", "metrica_refresh"
REFRESH_PATH = "/v1/auth"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def put(request: Request, response: Response, tokens: Tokens) -> None:
    """Give a browser its cookies."""
    secure = request.url.scheme == "https"
    for name, value, path, life in (
        (ACCESS, tokens.access, "/", LIFE),
        (REFRESH, tokens.refresh, REFRESH_PATH, REFRESH_LIFE),
    ):
        response.set_cookie(
            name, value, max_age=int(life.total_seconds()), path=path, httponly=True, samesite="lax", secure=secure
        )


def drop(response: Response) -> None:
    """Take them back."""
    response.delete_cookie(ACCESS, path="/", httponly=True, samesite="lax")
    response.delete_cookie(REFRESH, path=REFRESH_PATH, httponly=True, samesite="lax")


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
