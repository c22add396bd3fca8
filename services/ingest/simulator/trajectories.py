"""Who walks through the simulated door, when and how: a script that is a function of the seed alone, with its truth.

`clear`: one after the other at an even pace, each direction on a side of its own. `natural`: random arrivals, pairs
side by side, people who stop near the line, and some who turn back before or after it.
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
"""Seconds of empty scene before the first person, as a camera that was there before the shop opened."""
TICK = 0.05
"""Seconds between two points of a walk; between them people go straight."""
SPEED = 0.58
"""Heights per second that a person moves in the picture: 1.4 m/s, seen at a slant."""
QUEUE_GAP = 1.5
"""Seconds that people keep behind those who walk the same way through the same door."""
PAIRS, STOPS, RETURNS = 0.22, 0.2, 0.1
"""Shares of natural groups that are pairs, of people who stop near the line, and who turn back."""

Floats = NDArray[np.float64]
Point = tuple[float, float]


class Spacing(StrEnum):
    """How people follow one another."""

    CLEAR = "clear"
    NATURAL = "natural"


@dataclass(frozen=True, slots=True)
class TrueCrossing:
    """A crossing as it truly is: the moment at which the middle of the body passes the line."""

    at_ns: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way through the scene.

    Attributes:
        number: of the person, from 0; the looks follow from it.
        begin: seconds after the first frame.
        feet: (T, 2) x, y of the feet every `TICK`, reference pixels.
        steps: (T,) how far the person has walked, in own heights: drives the legs.
        stature: height relative to the middling one.
    """

    number: int
    begin: float
    feet: Floats
    steps: Floats
    stature: float

    @property
    def end(self) -> float:
        """When the person has left, seconds after the first frame."""
        return self.begin + (len(self.feet) - 1) * TICK

    def at(self, time: float) -> tuple[float, float, float, bool]:
        """Where the person is: x and y of the feet, distance walked in heights, and whether the face is towards us."""
        exact = min(max((time - self.begin) / TICK, 0.0), len(self.feet) - 1.001)
        i = int(exact)
        part = exact - i
        (x0, y0), (x1, y1) = self.feet[i], self.feet[i + 1]
        steps = self.steps[i] + (self.steps[i + 1] - self.steps[i]) * part
        # Someone who stands looks where he last went.
        went = self.feet[max(0, i - 10) : i + 2, 1]
        moves = np.diff(went)[np.diff(went) != 0]
        facing = bool(moves[-1] > 0) if len(moves) else bool(self.feet[-1, 1] > self.feet[0, 1])
        return x0 + (x1 - x0) * part, y0 + (y1 - y0) * part, float(steps), facing

    def crossings(self) -> list[TrueCrossing]:
        """Every passage over the line, in order."""
        above = np.array([centre_at(y, self.stature) for y in self.feet[:, 1]]) - LINE_Y
        found = []
        for i in np.flatnonzero((above[:-1] < 0) != (above[1:] < 0)):
            part = above[i] / (above[i] - above[i + 1])
            at = round((self.begin + (float(i) + float(part)) * TICK) * 1e9)
            found.append(TrueCrossing(at, Direction.IN if above[i] < 0 else Direction.OUT))
        return found


def script(seed: int, spacing: Spacing, people_per_min: float, people: int | None) -> Iterator[Walk]:
    """Everybody who comes, in order of arrival; without end where `people` is None."""
    plans = _clear(seed, people_per_min) if spacing is Spacing.CLEAR else _in_order(_natural(seed, people_per_min))
    for number, plan in enumerate(islice(plans, people)):
        yield plan.walk(number)


@dataclass(frozen=True, slots=True)
class _Leg:
    """Go to a point, then stay there for some seconds."""

    to: Point
    stay: float = 0.0


@dataclass(frozen=True, slots=True)
class _Plan:
    """What somebody is about to do. `arrived` is when he came to the door, `begin` when it was his turn."""

    begin: float
    arrived: float
    way: list[_Leg]
    speed: float
    stature: float

    def walk(self, number: int) -> Walk:
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
        return Walk(number, self.begin, np.array(feet), np.array(steps), self.stature)


def _in_order(plans: Iterator[_Plan]) -> Iterator[_Plan]:
    """By their begin: who queues begins later than others who arrived later."""
    waiting: list[tuple[float, int, _Plan]] = []
    for i, plan in enumerate(plans):
        while waiting and waiting[0][0] <= plan.arrived:
            yield heapq.heappop(waiting)[2]
        heapq.heappush(waiting, (plan.begin, i, plan))


def _clear(seed: int, people_per_min: float) -> Iterator[_Plan]:
    gap = 60.0 / people_per_min
    for number in count():
        rng = np.random.default_rng((seed, number, 1))
        coming = bool(rng.random() < 0.5)
        side = -1.0 if coming else 1.0
        way = _way(coming, MIDDLE + side * rng.uniform(46, 54), MIDDLE + side * rng.uniform(80, 220))
        begin = LEAD_IN + number * gap
        yield _Plan(begin, begin, way, SPEED, stature=rng.uniform(0.92, 1.06))


def _natural(seed: int, people_per_min: float) -> Iterator[_Plan]:
    arrived = LEAD_IN
    free = {True: 0.0, False: 0.0}
    inside = 0
    # A group is 1 + PAIRS people on average.
    mean_gap = 60.0 / people_per_min * (1 + PAIRS)
    for group in count():
        rng = np.random.default_rng((seed, group, 2))
        arrived += rng.exponential(mean_gap)
        coming = bool(rng.random() < 0.5) or inside <= 0  # nobody comes out of an empty shop
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


def _way(coming: bool, lane: float, target: float) -> list[_Leg]:
    """From the pavement through the door and down out of the picture, or back the same way."""
    beside = DOOR_LEFT - 30 if lane < MIDDLE else DOOR_RIGHT + 30
    inside = lane + (target - lane) * 0.3
    points = [(beside, OUTSIDE), (lane, OUTSIDE + 8), (lane, THRESHOLD + 10), (inside, 262.0), (target, GONE)]
    return [_Leg(point) for point in (points if coming else points[::-1])]


def _stop(way: list[_Leg], rng: np.random.Generator, side: float) -> list[_Leg]:
    """Stand for a while near the line, a step aside, as who answers the phone does."""
    at = rng.uniform(200, 285)
    place = _leg_over(way, at)
    x = _point_on(way, place, at) + side * rng.uniform(25, 60)
    return [*way[:place], _Leg((x, at), stay=rng.uniform(1.0, 4.0)), *way[place:]]


def _turn_back(way: list[_Leg], coming: bool, rng: np.random.Generator, side: float) -> list[_Leg]:
    """Turn round clearly before the line or clearly behind it, and leave as one came."""
    before = bool(rng.random() < 0.5)
    # Above the line are those who come and have not crossed yet, and those who leave and already have.
    at = rng.uniform(166, 174) if before == coming else rng.uniform(305, 330)
    place = _leg_over(way, at)
    x = _point_on(way, place, at) + side * rng.uniform(0, 12)
    return [*way[:place], _Leg((x, at), stay=rng.uniform(0.4, 2.0)), *way[:place][::-1]]


def _leg_over(way: list[_Leg], y: float) -> int:
    return next(i for i in range(1, len(way)) if (way[i - 1].to[1] < y) != (way[i].to[1] < y))


def _point_on(way: list[_Leg], leg: int, y: float) -> float:
    (x0, y0), (x1, y1) = way[leg - 1].to, way[leg].to
    return x0 + (x1 - x0) * (y - y0) / (y1 - y0)
