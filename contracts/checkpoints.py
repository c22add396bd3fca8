"""The public part of the tracker's checkpoints: the frames of a camera that its counts include. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from contracts.identity import Seq

REMEMBERED: Final = 16
"""Number of ended sessions that the tracker remembers, to recognise their late frames."""


def checkpoint_key(run: str, partition: int, camera: str) -> str:
    """Return the KV key of a camera's checkpoint: the cameras of a partition share a prefix."""
    return f"{run}.{partition}.{camera}"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LastTaken(_Part):
    """The last frame of the current session that was taken."""

    seq: Seq


class Order(_Part):
    """The current session, and the ended ones in order of time."""

    session: str | None = None
    last: LastTaken | None = None
    ended: tuple[str, ...] = ()


class Taken(_Part):
    """The frames of a camera that the tracker has processed."""

    order: Order = Order()

    def first_missing(self, session: str) -> int | None:
        """Return the seq of a session's first frame that was not taken; None if all were, or if it is unknown."""
        if session == self.order.session:
            return 0 if self.order.last is None else self.order.last.seq + 1
        if session in self.order.ended or len(self.order.ended) >= REMEMBERED:
            return None
        return 0
