"""Dead letters: what a service could not handle is kept with its reason, and the stream goes on."""

from __future__ import annotations

import json
import re
import time

from nats.aio.msg import Msg

from contracts.events import DeadLetter
from contracts.identity import LIVE
from contracts.subjects import dead_letter
from services.kit.logs import logger
from services.kit.nats.bus import Bus, header_size

HEADER = "Metrica-Dead-Letter"
"""Carries the `DeadLetter` event as JSON; the message's own headers and body travel on unchanged."""

LONGEST_REASON = 2000
"""Characters. Of an event with a thousand wrong fields, the first few are enough."""
MOST_HEADERS = 60 * 1024
"""Bytes. JetStream takes no message with more than 64 KiB of headers."""

_HEADER_NAME = re.compile(r"[!-9;-~]+")  # what nats-py sends; what it reads may be anything

log = logger()


async def bury(bus: Bus, service: str, msg: Msg, reason: str, *, run: str = LIVE) -> None:
    """Keep a message that cannot be handled, with the reason. Returns once it is stored: only then acknowledge it.

    Its headers are kept but for NATS's own; a body or headers so long that no room is left for the reason are cut.
    """
    sequence = msg.metadata.sequence.stream
    reason = reason.encode(errors="backslashreplace").decode()  # bytes that were no UTF-8, made visible
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
    theirs = {
        name: value.encode("ascii", "backslashreplace").decode()
        for name, value in (msg.headers or {}).items()
        if not name.startswith("Nats-") and _HEADER_NAME.fullmatch(name)
    }
    headers = {**theirs, **own}
    if header_size(headers) > MOST_HEADERS:
        headers = own
    room = bus.client.max_payload - header_size(headers)
    await bus.publish(dead_letter(service, run), msg.data[:room], headers=headers)
