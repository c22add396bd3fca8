"""The time that a refusal takes tells nobody who has an account (Holds: "timing of unknown and known accounts").

Time itself says little on a busy machine. What takes it is one hash of a password: it must be made in all cases alike.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter

import pytest

from services.api.auth.passwords.hashing import Passwords
from tests.api.seeded import PASSWORD, Seed
from tests.api.served import Served

CASES = {
    "no such account": {"email": "nobody@acme", "password": "wrong horse battery"},
    "another's organization": {"email": "nobody@other", "password": PASSWORD},
    "a wrong password": {"email": "viewer@acme", "password": "wrong horse battery"},
    "a superadmin": {"email": "root@metrica", "password": "wrong horse battery"},
    "a disabled account": {"email": "manager@acme", "password": PASSWORD},
    "an account without a password": {"email": "admin@acme", "password": PASSWORD},
}


@pytest.mark.parametrize("case", CASES)
async def test_each_refusal_takes_one_hash_and_says_the_same(
    case: str, guarded: Served, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guarded.pool.execute("UPDATE account SET disabled = true WHERE email = 'manager@acme'")
    await guarded.pool.execute("UPDATE account SET password_hash = NULL WHERE email = 'admin@acme'")
    compared: list[str] = []
    matches = Passwords._matches

    def counted(self: Passwords, password: str, hashed: str | None) -> bool:
        compared.append(password)
        return matches(self, password, hashed)

    monkeypatch.setattr(Passwords, "_matches", counted)
    answer = await guarded.client.post("/v1/auth/sign-in", json={**CASES[case], "keep": "token"})

    assert answer.status_code == 401
    assert answer.json()["detail"] == "The e-mail address or the password is wrong."
    assert len(compared) == 1


def test_who_has_no_account_costs_what_an_account_costs() -> None:
    passwords = Passwords()
    known = passwords._hasher.hash(PASSWORD)

    def seconds(hashed: str | None) -> float:
        began = perf_counter()
        assert not passwords._matches("wrong horse battery", hashed)
        return perf_counter() - began

    seconds(None)  # the hash of nobody is made once
    of_known, of_nobody = (median(seconds(hashed) for _ in range(5)) for hashed in (known, None))
    assert 0.3 < of_known / of_nobody < 3
