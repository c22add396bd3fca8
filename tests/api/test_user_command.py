"""`metrica user`: what a person types."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from typer.testing import CliRunner, Result

from services.cli.errors import Refused
from services.cli.user import app


def typed(database_url: str, *words: str) -> str:
    """In a thread of its own: the command has an event loop of its own."""
    environment = {"METRICA_DATABASE_URL": database_url}
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
    with pytest.raises(Refused, match="'boss' is no e-mail address"):
        typed(api_database_url, "set", "boss")
