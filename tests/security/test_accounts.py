"""Nobody comes into an account that is another person's (row 2), and nobody learns who has one (row 13)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter
from typing import Any

import pytest

from services.api.auth.repository import find_user_of_issuer
from services.api.http.problems import Unauthorized
from services.api.invitations import service as invitations
from services.api.resets import service as resets
from tests.api.mailing import GOOD, Guest, invite, unproven
from tests.api.seeded import Seed
from tests.api.served import Served
from tests.support.post_office import PostOffice

CHIEF = "ceo@other.test"
KNOWN_TO_OTHERS = "chosen by the admin of acme"
ROUNDS = 12
NOISE = 0.6
"""How much longer one may take than the other, as a part, on a machine with much else to do. Finding an account and
hashing a password would each be several times that."""


@pytest.fixture
def alpha(seed: Seed) -> dict[str, str]:
    return seed.headers("admin@acme")


@pytest.fixture
def beta(seed: Seed) -> dict[str, str]:
    return seed.headers("admin@other")


@pytest.fixture
def anybody(mailed: Served) -> Guest:
    return Guest(mailed.client)


async def roles(served: Served, headers: dict[str, str]) -> Any:  # noqa: ANN401  # JSON
    answer = await served.client.get("/v1/auth/me", headers=headers)
    return answer.json().get("roles") if answer.status_code == 200 else None


# Row 2: an account made beforehand.


async def test_no_admin_sets_another_persons_password(mailed: Served, alpha: dict[str, str]) -> None:
    """Row 2."""
    body = {"email": CHIEF, "role": "viewer", "password": KNOWN_TO_OTHERS}
    answer = await mailed.client.post("/v1/organizations/acme/members", json=body, headers=alpha)
    assert answer.status_code == 405
    invited = await mailed.client.post("/v1/organizations/acme/invitations", json=body, headers=alpha)
    assert (invited.status_code, invited.json()["invalid"][0]["parameter"]) == (422, "password")
    assert await mailed.pool.fetchval("SELECT count(*) FROM account WHERE email = $1", CHIEF) == 0


async def test_an_invitation_taken_back_leaves_nothing_behind(
    mailed: Served, post: PostOffice, alpha: dict[str, str], beta: dict[str, str], anybody: Guest
) -> None:
    """Row 2: what is left of the first half of the attack."""
    made = (await invite(mailed, alpha, CHIEF, "admin")).json()
    old = (await post.next()).token
    await mailed.client.delete(f"/v1/organizations/acme/invitations/{made['id']}", headers=alpha)
    await invite(mailed, beta, CHIEF, "admin", "other")
    await anybody.accept(old, KNOWN_TO_OTHERS, 410)
    await anybody.accept((await post.next()).token, GOOD)

    signed = await anybody.sign_in(CHIEF, GOOD)
    assert await roles(mailed, signed) == {"other": "admin"}


@pytest.mark.parametrize("still_a_member", [False, True])
async def test_an_account_made_beforehand_is_its_owners_once_it_joins(
    mailed: Served, post: PostOffice, beta: dict[str, str], anybody: Guest, still_a_member: bool
) -> None:
    """Row 2: alpha's admin made the account in a release before, knows its password, and is signed in to it."""
    await unproven(mailed, CHIEF, KNOWN_TO_OTHERS, "acme" if still_a_member else None)
    attacker = await anybody.sign_in(CHIEF, KNOWN_TO_OTHERS)
    tokens = (await anybody.post("/sign-in", {"email": CHIEF, "password": KNOWN_TO_OTHERS, "keep": "token"})).json()
    await invite(mailed, beta, CHIEF, "admin", "other")
    token = (await post.next()).token

    # Neither nobody, nor who is signed in with the old password, joins without choosing a new one.
    assert (await anybody.look(token)).json()["needs"] == "password"
    for guest in (anybody, Guest(mailed.client, attacker)):
        await guest.accept(token, status=422)
    assert await roles(mailed, attacker) == ({"acme": "viewer"} if still_a_member else {})

    await anybody.accept(token, GOOD)
    assert await roles(mailed, attacker) is None
    await anybody.post("/refresh", {"refresh_token": tokens["refresh_token"]}, 401)
    await anybody.sign_in(CHIEF, KNOWN_TO_OTHERS, 401)
    owner = await anybody.sign_in(CHIEF, GOOD)
    assert (await roles(mailed, owner))["other"] == "admin"


async def test_a_link_for_a_new_password_of_the_one_before_ends_with_it(
    mailed: Served, post: PostOffice, beta: dict[str, str], anybody: Guest
) -> None:
    """Row 2: a reset that somebody asked for before is no way back in."""
    await unproven(mailed, CHIEF, KNOWN_TO_OTHERS)
    await anybody.post("/password-resets", {"email": CHIEF}, 202)
    reset = (await post.next()).token
    await invite(mailed, beta, CHIEF, "admin", "other")
    await anybody.accept((await post.next()).token, GOOD)

    await anybody.post("/password-resets/use", {"token": reset, "password": f"{GOOD} or others"}, 410)


async def test_an_issuers_word_for_an_address_binds_no_account_that_others_know(
    mailed: Served, post: PostOffice, anybody: Guest
) -> None:
    """Row 2, second variant: an account made beforehand, to which an IdP's verified e-mail is bound later."""
    await unproven(mailed, CHIEF, KNOWN_TO_OTHERS)
    async with mailed.parts.sessions() as session:
        with pytest.raises(Unauthorized, match="ask for a new password"):
            await find_user_of_issuer(session, "subject-1", CHIEF)

    await anybody.post("/password-resets", {"email": CHIEF}, 202)
    await anybody.post("/password-resets/use", {"token": (await post.next()).token, "password": GOOD}, 204)
    async with mailed.parts.sessions() as session:
        found = await find_user_of_issuer(session, "subject-1", CHIEF)
    assert found is not None
    await anybody.sign_in(CHIEF, KNOWN_TO_OTHERS, 401)


async def test_an_account_without_a_password_is_bound_as_before(mailed: Served) -> None:
    await unproven(mailed, CHIEF, KNOWN_TO_OTHERS)
    await mailed.pool.execute("UPDATE account SET password_hash = NULL WHERE email = $1", CHIEF)
    async with mailed.parts.sessions() as session:
        assert await find_user_of_issuer(session, "subject-1", CHIEF) is not None


@pytest.mark.parametrize("change", [{"superadmin": True}, {"subject": "chief"}])
async def test_an_account_that_others_know_gets_no_more_rights(
    mailed: Served, superadmin_headers: dict[str, str], change: dict[str, object]
) -> None:
    """Row 2: by a superadmin, who takes the address for the person."""
    await unproven(mailed, CHIEF, KNOWN_TO_OTHERS)
    user = await mailed.pool.fetchval("SELECT id FROM account WHERE email = $1", CHIEF)
    answer = await mailed.client.patch(f"/v1/users/{user}", json=change, headers=superadmin_headers)

    assert (answer.status_code, "nobody has shown" in answer.json()["detail"].lower()) == (409, True)


# Row 13: who has an account elsewhere.

KINDS = ("nobody@x.test", "elsewhere@x.test", "disabled@x.test", "unproven@x.test", "issuer@x.test")


@pytest.fixture
async def known(mailed: Served, seed: Seed) -> Served:
    """Accounts of every kind in the other organization."""
    for email in KINDS[1:]:
        await unproven(mailed, email, KNOWN_TO_OTHERS, "other")
    await mailed.pool.execute(
        """
        UPDATE account SET verified_at = now() WHERE email = 'elsewhere@x.test';
        UPDATE account SET disabled = true WHERE email = 'disabled@x.test';
        UPDATE account SET password_hash = NULL, subject = 'x' WHERE email = 'issuer@x.test';
        """
    )
    return mailed


async def test_who_invites_cannot_tell_who_has_an_account(
    known: Served, post: PostOffice, alpha: dict[str, str]
) -> None:
    """Row 13: by the answer, by the list, by the log of changes, and by the mail that goes out."""

    def blind(shown: dict[str, Any]) -> dict[str, Any]:
        return {name: "…" if name in {"id", "email"} else value for name, value in shown.items()}

    answers, mails = [], []
    for email in KINDS:
        answers.append(await invite(known, alpha, email))
        mails.append(await post.next())
    listed = (await known.client.get("/v1/organizations/acme/invitations", headers=alpha)).json()["items"]
    log = (await known.client.get("/v1/organizations/acme/changes", headers=alpha)).json()["items"]
    members = (await known.client.get("/v1/organizations/acme/members", headers=alpha)).json()["items"]

    bodies = [blind(answer.json()) for answer in answers]
    assert all(body == bodies[0] for body in bodies)
    assert {tuple(sorted(set(answer.headers) - {"date"})) for answer in answers} == {
        tuple(sorted(set(answers[0].headers) - {"date"}))
    }
    assert len(listed) == len(KINDS)
    assert all(blind(one) == blind(listed[0]) for one in listed)
    assert [(one["action"], one["kind"]) for one in log] == [("created", "invitation")] * len(KINDS)
    assert not {one["email"] for one in members} & set(KINDS)
    assert len({mail.text.replace(mail.token, "") for mail in mails}) == 1


async def test_inviting_and_asking_for_a_new_password_take_as_long_for_everybody(
    known: Served, alpha: dict[str, str], anybody: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 13: by the time that it takes."""
    for name in ("PER_ADDRESS", "PER_ORGANIZATION", "PER_INVITER"):
        monkeypatch.setattr(invitations, name, 10_000)
    for name in ("PER_ACCOUNT", "PER_ADDRESS"):
        monkeypatch.setattr(resets, name, 10_000)

    async def ask(email: str) -> None:
        await anybody.post("/password-resets", {"email": email}, 202)

    async def ask_in(email: str) -> None:
        await invite(known, alpha, email)

    for work in (ask, ask_in):
        stranger, somebody = await _compare(known, work, KINDS[0], KINDS[1])
        print(f"{work.__name__}: stranger {stranger * 1000:.1f} ms, somebody {somebody * 1000:.1f} ms")
        assert abs(stranger - somebody) < NOISE * max(stranger, somebody)


async def _compare(served: Served, work: Callable[[str], Awaitable[None]], *emails: str) -> list[float]:
    """The medians of how long it takes for each, in turns; no mail is on its way meanwhile."""
    took: dict[str, list[float]] = {email: [] for email in emails}
    for _ in range(ROUNDS):
        for email in emails:
            began = perf_counter()
            await work(email)
            took[email].append(perf_counter() - began)
            await _mail_is_gone(served)
    return [median(seconds) for seconds in took.values()]


async def _mail_is_gone(served: Served) -> None:
    async with asyncio.timeout(30):
        while await served.pool.fetchval("SELECT count(*) FROM outgoing_mail"):  # noqa: ASYNC110  # of a database
            await asyncio.sleep(0.01)


async def test_a_disabled_account_joins_nothing(
    known: Served, post: PostOffice, alpha: dict[str, str], anybody: Guest
) -> None:
    await invite(known, alpha, "disabled@x.test")
    token = (await post.next()).token

    for answer in (await anybody.look(token, 403), await anybody.accept(token, GOOD, 403)):
        assert "disabled" in answer.json()["detail"]
    assert await known.pool.fetchval("SELECT disabled FROM account WHERE email = 'disabled@x.test'")


async def test_a_superadmin_invites_into_any_organization(
    mailed: Served, post: PostOffice, superadmin_headers: dict[str, str], anybody: Guest
) -> None:
    await invite(mailed, superadmin_headers, CHIEF, "admin", "other")
    await anybody.accept((await post.next()).token, GOOD)
    await anybody.sign_in(CHIEF, GOOD)
