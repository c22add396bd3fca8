"""Counts the people of one camera: detections in, crossings, paths and live tracks out.

The tracker service and the one-process `metrica count` both use it. It is a pure function of the detections, in their
order, and of the state that it was restored from: without a clock, randomness or I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from contracts.events import Crossing, Detections, Path, SessionEnd, TrackBox, Tracks
from contracts.frames import EndReason
from contracts.spec import CameraSpec, CountingLine
from services.tracker.counting.line_counter import LineCounter, LineState, crossings_of
from services.tracker.counting.path_simplification import OpenPath
from services.tracker.counting.paths import PathRecorder, RecordedPiece
from services.tracker.tracking.kalman import MIN_SIZE, Floats
from services.tracker.tracking.tracker import EndedTrack, Sighting, Tracker, TrackerState

MIN_STEP: Final = 0.001
"""Least seconds between two frames, for a camera's clock that stands still or jumps back."""
MAX_STEP: Final = 60.0
SHOWN_SECONDS: Final = 0.35
"""Seconds for which an unseen track is still shown, so that its box does not flicker."""


class CounterState(BaseModel):
    """State on which a camera's next frame depends. Its JSON is exact: a counter restored from it goes on bit for bit.

    Attributes:
        session: None before the first frame, and after the end of a session.
        seq, at: of the last frame, at in ns.
        width, height: of the last frame, the pixels of tracks and traces. 0 before the first.
        frames: number of frames that came, including `skipped` ones; `missed` ones never came.
        count: crossings in this session.
        traces: unfinished paths, by track number.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    session: str | None = None
    seq: int | None = None
    at: int = 0
    width: int = 0
    height: int = 0
    spec_revision: int = 1
    frames: int = 0
    skipped: int = 0
    missed: int = 0
    count: int = 0
    tracker: TrackerState = TrackerState()
    lines: tuple[LineState, ...] = ()
    traces: dict[int, OpenPath] = {}


@dataclass(frozen=True, slots=True)
class Step:
    """Results of one detections event."""

    crossings: tuple[Crossing, ...]
    paths: tuple[Path, ...]
    tracks: Tracks
    end: SessionEnd | None
    missed: int
    """Frames before this one that never came."""


@dataclass(slots=True)
class _SessionState:
    """State of a counter in the present session. The next session starts from an empty one."""

    name: str | None = None
    seq: int | None = None
    at: int = 0
    width: int = 0
    height: int = 0
    spec_revision: int = 1
    frames: int = 0
    skipped: int = 0
    missed: int = 0
    count: int = 0
    tracker: Tracker = field(default_factory=Tracker)
    recorder: PathRecorder = field(default_factory=PathRecorder)
    counters: dict[tuple[str, int], LineCounter] = field(default_factory=dict)
    unclaimed: dict[tuple[str, int], LineState] = field(default_factory=dict)
    """States of lines from a checkpoint, until the first spec gives the lines themselves."""

    def arrive(self, detections: Detections) -> int:
        """Count the frames that never came between the last event and this one."""
        last = -1 if self.seq is None else self.seq
        missed = 0 if detections.previous is None else max(0, detections.previous - last)
        self.missed += missed
        self.seq = detections.seq
        return missed

    def elapse(self, captured_at: int) -> float:
        """Seconds since the frame before, at least `MIN_STEP` and at most `MAX_STEP`."""
        seconds = (captured_at - self.at) / 1e9
        self.at = captured_at
        return min(max(seconds, MIN_STEP), MAX_STEP)

    def follow(self, lines: Iterable[CountingLine]) -> None:
        """Count over these lines: unchanged ones go on, new ones start, removed ones are forgotten."""
        counters: dict[tuple[str, int], LineCounter] = {}
        for line in lines:
            key = (line.id, line.revision)
            if key in self.counters:
                counters[key] = self.counters[key]
            elif key in self.unclaimed:
                counters[key] = LineCounter.restore(line, self.unclaimed[key])
            else:
                counters[key] = LineCounter(line)
        self.counters, self.unclaimed = counters, {}

    def resize(self, width: int, height: int) -> list[RecordedPiece]:
        """Go on in pixels of this frame size."""
        x, y = width / (self.width or width), height / (self.height or height)
        if (x, y) == (1.0, 1.0):
            return []
        self.tracker.resize(x, y)
        return self.recorder.resize(x, y)


class CameraCounter:
    """One camera's people, through all its sessions."""

    def __init__(self, run: str, store: str, camera: str) -> None:
        self._run, self._store, self._camera = run, store, camera
        self._session = _SessionState()

    def step(self, detections: Detections, spec: CameraSpec, *, counts: bool = True, shows: bool = True) -> Step:
        """Take in the detections of one frame. In the order of seq, each at most once.

        Args:
            detections: of this camera. `skipped` ones are of frames that could not be analysed; `end` closes the
                session.
            spec: at the revision that the detections name.
            counts: False leaves out the crossings that this frame decides.
            shows: False leaves out the live tracks.

        Raises:
            ValueError: the numbers of boxes and scores differ; the state is unchanged.
        """
        boxes, scores = _people(detections)
        published: list[Path] = []
        if detections.session != self._session.name:
            published += self._flush()
            self._session = _SessionState(detections.session)
        session = self._session
        missed = session.arrive(detections)
        if detections.end is not None:
            session.follow(spec.lines)
            ended = session.tracker.flush()
            crossings = self._cross((), ended, detections, counts)
            published += self._paths(session.recorder.forget(ended))
            end = self._close(detections, detections.end)
            return Step(crossings, tuple(published), self._tracks(detections, ()), end, missed)
        published += self._paths(session.resize(detections.width, detections.height))
        session.width, session.height, session.spec_revision = detections.width, detections.height, spec.revision
        session.follow(spec.lines)
        session.frames += 1
        before = session.at
        seconds = session.elapse(detections.captured_at)
        if detections.skipped is not None:
            session.skipped += 1
            sightings = session.tracker.skip(seconds)
        else:
            sightings = session.tracker.step(boxes, scores, seconds)
        crossings = self._cross(sightings.seen, sightings.ended, detections, counts)
        published += self._paths(session.recorder.see(sightings.seen, detections.captured_at, before))
        published += self._paths(session.recorder.forget(sightings.ended))
        shown = session.tracker.visible(SHOWN_SECONDS) if shows else ()
        return Step(crossings, tuple(published), self._tracks(detections, shown), None, missed)

    def _cross(
        self, seen: tuple[Sighting, ...], ended: tuple[EndedTrack, ...], detections: Detections, counts: bool
    ) -> tuple[Crossing, ...]:
        """The crossings that this frame decides, line by line."""
        session = self._session
        crossings: list[Crossing] = []
        for counter in session.counters.values():
            decided = counter.see(seen, detections.captured_at, session.width, session.height) + counter.forget(ended)
            if not counts or not decided:
                continue
            crossings += crossings_of(
                counter.line,
                decided,
                run=self._run,
                store=self._store,
                camera=self._camera,
                session=detections.session,
                seq=detections.seq,
                spec_revision=session.spec_revision,
                model=detections.model,
            )
        session.count += len(crossings)
        return tuple(crossings)

    def _flush(self) -> list[Path]:
        """End all tracks of the session."""
        return self._paths(self._session.recorder.forget(self._session.tracker.flush()))

    def _close(self, detections: Detections, reason: EndReason) -> SessionEnd:
        session, self._session = self._session, _SessionState()
        return SessionEnd(
            run=self._run,
            id=SessionEnd.identify(self._camera, detections.session),
            store=self._store,
            camera=self._camera,
            session=detections.session,
            at=detections.captured_at,
            reason=reason,
            frames=session.frames,
            skipped=session.skipped,
            missed=session.missed,
            count=session.count,
        )

    def _paths(self, pieces: Iterable[RecordedPiece]) -> list[Path]:
        session = self._session
        return [
            Path(
                run=self._run,
                id=Path.identify(self._camera, session.name or "", track, piece.part),
                store=self._store,
                camera=self._camera,
                session=session.name or "",
                track=track,
                part=piece.part,
                final=final,
                confirmed=confirmed,
                at=piece.at,
                width=session.width,
                height=session.height,
                spec_revision=session.spec_revision,
                points=piece.points,
                gaps=piece.gaps,
            )
            for track, piece, final, confirmed in pieces
        ]

    def _tracks(self, detections: Detections, shown: Iterable[Sighting]) -> Tracks:
        return Tracks(
            run=self._run,
            store=self._store,
            camera=self._camera,
            session=detections.session,
            seq=detections.seq,
            captured_at=detections.captured_at,
            width=detections.width,
            height=detections.height,
            tracks=tuple(TrackBox(track=person.track, box=person.box, score=person.score) for person in shown),
        )

    def state(self) -> CounterState:
        """The state on which the next step depends. Lines are not in it, as `step` gets them by the spec."""
        session = self._session
        watched = (counter.state() for counter in session.counters.values())
        return CounterState(
            session=session.name,
            seq=session.seq,
            at=session.at,
            width=session.width,
            height=session.height,
            spec_revision=session.spec_revision,
            frames=session.frames,
            skipped=session.skipped,
            missed=session.missed,
            count=session.count,
            tracker=session.tracker.state(),
            lines=(*watched, *session.unclaimed.values()),
            traces=session.recorder.state(),
        )

    @classmethod
    def restore(cls, run: str, store: str, camera: str, state: CounterState) -> Self:
        """Go on from a state, bit for bit."""
        counter = cls(run, store, camera)
        confirmed = (track.number for track in state.tracker.tracks if track.confirmed)
        counter._session = _SessionState(
            name=state.session,
            seq=state.seq,
            at=state.at,
            width=state.width,
            height=state.height,
            spec_revision=state.spec_revision,
            frames=state.frames,
            skipped=state.skipped,
            missed=state.missed,
            count=state.count,
            tracker=Tracker.restore(state.tracker),
            recorder=PathRecorder.restore(state.traces, confirmed),
            unclaimed={(line.line, line.revision): line for line in state.lines},
        )
        return counter


def _people(detections: Detections) -> tuple[Floats, Floats]:
    """The boxes (N, 4), clipped to the frame, and scores (N,), without ones not finite or smaller than `MIN_SIZE`."""
    if len(detections.boxes) != len(detections.scores):
        raise ValueError(
            f"detections {detections.id}: {len(detections.boxes)} boxes but {len(detections.scores)} scores; "
            "the detector that sent them is broken"
        )
    boxes = np.array(detections.boxes, np.float64).reshape(-1, 4)
    scores = np.array(detections.scores, np.float64)
    if not len(boxes):
        return boxes, scores
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    if not finite.all():
        boxes, scores = boxes[finite], scores[finite]
    boxes = boxes.clip(0.0, (detections.width, detections.height, detections.width, detections.height))
    solid = (boxes[:, 2:] - boxes[:, :2] >= MIN_SIZE).all(axis=1)
    return (boxes, scores) if solid.all() else (boxes[solid], scores[solid])
