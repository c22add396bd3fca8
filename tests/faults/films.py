"""The films of the chaos: several cameras that show people on lanes, and what they come to when nothing disturbs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contracts.identity import to_ns
from services.api.cameras.setup import CameraSetup
from services.cli.counting.pipeline import Pipeline
from services.ingest.sources.opening import open_source
from tests.support.lanes import LINE, MODEL, LaneReader, walkers, write_film
from tests.support.record import Row
from tests.support.scene import STORE, today_at_noon

CAMERAS = 4
SECONDS = 60.0
FPS = 10.0
UNHURRIED = {"METRICA_BACKENDS": '{"lanes": "tests.support.lanes:unhurried"}'}
"""The environment of services that count them."""


@dataclass(frozen=True, slots=True)
class Films:
    """Cameras, and their crossings as one process counts them."""

    cameras: tuple[CameraSetup, ...]
    undisturbed: dict[str, list[Row]]


def make_films(folder: Path) -> Films:
    """Draw the films and count them; each has as many crossings as people on it."""
    cameras: list[CameraSetup] = []
    undisturbed: dict[str, list[Row]] = {}
    for number in range(1, CAMERAS + 1):
        street = walkers(number, SECONDS + 5)  # who comes at the very end is on their way to the line
        camera = film_camera(write_film(folder / f"film-{number}.mp4", street, SECONDS, FPS), f"door-{number}")
        cameras.append(camera)
        undisturbed[camera.camera] = count_alone(camera)
        assert len(undisturbed[camera.camera]) == sum(walker.crosses < SECONDS - 1 / FPS for walker in street)
    return Films(tuple(cameras), undisturbed)


def count_alone(camera: CameraSetup) -> list[Row]:
    """The crossings of a camera's film, counted in this process as `metrica count` does."""
    assert camera.start is not None
    with closing(open_source(camera.address)) as source:
        pipeline = Pipeline(source, camera.spec(1), LaneReader(), start=camera.start)
        for _ in pipeline.run():
            pass
    rows = [(one.id, one.line, one.direction.value, one.seq, one.at, one.place) for one in pipeline.tally.crossings]
    return sorted(rows, key=lambda row: (row[4], row[0]))


def film_camera(film: Path, name: str) -> CameraSetup:
    """A camera that shows a film of people on lanes."""
    return CameraSetup(
        camera=name,
        store=STORE,
        time_zone=_zone_where_it_is_noon(),
        address=str(film),
        model=MODEL,
        lines=(LINE,),
        start=to_ns(today_at_noon()),
    )


def _zone_where_it_is_noon() -> str:
    """A time zone whose day holds the films, and does not end while they are counted."""
    east = max(-11, min(11, 12 - datetime.now(UTC).hour))
    return f"Etc/GMT{-east:+d}" if east else "UTC"
