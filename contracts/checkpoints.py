"""Checkpoints of the tracker, as far as others read them: which frames of a camera are in its counts. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from contracts.identity import Seq

REMEMBERED: Final = 16
"""Ended sessions whose late frames the tracker recognises."""


def checkpoint_key(run: str, partition: int, camera: str) -> str:
    """KV key of a camera's checkpoint: the cameras of a partition share a prefix."""
    return f"{run}.{partition}.{camera}"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LastTaken(_Part):
    """The last frame of the present session."""

    seq: Seq


class Order(_Part):
    """The present session, and those that ended, the last one last."""

    session: str | None = None
    last: LastTaken | None = None
    ended: tuple[str, ...] = ()


class Taken(_Part):
    """The frames of a camera that the tracker has taken."""

    order: Order = Order()

    def first_missing(self, session: str) -> int | None:
        """The seq of a session's first frame that was not taken; None where all were, or that cannot be told."""
        if session == self.order.session:
            return 0 if self.order.last is None else self.order.last.seq + 1
        if session in self.order.ended or len(self.order.ended) >= REMEMBERED:
            return None
        return 0
