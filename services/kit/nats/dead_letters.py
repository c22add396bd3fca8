"""Dead letters: messages that a service cannot handle are stored with the reason, and the stream goes on."""

from __future__ import annotations

import json
import re
import time

from nats.aio.msg import Msg

from contracts import subjects
from contracts.events import DeadLetter
from contracts.identity import LIVE
from services.kit.logs import logger
from services.kit.nats.bus import Bus, header_size

HEADER = "Metrica-Dead-Letter"
"""Header with the `DeadLetter` event as JSON; the message's own headers and body are kept unchanged."""

LONGEST_REASON = 2000
"""Characters: enough for the first few of an event's many wrong fields."""
MOST_HEADERS = 60 * 1024
"""Bytes. JetStream refuses messages with more than 64 KiB of headers."""

_HEADER_NAME = re.compile(r"[!-9;-~]+")  # nats-py sends no other names, but reads any

log = logger()


async def dead_letter(bus: Bus, service: str, msg: Msg, reason: str, *, run: str = LIVE) -> None:
    """Store a message that cannot be handled, with the reason. Returns once it is stored: only then ack the message.

    Its headers are kept except NATS's own. Where body or headers leave no room for the reason, they are cut.
    """
    sequence = msg.metadata.sequence.stream
    reason = reason.encode(errors="backslashreplace").decode()  # shows bytes that were no UTF-8
    if len(reason) > LONGEST_REASON:
        reason = f"{reason[:LONGEST_REASON]} …"
    log.error("dead letter", subject=msg.subject, reason=reason, stream_seq=sequence)
    letter = DeadLetter(
        run=run,
        service=service,
        subject=msg.subject,
        reason=reason,
        at=time.time_ns(),
        stream=msg.metadata.stream,
        stream_seq=sequence,
    )
    own = {
        HEADER: json.dumps(letter.model_dump(mode="json")),  # ASCII: nats-py reads other headers back in two ways
        "Nats-Msg-Id": f"{run}/{service}/{msg.metadata.stream}/{sequence}",
    }
    original = {
        name: value.encode("ascii", "backslashreplace").decode()
        for name, value in (msg.headers or {}).items()
        if not name.startswith("Nats-") and _HEADER_NAME.fullmatch(name)
    }
    headers = {**original, **own}
    if header_size(headers) > MOST_HEADERS:
        headers = own
    room = bus.client.max_payload - header_size(headers)
    await bus.publish(subjects.dead_letter(service, run), msg.data[:room], headers=headers)
