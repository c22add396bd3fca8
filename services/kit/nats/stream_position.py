"""Places in a stream, remembered so that a power cut does not give their numbers to other messages unnoticed.

JetStream numbers its messages. What it had not synced is gone after a power cut, and the next messages get the same
numbers. So whoever remembers how far a stream was read remembers when the message there was stored, too. It keeps a few
earlier places as well, one for each doubling of the distance: the newest that still holds is where the old stream ends,
or shortly before. Clocks are only compared for being equal: after a power cut many a machine's goes wrong for a while.
"""

from __future__ import annotations

from typing import Final, Self

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
from pydantic import BaseModel, ConfigDict

from contracts.identity import to_ns
from services.kit.nats.bus import Bus

MOST: Final = 16
"""Places that are kept: the oldest lies at least 16 000 messages back, where there were so many."""
SAME: Final = 1_000_000
"""Nanoseconds. nats-py rounds the times of messages to microseconds, each way of reading them in its own manner."""


class Place(BaseModel):
    """A message's number in its stream, and when it was stored, ns UTC; 0: that is not known."""

    model_config = ConfigDict(frozen=True)

    seq: int
    at: int = 0

    @classmethod
    def of(cls, msg: Msg) -> Self:
        """The place of a message that was read."""
        return cls(seq=msg.metadata.sequence.stream, at=to_ns(msg.metadata.timestamp))


def remember(places: tuple[Place, ...], place: Place) -> tuple[Place, ...]:
    """Add a place to those that are remembered, the newest first. One whose time is not known tells nothing.

    Of those that are equally far back, to a factor of two, the oldest stays: it moves up into the next such range.
    """
    if not place.at:
        return places
    ranges = {(place.seq - one.seq).bit_length(): one for one in (place, *places) if one.seq <= place.seq}
    return tuple(ranges.values())[:MOST]


async def newest_that_holds(bus: Bus, stream: str, places: tuple[Place, ...]) -> Place | None:
    """The newest of some places that is the same message's as when it was remembered; None where none is.

    One whose time is not known is believed where the stream reaches so far.

    Args:
        bus: the connection.
        stream: that the places lie in.
        places: the newest first.

    Raises:
        nats.errors.Error, TimeoutError, OSError: the server does not say.
    """
    last = (await bus.js.stream_info(stream)).state.last_seq
    for place in places:
        if place.seq > last:
            continue
        if not place.at:
            return place
        try:
            found = await bus.js.get_msg(stream, place.seq)
        except NotFoundError:
            return place  # too old, or deleted: its number is given to no other
        if found.time is not None and abs(to_ns(found.time) - place.at) < SAME:
            return place
    return None
