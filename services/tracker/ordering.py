"""Order: several detectors answer out of order, the tracker needs each camera's frames by seq, each once.

A frame is next when the one before it was taken. For a source that drops nothing (`every`) the predecessor always
comes, so it is waited for; for a live one (`latest`) a gap is given up after 200 ms and a late frame ignored. These
waits are measured on the stream's own clock, the times at which the broker stored the messages: whoever reads the
same stream again, at any speed, takes the same decisions. A local clock only triggers them when nothing more arrives.

A session ends in band, by its `end` event. Where that never comes (its ingest was killed), the first frames of the next
session wait out the same patience, and then an end is put in its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from contracts.events import Detections
from contracts.frames import EndReason
from contracts.identity import Policy

PATIENCE = {Policy.LATEST: 0.2, Policy.EVERY: 60.0}
"""Seconds that a gap is waited for. `every`: longer than three deliveries of a frame to detectors that die with it."""
SLACK = 0.3
"""A local clock triggers this much later than the stream's own would: a message may be on its way."""
REMEMBERED = 16
"""Ended sessions whose late frames are recognised."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Detections as they came: their place in the stream, and when, by the stream's and the local clock (seconds)."""

    event: Detections
    stream_seq: int
    stored_at: float
    received_at: float


class OrderState(BaseModel):
    """What a camera's order depends on. `last` is the last event taken, less its boxes."""

    model_config = ConfigDict(frozen=True)

    session: str | None = None
    last: Detections | None = None
    ended: tuple[str, ...] = ()


class Sequencer:
    """Puts one camera's detections in order. Pure: time comes with the arrivals."""

    def __init__(self, state: OrderState | None = None) -> None:
        state = state or OrderState()
        self._session, self._last = state.session, state.last
        self._ended = deque(state.ended, maxlen=REMEMBERED)
        self._held: dict[str, dict[int, Arrival]] = {}

    @property
    def state(self) -> OrderState:
        """What to restore from; what is held back is read again from the stream (see `oldest_held`)."""
        return OrderState(session=self._session, last=self._last, ended=tuple(self._ended))

    def offer(self, arrival: Arrival) -> Iterator[Detections]:
        """Take an arrival; yields what is now in order."""
        event = arrival.event
        if event.session in self._ended or (event.session == self._session and self._taken(event)):
            return
        self._held.setdefault(event.session, {}).setdefault(event.seq, arrival)
        yield from self._release(stored_now=arrival.stored_at)

    def waited(self, now: float) -> Iterator[Detections]:
        """Nothing arrived until `now` (local clock): yields what need not wait any longer."""
        yield from self._release(received_now=now - SLACK)

    @property
    def oldest_held(self) -> int | None:
        """The lowest place in the stream that is held back and must be read again after a restart."""
        return min((a.stream_seq for held in self._held.values() for a in held.values()), default=None)

    @property
    def deadline(self) -> float | None:
        """The local time at which `waited` has something to do."""
        firsts = [self._patience_ends(held) for held in self._held.values() if held]
        return min(firsts, default=None)

    @property
    def _last_seq(self) -> int | None:
        return None if self._last is None else self._last.seq

    def _taken(self, event: Detections) -> bool:
        return self._last_seq is not None and event.seq <= self._last_seq

    def _release(self, *, stored_now: float | None = None, received_now: float | None = None) -> Iterator[Detections]:
        while self._held:
            if self._session is None:
                self._begin()
            held = self._held.get(self._session or "", {})
            if held:
                first = held[min(held)]
                if self._follows(first.event) or _impatient(first, stored_now, received_now):
                    del held[first.event.seq]
                    yield from self._take(first.event)
                    continue
                return
            self._held.pop(self._session or "", None)
            others = [min(h.values(), key=lambda a: a.stream_seq) for h in self._held.values() if h]
            if not others or not _impatient(min(others, key=lambda a: a.stream_seq), stored_now, received_now):
                return
            yield from self._close()

    def _begin(self) -> None:
        """Open the session whose frames have waited longest."""
        self._session = min(self._held, key=lambda s: min(a.stream_seq for a in self._held[s].values()))
        self._last = None

    def _follows(self, event: Detections) -> bool:
        if self._last_seq is None:
            return event.previous is None
        return event.previous is None or event.previous <= self._last_seq

    def _take(self, event: Detections) -> Iterator[Detections]:
        self._last = event.model_copy(update={"boxes": (), "scores": ()})
        yield event
        if event.end is not None:
            self._forget()

    def _close(self) -> Iterator[Detections]:
        if self._last is not None:
            yield self._last.model_copy(
                update={
                    "seq": self._last.seq + 1,
                    "previous": self._last.seq,
                    "end": EndReason.LOST,
                    "skipped": None,
                }
            )
        self._forget()

    def _forget(self) -> None:
        if self._session is not None:
            self._held.pop(self._session, None)
            self._ended.append(self._session)
        self._session = self._last = None

    def _patience_ends(self, held: dict[int, Arrival]) -> float:
        first = held[min(held)]
        return first.received_at + PATIENCE[first.event.policy] + SLACK


def _impatient(arrival: Arrival, stored_now: float | None, received_now: float | None) -> bool:
    patience = PATIENCE[arrival.event.policy]
    if stored_now is not None:
        return stored_now - arrival.stored_at >= patience
    return received_now is not None and received_now - arrival.received_at >= patience
