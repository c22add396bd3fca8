"""The rights to each route: every route, asked by everybody. A route that is not in the table does not pass."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import httpx
import pytest

from services.api.app import create_app
from services.api.settings import ApiSettings
from tests.api.callers import Callers, Things
from tests.api.seeded import PASSWORD, Seed
from tests.api.served import Served


class Takes(IntEnum):
    """The parameters of a route."""

    NOTHING = 0
    """Anybody may call it."""
    WORKER_KEY = 1
    SIGN_IN = 2
    """Somebody who is known, whoever that is; what is shown is theirs."""
    PERSON = 3
    VIEWER = 4
    MANAGER = 5
    ADMIN = 6
    SUPERADMIN = 7


@dataclass(frozen=True)
class Row:
    """A route, what it takes, and what it answers to who may.

    In the path, `{store}` and so on are things of acme's, made anew for each request.
    """

    takes: Takes
    method: str
    path: str
    body: Any = None
    answers: int = 200
    says: str = ""
    """Is in the answer to who may: where access lets pass, and then something else stands in the way."""
    of_acme: bool = True
    """It is about something of acme's: who is not of acme finds nothing there."""

    @property
    def route(self) -> tuple[str, str]:
        return self.method, self.path.partition("?")[0]


O, S, C = "/v1/organizations/{organization}", "/v1/stores/{store}", "/v1/cameras/{camera}"  # noqa: E741  # rows of the table fit a line
LINE = {"id": "back", "x1": 0, "y1": 0.5, "x2": 1, "y2": 0.5}
EVENT = {"id": "1", "camera": "door", "line": "entrance", "direction": "in", "at": "2026-11-23T08:00:00Z"}
RUN = {
    "kind": "detections", "cameras": ["{camera}"], "since": "2026-11-23T08:00:00Z", "until": "2026-11-23T09:00:00Z",
}  # fmt: skip
R = "/v1/runs/{run}"
SIGN_IN = {"email": "viewer@acme", "password": PASSWORD, "keep": "token"}
LINK = {"token": "that nobody was sent"}
CHOICE = {**LINK, "password": PASSWORD}
PROOF = {"password": PASSWORD, "code": "no code"}
T = Takes

TABLE = [
    # For those who run it, and to get in
    Row(T.NOTHING, "GET", "/livez"),
    Row(T.NOTHING, "GET", "/readyz"),
    Row(T.NOTHING, "GET", "/metrics"),
    Row(T.NOTHING, "GET", "/openapi.json"),
    Row(T.NOTHING, "GET", "/asyncapi.json"),
    Row(T.NOTHING, "GET", "/docs", answers=307),
    Row(T.NOTHING, "GET", "/.well-known/jwks.json"),
    Row(T.NOTHING, "POST", "/v1/auth/sign-in", SIGN_IN),
    Row(T.NOTHING, "POST", "/v1/auth/refresh", {"refresh_token": "x"}, answers=401, says="has ended"),
    Row(T.NOTHING, "POST", "/v1/auth/invitations/look", LINK, answers=404, says="of no invitation"),
    Row(T.NOTHING, "POST", "/v1/auth/invitations/accept", LINK, answers=404, says="of no invitation"),
    Row(T.NOTHING, "POST", "/v1/auth/password-resets", {"email": "viewer@acme"}, answers=202),
    Row(T.NOTHING, "POST", "/v1/auth/password-resets/look", LINK, answers=404, says="sets no password"),
    Row(T.NOTHING, "POST", "/v1/auth/password-resets/use", CHOICE, answers=404, says="sets no password"),
    Row(T.NOTHING, "POST", "/v1/auth/password-strength", CHOICE, answers=404, says="of no invitation"),
    Row(T.SIGN_IN, "GET", "/v1/auth/me", of_acme=False),
    Row(T.SIGN_IN, "POST", "/v1/auth/sign-out", answers=204, of_acme=False),
    Row(T.PERSON, "POST", "/v1/auth/sign-out-everywhere", answers=204, of_acme=False),
    Row(T.PERSON, "POST", "/v1/auth/password", {"present": "?", "new": PASSWORD}, answers=401, says="not your present"),
    Row(T.PERSON, "GET", "/v1/auth/sign-ins", of_acme=False),
    Row(T.PERSON, "DELETE", "/v1/auth/sign-ins/{sign_in}", answers=404, says="no such sign-in", of_acme=False),
    Row(T.PERSON, "GET", "/v1/auth/second-factor", of_acme=False),
    Row(T.PERSON, "POST", "/v1/auth/second-factor", {}, of_acme=False),
    Row(T.PERSON, "POST", "/v1/auth/second-factor/confirm", {"code": "no code"}, answers=401, says="code is wrong"),
    Row(T.PERSON, "POST", "/v1/auth/second-factor/recovery-codes", PROOF, answers=409, says="no second factor"),
    Row(T.PERSON, "POST", "/v1/auth/second-factor/remove", PROOF, answers=409, says="no second factor"),
    Row(T.SUPERADMIN, "DELETE", "/v1/users/{user}/second-factor", answers=404, says="no second", of_acme=False),
    # Who may do what
    Row(T.SIGN_IN, "GET", "/v1/organizations", of_acme=False),
    Row(T.SUPERADMIN, "POST", "/v1/organizations", {"name": "New"}, answers=201, of_acme=False),
    Row(T.VIEWER, "GET", O),
    Row(T.ADMIN, "PATCH", O, {"months_kept": 12}),
    Row(T.SUPERADMIN, "DELETE", O, answers=409, says="has stores"),
    Row(T.ADMIN, "GET", O + "/members"),
    Row(T.ADMIN, "PATCH", O + "/members/{user}", {"role": "manager"}),
    Row(T.ADMIN, "DELETE", O + "/members/{user}", answers=204),
    Row(T.ADMIN, "GET", O + "/invitations"),
    Row(T.ADMIN, "POST", O + "/invitations", {"email": "{word}@acme", "role": "viewer"}, answers=201),
    Row(T.ADMIN, "DELETE", O + "/invitations/{invitation}", answers=204),
    Row(T.ADMIN, "GET", O + "/keys"),
    Row(T.ADMIN, "POST", O + "/keys", {"name": "till", "role": "viewer"}, answers=201),
    Row(T.ADMIN, "DELETE", O + "/keys/{key}", answers=204),
    Row(T.ADMIN, "GET", O + "/changes"),
    Row(T.SUPERADMIN, "GET", "/v1/users", of_acme=False),
    Row(T.SUPERADMIN, "GET", "/v1/users/{user}", of_acme=False),
    Row(T.SUPERADMIN, "PATCH", "/v1/users/{user}", {"disabled": True}, of_acme=False),
    # Stores and what they count
    Row(T.SIGN_IN, "GET", "/v1/stores", of_acme=False),
    Row(T.ADMIN, "POST", "/v1/stores", {"organization": "acme", "name": "New", "time_zone": "UTC"}, answers=201),
    Row(T.VIEWER, "GET", S),
    Row(T.MANAGER, "PATCH", S, {"capacity": 40}),
    Row(T.ADMIN, "DELETE", S, answers=409, says="has cameras"),
    Row(T.VIEWER, "GET", S + "/counts"),
    Row(T.VIEWER, "GET", S + "/footfall?from=2026-11-01&to=2026-11-02&bucket=day"),
    Row(T.VIEWER, "GET", O + "/footfall?from=2026-11-01&to=2026-11-02&bucket=day"),
    Row(T.VIEWER, "GET", S + "/profile?from=2026-11-01&to=2026-11-02"),
    Row(T.VIEWER, "GET", S + "/crossings?from=2026-11-01&to=2026-11-02"),
    Row(T.VIEWER, "GET", S + "/footfall.csv?from=2026-11-01&to=2026-11-02&bucket=day"),
    Row(T.VIEWER, "GET", S + "/crossings.csv?from=2026-11-01&to=2026-11-02"),
    Row(T.VIEWER, "GET", S + "/occupancy"),
    Row(T.MANAGER, "POST", S + "/occupancy/corrections", {"inside": 12}, answers=201),
    Row(T.VIEWER, "GET", S + "/events"),
    Row(T.VIEWER, "GET", O + "/events"),
    Row(T.VIEWER, "GET", C + "/tracks"),
    # Cameras
    Row(T.VIEWER, "GET", S + "/cameras"),
    Row(T.MANAGER, "POST", S + "/cameras", {"address": "sim://door"}, answers=201),
    Row(T.MANAGER, "POST", S + "/cameras/test", {"address": "sim://door"}, answers=503, says="No ingest runs"),
    Row(T.VIEWER, "GET", C),
    Row(T.VIEWER, "GET", C + "/frame.jpg", answers=404, says="has sent no picture"),
    Row(T.VIEWER, "GET", C + "/health"),
    Row(T.MANAGER, "PATCH", C, {"paused": True}),
    Row(T.MANAGER, "PUT", C + "/lines", {"lines": [LINE]}),
    Row(T.MANAGER, "POST", C + "/lines/preview", {"lines": [LINE]}),
    Row(T.MANAGER, "PUT", C + "/zones", {"zones": [{"id": "till", "polygon": [[0, 0], [1, 0], [1, 1]]}]}),
    Row(T.MANAGER, "POST", C + "/test", answers=503, says="No ingest runs"),
    Row(T.MANAGER, "DELETE", C, answers=204),
    # Runs
    Row(T.SIGN_IN, "GET", "/v1/runs", of_acme=False),
    Row(T.MANAGER, "POST", "/v1/runs", RUN, answers=201),
    Row(T.VIEWER, "GET", R),
    Row(T.VIEWER, "GET", R + "/events"),
    Row(T.VIEWER, "GET", R + "/promotions"),
    Row(T.MANAGER, "POST", R + "/promotions", {"camera": "{camera}", "line": "x"}, answers=422, says="not finished"),
    Row(T.MANAGER, "DELETE", R, answers=202),
    Row(T.MANAGER, "DELETE", "/v1/promotions/{promotion}", answers=204),
    # The edge
    Row(T.WORKER_KEY, "POST", "/v1/ingest/crossings", {"events": [EVENT]}, answers=503, says="Send the batch again"),
]  # fmt: skip

STANDING = {
    "viewer": T.VIEWER,
    "reader's key": T.VIEWER,
    "manager": T.MANAGER,
    "admin": T.ADMIN,
    "superadmin": T.SUPERADMIN,
}
UNKNOWN = ("anonymous", "expired token", "worker key", "revoked key")
CALLERS = (*UNKNOWN, *STANDING, "other admin", "other's key")
KEYS = {"reader's key", "other's key"}


def expected(row: Row, caller: str) -> tuple[int, str]:
    """The status that the table asks for, and what the answer says."""
    granted = row.answers, row.says
    if row.takes is T.NOTHING or (row.takes is T.WORKER_KEY and caller == "worker key"):
        return granted
    if caller in UNKNOWN or row.takes is T.WORKER_KEY:
        return 401, ""
    if row.takes is T.PERSON:
        return (403, "Only people") if caller in KEYS else granted
    if row.takes is T.SIGN_IN:
        return granted
    if caller in STANDING:
        return granted if STANDING[caller] >= row.takes else (403, "")
    return (404, "There is no") if row.of_acme else (403, "")


def filled(body: Any, things: dict[str, str]) -> Any:  # noqa: ANN401  # JSON
    """A row's body, with the names of fresh things."""
    if isinstance(body, dict):
        return {name: filled(value, things) for name, value in body.items()}
    if isinstance(body, list):
        return [filled(each, things) for each in body]
    return body.format(**things) if isinstance(body, str) else body


async def ask(client: httpx.AsyncClient, row: Row, things: dict[str, str], headers: dict[str, str]) -> tuple[int, str]:
    """The status and the beginning of the answer; a live stream does not end by itself."""
    path, body = row.path.format(**things), filled(row.body, things)
    async with client.stream(row.method, path, json=body, headers=headers) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, ""
        return answer.status_code, (await answer.aread()).decode(errors="replace")


@pytest.mark.parametrize("caller", CALLERS)
async def test_every_route_lets_in_whom_the_table_names(caller: str, guarded: Served, seed: Seed) -> None:
    callers, things = Callers(guarded, seed), Things(guarded, seed)
    wrong: list[str] = []
    for row in TABLE:
        named = await things.fresh()
        status, text = await ask(guarded.client, row, named, await callers.headers(caller))
        wanted, says = expected(row, caller)
        if status != wanted or says not in text:
            wrong.append(f"{row.method} {row.path}: {status} instead of {wanted} {says!r}: {text[:200]}")
        if caller.startswith("other") and not row.of_acme and named["store"] in text:
            wrong.append(f"{row.method} {row.path}: shows what is acme's")
        if "sign-out" in row.path:
            await callers.sign_in_again()

    assert wrong == []


async def test_this_machine_sees_what_a_viewer_sees_where_it_is_let(served: Served, seed: Seed) -> None:
    things, wrong = Things(served, seed), list[str]()
    for row in TABLE:
        status, text = await ask(served.client, row, await things.fresh(), {})
        reads = row.method == "GET" and row.takes in {T.SIGN_IN, T.VIEWER}
        if row.takes is T.NOTHING or reads:
            wanted = {row.answers}
        elif row.path == "/v1/auth/sign-out":
            wanted = {204}  # nobody was signed in, and nobody is
        else:
            wanted = {401, 403} if row.takes is T.PERSON else {401}
        if status not in wanted:
            wrong.append(f"{row.method} {row.path}: {status} instead of {wanted}: {text[:200]}")

    assert wrong == []


async def test_every_route_is_in_the_table() -> None:
    app = create_app(ApiSettings.model_validate({"database_url": "postgresql://nowhere"}))
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}

    assert described == {row.route for row in TABLE} - {
        ("GET", "/openapi.json"),
        ("GET", "/asyncapi.json"),
        ("GET", "/docs"),
    }
    assert len(TABLE) == len({row.route for row in TABLE})


async def test_every_route_is_described_or_known_to_be_none() -> None:
    """Routes that the description leaves out could otherwise hide from the table."""
    app = create_app(ApiSettings.model_validate({"database_url": "postgresql://nowhere"}))
    hidden = {getattr(route, "path", "") for route in app.routes if not getattr(route, "include_in_schema", True)}

    assert hidden <= {"/openapi.json", "/asyncapi.json", "/docs"}
