"""Requeueing of a file's frames after its model was changed.

A camera's frames are queued by pool. After a change of the model, frames in the old pool's queue may never be detected:
the old model may never have opened. Without them the tracker would wait, and count nothing. Ingest therefore finds
them, continues the session at the first of them under the new model, and then empties the old queue. The order matters:
a crash between the steps loses no frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from nats.js.errors import NotFoundError

from contracts.frames import FrameHeader, MalformedFrame
from contracts.identity import LIVE
from contracts.spec import CameraSpec
from contracts.streams import KEPT
from contracts.subjects import kept
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.retry import retry

log = logger()


@dataclass(frozen=True, slots=True)
class Stranded:
    """A camera's frames that are queued for other pools than its present one.

    Attributes:
        subjects: of the queues.
        first: the lowest seq of each session among the frames, by session.
    """

    subjects: tuple[str, ...] = ()
    first: dict[str, int] = field(default_factory=dict)


async def find_stranded(bus: Bus, spec: CameraSpec) -> Stranded:
    """Find a camera's frames in the queues of other pools; wait while the broker is away."""
    return await retry(lambda: _find(bus, spec), "the queue of frames cannot be seen now", report=log.debug)


async def discard(bus: Bus, stranded: Stranded) -> None:
    """Empty the queues of stranded frames; wait while the broker is away."""
    for subject in stranded.subjects:
        purge = partial(bus.js.purge_stream, KEPT.name, subject=subject)
        await retry(purge, "the queue of frames cannot be emptied now", report=log.debug)
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
    """Read the headers of the frames that are queued under a subject; the stream keeps at most 64 of them."""
    headers: list[FrameHeader] = []
    position = 1
    while True:
        try:
            msg = await bus.js.get_msg(KEPT.name, seq=position, subject=subject, next=True)
        except NotFoundError:
            return headers
        position = (msg.seq or position) + 1
        try:
            headers.append(FrameHeader.from_headers(msg.headers))
        except MalformedFrame:
            continue  # not published by ingest
