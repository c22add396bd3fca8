"""Passwords are taken as they are typed, kept as a slow hash, and asked for no more often than needed."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest
from argon2 import extract_parameters

from services.api.auth.first_admin import set_password
from services.api.auth.passwords.hashing import LONGEST, SHORTEST, Passwords
from services.api.auth.second_factor.factors import RECOVERY_BYTES
from services.api.auth.tokens.api_keys import draw_key
from tests.api.seeded import PASSWORD, Seed
from tests.api.served import FakeClock, Served

WORDS = "brass lantern over quiet gravel 7"
COMPOSITIONS = {
    "words in small letters": "brass lantern quiet gravel",
    "as long as may be": (WORDS * 10)[:LONGEST],
    "64 characters": (WORDS * 3)[:64],
    "blanks around it": f"  {WORDS}  ",
    "letters of other scripts": "шёлковый فانوس 提灯 caf\u00e9",
    "pictures": "🐢🚲🧂🪗🪴🐙🎻🛶🧭🪁🦔🥝",
    "quotes and signs": "'; DROP TABLE account; -- \\ \" <b>",
}


async def signs_in(served: Served, password: str, email: str = "viewer@acme") -> bool:
    await served.pool.execute("DELETE FROM sign_in_attempts")
    said = {"email": email, "password": password, "keep": "token"}
    return (await served.client.post("/v1/auth/sign-in", json=said)).status_code == 200


@pytest.mark.parametrize("kind", COMPOSITIONS)
async def test_any_composition_is_taken_and_every_character_counts(kind: str, guarded: Served, seed: Seed) -> None:
    password = COMPOSITIONS[kind]
    change = {"present": PASSWORD, "new": password}
    made = await guarded.client.post("/v1/auth/password", json=change, headers=seed.headers("viewer@acme"))
    assert made.status_code in {200, 204}, made.text

    assert await signs_in(guarded, password)
    for other in (password[:-1], password + " ", password.swapcase(), password.strip(), password[:72], password[1:]):
        if other != password:
            assert not await signs_in(guarded, other), other
    decomposed = unicodedata.normalize("NFD", password)
    assert decomposed == password or not await signs_in(guarded, decomposed)


async def test_a_password_that_is_too_short_or_too_long_is_refused(guarded: Served, seed: Seed) -> None:
    for password in ("", "x", (WORDS * 3)[: SHORTEST - 1], (WORDS * 10)[: LONGEST + 1]):
        change = {"present": PASSWORD, "new": password}
        answer = await guarded.client.post("/v1/auth/password", json=change, headers=seed.headers("viewer@acme"))
        assert answer.status_code == 422, password
    assert SHORTEST >= 8
    assert LONGEST >= 64


async def test_a_password_does_not_grow_old(guarded: Served, clock: FakeClock) -> None:
    clock.now += timedelta(days=1000)

    assert await signs_in(guarded, PASSWORD)


async def test_a_hash_is_argon2id_of_the_strength_that_owasp_asks_for() -> None:
    hashed = await Passwords().hash(PASSWORD)
    parameters = extract_parameters(hashed)

    assert hashed.startswith("$argon2id$")
    assert parameters.memory_cost * parameters.time_cost >= 46 * 1024
    assert parameters.salt_len >= 16
    assert parameters.hash_len >= 32
    assert hashed != await Passwords().hash(PASSWORD), "the salt is the same"


def test_what_a_plain_hash_keeps_cannot_be_tried_out() -> None:
    """Keys and recovery codes are drawn and long: 128 bits and more need no slow hash."""
    secret = draw_key("viewer").text.split("_", 2)[2]

    assert len(secret) * 6 >= 128
    assert RECOVERY_BYTES * 8 >= 128


async def test_a_password_of_the_operators_is_told_nowhere_else(
    guarded: Served, api_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await set_password(api_database_url, "mara@shop.example", WORDS, superadmin=False)

    assert await signs_in(guarded, WORDS, "mara@shop.example")
    assert WORDS not in "".join(capsys.readouterr())
    entries = await guarded.pool.fetch("SELECT * FROM audit_entry")
    assert WORDS not in str(entries)
