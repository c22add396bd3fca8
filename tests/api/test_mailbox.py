"""A slow browser is spared superseded messages, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.api.http.problems import NotFound
from services.api.live.hub import EVERY, Hub
from services.api.live.mailbox import Mailbox, Message
from services.api.live.stream import RightsCheck, events
from services.api.live.throttle import Throttle


def message(key: str, body: str) -> Message:
    return Message((key,), body.encode())


def totals(revision: int, store: str = "shop") -> Message:
    return Message(("counts", store), f"{store} {revision}".encode(), store, revision)


def snapshot(revision: int) -> Message:
    return Message(("snapshot", "shop"), f"snapshot {revision}".encode(), "shop", revision, resets=True)


async def sent(mailbox: Mailbox) -> AsyncIterator[bytes]:
    """The messages that are sent while some are unread; then the reader may read no longer."""

    async def look() -> None:
        if not len(mailbox):
            raise NotFound("gone")

    async for body in events(mailbox, RightsCheck(look, seconds=0)):
        yield body


async def test_a_slow_reader_gets_the_newest_of_each_kind() -> None:
    mailbox = Mailbox()
    for n in range(1000):
        mailbox.put(message("counts", f"counts {n}"))
        mailbox.put(message("door", f"boxes {n}"))

    assert len(mailbox) == 2
    assert [(await mailbox.take()).body for _ in range(2)] == [b"counts 999", b"boxes 999"]


async def test_a_slow_reader_gets_the_newest_of_each_store() -> None:
    mailbox = Mailbox()
    for n in range(1000):
        for store in ("shop", "mall"):
            mailbox.put(totals(n, store))

    assert [(await mailbox.take()).body for _ in range(len(mailbox))] == [b"shop 999", b"mall 999"]


async def test_totals_never_go_back_behind_a_snapshot_that_was_not_read_yet() -> None:
    mailbox = Mailbox()
    for one in (totals(1), totals(1, "mall"), snapshot(2), totals(3)):
        mailbox.put(one)

    assert [body async for body in sent(mailbox)] == [b"retry: 1000\nmall 1", b"snapshot 2", b"shop 3"]


async def test_what_a_snapshot_held_is_not_sent_after_it() -> None:
    mailbox = Mailbox()
    for one in (snapshot(2), totals(1), totals(1, "mall")):
        mailbox.put(one)

    assert [body async for body in sent(mailbox)] == [b"retry: 1000\nsnapshot 2", b"mall 1"]


async def test_a_reader_that_is_always_behind_is_asked_too_whether_it_may_read() -> None:
    mailbox, asked = Mailbox(), 0

    async def look() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise NotFound("gone")

    mailbox.put(totals(0))
    read = 0
    async for _ in events(mailbox, RightsCheck(look, seconds=0)):
        read += 1
        mailbox.put(totals(read))

    assert read == 2


async def test_while_the_database_is_away_who_reads_goes_on() -> None:
    async def look() -> None:
        raise ConnectionRefusedError

    assert await RightsCheck(look, seconds=0).allows()


async def test_reading_waits_for_a_message() -> None:
    mailbox = Mailbox()
    reading = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)

    mailbox.put(message("counts", "one"))

    assert (await reading).body == b"one"


async def test_one_slow_listener_holds_up_no_other() -> None:
    hub = Hub()
    slow, quick = hub.join("one", ["shop"]), hub.join("other", ["shop"])
    for n in range(3):
        hub.broadcast("shop", message("counts", str(n)))
        assert (await quick.mailbox.take()).body == str(n).encode()

    assert len(slow.mailbox) == 1


def test_a_message_reaches_its_store_only() -> None:
    hub = Hub()
    here, there = hub.join("here", ["here"]), hub.join("there", ["there"])

    hub.broadcast("here", message("counts", "1"))

    assert (len(here.mailbox), len(there.mailbox)) == (1, 0)


def test_boxes_reach_who_looks_at_their_camera_or_at_all_of_their_store() -> None:
    hub = Hub()
    all_of_it, door = hub.join("shop", ["shop"], ("shop", EVERY)), hub.join("door", view=("shop", "door"))
    totals_only = hub.join("acme", ["shop"])

    hub.show("shop", "door", message("door", "1"))
    hub.show("shop", "exit", message("exit", "1"))
    hub.show("mall", "door", message("door", "2"))

    assert [len(one.mailbox) for one in (all_of_it, door, totals_only)] == [2, 1, 0]
    assert hub.is_viewed("shop", "exit")
    assert not hub.is_viewed("mall", "door")


def test_a_listener_that_left_twice_is_gone_once() -> None:
    hub = Hub()
    first = hub.join("shop", ["shop"])
    hub.leave(first)
    hub.leave(first)  # a second time does nothing

    assert hub.join("shop", ["shop"]) is not first
    assert list(hub.rooms) == ["shop"]


def test_a_store_that_nobody_watches_costs_nothing() -> None:
    hub = Hub()
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
    pace = Throttle(10)
    jitter = [0.0, 0.02, -0.02]
    times = [n * interval + jitter[n % 3] for n in range(round(10 / interval))]

    assert sum(pace.allows("door", at) for at in times) == pytest.approx(shown, abs=2)
