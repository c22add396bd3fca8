"""Taking back frames of a file that are queued where nobody looks at them any more.

A camera's frames are queued by pool. When its model changes, those under the old model may never be seen: that model
may never have opened. Without them the tracker would wait, and count nothing. They are found, the session goes on at
the first of them under the new model, and the old queue is emptied: in this order, so that a crash between loses none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from contracts.frames import FrameHeader, MalformedFrame
from contracts.identity import LIVE
from contracts.spec import CameraSpec
from contracts.streams import KEPT
from contracts.subjects import kept
from services.kit.logs import logger
from services.kit.nats.bus import Backoff, Bus

log = logger()


@dataclass(frozen=True, slots=True)
class Stranded:
    """Frames under other pools than the camera's: their subjects, and the first seq of each session among them."""

    subjects: tuple[str, ...] = ()
    first: dict[str, int] = field(default_factory=dict)


async def find_stranded(bus: Bus, spec: CameraSpec) -> Stranded:
    """Look for a camera's frames under other pools; waits through an outage."""
    backoff = Backoff()
    while True:
        try:
            return await _find(bus, spec)
        except (NatsError, TimeoutError, OSError) as error:
            log.debug("the queue of frames cannot be seen now", error=repr(error))
            await backoff.wait()


async def discard(bus: Bus, stranded: Stranded) -> None:
    """Empty the queues that were found; waits through an outage."""
    backoff = Backoff()
    for subject in stranded.subjects:
        while True:
            try:
                await bus.js.purge_stream(KEPT.name, subject=subject)
                break
            except (NatsError, TimeoutError, OSError) as error:
                log.debug("the queue of frames cannot be emptied now", error=repr(error))
                await backoff.wait()
        log.info("frames queued for another model are read again", subject=subject)


async def _find(bus: Bus, spec: CameraSpec) -> Stranded:
    ours = kept(LIVE, spec.pool, spec.store, spec.camera)
    everywhere = kept(LIVE, "*", spec.store, spec.camera)
    info = await bus.js.stream_info(KEPT.name, subjects_filter=everywhere)
    subjects = tuple(subject for subject in info.state.subjects or {} if subject != ours)
    first: dict[str, int] = {}
    for subject in subjects:
        for header in await _headers(bus, subject):
            first[header.session] = min(header.seq, first.get(header.session, header.seq))
    return Stranded(subjects, first)


async def _headers(bus: Bus, subject: str) -> list[FrameHeader]:
    """What is queued under a subject: at most as many as the stream keeps, 64."""
    found: list[FrameHeader] = []
    place = 1
    while True:
        try:
            msg = await bus.js.get_msg(KEPT.name, seq=place, subject=subject, next=True)
        except NotFoundError:
            return found
        place = (msg.seq or place) + 1
        try:
            found.append(FrameHeader.from_headers(msg.headers))
        except MalformedFrame:
            continue  # no frame of ours
