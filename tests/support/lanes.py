"""People who walk along lanes, drawn as bright boxes: pictures whose truth is known, and a detector that reads it off.

The detector is a pure function of the picture and costs next to nothing: what many cameras on few cores show of people
is then what the services made of them. Nobody touches anybody, and who sets out goes all the way.

    lane 0   ──▢────────────┊──────────────      who goes to the right goes IN
    lane 1   ───────────────┊───────▢──────      who goes to the left goes OUT
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from contracts.events import Model
from contracts.identity import Direction
from contracts.spec import CountingLine, Side
from services.detector.backends.protocol import Found, Image

LANES, WIDTH, LANE = 3, 240, 96
"""How many, how long in pixels, and how far apart: so far that nobody is taken for somebody on another lane, however
long both were unseen."""
PERSON: Final = (14, 26)
"""Width and height of somebody, pixels."""
LINE = CountingLine(id="line", x1=0.5, y1=0.0, x2=0.5, y2=1.0, in_side=Side.LEFT)
MODEL: Final = "lanes"
_DARK, _DIM, _STEP, _BRIGHT = 40, 130, 6, 244
_NAMES = (_BRIGHT - _DIM) // _STEP + 1
"""So many walkers of a lane in a row differ in brightness; the same comes again after a minute."""
_DEADLY = 16
"""Pixels; nobody walks up there."""


@dataclass(frozen=True, slots=True)
class Walker:
    """Somebody on their way along a lane: `speed` in pixels a second, below 0 to the left; `begin` in seconds.

    `name` is told by the picture: by how bright they are, and by the score that a `LaneReader` gives them.
    """

    lane: int
    name: int
    begin: float
    speed: float

    @property
    def end(self) -> float:
        """The second at which they have left the picture."""
        return self.begin + (WIDTH + PERSON[0]) / abs(self.speed)

    @property
    def crosses(self) -> float:
        """The second at which they are over the line."""
        return (self.begin + self.end) / 2

    @property
    def direction(self) -> Direction:
        """The direction in which they cross it."""
        return Direction.IN if self.speed > 0 else Direction.OUT

    def x(self, at: float) -> int:
        """The left edge of their box at a moment."""
        walked = round((at - self.begin) * abs(self.speed))
        return walked - PERSON[0] if self.speed > 0 else WIDTH - walked


def walkers(seed: int, seconds: float) -> list[Walker]:
    """Those who cross the line of a street within so many seconds, in the order of time: its truth."""
    found: list[Walker] = []
    for lane in range(LANES):
        for walker in _along(seed, lane):
            if walker.crosses >= seconds:
                break
            found.append(walker)
    return sorted(found, key=lambda walker: walker.crosses)


def _along(seed: int, lane: int) -> Iterator[Walker]:
    """Those who walk along one lane, one after the other, for ever."""
    chance = random.Random(f"{seed}/{lane}")
    begin = chance.uniform(0.0, 3.0)
    for number in itertools.count():
        walker = Walker(lane, number % _NAMES, begin, chance.uniform(45, 75) * chance.choice((-1, 1)))
        yield walker
        begin = walker.end + chance.uniform(0.2, 1.0)


def picture(street: Iterable[Walker], at: float) -> Image:
    """The view of a street at a moment, in seconds."""
    shown = np.full((LANES * LANE, WIDTH, 3), _DARK, np.uint8)
    for walker in street:
        if walker.begin <= at < walker.end:
            x, y = walker.x(at), _top(walker.lane)
            shown[y : y + PERSON[1], max(x, 0) : max(x + PERSON[0], 0)] = _DIM + _STEP * walker.name
    return shown


def _top(lane: int) -> int:
    return lane * LANE + (LANE - PERSON[1]) // 2


def write_film(path: Path, street: Sequence[Walker], seconds: float, fps: float, *, deadly: int | None = None) -> Path:
    """A video of a street; who looks at the frame `deadly` with a `FrailReader` dies."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (WIDTH, LANES * LANE))
    assert writer.isOpened()
    for number in range(round(seconds * fps)):
        shown = picture(street, number / fps)
        if number == deadly:
            shown[:_DEADLY, :_DEADLY] = _BRIGHT
        writer.write(shown)
    writer.release()
    return path


class LaneReader:
    """Finds the bright boxes.

    Args:
        pause: seconds that it takes for each picture, in which it computes nothing.
    """

    model = Model(name=MODEL)
    stateful = False

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause
        self._never = threading.Event()

    def detect(self, frame: Image, stream: str) -> Found:
        """Those on the lanes of a picture."""
        del stream
        self._never.wait(self._pause)  # time.sleep fails under libfaketime
        boxes, scores = [], []
        for lane in range(LANES):
            row = frame[lane * LANE + LANE // 2, :, 0]
            bright = np.flatnonzero(row > (_DARK + _DIM) / 2)
            if len(bright):
                boxes.append((bright[0], _top(lane), bright[-1] + 1, _top(lane) + PERSON[1]))
                scores.append(_score(round((float(np.median(row[bright])) - _DIM) / _STEP)))
        return Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def _score(name: int) -> float:
    return 0.75 + name / 100


def name_of(score: float) -> int:
    """The name of a walker to whom a `LaneReader` gave a score."""
    return round((score - 0.75) * 100)


def unhurried() -> LaneReader:
    """A reader that three replicas of give at most 150 pictures a second: as fast on any machine."""
    return LaneReader(pause=0.02)


class FrailReader(LaneReader):
    """A reader of which one frame is the death, and of its process: as a decoder that overruns its memory."""

    def detect(self, frame: Image, stream: str) -> Found:
        """Those on the lanes of a picture."""
        if frame[:_DEADLY, :_DEADLY].mean() > (_DARK + _BRIGHT) / 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().detect(frame, stream)
