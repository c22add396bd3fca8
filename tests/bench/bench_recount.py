"""Duration of a week's recount, and its difference from the counts of a new tracking.

    python -m tests.bench.bench_recount [--days 7] [--people 2000]
    python -m tests.bench.bench_recount --equality

The week: one day of a shop, tracked from a detector that errs as the default one does on footage, and laid after
itself; its paths are put through the real PATHS stream, and `metrica recount` is timed as a person runs it, with
everything at work. Equality: 42 lines across the simulated door, three hundred people at 20 a minute, counted by a new
tracking and from paths that tell less, as much, or more than they do; crossings pair that lie within 1.5 s.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path as FilePath
from unittest import mock

from contracts.events import Crossing, Path
from contracts.frames import EndReason
from contracts.identity import Policy
from contracts.spec import Anchor, CameraSpec, CountingLine, current_key, spec_key
from contracts.streams import CAMERAS, PATHS
from contracts.subjects import paths as paths_subject
from infra.local.stack import Stack
from services.cli.evaluation.matching import Instant, match
from services.ingest.simulator.trajectories import Spacing, script
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.replay.ordered_publish import OrderedPublisher
from services.tracker.counting import path_simplification
from services.tracker.counting.camera_counter import CameraCounter
from services.tracker.counting.recount import Recount
from tests.support import hour
from tests.support.detector_errors import MEASURED
from tests.support.scene import ROOT
from tests.support.seen_door import SPEC, detections, present

FPS = 10.0
OPEN_HOURS = 12
DAY_NS = 86_400_000_000_000
WITHIN = 1.5
DOOR_PEOPLE, DOOR_PER_MIN = 300, 20.0

Told = Callable[[Iterable[Path]], Iterator[Path]]
VARIANTS: dict[str, tuple[float, Told]] = {
    "points alone, to 1 %": (2.0, lambda paths: (_ungapped(path) for path in paths if path.confirmed)),
    "… and gaps": (2.0, lambda paths: (path for path in paths if path.confirmed)),
    "… and whom nobody was": (2.0, iter),
    "… to 0.5 %: what is published": (1.0, iter),
    "… to 0.25 %": (0.5, iter),
}
"""By how much the tolerance is greater than the one in use, and what the paths tell."""


def a_day(people: int) -> list[Path]:
    """The paths of a day of a shop."""
    counter, paths = CameraCounter("live", SPEC.store, "door"), list[Path]()
    for event in hour.seen("door", OPEN_HOURS * 3600.0, people_per_min=people / OPEN_HOURS / 60, seed=1):
        paths += counter.step(event, SPEC).paths
    return paths


def days_after(day: list[Path], days: int) -> Iterator[Path]:
    """The day's paths, for so many days, as of one session."""
    tracks = 1 + max(path.track for path in day)
    for number, path in itertools.product(range(days), day):
        track = path.track + number * tracks
        moved = {"track": track, "at": path.at + number * DAY_NS}
        yield path.model_copy(update={**moved, "id": Path.identify(path.camera, path.session, track, path.part)})


async def publish(stack: Stack, day: list[Path], days: int) -> tuple[int, int]:
    """Put the week into the stream. Returns the paths and their bytes."""
    environment = stack.nats_environment
    settings = ServiceSettings(
        nats_url=environment["METRICA_NATS_URL"], nats_user=environment["METRICA_NATS_USER"],
        nats_password=environment["METRICA_NATS_PASSWORD"],
    )  # fmt: skip
    bus = await Bus(settings, "bench").start()
    spec = SPEC.model_copy(update={"camera": "door", "policy": Policy.EVERY})
    for key in (spec_key("door", 1), current_key("door")):
        await (await bus.bucket(CAMERAS)).put(key, spec.model_dump_json().encode())
    publisher, count, size = OrderedPublisher(bus, PATHS), 0, 0
    for path in days_after(day, days):
        body = path.encode()
        count, size = count + 1, size + len(body)
        await publisher.publish(paths_subject("live", path.store, "door"), body, {})
    await publisher.flush()
    await bus.stop()
    return count, size


def week(days: int, people: int) -> None:
    """Time the command."""
    began = time.monotonic()
    day = a_day(people)
    print(f"a day of {people} people was tracked in {time.monotonic() - began:.0f} s", flush=True)
    line = SPEC.lines[0]
    drawn = f"{line.x1},{line.y1 + 0.04},{line.x2},{line.y2 + 0.04}"
    with tempfile.TemporaryDirectory() as folder, Stack(FilePath(folder), restart=False, durable=False) as stack:
        count, size = asyncio.run(publish(stack, day, days))
        print(f"{days} days: {count} paths, {size / 1e6:.0f} MB, {size / days / people:.0f} bytes a person")
        environment = {**os.environ, **stack.nats_environment, "METRICA_DATABASE_URL": stack.api_database_url}
        for kept in ([], ["--as", "moved"]):
            words = [sys.executable, "-m", "services.cli.main", "recount", "--camera", "door", "--line", drawn, *kept]
            began, children = time.monotonic(), os.times()
            done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
            took, used = time.monotonic() - began, sum(os.times()[2:4]) - sum(children[2:4])
            print(done.stdout.splitlines()[-2 if kept else -1])
            print(f"metrica recount {' '.join(kept)}: {took:.1f} s, {used:.1f} s of a processor")


def lines_across() -> tuple[CountingLine, ...]:
    """Upright, level and slanting, for centre and foot."""
    found = []
    for anchor, tenth in itertools.product(Anchor, range(2, 9)):
        at = tenth / 10
        ends = {"upright": (at, 0, at, 1), "level": (0, at, 1, at), "slant": (0, at, 1, 1 - at)}
        for kind, (x1, y1, x2, y2) in ends.items():
            name = f"{kind}-{anchor}-{tenth}"
            found.append(CountingLine(id=name, x1=x1, y1=y1, x2=x2, y2=y2, anchor=anchor))
    return tuple(found)


def errors(found: Iterable[Crossing], true: Iterable[Crossing]) -> tuple[int, int, int]:
    """Crossings that are missed, those that are not there, and lines whose totals differ."""
    found, true = list(found), list(true)
    missed = false = others = 0
    for line in {crossing.line for crossing in (*found, *true)}:
        one, other = (
            [Instant(crossing.at / 1e9, crossing.direction) for crossing in some if crossing.line == line]
            for some in (found, true)
        )
        matching = match(one, other, tolerance=WITHIN)
        missed, false = missed + matching.missed, false + matching.false
        others += sorted(instant.direction for instant in one) != sorted(instant.direction for instant in other)
    return missed, false, others


def equality() -> None:
    """Print what paths miss that tell so much."""
    spec = CameraSpec(store=SPEC.store, camera=SPEC.camera, lines=lines_across())
    results = {name: [0, 0, 0, 0] for name in VARIANTS}
    crossings = 0
    for pattern in MEASURED.values():
        walks = list(script(3, Spacing.NATURAL, DOOR_PER_MIN, DOOR_PEOPLE))
        frames = list(detections(present(walks, FPS), pattern, seed=3, fps=FPS))
        end = {"seq": frames[-1].seq + 1, "end": EndReason.FINISHED, "boxes": (), "scores": ()}
        frames.append(frames[-1].model_copy(update=end))
        for wider in sorted({wider for wider, _ in VARIANTS.values()}):
            counter = CameraCounter("live", spec.store, spec.camera)
            with mock.patch.object(
                path_simplification, "TOLERANCE", tuple(part * wider for part in path_simplification.TOLERANCE)
            ):
                steps = [counter.step(frame, spec) for frame in frames]
            true = [crossing for step in steps for crossing in step.crossings]
            paths = [path for step in steps for path in step.paths]
            for name, (of, told) in VARIANTS.items():
                if of == wider:
                    recount, heard = Recount("again", spec.camera, spec.lines), list(told(paths))
                    found = [*(crossing for path in heard for crossing in recount.take(path)), *recount.finish()]
                    size = sum(len(path.encode()) for path in heard)
                    results[name] = [
                        sum(pair) for pair in zip(results[name], (*errors(found, true), size), strict=True)
                    ]
        crossings += len(true)
    print(f"{crossings} crossings over {len(spec.lines) * len(MEASURED)} lines")
    for name, (missed, false, others, size) in results.items():
        print(f"{name:30} missed {missed:3}  false {false:3}  lines that differ {others:3}  {size / 1e6:5.2f} MB")


def _ungapped(path: Path) -> Path:
    return path.model_copy(update={"gaps": ()})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long a week is recounted, and how truly.")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--people", type=int, default=2000, help="a day")
    parser.add_argument("--equality", action="store_true")
    said = parser.parse_args()
    if said.equality:
        equality()
    else:
        week(said.days, said.people)


if __name__ == "__main__":
    main()
