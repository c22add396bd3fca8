"""A dashboard without a screen: follows a store's live stream through everything, and remembers the totals shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import httpx

from contracts.events import Counts
from tests.api.served import BROWSER

RETRY: Final = 1.0
SILENCE: Final = 7.0
"""Seconds; as `dashboards/shared/src/live/stream.ts` has them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Totals that stood on the screen, and who sent them."""

    counts: Counts
    sender: str


class Browser:
    """An EventSource: what breaks or falls silent is opened again, at one address after the other.

    Args:
        urls: of the API's replicas.
        store: the store that is watched.
        tell: gets a line for each connection.
    """

    def __init__(self, urls: Sequence[str], store: str, tell: Callable[[str], None]) -> None:
        self._urls, self._store, self._tell = cycle(urls), store, tell
        self.shown: list[Shown] = []
        self.changed = asyncio.Event()

    async def follow(self) -> None:
        """Watch until cancelled."""
        timeout = httpx.Timeout(SILENCE, connect=2.0)
        async with httpx.AsyncClient(timeout=timeout, headers=BROWSER) as client:
            while True:
                url = next(self._urls)
                try:
                    async with client.stream("GET", f"{url}/v1/stores/{self._store}/events") as answer:
                        if answer.status_code == httpx.codes.OK:
                            self._tell(f"the browser watches {url}")
                            async for counts in _totals(answer):
                                self.shown.append(Shown(counts, url))
                                self.changed.set()
                            self._tell(f"{url} ended the browser's stream")
                except httpx.TransportError as error:
                    self._tell(f"the browser lost {url}: {type(error).__name__}")
                await asyncio.sleep(RETRY)

    async def sees(self, counts: Counts) -> None:
        """Wait until the screen shows some totals."""
        while not self.shown or self.shown[-1].counts.revision < counts.revision:
            self.changed.clear()
            await self.changed.wait()


async def _totals(answer: httpx.Response) -> AsyncIterator[Counts]:
    """The totals in the events `snapshot` and `counts`."""
    kind = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind in {"snapshot", "counts"}:
            said = json.loads(value)
            yield Counts.model_validate(said["store"]["counts"] if kind == "snapshot" else said)
