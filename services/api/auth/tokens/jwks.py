"""Public keys of another issuer, fetched from its JWKS URL and cached."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable

import httpx
from jwt import PyJWK, PyJWTError

from services.api.auth.tokens.access_tokens import ALGORITHM
from services.api.http.problems import Unavailable
from services.kit.logs import logger

FRESH_SECONDS = 600.0
"""Age at which keys are fetched again. A revoked key is trusted no longer, as long as the issuer responds."""
PAUSE_SECONDS = 10.0
"""Least time between two requests, so that tokens with invented key ids do not flood the issuer."""
TIMEOUT = 5.0
LARGEST = 512 * 1024

log = logger()


class RemoteKeys:
    """Keys at a JWKS URL.

    Args:
        monotonic: a clock, seconds.
    """

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url, self._monotonic = url, monotonic
        self._keys: dict[str, PyJWK] | None = None
        self._fetched_at = self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def find(self, kid: str) -> PyJWK | None:
        """The key with an id; after a failed refresh, from the keys of before.

        Raises:
            Unavailable: no keys have been fetched yet.
        """
        if self._keys is None or kid not in self._keys or self._monotonic() - self._fetched_at > FRESH_SECONDS:
            async with self._asking:  # requests that wait here use the result of the first
                if self._monotonic() - self._asked_at >= PAUSE_SECONDS:
                    await self._ask()
        if self._keys is None:
            raise Unavailable(
                "The keys that tokens are judged by cannot be had from {url} now.",
                code="issuer-keys-away",
                url=self._url,
            )
        return self._keys.get(kid)

    async def _ask(self) -> None:
        self._asked_at = self._monotonic()
        try:
            self._keys = read_keys(json.loads(await self._download())["keys"])
            self._fetched_at = self._monotonic()
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("the keys of the issuer cannot be had", url=self._url, error=str(error) or repr(error))

    async def _download(self) -> bytes:
        async with httpx.AsyncClient(timeout=TIMEOUT) as client, client.stream("GET", self._url) as answer:
            answer.raise_for_status()
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise ValueError(f"the answer is larger than {LARGEST} bytes")
            return body


def read_keys(keys: Iterable[object]) -> dict[str, PyJWK]:
    """The keys for ES256 signatures, by id; others are ignored."""
    by_id: dict[str, PyJWK] = {}
    for key in keys:
        if not isinstance(key, dict) or "kid" not in key or key.get("use", "sig") != "sig":
            continue
        if (key.get("kty"), key.get("crv")) != ("EC", "P-256"):
            continue
        try:
            by_id[str(key["kid"])] = PyJWK({**key, "alg": ALGORITHM})
        except PyJWTError as error:
            log.warning("a key of the issuer cannot be read", kid=str(key["kid"]), error=str(error))
    return by_id
