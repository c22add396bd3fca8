"""The services' statuses of the camera, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from contracts.events import State, Status
from contracts.identity import LIVE
from contracts.streams import STATUS
from contracts.subjects import status as status_subject
from services.kit.logs import configure
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.settings import ServiceSettings


async def follow_status(
    nats_environment: Mapping[str, str], camera: str, since: datetime, tell: Callable[[str], None]
) -> None:
    """Print each new status of the camera, until cancelled."""
    settings = ServiceSettings(
        nats_url=nats_environment["METRICA_NATS_URL"],
        nats_user=nats_environment["METRICA_NATS_USER"],
        nats_password=nats_environment["METRICA_NATS_PASSWORD"],
        log_level="error",
    )
    configure("up", settings)
    bus = await Bus(settings, "up").start()
    try:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=status_subject(LIVE, "*", camera, "*")
        )
        async with OrderedConsumer(bus, STATUS.name, config) as consumer:
            lines = StatusLines(tell)
            async for msg in consumer:
                if msg.metadata.timestamp >= since:
                    lines.take(msg.data)
    finally:
        await bus.stop()


class StatusLines:
    """Prints statuses, without unchanged ones and further attempts to reach a camera.

    Args:
        tell: prints a line for each new status.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._last: dict[tuple[str, str], tuple[State, str]] = {}

    def take(self, data: bytes) -> None:
        """Handle an encoded status; other data is ignored."""
        try:
            status = Status.model_validate_json(data)
        except ValidationError:
            return
        line = _line(status)
        state, printed = self._last.get((status.camera, status.service), (None, ""))
        if line == printed or (state, status.state) == (State.RETRYING, State.STARTING):
            return
        self._last[status.camera, status.service] = status.state, line
        self._tell(line)


def _line(status: Status) -> str:
    state = status.state.replace("_", " ")
    return f"{status.camera} ({status.service}): {state}{': ' if status.message else ''}{status.message}"
