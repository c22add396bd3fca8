"""`metrica user`: what a person types."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from typer.testing import CliRunner, Result

from services.api.clock import utc_now
from services.cli.commands.user import app
from services.cli.console.errors import CommandError
from tests.api.mailing import GOOD, Guest, invite
from tests.api.seeded import Seed
from tests.api.served import Served


def typed(database_url: str, *words: str) -> str:
    """In a thread of its own: the command has an event loop of its own."""
    environment = {"METRICA_DATABASE_URL": database_url, "METRICA_PUBLIC_URL": None}
    with ThreadPoolExecutor() as thread:
        result: Result = thread.submit(CliRunner().invoke, app, words, env=environment).result()
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


async def test_a_user_is_made_and_signs_in_with_what_was_told(api_database_url: str, client: httpx.AsyncClient) -> None:
    told = await asyncio.to_thread(typed, api_database_url, "set", "Boss@shop.example", "--superadmin")
    again = await asyncio.to_thread(typed, api_database_url, "set", "boss@shop.example")

    assert "boss@shop.example: made" in told
    assert "has a new password" in again
    for said, status in ((told, 401), (again, 200)):
        body = {"email": "boss@shop.example", "password": said.split()[-1], "keep": "token"}
        answer = await client.post("/v1/auth/sign-in", json=body)
        assert answer.status_code == status
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await client.get("/v1/auth/me", headers=headers)).json()["superadmin"] is True, "what is not said stays"


def test_what_is_no_address_is_refused(api_database_url: str) -> None:
    with pytest.raises(CommandError, match="'boss' is no e-mail address"):
        typed(api_database_url, "set", "boss")


def token(told: str, purpose: str) -> str:
    """The link's, which is the last line."""
    begin = f"http://localhost:8080/account.html#{purpose}="
    link = told.splitlines()[-1]
    assert link.startswith(begin)
    return link.removeprefix(begin)


async def test_without_mail_the_operator_hands_the_links_out(
    api_database_url: str, guarded: Served, seed: Seed
) -> None:
    guest, words = Guest(guarded.client), ("invite", "New@shop.example", "--organization", "acme")
    made = await invite(guarded, seed.headers("admin@acme"), "new@shop.example", "manager")
    assert made.json()["delivery"] == "operator"

    told = await asyncio.to_thread(typed, api_database_url, *words)
    guarded.clock.now = utc_now()  # as the command has it
    seen = (await guest.look(token(told, "invitation"))).json()
    assert (seen["role"], seen["invited_by"]) == ("manager", "command line"), "as the pending one says"
    await guest.accept(token(told, "invitation"), GOOD)
    await guest.sign_in("new@shop.example", GOOD)

    told = await asyncio.to_thread(typed, api_database_url, "reset", "new@shop.example")
    await guest.post("/password-resets/use", {"token": token(told, "reset"), "password": f"{GOOD}!"}, 204)
    await guest.sign_in("new@shop.example", f"{GOOD}!")


async def test_a_superadmin_chooses_the_first_password(api_database_url: str, guarded: Served) -> None:
    told = await asyncio.to_thread(typed, api_database_url, "create", "boss@shop.example", "--superadmin")
    listed = await asyncio.to_thread(typed, api_database_url, "list")
    assert "boss@shop.example  superadmin, not proven, no password" in listed
    assert "viewer@acme  viewer of acme\n" in listed

    guest, guarded.clock.now = Guest(guarded.client), utc_now()
    await guest.post("/password-resets/use", {"token": token(told, "reset"), "password": GOOD}, 204)
    headers = await guest.sign_in("boss@shop.example", GOOD)
    assert (await guarded.client.get("/v1/auth/me", headers=headers)).json()["superadmin"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("invite", "a@b.test", "--organization", "acme"), "say in which --role"),
        (("invite", "a@b.test", "--organization", "nowhere", "--role", "admin"), "there are: acme, other"),
        (("invite", "a,b@c", "--organization", "acme", "--role", "admin"), "no e-mail address"),
        (("invite", "viewer@acme", "--organization", "acme", "--role", "admin"), "is a member of acme already"),
        (("reset", "nobody@b.test"), "there is no user"),
        (("create", "viewer@acme"), "metrica user reset"),
        (("reset", "viewer@acme", "--public-url", "shop"), "METRICA_PUBLIC_URL is written as"),
    ],
)
async def test_what_cannot_be_is_said(api_database_url: str, seed: Seed, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        await asyncio.to_thread(typed, api_database_url, *words)
