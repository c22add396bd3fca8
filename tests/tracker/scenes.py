"""Made scenes: people who walk as they are told, as detections events, and what a counter makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from contracts.events import Box, Crossing, Detections
from contracts.frames import EndReason
from contracts.identity import Policy
from contracts.spec import CameraSpec, CountingLine, Side
from services.tracker.counting.camera_counter import CameraCounter, Step

START = 1_764_000_000_000_000_000
WIDTH, HEIGHT = 1280, 720
MIDDLE = CountingLine(id="door", x1=0.5, y1=0.0, x2=0.5, y2=1.0, in_side=Side.RIGHT)
"""Downwards through the middle of the picture: whoever ends on its right, the picture's left, goes IN."""
WALKER = (60.0, 150.0)
"""Width and height of a person, pixels: their size is 95."""

Place = Callable[[float], tuple[float, float] | None]
"""Where a person's centre is after so many seconds; None while the camera does not see them."""


def spec(*lines: CountingLine, revision: int = 1) -> CameraSpec:
    """The camera, watching these lines, or the one in the middle."""
    return CameraSpec(store="shop", camera="cam", revision=revision, lines=lines or (MIDDLE,))


def box_at(x: float, y: float, width: float = WALKER[0], height: float = WALKER[1]) -> Box:
    """A person's box around a centre."""
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def seen(
    seq: int,
    boxes: Sequence[Box] = (),
    *,
    seconds: float | None = None,
    fps: float = 10.0,
    score: float = 0.9,
    session: str = "first",
    skipped: str | None = None,
    end: EndReason | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    revision: int = 1,
    previous: int | None = None,
) -> Detections:
    """One frame's detections."""
    after = seq / fps if seconds is None else seconds
    return Detections(
        run="live",
        store="shop",
        camera="cam",
        session=session,
        seq=seq,
        previous=previous if previous is not None else seq - 1 if seq else None,
        captured_at=START + round(after * 1e9),
        width=size[0],
        height=size[1],
        spec_revision=revision,
        policy=Policy.EVERY,
        boxes=tuple(boxes),
        scores=(score,) * len(boxes),
        skipped=skipped,
        end=end,
    )


def film(people: Sequence[Place], *, seconds: float, fps: float = 10.0) -> list[Detections]:
    """The detections of a perfect detector that watches these people."""
    frames = []
    for seq in range(round(seconds * fps)):
        places = [person(seq / fps) for person in people]
        frames.append(seen(seq, [box_at(*place) for place in places if place is not None], fps=fps))
    return frames


def watch(frames: Iterable[Detections], counter: CameraCounter | None = None, *lines: CountingLine) -> list[Step]:
    """The steps of a counter over the frames."""
    counter = counter or CameraCounter("live", "shop", "cam")
    return [counter.step(frame, spec(*lines)) for frame in frames]


def crossings(steps: Iterable[Step]) -> list[Crossing]:
    """All crossings of some steps."""
    return [crossing for step in steps for crossing in step.crossings]


def directions(steps: Iterable[Step]) -> list[str]:
    """The directions of the crossings, in the order in which they were decided."""
    return [str(crossing.direction) for crossing in crossings(steps)]


def walk(*points: tuple[float, float, float]) -> Place:
    """Somebody who is at `x, y` at each `seconds, x, y`, walks straight between, and is not there before or after."""

    def place(seconds: float) -> tuple[float, float] | None:
        for (t0, x0, y0), (t1, x1, y1) in pairwise(points):
            if t0 <= seconds <= t1:
                part = (seconds - t0) / (t1 - t0)
                return x0 + part * (x1 - x0), y0 + part * (y1 - y0)
        return None

    return place


def hidden(person: Place, since: float, until: float) -> Place:
    """The same person, behind a post for a while."""
    return lambda seconds: None if since <= seconds < until else person(seconds)
