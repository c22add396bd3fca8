"""The rules of recording: off unless switched on, and what cannot be stored holds nobody up."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contracts.frames import FrameHeader
from contracts.identity import LIVE, Policy
from contracts.spec import CameraSpec
from contracts.streams import FRAMES, KEPT, RECORDED, Owner
from services.ingest import recording
from services.ingest.publishing import Publisher
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, stored

OFF = CameraSpec(store="shop", camera="door", model="motion")
ON = OFF.model_copy(update={"record": True})


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of the frames."""
    async with connected(settings, Owner.INGEST) as bus:
        yield bus


def header(seq: int, policy: Policy) -> FrameHeader:
    return FrameHeader(
        run=LIVE, store="shop", camera="door", session="s", seq=seq, captured_at=seq, width=64, height=48,
        spec_revision=1, policy=policy,
    )  # fmt: skip


def test_no_camera_is_recorded_unless_it_is_said() -> None:
    assert not CameraSpec(store="shop", camera="door").record


@pytest.mark.parametrize("policy", Policy)
async def test_frames_are_recorded_as_they_were_published_while_it_is_on(bus: Bus, policy: Policy) -> None:
    publisher = Publisher(bus, "door")
    for seq, spec in enumerate((OFF, ON, ON, OFF)):
        publish = publisher.keep if policy is Policy.EVERY else publisher.offer
        await publish(header(seq, policy), b"%d" % seq, spec)
    await publisher.close()

    assert await stored(bus, RECORDED.name) == [b"1", b"2"]
    first = await bus.js.get_msg(RECORDED.name, 1)
    assert FrameHeader.from_headers(first.headers) == header(1, policy)
    assert first.subject == "metrica.live.recorded.shop.door"


@pytest.mark.parametrize("policy", Policy)
async def test_a_recording_that_is_refused_holds_nobody_up(bus: Bus, policy: Policy) -> None:
    publisher = Publisher(bus, "door")
    await bus.remove(RECORDED)
    for seq in range(3 * recording.AHEAD):
        publish = publisher.keep if policy is Policy.EVERY else publisher.offer
        await publish(header(seq, policy), b"%d" % seq, ON)
    await publisher.close()

    assert publisher.frames == 3 * recording.AHEAD
    assert (await bus.js.stream_info((KEPT if policy is Policy.EVERY else FRAMES).name)).state.messages
