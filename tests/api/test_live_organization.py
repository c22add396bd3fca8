"""An organization's stream: all of its stores that the caller may see, as of now, and what changes in any of them."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest

from contracts import subjects
from contracts.events import State, Status
from contracts.identity import LIVE
from tests.api.seeded import Seed
from tests.api.served import Follower, Served, boxes
from tests.persistence.builders import crossing

pytestmark = pytest.mark.usefixtures("tunis_seed")

EVENTS = "/v1/organizations/acme/events"


def listen(served: Served, seed: Seed, **headers: str) -> AbstractAsyncContextManager[Follower]:
    return served.listen(EVENTS, {**seed.headers("viewer@acme"), **headers})


async def begin(stream: Follower, *stores: str) -> dict[str, int]:
    """Read what a stream begins with: the versions of its stores."""
    assert (await stream.next()).data["stores"] == sorted(stores)
    first = [await stream.next() for _ in stores]
    assert {one.kind for one in first} <= {"snapshot"}
    versions = {one.data["store"]["id"]: one.data["store"]["counts"]["revision"] for one in first}
    assert set(versions) == set(stores)
    return versions


async def count(served: Served, store: str, *seqs: int) -> None:
    """Commit crossings in a store, announcing nothing."""
    await served.count(*[crossing(seq, at=served.clock(), store=store, camera=f"{store}-door") for seq in seqs])


async def test_a_stream_begins_with_a_snapshot_of_every_store(guarded: Served, seed: Seed) -> None:
    await count(guarded, "tunis", 1, 2)
    async with listen(guarded, seed) as stream:
        listed = await stream.next()
        shops = [await stream.next() for _ in range(2)]

    assert (listed.kind, listed.data["organization"]) == ("stores", "acme")
    assert listed.data["stores"] == ["shop", "tunis"]  # and not the other organization's `mall`
    assert [(one.kind, one.data["store"]["name"]) for one in shops] == [("snapshot", "Shop"), ("snapshot", "Tunis")]
    assert [one.data["store"]["counts"]["in"] for one in shops] == [0, 2]
    assert shops[1].data["store"]["cameras"][0]["id"] == "souk"


async def test_a_commit_in_any_store_is_pushed_and_says_whose_it_is(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        for store in ("tunis", "shop"):
            await count(guarded, store, 1)
            await guarded.announce(store)
            told = await stream.next("counts")
            assert (told.data["store"], told.data["in"], told.id) == (store, 1, "1")


async def test_what_another_organization_counts_is_not_heard(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        for store in ("mall", "shop"):
            await count(guarded, store, 1)
            await guarded.announce(store)

        assert (await stream.next()).data["store"] == "shop"


async def test_a_notice_that_was_lost_is_mended_whosever_it_was(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        for store in ("shop", "tunis"):
            await count(guarded, store, 1, 2, 3)  # and nobody says so

            told = await stream.next("counts")
            assert (told.data["store"], told.data["in"]) == (store, 3)


async def test_a_stale_notice_of_one_store_is_not_shown_though_anothers_version_is_lower(
    guarded: Served, seed: Seed
) -> None:
    await count(guarded, "shop", 1)
    old = await guarded.announce("shop")
    await count(guarded, "shop", 2)
    async with listen(guarded, seed) as stream:
        assert await begin(stream, "shop", "tunis") == {"shop": 2, "tunis": 0}
        await guarded.bus.client.publish(subjects.counts(LIVE, "shop"), old.encode())
        await count(guarded, "tunis", 1)
        await guarded.announce("tunis")

        told = await stream.next("counts")

    assert (told.data["store"], told.id) == ("tunis", "1")


async def test_who_comes_back_gets_snapshots_of_all_that_was_missed(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        await count(guarded, "shop", 1)
        seen = (await stream.next("counts")).id
    await count(guarded, "shop", 2)
    await count(guarded, "tunis", 1)
    assert seen == "1"

    async with listen(guarded, seed, **{"Last-Event-ID": seen}) as stream:
        assert await begin(stream, "shop", "tunis") == {"shop": 2, "tunis": 1}


async def test_statuses_of_all_cameras_are_pushed_and_no_boxes(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        await guarded.show(boxes())
        for store, camera in (("shop", "door"), ("tunis", "souk")):
            said = Status(run=LIVE, store=store, camera=camera, service="ingest", state=State.RUNNING, message="", at=1)
            await guarded.say(said)

            told = await stream.next()
            assert (told.kind, told.data["store"], told.data["camera"]) == ("status", store, camera)


async def test_crossings_in_its_stores_are_pushed_and_none_of_others(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        for store, camera in (("rival", "rival-door"), ("tunis", "souk")):
            event = crossing(1, store=store, camera=camera)
            await guarded.bus.client.publish(subjects.crossings(LIVE, store, camera), event.encode())
        told = await stream.next()

    assert (told.kind, told.data["store"], told.data["camera"]) == ("crossing", "tunis", "souk")


async def test_midnight_in_one_store_is_a_snapshot_of_that_one(guarded: Served, seed: Seed) -> None:
    await guarded.pool.execute("UPDATE store SET time_zone = 'Asia/Tokyo' WHERE id = 'tunis'")
    guarded.clock.now = datetime(2026, 11, 23, 14, 59, 59, tzinfo=UTC)  # 23:59:59 there, 15:59:59 in Paris
    headers = {"Authorization": f"Bearer {seed.token('viewer@acme', at=guarded.clock())}"}
    async with guarded.listen(EVENTS, headers) as stream:
        await begin(stream, "shop", "tunis")
        guarded.clock.now += timedelta(seconds=1)
        night = await stream.next()

    assert (night.kind, night.data["store"]["id"]) == ("snapshot", "tunis")
    assert night.data["store"]["counts"]["day"] == "2026-11-24"


async def test_a_store_that_is_added_appears_by_itself(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        await guarded.pool.execute(
            "INSERT INTO store (id, organization, name, time_zone) VALUES ('lyon', 'acme', 'Lyon', 'Europe/Paris')"
        )
        listed, shown = await stream.next(), await stream.next()
        await count(guarded, "lyon", 1)
        await guarded.announce("lyon")
        told = await stream.next("counts")

    assert (listed.kind, listed.data["stores"]) == ("stores", ["lyon", "shop", "tunis"])
    assert (shown.kind, shown.data["store"]["id"]) == ("snapshot", "lyon")
    assert (told.data["store"], told.data["in"]) == ("lyon", 1)


async def test_a_store_that_goes_to_another_organization_is_heard_no_longer(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        await guarded.pool.execute("UPDATE store SET organization = 'other' WHERE id = 'tunis'")
        listed = await stream.next("stores")  # until it is noticed the store may be told of
        for store in ("tunis", "shop"):
            await count(guarded, store, 1)
            await guarded.announce(store)
        told = await stream.next("counts")

    assert listed.data["stores"] == ["shop"]
    assert told.data["store"] == "shop"


async def test_a_key_that_is_bound_to_a_store_follows_that_one_alone(guarded: Served, seed: Seed) -> None:
    await guarded.pool.execute("UPDATE api_key SET store = 'tunis' WHERE name = 'acme-reader'")
    headers = {"Authorization": f"Bearer {seed.keys['acme-reader']}"}

    async with guarded.listen(EVENTS, headers) as stream:
        await begin(stream, "tunis")


async def test_an_organization_without_a_store_is_followed_until_it_has_one(guarded: Served, seed: Seed) -> None:
    await guarded.pool.execute("INSERT INTO organization (id, name, demo) VALUES ('new', 'New', false)")
    headers = seed.headers("root@metrica")
    async with guarded.listen("/v1/organizations/new/events", headers) as stream:
        assert (await stream.next()).data["stores"] == []
        await guarded.pool.execute(
            "INSERT INTO store (id, organization, name, time_zone) VALUES ('first', 'new', 'First', 'UTC')"
        )

        await begin(stream, "first")


async def test_an_organization_of_others_has_no_stream(guarded: Served, seed: Seed) -> None:
    answer = await guarded.client.get(EVENTS, headers=seed.headers("admin@other"))

    assert answer.status_code == 404
    assert not guarded.parts.hub.rooms


async def test_a_browser_that_goes_is_forgotten_in_all_stores(guarded: Served, seed: Seed) -> None:
    async with listen(guarded, seed) as stream:
        await begin(stream, "shop", "tunis")
        assert set(guarded.parts.hub.rooms) == {"shop", "tunis"}
    async with asyncio.timeout(5):
        while guarded.parts.hub.rooms:
            await guarded.client.get("/livez")
