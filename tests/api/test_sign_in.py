"""Built-in accounts: in, staying in, out; browsers and programs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

import httpx
import jwt
import pytest

from services.api.auth.first_admin import ensure_first_admin, set_password
from services.api.auth.limits.attempts import PER_ACCOUNT, PER_ADDRESS, WINDOW
from services.api.auth.service import GRACE, REFRESH_LIFE
from services.api.auth.tokens.access_tokens import LEEWAY, LIFE
from services.kit.settings import ServiceSettings
from tests.api.seeded import PASSWORD, ROOT, Seed
from tests.api.served import BROWSER, FakeClock, Served, replica
from tests.api.test_tokens import AUDIENCE, ISSUER, PUBLIC, token
from tests.support.key_server import KeyServer

HERE = {"Sec-Fetch-Site": "same-origin"}
ELSEWHERE = {"Sec-Fetch-Site": "cross-site"}
ME = "/v1/auth/me"


async def sign_in(client: httpx.AsyncClient, **said: object) -> httpx.Response:
    wanted = {"email": "viewer@acme", "password": PASSWORD, **said}
    return await client.post("/v1/auth/sign-in", json=wanted, headers=HERE)


async def tokens(client: httpx.AsyncClient, **said: object) -> dict[str, Any]:
    answer = await sign_in(client, keep="token", **said)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": token})


async def knows(client: httpx.AsyncClient, access: str) -> bool:
    answer = await client.get(ME, headers={"Authorization": f"Bearer {access}"})
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def test_who_signs_in_is_known_with_their_roles(client: httpx.AsyncClient) -> None:
    access = (await tokens(client, email="Viewer@ACME"))["access_token"]

    me = (await client.get(ME, headers={"Authorization": f"Bearer {access}"})).json()

    assert (me["name"], me["roles"], me["superadmin"]) == ("viewer@acme", {"acme": "viewer"}, False)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"password": "wrong"}, id="a wrong password"),
        pytest.param({"email": "nobody@acme"}, id="no such account"),
        pytest.param({"password": ""}, id="no password"),
        pytest.param({"email": "viewer@acme'OR'1'='1"}, id="a clever address"),
    ],
)
async def test_nobody_learns_whether_the_address_or_the_password_is_wrong(
    client: httpx.AsyncClient, said: dict[str, str]
) -> None:
    answer = await sign_in(client, **said)

    assert answer.status_code == 401
    assert answer.json()["detail"] == "The e-mail address or the password is wrong."
    assert "set-cookie" not in answer.headers


async def test_a_disabled_account_neither_signs_in_nor_goes_on(client: httpx.AsyncClient, guarded: Served) -> None:
    held = await tokens(client)
    await guarded.pool.execute("UPDATE account SET disabled = true WHERE email = 'viewer@acme'")

    assert (await sign_in(client)).status_code == 401
    assert not await knows(client, held["access_token"])
    assert (await refresh(client, held["refresh_token"])).status_code == 401


async def test_who_has_no_password_here_does_not_sign_in_with_any(client: httpx.AsyncClient, guarded: Served) -> None:
    await guarded.pool.execute("UPDATE account SET password_hash = NULL")

    assert (await sign_in(client, password="")).status_code == 401


async def test_an_access_token_is_good_for_ten_minutes(client: httpx.AsyncClient, clock: FakeClock) -> None:
    held = await tokens(client)
    assert held["expires_in"] == 600

    clock.now += LIFE + LEEWAY - timedelta(seconds=1)
    assert await knows(client, held["access_token"])
    clock.now += timedelta(seconds=1)
    assert not await knows(client, held["access_token"])


async def test_a_right_that_is_taken_away_is_gone_at_once(client: httpx.AsyncClient, guarded: Served) -> None:
    headers = {"Authorization": f"Bearer {(await tokens(client))['access_token']}"}
    assert (await client.get("/v1/stores/shop/counts", headers=headers)).status_code == 200
    await guarded.pool.execute("DELETE FROM membership")

    assert (await client.get("/v1/stores/shop/counts", headers=headers)).status_code == 404


async def test_refreshing_gives_another_pair_for_the_same_sign_in(client: httpx.AsyncClient, clock: FakeClock) -> None:
    first = await tokens(client)
    clock.now += LIFE * 2
    second = (await refresh(client, first["refresh_token"])).json()

    assert await knows(client, second["access_token"])
    assert second["refresh_token"] != first["refresh_token"]


async def test_a_refresh_token_that_is_used_twice_ends_the_sign_in_for_both(
    client: httpx.AsyncClient, clock: FakeClock
) -> None:
    stolen = (await tokens(client))["refresh_token"]
    thief = (await refresh(client, stolen)).json()
    another = await tokens(client)
    clock.now += GRACE + timedelta(seconds=1)

    answer = await refresh(client, stolen)

    assert answer.status_code == 401
    assert "used by two" in answer.json()["detail"]
    assert not await knows(client, thief["access_token"])
    assert (await refresh(client, thief["refresh_token"])).status_code == 401
    assert await knows(client, another["access_token"]), "another sign-in of the same person stands"


async def test_two_tabs_that_refresh_at_once_both_stay_in(client: httpx.AsyncClient) -> None:
    held = (await tokens(client))["refresh_token"]

    both = await asyncio.gather(refresh(client, held), refresh(client, held))

    assert [answer.status_code for answer in both] == [200, 200]
    for answer in both:
        assert await knows(client, answer.json()["access_token"])


async def test_a_sign_in_that_is_not_used_ends(client: httpx.AsyncClient, clock: FakeClock) -> None:
    held = await tokens(client)
    clock.now += REFRESH_LIFE

    assert (await refresh(client, held["refresh_token"])).status_code == 401
    assert (await refresh(client, "invented")).status_code == 401


async def test_signing_out_ends_this_sign_in_and_no_other(client: httpx.AsyncClient) -> None:
    here, there = await tokens(client), await tokens(client)
    answer = await client.post("/v1/auth/sign-out", headers={"Authorization": f"Bearer {here['access_token']}"})

    assert answer.status_code == 204
    assert not await knows(client, here["access_token"])
    assert (await refresh(client, here["refresh_token"])).status_code == 401
    assert await knows(client, there["access_token"])


async def test_signing_out_everywhere_ends_all_of_ones_own(client: httpx.AsyncClient) -> None:
    here, there, other = await tokens(client), await tokens(client), await tokens(client, email="admin@acme")
    headers = {"Authorization": f"Bearer {here['access_token']}"}
    assert (await client.post("/v1/auth/sign-out-everywhere", headers=headers)).status_code == 204

    assert [await knows(client, one["access_token"]) for one in (here, there, other)] == [False, False, True]


async def test_a_new_password_takes_the_old_one_and_ends_the_other_sign_ins(client: httpx.AsyncClient) -> None:
    here, there = await tokens(client), await tokens(client)
    headers = {"Authorization": f"Bearer {here['access_token']}"}
    new = "another long password"
    for present, wanted, status in (("wrong", new, 401), (PASSWORD, "short", 422), (PASSWORD, new, 204)):
        body = {"present": present, "new": wanted}
        assert (await client.post("/v1/auth/password", json=body, headers=headers)).status_code == status

    assert (await sign_in(client)).status_code == 401
    assert (await sign_in(client, password=new)).status_code == 200
    assert [await knows(client, one["access_token"]) for one in (here, there)] == [True, False]


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param("DELETE FROM sign_in", id="signed out"),
        pytest.param("DELETE FROM membership", id="no member any more"),
        pytest.param("UPDATE account SET disabled = true", id="disabled"),
        pytest.param("UPDATE api_key SET revoked_at = now()", id="a key that is revoked"),
    ],
)
async def test_who_may_look_no_longer_sees_no_more(guarded: Served, seed: Seed, loss: str) -> None:
    key = {"Authorization": f"Bearer {seed.keys['acme-reader']}"}
    headers = key if "api_key" in loss else seed.headers("viewer@acme")
    async with guarded.follow(**headers) as stream, guarded.follow(**seed.headers(ROOT)) as other:
        await stream.next("snapshot")
        await other.next("snapshot")
        for _ in range(3):
            await stream.next("heartbeat")  # it is asked meanwhile, and goes on
        await guarded.pool.execute(loss + (" WHERE email = 'viewer@acme'" if "account" in loss else ""))

        with pytest.raises(AssertionError, match="the stream has ended"):
            await stream.next("never")


async def test_a_stream_outlives_the_access_token_it_began_with(guarded: Served, seed: Seed, clock: FakeClock) -> None:
    async with guarded.follow(**seed.headers("viewer@acme")) as stream:
        await stream.next("snapshot")
        clock.now += LIFE * 3
        for _ in range(5):
            await stream.next("heartbeat")


# How often it may be tried.


async def tried(guarded: Served, key: str, times: int) -> None:
    """As if somebody had tried so often."""
    await guarded.pool.execute("INSERT INTO sign_in_attempts VALUES ($1, $2, $3)", key, times, guarded.clock())


async def test_an_account_is_tried_ten_times_in_a_quarter_of_an_hour(guarded: Served, clock: FakeClock) -> None:
    await tried(guarded, "account viewer@acme", PER_ACCOUNT - 1)
    assert (await sign_in(guarded.client, password="wrong")).status_code == 401
    answer = await sign_in(guarded.client)

    assert answer.status_code == 429, "even the right password waits then"
    assert int(answer.headers["retry-after"]) == WINDOW.total_seconds() + 1
    assert (await sign_in(guarded.client, email="admin@acme")).status_code == 200
    clock.now += WINDOW
    assert (await sign_in(guarded.client)).status_code == 200


async def test_the_right_password_begins_the_count_anew(guarded: Served) -> None:
    await tried(guarded, "account viewer@acme", PER_ACCOUNT - 1)
    assert (await sign_in(guarded.client)).status_code == 200

    assert (await sign_in(guarded.client, password="wrong")).status_code == 401
    assert (await sign_in(guarded.client)).status_code == 200


async def test_an_address_is_counted_over_all_accounts(guarded: Served) -> None:
    await tried(guarded, "address 127.0.0.1", PER_ADDRESS - 1)
    answers = [await sign_in(guarded.client, email=email) for email in ("viewer@acme", "admin@acme")]

    assert [answer.status_code for answer in answers] == [200, 429]


async def test_replicas_count_together(
    client: httpx.AsyncClient, settings: ServiceSettings, guarded: Served, clock: FakeClock
) -> None:
    async with replica(settings, guarded.database_url, clock) as second:
        await tried(guarded, "account viewer@acme", PER_ACCOUNT - 2)
        for one in (client, second):
            assert (await sign_in(one, password="")).status_code == 401
        for one in (client, second):
            assert (await sign_in(one)).status_code == 429


# Keys.


async def test_the_public_keys_judge_a_token(client: httpx.AsyncClient) -> None:
    access = (await tokens(client))["access_token"]
    published = (await client.get("/.well-known/jwks.json")).json()

    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(access)["kid"]]
    said = jwt.decode(access, key, algorithms=["ES256"], audience="metrica", options={"verify_exp": False})

    assert said["iss"] == "metrica"
    assert "d" not in published["keys"][0], "the private half stays here"


async def test_replicas_believe_one_another(
    client: httpx.AsyncClient, settings: ServiceSettings, guarded: Served, clock: FakeClock
) -> None:
    await guarded.pool.execute("DELETE FROM signing_key")
    held = await tokens(client)
    async with replica(settings, guarded.database_url, clock) as second:
        assert await knows(second, held["access_token"])
        assert (await refresh(second, held["refresh_token"])).status_code == 200
    assert await guarded.pool.fetchval("SELECT count(*) FROM signing_key") == 1
    assert "PRIVATE" not in await guarded.pool.fetchval("SELECT sealed FROM signing_key")


async def test_without_a_secret_key_nobody_signs_in_and_it_says_why(
    settings: ServiceSettings, api_database_url: str, clock: FakeClock, seed: Seed
) -> None:
    async with replica(settings, api_database_url, clock, secret_key=None) as client:
        answer = await sign_in(client)
    assert answer.status_code == 503
    assert "METRICA_SECRET_KEY" in answer.json()["detail"]


async def test_another_secret_key_makes_another_signing_key(
    settings: ServiceSettings, api_database_url: str, clock: FakeClock, seed: Seed
) -> None:
    said = {"secret_key": "a secret key that is quite another"}
    async with replica(settings, api_database_url, clock, **said) as client:
        assert await knows(client, (await tokens(client))["access_token"])
        assert len((await client.get("/.well-known/jwks.json")).json()["keys"]) == 2


# Browsers.


async def test_a_browser_gets_cookies_that_no_script_reads(client: httpx.AsyncClient) -> None:
    answer = await sign_in(client)
    cookies = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        cookies.load(line)

    assert answer.json() is None, "no token is in reach of a script"
    assert {name: (one["httponly"], one["samesite"], one["path"]) for name, one in cookies.items()} == {
        "metrica_access": (True, "lax", "/"),
        "metrica_refresh": (True, "lax", "/v1/auth"),
        "metrica_device": (True, "lax", "/v1/auth"),
    }
    assert not cookies["metrica_access"]["secure"], "this is http"
    assert (await client.get(ME)).json()["name"] == "viewer@acme"


async def test_over_https_cookies_go_over_https_alone(
    settings: ServiceSettings, api_database_url: str, clock: FakeClock, seed: Seed
) -> None:
    body = {"email": "viewer@acme", "password": PASSWORD}
    async with replica(settings, api_database_url, clock, trusted_proxies="127.0.0.1") as client:
        answer = await client.post("/v1/auth/sign-in", json=body, headers={**HERE, "X-Forwarded-Proto": "https"})

    assert len(answer.headers.get_list("set-cookie")) == 3
    assert all(re.search("; Secure", line) for line in answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        pytest.param(HERE, True, id="our page"),
        pytest.param({"Sec-Fetch-Site": "none"}, True, id="typed by the person"),
        pytest.param(ELSEWHERE, False, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, False, id="a neighbour under the same domain"),
        pytest.param({}, False, id="nobody says"),
        pytest.param({"Origin": "http://{host}"}, True, id="an older browser, our page"),
        pytest.param({"Origin": "http://evil.example"}, False, id="an older browser, another site"),
        pytest.param({"Origin": "null"}, False, id="a sandboxed frame"),
        pytest.param({**ELSEWHERE, "Origin": "http://{host}"}, False, id="the newer word stands"),
    ],
)
async def test_a_cookie_vouches_for_changes_of_our_own_page_alone(
    client: httpx.AsyncClient, headers: dict[str, str], allowed: bool
) -> None:
    await sign_in(client)
    host = client.base_url.netloc.decode()
    sent = {name: value.format(host=host) for name, value in headers.items()}

    for path in ("/v1/auth/sign-out-everywhere", "/v1/auth/refresh", "/v1/auth/sign-in"):
        body = {"email": "viewer@acme", "password": PASSWORD} if path.endswith("sign-in") else None
        answer = await client.post(path, headers=sent, json=body)
        assert (answer.status_code == 403) is not allowed, (path, answer.status_code)
        if allowed:
            await sign_in(client)
    assert (await client.get(ME, headers=sent)).status_code == 200, "looking is harmless"


async def test_a_browser_refreshes_and_signs_out(client: httpx.AsyncClient, clock: FakeClock) -> None:
    await sign_in(client)
    clock.now += LIFE * 2
    assert (await client.get(ME)).status_code == 401
    assert (await client.post("/v1/auth/refresh", headers=HERE)).status_code == 200
    assert (await client.get(ME)).status_code == 200

    kept = dict(client.cookies)
    assert (await client.post("/v1/auth/sign-out", headers=HERE)).status_code == 204
    assert set(client.cookies) == {"metrica_device"}, "the browser stays trusted"
    client.cookies.update(kept)
    assert (await client.get(ME)).status_code == 401


# Who looks without signing in.


async def test_this_machine_looks_where_it_is_let_and_changes_nothing(served: Served) -> None:
    await served.set_up()

    assert (await served.client.get("/v1/stores/shop/counts")).status_code == 200
    assert (await served.client.get(ME)).json()["everywhere"] == "viewer"
    assert (await served.client.post("/v1/auth/sign-out-everywhere")).status_code in {401, 403}


async def test_another_machine_signs_in_even_there(
    settings: ServiceSettings, api_database_url: str, clock: FakeClock
) -> None:
    async with replica(settings, api_database_url, clock, local_access="viewer", hosts="shop.example") as client:
        for headers, status in (
            (BROWSER, 200),
            ({**BROWSER, "Host": "shop.example"}, 401),
            ({**BROWSER, "X-Forwarded-For": "10.0.0.7"}, 401),  # a proxy on this machine says for whom it asks
        ):
            assert (await client.get("/v1/stores", headers=headers)).status_code == status, headers


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer nonsense", "mk_1"])
async def test_a_wrong_header_is_no_way_in_though_this_machine_may_look(served: Served, header: str) -> None:
    answer = await served.client.get("/v1/stores", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


# Accounts made from outside.


async def test_the_first_superadmin_is_made_once(api_database_url: str, guarded: Served) -> None:
    assert not await ensure_first_admin(api_database_url, "second@metrica", PASSWORD)
    await guarded.pool.execute("DELETE FROM account")

    assert await ensure_first_admin(api_database_url, "First@metrica", PASSWORD)
    assert not await ensure_first_admin(api_database_url, "second@metrica", PASSWORD)
    assert await knows(guarded.client, (await tokens(guarded.client, email="first@metrica"))["access_token"])


async def test_the_first_superadmin_may_be_named_in_the_settings(
    settings: ServiceSettings, api_database_url: str, clock: FakeClock
) -> None:
    said = {"admin_email": "boss@shop.example", "admin_password": PASSWORD}
    async with replica(settings, api_database_url, clock, **said) as client:
        async with asyncio.timeout(5):
            while (await sign_in(client, email="boss@shop.example")).status_code != 200:
                pass


async def test_a_password_set_from_outside_ends_every_sign_in(api_database_url: str, client: httpx.AsyncClient) -> None:
    held = await tokens(client)
    assert not await set_password(api_database_url, "viewer@acme", "a password from outside")

    assert not await knows(client, held["access_token"])
    await tokens(client, password="a password from outside")


async def test_a_token_of_another_issuer_is_of_who_is_known_here_by_it(
    settings: ServiceSettings, api_database_url: str, clock: FakeClock, seed: Seed, make_token: Callable[..., str]
) -> None:
    with KeyServer() as issuer:
        issuer.keys = [PUBLIC]
        said = {"jwks_url": issuer.url, "jwks_issuer": ISSUER, "jwks_audience": AUDIENCE}
        async with replica(settings, api_database_url, clock, **said) as client:
            known = token(clock(), sub="their-7", email="viewer@acme", email_verified=True)
            for access, expected in (
                (known, True),
                (token(clock(), sub="their-7", email="viewer@acme"), False),
                (token(clock(), sub="their-8"), False),
                (token(clock(), sub=str(seed.user("viewer@acme"))), False),
                (make_token("viewer@acme"), True),
                (make_token("viewer@acme", iss=ISSUER), False),
            ):
                assert await knows(client, access) is expected
