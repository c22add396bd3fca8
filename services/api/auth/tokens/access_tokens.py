"""Access tokens: JWTs of ES256 and no other algorithm, of the API itself or of another issuer, and their judge."""

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
"""How far clocks may differ."""
LIFE = timedelta(minutes=10)
"""Of a token that the API issues. A right that is taken away does not wait for it: roles are read at each request."""
BUILT_IN = "metrica"
"""Issuer and audience of the API's own tokens."""


class Keys(Protocol):
    """The public keys of an issuer."""

    async def find(self, kid: str) -> PyJWK | None:
        """The key of that id; None where the issuer has none.

        Raises:
            Unavailable: the issuer's keys cannot be had now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are believed, as far as they are meant for us."""

    name: str
    audience: str
    keys: Keys


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says that is believed.

    Attributes:
        issuer: who says so.
        subject: what the issuer calls the person.
        email: where the issuer has made sure that it is theirs.
        sign_in: of the API's own tokens, the family of refresh tokens.
        until: when it ends.
    """

    issuer: str
    subject: str
    until: datetime
    email: str | None = None
    sign_in: UUID | None = None


class Verifier:
    """Judges tokens."""

    def __init__(self, issuers: Sequence[Issuer], clock: Clock) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._clock = clock

    async def verify(self, token: str) -> Claims:
        """What a token says.

        Raises:
            Unauthorized: it is not to be believed; says why.
            Unavailable: the issuer's keys cannot be had now.
        """
        try:
            kid, issuer = self._read_unverified(token)
            key = await issuer.keys.find(kid)
            if key is None:
                raise Unauthorized(f"The token is signed with a key that {issuer.name} does not have.")
            said = jwt.decode(
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
            self._check_times(said)
            return _claims(issuer.name, said)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized(f"The token is not valid: {error}.") from error

    def _read_unverified(self, token: str) -> tuple[str, Issuer]:
        """Which key to judge a token by. Nothing else of what it says is believed yet."""
        header = jwt.get_unverified_header(token)
        if header.get("alg") != ALGORITHM:
            raise Unauthorized(f"The token is signed with {header.get('alg')}; only {ALGORITHM} is believed.")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise Unauthorized("The token does not say which key it is signed with (kid).")
        name = jwt.decode(token, options={"verify_signature": False}).get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise Unauthorized("The token is of an issuer that is not believed here.")
        return kid, issuer

    def _check_times(self, said: Mapping[str, Any]) -> None:
        now = self._clock()
        if now - LEEWAY >= _moment(said["exp"]):
            raise Unauthorized("The token has expired: refresh it, or sign in again.")
        for name in ("nbf", "iat"):
            if name in said and now + LEEWAY < _moment(said[name]):
                raise Unauthorized("The token is not valid yet: is a clock wrong?")


def own_claims(user: UUID, sign_in: UUID, now: datetime, until: datetime | None = None) -> dict[str, object]:
    """What the API's own token says; it is good for `LIFE`, unless told."""
    return {
        "iss": BUILT_IN,
        "aud": BUILT_IN,
        "sub": str(user),
        "sid": str(sign_in),
        "iat": int(now.timestamp()),
        "exp": int((until or now + LIFE).timestamp()),
    }


def _claims(issuer: str, said: Mapping[str, Any]) -> Claims:
    email = said.get("email") if said.get("email_verified") is True else None
    return Claims(
        issuer=issuer,
        subject=str(said["sub"]),
        until=_moment(said["exp"]),
        email=email.lower() if isinstance(email, str) else None,
        sign_in=UUID(str(said.get("sid"))) if issuer == BUILT_IN else None,
    )


def _moment(seconds: object) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError("its times are no numbers")  # noqa: TRY004  # of the token, not of an argument
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError("its times are out of all range") from error
