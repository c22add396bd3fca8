"""The laws of counting, over thousands of made walks: what must hold whoever walks how, whatever is right or wrong.

`test_lines.py` has the same laws over paths that hypothesis makes up point by point, and shrinks. Here people walk as
people do: they come nearer and grow, turn back, stop on the line, go around its end; then the tracker joins in.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.events import Box, Detections
from contracts.identity import Direction
from contracts.spec import Anchor, CountingLine, Side
from services.tracker.counting.camera_counter import CameraCounter, CounterState
from services.tracker.counting.crossing_rule import CrossingState, LineGeometry
from tests.support.detector_errors import MEASURED, FlawedDetector
from tests.tracker.scenes import (
    HEIGHT,
    WIDTH,
    Place,
    box_at,
    directions,
    film,
    hidden,
    seen,
    spec,
    walk,
    watch,
)

SIZE = 1000
SWAPPED = {Direction.IN: Direction.OUT, Direction.OUT: Direction.IN}
STATE = TypeAdapter(CrossingState)
WALKS = 50
"""In one example; there are as many examples as make thousands."""

seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True, slots=True)
class Walk:
    """A line, and the boxes of somebody who walks near it, ten a second."""

    line: CountingLine
    boxes: list[Box]

    @property
    def geometry(self) -> LineGeometry:
        return LineGeometry.of(self.line, SIZE, SIZE)

    @property
    def from_clear_to_clear(self) -> list[Box]:
        """Without the ends at which the person stands in the band, and nobody can know where they come from or go."""
        clear = [i for i, box in enumerate(self.boxes) if _side(self.geometry, box)]
        return self.boxes[clear[0] : clear[-1] + 1] if clear else []


def some_line(chance: random.Random, *, endless: bool = False) -> CountingLine:
    """A line somewhere in the middle; an endless one reaches over the picture's edges, as far as a line may."""
    angle, x, y = chance.uniform(0, 2 * math.pi), chance.uniform(0.4, 0.6), chance.uniform(0.4, 0.6)
    half = chance.uniform(0.1, 0.3)
    dx, dy = half * math.cos(angle), half * math.sin(angle)
    if endless:
        x, dx, y, dy = (x, 0.0, 0.5, 0.5) if abs(dy) > abs(dx) else (0.5, 0.5, y, 0.0)
    return CountingLine(
        id="line",
        x1=x - dx,
        y1=y - dy,
        x2=x + dx,
        y2=y + dy,
        in_side=chance.choice(list(Side)),
        anchor=chance.choice(list(Anchor)),
    )


def some_walk(seed: int, *, endless: bool = False, stay: int = 1) -> Walk:
    """Somebody goes from place to place; each stay beyond an endless line's band lasts so many sightings at least."""
    chance = random.Random(seed)
    line = some_line(chance, endless=endless)
    geometry = LineGeometry.of(line, SIZE, SIZE)
    x, y = chance.uniform(100, 900), chance.uniform(100, 900)
    boxes: list[Box] = []
    for _ in range(chance.randint(1, 6)):
        # Half of the places are near the line: that is where something can go wrong.
        to_x, to_y = chance.uniform(100, 900), chance.uniform(100, 900)
        if chance.random() < 0.5:
            part, off = chance.uniform(0.1, 0.9) if endless else chance.uniform(-0.2, 1.2), chance.gauss(0, 25)
            to_x = geometry.x1 + part * geometry.dx - off * geometry.dy / geometry.length
            to_y = geometry.y1 + part * geometry.dy + off * geometry.dx / geometry.length
        steps = max(1, round(math.hypot(to_x - x, to_y - y) / chance.uniform(20, 80)))
        places = [(x + (to_x - x) * i / steps, y + (to_y - y) * i / steps) for i in range(steps)]
        places += [(to_x, to_y)] * chance.randint(0, 3)
        boxes += [_body(at_x + chance.gauss(0, 2), at_y + chance.gauss(0, 2), line.anchor) for at_x, at_y in places]
        x, y = to_x, to_y
    return Walk(line, _stay(geometry, boxes, stay))


def _body(x: float, y: float, anchor: Anchor) -> Box:
    """The box of somebody whose anchor is there: the lower in the picture, the nearer, and the larger."""
    tall = 40 + 0.1 * y
    middle = y if anchor is Anchor.CENTER else y - tall / 2
    return box_at(x, middle, 0.4 * tall, tall)


def _stay(geometry: LineGeometry, boxes: list[Box], least: int) -> list[Box]:
    """Stand still beyond the band until each stay there is long enough."""
    stays: list[Box] = []
    sides = [_side(geometry, box) for box in boxes]
    for i, box in enumerate(boxes):
        stays.append(box)
        alone = sides[i] and (i == 0 or sides[i - 1] != sides[i]) and (i + 1 == len(boxes) or sides[i + 1] != sides[i])
        stays += [box] * (least - 1) if alone else []
    return stays


def _side(geometry: LineGeometry, box: Box) -> int:
    """The side beyond the band: 1 or −1; 0 within it."""
    distance = geometry.distance(*geometry.anchor(box))
    return 0 if abs(distance) <= geometry.band(box) else int(math.copysign(1, distance))


def decide(line: CountingLine, boxes: Sequence[Box], *, resumed: bool = False) -> list[Direction]:
    """The crossings of a walk; `resumed` from JSON before each sighting."""
    geometry, state, found = LineGeometry.of(line, SIZE, SIZE), None, []
    for i, box in enumerate(boxes):
        if resumed and state is not None:
            state = STATE.validate_json(STATE.dump_json(state))
        state, decision = geometry.advance(state, box, i * 10**8)
        found += [decision.direction] if decision else []
    return found


def meets(walk: Walk) -> bool:
    """Tell whether the anchor's path touches the segment, by the signs of triangles' areas alone."""
    geometry = walk.geometry
    a, b = (geometry.x1, geometry.y1), (geometry.x1 + geometry.dx, geometry.y1 + geometry.dy)

    def turn(p: tuple[float, float], q: tuple[float, float], r: tuple[float, float]) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return any(
        turn(a, b, p) * turn(a, b, q) <= 0 and turn(p, q, a) * turn(p, q, b) <= 0
        for p, q in pairwise(map(geometry.anchor, walk.boxes))
    )


class TestTheRule:
    @given(seeds)
    @settings(max_examples=40)
    def test_no_crossing_no_count(self, seed: int) -> None:
        for one in (some_walk(seed + n) for n in range(WALKS)):
            found = decide(one.line, one.boxes)

            assert not found or meets(one)

    @given(seeds)
    @settings(max_examples=40)
    def test_mirror_the_picture_and_in_and_out_swap(self, seed: int) -> None:
        for one in (some_walk(seed + n) for n in range(WALKS)):
            line = one.line.model_copy(update={"x1": 1 - one.line.x1, "x2": 1 - one.line.x2})
            turned = [(SIZE - x2, y1, SIZE - x1, y2) for x1, y1, x2, y2 in one.boxes]

            assert decide(line, turned) == [SWAPPED[way] for way in decide(one.line, one.boxes)]

    @given(seeds)
    @settings(max_examples=40)
    def test_walk_backwards_and_in_and_out_swap(self, seed: int) -> None:
        for one in (some_walk(seed + n) for n in range(WALKS)):
            found = decide(one.line, one.from_clear_to_clear)

            assert decide(one.line, one.from_clear_to_clear[::-1]) == [SWAPPED[way] for way in found][::-1]

    @given(seeds)
    @settings(max_examples=20)
    def test_resume_before_every_frame_and_the_events_stand(self, seed: int) -> None:
        for one in (some_walk(seed + n) for n in range(WALKS)):
            assert decide(one.line, one.boxes, resumed=True) == decide(one.line, one.boxes)

    @given(seeds)
    @settings(max_examples=20)
    def test_drop_any_frame_and_the_totals_stand(self, seed: int) -> None:
        for one in (some_walk(seed + n, endless=True, stay=2) for n in range(WALKS // 5)):
            boxes = one.from_clear_to_clear
            whole = decide(one.line, boxes)

            for gone in range(len(boxes)):
                assert decide(one.line, boxes[:gone] + boxes[gone + 1 :]) == whole

    @given(seeds)
    @settings(max_examples=20)
    def test_see_any_frame_twice_and_the_totals_stand(self, seed: int) -> None:
        for one in (some_walk(seed + n) for n in range(WALKS // 5)):
            whole = decide(one.line, one.boxes)

            for twice in range(len(one.boxes)):
                assert decide(one.line, one.boxes[: twice + 1] + one.boxes[twice:]) == whole


@dataclass(frozen=True, slots=True)
class Passers:
    """Some people in lanes of their own who cross the line in the middle of the picture, or turn back before it."""

    ways: list[Place]
    seconds: float
    ins: int
    outs: int

    @property
    def counts(self) -> list[str]:
        return ["in"] * self.ins + ["out"] * self.outs


def passers(seed: int, people: int = 3) -> Passers:
    """They stay beyond the band long enough to be known for people: longer than a second on either side."""
    chance = random.Random(seed)
    ways, ins, outs = [], 0, 0
    for lane in range(people):
        y = 120 + 480 * lane / max(1, people - 1) + chance.uniform(-20, 20)
        start, speed, leftwards = chance.uniform(0, 2), chance.uniform(80, 170), chance.random() < 0.5
        way = -1 if leftwards else 1
        near, far = 640 - way * 2 * speed, 640 + way * 2 * speed
        if chance.random() < 0.2:
            turn = 640 - way * chance.uniform(25, 60)
            there = start + abs(turn - near) / speed
            ways.append(walk((start, near, y), (there, turn, y), (2 * there - start, near, y)))
        else:
            ways.append(walk((start, near, y), (start + 4, far, y)))
            ins, outs = ins + leftwards, outs + (not leftwards)
    return Passers(ways, 7.0, ins, outs)


def mirrored(frames: Sequence[Detections]) -> list[Detections]:
    return [
        frame.model_copy(update={"boxes": tuple((WIDTH - x2, y1, WIDTH - x1, y2) for x1, y1, x2, y2 in frame.boxes)})
        for frame in frames
    ]


def flawed(ways: Sequence[Place], seconds: float, seed: int) -> list[Detections]:
    """The view that a detector has of people, with the errors that were measured of the default one."""
    detector = FlawedDetector(MEASURED["person-detection-0200"], (WIDTH, HEIGHT), random.Random(seed))
    frames = []
    for seq in range(round(seconds * 10)):
        places = {person: place for person, way in enumerate(ways) if (place := way(seq / 10)) is not None}
        boxes, scores = detector.look({person: box_at(*place) for person, place in places.items()}, 0.1)
        frames.append(seen(seq, boxes).model_copy(update={"scores": tuple(scores)}))
    return frames


class TestTheCounter:
    @given(seeds)
    @settings(max_examples=8)
    def test_mirror_the_picture_and_in_and_out_swap(self, seed: int) -> None:
        people = passers(seed)
        frames = film(people.ways, seconds=people.seconds)

        assert sorted(directions(watch(frames))) == people.counts
        assert sorted(directions(watch(mirrored(frames)))) == ["in"] * people.outs + ["out"] * people.ins

    @given(seeds)
    @settings(max_examples=8)
    def test_run_the_film_backwards_and_in_and_out_swap(self, seed: int) -> None:
        people = passers(seed)
        backwards = [lambda seconds, way=way: way(people.seconds - seconds) for way in people.ways]

        assert sorted(directions(watch(film(backwards, seconds=people.seconds)))) == sorted(
            ["in"] * people.outs + ["out"] * people.ins
        )

    @given(seeds)
    @settings(max_examples=3)
    def test_resume_before_every_frame_and_every_event_stands(self, seed: int) -> None:
        people = passers(seed)
        frames = flawed(people.ways, people.seconds, seed)
        counter, resumed = CameraCounter("live", "shop", "cam"), []
        for frame in frames:
            state = CounterState.model_validate_json(counter.state().model_dump_json())
            counter = CameraCounter.restore("live", "shop", "cam", state)
            resumed.append(counter.step(frame, spec()))

        assert resumed == watch(frames)

    @given(seeds, st.integers(0, 68))
    @settings(max_examples=8)
    def test_drop_a_frame_and_the_totals_stand(self, seed: int, gone: int) -> None:
        people = passers(seed)
        frames = film(people.ways, seconds=people.seconds)

        assert sorted(directions(watch(frames[:gone] + frames[gone + 1 :]))) == people.counts

    @given(seeds, st.integers(0, 68))
    @settings(max_examples=8)
    def test_see_a_frame_twice_and_the_totals_stand(self, seed: int, twice: int) -> None:
        people = passers(seed)
        frames = film(people.ways, seconds=people.seconds)
        again = [*frames[: twice + 1], *frames[twice:]]
        renumbered = [frame.model_copy(update={"seq": seq, "previous": None}) for seq, frame in enumerate(again)]

        assert sorted(directions(watch(renumbered))) == people.counts

    @given(seeds, st.floats(1.2, 3.5))
    @settings(max_examples=8)
    def test_two_seconds_without_detections_at_the_line_and_everybody_counts_once(
        self, seed: int, blind: float
    ) -> None:
        """The camera sees nobody for two seconds: whoever was known before, and has gone on, is found again."""
        chance = random.Random(seed)
        speeds = [chance.uniform(80, 170) for _ in range(2)]
        ways = [
            walk((0.0, 640 + way * 3.2 * speed, y), (7.0, 640 - way * 3.8 * speed, y))
            for way, speed, y in zip((1, -1), speeds, (200.0, 520.0), strict=True)
        ]
        frames = film([hidden(way, blind, blind + 2.0) for way in ways], seconds=7)

        assert sorted(directions(watch(frames))) == ["in", "out"]


class TestPeople:
    @given(
        seed=seeds,
        k=st.floats(0.0, 12.0),
        off=st.floats(-60.0, 60.0),
        fps=st.sampled_from([5.0, 10.0, 25.0]),
    )
    @settings(max_examples=10)
    def test_a_standing_persons_trembling_box_counts_nothing(self, seed: int, k: float, off: float, fps: float) -> None:
        """Each edge by up to a fifth of their width, on the line or beside it: twenty times what detectors do."""
        chance, (x1, y1, x2, y2) = random.Random(seed), box_at(640 + off, 400)

        def tremble() -> float:
            return chance.uniform(-k, k)

        frames = [
            seen(seq, [(x1 + tremble(), y1 + tremble(), x2 + tremble(), y2 + tremble())], fps=fps) for seq in range(100)
        ]

        assert directions(watch(frames)) == []

    @given(behind=st.floats(-60.0, 60.0), beside=st.floats(50.0, 120.0), leftwards=st.booleans())
    @settings(max_examples=10)
    def test_two_people_who_cross_together_are_two(self, behind: float, beside: float, leftwards: bool) -> None:
        way = 1 if leftwards else -1
        pair = [
            walk((0.0, 640 + way * (360 + off), y), (6.0, 640 - way * (360 - off), y))
            for off, y in ((0.0, 350.0), (behind, 350.0 + beside))
        ]

        assert directions(watch(film(pair, seconds=6))) == ["in" if leftwards else "out"] * 2

    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_crowd_of_fifty_in_both_directions_is_counted(self, seed: int) -> None:
        """Reached over eight seeds: 2 of 400 lost with perfect boxes, 21 of 1600 off with the errors of four detectors.

        Lost are two who meet on the line, one all but hiding the other.
        """
        ways = crowd(seed)
        for frames, most in ((film(ways, seconds=18), 1), (flawed(ways, 18, seed), 4)):
            found = directions(watch(frames))

            assert abs(found.count("in") - 25) + abs(found.count("out") - 25) <= most


def crowd(seed: int) -> list[Place]:
    """Fifty people within four seconds, every other one against the stream; no two at the same place."""
    chance = random.Random(seed)
    ways = []
    for number in range(50):
        start, speed, y = chance.uniform(0, 4), chance.uniform(95, 140), 85 + 11.3 * number
        at, to = (1270.0, 10.0) if number % 2 else (10.0, 1270.0)
        ways.append(walk((start, at, y), (start + 1260 / speed, to, y)))
    return ways
