"""Second factors: codes that are good once, recovery codes, who is asked for one, and what happens when it is lost.

ASVS 5, chapter 6: multi-factor authentication; row 11's kind: codes are tried as seldom as passwords.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import asyncpg
import pyotp
import pytest
from structlog.testing import capture_logs

from services.api.auth.endpoints.second_factor import FRESH
from services.api.auth.limits.attempts import PER_ACCOUNT, PER_CODES, WINDOW
from services.api.auth.second_factor.factors import PENDING_LIFE, RECOVERY_BYTES, RECOVERY_CODES
from services.kit.settings import ServiceSettings
from tests.api.seeded import PASSWORD, ROOT, Seed
from tests.api.served import FakeClock, Served, replica
from tests.api.test_tokens import AUDIENCE, ISSUER, PUBLIC, token
from tests.api.test_user_command import typed
from tests.security.doors import (
    ELSEWHERE,
    FACTOR,
    ME,
    VIEWER,
    Doors,
    bearer,
    doors_of,
    enrol,
    knows,
    sign_in,
    spend_tries,
    tokens,
)
from tests.support.key_server import KeyServer

ACME = "/v1/organizations/acme"


@pytest.fixture
async def doors(seed: Seed, api_database_url: str, clock: FakeClock) -> AsyncIterator[Doors]:
    async with doors_of(api_database_url, clock) as opened:
        yield opened


async def test_who_has_a_second_factor_signs_in_with_a_code(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client()
    await sign_in(browser)
    phone, codes = await enrol(browser, clock)
    assert (await browser.get(FACTOR)).json()["on"] is True
    assert (await browser.get(ME)).json()["second_factor"] is True
    assert len(set(codes)) == RECOVERY_CODES
    assert all(len(code.replace("-", "")) * 5 == RECOVERY_BYTES * 8 for code in codes), "characters of 5 bit"

    answer = await sign_in(await doors.client())
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "second_factor_needed"
    assert "set-cookie" not in answer.headers
    answer = await sign_in(await doors.client(), code="000000")
    assert (answer.status_code, answer.json()["code"]) == (401, "second_factor_wrong")
    assert (await sign_in(await doors.client(), code=phone.next())).status_code == 200


async def test_without_the_right_password_nobody_learns_of_a_second_factor(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client()
    await sign_in(browser)
    phone, _ = await enrol(browser, clock)
    stranger = await doors.client(ELSEWHERE)
    plain = await sign_in(stranger, email="admin@acme", password="wrong")

    for said in ({}, {"code": phone.next()}, {"code": "000000"}):
        answer = await sign_in(stranger, password="wrong", **said)
        assert (answer.status_code, answer.json()) == (plain.status_code, plain.json())
        assert answer.json()["code"] == "wrong-password"


async def test_a_code_is_good_once_and_so_is_none_of_before(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client()
    await sign_in(browser)
    phone, _ = await enrol(browser, clock)
    assert (await sign_in(browser, code=phone.code())).status_code == 401, "it confirmed the second factor"

    before = phone.next()
    clock.now += timedelta(seconds=30)
    used = phone.code()
    assert (await sign_in(browser, code=used)).status_code == 200
    assert (await sign_in(browser, code=used)).status_code == 401
    assert (await sign_in(browser, code=before)).status_code == 401
    assert (await sign_in(browser, code=phone.next())).status_code == 200


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_phone_may_be_half_a_minute_off(doors: Doors, clock: FakeClock, steps: int, good: bool) -> None:
    browser = await doors.client()
    await sign_in(browser)
    phone, _ = await enrol(browser, clock)
    clock.now += timedelta(minutes=5)

    assert (await sign_in(browser, code=phone.code(steps=steps))).status_code == (200 if good else 401)


async def test_of_many_who_use_a_code_at_once_one_gets_in(doors: Doors, clock: FakeClock) -> None:
    """On two replicas."""
    doorways = [await doors.client(replica=name) for name in ("first", "second")]
    held = await tokens(doorways[0])
    phone, codes = await enrol(doorways[0], clock, bearer(held))

    for code in (phone.next(), codes[0]):
        answers = await asyncio.gather(*(sign_in(doorways[n % 2], keep="token", code=code) for n in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_a_recovery_code_stands_in_for_the_app_once(doors: Doors, clock: FakeClock, pool: asyncpg.Pool) -> None:
    browser = await doors.client()
    await sign_in(browser)
    _, codes = await enrol(browser, clock)

    assert (await sign_in(browser, code=codes[3])).status_code == 200
    assert (await sign_in(browser, code=codes[3])).status_code == 401
    assert (await sign_in(browser, code=codes[4].replace("-", " ").lower())).status_code == 200
    assert (await browser.get(FACTOR)).json()["recovery_codes_left"] == RECOVERY_CODES - 2
    kept = str(await pool.fetch("SELECT * FROM recovery_code"))
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)


async def test_a_recovery_code_is_of_one_account(doors: Doors, clock: FakeClock) -> None:
    one, other = await doors.client(), await doors.client()
    await sign_in(one)
    _, codes = await enrol(one, clock)
    await sign_in(other, email="manager@acme")
    phone, _ = await enrol(other, clock)

    assert (await sign_in(other, email="manager@acme", code=codes[0])).status_code == 401
    assert (await sign_in(one, code=phone.next())).status_code == 401


async def test_the_secret_lies_sealed_and_is_in_no_log(
    doors: Doors, clock: FakeClock, pool: asyncpg.Pool, seed: Seed
) -> None:
    browser = await doors.client()
    with capture_logs() as lines:
        await sign_in(browser)
        begun = (await browser.post(FACTOR, json={"password": PASSWORD})).json()
        code = pyotp.TOTP(begun["secret"]).at(clock())
        confirmed = await browser.post(f"{FACTOR}/confirm", json={"code": code})

    assert pyotp.parse_uri(begun["uri"]).secret == begun["secret"]
    assert begun["qr"].startswith("data:image/svg+xml")
    kept = await pool.fetchrow("SELECT * FROM second_factor")
    assert kept["sealed"].startswith("sealed:")
    assert kept["pending"] is None
    log = await pool.fetch("SELECT * FROM audit_entry WHERE kind = 'second factor'")
    assert log, "that it was set up is in the log of changes"
    for secret in (begun["secret"], kept["sealed"], *confirmed.json()["recovery_codes"]):
        assert secret not in f"{log} {lines}"


# Setting one up.


async def test_setting_up_takes_the_password_or_a_sign_in_of_just_now(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client()
    await sign_in(browser)
    assert (await browser.post(FACTOR, json={})).status_code == 200
    assert (await browser.post(FACTOR, json={"password": "wrong"})).status_code == 401

    clock.now += FRESH + timedelta(seconds=1)
    await browser.post("/v1/auth/refresh")
    assert (await browser.post(FACTOR, json={})).status_code == 422
    assert (await browser.post(FACTOR, json={"password": PASSWORD})).status_code == 200


async def test_it_is_in_force_once_a_code_confirmed_it_within_a_quarter_of_an_hour(
    doors: Doors, clock: FakeClock
) -> None:
    browser = await doors.client()
    await sign_in(browser)
    assert (await browser.post(f"{FACTOR}/confirm", json={"code": "000000"})).status_code == 409, "nothing was begun"
    secret = (await browser.post(FACTOR, json={})).json()["secret"]
    assert (await browser.post(f"{FACTOR}/confirm", json={"code": "000000"})).status_code == 401
    assert (await sign_in(await doors.client())).status_code == 200, "it is not in force yet"

    clock.now += PENDING_LIFE + timedelta(seconds=1)
    await browser.post("/v1/auth/refresh")
    late = pyotp.TOTP(secret).at(clock())
    assert (await browser.post(f"{FACTOR}/confirm", json={"code": late})).status_code == 409


async def test_setting_one_up_ends_the_sign_ins_that_had_none(doors: Doors, clock: FakeClock) -> None:
    browser, another = await doors.client(), await doors.client()
    await sign_in(browser)
    await sign_in(another)
    phone, codes = await enrol(browser, clock)

    assert await knows(browser)
    assert not await knows(another)
    assert (await another.post("/v1/auth/refresh")).status_code == 401
    await sign_in(another, code=phone.next())
    proof = {"password": PASSWORD, "code": codes[0]}
    assert (await browser.post(f"{FACTOR}/remove", json=proof)).status_code == 204
    assert [await knows(one) for one in (browser, another)] == [True, False]
    assert (await sign_in(another)).status_code == 200


async def test_another_takes_the_place_of_one_with_a_code_of_it(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client()
    await sign_in(browser)
    old, _ = await enrol(browser, clock)
    assert (await browser.post(FACTOR, json={"password": PASSWORD})).status_code == 422
    assert (await browser.post(FACTOR, json={"password": PASSWORD, "code": "000000"})).status_code == 401

    begun = (await browser.post(FACTOR, json={"password": PASSWORD, "code": old.next()})).json()
    assert (await sign_in(await doors.client(), code=old.next())).status_code == 200, "until it is confirmed"
    new = pyotp.TOTP(begun["secret"]).at(clock())
    assert (await browser.post(f"{FACTOR}/confirm", json={"code": new})).status_code == 200
    assert (await sign_in(await doors.client(), code=old.next())).status_code == 401


async def test_new_recovery_codes_and_turning_off_take_password_and_code(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client()
    await sign_in(browser)
    phone, codes = await enrol(browser, clock)
    for what in ("recovery-codes", "remove"):
        for proof in ({"password": "wrong", "code": codes[0]}, {"password": PASSWORD, "code": "000000"}):
            assert (await browser.post(f"{FACTOR}/{what}", json=proof)).status_code == 401
        assert (await browser.post(f"{FACTOR}/{what}", json={"password": PASSWORD})).status_code == 422
    drawn = await browser.post(f"{FACTOR}/recovery-codes", json={"password": PASSWORD, "code": codes[0]})
    assert len(set(drawn.json()["recovery_codes"]) | set(codes)) == 2 * RECOVERY_CODES
    assert (await sign_in(browser, code=codes[1])).status_code == 401, "those of before are worth nothing"

    assert (
        await browser.post(f"{FACTOR}/remove", json={"password": PASSWORD, "code": phone.next()})
    ).status_code == 204
    assert (await browser.get(FACTOR)).json()["on"] is False
    assert (await sign_in(browser)).status_code == 200


async def test_without_a_secret_key_it_says_why_there_is_none(
    doors: Doors, clock: FakeClock, pool: asyncpg.Pool
) -> None:
    held = await tokens(await doors.client())
    without = await doors.client(replica="without", secret_key=None)
    answer = await without.post(FACTOR, json={}, headers=bearer(held))
    assert answer.status_code == 503
    assert "METRICA_SECRET_KEY" in answer.json()["detail"]

    phone, codes = await enrol(await doors.client(), clock, bearer(held))
    other = await doors.client(replica="other", secret_key="a secret key that is quite another")
    answer = await sign_in(other, code=phone.next())
    assert answer.status_code == 503
    assert "metrica user reset-second-factor" in answer.json()["detail"]
    assert (await sign_in(other, code=codes[0])).status_code == 200


# Trying codes.


async def test_codes_are_tried_as_seldom_as_passwords_and_a_right_password_begins_no_count_anew(
    doors: Doors, clock: FakeClock
) -> None:
    """Row 11's kind: nor can a right password be told from a wrong one without a limit."""
    browser = await doors.client()
    await sign_in(browser)
    phone, _ = await enrol(browser, clock)
    stranger = await doors.client(ELSEWHERE)
    for number in range(PER_ACCOUNT):
        said = {} if number % 2 else {"code": "000000"}
        assert (await sign_in(stranger, **said)).status_code == 401
    for said in ({}, {"code": phone.next()}, {"password": "wrong"}):
        assert (await sign_in(stranger, **said)).status_code == 429

    assert (await sign_in(browser, code=phone.next())).status_code == 200, "the trusted browser has its own count"
    await spend_tries(browser, code="000000")


async def test_who_knows_the_password_has_twenty_codes_a_day(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client()
    await sign_in(browser)
    phone, _ = await enrol(browser, clock)
    stranger = await doors.client(ELSEWHERE)
    for number in range(PER_CODES):
        if number % PER_ACCOUNT == 0:
            clock.now += WINDOW
        assert (await sign_in(stranger, code="000000")).status_code == 401
    clock.now += WINDOW
    assert (await sign_in(stranger, code=phone.code())).status_code == 429
    assert (await sign_in(browser, code=phone.next())).status_code == 200

    clock.now += timedelta(days=1)
    assert (await sign_in(stranger, code=phone.code())).status_code == 200


async def test_who_took_over_a_sign_in_has_ten_tries_at_password_and_code(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client()
    await sign_in(browser)
    _, codes = await enrol(browser, clock)
    for number in range(PER_ACCOUNT):
        proof = {"password": PASSWORD if number % 2 else "wrong", "code": "000000"}
        assert (await browser.post(f"{FACTOR}/remove", json=proof)).status_code == 401

    proof = {"password": PASSWORD, "code": codes[0]}
    assert (await browser.post(f"{FACTOR}/remove", json=proof)).status_code == 429


async def test_what_was_shown_as_a_second_factor_is_in_the_log(doors: Doors, clock: FakeClock, seed: Seed) -> None:
    browser = await doors.client()
    await sign_in(browser)
    phone, codes = await enrol(browser, clock)
    with capture_logs() as lines:
        for code in (None, "000000", phone.next(), codes[0]):
            await sign_in(browser, code=code)

    lines = [one for one in lines if one["event"] != "a sign-in was ended"]  # that which the new one took the place of
    assert [(one["event"], one.get("reason") or one["second_factor"], one["log_level"]) for one in lines] == [
        ("a sign-in was refused", "a second factor is needed", "info"),
        ("a sign-in was refused", "a wrong code after the right password", "warning"),
        ("signed in", "app", "info"),
        ("signed in", "recovery code", "info"),
    ]
    assert {one["user"] for one in lines} == {str(seed.user(VIEWER))}


# Who is asked for one.


async def ask_for_it(doors: Doors, clock: FakeClock) -> None:
    """acme's admin sets up a second factor and asks all members for one."""
    held = await tokens(await doors.client(), email="admin@acme")
    admin = await doors.client()
    await enrol(admin, clock, bearer(held))
    answer = await admin.patch(ACME, json={"second_factor": True}, headers=bearer(held))
    assert answer.status_code == 200, answer.text
    assert answer.json()["second_factor"] is True


async def test_an_organization_that_asks_for_one_gives_no_role_to_who_has_none(
    doors: Doors, clock: FakeClock, pool: asyncpg.Pool
) -> None:
    await pool.execute("INSERT INTO membership SELECT id, 'other', 'viewer' FROM account WHERE email = $1", VIEWER)
    browser = await doors.client()
    await sign_in(browser)
    assert (await browser.get("/v1/stores/shop")).status_code == 200
    await ask_for_it(doors, clock)

    assert (await browser.get("/v1/stores/shop")).status_code == 404, "at once"
    assert (await browser.get("/v1/stores/mall")).status_code == 200, "the other one does not ask"
    me = (await browser.get(ME)).json()
    assert (me["roles"], me["second_factor_needed_in"]) == ({"other": "viewer"}, ["acme"])
    phone, codes = await enrol(browser, clock)
    me = (await browser.get(ME)).json()
    assert (me["roles"], me["second_factor_needed_in"]) == ({"acme": "viewer", "other": "viewer"}, [])
    assert (await browser.get("/v1/stores/shop")).status_code == 200

    answer = await browser.post(f"{FACTOR}/remove", json={"password": PASSWORD, "code": codes[0]})
    assert answer.status_code == 409
    assert "acme" in answer.json()["detail"]
    assert (await sign_in(browser, code=phone.next())).status_code == 200


async def test_a_live_stream_ends_where_its_organization_begins_to_ask(
    guarded: Served, doors: Doors, clock: FakeClock, seed: Seed
) -> None:
    async with guarded.follow(**seed.headers(VIEWER)) as stream:
        await stream.next("snapshot")
        await ask_for_it(doors, clock)
        with pytest.raises(AssertionError, match="the stream has ended"):
            await stream.next("never")


async def test_who_asks_for_one_has_one(doors: Doors, clock: FakeClock, pool: asyncpg.Pool, seed: Seed) -> None:
    admin, viewer = await doors.client(), await doors.client()
    await sign_in(admin, email="admin@acme")
    answer = await admin.patch(ACME, json={"second_factor": True})
    assert answer.status_code == 409
    assert "of your own first" in answer.json()["detail"]
    await sign_in(viewer)
    await enrol(viewer, clock)
    assert (await viewer.patch(ACME, json={"second_factor": True})).status_code == 403

    await pool.execute("UPDATE api_key SET role = 'admin'")
    key = {"Authorization": f"Bearer {seed.keys['acme-reader']}"}
    program = await doors.client()
    assert (await program.patch(ACME, json={"second_factor": True}, headers=key)).status_code == 403
    await ask_for_it(doors, clock)
    assert (await program.patch(ACME, json={"second_factor": False}, headers=key)).status_code == 403
    assert (await program.get("/v1/stores/shop", headers=key)).status_code == 200, "keys have none, and go on"


async def test_superadmins_are_asked_where_the_setting_says_so(doors: Doors, clock: FakeClock) -> None:
    browser = await doors.client(admin_second_factor="required")
    await sign_in(browser, email=ROOT)
    me = (await browser.get(ME)).json()
    assert (me["superadmin"], me["second_factor_needed_as_superadmin"]) == (False, True)
    assert (await browser.get("/v1/users")).status_code == 403

    phone, _ = await enrol(browser, clock)
    assert (await browser.get("/v1/users")).status_code == 200
    proof = {"password": PASSWORD, "code": phone.next()}
    answer = await browser.post(f"{FACTOR}/remove", json=proof)
    assert answer.status_code == 409
    assert "METRICA_ADMIN_SECOND_FACTOR" in answer.json()["detail"]


async def test_who_signs_in_elsewhere_is_asked_there(
    settings: ServiceSettings, api_database_url: str, doors: Doors, clock: FakeClock, pool: asyncpg.Pool
) -> None:
    await ask_for_it(doors, clock)
    await pool.execute("UPDATE account SET subject = 'their-7' WHERE email = $1", VIEWER)
    with KeyServer() as issuer:
        issuer.keys = [PUBLIC]
        said = {"jwks_url": issuer.url, "jwks_issuer": ISSUER, "jwks_audience": AUDIENCE}
        async with replica(settings, api_database_url, clock, **said) as client:
            headers = {"Authorization": f"Bearer {token(clock(), sub='their-7')}"}
            assert (await client.get("/v1/stores/shop", headers=headers)).status_code == 200
            assert (await client.post(FACTOR, json={}, headers=headers)).status_code == 403, "theirs is set up there"
            by_password = bearer(await tokens(client))
            assert (await client.get("/v1/stores/shop", headers=by_password)).status_code == 404


# A lost one.


async def test_a_superadmin_removes_a_lost_one_and_nobody_else_does(
    doors: Doors, clock: FakeClock, pool: asyncpg.Pool, seed: Seed
) -> None:
    browser, admin, root = await doors.client(), await doors.client(), await doors.client()
    await sign_in(browser)
    await enrol(browser, clock)
    await sign_in(admin, email="admin@acme")
    await sign_in(root, email=ROOT)
    await enrol(root, clock)
    assert (await root.delete(f"/v1/users/{seed.user(ROOT)}/second-factor")).status_code == 409, "nor their own"
    lost = f"/v1/users/{seed.user(VIEWER)}/second-factor"
    assert [(await one.delete(lost)).status_code for one in (browser, admin)] == [403, 403]

    assert (await root.delete(lost)).status_code == 204
    assert (await root.delete(lost)).status_code == 404
    assert not await knows(browser), "all their sign-ins end"
    assert (await sign_in(browser)).status_code == 200
    entry = await pool.fetchrow("SELECT * FROM audit_entry WHERE kind = 'second factor' ORDER BY id DESC LIMIT 1")
    assert (entry["who"], entry["action"], entry["key"]) == (ROOT, "removed", str(seed.user(VIEWER)))
    assert json.loads(entry["before"])["sealed"] == "***"
    left = 'SELECT count(*) FROM recovery_code WHERE "user" = $1'
    assert await pool.fetchval(left, seed.user(VIEWER)) == 0


async def test_so_does_the_operator(
    doors: Doors, clock: FakeClock, pool: asyncpg.Pool, api_database_url: str, typing: Callable[..., str]
) -> None:
    browser = await doors.client()
    await sign_in(browser)
    await enrol(browser, clock)

    told = await asyncio.to_thread(typing, "reset-second-factor", "Viewer@acme")
    assert "viewer@acme" in told
    assert not await knows(browser)
    assert (await sign_in(browser)).status_code == 200
    entry = await pool.fetchrow("SELECT * FROM audit_entry WHERE kind = 'second factor' ORDER BY id DESC LIMIT 1")
    assert (entry["who"], entry["action"]) == ("command line", "removed")


@pytest.fixture
def typing(api_database_url: str) -> Callable[..., str]:
    """`metrica user` with some words."""
    return lambda *words: typed(api_database_url, *words)
