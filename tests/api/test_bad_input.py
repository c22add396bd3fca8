"""Input that no honest client sends is refused as bad input, and is no error of the API's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from services.api.cameras.schemas import LinesIn
from tests.api.asked import Asked
from tests.api.served import Served


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.fixture
def send(
    client: httpx.AsyncClient, superadmin_headers: dict[str, str], worker_headers: dict[str, str]
) -> Callable[..., Any]:
    """`send("PUT", "/v1/…", body)`: a superadmin's and a worker's request, refused as a problem; gives its status."""

    async def send(method: str, path: str, body: bytes | object = b"", **headers: str) -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        said = {"Content-Type": "application/json", **superadmin_headers, **worker_headers, **headers}
        answer = await client.request(method, path, content=content, headers=said)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return answer.status_code

    return send


BODIES = [
    ("POST", "/v1/organizations", "name"),
    ("PATCH", "/v1/stores/shop", "opening_hours"),
    ("PUT", "/v1/cameras/door/lines", "lines"),
    ("POST", "/v1/stores/shop/occupancy/corrections", "inside"),
    ("POST", "/v1/ingest/crossings", "events"),
]


@pytest.mark.parametrize(("method", "path", "name"), BODIES)
async def test_half_of_a_pair_is_no_text_and_no_name(
    method: str, path: str, name: str, send: Callable[..., Any]
) -> None:
    assert await send(method, path, {name: "\ud800"}) == 422
    assert await send(method, path, {name: 1, "\ud800": 1}) == 422
    assert await send(method, path, {name: {"\ud800\x00": "\x00"}}) == 422


@pytest.mark.parametrize(("method", "path", "name"), BODIES)
async def test_a_body_that_is_nested_too_deep_is_refused(
    method: str, path: str, name: str, send: Callable[..., Any]
) -> None:
    for depth in (*range(920, 930), 100_000):  # around what the JSON parser can just read
        assert await send(method, path, f'{{"{name}": {nested(depth)}}}'.encode()) in {400, 422}, depth


def test_a_body_is_looked_through_however_deep_it_is() -> None:
    lines: list[Any] = ["\x00"]
    for _ in range(5_000):
        lines = [lines]

    with pytest.raises(ValidationError, match="a character that none may hold"):
        LinesIn.model_validate({"lines": lines})


@pytest.mark.parametrize("number", ["1" * 4000, "1" * 5000, "-1e308", "1e308", "1e999", "NaN", "Infinity", "-Infinity"])
async def test_a_number_that_is_out_of_all_range_is_refused(number: str, send: Callable[..., Any]) -> None:
    line = f'{{"lines": [{{"id": "a", "x1": {number}, "y1": 0, "x2": 1, "y2": 1}}]}}'
    area = f'{{"detection": {{"regions": [[[0, 0], [1, {number}], [1, 1]]]}}}}'
    assert await send("PUT", "/v1/cameras/door/lines", line.encode()) in {400, 422}
    assert await send("PATCH", "/v1/cameras/door", area.encode()) in {400, 422}
    assert await send("PATCH", "/v1/cameras/door", f'{{"start": {number}}}'.encode()) in {400, 422}
    assert await send("PATCH", "/v1/stores/shop", f'{{"capacity": {number}}}'.encode()) in {400, 422}


@pytest.mark.parametrize(
    "header", [nested(2_000).encode(), b"[]", b'{"alg": "ES256", "kid": {}}', b'{"alg": {"a": 1}}', b"\xff"]
)
async def test_a_token_that_is_none_lets_nobody_in(header: bytes, client: httpx.AsyncClient) -> None:
    coded = base64.urlsafe_b64encode(header).decode().rstrip("=")
    for token in (f"{coded}.{coded}.", f"{coded}.e30.AA", coded):
        answer = await client.get("/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("path", ["/%00", "/docs/%00", "/v1/%00/x", "/" + "x" * 5_000, "/%ed%a0%80", "/..%2f..%2f\xff"])
async def test_a_path_that_no_file_can_have_leads_nowhere(path: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(path)

    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_dates_at_the_ends_of_the_calendar_are_refused(
    guarded: Served, superadmin_headers: dict[str, str]
) -> None:
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        await guarded.pool.execute("UPDATE store SET time_zone = $1", zone)
        for path in (
            "counts?day=",
            "occupancy?day=",
            "footfall?bucket=day&to=",
            "footfall.csv?to=",
            "crossings.csv?to=",
        ):
            for day, status in (("0001-01-01", 422), ("9999-12-31", 422), ("1970-01-02", 200), ("2999-12-31", 200)):
                url = f"/v1/stores/shop/{path}{day}"
                answer = await guarded.client.get(url, headers=superadmin_headers)
                assert answer.status_code == status, (zone, url, answer.text)


async def test_a_crossing_at_an_end_of_the_calendar_is_refused_by_itself(
    client: httpx.AsyncClient, worker_headers: dict[str, str]
) -> None:
    moments = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00")
    events = [{"id": at, "camera": "door", "line": "entrance", "direction": "in", "at": at} for at in moments]
    answer = await client.post("/v1/ingest/crossings", json={"events": events}, headers=worker_headers)

    assert answer.json()["refused"] == 2, answer.text


@pytest.mark.parametrize("cursor", ["%00", "!", "_____w", "7aCA", "AAAA"])
async def test_a_cursor_that_is_none_is_refused(cursor: str, send: Callable[..., Any]) -> None:
    for path in ("stores/shop/cameras", "organizations/acme/changes", "organizations/acme/keys", "users"):
        assert await send("GET", f"/v1/{path}?cursor={cursor}") == 422, path


async def test_an_address_that_looks_sealed_is_refused(send: Callable[..., Any]) -> None:
    sealed = {"address": "sealed:gAAAA"}
    assert await send("PATCH", "/v1/cameras/door", sealed) == 422
    assert await send("POST", "/v1/stores/shop/cameras", sealed) == 422
    assert await send("POST", "/v1/stores/shop/cameras/test", sealed) == 422


async def test_an_etag_that_is_none_is_no_match(send: Callable[..., Any]) -> None:
    for tag in ("", '"', "W/", "null", ", ,", '"' * 99):
        assert await send("PATCH", "/v1/stores/shop", {"name": "New"}, **{"If-Match": tag}) == 412, tag


# What gets past all of that, and the database will not have, is an error of the API's: nothing is away.


@pytest.mark.parametrize(
    ("rule", "method", "path", "body"),
    [
        ("store ADD CHECK (name <> 'Nothing')", "PATCH", "/v1/stores/shop", {"name": "Nothing"}),
        ("store ALTER name TYPE varchar(10)", "PATCH", "/v1/stores/shop", {"name": "Longer than that"}),
        ("occupancy_correction ADD CHECK (inside < 5)", "POST", "/v1/stores/shop/occupancy/corrections", {"inside": 5}),
    ],
    ids=["a constraint", "data that does not fit", "a constraint, told by the driver"],
)
async def test_what_the_database_refuses_is_not_told_as_a_database_that_is_away(
    asked: Asked, rule: str, method: str, path: str, body: dict[str, Any]
) -> None:
    await asked.set_up()
    await asked.pool.execute(f"ALTER TABLE {rule}")

    answer = await asked.client.request(method, path, json=body)

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json"), answer.text
    assert "its log has the details" in answer.json()["detail"]
