"""A listener who may listen no longer hears no more, whatever they listen to."""

from __future__ import annotations

import pytest

from tests.api.seeded import Seed
from tests.api.served import Served

STREAMS = ["/v1/stores/shop/events", "/v1/organizations/acme/events", "/v1/cameras/door/tracks"]


@pytest.mark.parametrize("path", STREAMS)
async def test_a_sign_out_ends_a_stream(guarded: Served, seed: Seed, path: str) -> None:
    headers = seed.headers("viewer@acme")
    async with guarded.listen(path, headers) as stream:
        await stream.next("heartbeat")
        assert (await guarded.client.post("/v1/auth/sign-out", headers=headers)).status_code == 204

        await stream.end()


@pytest.mark.parametrize("path", STREAMS)
async def test_a_role_that_is_taken_away_ends_a_stream(guarded: Served, seed: Seed, path: str) -> None:
    async with guarded.listen(path, seed.headers("viewer@acme")) as stream:
        await stream.next("heartbeat")
        await guarded.pool.execute("DELETE FROM membership")

        await stream.end()

    answer = await guarded.client.get(path, headers=seed.headers("viewer@acme"))
    assert answer.status_code == 404


@pytest.mark.parametrize("path", STREAMS)
async def test_a_key_that_is_revoked_ends_a_stream(guarded: Served, seed: Seed, path: str) -> None:
    async with guarded.listen(path, {"Authorization": f"Bearer {seed.keys['acme-reader']}"}) as stream:
        await stream.next("heartbeat")
        await guarded.pool.execute("UPDATE api_key SET revoked_at = now()")

        await stream.end()


@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_goes_on_for_who_may_still_listen(guarded: Served, seed: Seed, path: str) -> None:
    async with guarded.listen(path, seed.headers("viewer@acme")) as stream:
        await guarded.pool.execute("UPDATE membership SET role = 'admin'")
        for _ in range(5):  # several times as long as it takes to ask again
            await stream.next("heartbeat")
