"""Trying addresses out for who sets a camera up: one frame, or why not. Organizations take turns."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from contracts.probe import Probe, Probed
from contracts.spec import Capture
from contracts.streams import Owner
from contracts.subjects import PROBE, PROBE_CANCEL
from services.ingest.probing.fair_turns import FairTurns
from services.ingest.settings import IngestSettings
from services.ingest.source import FrameSource, SourceError, SourceRefused
from services.ingest.sources.opening import open_source
from services.ingest.threads import in_thread
from services.kit.codec import BrokenFrame, encode
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.vault import CannotOpen

log = logger()


class Prober:
    """Answers probes; of several replicas, one answers each, and all hear which are called off."""

    def __init__(
        self,
        bus: Bus,
        settings: IngestSettings,
        turns: FairTurns | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._bus, self._settings, self._clock = bus, settings, clock
        self._turns = turns or FairTurns()
        self._answers: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Answer until cancelled. The bus is connected."""
        async with asyncio.TaskGroup() as answers:

            async def take(msg: Msg) -> None:
                try:
                    probe = Probe.model_validate_json(msg.data)
                except ValidationError:
                    log.warning("a probe cannot be read")  # what is wrong with it would name its address
                    return
                task = answers.create_task(self._answer(msg, probe))
                if probe.id:
                    self._answers[probe.id] = task
                    task.add_done_callback(lambda _: self._answers.pop(probe.id, None))

            async def call_off(msg: Msg) -> None:
                if (task := self._answers.get(msg.data.decode(errors="replace"))) is not None:
                    task.cancel()

            client = self._bus.client
            subscriptions = [
                await client.subscribe(PROBE_CANCEL, cb=call_off),
                await client.subscribe(PROBE, queue=Owner.INGEST, cb=take),
            ]
            try:
                await asyncio.Event().wait()
            finally:
                for subscription in subscriptions:
                    with suppress(NatsError):
                        await subscription.unsubscribe()

    async def _answer(self, msg: Msg, probe: Probe) -> None:
        """Answer in turn, if somebody still waits by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds_left(probe)), self._turns.turn(probe.organization):
                if self._seconds_left(probe) == 0.0:
                    return
                probed = await self.probe(probe)
                with suppress(NatsError):  # who asked waits no longer
                    await msg.respond(probed.model_dump_json().encode())

    def _seconds_left(self, probe: Probe) -> float | None:
        return max(0.0, (probe.expires_at - self._clock()) / 1e9) if probe.expires_at else None

    async def probe(self, probe: Probe) -> Probed:
        """Grab one frame. Whatever is wrong is told. Cancelled, it leaves a source that hangs to its thread."""
        try:
            address = self._settings.vault.open(probe.address)
        except CannotOpen as error:
            return Probed(message=f"The address cannot be read: {error}.")
        look = _Look(self._settings, address, probe)
        looking = in_thread(look)
        try:
            return await asyncio.shield(looking)
        except (SourceError, BrokenFrame) as error:
            return Probed(message=str(error))
        except Exception as error:  # noqa: BLE001  # whatever an address brings about, it is told to who wrote it
            # An error's text may repeat the address; where it was raised does not.
            log.error("a probe failed", error=type(error).__name__, where=traceback.format_tb(error.__traceback__)[-3:])
            return Probed(message=f"Unexpected: {type(error).__name__}. The log of ingest tells where.")
        finally:
            if not looking.done():
                look.end()
                self._turns.linger(probe.organization, looking)


class _Look:
    """Opens a source and grabs one frame of it, in a thread; `end` may come from another at any time."""

    def __init__(self, settings: IngestSettings, address: str, probe: Probe) -> None:
        self._settings, self._address, self._probe = settings, address, probe
        self._guard = threading.Lock()
        self._source: FrameSource | None = None
        self._ended = False

    def __call__(self) -> Probed:
        settings = self._settings
        source = open_source(
            self._address,
            egress=settings.egress(trusted=self._probe.trusted),
            open_timeout=settings.open_timeout,
            read_timeout=settings.read_timeout,
        )
        try:
            with self._guard:
                self._source = source
                if self._ended:
                    raise SourceRefused(f"{source.name}: nobody waits for it any more")
            if source.grab() is None:
                raise SourceRefused(f"{source.name} is empty")
            picture = encode(source.retrieve(), Capture(width=self._probe.width))
            return Probed(width=source.size[0], height=source.size[1], fps=source.fps, jpeg=picture.jpeg)
        finally:
            source.close()

    def end(self) -> None:
        """Close the source, now or as soon as it is open."""
        with self._guard:
            self._ended = True
            source = self._source
        if source is not None:
            source.close()
