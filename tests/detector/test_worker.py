"""The rules of a detector at work on a real server: every frame gets one answer, whoever breaks or dies over it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from contracts.area import DetectionArea
from contracts.events import DeadLetter, Detections
from contracts.frames import EndReason, FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec, current_key, spec_key
from contracts.streams import CAMERAS, DETECTIONS, KEPT
from contracts.subjects import frames as frames_subject
from contracts.subjects import kept
from infra.local.processes.nats import NatsServer
from services.detector import intake, worker
from services.detector.app import DetectorService
from services.detector.settings import DetectorSettings
from services.detector.worker import PoolWorker
from services.kit.nats.bus import Bus
from services.kit.nats.dead_letters import HEADER
from services.kit.nats.runs import Runs
from services.kit.settings import ServiceSettings
from tests.detector.stand_ins import BREAKS, Opened, StandIn, Together, header, jpeg
from tests.support.broker import connected, eventually, stored

DEADLY = 200
"""The brightness of a frame over which processes die."""
SUBJECT = kept("live", "stand-in", "shop", "door")


@pytest.fixture
async def bus(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    """A bus with all streams; frames that failed are tried again soon."""
    monkeypatch.setattr(worker, "RETRY_DELAY", 0.02)
    async with connected(settings, everything=True) as bus:
        for camera in ("door", "exit"):
            await configure(bus, CameraSpec(store="shop", camera=camera, model="stand-in"))
        yield bus


@asynccontextmanager
async def detecting(bus: Bus, detector: StandIn) -> AsyncIterator[asyncio.Task[None]]:
    """A worker, ended in order."""
    thread = ThreadPoolExecutor(1)
    task = asyncio.create_task(PoolWorker(bus, "stand-in", detector, thread, Runs()).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        thread.shutdown(wait=False)


async def configure(bus: Bus, spec: CameraSpec) -> None:
    await (await bus.bucket(CAMERAS)).put(spec_key(spec.camera, spec.revision), spec.model_dump_json().encode())


async def send(bus: Bus, header: FrameHeader, body: bytes) -> None:
    subject_of = kept if header.policy is Policy.EVERY else frames_subject
    subject = subject_of("live", "stand-in", "shop", header.camera)
    await bus.publish(subject, body, headers=header.to_headers())


async def film(bus: Bus, brightness: Sequence[int]) -> None:
    for seq, one in enumerate(brightness):
        await send(bus, header(seq), jpeg(one))


async def answers(bus: Bus, count: int) -> dict[int, Detections]:
    """The answers by seq, once there are so many; each frame has one."""

    async def enough() -> list[bytes]:
        bodies = await stored(bus, DETECTIONS.name)
        return bodies if len(bodies) >= count else []

    events = [Detections.model_validate_json(body) for body in await eventually(enough)]
    assert len(events) == count
    return {event.seq: event for event in events}


async def all_answers(bus: Bus, count: int) -> list[Detections]:
    """All answers in the order in which they were stored, once there are so many."""
    bodies = await stored(bus, DETECTIONS.name)
    return [Detections.model_validate_json(body) for body in bodies] if len(bodies) >= count else []


async def letters(bus: Bus) -> list[tuple[str, bytes]]:
    """Reasons and bodies of the dead letters."""
    found = []
    for seq in range(1, (await bus.js.stream_info("DLQ")).state.last_seq + 1):
        msg = await bus.js.get_msg("DLQ", seq)
        assert msg.headers is not None
        found.append((DeadLetter.model_validate_json(msg.headers[HEADER]).reason, msg.data or b""))
    return found


async def die_over_a_frame(settings: ServiceSettings, batch: int) -> None:
    """A replica that dies over the deadly frame, and says nothing more."""
    met, dead = threading.Event(), threading.Event()

    def die(brightness: int) -> None:
        if brightness == DEADLY:
            met.set()
            dead.wait(20)

    async with connected(settings) as own, detecting(own, Together(batch, before=die)):
        assert await asyncio.to_thread(met.wait, 20)
        await own.client.close()
        dead.set()


async def all_acknowledged(bus: Bus) -> bool:
    return (await bus.js.stream_info(KEPT.name)).state.messages == 0


class TestAnswers:
    async def test_each_frame_is_answered_in_order_and_acknowledged_after(self, bus: Bus) -> None:
        await film(bus, [10, 20, 30])
        await send(bus, header(3, end=EndReason.FINISHED), b"")

        async with detecting(bus, StandIn()):
            found = await answers(bus, 4)
            await eventually(lambda: all_acknowledged(bus))

        assert list(found) == [0, 1, 2, 3]
        assert [event.boxes for event in found.values()] == [((0, 0, wide, 48),) for wide in (10, 20, 30)] + [()]
        assert found[3].end is EndReason.FINISHED
        assert found[1].previous == 0
        assert found[0].model == StandIn.model

    async def test_live_frames_are_answered_too(self, bus: Bus) -> None:
        await send(bus, header(7, policy=Policy.LATEST), jpeg(10))

        async with detecting(bus, StandIn()):
            assert list(await answers(bus, 1)) == [7]

    async def test_of_live_frames_that_had_to_wait_only_the_newest_are_looked_at_and_of_a_files_all(
        self, bus: Bus
    ) -> None:
        for seq in range(10):
            await send(bus, header(seq, policy=Policy.LATEST), jpeg(seq))
            await send(bus, header(seq, camera="exit"), jpeg(seq))

        async with detecting(bus, StandIn()):
            events = await eventually(lambda: all_answers(bus, 13))

        assert [event.seq for event in events if event.camera == "door"] == [7, 8, 9]
        assert [event.seq for event in events if event.camera == "exit"] == list(range(10))

    async def test_two_workers_share_the_frames_and_answer_each_once(self, bus: Bus, settings: ServiceSettings) -> None:
        one, other = StandIn(), StandIn()
        async with connected(settings) as second, detecting(bus, one), detecting(second, other):
            await film(bus, range(30))
            assert sorted(await answers(bus, 30)) == list(range(30))

        assert sorted(one.seen + other.seen) == list(range(30))


class TestWhereToLook:
    async def test_each_frame_is_looked_at_as_the_revision_says_that_it_names(self, bus: Bus) -> None:
        right_half = DetectionArea(regions=(((0.5, 0), (1, 0), (1, 1), (0.5, 1)),))
        await configure(bus, CameraSpec(store="shop", camera="door", revision=2, detection=right_half))
        # The stand-in's person is as wide as the frame is bright: 60 of 64 pixels, in the middle a little to the left.
        for seq, revision in enumerate([1, 2, 1]):
            await send(bus, header(seq).model_copy(update={"spec_revision": revision}), jpeg(60))

        async with detecting(bus, StandIn()):
            found = await answers(bus, 3)

        assert [len(event.boxes) for event in found.values()] == [1, 0, 1]

    async def test_a_revision_that_never_comes_holds_up_its_frames_once(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "PATIENCE", 0.1)
        for seq in range(3):
            await send(bus, header(seq).model_copy(update={"spec_revision": 9}), jpeg(60))

        async with detecting(bus, StandIn()):
            assert list(await answers(bus, 3)) == [0, 1, 2]


class TestBatches:
    async def test_frames_that_wait_are_looked_at_together_and_each_is_answered_and_acknowledged(
        self, bus: Bus
    ) -> None:
        for seq, one in enumerate([10, 20, 30]):
            for camera in ("door", "exit"):
                await send(bus, header(seq, camera=camera), jpeg(one))
        detector = Together(4)

        async with detecting(bus, detector):
            events = await eventually(lambda: all_answers(bus, 6))
            await eventually(lambda: all_acknowledged(bus))

        assert [(event.camera, event.seq, event.boxes[0][2]) for event in events] == [
            (camera, seq, wide) for seq, wide in enumerate([10, 20, 30]) for camera in ("door", "exit")
        ]
        assert max(map(len, detector.batches)) > 1
        assert max(map(len, detector.batches)) <= 4

    async def test_nobody_waits_for_a_batch_to_fill(self, bus: Bus) -> None:
        detector = Together(16)
        async with detecting(bus, detector):
            for seq in range(3):
                await send(bus, header(seq), jpeg(10))
                await answers(bus, seq + 1)

        assert detector.batches == []
        assert detector.seen == [10, 10, 10]

    async def test_the_frame_that_breaks_a_batch_is_found_and_the_others_are_answered(self, bus: Bus) -> None:
        await film(bus, [10, 255, 30, 40])
        detector = Together(4)

        async with detecting(bus, detector):
            found = await answers(bus, 4)
            await eventually(lambda: all_acknowledged(bus))

        assert [event.skipped is None for event in map(found.get, range(4)) if event] == [True, False, True, True]
        assert found[1].skipped == "the detector failed 3 times: RuntimeError('this frame breaks me')"
        assert [reason for reason, _ in await letters(bus)] == [found[1].skipped]
        assert sum(255 in batch for batch in detector.batches) <= 1, "what comes again is looked at alone"

    async def test_what_cannot_be_read_spoils_no_batch(self, bus: Bus) -> None:
        await send(bus, header(0), jpeg(10))
        await send(bus, header(1), b"GIF89a")
        await send(bus, header(2), jpeg(30))
        await send(bus, header(3, end=EndReason.FINISHED), b"")

        async with detecting(bus, Together(4)):
            found = await answers(bus, 4)

        assert [found[seq].boxes for seq in range(4)] == [((0, 0, 10, 48),), (), ((0, 0, 30, 48),), ()]
        assert "not a JPEG" in (found[1].skipped or "")
        assert found[3].end is EndReason.FINISHED


class TestBrokenFrames:
    async def test_a_frame_that_breaks_the_detector_is_tried_three_times_then_skipped_and_buried(
        self, bus: Bus
    ) -> None:
        await film(bus, [10, 255, 30])
        detector = StandIn()

        async with detecting(bus, detector):
            found = await answers(bus, 3)
            await eventually(lambda: all_acknowledged(bus))

        assert detector.seen.count(255) == 3
        assert found[1].skipped == "the detector failed 3 times: RuntimeError('this frame breaks me')"
        assert found[1].boxes == ()
        assert (found[0].skipped, found[2].skipped) == (None, None)
        assert await letters(bus) == [(found[1].skipped, jpeg(255))]

    async def test_one_that_fails_once_is_answered_as_if_nothing_had_been(self, bus: Bus) -> None:
        failures = iter([True])

        def fail_once(brightness: int) -> None:
            if brightness == 20 and next(failures, False):
                raise ValueError("out of memory")

        await film(bus, [10, 20])
        async with detecting(bus, StandIn(before=fail_once)):
            found = await answers(bus, 2)

        assert found[1].skipped is None
        assert await letters(bus) == []

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            pytest.param(b"", "the frame is empty", id="nothing"),
            pytest.param(b"GIF89a", "not a JPEG", id="another format"),
            pytest.param(jpeg(10)[:-20], "cut off", id="cut off"),
        ],
    )
    async def test_what_is_no_picture_is_skipped_and_buried_without_a_second_try(
        self, bus: Bus, body: bytes, reason: str
    ) -> None:
        await send(bus, header(0), body)
        await send(bus, header(1), jpeg(10))
        detector = StandIn()

        async with detecting(bus, detector):
            found = await answers(bus, 2)

        assert reason in (found[0].skipped or "")
        assert found[1].skipped is None
        [(told, buried)] = await letters(bus)
        assert (told, buried) == (found[0].skipped, body)
        assert detector.seen == [10]

    async def test_a_picture_of_another_size_than_it_says_is_skipped(self, bus: Bus) -> None:
        await send(bus, header(0).model_copy(update={"width": 640}), jpeg(10))

        async with detecting(bus, StandIn()):
            assert "its header says 640x48" in ((await answers(bus, 1))[0].skipped or "")

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            pytest.param("Metrica-Seq", "seven", "frame header Metrica-Seq: ", id="garbled"),
            pytest.param("Metrica-Width", None, "frame header Metrica-Width: Field required", id="missing"),
            pytest.param("Metrica-Camera", "other", "the headers name shop/other, the subject", id="of another camera"),
        ],
    )
    async def test_what_has_no_frames_headers_is_buried_and_the_rest_goes_on(
        self, bus: Bus, name: str, value: str | None, reason: str
    ) -> None:
        headers = {key: text for key, text in header(0).to_headers().items() if key != name}
        await bus.publish(SUBJECT, jpeg(10), headers=headers | ({name: value} if value else {}))
        await send(bus, header(1), jpeg(20))

        async with detecting(bus, StandIn()):
            assert list(await answers(bus, 1)) == [1]
            await eventually(lambda: all_acknowledged(bus))

        [(told, body)] = await letters(bus)
        assert told.startswith(reason)
        assert body == jpeg(10)


class TestDeaths:
    async def test_a_killed_workers_frames_go_to_another(
        self, bus: Bus, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "ACK_WAIT", 0.5)
        hangs, hanging = threading.Event(), threading.Event()

        def hang(_: int) -> None:
            hanging.set()
            hangs.wait(20)

        async with AsyncExitStack() as stack:
            dead = await stack.enter_async_context(connected(settings))
            await stack.enter_async_context(detecting(dead, StandIn(before=hang)))
            await film(bus, range(6))
            await asyncio.to_thread(hanging.wait, 10)
            await dead.client.close()  # as a killed process's: nothing more is said

            async with detecting(bus, StandIn()):
                assert sorted(await answers(bus, 6)) == list(range(6))
            hangs.set()

    async def test_a_worker_that_ends_in_order_gives_its_frames_back_at_once(
        self, bus: Bus, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "ACK_WAIT", 30.0)
        hangs, hanging = threading.Event(), threading.Event()

        def hang(brightness: int) -> None:
            if brightness == 1:
                hanging.set()
                hangs.wait(20)

        async with connected(settings) as leaving, detecting(leaving, StandIn(before=hang)):
            await film(bus, range(6))
            await asyncio.to_thread(hanging.wait, 10)
            await asyncio.sleep(0.2)
        async with detecting(bus, StandIn()):
            found = await answers(bus, 5)
        hangs.set()

        assert sorted({*found, 1}) == list(range(6)), "only the frame under the detector's eyes waits for the ack wait"

    @pytest.mark.parametrize("batch", [1, 4])
    async def test_a_frame_that_killed_three_workers_is_given_up_and_none_that_was_in_their_hands_with_it(
        self, bus: Bus, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, batch: int
    ) -> None:
        monkeypatch.setattr(intake, "ACK_WAIT", 0.3)
        await film(bus, [10, DEADLY, 30, 40, 50, 60])
        for _ in range(3):
            await die_over_a_frame(settings, batch)

        detector = StandIn()
        async with detecting(bus, detector):
            found = await answers(bus, 6)
            await eventually(lambda: all_acknowledged(bus))

        assert [seq for seq, event in found.items() if event.skipped] == [1]
        assert found[1].skipped == "given up after 3 deliveries without an answer"
        assert DEADLY not in detector.seen
        assert await letters(bus) == [(found[1].skipped, jpeg(DEADLY))]

    async def test_a_frame_that_takes_longer_than_the_ack_wait_is_looked_at_once(
        self, bus: Bus, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "ACK_WAIT", 1.0)
        slow, other = StandIn(before=lambda _: time.sleep(2)), StandIn()
        async with detecting(bus, slow):
            await film(bus, [10])
            await eventually(lambda: truth(bool(slow.seen)))
            async with connected(settings) as second, detecting(second, other):
                await answers(bus, 1)

        assert (slow.seen, other.seen) == ([10], [])

    async def test_a_frame_over_which_a_worker_hangs_goes_to_another(
        self, bus: Bus, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "ACK_WAIT", 0.3)
        monkeypatch.setattr(intake, "WORK_LIMIT", 0.3)
        hangs = threading.Event()
        async with connected(settings) as second, detecting(second, StandIn(before=lambda _: hang_until(hangs))):
            await film(bus, range(3))
            async with detecting(bus, StandIn()):
                assert sorted(await answers(bus, 3)) == [0, 1, 2]
            hangs.set()

    async def test_the_broker_killed_under_it_loses_and_doubles_no_answer(
        self, bus: Bus, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "ACK_WAIT", 1.0)
        async with detecting(bus, StandIn()):
            filming = asyncio.create_task(film(bus, range(40)))
            await eventually(lambda: stored(bus, DETECTIONS.name))
            nats_server.kill()
            nats_server.start()
            await filming
            assert sorted(await answers(bus, 40)) == list(range(40))
            await eventually(lambda: all_acknowledged(bus))

    async def test_it_ends_soon_while_the_broker_is_away(
        self, bus: Bus, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "LEAVE_TIMEOUT", 0.2)
        looked = threading.Event()

        def kill(_: int) -> None:
            nats_server.kill()
            looked.set()

        async with detecting(bus, StandIn(before=kill)) as task:
            await film(bus, [10])
            await asyncio.to_thread(looked.wait, 10)
            await asyncio.sleep(0.1)  # its answer is on its way now, and will not get there
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=5)
            assert done == {task}
        nats_server.start()


class TestService:
    async def test_a_stateful_detector_has_one_replica_at_work_and_another_that_takes_over(
        self, bus: Bus, settings: ServiceSettings
    ) -> None:
        Opened.all.clear()
        own = settings_with(settings, {"stand-in": "tests.detector.stand_ins:stateful"})
        spec = CameraSpec(store="shop", camera="door", model="stand-in")
        await (await bus.bucket(CAMERAS)).put(current_key("door"), spec.model_dump_json().encode())
        async with connected(settings) as second:
            named = [(bus, own), (second, own.model_copy(update={"replica": "second"}))]
            replicas = [asyncio.create_task(DetectorService(*one).run()) for one in named]
            await eventually(lambda: truth(len(Opened.all) == 2))
            await film(bus, range(5))
            await answers(bus, 5)
            at_work = next(one for one in Opened.all if one.seen)
            assert at_work.seen == [0, 1, 2, 3, 4]

            replicas[0].cancel()
            for seq in range(5, 10):
                await send(bus, header(seq), jpeg(seq))
            await answers(bus, 10)
            replicas[1].cancel()
            await asyncio.gather(*replicas, return_exceptions=True)

        assert sorted(sorted(one.seen) for one in Opened.all) in (
            [[], list(range(10))],
            [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]],
        )

    async def test_a_model_that_cannot_be_opened_holds_up_no_other_camera(
        self, bus: Bus, settings: ServiceSettings
    ) -> None:
        Opened.all.clear()
        own = settings_with(
            settings, {"stand-in": "tests.detector.stand_ins:stateful", "broken": "tests.detector.stand_ins:header"}
        )
        bucket = await bus.bucket(CAMERAS)
        for camera, model in [("door", "stand-in"), ("exit", "broken")]:
            spec = CameraSpec(store="shop", camera=camera, model=model)
            await bucket.put(current_key(camera), spec.model_dump_json().encode())
        replica = asyncio.create_task(DetectorService(bus, own).run())
        await film(bus, [10, BREAKS])

        await answers(bus, 2)
        told = await eventually(lambda: status_of(bus, "exit"))
        assert b'"no_model"' in told
        assert b"The model broken cannot be opened: TypeError" in told
        replica.cancel()
        await asyncio.gather(replica, return_exceptions=True)


def settings_with(settings: ServiceSettings, backends: dict[str, str]) -> DetectorSettings:
    return DetectorSettings(
        nats_url=settings.nats_url,
        nats_user=settings.nats_user,
        nats_password=settings.nats_password,
        backends=backends,
    )


async def status_of(bus: Bus, camera: str) -> bytes:
    """The detector's last word on a camera, once it is not that it starts."""
    said = (await bus.js.get_last_msg("STATUS", f"metrica.live.status.shop.{camera}.detector")).data or b""
    return b"" if b'"starting"' in said else said


def hang_until(event: threading.Event) -> None:
    event.wait(20)


async def truth(value: bool) -> bool:
    return value
