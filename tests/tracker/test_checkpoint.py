"""The rules of checkpoints: one owner, fenced by its successor, and no doubt about what was written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from nats.js.api import PubAck
from nats.js.kv import KeyValue

from contracts.checkpoints import checkpoint_key
from contracts.events import Crossing, Path
from contracts.identity import Direction
from contracts.streams import CHECKPOINTS
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.kit.tasks import cancel_and_wait
from services.tracker.checkpoint import CheckpointEntry, Fenced, load
from services.tracker.state import Checkpoint, OutboxEvent
from tests.support.broker import Write, connected, intercept

KEY = checkpoint_key("live", 9, "entrance")


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A bus with all streams and buckets."""
    async with connected(settings, everything=True) as bus:
        yield bus


@pytest.fixture
async def bucket(bus: Bus) -> KeyValue:
    """The bucket of checkpoints."""
    return await bus.bucket(CHECKPOINTS)


def checkpoint(low_water: int, owner: str = "first", camera: str = "entrance") -> Checkpoint:
    return Checkpoint(run="live", store="shop", camera=camera, owner=owner, low_water=low_water)


async def low_water(bucket: KeyValue) -> int:
    return Checkpoint.model_validate_json((await bucket.get(KEY)).value or b"").low_water


class TestFencing:
    async def test_an_owner_writes_again_and_again(self, bucket: KeyValue) -> None:
        entry = CheckpointEntry(bucket, KEY)
        for number in range(3):
            await entry.store(checkpoint(number))

        assert await low_water(bucket) == 2

    async def test_a_successor_fences_the_owner_for_good(self, bucket: KeyValue) -> None:
        first = CheckpointEntry(bucket, KEY)
        await first.store(checkpoint(1))
        second = CheckpointEntry(bucket, KEY, first.revision)
        await second.store(checkpoint(1, owner="second"))

        for number in (2, 3):
            with pytest.raises(Fenced, match=r"live\.9\.entrance was taken over by another tracker"):
                await first.store(checkpoint(number))
        await second.store(checkpoint(4, owner="second"))
        assert await low_water(bucket) == 4

    async def test_of_two_that_admit_a_camera_one_is_fenced(self, bucket: KeyValue) -> None:
        await CheckpointEntry(bucket, KEY).store(checkpoint(1))

        with pytest.raises(Fenced):
            await CheckpointEntry(bucket, KEY).store(checkpoint(1, owner="second"))

    async def test_an_entry_that_was_deleted_is_no_longer_ours(self, bucket: KeyValue) -> None:
        entry = CheckpointEntry(bucket, KEY)
        await entry.store(checkpoint(1))
        await bucket.delete(KEY)

        with pytest.raises(Fenced, match="was deleted"):
            await entry.store(checkpoint(2))

    async def test_a_deleted_entry_can_be_made_anew(self, bucket: KeyValue) -> None:
        await CheckpointEntry(bucket, KEY).store(checkpoint(1))
        await bucket.delete(KEY)

        await CheckpointEntry(bucket, KEY).store(checkpoint(7))
        assert await low_water(bucket) == 7


class TestDoubt:
    @pytest.mark.parametrize("nth", [1, 2], ids=["the first write", "a later write"])
    @pytest.mark.parametrize("stored", [True, False], ids=["it was stored", "it was not stored"])
    async def test_a_write_without_an_answer_is_settled(
        self, bus: Bus, bucket: KeyValue, nth: int, stored: bool
    ) -> None:
        async def once_silent(number: int, write: Write) -> PubAck:
            """The broker stores the nth message, or not, and dies before it can say so."""
            if number == nth and not stored:
                raise TimeoutError
            acknowledgement = await write()
            if number == nth:
                raise TimeoutError
            return acknowledgement

        intercept(bus, once_silent)
        entry = CheckpointEntry(bucket, KEY)

        for low in range(4):
            await entry.store(checkpoint(low))

        assert await low_water(bucket) == 3
        assert entry.revision == (await bucket.get(KEY)).revision

    @pytest.mark.parametrize("stored", [True, False], ids=["it was stored", "it was not stored"])
    async def test_a_write_that_was_cancelled_fences_nobody(self, bus: Bus, bucket: KeyValue, stored: bool) -> None:
        """A tracker that ends in the middle of a write saves once more."""
        reached = asyncio.Event()

        async def hang_once(number: int, write: Write) -> PubAck:
            if number == 2:
                if stored:
                    await write()
                reached.set()
                await asyncio.Event().wait()
            return await write()

        intercept(bus, hang_once)
        entry = CheckpointEntry(bucket, KEY)
        await entry.store(checkpoint(1))
        writing = asyncio.create_task(entry.store(checkpoint(2)))
        await reached.wait()
        await cancel_and_wait(writing)

        await entry.store(checkpoint(3))
        await entry.store(checkpoint(4))
        assert await low_water(bucket) == 4

    async def test_another_owners_write_after_it_does(self, bus: Bus, bucket: KeyValue) -> None:
        reached = asyncio.Event()

        async def hang_once(number: int, write: Write) -> PubAck:
            acknowledgement = await write()
            if number == 2:
                reached.set()
                await asyncio.Event().wait()
            return acknowledgement

        intercept(bus, hang_once)
        entry = CheckpointEntry(bucket, KEY)
        await entry.store(checkpoint(1))
        writing = asyncio.create_task(entry.store(checkpoint(2)))
        await reached.wait()
        await cancel_and_wait(writing)
        await CheckpointEntry(bucket, KEY, (await bucket.get(KEY)).revision).store(checkpoint(2, owner="second"))

        with pytest.raises(Fenced):
            await entry.store(checkpoint(3))


class TestLoading:
    async def test_a_partitions_cameras_are_found_and_no_others(self, bus: Bus, bucket: KeyValue) -> None:
        for partition, camera in [(9, "entrance"), (9, "exit"), (19, "other"), (1, "more")]:
            await CheckpointEntry(bucket, checkpoint_key("live", partition, camera)).store(
                checkpoint(partition, camera=camera)
            )
        await CheckpointEntry(bucket, checkpoint_key("replay", 9, "entrance")).store(checkpoint(99))

        found = await load(bus, bucket, "live", 9)

        assert {name: one.low_water for name, (one, _) in found.items()} == {"entrance": 9, "exit": 9}

    async def test_a_deleted_checkpoint_lets_the_camera_begin_anew(self, bus: Bus, bucket: KeyValue) -> None:
        await CheckpointEntry(bucket, KEY).store(checkpoint(1))
        await bucket.delete(KEY)

        assert await load(bus, bucket, "live", 9) == {}

    async def test_what_is_found_can_be_written_on(self, bus: Bus, bucket: KeyValue) -> None:
        await CheckpointEntry(bucket, KEY).store(checkpoint(1))
        [(found, revision)] = (await load(bus, bucket, "live", 9)).values()

        await CheckpointEntry(bucket, KEY, revision).store(found.model_copy(update={"low_water": 2}))
        assert await low_water(bucket) == 2


def test_a_checkpoint_survives_json_and_its_outbox_travels_as_it_is() -> None:
    crossing = Crossing(
        run="live",
        id=UUID(int=7),
        store="shop",
        camera="entrance",
        line="line",
        line_revision=1,
        direction=Direction.IN,
        session="s",
        seq=3,
        at=5,
        place=0.1,
        spec_revision=1,
    )
    outgoing = OutboxEvent.of(crossing)
    saved = checkpoint(4).model_copy(update={"outbox": (outgoing,)})

    assert Checkpoint.model_validate_json(saved.model_dump_json(exclude_defaults=True)) == saved
    assert outgoing.subject == "metrica.live.crossings.shop.entrance"
    assert outgoing.msg_id == f"live/{UUID(int=7)}"
    assert outgoing.payload.encode() == crossing.encode()


def test_paths_go_to_the_paths() -> None:
    path = Path(
        run="live",
        id=UUID(int=7),
        store="shop",
        camera="entrance",
        session="s",
        track=1,
        part=0,
        final=True,
        at=0,
        width=1,
        height=1,
        spec_revision=1,
        points=(),
    )

    assert OutboxEvent.of(path).subject == "metrica.live.paths.shop.entrance"
