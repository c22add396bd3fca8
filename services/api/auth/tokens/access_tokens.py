"""Access tokens: JWTs signed with ES256, of the API itself or another issuer, and their verification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import jwt
from jwt import PyJWK

from services.api.clock import Clock
from services.api.http.problems import Unauthorized

ALGORITHM = "ES256"
LEEWAY = timedelta(seconds=30)
"""Tolerated difference between clocks."""
LIFE = timedelta(minutes=10)
"""Life of a token that the API issues. Revoked rights end earlier: roles are read at each request."""
BUILT_IN = "metrica"
"""Issuer and audience of the API's own tokens."""


class Keys(Protocol):
    """The public keys of an issuer."""

    async def find(self, kid: str) -> PyJWK | None:
        """The key with an id; None if the issuer has no such key.

        Raises:
            Unavailable: the issuer's keys cannot be fetched.
        """
        ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """A trusted issuer of tokens, and the audience that its tokens must have."""

    name: str
    audience: str
    keys: Keys


@dataclass(frozen=True, slots=True)
class Claims:
    """Verified claims of a token.

    Attributes:
        subject: the issuer's id of the user.
        email: verified by the issuer; else None.
        sign_in: id of the sign-in, in the API's own tokens.
    """

    issuer: str
    subject: str
    until: datetime
    email: str | None = None
    sign_in: UUID | None = None


class Verifier:
    """Verifies tokens."""

    def __init__(self, issuers: Sequence[Issuer], clock: Clock) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._clock = clock

    async def verify(self, token: str) -> Claims:
        """The claims of a valid token.

        Raises:
            Unauthorized: the token is invalid; with the reason.
            Unavailable: the issuer's keys cannot be fetched.
        """
        try:
            kid, issuer = self._read_unverified(token)
            key = await issuer.keys.find(kid)
            if key is None:
                raise Unauthorized(
                    "The token is signed with a key that {issuer} does not have.",
                    code="token-of-unknown-key",
                    issuer=issuer.name,
                )
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=issuer.audience,
                issuer=issuer.name,
                options={
                    "require": ["exp", "sub", "iss", "aud"],
                    "verify_exp": False,  # by our own clock, below
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            self._check_times(claims)
            return _claims(issuer.name, claims)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized("The token is not valid: {error}.", code="token-invalid", error=error) from error

    def _read_unverified(self, token: str) -> tuple[str, Issuer]:
        """The key id and issuer of a token, whose signature is not verified yet."""
        header = jwt.get_unverified_header(token)
        if header.get("alg") != ALGORITHM:
            raise Unauthorized(
                "The token is signed with {algorithm}; only {believed} is believed.",
                code="token-algorithm",
                algorithm=header.get("alg"),
                believed=ALGORITHM,
            )
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise Unauthorized("The token does not say which key it is signed with (kid).", code="token-without-key-id")
        name = jwt.decode(token, options={"verify_signature": False}).get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise Unauthorized("The token is of an issuer that is not believed here.", code="token-of-unknown-issuer")
        return kid, issuer

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        if now - LEEWAY >= _moment(claims["exp"]):
            raise Unauthorized("The token has expired: refresh it, or sign in again.", code="token-expired")
        for name in ("nbf", "iat"):
            if name in claims and now + LEEWAY < _moment(claims[name]):
                raise Unauthorized("The token is not valid yet: is a clock wrong?", code="token-not-valid-yet")


def own_claims(user: UUID, sign_in: UUID, now: datetime, until: datetime | None = None) -> dict[str, object]:
    """Claims of a token of the API; valid for `LIFE`, or to `until`."""
    return {
        "iss": BUILT_IN,
        "aud": BUILT_IN,
        "sub": str(user),
        "sid": str(sign_in),
        "iat": int(now.timestamp()),
        "exp": int((until or now + LIFE).timestamp()),
    }


def _claims(issuer: str, claims: Mapping[str, Any]) -> Claims:
    email = claims.get("email") if claims.get("email_verified") is True else None
    return Claims(
        issuer=issuer,
        subject=str(claims["sub"]),
        until=_moment(claims["exp"]),
        email=email.lower() if isinstance(email, str) else None,
        sign_in=UUID(str(claims.get("sid"))) if issuer == BUILT_IN else None,
    )


def _moment(seconds: object) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError("its times are no numbers")  # noqa: TRY004  # of the token, not of an argument
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError("its times are out of all range") from error
