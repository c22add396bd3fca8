"""Camera tests: the API asks for one frame of an address, and gets it or the reason why there is none."""

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
from services.kit.nats.subscribers import subscribed
from services.kit.vault import CannotOpen

log = logger()


class Prober:
    """Answers probes. One replica answers each; all of them receive the cancellations.

    Args:
        bus: the connection.
        settings: time limits, the vault, and the networks of sources.
        turns: by which organizations are served; new ones by default.
        clock: ns UTC.
    """

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
                    log.warning("a probe cannot be read")  # the validation error would repeat its address
                    return
                task = answers.create_task(self._answer(msg, probe))
                if probe.id:
                    self._answers[probe.id] = task
                    task.add_done_callback(lambda _: self._answers.pop(probe.id, None))

            async def cancel(msg: Msg) -> None:
                if (task := self._answers.get(msg.data.decode(errors="replace"))) is not None:
                    task.cancel()

            broker = self._bus.broker
            async with subscribed(broker, PROBE_CANCEL, cancel), subscribed(broker, PROBE, take, queue=Owner.INGEST):
                await asyncio.Event().wait()

    async def _answer(self, msg: Msg, probe: Probe) -> None:
        """Answer when it is its organization's turn, unless the probe has expired by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds_left(probe)), self._turns.turn(probe.organization):
                if self._seconds_left(probe) == 0.0:
                    return
                probed = await self.probe(probe)
                with suppress(NatsError):  # the API waits no longer
                    await msg.respond(probed.model_dump_json().encode())

    def _seconds_left(self, probe: Probe) -> float | None:
        return max(0.0, (probe.expires_at - self._clock()) / 1e9) if probe.expires_at else None

    async def probe(self, probe: Probe) -> Probed:
        """Grab one frame.

        Returns:
            The frame as JPEG, or a message that says why there is none.

        Cancelled, it returns at once; a source that hangs is left to its thread, which closes it.
        """
        try:
            address = self._settings.vault.open(probe.address)
        except CannotOpen as error:
            return Probed(message=f"The address cannot be read: {error}.")
        attempt = _Attempt(self._settings, address, probe)
        attempting = in_thread(attempt)
        try:
            return await asyncio.shield(attempting)
        except (SourceError, BrokenFrame) as error:
            return Probed(message=str(error))
        except Exception as error:  # noqa: BLE001  # any failure is answered to the user who gave the address
            # An error's text may repeat the address; where it was raised does not.
            log.error("a probe failed", error=type(error).__name__, where=traceback.format_tb(error.__traceback__)[-3:])
            return Probed(message=f"Unexpected: {type(error).__name__}. The log of ingest tells where.")
        finally:
            if not attempting.done():
                attempt.end()
                self._turns.linger(probe.organization, attempting)


class _Attempt:
    """Opens a source and grabs one frame of it, in a thread. `end` may be called from another thread at any time."""

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
                    raise SourceRefused(f"{source.name}: the test was cancelled")
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
