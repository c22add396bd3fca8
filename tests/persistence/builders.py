"""Events as the tracker makes them, with what a test does not care about filled in."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from contracts.events import Coverage, Crossing, Model, SessionEnd, State, Status
from contracts.frames import EndReason
from contracts.identity import LIVE, Direction, to_ns

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODEL = Model(name="person-detection-0200", sha256="ab" * 32, precision="f32")


def crossing(
    seq: int = 0,
    *,
    at: datetime | None = None,
    direction: Direction = Direction.IN,
    run: str = LIVE,
    store: str = "shop",
    camera: str = "door",
    line: str = "entrance",
    session: str = "s1",
    spec_revision: int = 1,
    model: Model | None = MODEL,
) -> Crossing:
    """A crossing, decided by frame `seq`, a second after noon for each of them unless told."""
    return Crossing(
        run=run,
        id=Crossing.identify(camera, line, 1, session, seq, direction, 0),
        store=store,
        camera=camera,
        line=line,
        line_revision=1,
        direction=direction,
        session=session,
        seq=seq,
        at=to_ns(at or NOON + timedelta(seconds=seq)) + 123,
        place=0.5,
        spec_revision=spec_revision,
        model=model,
    )


def end(count: int, *, camera: str = "door", session: str = "s1", run: str = LIVE) -> SessionEnd:
    """The end of a session of `count` crossings."""
    return SessionEnd(
        run=run,
        id=SessionEnd.identify(camera, session),
        store="shop",
        camera=camera,
        session=session,
        at=to_ns(NOON + timedelta(hours=1)),
        reason=EndReason.FINISHED,
        frames=1000,
        skipped=2,
        count=count,
    )


def coverage(
    start: float,
    until: float,
    *,
    run: str = LIVE,
    store: str = "shop",
    camera: str = "door",
    lines: tuple[str, ...] = ("entrance",),
    session: str = "s1",
) -> Coverage:
    """An interval in which lines were counted, in seconds after noon."""
    begin, end = (to_ns(NOON + timedelta(seconds=second)) for second in (start, until))
    return Coverage(
        run=run,
        id=Coverage.identify(camera, session, begin),
        store=store,
        camera=camera,
        session=session,
        lines=lines,
        start=begin,
        until=end,
    )


def status(second: float, state: State = State.RUNNING, message: str = "", **said: str) -> Status:
    """Ingest's status of the shop's door so many seconds after noon, unless told otherwise."""
    of_whom = {"run": LIVE, "store": "shop", "camera": "door", "service": "ingest", **said}
    at = to_ns(NOON + timedelta(seconds=second))
    return Status.model_validate({**of_whom, "state": state, "message": message, "at": at})


def crowd(
    number: int, *, seed: int, stores: Iterable[str] = ("shop",), span: timedelta = timedelta(days=1)
) -> list[Crossing]:
    """Crossings of several stores, cameras and lines, at random moments within `span` after noon."""
    rng = random.Random(seed)
    places = [(store, f"{store}-{camera}", line) for store in stores for camera in "ab" for line in ("left", "right")]
    found = []
    for seq in range(number):
        store, camera, line = rng.choice(places)
        found.append(
            crossing(
                seq,
                at=NOON + span * rng.random(),
                direction=rng.choice(list(Direction)),
                store=store,
                camera=camera,
                line=line,
            )
        )
    return found
