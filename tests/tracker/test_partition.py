"""The rules of a partition on a real server: whatever becomes of its tracker, the crossings stand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count

import pytest
from nats.aio.msg import Msg
from nats.js.api import PubAck

from contracts.checkpoints import checkpoint_key
from contracts.events import CROSSING_EVENT, Detections, Tracks
from contracts.frames import EndReason
from contracts.identity import Policy, partition
from contracts.spec import CameraSpec, spec_key
from contracts.streams import CAMERAS, CHECKPOINTS, CROSSINGS, DETECTIONS
from contracts.subjects import Kind, detections
from infra.local.processes.nats import NatsServer
from services.kit.nats import camera_specs as specs_module
from services.kit.nats.bus import Bus
from services.kit.nats.camera_specs import Specs
from services.kit.settings import ServiceSettings
from services.kit.tasks import cancel_and_wait
from services.tracker import camera as camera_module
from services.tracker import ordering
from services.tracker import partition as module
from services.tracker.checkpoint import CheckpointEntry, Fenced, load
from services.tracker.counting.camera_counter import CameraCounter
from services.tracker.partition import Partition
from services.tracker.source import DetectionSource
from services.tracker.state import Checkpoint, OutboxEvent
from tests.support.broker import Write, connected, eventually, intercept, stored
from tests.tracker.scenes import MIDDLE, film, seen, spec, walk

NUMBER = partition("cam")
NEIGHBOUR = next(name for name in (f"cam-{n}" for n in range(1000)) if partition(name) == NUMBER)
"""Another camera of the same partition."""


def visit(camera: str = "cam") -> list[Detections]:
    """Three people in and out again within nine seconds, and the end of it."""
    people = [
        walk((0.0, 900, 200), (2.0, 300, 200), (4.5, 300, 250), (6.5, 900, 250)),
        walk((1.0, 250, 450), (4.0, 1000, 450)),
        walk((5.0, 900, 600), (8.0, 300, 600)),
    ]
    frames = film(people, seconds=9)
    end = seen(len(frames), end=EndReason.FINISHED)
    return [frame.model_copy(update={"camera": camera}) for frame in (*frames, end)]


def undisturbed(frames: Sequence[Detections], *specs: CameraSpec) -> list[bytes]:
    """The events that a counter publishes of the frames, in one go."""
    by_revision = {one.revision: one for one in specs or (spec(),)}
    counter = CameraCounter("live", frames[0].store, frames[0].camera)
    steps = [counter.step(frame, by_revision[frame.spec_revision]) for frame in frames]
    return [event.encode() for step in steps for event in (*step.crossings, step.end) if event is not None]


async def published(bus: Bus) -> list[bytes]:
    return await stored(bus, CROSSINGS.name, Kind.CROSSINGS)


async def detect(bus: Bus, frames: Sequence[Detections]) -> None:
    for frame in frames:
        await bus.publish(detections("live", "shop", frame.camera), frame.encode(), msg_id=f"live/{frame.id}")


async def configure(bus: Bus, *specs: CameraSpec) -> None:
    bucket = await bus.bucket(CAMERAS)
    for one in specs:
        await bucket.put(spec_key(one.camera, one.revision), one.model_dump_json().encode())


def tracker(bus: Bus, token: str = "first") -> Partition:
    return Partition(bus, DetectionSource.live(bus), NUMBER, token)


@asynccontextmanager
async def tracking(bus: Bus, token: str = "first") -> AsyncIterator[Partition]:
    """A tracker at work, ended in order."""
    work = tracker(bus, token)
    task = asyncio.create_task(work.run())
    try:
        yield work
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), task.exception()


async def everything(bus: Bus, wanted: Sequence[bytes]) -> None:
    """Wait for as many crossings and ends, and see that they are the right ones, each once."""

    async def enough() -> bool:
        return len(await published(bus)) >= len(wanted)

    await eventually(enough)
    assert await published(bus) == list(wanted)


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A bus with all streams and buckets, and the spec of the camera and its neighbour."""
    async with connected(settings, everything=True) as bus:
        await configure(bus, spec(), spec().model_copy(update={"camera": NEIGHBOUR}))
        yield bus


class Killed(BaseException):
    """An end as by kill -9: nothing more of the tracker runs."""


class TestKills:
    @pytest.mark.parametrize("seed", range(4))
    async def test_killed_at_any_write_again_and_again_the_crossings_stand(
        self, bus: Bus, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, seed: int
    ) -> None:
        chance = random.Random(seed)
        monkeypatch.setattr(Partition, "_leave", nothing)
        monkeypatch.setattr(module, "BATCH", 2)  # more steps, more writes to die at
        monkeypatch.setattr(camera_module, "CHECKPOINT_EVERY", 0.05)
        monkeypatch.setattr(
            camera_module, "UNSYNCED", 0.0
        )  # so few writes would not do for more than what is said again
        frames = visit()
        shuffled = delivered_out_of_order(frames, chance)
        detecting = asyncio.create_task(detect(bus, shuffled))

        lives = 0
        while (await end_of(bus)) != undisturbed(frames)[-1]:
            await live_and_die(settings, chance, token=f"life-{lives}")
            lives += 1
        await detecting
        async with tracking(bus, "last"):
            await everything(bus, undisturbed(frames))

        assert lives > 1

    async def test_the_broker_killed_under_it_changes_nothing(self, bus: Bus, nats_server: NatsServer) -> None:
        frames = visit()
        async with tracking(bus):
            detecting = asyncio.create_task(detect(bus, frames))
            await eventually(lambda: published(bus))
            nats_server.kill()
            nats_server.start()
            await detecting
            await everything(bus, undisturbed(frames))

    async def test_an_orderly_end_and_a_new_start_change_nothing(self, bus: Bus) -> None:
        frames = visit()
        for first, last in [(0, 25), (25, 60), (60, 91)]:
            async with tracking(bus, f"from-{first}") as work:
                await detect(bus, frames[first:last])
                await eventually(partial(read_up_to, work, bus))

        await everything(bus, undisturbed(frames))


def delivered_out_of_order(frames: Sequence[Detections], chance: random.Random) -> list[Detections]:
    """As several detectors answer: each up to three places late, and some twice."""
    late = sorted(frames, key=lambda frame: frame.seq + chance.uniform(0, 3))
    return [again for frame in late for again in [frame] * chance.choice([1, 1, 1, 2])]


async def live_and_die(settings: ServiceSettings, chance: random.Random, token: str) -> None:
    """A tracker with a connection of its own, killed before or after one of its next writes."""
    fatal, before = chance.randint(1, 8), chance.random() < 0.5

    async def die(number: int, write: Write) -> PubAck:
        if number == fatal and before:
            raise Killed
        acknowledgement = await write()
        if number == fatal:
            raise Killed
        return acknowledgement

    async with connected(settings) as own:
        intercept(own, die)
        with suppress(Killed, TimeoutError):
            async with asyncio.timeout(1.5):
                await tracker(own, token).run()


async def nothing(_self: Partition) -> None:
    return


async def end_of(bus: Bus) -> bytes:
    found = await published(bus)
    return found[-1] if found else b""


async def read_up_to(work: Partition, bus: Bus) -> bool:
    return work._position.seq == (await bus.js.stream_info(DETECTIONS.name)).state.last_seq


class TestTakeOver:
    async def test_the_first_publishes_nothing_more_once_a_second_has_taken_over(
        self, bus: Bus, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(camera_module, "CHECKPOINT_EVERY", 0.0)
        frames = visit()
        async with connected(settings) as other:
            first = asyncio.create_task(tracker(other, "first").run())
            await detect(bus, frames[:30])
            await eventually(lambda: published(bus))
            async with tracking(bus, "second") as second:
                await eventually(lambda: is_("cam" in second._cameras))
                await detect(bus, frames[30:])
                with pytest.raises(Fenced):
                    await asyncio.wait_for(first, 10)
                await everything(bus, undisturbed(frames))

    async def test_who_may_have_lost_its_lease_shows_no_tracks(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(camera_module, "CHECKPOINT_EVERY", 0.0)
        shown: list[int] = []

        async def see(msg: Msg) -> None:
            shown.append(Tracks.model_validate_json(msg.data).seq)

        await bus.client.subscribe("metrica.live.tracks.>", cb=see)
        frames, held = visit(), False
        work = Partition(bus, DetectionSource.live(bus), NUMBER, "first", lambda: held)
        task = asyncio.create_task(work.run())
        await detect(bus, frames[:-1])
        await eventually(lambda: is_(work._cameras["cam"].state.low_water == len(frames) - 1))
        held = True
        await detect(bus, frames[-1:])
        await everything(bus, undisturbed(frames))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.client.flush()

        assert shown == [frames[-1].seq]

    async def test_a_checkpoint_that_moves_while_it_is_taken_over_is_taken_as_it_is_then(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The old owner is still at work: its last write comes between the look at its checkpoint and the fencing."""
        frames = visit()
        async with tracking(bus, "first") as work:
            await detect(bus, frames[:60])
            await eventually(lambda: read_up_to(work, bus))
        disturbed: list[bool] = []

        async def load_and_be_overtaken(*_: object) -> dict[str, tuple[Checkpoint, int]]:
            found = await load(bus, await bus.bucket(CHECKPOINTS), "live", NUMBER)
            if not disturbed:
                disturbed.append(True)
                [(checkpoint, revision)] = found.values()
                await CheckpointEntry(
                    await bus.bucket(CHECKPOINTS), checkpoint_key("live", NUMBER, "cam"), revision
                ).store(checkpoint)
            return found

        monkeypatch.setattr(module, "load", load_and_be_overtaken)
        async with tracking(bus, "second"):
            await detect(bus, frames[60:])
            await everything(bus, undisturbed(frames))

    async def test_what_a_dead_owner_saved_and_did_not_publish_is_published(self, bus: Bus) -> None:
        frames = visit()
        async with tracking(bus) as work:
            await detect(bus, frames)
            await everything(bus, undisturbed(frames))
            await eventually(lambda: read_up_to(work, bus))
        end = CROSSING_EVENT.validate_json((await published(bus))[-1])
        await bus.js.purge_stream(CROSSINGS.name)
        key = checkpoint_key("live", NUMBER, "cam")
        bucket = await bus.bucket(CHECKPOINTS)
        saved = Checkpoint.model_validate_json((await bucket.get(key)).value or b"")
        lost = OutboxEvent.of(end).model_copy(update={"msg_id": "live/lost on the way"})
        await bucket.put(key, saved.model_copy(update={"outbox": (lost,)}).model_dump_json().encode())

        async with tracking(bus, "second"):
            await everything(bus, undisturbed(frames)[-1:])

    async def test_a_detections_stream_made_anew_is_read_from_its_beginning(self, bus: Bus) -> None:
        frames = visit()
        async with tracking(bus) as work:
            await detect(bus, frames[:60])
            await eventually(lambda: read_up_to(work, bus))
        await bus.js.delete_stream(DETECTIONS.name)
        await bus.declare()
        await detect(bus, frames[60:])

        async with tracking(bus, "second"):
            await everything(bus, undisturbed(frames))


class TestBadInput:
    async def test_what_is_no_detections_event_is_a_dead_letter_and_the_rest_goes_on(self, bus: Bus) -> None:
        frames = visit()
        subject = detections("live", "shop", "cam")
        for bad in [
            b"{",
            b'{"run": "live"}',
            frames[5].encode().replace(b'"scores":[0.9', b'"scores":[0.9,0.9'),
            frames[5].model_copy(update={"camera": "other"}).encode(),
            frames[5].encode().replace(b'"width":1280', b'"width":0'),
            b'{"boxes":[' + b'"nonsense",' * 4000 + b"1]}",
        ]:
            await detect(bus, frames[:5])
            await bus.publish(subject, bad)
        await detect(bus, frames)

        async with tracking(bus):
            await everything(bus, undisturbed(frames))
        assert (await bus.js.stream_info("DLQ")).state.messages == 6

    async def test_a_revision_that_nobody_knows_holds_up_no_other_camera(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(specs_module, "PATIENCE", 0.1)
        await detect(bus, [seen(0, revision=999)])
        frames = visit(NEIGHBOUR)
        await detect(bus, frames)

        async with tracking(bus):
            await everything(bus, undisturbed(frames))


class TestSpecs:
    async def test_each_frame_is_counted_by_the_revision_that_it_names(self, bus: Bus) -> None:
        frames = visit()
        moved = spec(MIDDLE.model_copy(update={"revision": 2, "x1": 0.3, "x2": 0.3}), revision=2)
        later = [frame.model_copy(update={"spec_revision": 2 if frame.seq >= 45 else 1}) for frame in frames]
        await configure(bus, moved)
        assert undisturbed(later, spec(), moved) != undisturbed(frames)

        async with tracking(bus):
            await detect(bus, later)
            await everything(bus, undisturbed(later, spec(), moved))

    async def test_an_end_while_a_spec_is_waited_for_loses_no_frame(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some frames of a batch could be tracked, the next could not: all wait, and none is in a checkpoint."""
        frames = visit()
        late = spec(revision=2)
        later = [frame.model_copy(update={"spec_revision": 2 if frame.seq >= 16 else 1}) for frame in frames]
        asked: list[int] = []
        get = Specs.get

        async def get_and_tell(specs: Specs, camera: str, revision: int) -> CameraSpec:
            asked.append(revision)
            return await get(specs, camera, revision)

        monkeypatch.setattr(Specs, "get", get_and_tell)
        await detect(bus, later)
        async with tracking(bus):
            await eventually(lambda: is_(2 in asked))

        await configure(bus, late)
        async with tracking(bus, "second"):
            await everything(bus, undisturbed(later, spec(), late))


class TestCancelled:
    """The tracker is told to end at any await of its step: what it saves then, and what comes after, is the same."""

    @pytest.mark.parametrize("seed", range(3))
    async def test_wherever_it_is_cancelled_the_crossings_stand(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch, seed: int
    ) -> None:
        chance = random.Random(seed)
        monkeypatch.setattr(module, "BATCH", 4)
        monkeypatch.setattr(camera_module, "CHECKPOINT_EVERY", 0.0)
        frames = visit()
        await detect(bus, delivered_out_of_order(frames, chance))
        lives = 0
        while await end_of(bus) != undisturbed(frames)[-1]:
            task = asyncio.create_task(tracker(bus, f"life-{lives}").run())
            await asyncio.sleep(chance.uniform(0.0, 0.02) * (lives + 1))  # longer and longer: the last one gets there
            await cancel_and_wait(task)
            assert task.cancelled(), task.exception()
            lives += 1

        assert lives > 1
        assert await published(bus) == undisturbed(frames)


class TestWaiting:
    async def test_a_busy_neighbour_keeps_nobody_waiting(self, bus: Bus) -> None:
        """A gap is given up by the local clock although the partition never falls silent."""
        quiet = [seen(0), seen(2)]
        nobody = {"camera": NEIGHBOUR, "policy": Policy.LATEST, "boxes": (), "scores": ()}

        async def chatter() -> None:
            for seq in count():
                frame = seen(seq).model_copy(update=nobody)
                await bus.client.publish(detections("live", "shop", NEIGHBOUR), frame.encode())
                await asyncio.sleep(0.002)

        chatting = asyncio.create_task(chatter())
        async with tracking(bus) as work:
            await detect(bus, [frame.model_copy(update={"policy": Policy.LATEST}) for frame in quiet])
            await eventually(lambda: holding(work, "cam", 2), within=5)
            await eventually(lambda: holding(work, "cam", None), within=5)
            chatting.cancel()

    async def test_an_outage_of_the_broker_is_not_taken_for_silence(
        self, bus: Bus, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file's frame is held behind a gap when the broker dies; the detector answers after it is back."""
        monkeypatch.setitem(ordering.SILENCE, Policy.EVERY, 1.0)
        frames = visit()
        async with tracking(bus) as work:
            await detect(bus, [*frames[:20], *frames[21:30]])
            await eventually(lambda: holding(work, "cam", 21))
            nats_server.kill()
            await asyncio.sleep(1.3)
            nats_server.start()
            await detect(bus, [frames[20], *frames[30:]])
            await everything(bus, undisturbed(frames))

    async def test_a_camera_that_moves_to_another_store_is_counted_there(self, bus: Bus) -> None:
        frames = visit()
        await detect(bus, frames)
        moved = [frame.model_copy(update={"session": "second", "store": "mall"}) for frame in frames]
        async with tracking(bus):
            for frame in moved:
                await bus.publish(detections("live", "mall", "cam"), frame.encode())
            await everything(bus, undisturbed(frames) + undisturbed(moved))


async def holding(work: Partition, camera: str, seq: int | None) -> bool:
    """Tell whether the first frame that a camera's order holds back has this seq; None: whether it holds none."""
    first = work._cameras[camera].state._order._first()
    return (None if first is None else first.event.seq) == seq


async def is_(value: bool) -> bool:
    return value
