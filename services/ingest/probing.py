"""Trying addresses out for who sets a camera up: one frame, or why not."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from contracts.probe import Probe, Probed
from contracts.spec import Capture
from contracts.streams import Owner
from contracts.subjects import PROBE
from services.ingest.settings import IngestSettings
from services.ingest.sources import SourceError, SourceRefused, open_source
from services.ingest.threads import in_thread
from services.kit.bus import Bus
from services.kit.codec import BrokenFrame, encode
from services.kit.logs import logger
from services.kit.vault import CannotOpen

AT_ONCE = 2
"""Each holds a thread and a connection to a camera; others wait for their turn."""

log = logger()


class Prober:
    """Answers probes; of several replicas, one answers each."""

    def __init__(self, bus: Bus, settings: IngestSettings) -> None:
        self._bus, self._settings = bus, settings
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Answer until cancelled. The bus is connected."""
        async with asyncio.TaskGroup() as answers:

            async def take(msg: Msg) -> None:
                answers.create_task(self._answer(msg))

            subscription = await self._bus.client.subscribe(PROBE, queue=Owner.INGEST, cb=take)
            try:
                await asyncio.Event().wait()
            finally:
                with suppress(NatsError):
                    await subscription.unsubscribe()

    async def _answer(self, msg: Msg) -> None:
        try:
            probe = Probe.model_validate_json(msg.data)
        except ValidationError as error:
            log.warning("a probe cannot be read", error=str(error))
            return
        async with self._turn:
            probed = await self.probe(probe)
        with suppress(NatsError):  # who asked waits no longer
            await msg.respond(probed.model_dump_json().encode())

    async def probe(self, probe: Probe) -> Probed:
        """Grab one frame. Whatever is wrong is told."""
        try:
            address = self._settings.vault.open(probe.address)
            return await in_thread(lambda: self._grab(address, probe.width, trusted=probe.trusted))
        except CannotOpen as error:
            return Probed(message=f"The address cannot be read: {error}.")
        except (SourceError, BrokenFrame) as error:
            return Probed(message=str(error))
        except Exception as error:  # whatever an address brings about, it is told to who wrote it
            log.exception("a probe failed")
            return Probed(message=f"Unexpected: {error!r}")

    def _grab(self, address: str, width: int, *, trusted: bool) -> Probed:
        settings = self._settings
        source = open_source(
            address,
            egress=settings.egress(trusted=trusted),
            open_timeout=settings.open_timeout,
            read_timeout=settings.read_timeout,
        )
        try:
            if source.grab() is None:
                raise SourceRefused(f"{source.name} is empty")
            picture = encode(source.retrieve(), Capture(width=width))
            return Probed(width=source.size[0], height=source.size[1], fps=source.fps, jpeg=picture.jpeg)
        finally:
            source.close()
