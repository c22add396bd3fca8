"""The rules of the connection: it comes back for ever, and what was published once is stored once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from nats.errors import BadHeaderError, MaxPayloadError
from nats.js.api import KeyValueConfig, StreamConfig
from nats.js.errors import NotFoundError, ServerError

from contracts.streams import CROSSINGS, FRAMES, LEASES, Owner
from contracts.subjects import crossings, frames, kept
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus, StreamFull
from services.kit.nats.stream_config import to_config
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually, stored

SUBJECT = crossings("live", "shop", "door")


class TestConnecting:
    async def test_a_service_that_starts_before_the_server_waits_for_it(self, tmp_path: Path) -> None:
        server = NatsServer(tmp_path / "nats")
        bus = Bus(
            ServiceSettings(nats_url=server.url, nats_user="developer", nats_password=server.passwords["developer"]),
            "early",
            Owner.TRACKER,
        )
        starting = asyncio.create_task(bus.start())
        await asyncio.wait([starting], timeout=0.3)
        assert not starting.done()

        with server:
            await asyncio.wait_for(starting, 10)
            assert (await bus.js.stream_info("CROSSINGS")).state.messages == 0
            await bus.stop()

    async def test_it_says_whether_the_server_is_there(
        self, nats_server: NatsServer, settings: ServiceSettings
    ) -> None:
        async with connected(settings) as bus:
            assert bus.connected
            nats_server.kill()
            await eventually(lambda: is_(not bus.connected))
            nats_server.start()
            await eventually(lambda: is_(bus.connected))
            assert bus.generation == 1


class TestDeclaring:
    async def test_what_is_there_already_is_left_as_it_is(self, settings: ServiceSettings) -> None:
        async with connected(settings, Owner.TRACKER) as first:
            await first.publish(SUBJECT, b"kept")
            async with connected(settings, Owner.TRACKER):
                assert await stored(first, "CROSSINGS") == [b"kept"]

    async def test_limits_that_changed_with_a_release_are_updated(self, settings: ServiceSettings) -> None:
        async with connected(settings) as bus:
            await bus.js.add_stream(StreamConfig(name="CROSSINGS", subjects=list(CROSSINGS.subjects), max_age=60))
            await bus.js.create_key_value(KeyValueConfig(bucket=LEASES.name, ttl=300, history=3))
            await (await bus.js.key_value(LEASES.name)).put("kept", b"value")

            async with connected(settings, Owner.TRACKER):
                stream = (await bus.js.stream_info("CROSSINGS")).config
                assert (stream.max_age, stream.max_bytes) == (CROSSINGS.max_age, CROSSINGS.max_bytes)
                bucket = (await bus.js.stream_info("KV_leases")).config
                assert (bucket.max_age, bucket.max_msgs_per_subject) == (LEASES.ttl, 1)
                assert (await (await bus.js.key_value(LEASES.name)).get("kept")).value == b"value"

    async def test_a_stream_that_cannot_become_what_is_wanted_is_an_error(self, settings: ServiceSettings) -> None:
        async with connected(settings) as bus:
            await bus.js.add_stream(to_config(FRAMES).evolve(storage="file"))

            with pytest.raises(ServerError, match="storage type"):
                await Bus(settings, "owner", Owner.INGEST).start()

    async def test_a_memory_stream_is_made_again_after_the_server_was_killed(
        self, nats_server: NatsServer, settings: ServiceSettings
    ) -> None:
        async with connected(settings, Owner.INGEST) as bus:
            nats_server.kill()
            nats_server.start()
            await eventually(lambda: is_(bus.generation == 1))

            await eventually(lambda: bus.js.stream_info("FRAMES"))
            await bus.publish(frames("live", "motion", "shop", "door"), b"frame")

    async def test_others_wait_for_the_owner(self, settings: ServiceSettings) -> None:
        async with connected(settings) as other:
            waiting = asyncio.gather(other.wait_for(CROSSINGS), other.bucket(LEASES), other.publish(SUBJECT, b"early"))
            await asyncio.wait([waiting], timeout=0.1)
            assert not waiting.done()

            async with connected(settings, Owner.TRACKER):
                await asyncio.wait_for(waiting, 10)
                assert await stored(other, "CROSSINGS") == [b"early"]


async def test_a_cancellation_that_comes_with_the_servers_answer_is_not_lost(settings: ServiceSettings) -> None:
    """`asyncio.wait_for` of Python 3.11, with which nats-py waits, swallows it: the task would never end."""
    async with connected(settings, Owner.TRACKER) as bus:

        async def work() -> None:
            while True:
                await bus.publish(SUBJECT, b"")

        task = asyncio.create_task(work())
        while not bus.client._resp_map:  # noqa: ASYNC110  # nats-py announces none
            await asyncio.sleep(0)
        [answer] = bus.client._resp_map.values()
        answer.add_done_callback(lambda _: task.cancel())
        await asyncio.wait([task], timeout=5)

        assert task.cancelled()


class TestPublishing:
    async def test_each_message_is_stored_once_and_in_order_over_a_kill_of_the_server(
        self, nats_server: NatsServer, settings: ServiceSettings
    ) -> None:
        async with connected(settings, Owner.TRACKER) as bus:
            reached = asyncio.Event()

            async def publish() -> None:
                for number in range(200):
                    await bus.publish(SUBJECT, b"%d" % number, msg_id=f"live/{number}")
                    if number == 50:
                        reached.set()

            publishing = asyncio.create_task(publish())
            await reached.wait()
            nats_server.kill()
            nats_server.start()
            await asyncio.wait_for(publishing, 20)

            assert await stored(bus, "CROSSINGS") == [b"%d" % number for number in range(200)]

    async def test_the_same_id_is_stored_once(self, settings: ServiceSettings) -> None:
        async with connected(settings, Owner.TRACKER) as bus:
            first = await bus.publish(SUBJECT, b"one", msg_id="live/1")
            again = await bus.publish(SUBJECT, b"one", msg_id="live/1")

            assert (first.duplicate, again.duplicate) == (None, True)
            assert await stored(bus, "CROSSINGS") == [b"one"]

    async def test_a_full_subject_says_so_and_holds_up_no_other(self, settings: ServiceSettings) -> None:
        async with connected(settings, Owner.INGEST) as bus:
            one, other = kept("live", "motion", "shop", "one"), kept("live", "motion", "shop", "other")
            for number in range(64):
                await bus.publish(one, b"frame", msg_id=f"live/{number}")

            with pytest.raises(StreamFull, match=one):
                await bus.publish(one, b"frame", msg_id="live/64")
            assert bus.problem is None, "whoever reads is slow, the disk is not full"
            await bus.publish(other, b"frame")

    async def test_what_was_refused_for_want_of_room_is_taken_later(self, settings: ServiceSettings) -> None:
        """The refused message's id must not count as seen."""
        async with connected(settings, Owner.INGEST) as bus:
            subject = kept("live", "motion", "shop", "one")
            for number in range(64):
                await bus.publish(subject, b"frame", msg_id=f"live/{number}")
            with pytest.raises(StreamFull):
                await bus.publish(subject, b"late", msg_id="live/64")
            await bus.js.delete_msg("KEPT", 1)

            assert (await bus.publish(subject, b"late", msg_id="live/64")).duplicate is None

    @pytest.mark.parametrize("where", ["payload", "headers"])
    async def test_a_message_larger_than_the_server_takes_is_an_error_not_a_wait(
        self, settings: ServiceSettings, where: str
    ) -> None:
        async with connected(settings, Owner.TRACKER) as bus:
            most = bus.client.max_payload
            payload, headers = (bytes(most + 1), {}) if where == "payload" else (bytes(most), {"Metrica-Run": "live"})

            with pytest.raises(MaxPayloadError):
                await asyncio.wait_for(bus.publish(SUBJECT, payload, headers=headers), 5)
            assert bus.generation == 0, "the server hung up"

    async def test_headers_that_cannot_be_sent_are_an_error_not_a_wait(self, settings: ServiceSettings) -> None:
        async with connected(settings, Owner.TRACKER) as bus:
            with pytest.raises(BadHeaderError):
                await asyncio.wait_for(bus.publish(SUBJECT, b"", headers={"no name": "x"}), 5)

    async def test_an_owner_makes_a_stream_again_that_somebody_deleted(self, settings: ServiceSettings) -> None:
        async with connected(settings, Owner.TRACKER) as bus:
            await bus.js.delete_stream("CROSSINGS")
            with pytest.raises(NotFoundError):
                await bus.js.stream_info("CROSSINGS")

            await asyncio.wait_for(bus.publish(SUBJECT, b"one"), 10)

            assert await stored(bus, "CROSSINGS") == [b"one"]


async def is_(value: bool) -> bool:
    return value
