"""Invitations and password resets by the API, and the mail in between."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from services.api.invitations import service
from tests.api.mailing import GOOD, PUBLIC_URL, Guest, invite, unproven
from tests.api.seeded import PASSWORD, Seed
from tests.api.served import Served
from tests.support.post_office import PostOffice

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NEW = "new@acme.test"


@pytest.fixture
def admin(seed: Seed) -> dict[str, str]:
    return seed.headers("admin@acme")


@pytest.fixture
def guest(mailed: Served) -> Guest:
    return Guest(mailed.client)


# Inviting.


async def test_an_invited_person_chooses_a_password_and_joins(
    mailed: Served, post: PostOffice, admin: dict[str, str], guest: Guest
) -> None:
    made = (await invite(mailed, admin, "New@Acme.test", "manager", name="Mara")).json()
    mail = await post.next()
    assert (mail.recipients, mail.sender) == (["new@acme.test"], "metrica@shop.example")
    assert mail.message["To"] == "new@acme.test"
    assert "Acme" in mail.message["Subject"]
    assert mail.text.startswith("Hello Mara,")
    assert mail.link.startswith(f"{PUBLIC_URL}/account.html#invitation="), "and not what the request calls this machine"
    assert mail.token not in str(made)
    assert (made["role"], made["state"], made["invited_by"], made["delivery"]) == (
        "manager", "pending", "admin@acme", "mail",
    )  # fmt: skip

    seen = (await guest.look(mail.token)).json()
    assert (seen["organization"], seen["email"], seen["role"], seen["needs"], seen["invited_by"]) == (
        "Acme", NEW, "manager", "password", "admin@acme",
    )  # fmt: skip
    await guest.accept(mail.token, GOOD)
    signed = await guest.sign_in(NEW, GOOD)
    me = (await mailed.client.get("/v1/auth/me", headers=signed)).json()
    assert me["roles"] == {"acme": "manager"}
    listed = await mailed.client.get("/v1/organizations/acme/invitations", headers=admin)
    assert listed.json()["items"] == []
    users = await mailed.pool.fetch("SELECT name, verified_at FROM account WHERE email = $1", NEW)
    assert [(row["name"], row["verified_at"]) for row in users] == [("Mara", mailed.clock())]


async def test_a_link_works_once_even_for_two_at_a_time(
    mailed: Served, post: PostOffice, admin: dict[str, str], guest: Guest
) -> None:
    await invite(mailed, admin, NEW)
    body = {"token": (await post.next()).token, "password": GOOD}
    answers = await asyncio.gather(*(mailed.client.post("/v1/auth/invitations/accept", json=body) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 410, 410, 410]
    assert "accepted already" in (await guest.look(body["token"], 410)).json()["detail"]
    assert await mailed.pool.fetchval("SELECT count(*) FROM account WHERE email = $1", NEW) == 1


async def test_a_link_ends_after_a_day_by_revocation_and_by_a_newer_one(
    mailed: Served, post: PostOffice, admin: dict[str, str], seed: Seed, guest: Guest
) -> None:
    first = (await invite(mailed, admin, NEW, "admin")).json()
    old = (await post.next()).token
    second = (await invite(mailed, admin, NEW, "viewer")).json()
    new = (await post.next()).token
    assert "newer one" in (await guest.accept(old, GOOD, 410)).json()["detail"]
    listed = await mailed.client.get("/v1/organizations/acme/invitations", headers=admin)
    assert [one["id"] for one in listed.json()["items"]] == [second["id"]]
    assert first["id"] != second["id"]

    for _ in range(2):
        path = f"/v1/organizations/acme/invitations/{second['id']}"
        assert (await mailed.client.delete(path, headers=admin)).status_code == 204
    assert "taken back" in (await guest.accept(new, GOOD, 410)).json()["detail"]
    await guest.accept("x" * 43, GOOD, 404)

    await invite(mailed, admin, NEW)
    late = (await post.next()).token
    mailed.clock.now += DAY
    assert "expired" in (await guest.accept(late, GOOD, 410)).json()["detail"]
    later = {"Authorization": f"Bearer {seed.token('admin@acme', at=mailed.clock())}"}
    listed = await mailed.client.get("/v1/organizations/acme/invitations", headers=later)
    assert [one["state"] for one in listed.json()["items"]] == ["expired"]
    await invite(mailed, later, NEW)


async def test_who_has_proven_an_account_signs_in_to_join(
    mailed: Served, post: PostOffice, admin: dict[str, str], seed: Seed, guest: Guest
) -> None:
    await invite(mailed, admin, "admin@other")
    token = (await post.next()).token
    assert (await guest.look(token)).json()["needs"] == "sign_in"
    assert "sign in as admin@other" in (await guest.accept(token, GOOD, 401)).json()["detail"]
    stranger = Guest(mailed.client, seed.headers("viewer@acme"))
    assert "signed in as viewer@acme" in (await stranger.accept(token, GOOD, 403)).json()["detail"]

    owner = Guest(mailed.client, seed.headers("admin@other"))
    assert (await owner.look(token)).json()["needs"] == "nothing"
    await owner.accept(token)
    assert (await mailed.client.get("/v1/stores/shop", headers=seed.headers("admin@other"))).status_code == 200
    await guest.sign_in("admin@other", PASSWORD)


async def test_a_member_is_not_invited_and_one_who_was_let_go_is(
    mailed: Served, post: PostOffice, admin: dict[str, str], seed: Seed
) -> None:
    assert "member" in (await invite(mailed, admin, "viewer@acme", status=409)).json()["detail"]
    member = f"/v1/organizations/acme/members/{seed.user('viewer@acme')}"
    assert (await mailed.client.delete(member, headers=admin)).status_code == 204

    await invite(mailed, admin, "viewer@acme", "manager")
    await Guest(mailed.client, seed.headers("viewer@acme")).accept((await post.next()).token)
    me = await mailed.client.get("/v1/auth/me", headers=seed.headers("viewer@acme"))
    assert me.json()["roles"] == {"acme": "manager"}


async def test_nobody_joins_by_an_invitation_of_who_may_not_invite_any_more(
    mailed: Served,
    post: PostOffice,
    admin: dict[str, str],
    seed: Seed,
    superadmin_headers: dict[str, str],
    guest: Guest,
) -> None:
    await invite(mailed, admin, NEW, "admin")
    token = (await post.next()).token
    member = f"/v1/organizations/acme/members/{seed.user('admin@acme')}"
    await mailed.client.patch(member, json={"role": "manager"}, headers=superadmin_headers)

    assert "may not do so any more" in (await guest.accept(token, GOOD, 410)).json()["detail"]


async def test_invitations_are_counted(
    mailed: Served, admin: dict[str, str], seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(service.PER_ADDRESS):
        await invite(mailed, admin, NEW)
    answer = await invite(mailed, admin, NEW, status=429)
    assert answer.headers["retry-after"]
    monkeypatch.setattr(service, "PER_ORGANIZATION", service.PER_ADDRESS + 1)
    await invite(mailed, admin, "b@acme.test")
    await invite(mailed, admin, "c@acme.test", status=429)
    await invite(mailed, seed.headers("admin@other"), "c@acme.test", organization="other")


@pytest.mark.parametrize(
    "email",
    [
        "a@b\r\nBcc: c@d", "a,b@c", "a@b,c@d", "<a@b>", "a b@c", '"a@b"@c', "a@b@c", "@b", "a@", "ａ@b.test",
        "a@bücher.test",         "a" * 65 + "@b",  "(x)a@b", "a@-b", "a..b@c", "a@b;c@d",
    ],
)  # fmt: skip
async def test_what_is_no_plain_address_is_refused(mailed: Served, admin: dict[str, str], email: str) -> None:
    answer = await invite(mailed, admin, email, status=422)

    assert "mara@shop.example" in answer.json()["detail"]


async def test_names_make_no_header_and_no_link_in_a_mail(
    mailed: Served, post: PostOffice, superadmin_headers: dict[str, str]
) -> None:
    name = "Acme\u2028Bcc: x@evil.test https://evil.test/win"
    await mailed.client.patch("/v1/organizations/acme", json={"name": name}, headers=superadmin_headers)
    await invite(mailed, superadmin_headers, NEW, name="Win at evil.test/now")

    mail = await post.next()
    assert mail.recipients == [NEW]
    assert set(mail.message.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
        "MIME-Version",
    }  # fmt: skip
    for shown in (mail.message["Subject"], mail.text):
        assert "evil.test" not in shown
    assert mail.text.count("://") == 1, "the link"


async def test_no_token_is_in_the_database_or_in_the_log_of_changes(
    mailed: Served, post: PostOffice, admin: dict[str, str], guest: Guest
) -> None:
    post.hold.clear()
    await invite(mailed, admin, NEW)
    stored = [
        await mailed.pool.fetch(f"SELECT t::text AS row FROM {table} t") for table in ("invitation", "outgoing_mail")
    ]
    post.hold.set()
    token = (await post.next()).token
    await guest.accept(token, GOOD)
    log = await mailed.pool.fetch(
        "SELECT a::text AS row, who, action, kind, organization FROM audit_entry a ORDER BY id"
    )

    assert all(token not in row["row"] for rows in (*stored, log) for row in rows)
    assert [(row["who"], row["action"], row["kind"]) for row in log if row["organization"] == "acme"] == [
        ("admin@acme", "created", "invitation"),
        (NEW, "created", "membership"),
        (NEW, "changed", "invitation"),
    ] or [row["kind"] for row in log if row["organization"] == "acme"].count("invitation") == 2


# Forgotten passwords.


async def test_a_forgotten_password_is_chosen_anew_once(
    mailed: Served, post: PostOffice, seed: Seed, guest: Guest
) -> None:
    await guest.post("/password-resets", {"email": "Viewer@acme"}, 202)
    mail = await post.next()
    assert mail.recipients == ["viewer@acme"]
    assert (await guest.post("/password-resets/look", {"token": mail.token})).json()["email"] == "viewer@acme"
    await guest.post("/password-resets/use", {"token": mail.token, "password": GOOD}, 204)

    assert "was changed" in (await post.next()).message["Subject"]
    await guest.post("/password-resets/use", {"token": mail.token, "password": GOOD}, 410)
    answer = await mailed.client.get("/v1/auth/me", headers=seed.headers("viewer@acme"))
    assert answer.status_code == 401, "all sign-ins have ended"
    await guest.sign_in("viewer@acme", PASSWORD, 401)
    await guest.sign_in("viewer@acme", GOOD)
    log = await mailed.pool.fetch("SELECT who, kind FROM audit_entry WHERE kind = 'password reset' OR kind = 'user'")
    assert {(row["who"], row["kind"]) for row in log} == {("viewer@acme", "password reset"), ("viewer@acme", "user")}


async def test_a_reset_ends_after_an_hour_by_a_change_and_for_who_is_disabled(
    mailed: Served, post: PostOffice, seed: Seed, guest: Guest
) -> None:
    tokens = []
    for _ in range(3):
        await guest.post("/password-resets", {"email": "viewer@acme"}, 202)
        tokens.append((await post.next()).token)
    await guest.post("/password-resets/use", {"token": tokens[1], "password": GOOD}, 204)
    for token in (tokens[0], tokens[2]):
        await guest.post("/password-resets/use", {"token": token, "password": GOOD}, 410)
    await guest.post("/password-resets", {"email": "manager@acme"}, 202)
    await post.next()  # of the change
    late = (await post.next()).token
    mailed.clock.now += HOUR
    assert "expired" in (await guest.post("/password-resets/look", {"token": late}, 410)).json()["detail"]
    await guest.post("/password-resets", {"email": "admin@acme"}, 202)
    token = (await post.next()).token
    await mailed.pool.execute("UPDATE account SET disabled = true WHERE email = 'admin@acme'")
    await guest.post("/password-resets/use", {"token": token, "password": GOOD}, 410)


async def test_who_has_no_account_is_answered_the_same_and_nothing_is_sent(
    mailed: Served, post: PostOffice, guest: Guest
) -> None:
    await mailed.pool.execute("UPDATE account SET disabled = true WHERE email = 'manager@acme'")
    await mailed.pool.execute("UPDATE account SET password_hash = NULL WHERE email = 'admin@other'")
    asked = [await guest.post("/password-resets", {"email": one}, 202) for one in (
        "nobody@acme", "manager@acme", "admin@other", "a,b@c", "viewer@acme",
    )]  # fmt: skip

    assert len({answer.text for answer in asked}) == 1
    assert (await post.next()).recipients == ["viewer@acme"]
    assert post.taken.empty()
    assert await mailed.pool.fetchval("SELECT count(*) FROM password_reset") == 1


async def test_resets_are_counted_and_nobody_is_told(mailed: Served, post: PostOffice, guest: Guest) -> None:
    texts = {(await guest.post("/password-resets", {"email": "viewer@acme"}, 202)).text for _ in range(6)}
    await guest.post("/password-resets", {"email": "manager@acme"}, 202)

    assert len(texts) == 1
    taken = [(await post.next()).recipients[0] for _ in range(4)]
    assert sorted(taken) == ["manager@acme", *["viewer@acme"] * 3]
    assert post.taken.empty()


# How good a password must be.


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "12 to 200"),
        ("password1234", "many people use"),
        ("aaaaaaaaaaaaaaaa", "repeats itself"),
        ("qwertyuiopasdf", "easily guessed"),
        ("metricametrica", "easily guessed"),
        ("mara.jones1", "12 to 200"),
        ("mara.jones.acme", "your name"),
        ("x" * 201, "at most 200"),
    ],
)
async def test_a_weak_password_is_not_taken_anywhere(
    mailed: Served, post: PostOffice, admin: dict[str, str], guest: Guest, password: str, says: str
) -> None:
    await invite(mailed, admin, "mara.jones@acme.test", name="Mara Jones")
    token = (await post.next()).token
    assert says in (await guest.accept(token, password, 422)).json()["detail"]
    if len(password) in range(12, 201):
        found = (await guest.post("/password-strength", {"token": token, "password": password})).json()
        assert not found["enough"]
        assert says in found["says"]
        await guest.post("/password-resets", {"email": "viewer@acme"}, 202)
        token = (await post.next()).token
        await guest.post("/password-resets/use", {"token": token, "password": "passwordpassword"}, 422)
        body = {"present": PASSWORD, "new": "passwordpassword"}
        answer = await mailed.client.post("/v1/auth/password", json=body, headers=admin)
        assert (answer.status_code, answer.json()["invalid"][0]["parameter"]) == (422, "new")


async def test_only_who_holds_a_link_has_passwords_estimated(mailed: Served, guest: Guest) -> None:
    await guest.post("/password-strength", {"token": "x", "password": GOOD}, 404)


async def test_an_account_that_was_never_proven_gets_its_owners_password(
    mailed: Served, post: PostOffice, admin: dict[str, str], guest: Guest
) -> None:
    await unproven(mailed, "chief@acme.test", PASSWORD)
    known = await guest.sign_in("chief@acme.test", PASSWORD)
    await invite(mailed, admin, "chief@acme.test")
    token = (await post.next()).token

    assert (await guest.look(token)).json()["needs"] == "password"
    await Guest(mailed.client, known).accept(token, status=422)
    await guest.accept(token, GOOD, name="The Chief")
    await guest.sign_in("chief@acme.test", PASSWORD, 401)
    assert (await mailed.client.get("/v1/auth/me", headers=known)).status_code == 401
    await guest.sign_in("chief@acme.test", GOOD)
