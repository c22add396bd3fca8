"""People who are invited in a test of the API, and what they do with their mail."""

from __future__ import annotations

import httpx

from tests.api.served import Served
from tests.support.post_office import PostOffice

PUBLIC_URL = "https://counts.shop.example"
GOOD = "violet tractor hums 83 songs"
"""A password that nobody guesses."""


def mail_settings(post: PostOffice) -> dict[str, object]:
    """Settings by which an API sends its mail there."""
    return {
        "smtp_host": "127.0.0.1",
        "smtp_port": post.port,
        "smtp_tls": "none",
        "mail_from": "Metrica <metrica@shop.example>",
        "public_url": PUBLIC_URL,
    }


class Guest:
    """Somebody with a link, who may have signed in."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> None:
        self._client, self._headers = client, headers or {}

    async def post(self, path: str, body: object, status: int = 200) -> httpx.Response:
        answer = await self._client.post(f"/v1/auth{path}", json=body, headers=self._headers)
        assert answer.status_code == status, answer.text
        return answer

    async def look(self, token: str, status: int = 200) -> httpx.Response:
        return await self.post("/invitations/look", {"token": token}, status)

    async def accept(
        self, token: str, password: str | None = None, status: int = 200, **said: object
    ) -> httpx.Response:
        body = {"token": token, **said} | ({} if password is None else {"password": password})
        return await self.post("/invitations/accept", body, status)

    async def sign_in(self, email: str, password: str, status: int = 200) -> dict[str, str]:
        """Sign in; what is sent from then on."""
        answer = await self.post("/sign-in", {"email": email, "password": password, "keep": "token"}, status)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"} if status == 200 else {}


async def invite(
    served: Served,
    headers: dict[str, str],
    email: str,
    role: str = "viewer",
    organization: str = "acme",
    *,
    name: str = "",
    status: int = 201,
) -> httpx.Response:
    """Invite somebody."""
    body = {"email": email, "role": role, "name": name}
    answer = await served.client.post(f"/v1/organizations/{organization}/invitations", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer


async def unproven(served: Served, email: str, password: str, organization: str | None = None) -> None:
    """An account that an admin made in a release before, with a password of the admin's."""
    hashed = await served.parts.passwords.hash(password)
    user = await served.pool.fetchval(
        "INSERT INTO account (id, email, name, password_hash, superadmin, disabled, created_at)"
        " VALUES (gen_random_uuid(), $1, 'Chief', $2, false, false, now()) RETURNING id",
        email,
        hashed,
    )
    if organization is not None:
        await served.pool.execute("INSERT INTO membership VALUES ($1, $2, 'viewer')", user, organization)
