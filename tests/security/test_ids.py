"""Row 13: ids of stores and cameras tell nobody what other organizations have."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.api.seeded import ROOT, Seed

SHAPES = {
    "/stores": ({"organization": "acme", "name": "{}", "time_zone": "UTC"}, "shop", "mall"),
    "/stores/shop/cameras": ({"name": "{}", "address": "sim://door"}, "door", "gate"),
    "/organizations": ({"name": "{}"}, "acme", "other"),
}
"""What is sent, an id of acme's and one of other's."""


@pytest.mark.parametrize("path", SHAPES)
async def test_a_taken_id_is_refused_alike_whoever_has_it(client: httpx.AsyncClient, seed: Seed, path: str) -> None:
    body, own, anothers = SHAPES[path]
    who = seed.headers(ROOT if path == "/organizations" else "admin@acme")
    answers = []
    for taken in (own, anothers):
        answer = await client.post(f"/v1{path}", json={**body, "id": taken}, headers=who)
        text = re.sub(rf"(['\"]){taken}\1", "ID", answer.text)
        answers.append((answer.status_code, text, sorted(answer.headers)))

    assert answers[0] == answers[1]
    assert answers[0][0] == 409


@pytest.mark.parametrize("path", SHAPES)
async def test_an_id_may_be_left_out_and_is_made_alike(client: httpx.AsyncClient, seed: Seed, path: str) -> None:
    body, own, anothers = SHAPES[path]
    who = seed.headers(ROOT if path == "/organizations" else "admin@acme")
    made = []
    for name in ("brand-new", own, anothers, anothers):
        answer = await client.post(f"/v1{path}", json={**body, "name": name}, headers=who)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])

    assert made[0] == "brand-new"
    for name, one in zip((own, anothers, anothers), made[1:], strict=True):
        assert re.fullmatch(rf"{name}-[0-9a-f]{{6}}", one), "which does not tell how many others there are"
