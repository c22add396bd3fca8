"""`sim://door?…`: a shop door with known truth, for demos, load and tests. It never stands in for real footage.

Its parameters:

    people          how many come in all; without it they come for ever (only at real pace)
    pace            real: as a camera, in real time; max: as a file, as fast as it is read
    spacing         clear: one after the other; natural: random, in pairs, stopping, turning back
    people_per_min  how many come in a minute
    seed, fps, width, height
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Annotated, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.identity import Policy
from contracts.spec import CountingLine, Side
from services.ingest.decimator import SECOND
from services.ingest.simulator.geometry import HEIGHT, LINE_LEFT, LINE_RIGHT, LINE_Y, WIDTH
from services.ingest.simulator.rendering import Renderer
from services.ingest.simulator.trajectories import Spacing, TrueCrossing, Walk, script
from services.ingest.source import Note, SourceClosed, SourceRefused
from services.kit.codec import Image

RECIPE = 2
"""Raised whenever the same address would show other pictures: simulations of before are other sessions then."""
TAIL = 2.0
"""Seconds of empty scene after the last person."""
CLEAR_LIMIT = 24
"""People a minute above which they could not keep clear of one another."""


class Pace(StrEnum):
    """How time goes."""

    REAL = "real"
    MAX = "max"


class DoorParameters(BaseModel):
    """What stands behind the question mark of `sim://door?…`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: Annotated[int, Field(ge=1, le=100_000)] | None = None
    pace: Pace = Pace.REAL
    spacing: Spacing = Spacing.NATURAL
    seed: Annotated[int, Field(ge=0, le=2**31)] = 7
    people_per_min: Annotated[float, Field(ge=1, le=120)] = 20.0
    fps: Annotated[float, Field(ge=1, le=60)] = 10.0
    width: Annotated[int, Field(ge=160, le=1920)] = 640
    height: Annotated[int, Field(ge=90, le=1080)] = 360

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.pace is Pace.MAX and self.people is None:
            raise ValueError("pace=max needs people=…: a simulation without end cannot be read to its end")
        if self.spacing is Spacing.CLEAR and self.people_per_min > CLEAR_LIMIT:
            raise ValueError(
                f"spacing=clear goes with people_per_min up to {CLEAR_LIMIT}: more would walk into each other"
            )
        return self

    @property
    def address(self) -> str:
        """The canonical address: every parameter, in the order of the fields."""
        return "sim://door?" + urlencode(self.model_dump(mode="json", exclude_none=True))


class SimulatedDoor:
    """The simulated door as a source of frames."""

    def __init__(self, parameters: DoorParameters, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._parameters = parameters
        self._clock = clock
        self._closed = threading.Event()
        self._cast = _Cast(self._script())
        self._index = -1
        self._started: int | None = None

    @property
    def name(self) -> str:
        """The canonical address."""
        return self._parameters.address

    @property
    def policy(self) -> Policy:
        """As a file at `pace=max`, as a camera in real time."""
        return Policy.EVERY if self._parameters.pace is Pace.MAX else Policy.LATEST

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self._parameters.width, self._parameters.height

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._parameters.fps

    @cached_property
    def length(self) -> int | None:
        """How many frames there are; None where people come for ever."""
        if self._parameters.people is None:
            return None
        return math.ceil((max(walk.end for walk in self._script()) + TAIL) * self.fps)

    @cached_property
    def _renderer(self) -> Renderer:
        return _renderer(*self.size, self._parameters.seed)

    @property
    def line(self) -> CountingLine:
        """The scene's own line: across the floor before the door, IN towards the camera."""
        y = LINE_Y / HEIGHT
        return CountingLine(id="line", x1=LINE_LEFT / WIDTH, y1=y, x2=LINE_RIGHT / WIDTH, y2=y, in_side=Side.RIGHT)

    def truth(self, until_ns: int | None = None) -> list[TrueCrossing]:
        """Every crossing of the line, in order of time, up to a time after the first frame.

        Raises:
            ValueError: people come for ever and `until_ns` is not given.
        """
        if until_ns is None and self._parameters.people is None:
            raise ValueError("an endless simulation has no whole truth: say up to when")
        found: list[TrueCrossing] = []
        for walk in self._script():
            if until_ns is not None and walk.begin * SECOND > until_ns:
                break
            found += walk.crossings()
        return sorted((c for c in found if until_ns is None or c.at_ns <= until_ns), key=lambda c: c.at_ns)

    @property
    def notes(self) -> list[Note]:
        """Nothing."""
        return []

    def grab(self) -> int | None:
        """Go to the next frame; at real pace wait for its time, and leave out those that nobody came for in time."""
        index = self._index + 1
        if self._parameters.pace is Pace.REAL:
            now = self._clock()
            if self._started is None:
                self._started = now
            index = max(index, int((now - self._started) * self.fps // SECOND))
            wait = (self._started + self._pts(index) - now) / SECOND
            if wait > 0:
                self._closed.wait(wait)
        if self._closed.is_set():
            raise SourceClosed("the simulation was closed")
        if self.length is not None and index >= self.length:
            return None
        self._index = index
        return self._pts(index)

    def retrieve(self) -> Image:
        """The picture of the frame that `grab` went to."""
        at = self._pts(self._index) / SECOND
        return self._renderer.draw(self._index, at, self._cast.present(at))

    def content_sha256(self) -> str:
        """Of the canonical address, and of the recipe by which it becomes pictures."""
        return hashlib.sha256(f"{RECIPE} {self.name}".encode()).hexdigest()

    def close(self) -> None:
        """End it, also while `grab` waits."""
        self._closed.set()

    def _pts(self, index: int) -> int:
        return round(index * SECOND / self.fps)

    def _script(self) -> Iterable[Walk]:
        p = self._parameters
        return script(p.seed, p.spacing, p.people_per_min, p.people)


class _Cast:
    """Who is in the scene, as time goes on: holds those present and the next to come, and forgets who has left."""

    def __init__(self, walks: Iterable[Walk]) -> None:
        self._coming = iter(walks)
        self._next = next(self._coming, None)
        self._present: deque[Walk] = deque()

    def present(self, time: float) -> list[Walk]:
        while self._next is not None and self._next.begin <= time:
            self._present.append(self._next)
            self._next = next(self._coming, None)
        self._present = deque(walk for walk in self._present if walk.end > time)
        return list(self._present)


@lru_cache(maxsize=4)
def _renderer(width: int, height: int, seed: int) -> Renderer:
    """Painting a scene takes a fifth of a second; cameras that show the same one, or open it again, share it."""
    return Renderer(width, height, seed)


def open_simulation(address: str) -> SimulatedDoor:
    """Open `sim://door?…`.

    Raises:
        SourceRefused: no such scene, or a parameter that is unknown or out of range; the text names both.
    """
    scene = "sim://door"
    # What was given is not repeated: it may be a camera's password behind the wrong scheme.
    unknown = f"there is no such simulation: the one simulated scene is {scene}"
    try:
        parts = urlsplit(address)
    except ValueError:
        raise SourceRefused(unknown) from None
    if parts.netloc != "door" or parts.path not in ("", "/"):
        raise SourceRefused(unknown)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs):
        raise SourceRefused(f"{scene}: a parameter is given twice")
    try:
        return SimulatedDoor(DoorParameters.model_validate(given))
    except ValidationError as error:
        problem = error.errors()[0]
        if not problem["loc"]:
            raise SourceRefused(f"{scene}: {problem['msg'].removeprefix('Value error, ')}") from error
        name = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":
            known = ", ".join(DoorParameters.model_fields)
            raise SourceRefused(f"{scene}: it does not know one of its parameters; there are {known}") from error
        raise SourceRefused(f"{scene}: {name}: {problem['msg'].lower()}") from error
