"""Keys for signing the API's tokens, sealed in the database so that replicas share them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm

from services.api.auth.tokens import repository
from services.api.auth.tokens.access_tokens import ALGORITHM
from services.api.auth.tokens.jwks import PAUSE_SECONDS, read_keys
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.http.problems import Unavailable
from services.api.transaction import committing
from services.kit.database.account_tables import SigningKey
from services.kit.logs import logger
from services.kit.vault import CannotOpen, Vault

log = logger()


class SigningKeys:
    """Signs tokens, and finds the public keys of tokens that any replica signed.

    Args:
        monotonic: a clock, seconds, which limits searches for unknown keys.
    """

    def __init__(
        self, sessions: Sessions, vault: Vault, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sessions, self._vault, self._clock, self._monotonic = sessions, vault, clock, monotonic
        self._rows: Sequence[SigningKey] = ()
        self._public: dict[str, PyJWK] = {}
        self._signer: tuple[str, str] | None = None
        self._read_at = float("-inf")
        self._busy = asyncio.Lock()

    async def find(self, kid: str) -> PyJWK | None:
        """The public key with an id, read again from the database if unknown: another replica may have created it."""
        if kid not in self._public:
            async with self._busy:
                if self._monotonic() - self._read_at >= PAUSE_SECONDS:
                    await self._read()
        return self._public.get(kid)

    async def published(self) -> list[dict[str, object]]:
        """All public keys, as JWKs."""
        async with self._busy:
            await self._read()
        return [row.public for row in self._rows]

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with the given claims.

        Raises:
            Unavailable: there is no secret key, without which no signing key is stored.
        """
        if self._signer is None:
            async with self._busy:
                self._signer = self._signer or await self._find_or_make()
        kid, private = self._signer
        return jwt.encode(dict(claims), private, ALGORITHM, headers={"kid": kid})

    async def _read(self) -> None:
        async with self._sessions() as session:
            self._rows = await repository.read_signing_keys(session)
        self._read_at = self._monotonic()
        self._public = read_keys(row.public for row in self._rows)

    async def _find_or_make(self) -> tuple[str, str]:
        if not self._vault.usable:
            raise Unavailable(
                "Nobody can sign in here: METRICA_SECRET_KEY, which seals what signs, is not set.",
                code="signing-without-secret-key",
            )
        async with committing(self._sessions) as session:
            await repository.lock_signing_keys(session)
            await self._read()
            for row in self._rows:
                try:
                    return row.kid, self._vault.open(row.sealed)
                except CannotOpen:
                    log.warning("a signing key was sealed with another METRICA_SECRET_KEY; another one is made")
            kid, private, public = make_key()
            row = SigningKey(kid=kid, sealed=self._vault.seal(private), public=public, created_at=self._clock())
            session.add(row)
        self._rows = [row, *self._rows]
        self._public = read_keys(row.public for row in self._rows)
        return kid, private


def make_key() -> tuple[str, str, dict[str, object]]:
    """A new key: its id (RFC 7638), the private key as PEM, the public key as a JWK."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    thumb = json.dumps({name: public[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    kid = base64.urlsafe_b64encode(hashlib.sha256(thumb.encode()).digest()).rstrip(b"=").decode()
    return kid, private, {**public, "kid": kid, "use": "sig", "alg": ALGORITHM}
