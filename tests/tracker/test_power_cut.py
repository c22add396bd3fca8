"""A power cut takes the last detections, and their numbers go to others: the tracker passes over none of those."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.checkpoints import Taken, checkpoint_key
from contracts.events import CROSSING_EVENT, Detections, SessionEnd
from contracts.identity import Policy
from contracts.streams import CHECKPOINTS, CROSSINGS, DETECTIONS
from contracts.subjects import Kind, parse
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.stream_position import MOST, StreamPosition, newest_valid, remember
from services.kit.settings import ServiceSettings
from services.tracker.checkpoint import rewind_if_restored
from services.tracker.state import Checkpoint
from tests.support.broker import connected, eventually, stored
from tests.support.power_cut import keep_stream, put_back
from tests.tracker.scenes import spec
from tests.tracker.test_partition import NUMBER, configure, detect, read_up_to, tracking, undisturbed, visit

SYNCED, TAKEN = 30, 60
"""Frames whose detections were on the disk, and frames that the checkpoint knows."""


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A bus with all streams and buckets, and the spec of the camera."""
    async with connected(settings, everything=True) as bus:
        await configure(bus, spec())
        yield bus


async def cut_power(bus: Bus, server: NatsServer, frames: Sequence[Detections], copy: Path) -> None:
    """Track some frames in order, then lose the last detections with the power; the checkpoint was synced."""
    await detect(bus, frames[:SYNCED])
    server.kill()
    keep_stream(server, DETECTIONS.name, copy)
    server.start()
    async with tracking(bus, "before") as work:
        await detect(bus, frames[SYNCED:TAKEN])
        await eventually(lambda: read_up_to(work, bus))
    server.kill()
    put_back(server, DETECTIONS.name, copy)
    server.start()
    await eventually(lambda: last_is(bus, SYNCED))


async def last_is(bus: Bus, number: int) -> bool:
    return (await bus.js.stream_info(DETECTIONS.name)).state.last_seq == number


async def saved(bus: Bus) -> Checkpoint:
    entry = await (await bus.bucket(CHECKPOINTS)).get(checkpoint_key("live", NUMBER, "cam"))
    return Checkpoint.model_validate_json(entry.value or b"")


async def ended(bus: Bus, session: str) -> list[bytes]:
    """The published events of a session that has ended."""
    events = [(CROSSING_EVENT.validate_json(one), one) for one in await stored(bus, CROSSINGS.name, Kind.CROSSINGS)]
    of_it = [(event, one) for event, one in events if event.session == session]
    return [one for _, one in of_it] if any(isinstance(event, SessionEnd) for event, _ in of_it) else []


async def test_new_messages_with_the_numbers_of_lost_ones_are_tracked(
    bus: Bus, nats_server: NatsServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tracker comes late: the stream has grown beyond where the checkpoint was."""
    frames = visit()
    await cut_power(bus, nats_server, frames, tmp_path / "copy")
    lost = await saved(bus)
    await detect(bus, frames[TAKEN:])
    assert SYNCED < lost.low_water < (await bus.js.stream_info(DETECTIONS.name)).state.last_seq

    async with tracking(bus, "after"):
        assert await eventually(lambda: ended(bus, frames[0].session), within=60) == undisturbed(frames)
    assert "detections were lost, as in a power cut" in "".join(capfd.readouterr())


async def test_so_are_those_of_a_new_session(bus: Bus, nats_server: NatsServer, tmp_path: Path) -> None:
    frames = visit()
    await cut_power(bus, nats_server, frames, tmp_path / "copy")
    again = [frame.model_copy(update={"session": "after-the-cut", "policy": Policy.LATEST}) for frame in frames]
    await detect(bus, again)

    async with tracking(bus, "after"):
        assert await eventually(lambda: ended(bus, "after-the-cut"), within=60) == undisturbed(again)


async def test_a_tracker_that_outlives_the_broker_reads_on_from_before_the_cut(
    bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    frames = visit()
    await detect(bus, frames[:SYNCED])
    nats_server.kill()
    keep_stream(nats_server, DETECTIONS.name, tmp_path / "copy")
    nats_server.start()
    async with tracking(bus) as work:
        await detect(bus, frames[SYNCED:TAKEN])
        await eventually(lambda: read_up_to(work, bus))
        nats_server.kill()
        put_back(nats_server, DETECTIONS.name, tmp_path / "copy")
        nats_server.start()
        await detect(bus, frames[TAKEN:])
        assert await eventually(lambda: ended(bus, frames[0].session), within=60) == undisturbed(frames)


async def test_a_checkpoint_of_an_earlier_version_is_read_on_from_where_it_says(bus: Bus) -> None:
    frames = visit()
    async with tracking(bus, "before") as work:
        await detect(bus, frames[:TAKEN])
        await eventually(lambda: read_up_to(work, bus))
    old = (await saved(bus)).model_copy(update={"places": ()})
    assert b"places" not in old.model_dump_json(exclude_defaults=True).encode()

    assert await rewind_if_restored(bus, DETECTIONS.name, old) == old
    beyond = old.model_copy(update={"low_water": 1000})
    assert (await rewind_if_restored(bus, DETECTIONS.name, beyond)).low_water == 0


async def test_crossings_stay_in_the_outbox_until_they_are_synced(bus: Bus) -> None:
    """A later checkpoint may be on the disk where they are not: they are published again from it."""
    frames = visit()
    async with tracking(bus, "before"):
        await detect(bus, frames)
        await eventually(lambda: ended(bus, frames[0].session), within=60)
    await bus.js.purge_stream(CROSSINGS.name)
    checkpoint = await saved(bus)

    kept = [(parse(event.subject).kind, event.payload.encode()) for event in checkpoint.outbox if event.counts]
    assert [payload for kind, payload in kept if kind is Kind.CROSSINGS] == undisturbed(frames)
    assert Kind.COVERAGE in {kind for kind, _ in kept}


async def test_others_can_tell_from_a_checkpoint_what_was_taken(bus: Bus) -> None:
    frames = visit()
    async with tracking(bus, "before") as work:
        await detect(bus, frames[:TAKEN])
        await eventually(lambda: read_up_to(work, bus))
    taken = Taken.model_validate_json((await saved(bus)).model_dump_json(exclude_defaults=True))

    assert taken.first_missing(frames[0].session) == TAKEN
    assert taken.first_missing("another") == 0


class TestPlaces:
    async def test_the_newest_valid_is_found(self, bus: Bus) -> None:
        frames = visit()
        await detect(bus, frames[:10])
        times = [(await bus.js.get_msg(DETECTIONS.name, seq)).time for seq in (4, 8)]
        four, eight = (
            StreamPosition(seq=seq, at=round(at.timestamp() * 1e9)) for seq, at in zip((4, 8), times, strict=True) if at
        )
        other = eight.model_copy(update={"at": eight.at + 10**9})

        async def newest(*places: StreamPosition) -> StreamPosition | None:
            return await newest_valid(bus, DETECTIONS.name, places)

        assert await newest(eight, four) == eight
        assert await newest(other, four) == four
        assert await newest(StreamPosition(seq=11, at=1), other, four) == four
        assert await newest(other) is None

    async def test_a_message_that_was_deleted_has_no_successor_in_its_place(self, bus: Bus) -> None:
        await detect(bus, visit()[:10])
        await bus.js.delete_msg(DETECTIONS.name, 8)

        assert await newest_valid(bus, DETECTIONS.name, (StreamPosition(seq=8, at=1),)) == StreamPosition(seq=8, at=1)

    def test_some_of_any_distance_are_remembered(self) -> None:
        places: tuple[StreamPosition, ...] = ()
        for seq in range(1, 100_000, 7):
            places = remember(places, StreamPosition(seq=seq, at=seq))

        distances = [places[0].seq - place.seq for place in places]
        assert len(distances) <= MOST
        assert distances == sorted(distances)
        assert distances[-1] > 16_000
        assert all(later <= 8 * max(earlier, 7) for earlier, later in pairwise(distances))
