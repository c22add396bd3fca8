"""The rules of runs, with the services at work: a replay counts what was counted, and leaves the live run alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from contracts.events import Crossing, Detections
from contracts.identity import LIVE
from contracts.runs import Run, RunCamera, RunKind, RunPhase, RunRequest
from contracts.spec import CameraSpec, current_key, spec_key
from contracts.streams import BUCKETS, CAMERAS, DETECTIONS, STREAMS
from contracts.subjects import detections
from infra.local.processes.nats import DEVELOPER, NatsServer
from services.cli.replaying.results import StoredCrossing, between
from services.kit.local_time import moment
from services.kit.nats.bus import Bus
from services.kit.nats.run_entries import create_run, find_run, list_runs, read_progress
from services.kit.settings import ServiceSettings
from services.kit.tasks import cancel_and_wait
from services.replay import backpressure
from services.replay.app import ReplayService
from services.replay.ordered_publish import OrderedPublisher
from services.tracker.counting.camera_counter import CameraCounter
from tests.cli.command import METRICA, SETTINGS, Outcome, metrica, metrica_process
from tests.support import hour
from tests.support.at_work import counting
from tests.support.broker import connected, eventually

CAMERAS_SHOWN = ("door", "gate")
SECONDS = 40
SCENES = {
    camera: list(hour.seen(camera, SECONDS, people_per_min=40, seed=number))
    for number, camera in enumerate(CAMERAS_SHOWN)
}
START = SCENES["door"][0].captured_at
SECOND = 1_000_000_000


def counted(frames: Sequence[Detections], spec: CameraSpec) -> list[Crossing]:
    """The crossings that a counter finds in frames in one go."""
    counter = CameraCounter(LIVE, spec.store, spec.camera)
    return [crossing for frame in frames for crossing in counter.step(frame, spec).crossings]


@pytest.fixture(autouse=True)
def environment(nats_server: NatsServer, api_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in nats_server.environment(DEVELOPER).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("METRICA_DATABASE_URL", api_database_url)


@pytest.fixture
async def connection(api_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The database, as the command line sees it."""
    connection = await asyncpg.connect(api_database_url)
    yield connection
    connection.terminate()


@pytest.fixture
async def bus(settings: ServiceSettings, database_url: str, connection: asyncpg.Connection) -> AsyncIterator[Bus]:
    """The services at work, and two cameras counted live to their ends."""
    async with counting(settings, database_url) as bus:
        await show(bus, SCENES)
        await ended(connection, LIVE, len(SCENES))
        yield bus


async def show(bus: Bus, scenes: Mapping[str, Sequence[Detections]]) -> None:
    """Let the live run count these."""
    bucket, publisher = await bus.bucket(CAMERAS), OrderedPublisher(bus, DETECTIONS)
    for camera in scenes:
        for key in (spec_key(camera, 1), current_key(camera)):
            await bucket.put(key, hour.spec(camera).model_dump_json().encode())
    for event in hour.side_by_side({camera: iter(frames) for camera, frames in scenes.items()}):
        await publisher.publish(detections(LIVE, event.store, event.camera), event.encode(), {})
    await publisher.flush()


async def ended(connection: asyncpg.Connection, run: str, sessions: int) -> None:
    async def all_are() -> bool:
        return bool(await connection.fetchval("SELECT count(*) = $2 FROM run_session WHERE run = $1", run, sessions))

    await eventually(all_are, within=60)


async def say(*arguments: str | Path) -> Outcome:
    return await asyncio.to_thread(metrica, *arguments)


async def process(*arguments: str | Path) -> Outcome:
    """The same as a process of its own, beside which another command can be run."""
    return await asyncio.to_thread(metrica_process, *arguments)


async def sound(*arguments: str | Path) -> str:
    outcome = await say(*arguments)
    assert outcome.code == 0, outcome
    return outcome.out


async def crossings(connection: asyncpg.Connection, run: str) -> list[StoredCrossing]:
    return await between(connection, run, CAMERAS_SHOWN, 0, 2**62)


async def diff(name: str, other: str = LIVE) -> dict[str, Any]:  # any JSON
    outcome = await say("runs", "diff", name, other, "--json")
    assert outcome.code in {0, 1}, outcome
    told: dict[str, Any] = json.loads(outcome.out)
    return told


def at(second: float) -> str:
    return moment(START + round(second * SECOND))


class TestDetections:
    @pytest.mark.parametrize("speed", ["max", "10", pytest.param("1", marks=pytest.mark.exhaustive)])
    async def test_a_replay_counts_what_was_counted_every_time(
        self, bus: Bus, connection: asyncpg.Connection, speed: str
    ) -> None:
        live = await crossings(connection, LIVE)
        assert len(live) == sum(len(counted(frames, hour.spec(camera))) for camera, frames in SCENES.items()) > 20

        for name in ("once", "twice"):
            out = await sound("replay", "detections", "--as", name, "--speed", speed)
            assert await crossings(connection, name) == live
            assert "door/line  in" in out

        assert (await diff("once"))["equal"] == (await diff("once", "twice"))["equal"] == len(live)
        assert await crossings(connection, LIVE) == live

    async def test_a_period_counts_what_its_frames_decided(self, bus: Bus, connection: asyncpg.Connection) -> None:
        since, until = 12.0, 31.0
        decided = {
            one.id
            for camera, frames in SCENES.items()
            for one in counted(frames, hour.spec(camera))
            if START + since * SECOND <= frames[one.seq].captured_at < START + until * SECOND
        }

        await sound("replay", "detections", "--as", "part", "--since", at(since), "--until", at(until))

        assert {one.id for one in await crossings(connection, "part")} == decided
        assert (await say("runs", "diff", "part")).code == 0

    async def test_without_a_warm_up_the_diff_tells_what_became_another(
        self, bus: Bus, connection: asyncpg.Connection
    ) -> None:
        await sound("replay", "detections", "--as", "cold", "--camera", "door", "--since", at(20), "--warm-up", "0")

        told = await diff("cold")
        live = {one.id: one for one in await crossings(connection, LIVE) if one.camera == "door"}
        cold = {one.id: one for one in await crossings(connection, "cold")}
        same = {name for name in cold if live.get(name) == cold[name]}
        assert 0 < told["equal"] == len(same) < len(cold)
        assert len(told["changed"]) == len(cold.keys() & live.keys() - same)

    async def test_a_moved_line_is_another_line(self, bus: Bus, connection: asyncpg.Connection) -> None:
        live = await crossings(connection, LIVE)
        line = hour.spec("door").lines[0].model_copy(update={"y1": 0.75, "y2": 0.75, "revision": 2})
        expected = counted(SCENES["door"], hour.spec("door").model_copy(update={"lines": (line,)}))

        out = await sound(
            "replay", "detections", "--as", "moved", "--camera", "door",
            "--line", f"line={line.x1},0.75,{line.x2},0.75", "--in", line.in_side.value,
        )  # fmt: skip

        moved = await crossings(connection, "moved")
        assert {one.id for one in moved} == {one.id for one in expected}
        assert {one.line_revision for one in moved} == {2}
        assert await crossings(connection, LIVE) == live
        assert "run moved: finished" in out

    async def test_another_side_is_another_line_and_the_same_one_is_not(
        self, bus: Bus, connection: asyncpg.Connection
    ) -> None:
        side = hour.spec("door").lines[0].in_side.value
        other = "left" if side == "right" else "right"
        for name, said in (("same", side), ("turned", other)):
            await sound("replay", "detections", "--as", name, "--camera", "door", "--in", said)

        same, turned = await crossings(connection, "same"), await crossings(connection, "turned")
        assert {one.line_revision for one in same} == {1}
        assert [(one.seq, one.direction) for one in turned] == [
            (one.seq, "out" if one.direction == "in" else "in") for one in same
        ]

    async def test_trackers_that_come_and_go_change_nothing(
        self, bus: Bus, settings: ServiceSettings, database_url: str, connection: asyncpg.Connection
    ) -> None:
        live = await crossings(connection, LIVE)
        playing = asyncio.create_task(sound("replay", "detections", "--as", "shared", "--speed", "10"))
        async with counting(settings, database_url, trackers=2):
            await asyncio.sleep(1.5)
        await playing

        assert await crossings(connection, "shared") == live


class TestService:
    async def test_a_run_survives_its_terminal_which_is_told_how_to_go_on(
        self, bus: Bus, connection: asyncpg.Connection
    ) -> None:
        live = await crossings(connection, LIVE)
        pipe = asyncio.subprocess.PIPE
        words = ("replay", "detections", "--as", "alone", "--speed", "8")
        terminal = await asyncio.create_subprocess_exec(
            METRICA, *words, env=os.environ | SETTINGS, stdout=pipe, stderr=pipe
        )  # fmt: skip
        await part_done(bus, "alone", 0.01)
        terminal.send_signal(signal.SIGINT)
        _, told = await terminal.communicate()

        assert terminal.returncode == 130
        assert "run alone goes on: `metrica runs watch alone` waits for it" in told.decode()
        assert "run alone: finished" in await sound("runs", "watch", "alone")
        assert await crossings(connection, "alone") == live

    async def test_another_replica_goes_on_where_one_was_stopped(
        self, settings: ServiceSettings, database_url: str, connection: asyncpg.Connection
    ) -> None:
        async with counting(settings, database_url, replays=0) as bus:
            await show(bus, SCENES)
            await ended(connection, LIVE, len(SCENES))
            async with replaying(settings, "one"):
                playing = asyncio.create_task(process("replay", "detections", "--as", "handed", "--speed", "5"))
                await part_done(bus, "handed", 0.9)
            assert not playing.done()
            async with replaying(settings, "two"):
                assert (await playing).code == 0

            assert await crossings(connection, "handed") == await crossings(connection, LIVE)

    async def test_two_replicas_carry_out_a_run_once(
        self, settings: ServiceSettings, database_url: str, connection: asyncpg.Connection
    ) -> None:
        async with counting(settings, database_url, replays=2) as bus:
            await show(bus, SCENES)
            await ended(connection, LIVE, len(SCENES))
            live = await crossings(connection, LIVE)
            for name in ("first", "second"):
                await sound("replay", "detections", "--as", name)
                assert await crossings(connection, name) == live

    async def test_where_no_replay_service_runs_it_says_so_and_leaves_nothing(
        self, settings: ServiceSettings, database_url: str, connection: asyncpg.Connection
    ) -> None:
        async with counting(settings, database_url, replays=0) as bus:
            await show(bus, SCENES)
            outcome = await say("replay", "detections", "--as", "waits")

            assert outcome.code == 2
            assert "the replay service, which carries out runs, is not running: `./taskw up`" in outcome.err
            assert await list_runs(bus) == []

    async def test_what_cannot_be_carried_out_fails_with_a_reason_and_leaves_no_stream(self, bus: Bus) -> None:
        missing = Run(
            name="none", kind=RunKind.DETECTIONS, cameras=(RunCamera(camera="cellar", store="shop"),), since=1, until=2,
            created_at=1, request=RunRequest(by="somebody"),
        )  # fmt: skip
        await create_run(bus, missing.in_phase(RunPhase.REQUESTED))

        watched = await say("runs", "watch", "none")

        assert watched.code == 2
        assert "run none has failed: no detections of camera 'cellar' are there" in watched.err
        assert "none  failed" in await sound("runs", "list")
        names = {info.config.name for info in await bus.js.streams_info()}
        assert not {name for name in names if name and name.startswith("RUN_")}


class TestStopping:
    async def test_stopped_in_order_it_has_counted_what_it_was_fed(
        self, bus: Bus, connection: asyncpg.Connection
    ) -> None:
        playing = asyncio.create_task(process("replay", "detections", "--as", "stopped", "--speed", "5"))
        await part_done(bus, "stopped", 0.2)

        assert await sound("runs", "stop", "stopped") == "run stopped: stopped\n"

        assert "run stopped: stopped" in (await playing).out
        live = {one.id for one in await crossings(connection, LIVE)}
        found = {one.id for one in await crossings(connection, "stopped")}
        assert found < live
        assert (await say("runs", "diff", "stopped")).code == 0

    async def test_it_is_never_fed_far_ahead_of_the_trackers(
        self, bus: Bus, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backpressure, "MAX_AHEAD", 50)
        live = await crossings(connection, LIVE)

        await sound("replay", "detections", "--as", "near")

        assert await crossings(connection, "near") == live


class TestDropping:
    async def test_nothing_is_left_of_a_dropped_run(self, bus: Bus, connection: asyncpg.Connection) -> None:
        await sound("replay", "detections", "--as", "gone")
        assert "gone  finished  detections  door, gate" in await sound("runs", "list")
        assert await left_of(bus, connection, "gone") > 0

        assert await sound("runs", "drop", "gone") == "run gone: dropped\n"

        assert await left_of(bus, connection, "gone") == 0
        assert await list_runs(bus) == []
        assert len(await crossings(connection, LIVE)) > 20

    async def test_a_running_run_can_be_dropped_and_who_waits_for_it_is_told(
        self, bus: Bus, connection: asyncpg.Connection
    ) -> None:
        playing = asyncio.create_task(process("replay", "detections", "--as", "left", "--speed", "1"))
        await part_done(bus, "left", 0.01)
        assert "left  running" in await sound("runs", "list")

        assert await sound("runs", "drop", "left") == "run left: dropped\n"

        waited = await playing
        assert (waited.code, "run left was dropped while it was played" in waited.err) == (2, True)
        assert await left_of(bus, connection, "left") == 0

    async def test_what_ended_has_left_its_paths_its_rows_and_its_entry(
        self, bus: Bus, connection: asyncpg.Connection
    ) -> None:
        await sound("replay", "detections", "--as", "done")

        names = {info.config.name for info in await bus.js.streams_info()}
        assert {name for name in names if name and name.startswith("RUN_")} == {"RUN_done_PATHS"}
        assert await keys(bus, "checkpoints", "done") == 0

    async def test_its_name_is_free_again(self, bus: Bus, connection: asyncpg.Connection) -> None:
        await sound("replay", "detections", "--as", "name")
        refused = await say("replay", "detections", "--as", "name")
        await sound("runs", "drop", "name")
        await sound("replay", "detections", "--as", "name")

        assert refused.code == 2
        assert "there is a run 'name' already" in refused.err
        assert await crossings(connection, "name") == await crossings(connection, LIVE)


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--camera", "cellar"], "no detections of camera 'cellar' are there, only of: door, gate"),
            (["--since", "2020-01-01T00:00:00Z", "--until", "2020-01-02T00:00:00Z"], "stored are those from 20"),
            (["--since", "yesterday"], "--since yesterday: give a time with its time zone"),
            (["--since", "-1h", "--until", "-2h"], "comes before --since"),
            (["--speed", "fast"], "--speed fast: give a number above 0"),
            (["--detector", "motion"], "--detector needs frames"),
            (["--line", "0,0,1,1", "--in", "left"], "are for one camera"),
            (["--segment", "nowhere.segment"], "nowhere.segment cannot be read: No such file"),
        ],
    )
    async def test_what_cannot_be_played_is_refused_with_what_can(
        self, bus: Bus, arguments: list[str], said: str
    ) -> None:
        outcome = await say("replay", "detections", "--as", "name", *arguments)

        assert (outcome.code, outcome.out) == (2, "")
        assert said in outcome.err
        assert await list_runs(bus) == []

    @pytest.mark.parametrize("name", ["live", "dlq", "two words"])
    async def test_a_name_that_is_none_is_refused(self, bus: Bus, name: str) -> None:
        outcome = await say("replay", "detections", "--as", name)

        assert outcome.code == 2
        assert "name: " in outcome.err

    @pytest.mark.parametrize("verb", [["show"], ["diff"], ["drop"]])
    async def test_a_run_that_is_not_there_is_told(self, bus: Bus, verb: list[str]) -> None:
        outcome = await say("runs", *verb, "nobody")

        assert (outcome.code, outcome.err) == (
            2, "metrica: there is no run 'nobody'; `metrica runs list` shows all runs\n",
        )  # fmt: skip


@asynccontextmanager
async def replaying(settings: ServiceSettings, replica: str) -> AsyncIterator[None]:
    """A replay service at work for as long as this lasts."""
    async with connected(settings) as bus:
        work = asyncio.create_task(ReplayService(bus, replica).run())
        try:
            yield
        finally:
            await cancel_and_wait(work)


async def part_done(bus: Bus, run: str, part: float) -> None:
    async def is_done() -> bool:
        return await find_run(bus, run) is not None and (await read_progress(bus, run)).done > part

    await eventually(is_done, within=30)


async def keys(bus: Bus, bucket: str, run: str) -> int:
    """Messages of a bucket that concern a run, marks of deleted keys included."""
    info = await bus.js.stream_info(f"KV_{bucket}", subjects_filter=f"$KV.{bucket}.{run}.>")
    return sum((info.state.subjects or {}).values())


async def left_of(bus: Bus, connection: asyncpg.Connection, run: str) -> int:
    """Streams, keys, dead letters and rows of a run. No stream of its own, no consumer."""
    own = {stream.name for stream in STREAMS} | {f"KV_{bucket.name}" for bucket in BUCKETS}
    streams = {info.config.name for info in await bus.js.streams_info()} - own
    rows = 0
    for table in ("crossing", "count_minute", "count_quarter", "count_day", "store_version", "session_count",
                  "run_session"):  # fmt: skip
        rows += await connection.fetchval(f"SELECT count(*) FROM {table} WHERE run = $1", run)
    return len(streams) + rows + await keys(bus, "runs", run) + await keys(bus, "checkpoints", run)
