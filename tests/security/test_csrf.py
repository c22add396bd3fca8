"""A cookie vouches for changes that our own page asks for, and for no other (Holds: "CSRF with cookie")."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.api.seeded import PASSWORD, Seed
from tests.api.served import Served
from tests.api.test_access_table import Takes
from tests.security.attempts import filled, ids, operations

FOREIGN = {
    "no header at all": {},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another name of the same site": {"Sec-Fetch-Site": "same-site"},
    "an unknown word": {"Sec-Fetch-Site": "same-origin-allow"},
    "an empty word": {"Sec-Fetch-Site": ""},
    "capitals": {"Sec-Fetch-Site": "SAME-ORIGIN"},
    "another site that says our Origin": {"Sec-Fetch-Site": "cross-site", "Origin": "{origin}"},
    "a foreign Origin": {"Origin": "http://evil.example"},
    "an Origin without a name": {"Origin": "null"},
    "an empty Origin": {"Origin": ""},
    "an Origin with a port of its own": {"Origin": "{origin}0"},
    "an Origin without the port": {"Origin": "http://127.0.0.1"},
    "an Origin that begins as ours": {"Origin": "{origin}.evil.example"},
    "an Origin that ends as ours": {"Origin": "http://evil.example/{host}"},
    "an Origin with a user": {"Origin": "http://{host}@evil.example"},
    "our Origin in the Referer": {"Referer": "{origin}/"},
    "two Origins": {"Origin": "{origin} http://evil.example"},
    "a header that scripts may set": {"X-Requested-With": "XMLHttpRequest", "X-CSRF-Token": "1"},
}
OURS = {
    "Sec-Fetch-Site": {"Sec-Fetch-Site": "same-origin"},
    "the address bar": {"Sec-Fetch-Site": "none"},
    "Origin": {"Origin": "{origin}"},
}


def said(headers: dict[str, str], client: httpx.AsyncClient) -> dict[str, str]:
    origin = str(client.base_url).rstrip("/")
    return {name: value.format(origin=origin, host=origin.partition("://")[2]) for name, value in headers.items()}


async def test_no_page_but_our_own_changes_anything_by_a_cookie(guarded: Served, seed: Seed) -> None:
    """Every route that does more than show, asked with the cookie of an admin who may."""
    cookie, wrong = {"Cookie": f"metrica_access={seed.token('admin@acme')}"}, []
    before = await guarded.pool.fetchval("SELECT count(*) FROM audit_entry")
    for how, headers in FOREIGN.items():
        for operation in operations():
            if not operation.changes or operation.path.startswith("/v1/ingest/"):  # a worker's key is no cookie
                continue
            path, body = operation.path.format(**ids("acme", seed)), filled(operation.body, ids("acme", seed))
            guarded.client.cookies.clear()
            foreign = said(headers, guarded.client)
            answer = await guarded.client.request(operation.method, path, json=body, headers={**cookie, **foreign})
            # What takes no cookie at all is no matter here, as long as it gives none.
            if answer.status_code not in {401, 403, 422, 429} and operation.takes is not Takes.NOTHING:
                wrong.append(f"{how}: {operation}: {answer.status_code} {answer.text[:200]}")
            if "set-cookie" in answer.headers:
                wrong.append(f"{how}: {operation} gives a cookie: {answer.headers['set-cookie']}")

    assert wrong == []
    assert await guarded.pool.fetchval("SELECT count(*) FROM audit_entry") == before


@pytest.mark.parametrize("how", OURS, ids=OURS)
async def test_our_own_page_does(how: str, guarded: Served, seed: Seed) -> None:
    headers = {"Cookie": f"metrica_access={seed.token('admin@acme')}", **said(OURS[how], guarded.client)}
    answer = await guarded.client.patch("/v1/stores/shop", json={"capacity": 7}, headers=headers)

    assert answer.status_code == 200, answer.text


async def test_no_page_signs_somebody_in_as_another(guarded: Served) -> None:
    """Login CSRF: a victim who is signed in as the attacker tells the attacker what they do."""
    right = {"email": "viewer@acme", "password": PASSWORD}
    for how, headers in FOREIGN.items():
        answer = await guarded.client.post("/v1/auth/sign-in", json=right, headers=said(headers, guarded.client))
        assert answer.status_code == 403, (how, answer.text)
        assert "set-cookie" not in answer.headers, how


FORMS = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/csp-report",
    "",
)


@pytest.mark.parametrize("kind", FORMS)
async def test_what_a_form_of_any_site_can_send_is_no_json(kind: str, guarded: Served, seed: Seed) -> None:
    """These need no preflight. Our own page never sends them, so that not even a forged origin would help."""
    headers = {
        "Cookie": f"metrica_access={seed.token('admin@acme')}",
        "Content-Type": kind,
        **said(OURS["Sec-Fetch-Site"], guarded.client),
    }
    body = json.dumps({"name": "x", "role": "viewer"}).encode()
    answer = await guarded.client.post("/v1/organizations/acme/keys", content=body, headers=headers)

    assert answer.status_code == 422, answer.text


async def test_no_preflight_is_ever_answered_with_a_yes(guarded: Served) -> None:
    """There is no CORS: a script of another site neither sends JSON nor reads an answer."""
    asked = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,authorization",
    }
    for operation in operations():
        path = operation.path.replace("{", "").replace("}", "")
        for method in ("OPTIONS", "GET"):
            async with guarded.client.stream(method, path, headers=asked) as answer:
                assert not [name for name in answer.headers if name.startswith("access-control-")], operation


async def test_showing_changes_nothing(guarded: Served, seed: Seed) -> None:
    """GET is not looked at for its origin: so it must be safe, for every route."""
    before = await guarded.pool.fetchval("SELECT count(*) FROM audit_entry")
    for operation in operations():
        if operation.method == "GET":
            path = operation.path.format(**ids("acme", seed))
            headers = {"Cookie": f"metrica_access={seed.token('admin@acme')}", "Sec-Fetch-Site": "cross-site"}
            async with guarded.client.stream("GET", path, params=operation.query, headers=headers):
                pass

    assert await guarded.pool.fetchval("SELECT count(*) FROM audit_entry") == before
    assert await guarded.pool.fetchval("SELECT count(*) FROM refresh_token") == 5
