"""Dead letters: what a service could not handle is kept with its reason, and the stream goes on."""

from __future__ import annotations

import time

from nats.aio.msg import Msg

from contracts.events import DeadLetter
from contracts.identity import LIVE
from contracts.subjects import dead_letter
from services.kit.bus import Bus
from services.kit.logs import logger

HEADER = "Metrica-Dead-Letter"
"""Carries the `DeadLetter` event as JSON; the message's own headers and body travel on unchanged."""
_HEADER_ROOM = 16 * 1024

log = logger()


async def bury(bus: Bus, service: str, msg: Msg, reason: str, *, run: str = LIVE) -> None:
    """Keep a message that cannot be handled, with the reason. Returns once it is stored: only then acknowledge it."""
    sequence = msg.metadata.sequence.stream
    letter = DeadLetter(
        run=run,
        service=service,
        subject=msg.subject,
        reason=reason,
        at=time.time_ns(),
        stream=msg.metadata.stream,
        stream_seq=sequence,
    )
    headers = {name: value for name, value in (msg.headers or {}).items() if not name.startswith("Nats-")}
    headers[HEADER] = letter.encode().decode()
    log.error("dead letter", subject=msg.subject, reason=reason, stream_seq=sequence)
    room = (
        bus.client.max_payload - _HEADER_ROOM
    )  # the longest message a server takes could not be kept with a header more
    await bus.publish(
        dead_letter(service, run),
        msg.data[:room],
        headers=headers,
        msg_id=f"{run}/{service}/{msg.metadata.stream}/{sequence}",
    )
