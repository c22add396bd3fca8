"""The simulation `sim://door?…`: a shop door with known truth, for demos, load and tests; no substitute for footage.

Its parameters:

    people          number of people in all; without it they never end (at real pace only)
    pace            real: as a camera, in real time; max: as a file, as fast as it is read
    spacing         clear: one after the other; natural: random, in pairs, stopping, turning back
    people_per_min  people per minute
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
from services.ingest.simulator.trajectories import PersonWalk, Spacing, TrueCrossing, script
from services.ingest.source import Note, SourceClosed, SourceRefused
from services.kit.codec import Image

RECIPE = 2
"""Increased whenever the same address would show other pictures, so that its sessions get other names."""
TAIL = 2.0
"""Seconds of the empty scene after the last person."""
CLEAR_LIMIT = 24
"""Most people per minute that can keep clear of one another."""


class SimulationPace(StrEnum):
    """The pace at which frames come: in real time as from a camera, or as fast as they are read."""

    REAL = "real"
    MAX = "max"


class DoorParameters(BaseModel):
    """The query parameters of `sim://door?…`; see the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: Annotated[int, Field(ge=1, le=100_000)] | None = None
    pace: SimulationPace = SimulationPace.REAL
    spacing: Spacing = Spacing.NATURAL
    seed: Annotated[int, Field(ge=0, le=2**31)] = 7
    people_per_min: Annotated[float, Field(ge=1, le=120)] = 20.0
    fps: Annotated[float, Field(ge=1, le=60)] = 10.0
    width: Annotated[int, Field(ge=160, le=1920)] = 640
    height: Annotated[int, Field(ge=90, le=1080)] = 360

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.pace is SimulationPace.MAX and self.people is None:
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
    """The simulated door as a source of frames.

    Args:
        parameters: of the simulation.
        clock: monotonic nanoseconds, by which frames come at real pace.

    Attributes:
        name: the canonical address.
        policy: a file's at `pace=max`, a camera's in real time.
        size: width and height, pixels.
        fps: frames per second.
        notes: always empty.
    """

    def __init__(self, parameters: DoorParameters, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._parameters = parameters
        self._clock = clock
        self.name, self.size, self.fps = parameters.address, (parameters.width, parameters.height), parameters.fps
        self.policy = Policy.EVERY if parameters.pace is SimulationPace.MAX else Policy.LATEST
        self.notes: list[Note] = []
        self._closed = threading.Event()
        self._people = _PresentPeople(self._script())
        self._index = -1
        self._started: int | None = None

    @cached_property
    def length(self) -> int | None:
        """The number of frames; None in a simulation without end."""
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
        """List the true crossings of the line in order of time.

        Args:
            until_ns: nanoseconds after the first frame; later crossings are left out.

        Raises:
            ValueError: the simulation has no end, and `until_ns` is not given.
        """
        if until_ns is None and self._parameters.people is None:
            raise ValueError("the truth of an endless simulation needs an end: give until_ns")
        crossings: list[TrueCrossing] = []
        for walk in self._script():
            if until_ns is not None and walk.begin * SECOND > until_ns:
                break
            crossings += walk.crossings()
        return sorted((c for c in crossings if until_ns is None or c.at_ns <= until_ns), key=lambda c: c.at_ns)

    def grab(self) -> int | None:
        """Go to the next frame. At real pace, wait for its time, and skip the frames whose time has passed."""
        index = self._index + 1
        if self._parameters.pace is SimulationPace.REAL:
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
        """Draw the frame that `grab` went to."""
        at = self._pts(self._index) / SECOND
        return self._renderer.draw(self._index, at, self._people.at(at))

    def content_sha256(self) -> str:
        """The sum of the canonical address, and of the version of the drawing (RECIPE)."""
        return hashlib.sha256(f"{RECIPE} {self.name}".encode()).hexdigest()

    def close(self) -> None:
        """End the simulation; a `grab` that waits ends at once."""
        self._closed.set()

    def _pts(self, index: int) -> int:
        return round(index * SECOND / self.fps)

    def _script(self) -> Iterable[PersonWalk]:
        p = self._parameters
        return script(p.seed, p.spacing, p.people_per_min, p.people)


class _PresentPeople:
    """The people in the scene as time goes on. Holds the present ones and the next to come, and forgets the others.

    Args:
        walks: by their beginning.
    """

    def __init__(self, walks: Iterable[PersonWalk]) -> None:
        self._coming = iter(walks)
        self._next = next(self._coming, None)
        self._present: deque[PersonWalk] = deque()

    def at(self, time: float) -> list[PersonWalk]:
        while self._next is not None and self._next.begin <= time:
            self._present.append(self._next)
            self._next = next(self._coming, None)
        self._present = deque(walk for walk in self._present if walk.end > time)
        return list(self._present)


@lru_cache(maxsize=4)
def _renderer(width: int, height: int, seed: int) -> Renderer:
    """Make or reuse a renderer: painting a scene takes a fifth of a second, and cameras of the same scene share it."""
    return Renderer(width, height, seed)


def open_simulation(address: str) -> SimulatedDoor:
    """Open `sim://door?…`.

    Raises:
        SourceRefused: no such scene, or a parameter that is unknown, repeated or out of range; the text names it.
    """
    scene = "sim://door"
    # The address is not repeated: it may hold a camera's password behind the wrong scheme.
    unknown = f"there is no such simulation: the one simulated scene is {scene}"
    try:
        parts = urlsplit(address)
    except ValueError:
        raise SourceRefused(unknown, code="unknown-simulation") from None
    if parts.netloc != "door" or parts.path not in ("", "/"):
        raise SourceRefused(unknown, code="unknown-simulation")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs):
        raise SourceRefused(f"{scene}: a parameter is given twice", code="parameter-twice", source=scene)
    try:
        return SimulatedDoor(DoorParameters.model_validate(given))
    except ValidationError as error:
        problem = error.errors()[0]
        if not problem["loc"]:
            raise SourceRefused(
                f"{scene}: {problem['msg'].removeprefix('Value error, ')}", code="wrong-simulation", source=scene
            ) from error
        name = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":
            known = ", ".join(DoorParameters.model_fields)
            raise SourceRefused(
                f"{scene}: a parameter is unknown; there are {known}",
                code="unknown-parameter",
                source=scene,
                known=known,
            ) from error
        raise SourceRefused(
            f"{scene}: {name}: {problem['msg'].lower()}", code="wrong-parameter", source=scene, name=name
        ) from error
