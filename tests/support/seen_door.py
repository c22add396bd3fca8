"""The people of the simulated door as boxes, without a picture: truth for a detector that exists in figures only."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator

from contracts.events import Box, Detections
from contracts.identity import Policy
from contracts.spec import CameraSpec
from services.cli.evaluation.matching import Instant, Matching, match
from services.ingest.simulator.geometry import DOOR_LEFT, DOOR_RIGHT, DOOR_TOP, HEIGHT, THRESHOLD, WIDTH, height_at
from services.ingest.simulator.trajectories import PersonWalk, Spacing, script
from services.ingest.sources.simulation import open_simulation
from services.tracker.counting.camera_counter import CameraCounter
from tests.support.detector_errors import ErrorPattern, FlawedDetector

START = 1_764_000_000_000_000_000
SIZE = (int(WIDTH), int(HEIGHT))
GIRTH = 0.36
"""A figure's width with its arms, in heights."""
SHOWN = 0.35
"""Part of somebody that must be in the picture for them to be there: half a face in a doorway is nobody yet."""
STOP = 4.0
"""Seconds between a counted crossing and the true one: who stops on the line for so long crosses when they go on."""
SPEC = CameraSpec(store="shop", camera="cam", lines=(open_simulation("sim://door").line,))


def body(walk: PersonWalk, time: float) -> Box | None:
    """The box of what is seen of somebody, x1, y1, x2, y2 in pixels; None while that is too little.

    On the pavement people are seen through the open door only; whoever leaves does so over the lower edge.
    """
    x, y, _, _ = walk.at(time)
    tall = height_at(y) * walk.stature
    whole = (x - GIRTH * tall / 2, y - tall, x + GIRTH * tall / 2, y)
    left, top, right, bottom = (
        (DOOR_LEFT + 5, DOOR_TOP, DOOR_RIGHT - 5, THRESHOLD) if y < THRESHOLD else (0.0, 0.0, WIDTH, HEIGHT)
    )
    seen = (max(whole[0], left), max(whole[1], top), min(whole[2], right), min(whole[3], bottom))
    wide, high = max(0.0, seen[2] - seen[0]), max(0.0, seen[3] - seen[1])
    return seen if wide * high > SHOWN * GIRTH * tall * tall else None


def present(walks: Iterable[PersonWalk], fps: float) -> Iterator[tuple[float, dict[int, Box]]]:
    """Each frame's time in seconds, and the boxes of those who are seen in it, by their number; to the last one's end.

    Args:
        walks: in order of their begin.
        fps: frames in a second.
    """
    walks, inside = iter(walks), list[PersonWalk]()
    coming = next(walks, None)
    for frame in itertools.count():
        time = frame / fps
        while coming is not None and coming.begin <= time:
            inside.append(coming)
            coming = next(walks, None)
        inside = [walk for walk in inside if walk.end > time]
        if coming is None and not inside:
            return
        yield time, {walk.number: box for walk in inside if (box := body(walk, time)) is not None}


def detections(
    frames: Iterable[tuple[float, dict[int, Box]]], pattern: ErrorPattern, *, seed: int, fps: float
) -> Iterator[Detections]:
    """The detections of the frames by a detector that errs like this."""
    detector = FlawedDetector(pattern, SIZE, random.Random(seed))
    for seq, (time, people) in enumerate(frames):
        boxes, scores = detector.look(people, 1 / fps)
        yield Detections(
            run="live",
            store=SPEC.store,
            camera=SPEC.camera,
            session="door",
            seq=seq,
            previous=seq - 1 if seq else None,
            captured_at=START + round(time * 1e9),
            width=SIZE[0],
            height=SIZE[1],
            spec_revision=SPEC.revision,
            policy=Policy.EVERY,
            boxes=tuple(boxes),
            scores=tuple(scores),
        )


def count(
    pattern: ErrorPattern, *, seed: int, people: int, people_per_min: float = 20.0, fps: float = 10.0
) -> Matching:
    """The counts of people who come as people do, seen by a detector that errs like this, beside the true ones."""
    walks = list(script(seed, Spacing.NATURAL, people_per_min, people))
    true = [Instant(crossing.at_ns / 1e9, crossing.direction) for walk in walks for crossing in walk.crossings()]
    counter = CameraCounter("live", SPEC.store, SPEC.camera)
    counted = [
        Instant((crossing.at - START) / 1e9, crossing.direction)
        for frame in detections(present(walks, fps), pattern, seed=seed, fps=fps)
        for crossing in counter.step(frame, SPEC).crossings
    ]
    return match(counted, true, tolerance=STOP)
