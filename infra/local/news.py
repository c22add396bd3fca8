"""What the services report of the camera, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from contracts.events import Status
from contracts.identity import LIVE
from contracts.streams import STATUS
from contracts.subjects import status as status_subject
from services.kit.bus import Bus
from services.kit.logs import configure
from services.kit.reader import Reader
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
            told: dict[str, str] = {}
            async for msg in reader:
                line = _line(msg.data)
                if line and told.get(msg.subject) != line and msg.metadata.timestamp >= since:
                    told[msg.subject] = line
                    tell(line)
    finally:
        await bus.stop()


def _line(data: bytes) -> str:
    try:
        status = Status.model_validate_json(data)
    except ValidationError:
        return ""
    state = status.state.replace("_", " ")
    return f"{status.camera} ({status.service}): {state}{': ' if status.message else ''}{status.message}"
