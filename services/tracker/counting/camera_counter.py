"""Counts the people of one camera: detections in, crossings, paths and live tracks out.

The tracker service and the one-process `metrica count` both use it. It is a pure function of the detections, in their
order, and of the state that it was restored from: without a clock, randomness or I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from pydantic import BaseModel

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

    It is not frozen, as it is what a counter changes with each frame; `state` and `restore` copy it.

    Attributes:
        session: None before the first frame, and after the end of a session.
        seq, at: of the last frame, at in ns.
        width, height: of the last frame, the pixels of tracks and traces. 0 before the first.
        frames: number of frames that came, including `skipped` ones; `missed` ones never came.
        count: crossings in this session.
        tracker: the tracks.
        lines: by a line's revision; of what a spec has not named since the restart, as it was.
        traces: unfinished paths, by track number.
    """

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


class CameraCounter:
    """One camera's people, through all its sessions.

    Of the present session's state, tracks, lines and paths are kept as what works on them: `state` gathers them.
    """

    def __init__(self, run: str, store: str, camera: str) -> None:
        self._run, self._store, self._camera = run, store, camera
        self._begin(CounterState())

    def _begin(self, state: CounterState) -> None:
        self._session = state
        self._tracker = Tracker.restore(state.tracker)
        self._recorder = PathRecorder.restore(
            state.traces, (track.number for track in state.tracker.tracks if track.confirmed)
        )
        self._counters: dict[tuple[str, int], LineCounter] = {}

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
        if detections.session != self._session.session:
            published += self._flush()
            self._begin(CounterState(session=detections.session))
        session = self._session
        missed = _missed(session.seq, detections)
        session.seq = detections.seq
        if missed:
            session.missed += missed
        self._follow(spec.lines)
        if detections.end is not None:
            ended = self._tracker.flush()
            crossings = self._cross((), ended, detections, counts)
            published += self._paths(self._recorder.forget(ended))
            end = self._close(detections, detections.end)
            return Step(crossings, tuple(published), self._tracks(detections, ()), end, missed)
        if (detections.width, detections.height) != (session.width, session.height):
            published += self._resize(detections.width, detections.height)
        if spec.revision != session.spec_revision:
            session.spec_revision = spec.revision
        session.frames += 1
        before, session.at = session.at, detections.captured_at
        seconds = min(max((detections.captured_at - before) / 1e9, MIN_STEP), MAX_STEP)
        if detections.skipped is not None:
            session.skipped += 1
            sightings = self._tracker.skip(seconds)
        else:
            sightings = self._tracker.step(boxes, scores, seconds)
        crossings = self._cross(sightings.seen, sightings.ended, detections, counts)
        published += self._paths(self._recorder.see(sightings.seen, detections.captured_at, before))
        published += self._paths(self._recorder.forget(sightings.ended))
        shown = self._tracker.visible(SHOWN_SECONDS) if shows else ()
        return Step(crossings, tuple(published), self._tracks(detections, shown), None, missed)

    def _follow(self, lines: Iterable[CountingLine]) -> None:
        """Count over these lines: unchanged ones go on, new ones start, removed ones are forgotten."""
        restored = {(line.line, line.revision): line for line in self._session.lines}
        counters: dict[tuple[str, int], LineCounter] = {}
        for line in lines:
            key = (line.id, line.revision)
            if key in self._counters:
                counters[key] = self._counters[key]
            elif key in restored:
                counters[key] = LineCounter.restore(line, restored[key])
            else:
                counters[key] = LineCounter(line)
        self._counters = counters
        if restored:
            self._session.lines = ()

    def _resize(self, width: int, height: int) -> list[Path]:
        """Go on in pixels of this frame size. Returns the pieces of paths that end with the old ones."""
        session, pieces = self._session, list[Path]()
        if session.width:
            x, y = width / session.width, height / session.height
            self._tracker.resize(x, y)
            pieces = self._paths(self._recorder.resize(x, y))
        session.width, session.height = width, height
        return pieces

    def _cross(
        self, seen: tuple[Sighting, ...], ended: tuple[EndedTrack, ...], detections: Detections, counts: bool
    ) -> tuple[Crossing, ...]:
        """The crossings that this frame decides, line by line."""
        session = self._session
        crossings: list[Crossing] = []
        for counter in self._counters.values():
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
        if crossings:
            session.count += len(crossings)
        return tuple(crossings)

    def _flush(self) -> list[Path]:
        """End all tracks of the session."""
        return self._paths(self._recorder.forget(self._tracker.flush()))

    def _close(self, detections: Detections, reason: EndReason) -> SessionEnd:
        session = self._session
        self._begin(CounterState())
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
                id=Path.identify(self._camera, session.session or "", track, piece.part),
                store=self._store,
                camera=self._camera,
                session=session.session or "",
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
        """The state on which the next step depends."""
        watched = (counter.state() for counter in self._counters.values())
        return self._session.model_copy(
            update={
                "tracker": self._tracker.state(),
                "lines": (*watched, *self._session.lines),
                "traces": self._recorder.state(),
            }
        )

    @classmethod
    def restore(cls, run: str, store: str, camera: str, state: CounterState) -> Self:
        """Go on from a state, bit for bit."""
        counter = cls(run, store, camera)
        counter._begin(state.model_copy())
        return counter


def _missed(last: int | None, detections: Detections) -> int:
    """The frames that never came between the last event, by seq, and this one."""
    return 0 if detections.previous is None else max(0, detections.previous - (-1 if last is None else last))


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
