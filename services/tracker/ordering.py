"""Resequencer: detectors answer out of order, but the tracker needs each camera's frames by seq, each once.

A frame is next when its predecessor was taken. For a source that drops nothing (`every`) the predecessor always comes,
so the frame waits for it; for a live one (`latest`) a gap is given up after 200 ms, and a late frame is ignored. These
waits are measured on the stream's own clock, the times at which the broker stored the messages: each reader of the same
stream, at any speed, makes the same decisions. The local clock only triggers them when nothing more arrives.

A session ends by its `end` event. Where that never comes (its ingest was killed), the first frames of the next session
wait for the same time, and then an end is inserted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

from pydantic import BaseModel, ConfigDict

from contracts.checkpoints import REMEMBERED
from contracts.events import Detections
from contracts.frames import EndReason
from contracts.identity import Policy

PATIENCE: Final = {Policy.LATEST: 0.2, Policy.EVERY: 60.0}
"""Seconds of the stream's clock after which a gap is given up. `every`: longer than three deliveries of a frame to
detectors that it crashes."""
SILENCE: Final = {Policy.LATEST: 0.5, Policy.EVERY: 600.0}
"""Seconds of the local clock after which a gap is given up although nothing more arrives. `latest`: its patience, plus
the longest time that a message may be on its way. `every`: long enough for an operator to start the detectors again."""
LONGEST_PAUSE: Final = 1.0
"""Seconds for which a pause in the stream counts at most: while no detector works, no frame is late."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Detections as read from the stream: the position there, and the times by the stream's and the local clock (s).

    With the `final` ones the camera's stream ends: there is nothing to wait for behind them.
    """

    event: Detections
    stream_seq: int
    stored_at: float
    received_at: float
    final: bool = False


class OrderState(BaseModel):
    """State of a resequencer. `last` is the last event taken, without its boxes."""

    model_config = ConfigDict(frozen=True)

    session: str | None = None
    last: Detections | None = None
    ended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """An arrival that is held back; `since` is by the stream's clock (µs), `received_at` by the local one (s)."""

    event: Detections
    stream_seq: int
    since: int
    received_at: float


class Sequencer:
    """Puts one camera's detections in order. Pure: the times come with the arrivals."""

    def __init__(self, state: OrderState | None = None) -> None:
        state = state or OrderState()
        self._session, self._last = state.session, state.last
        self._ended = deque(state.ended, maxlen=REMEMBERED)
        self._held: dict[str, dict[int, _Held]] = {}
        self._clock = 0
        self._stored_at: float | None = None

    @property
    def state(self) -> OrderState:
        """State to restore from. Held arrivals are not in it: they are read again from the stream (`oldest_held`)."""
        last = None if self._last is None else self._last.model_copy(update={"boxes": (), "scores": ()})
        return OrderState(session=self._session, last=last, ended=tuple(self._ended))

    def offer(self, arrival: Arrival) -> Iterator[Detections]:
        """Take an arrival, in stream order; yields the events that are now in order."""
        self._tick(arrival.stored_at)
        # Waits that ended before this arrival are given up first, as they were by a live reader.
        yield from self._release(self._out_of_patience)
        event = arrival.event
        if event.session in self._ended or (event.session == self._session and self._taken(event)):
            return
        held = _Held(event, arrival.stream_seq, self._clock, arrival.received_at)
        self._held.setdefault(event.session, {}).setdefault(event.seq, held)
        yield from self._release(self._out_of_patience)

    def expire(self, now: float, caught_up_since: float) -> Iterator[Detections]:
        """Give up waits that end by `now`, as nothing has arrived; yields the events that follow.

        Args:
            now: the local time.
            caught_up_since: the local time since which everything that was stored has been read: no wait ends that
                has not been silent for so long. inf while that is not known.
        """
        yield from self._release(lambda held: self._silent_at(held, caught_up_since) <= now)

    def finish(self) -> Iterator[Detections]:
        """Give up all waits, at the end of the stream; yields all held events."""
        yield from self._release(lambda _: True)

    @property
    def oldest_held(self) -> int | None:
        """The lowest sequence number that is held back, and must be read again after a restart."""
        return min((held.stream_seq for frames in self._held.values() for held in frames.values()), default=None)

    @property
    def revisions(self) -> set[int]:
        """The spec revisions of the last event and of the held arrivals: what is released later has one of these."""
        revisions = {held.event.spec_revision for frames in self._held.values() for held in frames.values()}
        return revisions if self._last is None else revisions | {self._last.spec_revision}

    def deadline(self, caught_up_since: float) -> float:
        """The local time at which `expire` has something to do; inf without held arrivals."""
        first = self._first()
        return inf if first is None else self._silent_at(first, caught_up_since)

    def _silent_at(self, held: _Held, caught_up_since: float) -> float:
        """The local time at which an arrival has waited in silence for long enough."""
        return max(held.received_at, caught_up_since) + SILENCE[self._policy]

    @property
    def _policy(self) -> Policy:
        """The policy in force: `latest` if any event is live, as a live session must not wait for an earlier file."""
        known = [next(iter(frames.values())).event for frames in self._held.values()]
        if self._last is not None:
            known.append(self._last)
        return Policy.LATEST if any(event.policy is Policy.LATEST for event in known) else Policy.EVERY

    def _tick(self, stored_at: float) -> None:
        if self._stored_at is not None:
            pause = min(max(stored_at - self._stored_at, 0.0), LONGEST_PAUSE)
            self._clock += round(pause * 1e6)
        self._stored_at = stored_at

    def _out_of_patience(self, held: _Held) -> bool:
        return self._clock - held.since >= PATIENCE[self._policy] * 1e6

    def _taken(self, event: Detections) -> bool:
        return self._last is not None and event.seq <= self._last.seq

    def _first(self) -> _Held | None:
        """The next held arrival: of the present session by seq, or else of the session that has waited longest."""
        present = self._held.get(self._session or "")
        if present:
            return present[min(present)]
        held = [held for frames in self._held.values() for held in frames.values()]
        return min(held, key=lambda arrival: arrival.stream_seq, default=None)

    def _release(self, given_up: Callable[[_Held], bool]) -> Iterator[Detections]:
        while (first := self._first()) is not None:
            session = first.event.session
            if self._session is None:
                self._session, self._last = session, None
            elif session == self._session:
                if not self._follows(first.event) and not given_up(first):
                    return
                yield from self._take(first.event)
            else:
                if not given_up(first):
                    return
                yield from self._close()

    def _follows(self, event: Detections) -> bool:
        if event.previous is None:
            return True
        return self._last is not None and event.previous <= self._last.seq

    def _take(self, event: Detections) -> Iterator[Detections]:
        frames = self._held[event.session]
        del frames[event.seq]
        if not frames:
            del self._held[event.session]
        self._last = event
        if event.end is not None:
            self._forget()
        yield event

    def _close(self) -> Iterator[Detections]:
        """End the present session by an inserted event, as its own end never came."""
        last = self._last
        self._forget()
        if last is not None:
            end = {"seq": last.seq + 1, "previous": last.seq, "end": EndReason.LOST, "skipped": None}
            yield last.model_copy(update={**end, "boxes": (), "scores": ()})

    def _forget(self) -> None:
        if self._session is not None:
            self._held.pop(self._session, None)
            self._ended.append(self._session)
        self._session = self._last = None
