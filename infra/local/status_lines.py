"""What the services report of the camera, as lines for the terminal."""

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
from services.kit.nats.consumer import Reader
from services.kit.settings import ServiceSettings


async def tell_news(
    nats_environment: Mapping[str, str], camera: str, since: datetime, tell: Callable[[str], None]
) -> None:
    """Tell each new state of the camera, until cancelled."""
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
        async with Reader(bus, STATUS.name, config) as reader:
            news = News(tell)
            async for msg in reader:
                if msg.metadata.timestamp >= since:
                    news.take(msg.data)
    finally:
        await bus.stop()


class News:
    """Tells what is new, once: an unchanged state is none, nor is each attempt to reach a camera that stays away.

    Args:
        tell: gets a line for each new state.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: dict[tuple[str, str], tuple[State, str]] = {}

    def take(self, data: bytes) -> None:
        """Take a status as it came; what is none is passed over."""
        try:
            status = Status.model_validate_json(data)
        except ValidationError:
            return
        line = _line(status)
        state, told = self._told.get((status.camera, status.service), (None, ""))
        if line == told or (state, status.state) == (State.RETRYING, State.STARTING):
            return
        self._told[status.camera, status.service] = status.state, line
        self._tell(line)


def _line(status: Status) -> str:
    state = status.state.replace("_", " ")
    return f"{status.camera} ({status.service}): {state}{': ' if status.message else ''}{status.message}"
