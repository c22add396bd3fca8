"""What a tracker reads: the live run's detections, or those of a run beside it.

A run is what was, once more: the order of its detections is decided by the times at which the originals were stored,
silence says nothing, and only what its period decides is counted. See docs/decisions/041.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from nats.aio.msg import Msg

from contracts.identity import LIVE, to_datetime
from contracts.runs import LAST, STORED_AT, Run
from contracts.streams import DETECTIONS, run_streams
from services.kit.nats.bus import Bus
from services.kit.nats.camera_specs import Specs


@dataclass(frozen=True, slots=True)
class Feed:
    """Where detections come from, and which specs go with them.

    Attributes:
        name: of the run.
        stream: that its detections are in.
        specs: of its cameras.
        beside: the run's entry; None is the live run.
    """

    name: str
    stream: str
    specs: Specs
    beside: Run | None = None

    @classmethod
    def live(cls, bus: Bus) -> Self:
        """What cameras and files show now."""
        return cls(LIVE, DETECTIONS.name, Specs(bus))

    @classmethod
    def of(cls, bus: Bus, run: Run) -> Self:
        """A run beside the live one."""
        return cls(run.name, run_streams(run.name).detections.name, Specs(bus, run=run.name), run)

    def counts(self, captured_at: int) -> bool:
        """Whether the crossings that a frame decides are counted."""
        return self.beside is None or self.beside.counts(captured_at)

    def stored_at(self, msg: Msg) -> float:
        """When detections were stored first, seconds since the epoch.

        Raises:
            ValueError: the message says so in no number.
        """
        original = (msg.headers or {}).get(STORED_AT) if self.beside is not None else None
        return (msg.metadata.timestamp if original is None else to_datetime(int(original))).timestamp()

    def ends_with(self, msg: Msg) -> bool:
        """Whether nothing of the camera comes after a message, so that nothing need be waited for."""
        return self.beside is not None and LAST in (msg.headers or {})
