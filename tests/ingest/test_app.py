"""The rules of ingest on a real server: every frame of a file once, wherever it is cut off, and cameras apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, PubAck
from nats.js.kv import KeyValue

from contracts.events import State, Status
from contracts.frames import EndReason, FrameHeader
from contracts.spec import CameraSpec, Capture, CountingLine, Source, current_key
from contracts.streams import CAMERAS, CHECKPOINTS, INGEST_STATE, KEPT, LEASES, PREVIEW, SOURCES, STATUS
from infra.local.processes.nats import NatsServer
from services.ingest import file_playback
from services.ingest.app import IngestService
from services.ingest.decimator import SECOND
from services.ingest.file_playback import ABANDONED
from services.ingest.progress import FileProgress
from services.ingest.session import Frame, file_frames, session_of
from services.ingest.settings import IngestSettings
from services.ingest.sources.simulation import open_simulation
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.durable_consumer import DurableConsumer
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually
from tests.support.deaf import Line
from tests.support.films import moving_box, write_tracks

SMALL = "fps=5&width=160&height=90"
FILE = f"sim://door?people=1&pace=max&spacing=clear&{SMALL}"
OTHER_FILE = f"sim://door?people=2&pace=max&spacing=clear&{SMALL}"
LIVE = "sim://door?pace=real&fps=20&width=160&height=90"
START = 1_764_000_000_000_000_000


@pytest.fixture
async def bus(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    """A bus with all streams and buckets, but no tracker and no checkpoints; progress is written with every frame."""
    monkeypatch.setattr(file_playback, "SAVE_EVERY", 0.0)
    async with connected(settings, everything=True) as bus:
        await bus.js.delete_key_value(CHECKPOINTS.name)
        bus._buckets = tuple(bucket for bucket in bus._buckets if bucket is not CHECKPOINTS)
        yield bus


def spec(camera: str = "door", **changes: object) -> CameraSpec:
    return CameraSpec(store="shop", camera=camera, model="motion", capture=Capture(quality=60)).model_copy(
        update=changes
    )


async def configure(
    bus: Bus, source: str, of: CameraSpec | None = None, *, start: int | None = START, again: int = 0
) -> None:
    of = of or spec()
    await (await bus.bucket(SOURCES)).put(
        of.camera, Source(camera=of.camera, address=source, start=start, again=again).model_dump_json().encode()
    )
    await (await bus.bucket(CAMERAS)).put(current_key(of.camera), of.model_dump_json().encode())


def recorded(address: str, start: int = START) -> list[Frame]:
    """The frames of a file as they have to travel."""
    source = open_simulation(address)
    of = spec()
    frames = list(file_frames(source, of, session=session_of(source, of.capture, start), start=start))
    source.close()
    return frames


@asynccontextmanager
async def ingesting(bus: Bus) -> AsyncIterator[None]:
    """Ingest at work, ended in order."""
    settings = IngestSettings()
    task = asyncio.create_task(IngestService(bus, settings).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), task.exception()


@dataclass
class Detector:
    """Takes all frames of files, in order, and remembers them."""

    frames: list[tuple[FrameHeader, bytes]] = field(default_factory=list)

    def of(self, session: str, camera: str = "door") -> list[tuple[int, bytes]]:
        return [
            (header.seq, body) for header, body in self.frames if (header.session, header.camera) == (session, camera)
        ]

    async def has_end(self, camera: str = "door", sessions: int = 1) -> bool:
        return sum(header.end is not None and header.camera == camera for header, _ in self.frames) == sessions


@asynccontextmanager
async def taking(bus: Bus) -> AsyncIterator[Detector]:
    detector = Detector()

    async def take() -> None:
        config = ConsumerConfig(durable_name="taking", ack_policy=AckPolicy.EXPLICIT, ack_wait=2)
        async with DurableConsumer(bus, KEPT.name, config, ahead=4) as consumer:
            async for msg in consumer:
                detector.frames.append((FrameHeader.from_headers(msg.headers), msg.data))
                await msg.ack()

    task = asyncio.create_task(take())
    try:
        yield detector
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def said(bus: Bus, camera: str = "door") -> Status:
    subject = f"metrica.live.status.shop.{camera}.ingest"
    return Status.model_validate_json((await bus.js.get_last_msg(STATUS.name, subject)).data or b"")


async def says(bus: Bus, state: State, camera: str = "door") -> Status:
    """The camera's status; an error that `eventually` waits out where it is in another state."""
    status = await said(bus, camera)
    if status.state is not state:
        raise LookupError(f"{camera} says {status.state}: {status.message}")
    return status


async def progress(bus: Bus) -> FileProgress:
    return FileProgress.model_validate_json((await (await bus.bucket(INGEST_STATE)).get("door")).value or b"")


def as_recorded(frames: list[Frame]) -> list[tuple[int, bytes]]:
    return [(frame.header.seq, frame.jpeg) for frame in frames]


class TestFile:
    async def test_every_frame_travels_once_in_order_and_then_the_end(self, bus: Bus) -> None:
        await configure(bus, FILE)
        wanted = recorded(FILE)

        async with ingesting(bus), taking(bus) as detector:
            status = await eventually(lambda: says(bus, State.FINISHED))

        assert [header for header, _ in detector.frames] == [
            frame.header.model_copy(update={"traceparent": header.traceparent, "policy": header.policy})
            for frame, (header, _) in zip(wanted, detector.frames, strict=True)
        ]
        assert detector.of(wanted[0].header.session) == as_recorded(wanted)
        assert status.session == wanted[0].header.session
        assert (await progress(bus)).finished

    async def test_the_track_that_the_camera_names_is_read_at_the_rate_that_it_names(
        self, bus: Bus, tmp_path: Path
    ) -> None:
        sizes = ((160, 120), (320, 240))
        tracks = [("libx264", [moving_box(number, size) for number in range(5)]) for size in sizes]
        path = str(write_tracks(tmp_path / "two.mkv", tracks))

        async with ingesting(bus), taking(bus) as detector:
            await configure(bus, path)
            await eventually(lambda: says(bus, State.FINISHED))
            await configure(bus, path, spec(revision=2, capture=Capture(track=1, rate=2.0)))
            await eventually(lambda: detector.has_end(sessions=2))

        main, other = detector.frames[:6], detector.frames[6:]
        assert [(header.width, header.captured_at - START) for header, _ in main[:2]] == [(320, 0), (320, SECOND // 10)]
        assert [(header.width, header.captured_at - START) for header, _ in other[:2]] == [(160, 0), (160, SECOND // 2)]

    async def test_a_finished_file_is_not_counted_again_and_says_so(self, bus: Bus) -> None:
        await configure(bus, FILE)
        async with taking(bus) as detector:
            async with ingesting(bus):
                await eventually(lambda: says(bus, State.FINISHED))
            count = len(detector.frames)
            async with ingesting(bus):
                status = await eventually(lambda: says(bus, State.ALREADY_COUNTED))

            assert "is already counted" in status.message
            assert len(detector.frames) == count

    async def test_counted_anew_it_is_another_session_of_the_same_frames(self, bus: Bus) -> None:
        await configure(bus, FILE)
        async with ingesting(bus), taking(bus) as detector:
            await eventually(detector.has_end)
            await configure(bus, FILE, again=1)
            await eventually(lambda: detector.has_end(sessions=2))

        first, second = dict.fromkeys(header.session for header, _ in detector.frames)
        assert detector.of(first) == detector.of(second)

    @pytest.mark.parametrize("kills", [(3,), (10, 20, 30)], ids=["once", "again and again"])
    async def test_killed_and_started_again_it_makes_the_very_same_frames(
        self, bus: Bus, settings: ServiceSettings, kills: tuple[int, ...]
    ) -> None:
        await configure(bus, FILE)
        wanted = recorded(FILE)

        async with taking(bus) as detector:
            for kill in kills:
                async with connected(settings) as own:
                    task = asyncio.create_task(IngestService(own, IngestSettings()).run())
                    await eventually(lambda kill=kill: truth(len(detector.frames) >= kill))  # type: ignore[misc]  # bound
                    await own.client.close()  # as a killed process's: nothing more is said
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            assert not await detector.has_end()
            async with ingesting(bus):
                await eventually(detector.has_end)

        assert detector.of(wanted[0].header.session) == as_recorded(wanted)

    async def test_ended_in_order_it_goes_on_where_it_was(self, bus: Bus) -> None:
        """The stream takes 64 frames while nobody detects: it is full when ingest ends."""
        await configure(bus, OTHER_FILE)
        wanted = recorded(OTHER_FILE)
        assert len(wanted) > 70
        async with ingesting(bus):
            await eventually(lambda: full(bus))
        assert (await progress(bus)).next_seq == 64
        assert (await said(bus)).state is State.STOPPED

        async with taking(bus) as detector, ingesting(bus):
            await eventually(detector.has_end)

        assert detector.of(wanted[0].header.session) == as_recorded(wanted)

    async def test_the_broker_killed_under_it_loses_and_doubles_no_frame(
        self, bus: Bus, nats_server: NatsServer
    ) -> None:
        await configure(bus, FILE)
        wanted = recorded(FILE)
        async with ingesting(bus), taking(bus) as detector:
            await eventually(lambda: truth(len(detector.frames) >= 5))
            nats_server.kill()
            nats_server.start()
            await eventually(detector.has_end)

        seen = dict(detector.of(wanted[0].header.session))  # a lost acknowledgement of ours may bring one again
        assert list(seen.items()) == as_recorded(wanted)

    async def test_a_changed_source_ends_the_session_of_the_old_one(self, bus: Bus) -> None:
        await configure(bus, OTHER_FILE)
        async with ingesting(bus):
            await eventually(lambda: full(bus))
            async with taking(bus) as detector:
                await configure(bus, FILE)
                await eventually(lambda: detector.has_end(sessions=2))

        ends = [header for header, _ in detector.frames if header.end]
        assert (ends[0].end, ends[0].seq) == (EndReason.STOPPED, ABANDONED)
        assert ends[0].session == recorded(OTHER_FILE)[0].header.session
        assert ends[0].previous is not None
        assert detector.of(recorded(FILE)[0].header.session) == as_recorded(recorded(FILE))

    async def test_a_moved_line_reaches_the_frames_without_a_new_session(self, bus: Bus) -> None:
        await configure(bus, OTHER_FILE)
        line = CountingLine(id="line", x1=0, y1=0.5, x2=1, y2=0.5)
        async with ingesting(bus):
            await eventually(lambda: full(bus))
            await configure(bus, OTHER_FILE, spec(revision=2, lines=(line,)))
            await asyncio.sleep(0.1)
            async with taking(bus) as detector:
                await eventually(detector.has_end)

        assert {header.session for header, _ in detector.frames} == {recorded(OTHER_FILE)[0].header.session}
        revisions = [header.spec_revision for header, _ in detector.frames]
        assert revisions == sorted(revisions)
        assert set(revisions) == {1, 2}


async def full(bus: Bus) -> bool:
    return (await bus.js.stream_info(KEPT.name)).state.messages == 64


class TestCamerasApart:
    async def test_a_camera_that_cannot_work_says_why_and_disturbs_no_other(self, bus: Bus) -> None:
        await configure(bus, "/no/such/clip.mp4", spec("broken"))
        await configure(bus, "sim://window", spec("odd"))
        await configure(bus, FILE)
        await (await bus.bucket(CAMERAS)).put(current_key("garbled"), b"{")

        async with ingesting(bus), taking(bus) as detector:
            await eventually(detector.has_end)
            broken = await eventually(lambda: says(bus, State.REFUSED, "broken"))
            odd = await eventually(lambda: says(bus, State.REFUSED, "odd"))

        assert broken.message == "clip.mp4: there is no such file"
        assert "the one simulated scene is sim://door" in odd.message
        assert detector.of(recorded(FILE)[0].header.session) == as_recorded(recorded(FILE))

    async def test_one_whose_stream_is_full_holds_up_no_other(self, bus: Bus) -> None:
        await configure(bus, OTHER_FILE, spec("full"))
        async with ingesting(bus):
            await eventually(lambda: full(bus))
            await configure(bus, FILE)
            await eventually(lambda: says(bus, State.RUNNING))
            await eventually(lambda: more_than_full(bus))

    async def test_a_camera_that_is_removed_or_paused_is_left(self, bus: Bus) -> None:
        await configure(bus, LIVE)
        async with ingesting(bus):
            await eventually(lambda: says(bus, State.RUNNING))
            await configure(bus, LIVE, spec(paused=True, revision=2))
            await eventually(lambda: says(bus, State.STOPPED))
            await configure(bus, LIVE, spec(revision=3))
            await eventually(lambda: says(bus, State.RUNNING))
            await (await bus.bucket(SOURCES)).delete("door")
            await eventually(lambda: says(bus, State.STOPPED))


async def more_than_full(bus: Bus) -> bool:
    return (await bus.js.stream_info(KEPT.name)).state.messages > 64


@asynccontextmanager
async def watching(bus: Bus) -> AsyncIterator[list[FrameHeader]]:
    """The headers of all live frames, as they are published."""
    seen: list[FrameHeader] = []

    async def see(msg: Msg) -> None:
        seen.append(FrameHeader.from_headers(msg.headers))

    subscription = await bus.client.subscribe("metrica.live.frames.>", cb=see)
    await bus.client.flush()
    try:
        yield seen
    finally:
        await subscription.unsubscribe()


class TestLive:
    async def test_frames_come_at_the_cameras_pace_numbered_and_linked(self, bus: Bus) -> None:
        await configure(bus, LIVE)
        async with watching(bus) as seen, ingesting(bus):
            await eventually(lambda: truth(len(seen) >= 20))
            await bus.client.flush()

        frames = [header for header in seen if header.end is None]
        assert len({header.session for header in frames}) == 1
        assert [header.previous for header in frames] == [None, *(header.seq for header in frames[:-1])]
        assert [header.seq for header in frames] == sorted({header.seq for header in frames})
        took = (frames[-1].captured_at - frames[0].captured_at) / 1e9
        assert took >= (len(frames) - 1) / 20 - 0.01

    async def test_the_preview_is_refreshed_and_holds_one_picture(self, bus: Bus) -> None:
        await configure(bus, LIVE, spec(preview_fps=5.0))
        async with ingesting(bus):
            await eventually(lambda: previews(bus, 3))
        assert (await bus.js.stream_info(PREVIEW.name)).state.messages == 1

    async def test_a_camera_that_is_paused_ends_its_session_and_begins_another_later(self, bus: Bus) -> None:
        await configure(bus, LIVE)
        async with watching(bus) as seen, ingesting(bus):
            await eventually(lambda: truth(len(seen) >= 3))
            await configure(bus, LIVE, spec(paused=True, revision=2))
            await eventually(lambda: truth(seen[-1].end is not None))
            end = seen[-1]
            await configure(bus, LIVE, spec(revision=3))
            await eventually(lambda: truth(seen[-1].end is None))

        assert end.end is EndReason.STOPPED
        assert end.previous == max(header.seq for header in seen if header.session == end.session and not header.end)
        assert len({header.session for header in seen}) == 2
        assert next(header.seq for header in seen if header.session != end.session) == 0

    async def test_a_frame_that_is_under_way_when_the_camera_is_left_comes_before_its_end(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Even the first one: a session that was begun is always ended."""
        stored, publish = asyncio.Event(), Bus.try_publish

        async def acknowledge_late(
            own: Bus,
            subject: str,
            payload: bytes,
            *,
            headers: Mapping[str, str] | None = None,
            msg_id: str | None = None,
        ) -> PubAck:
            done = await publish(own, subject, payload, headers=headers, msg_id=msg_id)
            if subject.startswith("metrica.live.frames.") and not stored.is_set():
                stored.set()
                await asyncio.sleep(0.3)
            return done

        monkeypatch.setattr(Bus, "try_publish", acknowledge_late)
        await configure(bus, LIVE)
        async with watching(bus) as seen:
            async with ingesting(bus):
                await asyncio.wait_for(stored.wait(), 10)
            await bus.client.flush()

        assert [(header.seq, header.previous, header.end) for header in seen] == [
            (0, None, None),
            (1, 0, EndReason.STOPPED),
        ]

    async def test_after_an_outage_of_the_broker_it_goes_on_in_the_same_session(
        self, bus: Bus, nats_server: NatsServer
    ) -> None:
        await configure(bus, LIVE)
        async with watching(bus) as seen, ingesting(bus):
            await eventually(lambda: truth(len(seen) >= 5))
            nats_server.kill()
            await eventually(lambda: truth(not bus.connected))
            nats_server.start()
            before = len(seen)
            await eventually(lambda: truth(len(seen) >= before + 5))
            last = seen[-1]

        assert len({header.session for header in seen}) == 1
        known = {header.seq for header in seen}
        assert all(header.previous in known for header in seen[1:] if header.seq <= last.seq)

    async def test_a_renewal_of_its_lease_whose_answer_was_lost_begins_no_new_session(
        self, bus: Bus, settings: ServiceSettings
    ) -> None:
        await configure(bus, LIVE)
        line, piece = Line(settings), "ingest.piece.door"
        async with line.opened(), connected(line.settings) as far, watching(bus) as seen, ingesting(far):
            await eventually(lambda: truth(len(seen) > 0))
            line.lose_answer_to(f"$KV.{LEASES.name}.{piece}")
            await asyncio.wait_for(line.lost.wait(), 15)
            leases = await bus.bucket(LEASES)
            unheard = (await leases.get(piece)).revision or 0
            await eventually(lambda: renewed(leases, piece, unheard))
            before = len(seen)
            await eventually(lambda: truth(len(seen) > before + 20))

        assert len({header.session for header in seen}) == 1


async def previews(bus: Bus, count: int) -> bool:
    return (await bus.js.stream_info(PREVIEW.name)).state.last_seq >= count


async def renewed(leases: KeyValue, piece: str, revision: int) -> bool:
    return ((await leases.get(piece)).revision or 0) > revision


async def truth(value: bool) -> bool:
    return value
