"""A camera's status as ingest reports it: when it changes, and from time to time while it stays the same."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.events import State
from contracts.spec import CameraSpec
from services.ingest.publishing import Publisher
from services.ingest.source import FrameSource
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.status_reporter import StatusReporter

SERVICE = "ingest"
REPEAT = 10.0
"""Seconds between reports of a camera whose state stays the same."""

log = logger()


class CameraStatus:
    """Reports one camera's status with the counts of its publisher."""

    def __init__(self, bus: Bus, spec: CameraSpec, publisher: Publisher) -> None:
        self._reporter = StatusReporter(bus, SERVICE, every=REPEAT, log_change=log.info)
        self._spec, self._publisher = spec, publisher

    async def report(
        self,
        state: State,
        message: str = "",
        *,
        code: str | None = None,
        params: Mapping[str, object] | None = None,
        session: str | None = None,
    ) -> None:
        """Publish a status if it is due; see `StatusReporter.report`."""
        await self._reporter.report(
            self._spec.store,
            self._spec.camera,
            state,
            message,
            code=code,
            params=params,
            session=session,
            frames=self._publisher.frames,
            dropped=self._publisher.dropped,
        )


def notes_as_message(source: FrameSource) -> str:
    """The source's notes as sentences for a status; empty where it has none."""
    return " ".join(f"Note: {note.text}." for note in source.notes)
