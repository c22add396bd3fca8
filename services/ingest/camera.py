"""One camera's work: open its source, publish its frames, and retry when the source breaks. Cameras are independent."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from contextlib import suppress

from contracts.events import State
from contracts.identity import Policy
from contracts.spec import CameraSpec, Source
from services.ingest.file_playback import FilePlayback
from services.ingest.live_capture import LiveCapture
from services.ingest.progress import ProgressStore
from services.ingest.publishing import LEAVE_TIMEOUT, Publisher
from services.ingest.settings import IngestSettings
from services.ingest.source import FrameSource, SourceLost, SourceRefused
from services.ingest.sources.opening import open_source
from services.ingest.status import CameraStatus
from services.ingest.threads import in_thread
from services.kit.logs import bound_contextvars, logger
from services.kit.nats.bus import Bus
from services.kit.nats.leases.lease import Lease
from services.kit.vault import CannotOpen

FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
"""Seconds until a lost camera is tried again, doubling, each time with a jitter of a half."""
STEADY = 60.0
"""Seconds; a connection that held longer makes the next retry a first one."""

log = logger()


class CameraWorker:
    """Publishes one camera's frames until cancelled. `update` takes a new spec that needs no new connection."""

    def __init__(
        self,
        bus: Bus,
        progress: ProgressStore,
        settings: IngestSettings,
        spec: CameraSpec,
        source: Source,
        lease: Lease | None = None,
    ) -> None:
        """Prepare the work; without a lease, no other replica works on the camera."""
        self._bus, self._progress, self._settings, self._source = bus, progress, settings, source
        self._spec, self._lease = spec, lease
        self._publisher = Publisher(bus, spec.camera)
        self._status = CameraStatus(bus, spec, self._publisher)

    def update(self, spec: CameraSpec) -> None:
        """Stamp the coming frames with a new revision."""
        self._spec = spec

    async def run(self) -> None:
        """Work until cancelled."""
        with bound_contextvars(camera=self._spec.camera):
            try:
                await self._keep_trying()
            finally:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_TIMEOUT):
                        await self._status.report(State.STOPPED)
                        await self._publisher.close()

    async def _keep_trying(self) -> None:
        retry = FIRST_RETRY
        while True:
            started = time.monotonic()
            try:
                await self._connect_and_publish()
            except SourceRefused as error:
                await self._status.report(State.REFUSED, str(error), code=error.code, params=error.params)
                retry = LONGEST_RETRY
            except SourceLost as error:
                await self._status.report(
                    State.RETRYING, f"{error}. Trying again.", code=error.code, params=error.params
                )
                if time.monotonic() - started > STEADY:
                    retry = FIRST_RETRY
            except Exception as error:  # noqa: BLE001  # any failure of one camera is reported there, and tried again
                # An error's text may repeat the address; where it was raised does not.
                where = traceback.format_tb(error.__traceback__)
                log.error("a camera's work failed", error=type(error).__name__, where=where)
                kind = type(error).__name__
                message = f"Unexpected: {kind}. Trying again."
                await self._status.report(State.RETRYING, message, code="unexpected-error", params={"error": kind})
            await asyncio.sleep(retry * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, no secret
            retry = min(retry * 2, LONGEST_RETRY)

    async def _connect_and_publish(self) -> None:
        await self._status.report(State.STARTING, "Opening the source.", code="opening-source")
        source = await self._open()
        try:
            if source.policy is Policy.EVERY:
                playback = FilePlayback(
                    self._bus, self._progress, self._publisher, self._status, self._source, self._current_spec
                )
                await playback.run(source)
            else:
                await LiveCapture(self._publisher, self._status, self._current_spec, self._lease).run(source)
        finally:
            source.close()

    async def _open(self) -> FrameSource:
        try:
            address = self._settings.vault.open(self._source.address)
        except CannotOpen as error:
            raise SourceRefused(
                f"the camera's address cannot be read: {error}", code="address-unreadable", error=error
            ) from error
        return await in_thread(
            lambda: open_source(
                address,
                egress=self._settings.egress(trusted=self._source.trusted),
                open_timeout=self._settings.open_timeout,
                read_timeout=self._settings.read_timeout,
                track=self._spec.capture.track,
                rate=self._spec.capture.rate,
            )
        )

    def _current_spec(self) -> CameraSpec:
        return self._spec
