"""Stream positions that tell a restored stream from the old one after a power cut.

JetStream numbers its messages. Messages that it had not synced are lost in a power cut, and the next messages get the
same numbers. So a reader remembers the store time of the message at its position, too. It also keeps a few earlier
positions, one for each doubling of the distance: the newest that is still valid is where the old stream ends, or
shortly before. Store times are only compared for equality, as a machine's clock may be wrong after a power cut.
"""

from __future__ import annotations

from typing import Final, Self

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
from pydantic import BaseModel, ConfigDict

from contracts.identity import to_ns
from services.kit.nats.bus import Bus

MOST: Final = 16
"""Positions that are kept: the oldest lies at least 16 000 messages back, in a stream that long."""
SAME: Final = 1_000_000
"""Nanoseconds within which store times are equal: nats-py rounds them to microseconds, differently in each call."""


class StreamPosition(BaseModel):
    """A message's sequence number in its stream, and its store time, ns UTC; 0 where the time is unknown."""

    model_config = ConfigDict(frozen=True)

    seq: int
    at: int = 0

    @classmethod
    def of(cls, msg: Msg) -> Self:
        """The position of a message."""
        return cls(seq=msg.metadata.sequence.stream, at=to_ns(msg.metadata.timestamp))


def remember(positions: tuple[StreamPosition, ...], position: StreamPosition) -> tuple[StreamPosition, ...]:
    """Add a position to the remembered ones, the newest first. One of unknown time is left out: it proves nothing.

    Of the positions that are equally far back, to a factor of two, the oldest is kept: it moves up into the next such
    range.
    """
    if not position.at:
        return positions
    ranges = {
        (position.seq - known.seq).bit_length(): known for known in (position, *positions) if known.seq <= position.seq
    }
    return tuple(ranges.values())[:MOST]


async def newest_valid(bus: Bus, stream: str, positions: tuple[StreamPosition, ...]) -> StreamPosition | None:
    """The newest position at which the stream still has the same message; None where no position is valid.

    A position of unknown time counts as valid where the stream reaches that far.

    Args:
        bus: the connection.
        stream: of the positions.
        positions: the newest first.

    Raises:
        nats.errors.Error, TimeoutError, OSError: the server does not answer.
    """
    last = (await bus.js.stream_info(stream)).state.last_seq
    for position in positions:
        if position.seq > last:
            continue
        if not position.at:
            return position
        try:
            message = await bus.js.get_msg(stream, position.seq)
        except NotFoundError:
            return position  # expired or deleted: its number is never used again
        if message.time is not None and abs(to_ns(message.time) - position.at) < SAME:
            return position
    return None
