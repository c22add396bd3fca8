"""The public keys of another issuer, at its JWKS address: kept for a while, and asked for again when they change."""

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
"""A key that the issuer takes back is believed no longer than this, as long as the issuer answers."""
PAUSE_SECONDS = 10.0
"""Between two questions, whatever tokens come: nobody makes us flood the issuer with tokens of invented keys."""
TIMEOUT = 5.0
LARGEST = 512 * 1024

log = logger()


class RemoteKeys:
    """The keys at a JWKS address.

    Args:
        url: https://…/.well-known/jwks.json
        monotonic: a clock, seconds.
    """

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url, self._monotonic = url, monotonic
        self._keys: dict[str, PyJWK] | None = None
        self._fetched_at = self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def find(self, kid: str) -> PyJWK | None:
        """The key of that id; keys that could not be refreshed are believed as they were."""
        if self._keys is None or kid not in self._keys or self._monotonic() - self._fetched_at > FRESH_SECONDS:
            async with self._asking:  # whoever waits here finds the answer of the one before
                if self._monotonic() - self._asked_at >= PAUSE_SECONDS:
                    await self._ask()
        if self._keys is None:
            raise Unavailable(f"The keys that tokens are judged by cannot be had from {self._url} now.")
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
    """The keys for ES256 signatures, by their ids. Others that an issuer has are none of our business."""
    found: dict[str, PyJWK] = {}
    for one in keys:
        if not isinstance(one, dict) or "kid" not in one or one.get("use", "sig") != "sig":
            continue
        if (one.get("kty"), one.get("crv")) != ("EC", "P-256"):
            continue
        try:
            found[str(one["kid"])] = PyJWK({**one, "alg": ALGORITHM})
        except PyJWTError as error:
            log.warning("a key of the issuer cannot be read", kid=str(one["kid"]), error=str(error))
    return found
