"""Walks of people through the simulated door, with the true crossings. The walks depend on the seed alone.

`clear`: one person after the other at an even pace, each direction on a side of its own. `natural`: random arrivals,
pairs side by side, people who stop near the line, and people who turn back before or behind it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from contracts.identity import Direction
from services.ingest.simulator.geometry import (
    DOOR_LEFT,
    DOOR_RIGHT,
    GONE,
    LINE_Y,
    MIDDLE,
    OUTSIDE,
    THRESHOLD,
    centre_at,
    height_at,
)

LEAD_IN = 4.0
"""Seconds of the empty scene before the first person, as from a camera that runs before the shop opens."""
TICK = 0.05
"""Seconds between two points of a walk; between them a person moves straight."""
SPEED = 0.58
"""Speed in the picture, heights of the person per second: 1.4 m/s, seen at a slant."""
QUEUE_GAP = 1.5
"""Least seconds between two groups that walk in the same direction."""
PAIRS, STOPS, RETURNS = 0.22, 0.2, 0.1
"""Shares of natural groups: pairs, and of the single people, the ones that stop near the line and that turn back."""

Floats = NDArray[np.float64]
Point = tuple[float, float]


class Spacing(StrEnum):
    """The spacing between people; see the module."""

    CLEAR = "clear"
    NATURAL = "natural"


@dataclass(frozen=True, slots=True)
class TrueCrossing:
    """A true crossing of the line by the middle of a person's body.

    Attributes:
        at_ns: nanoseconds after the first frame.
        direction: IN is towards the camera.
    """

    at_ns: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class PersonWalk:
    """One person's walk through the scene.

    Attributes:
        number: of the person, from 0; it determines the appearance.
        begin: seconds after the first frame.
        feet: (T, 2) float64, x and y of the feet every `TICK`, reference pixels.
        steps: (T,) float64, distance walked, in heights of the person; it moves the legs.
        stature: height relative to the average.
    """

    number: int
    begin: float
    feet: Floats
    steps: Floats
    stature: float

    @property
    def end(self) -> float:
        """The moment at which the person has left, seconds after the first frame."""
        return self.begin + (len(self.feet) - 1) * TICK

    def at(self, time: float) -> tuple[float, float, float, bool]:
        """The person at a time, seconds after the first frame.

        Returns:
            x and y of the feet, reference pixels; the distance walked, in heights; true if the face is visible.
        """
        exact = min(max((time - self.begin) / TICK, 0.0), len(self.feet) - 1.001)
        i = int(exact)
        part = exact - i
        (x0, y0), (x1, y1) = self.feet[i], self.feet[i + 1]
        steps = self.steps[i] + (self.steps[i + 1] - self.steps[i]) * part
        # A person who stands keeps the direction of the last move.
        recent = self.feet[max(0, i - 10) : i + 2, 1]
        moves = np.diff(recent)[np.diff(recent) != 0]
        facing = bool(moves[-1] > 0) if len(moves) else bool(self.feet[-1, 1] > self.feet[0, 1])
        return x0 + (x1 - x0) * part, y0 + (y1 - y0) * part, float(steps), facing

    def crossings(self) -> list[TrueCrossing]:
        """List the true crossings of the line in order of time."""
        above = np.array([centre_at(y, self.stature) for y in self.feet[:, 1]]) - LINE_Y
        crossings = []
        for i in np.flatnonzero((above[:-1] < 0) != (above[1:] < 0)):
            part = above[i] / (above[i] - above[i + 1])
            at = round((self.begin + (float(i) + float(part)) * TICK) * 1e9)
            crossings.append(TrueCrossing(at, Direction.IN if above[i] < 0 else Direction.OUT))
        return crossings


def script(seed: int, spacing: Spacing, people_per_min: float, people: int | None) -> Iterator[PersonWalk]:
    """Generate the walks in order of their beginning.

    Args:
        seed: of all random choices.
        spacing: see the module.
        people_per_min: mean number of people per minute.
        people: their number; None is without end.
    """
    plans = _clear(seed, people_per_min) if spacing is Spacing.CLEAR else _in_order(_natural(seed, people_per_min))
    for number, plan in enumerate(islice(plans, people)):
        yield plan.walk(number)


@dataclass(frozen=True, slots=True)
class _Waypoint:
    """A point to go to, reference pixels, and the seconds to stay there."""

    to: Point
    stay: float = 0.0


@dataclass(frozen=True, slots=True)
class _Plan:
    """A planned walk.

    Attributes:
        begin: of the walk, seconds after the first frame.
        arrived: the moment at which the person came to the door, and began to wait for the people before.
        way: the points of the walk in order.
        speed: heights per second.
        stature: height relative to the average.
    """

    begin: float
    arrived: float
    way: list[_Waypoint]
    speed: float
    stature: float

    def walk(self, number: int) -> PersonWalk:
        """Carry out the plan as the person of this number."""
        x, y = self.way[0].to
        feet, steps, walked = [(x, y)], [0.0], 0.0
        for leg in self.way[1:]:
            while (distance := math.hypot(leg.to[0] - x, leg.to[1] - y)) > 1e-9:
                tall = height_at(y)
                stride = min(self.speed * tall * TICK, distance)
                x, y = x + (leg.to[0] - x) * stride / distance, y + (leg.to[1] - y) * stride / distance
                walked += stride / tall
                feet.append((x, y))
                steps.append(walked)
            stood = round(leg.stay / TICK)
            feet += [(x, y)] * stood
            steps += [walked] * stood
        return PersonWalk(number, self.begin, np.array(feet), np.array(steps), self.stature)


def _in_order(plans: Iterator[_Plan]) -> Iterator[_Plan]:
    """Sort plans by their beginning: a person who queues may begin after a person who arrived later."""
    waiting: list[tuple[float, int, _Plan]] = []
    for i, plan in enumerate(plans):
        while waiting and waiting[0][0] <= plan.arrived:
            yield heapq.heappop(waiting)[2]
        heapq.heappush(waiting, (plan.begin, i, plan))


def _clear(seed: int, people_per_min: float) -> Iterator[_Plan]:
    """Plan walks at even intervals."""
    gap = 60.0 / people_per_min
    for number in count():
        rng = np.random.default_rng((seed, number, 1))
        coming = bool(rng.random() < 0.5)
        side = -1.0 if coming else 1.0
        way = _way(coming, MIDDLE + side * rng.uniform(46, 54), MIDDLE + side * rng.uniform(80, 220))
        begin = LEAD_IN + number * gap
        yield _Plan(begin, begin, way, SPEED, stature=rng.uniform(0.92, 1.06))


def _natural(seed: int, people_per_min: float) -> Iterator[_Plan]:
    """Plan walks of groups that arrive at random (Poisson), in order of arrival."""
    arrived = LEAD_IN
    free = {True: 0.0, False: 0.0}
    inside = 0
    # A group is 1 + PAIRS people on average.
    mean_gap = 60.0 / people_per_min * (1 + PAIRS)
    for group in count():
        rng = np.random.default_rng((seed, group, 2))
        arrived += rng.exponential(mean_gap)
        coming = bool(rng.random() < 0.5) or inside <= 0  # an empty shop has no one to come out
        begin = free[coming] = max(arrived, free[coming] + QUEUE_GAP)
        # Most keep to one side, as people do in a door.
        side = (-1.0 if coming else 1.0) * (1.0 if rng.random() < 0.85 else -1.0)
        speed = SPEED * rng.uniform(0.85, 1.2)
        target = MIDDLE + side * rng.uniform(60, 200)
        if rng.random() < PAIRS:
            apart = rng.uniform(50, 58)
            lanes = [MIDDLE + side * 18, MIDDLE + side * (18 + apart)]
            ways = [_way(coming, lane, target + (lane - lanes[0]) * 1.3) for lane in lanes]
        else:
            way = _way(coming, MIDDLE + side * rng.uniform(34, 62), target)
            event = rng.random()
            if event < RETURNS:
                way = _turn_back(way, coming, rng, side)
                inside += -1 if coming else 1
            elif event < RETURNS + STOPS:
                way = _stop(way, rng, side)
            ways = [way]
        inside += len(ways) if coming else -len(ways)
        for i, way in enumerate(ways):
            yield _Plan(begin + 0.15 * i, arrived, way, speed, stature=rng.uniform(0.88, 1.08))


def _way(coming: bool, lane: float, target: float) -> list[_Waypoint]:
    """The way from the pavement through the door and down out of the picture, or the reverse."""
    beside = DOOR_LEFT - 30 if lane < MIDDLE else DOOR_RIGHT + 30
    inside = lane + (target - lane) * 0.3
    points = [(beside, OUTSIDE), (lane, OUTSIDE + 8), (lane, THRESHOLD + 10), (inside, 262.0), (target, GONE)]
    return [_Waypoint(point) for point in (points if coming else points[::-1])]


def _stop(way: list[_Waypoint], rng: np.random.Generator, side: float) -> list[_Waypoint]:
    """Add a stop near the line, a step aside, as to answer the phone."""
    at = rng.uniform(200, 285)
    place = _leg_over(way, at)
    x = _point_on(way, place, at) + side * rng.uniform(25, 60)
    return [*way[:place], _Waypoint((x, at), stay=rng.uniform(1.0, 4.0)), *way[place:]]


def _turn_back(way: list[_Waypoint], coming: bool, rng: np.random.Generator, side: float) -> list[_Waypoint]:
    """Turn the way back clearly before the line or clearly behind it."""
    before = bool(rng.random() < 0.5)
    # Above the line: people who come in, before their crossing, and people who leave, after it.
    at = rng.uniform(166, 174) if before == coming else rng.uniform(305, 330)
    place = _leg_over(way, at)
    x = _point_on(way, place, at) + side * rng.uniform(0, 12)
    return [*way[:place], _Waypoint((x, at), stay=rng.uniform(0.4, 2.0)), *way[:place][::-1]]


def _leg_over(way: list[_Waypoint], y: float) -> int:
    """The index of the first waypoint behind a height (y) that the way passes."""
    return next(i for i in range(1, len(way)) if (way[i - 1].to[1] < y) != (way[i].to[1] < y))


def _point_on(way: list[_Waypoint], leg: int, y: float) -> float:
    """The x coordinate at a height, on the straight line to a waypoint."""
    (x0, y0), (x1, y1) = way[leg - 1].to, way[leg].to
    return x0 + (x1 - x0) * (y - y0) / (y1 - y0)
