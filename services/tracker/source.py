"""The detections that a tracker reads: the live run's, or those of a replay.

A replay reads stored data once more. Ordering uses the times at which the original messages were stored, gaps never
time out, and only crossings decided within the run's period count. See docs/decisions/041.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from nats.aio.msg import Msg

from contracts.identity import LIVE, to_datetime
from contracts.runs import LAST, STORED_AT, Run
from contracts.streams import DETECTIONS, Stream, run_streams
from services.kit.nats.bus import Bus
from services.kit.nats.camera_specs import Specs


@dataclass(frozen=True, slots=True)
class DetectionSource:
    """The stream of a run's detections, and the specs of its cameras.

    Attributes:
        name: of the run.
        stream: of its detections.
        specs: of its cameras.
        run: the entry of a run beside the live one; None is the live run.
    """

    name: str
    stream: Stream
    specs: Specs
    run: Run | None = None

    @classmethod
    def live(cls, bus: Bus) -> Self:
        """The live run."""
        return cls(LIVE, DETECTIONS, Specs(bus))

    @classmethod
    def of(cls, bus: Bus, run: Run) -> Self:
        """A run beside the live one."""
        return cls(run.name, run_streams(run.name).detections, Specs(bus, run=run.name), run)

    def counts(self, captured_at: int) -> bool:
        """Tell whether crossings decided by a frame of this time, ns, are counted."""
        return self.run is None or self.run.counts(captured_at)

    def stored_at(self, msg: Msg) -> float:
        """The time at which detections were first stored, seconds since the epoch.

        Raises:
            ValueError: the message's header is no number.
        """
        original = (msg.headers or {}).get(STORED_AT) if self.run is not None else None
        return (msg.metadata.timestamp if original is None else to_datetime(int(original))).timestamp()

    def ends_with(self, msg: Msg) -> bool:
        """Tell whether a message is the last one of its camera, so that there is nothing to wait for."""
        return self.run is not None and LAST in (msg.headers or {})
