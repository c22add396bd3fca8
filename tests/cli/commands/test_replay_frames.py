"""The rules of replaying frames: looked at anew they give the same, from the broker or from a file, on any Metrica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import asyncpg
import pytest

from contracts.events import Crossing
from contracts.frames import FrameHeader
from contracts.identity import LIVE, Policy
from contracts.spec import CameraSpec, Capture, current_key, spec_key
from contracts.streams import CAMERAS
from contracts.subjects import frames as frames_subject
from contracts.subjects import recorded
from infra.local.processes.nats import DEVELOPER, NatsServer
from services.cli.commands import record
from services.cli.replaying.results import StoredCrossing, between
from services.detector.inference import analyze
from services.ingest.session import Frame, file_frames, session_of
from services.ingest.sources.opening import open_source
from services.ingest.sources.simulation import open_simulation
from services.kit.nats.bus import Bus
from services.kit.nats.run_entries import find_run, read_progress
from services.kit.settings import ServiceSettings
from services.tracker.counting.camera_counter import CameraCounter
from tests.cli.command import Outcome, metrica, metrica_process
from tests.support.at_work import counting
from tests.support.broker import connected, eventually
from tests.support.empty_door import EmptyDoor

DOOR = "sim://door?people=3&pace=max&spacing=clear"
BACKENDS = {"empty-door": "tests.support.empty_door:EmptyDoor", "other": "tests.support.empty_door:EmptyDoor"}
SPEC = CameraSpec(
    store="shop", camera="door", model="empty-door", policy=Policy.LATEST, capture=Capture(fps=8),
    lines=(open_simulation(DOOR).line,), record=True,
)  # fmt: skip
START = 1_767_258_000_000_000_000


@cache
def film() -> list[Frame]:
    """Three people at the door, as a live camera's frames."""
    with closing(open_source(DOOR)) as source:
        return list(file_frames(source, SPEC, session=session_of(source, SPEC.capture, START), start=START))


@cache
def truth() -> list[Crossing]:
    """The crossings that one process counts in the film."""
    detector, counter = EmptyDoor(), CameraCounter(LIVE, "shop", "door")
    seen = (analyze(frame.header, frame.jpeg, detector, SPEC) for frame in film())
    return [crossing for event in seen for crossing in counter.step(event, SPEC).crossings]


@pytest.fixture(autouse=True)
def environment(nats_server: NatsServer, api_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_DATABASE_URL", api_database_url)
    use(nats_server, monkeypatch)


def use(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment(DEVELOPER).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def connection(api_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The database, as the command line sees it."""
    connection = await asyncpg.connect(api_database_url)
    yield connection
    connection.terminate()


async def configure(bus: Bus) -> None:
    bucket = await bus.bucket(CAMERAS)
    for key in (spec_key("door", 1), current_key("door")):
        await bucket.put(key, SPEC.model_dump_json().encode())


@pytest.fixture
async def bus(settings: ServiceSettings, database_url: str) -> AsyncIterator[Bus]:
    """The services at work, and frames that were recorded."""
    async with counting(settings, database_url, backends=BACKENDS) as bus:
        await configure(bus)
        for frame in film():
            await bus.publish(recorded(LIVE, "shop", "door"), frame.jpeg, headers=frame.header.to_headers())
        yield bus


async def say(*arguments: str | Path) -> Outcome:
    return await asyncio.to_thread(metrica, *arguments)


async def counted(connection: asyncpg.Connection, run: str) -> list[StoredCrossing]:
    return await between(connection, run, ["door"], 0, 2**62)


async def test_recorded_frames_are_counted_as_in_one_process(bus: Bus, connection: asyncpg.Connection) -> None:
    outcome = await say("replay", "frames", "--as", "seen")

    assert outcome.code == 0, outcome.err
    assert len(truth()) >= 3
    assert [one.id for one in await counted(connection, "seen")] == [one.id for one in truth()]
    assert {one.model for one in await counted(connection, "seen")} == {"empty-door"}
    assert await counted(connection, LIVE) == []


async def test_another_detector_looks_at_them_though_no_camera_asks_for_it(
    bus: Bus, connection: asyncpg.Connection
) -> None:
    outcome = await say("replay", "frames", "--as", "other", "--detector", "other")

    assert outcome.code == 0, outcome.err
    assert [one.id for one in await counted(connection, "other")] == [one.id for one in truth()]
    assert '"model":"other"' in (await say("runs", "show", "other", "--json")).out.replace(" ", "")


async def test_a_model_that_is_missing_is_told_to_who_waits_and_dropping_the_run_ends_the_wait(
    bus: Bus, connection: asyncpg.Connection
) -> None:
    words = ("replay", "frames", "--as", "blind", "--detector", "no-such-model")
    waiting = asyncio.create_task(asyncio.to_thread(metrica_process, *words))

    async def is_noted() -> bool:
        return await find_run(bus, "blind") is not None and bool((await read_progress(bus, "blind")).notes)

    await eventually(is_noted, within=30)

    dropped = await say("runs", "drop", "blind")
    assert dropped.out == "run blind: dropped\n", dropped
    outcome = await asyncio.wait_for(waiting, 30)

    assert outcome.code == 2
    assert "door: There is no model 'no-such-model'" in outcome.err
    assert "run blind was dropped while it was played" in outcome.err


async def test_a_segment_is_replayed_by_another_metrica_that_knows_nothing_of_the_camera(
    bus: Bus,
    connection: asyncpg.Connection,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "door.segment"
    made = await say("record", "door", "--since", "2026-01-01T00:00:00Z", "--until", "2026-01-02T00:00:00Z", "-o", path)
    assert f"{path}: {len(film())} frames, 0 detections" in made.out, made

    with NatsServer(tmp_path / "other") as server:
        use(server, monkeypatch)
        settings = ServiceSettings(
            nats_url=server.url, nats_user=DEVELOPER, nats_password=server.passwords[DEVELOPER]
        )  # fmt: skip
        async with counting(settings, database_url, backends=BACKENDS):
            outcome = await say("replay", "frames", "--as", "elsewhere", "--segment", path)

    assert outcome.code == 0, outcome.err
    assert [one.id for one in await counted(connection, "elsewhere")] == [one.id for one in truth()]


def passing() -> Iterator[tuple[FrameHeader, bytes]]:
    for frame in film():
        if frame.header.end is None:
            yield frame.header, frame.jpeg


async def test_what_passes_is_recorded_with_what_is_seen_in_it(
    settings: ServiceSettings, database_url: str, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "door.segment"
    async with counting(settings, database_url, backends=BACKENDS) as bus:
        await configure(bus)
        recording = asyncio.create_task(say("record", "door", "--minutes", "0.05", "-o", path))
        while not path.exists():
            header, jpeg = film()[0].header, film()[0].jpeg
            await bus.publish(frames_subject(LIVE, "empty-door", "shop", "door"), jpeg, headers=header.to_headers())
            await asyncio.sleep(0.05)
        for header, jpeg in list(passing())[1:20]:
            await bus.publish(frames_subject(LIVE, "empty-door", "shop", "door"), jpeg, headers=header.to_headers())
            await asyncio.sleep(0.02)
        made = await recording
        outcome = await say("replay", "detections", "--as", "seen", "--segment", path)

    assert made.code == 0, made.err
    assert " 0 detections" not in made.out
    assert outcome.code == 0, outcome.err


async def test_a_camera_that_shows_nothing_is_told(
    settings: ServiceSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "FIRST_FRAME_TIMEOUT", 0.2)
    async with connected(settings, everything=True):
        outcome = await say("record", "cellar", "--minutes", "1", "-o", tmp_path / "cellar.segment")

    assert outcome.code == 2
    assert "camera 'cellar' sends no frames now" in outcome.err
    assert not (tmp_path / "cellar.segment").exists()


async def test_what_was_not_recorded_cannot_be_looked_at_and_it_says_how_it_would_be(
    settings: ServiceSettings,
) -> None:
    async with connected(settings, everything=True):
        outcome = await say("replay", "frames", "--as", "name", "--camera", "door")

    assert outcome.code == 2
    assert "`metrica camera set door --record` keeps them from now on" in outcome.err


@pytest.mark.parametrize("arguments", [[], ["--minutes", "1", "--since", "-1h"]])
async def test_it_must_be_said_what_to_record(arguments: list[str]) -> None:
    outcome = await say("record", "door", *arguments)

    assert outcome.code == 2
    assert "give a period to record" in outcome.err
