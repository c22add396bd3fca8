"""What a slow browser is spared, and what it is not."""

from __future__ import annotations

import asyncio

import pytest

from services.api.live.hub import EVERY, Hub, TooManyStreams
from services.api.live.mailbox import Mailbox, Message
from services.api.live.pace import Pace


def message(key: str, body: str) -> Message:
    return Message((key,), body.encode())


async def test_a_slow_reader_gets_the_newest_of_each_kind() -> None:
    mailbox = Mailbox()
    for n in range(1000):
        mailbox.put(message("counts", f"counts {n}"))
        mailbox.put(message("door", f"boxes {n}"))

    assert len(mailbox) == 2
    assert [(await mailbox.take()).body for _ in range(2)] == [b"counts 999", b"boxes 999"]


async def test_reading_waits_for_a_message() -> None:
    mailbox = Mailbox()
    reading = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)

    mailbox.put(message("counts", "one"))

    assert (await reading).body == b"one"


async def test_one_slow_listener_holds_up_no_other() -> None:
    hub = Hub(max_streams=10)
    slow, quick = hub.join("one", ["shop"]), hub.join("other", ["shop"])
    for n in range(3):
        hub.broadcast("shop", message("counts", str(n)))
        assert (await quick.mailbox.take()).body == str(n).encode()

    assert len(slow.mailbox) == 1


def test_a_message_reaches_its_store_only() -> None:
    hub = Hub(max_streams=10)
    here, there = hub.join("here", ["here"]), hub.join("there", ["there"])

    hub.broadcast("here", message("counts", "1"))

    assert (len(here.mailbox), len(there.mailbox)) == (1, 0)


def test_beyond_the_limit_a_stream_is_refused_until_another_ends() -> None:
    hub = Hub(max_streams=1)
    first = hub.join("shop", ["shop"])

    with pytest.raises(TooManyStreams, match="1 dashboards are open"):
        hub.join("shop", ["shop"])
    hub.leave(first)
    hub.leave(first)  # a second time does nothing

    assert hub.join("shop", ["shop"]) is not first
    assert list(hub.rooms) == ["shop"]


def test_a_store_that_nobody_watches_costs_nothing() -> None:
    hub = Hub(max_streams=1)
    hub.leave(hub.join("shop", ["shop"], ("shop", EVERY)))

    assert not hub.rooms
    assert not hub.is_viewed("shop", "door")


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        pytest.param(0.1, 100, id="a camera just at the limit loses nothing"),
        pytest.param(1 / 30, 101, id="one of 30 fps is thinned to the limit"),
        pytest.param(0.5, 20, id="a slow one is shown whole"),
    ],
)
def test_boxes_are_shown_ten_times_a_second_at_most(interval: float, shown: int) -> None:
    pace = Pace(10)
    jitter = [0.0, 0.02, -0.02]
    times = [n * interval + jitter[n % 3] for n in range(round(10 / interval))]

    assert sum(pace.allows("door", at) for at in times) == pytest.approx(shown, abs=2)
