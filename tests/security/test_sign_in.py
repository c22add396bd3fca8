"""Signing in: who is kept out by whose tries, refresh tokens, cookies, and how long a sign-in lasts.

Row 11: wrong passwords from anywhere lock out no browser that is trusted. Row 16: a refresh token has one successor.
Row 19: cookies over TLS. ASVS 5, chapters 6 and 7: absolute end, the list of one's sign-ins, logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from http.cookies import SimpleCookie
from uuid import uuid4

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from services.api.auth.first_admin import set_password
from services.api.auth.limits.attempts import PER_ACCOUNT, PER_ADDRESS, WINDOW
from services.api.auth.passwords.hashing import Passwords
from services.api.auth.service import GRACE
from services.api.auth.sign_ins import repository as sign_ins
from services.api.auth.tokens.access_tokens import LIFE
from services.api.auth.trusted_browsers.repository import DEVICE_LIFE
from services.api.auth.trusted_browsers.repository import PER_ACCOUNT as DEVICES
from tests.api.seeded import PASSWORD, Seed
from tests.api.served import FakeClock
from tests.security.doors import (
    ELSEWHERE,
    IN,
    ME,
    VIEWER,
    Doors,
    bearer,
    doors_of,
    knows,
    refresh,
    sign_in,
    spend_tries,
    tokens,
)

SIGN_INS = "/v1/auth/sign-ins"


@pytest.fixture
async def doors(seed: Seed, api_database_url: str, clock: FakeClock) -> AsyncIterator[Doors]:
    async with doors_of(api_database_url, clock) as opened:
        yield opened


# Row 11: tries.


async def test_strangers_who_try_passwords_lock_out_no_browser_that_signed_in_before(doors: Doors) -> None:
    """Row 11."""
    browser, stranger = await doors.client(), await doors.client(ELSEWHERE)
    assert (await sign_in(browser)).status_code == 200
    await browser.post("/v1/auth/sign-out")
    await spend_tries(stranger)

    assert (await sign_in(await doors.client())).status_code == 429, "a browser that nobody knows"
    assert (await sign_in(browser)).status_code == 200


async def test_strangers_behind_the_same_address_lock_it_out_neither(doors: Doors, pool: asyncpg.Pool) -> None:
    """Row 11."""
    browser, stranger = await doors.client(), await doors.client()
    await sign_in(browser)
    await pool.execute("UPDATE sign_in_attempts SET count = $1", PER_ADDRESS)

    assert (await sign_in(stranger)).status_code == 429
    assert (await sign_in(browser)).status_code == 200


async def test_a_trusted_browser_has_ten_tries_and_opens_nothing_for_strangers(doors: Doors) -> None:
    """Row 11."""
    browser, stranger = await doors.client(), await doors.client(ELSEWHERE)
    await sign_in(browser)
    await spend_tries(stranger)
    assert (await sign_in(browser)).status_code == 200
    assert (await sign_in(stranger)).status_code == 429, "its right password does not begin their count anew"

    await spend_tries(browser)
    assert (await sign_in(browser)).status_code == 429
    doors.clock.now += WINDOW
    assert (await sign_in(browser)).status_code == 200


async def test_a_browser_is_trusted_for_the_accounts_that_signed_in_there(doors: Doors) -> None:
    """Row 11."""
    browser, stranger = await doors.client(), await doors.client(ELSEWHERE)
    await sign_in(browser, email="manager@acme")
    await spend_tries(stranger)
    assert (await sign_in(browser)).status_code == 429

    doors.clock.now += WINDOW
    await sign_in(browser)
    for email in (VIEWER, "manager@acme"):
        await spend_tries(stranger, email=email)
        assert (await sign_in(browser, email=email)).status_code == 200


async def test_a_trusted_browser_learns_nothing_about_accounts(doors: Doors) -> None:
    """Row 11: the answers about an account that is not there are those about one that is."""
    browser = await doors.client()
    await sign_in(browser)
    answers = []
    for email in ("nobody@acme", "admin@acme"):
        tried = [await sign_in(browser, email=email, password="wrong") for _ in range(PER_ACCOUNT + 1)]
        answers.append([(answer.status_code, answer.json(), "set-cookie" in answer.headers) for answer in tried])

    assert answers[0] == answers[1]
    assert [status for status, *_ in answers[0]] == [401] * PER_ACCOUNT + [429]


async def test_a_password_is_checked_whether_there_is_an_account_or_none(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 11: the time that it takes tells nothing."""
    looked, real = [], Passwords.matches

    async def matches(self: Passwords, password: str, hashed: str | None) -> bool:
        looked.append(password)
        return await real(self, password, hashed)

    monkeypatch.setattr(Passwords, "matches", matches)
    browser = await doors.client()
    await sign_in(browser)
    for email in ("nobody@acme", VIEWER, "admin@acme"):
        await sign_in(browser, email=email, password="wrong")

    assert len(looked) == 4


async def test_a_program_shows_a_live_refresh_token_for_tries_of_its_own(doors: Doors) -> None:
    """Row 11."""
    program, stranger = await doors.client(), await doors.client(ELSEWHERE)
    held = await tokens(program)
    other = await tokens(program, email="manager@acme")
    await spend_tries(stranger)

    assert (await sign_in(program, keep="token")).status_code == 429
    for shown, status in ((held, 200), (other, 429)):
        answer = await sign_in(program, keep="token", refresh_token=shown["refresh_token"])
        assert answer.status_code == status
    await program.post("/v1/auth/sign-out", headers=bearer(held))
    assert (await sign_in(program, keep="token", refresh_token=held["refresh_token"])).status_code == 429


@pytest.mark.parametrize("how", ["signed out everywhere", "a password set from outside", "another browser's change"])
async def test_trust_ends_with_all_sign_ins(doors: Doors, api_database_url: str, how: str) -> None:
    """Row 11."""
    browser, another, stranger = await doors.client(), await doors.client(), await doors.client(ELSEWHERE)
    password = PASSWORD
    await sign_in(browser)
    await sign_in(another)
    kept = dict(browser.cookies)
    match how:
        case "signed out everywhere":
            await browser.post("/v1/auth/sign-out-everywhere")
            assert not dict(browser.cookies)
            browser.cookies.update(kept)
        case "a password set from outside":
            password = "a password from outside"
            await set_password(api_database_url, VIEWER, password)
        case _:
            password = "mauve otters juggle quietly"
            changed = await another.post("/v1/auth/password", json={"present": PASSWORD, "new": password})
            assert changed.status_code == 204, changed.text
    await spend_tries(stranger)

    assert (await sign_in(browser, password=password)).status_code == 429
    if how == "another browser's change":
        assert (await sign_in(another, password=password)).status_code == 200, "who changed it stays trusted"


async def test_a_copy_of_the_cookie_is_worth_nothing_after_the_next_sign_in(doors: Doors) -> None:
    """Row 11: nor is one that somebody else put into the browser before."""
    browser, thief, stranger = await doors.client(), await doors.client(ELSEWHERE), await doors.client(ELSEWHERE)
    await sign_in(browser)
    thief.cookies.set("metrica_device", browser.cookies["metrica_device"], path="/v1/auth")
    await sign_in(browser)
    await spend_tries(stranger)

    assert (await sign_in(thief)).status_code == 429
    assert (await sign_in(browser)).status_code == 200


async def test_trust_is_bounded_in_number_and_time(doors: Doors, pool: asyncpg.Pool) -> None:
    """Row 11."""
    first = await doors.client()
    await sign_in(first)
    for _ in range(DEVICES):
        doors.clock.now += timedelta(seconds=1)
        last = await doors.client()
        await sign_in(last)
    assert await pool.fetchval("SELECT count(*) FROM trusted_device") == DEVICES
    await spend_tries(await doors.client(ELSEWHERE))
    first.cookies.delete("metrica_refresh")  # as if that sign-in had ended
    assert [(await sign_in(one)).status_code for one in (first, last)] == [429, 200]

    doors.clock.now += DEVICE_LIFE
    await spend_tries(await doors.client(ELSEWHERE))
    assert (await sign_in(last)).status_code == 429
    await sign_in(await doors.client(), email="manager@acme")
    assert await pool.fetchval("SELECT count(*) FROM trusted_device") == 1, "what is old is taken away"


async def test_who_is_signed_in_changes_their_password_whatever_strangers_try(doors: Doors) -> None:
    """Row 11."""
    browser = await doors.client()
    await sign_in(browser)
    await spend_tries(await doors.client(ELSEWHERE))

    said = {"present": PASSWORD, "new": "mauve otters juggle quietly"}
    assert (await browser.post("/v1/auth/password", json=said)).status_code == 204
    for _ in range(PER_ACCOUNT):
        assert (await browser.post("/v1/auth/password", json=said)).status_code == 401
    assert (await browser.post("/v1/auth/password", json=said)).status_code == 429


async def test_all_addresses_of_one_ipv6_network_count_as_one(doors: Doors, pool: asyncpg.Pool) -> None:
    """Row 12's kind: whoever has one address of a /64 has them all."""
    for host in ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "::ffff:192.0.2.9"):
        await sign_in(await doors.client(host), email="nobody@acme", password="wrong")

    counted = await pool.fetch("SELECT key, count FROM sign_in_attempts WHERE key LIKE 'address%' ORDER BY key")
    assert [tuple(row) for row in counted] == [
        ("address 192.0.2.9", 1),
        ("address 2001:db8:0:1::/64", 1),
        ("address 2001:db8::/64", 2),
    ]


# Row 16: refresh tokens.


async def test_a_refresh_token_has_one_successor_however_many_use_it_at_once(doors: Doors, pool: asyncpg.Pool) -> None:
    """Row 16: 20 at once on two replicas."""
    replicas = [await doors.client(replica=name) for name in ("first", "second")]
    held = await tokens(replicas[0])
    doors.clock.now += LIFE

    answers = await asyncio.gather(*(refresh(replicas[n % 2], held["refresh_token"]) for n in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert await pool.fetchval("SELECT count(*) FROM refresh_token WHERE used_at IS NULL AND family IN"
                               " (SELECT family FROM refresh_token WHERE used_at IS NOT NULL)") == 1  # fmt: skip
    doors.clock.now += GRACE
    again = await refresh(replicas[1], held["refresh_token"])
    assert again.json()["refresh_token"] == answers[0].json()["refresh_token"]


async def test_used_again_after_its_grace_it_ends_the_sign_in(doors: Doors) -> None:
    """Row 16."""
    program = await doors.client()
    held = await tokens(program)
    after = (await refresh(program, held["refresh_token"])).json()
    doors.clock.now += GRACE + timedelta(seconds=1)

    assert (await refresh(program, held["refresh_token"])).status_code == 401
    assert not await knows(program, after)
    assert (await refresh(program, after["refresh_token"])).status_code == 401


async def test_a_tab_that_comes_late_gets_the_newest_and_no_used_one(doors: Doors) -> None:
    """Row 16: else the browser would keep a used one in its cookie, and be taken for a thief."""
    program = await doors.client()
    first = (await tokens(program))["refresh_token"]
    second = (await refresh(program, first)).json()["refresh_token"]
    third = (await refresh(program, second)).json()["refresh_token"]

    assert (await refresh(program, first)).json()["refresh_token"] == third


async def test_what_replaces_a_token_stands_in_the_database_sealed(doors: Doors, pool: asyncpg.Pool) -> None:
    """Row 16."""
    program = await doors.client()
    after = (await refresh(program, (await tokens(program))["refresh_token"])).json()["refresh_token"]

    kept = await pool.fetch("SELECT hash, successor FROM refresh_token")
    assert not any(after in f"{row['hash']} {row['successor']}" for row in kept)


async def test_a_sign_in_that_is_ended_while_it_is_refreshed_has_ended(doors: Doors, pool: asyncpg.Pool) -> None:
    """Row 16: and neither waits for the other for ever."""
    replicas = [await doors.client(replica=name) for name in ("first", "second")]
    for _ in range(5):
        held = await tokens(replicas[0])
        refreshed, out = await asyncio.gather(
            refresh(replicas[0], held["refresh_token"]),
            replicas[1].post("/v1/auth/sign-out", headers=bearer(held)),
        )
        assert out.status_code in {204, 401}
        if refreshed.status_code == 200:
            assert not await knows(replicas[0], refreshed.json())
    assert await pool.fetchval("SELECT count(*) FROM refresh_token WHERE issued_at > now() + '100 years'") == 0


async def test_a_password_that_changes_while_somebody_signs_in_lets_nobody_in_by_the_old_one(
    doors: Doors, api_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, real = await doors.client(), Passwords.matches

    async def matches(self: Passwords, password: str, hashed: str | None) -> bool:
        right = await real(self, password, hashed)
        monkeypatch.setattr(Passwords, "matches", real)
        await set_password(api_database_url, VIEWER, "a password from outside")
        return right

    monkeypatch.setattr(Passwords, "matches", matches)

    assert (await sign_in(program, keep="token")).status_code == 401


# Row 19: cookies.


def set_cookies(answer: httpx.Response) -> dict[str, tuple[bool, bool, str, str, str]]:
    """Secure, HttpOnly, SameSite, Path and Domain of each cookie that an answer sets."""
    cookies = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        cookies.load(line)
    return {
        name: (bool(one["secure"]), bool(one["httponly"]), one["samesite"], one["path"], one["domain"])
        for name, one in cookies.items()
    }


async def test_over_tls_cookies_are_bound_to_the_host(doors: Doors) -> None:
    """Row 19."""
    browser = await doors.client(scheme="https")
    bound = {f"__Host-metrica_{name}": (True, True, "lax", "/", "") for name in ("access", "refresh", "device")}

    answer = await sign_in(browser)
    assert set_cookies(answer) == bound
    assert await knows(browser)
    doors.clock.now += LIFE * 2
    assert not await knows(browser)
    refreshed = await browser.post("/v1/auth/refresh")
    assert set(set_cookies(refreshed)) == set(bound) - {"__Host-metrica_device"}
    assert await knows(browser)

    out = await browser.post("/v1/auth/sign-out")
    assert set(browser.cookies) == {"__Host-metrica_device"}, "as it is set, with Secure and Path=/, so it is dropped"
    assert all(cookie[0] for name, cookie in set_cookies(out).items() if name.startswith("__Host-"))


async def test_over_tls_the_plain_names_are_not_read(doors: Doors) -> None:
    """Row 19: what a neighbour under the same domain can set is no sign-in (cookie tossing)."""
    plain, browser = await doors.client(), await doors.client(scheme="https")
    await sign_in(plain)
    held = {name: plain.cookies[f"metrica_{name}"] for name in ("access", "refresh", "device")}
    tossed = {"Cookie": "; ".join(f"metrica_{name}={value}" for name, value in held.items())}

    assert (await browser.get(ME, headers=tossed)).status_code == 401
    assert (await browser.post("/v1/auth/refresh", headers=tossed)).status_code == 401
    await spend_tries(await doors.client(ELSEWHERE))
    wanted = {"email": VIEWER, "password": PASSWORD}
    assert (await browser.post(IN, json=wanted, headers=tossed)).status_code == 429


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_cookie_is_read_to_the_letter_and_of_two_neither(doors: Doors, scheme: str) -> None:
    """Row 19: other parsers trim strange characters off a name, and take one of two."""
    browser = await doors.client(scheme=scheme)
    await sign_in(browser)
    name = "__Host-metrica_access" if scheme == "https" else "metrica_access"
    held = browser.cookies[name]
    browser.cookies.clear()
    for sent, status in (
        (f"{name}={held}", 200),
        (f"a=b;  {name}={held}; c", 200),
        (f"{name}=x; {name}={held}", 401),
        (f"{name}={held}; {name}=x", 401),
        (f"{name.lower().replace('access', 'Access')}={held}", 401),
        (f"\x1c{name}={held}", 401),
        (f"\xa0{name}={held}", 401),
        (f"\x85{name}={held}", 401),
        (f'{name}="{held}"', 401),
        (f"={name}={held}", 401),
    ):
        answer = await browser.get(ME, headers=[(b"cookie", sent.encode("latin-1"))])
        assert answer.status_code == status, sent[:40]


# How long a sign-in lasts, and the list of one's own.


async def test_a_sign_in_ends_after_thirty_days_however_often_it_is_refreshed(doors: Doors) -> None:
    program = await doors.client()
    held = await tokens(program)
    began = doors.clock()
    for _ in range(30):
        doors.clock.now += timedelta(days=1) - timedelta(minutes=1)
        held = (await refresh(program, held["refresh_token"])).json()
    doors.clock.now = began + sign_ins.LIFE - timedelta(minutes=3)
    held = (await refresh(program, held["refresh_token"])).json()
    assert held["expires_in"] == 180, "an access token does not outlive its sign-in"
    assert await knows(program, held)

    doors.clock.now = began + sign_ins.LIFE
    assert not await knows(program, held), "not even by the leeway of clocks"
    answer = await refresh(program, held["refresh_token"])
    assert answer.status_code == 401
    assert "sign in again" in answer.json()["detail"]


async def test_cookies_last_no_longer_than_the_sign_in(doors: Doors) -> None:
    browser = await doors.client()
    await sign_in(browser)
    doors.clock.now += sign_ins.LIFE - timedelta(minutes=5)
    answer = await browser.post("/v1/auth/refresh")

    cookies = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        cookies.load(line)
    assert [one["max-age"] for one in cookies.values()] == ["300", "300"]


async def test_everybody_sees_and_ends_their_own_sign_ins(doors: Doors) -> None:
    phone, desk, other = await doors.client(ELSEWHERE), await doors.client(), await doors.client()
    agent = "Phone \u202e<b>" + "x" * 300
    await phone.post(IN, json={"email": VIEWER, "password": PASSWORD}, headers=[(b"user-agent", agent.encode())])
    doors.clock.now += timedelta(minutes=5)
    await sign_in(desk)
    await sign_in(other, email="manager@acme")

    listed = [one for one in (await desk.get(SIGN_INS)).json() if one["agent"] != "tests"]
    assert [(one["current"], one["address"], one["browser"]) for one in listed] == [
        (True, "192.0.2.7", True),
        (False, ELSEWHERE, True),
    ]
    assert listed[1]["agent"].startswith("Phone")
    assert listed[1]["agent"].isprintable()
    assert len(listed[1]["agent"]) <= 200
    assert listed[1]["ends_at"] > listed[1]["began_at"]
    assert (await other.delete(f"{SIGN_INS}/{listed[1]['id']}")).status_code == 404
    assert (await desk.delete(f"{SIGN_INS}/{uuid4()}")).status_code == 404
    assert await knows(phone)

    assert (await desk.delete(f"{SIGN_INS}/{listed[1]['id']}")).status_code == 204
    assert not await knows(phone)
    assert (await phone.post("/v1/auth/refresh")).status_code == 401
    assert await knows(desk)


async def test_signing_in_once_more_in_a_browser_ends_what_was_before(doors: Doors) -> None:
    browser = await doors.client()
    await sign_in(browser)
    held = browser.cookies["metrica_access"]
    await sign_in(browser)

    assert not await knows(await doors.client(), {"access_token": held})
    assert len([one for one in (await browser.get(SIGN_INS)).json() if one["browser"]]) == 1


async def test_a_sign_in_says_when_it_was_used_last_to_about_a_minute(doors: Doors) -> None:
    browser = await doors.client()
    await sign_in(browser)

    async def last_used() -> str:
        listed = (await browser.get(SIGN_INS)).json()
        return next(str(one["last_used_at"]) for one in listed if one["current"])

    begun = await last_used()
    doors.clock.now += timedelta(seconds=50)
    await browser.get(ME)
    assert await last_used() == begun
    doors.clock.now += timedelta(seconds=20)
    await browser.get(ME)
    assert await last_used() > begun


async def test_sign_ins_are_bounded_and_programs_push_no_browser_out(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, pool: asyncpg.Pool
) -> None:
    monkeypatch.setattr(sign_ins, "MOST", 3)
    browser, program = await doors.client(), await doors.client()
    await sign_in(browser)
    held = []
    for _ in range(5):
        doors.clock.now += timedelta(seconds=1)
        held.append(await tokens(program))

    assert [await knows(program, one) for one in held] == [False, False, True, True, True]
    assert await knows(browser)
    doors.clock.now += sign_ins.LIFE
    await tokens(program)
    assert await pool.fetchval("SELECT count(*) FROM sign_in") == 1, "what has ended is taken away"


# Logs.


async def test_the_log_says_who_signed_in_from_where_and_holds_nothing_that_was_typed(doors: Doors, seed: Seed) -> None:
    browser, typed = await doors.client(), "typed into the wrong field"
    with capture_logs() as lines:
        await sign_in(browser, email="secret-password@field")
        await sign_in(browser, password=typed)
        await sign_in(browser)
        await browser.post("/v1/auth/sign-out")

    user = str(seed.user(VIEWER))
    told = [(one["event"], one.get("user"), one.get("address"), one.get("reason")) for one in lines]
    assert told == [
        ("a sign-in was refused", None, "192.0.2.7", "no such account"),
        ("a sign-in was refused", user, "192.0.2.7", "a wrong password"),
        ("signed in", user, "192.0.2.7", None),
        ("a sign-in was ended", user, None, None),
    ]
    assert not any(secret in str(lines) for secret in (typed, "secret-password", VIEWER, PASSWORD))


async def test_who_tries_too_often_is_in_the_log(doors: Doors, seed: Seed) -> None:
    stranger = await doors.client(ELSEWHERE)
    with capture_logs() as lines:
        await spend_tries(stranger)

    assert lines[-1]["reason"] == "tried too often"
    assert lines[-1]["user"] == str(seed.user(VIEWER))
