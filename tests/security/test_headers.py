"""The headers by which each answer protects browsers, and those that it does not have (Holds: "HTML in names")."""

from __future__ import annotations

import re

import pytest

from tests.api.seeded import Seed
from tests.api.served import Served


async def test_every_answer_forbids_what_is_not_our_own(served: Served) -> None:
    for path in ("/", "/account.js", "/docs/", "/v1/stores", "/openapi.json", "/nothing", "/v1/stores/%00", "/livez"):
        for host in ("localhost", "evil.example"):
            headers = (await served.client.get(path, headers={"Host": host})).headers
            policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
            assert (policy["default-src"], policy["script-src"], policy["base-uri"]) == ("'none'", "'self'", "'none'")
            assert (policy["frame-ancestors"], policy["form-action"]) == ("'none'", "'none'")
            assert (policy["worker-src"], policy["require-trusted-types-for"]) == ("'self'", "'script'")
            assert not re.search("unsafe|http:|https:|\\*|data:", policy["script-src"] + policy["style-src"])
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


async def test_an_error_is_json_whatever_it_repeats(guarded: Served, seed: Seed) -> None:
    for path in ("/v1/stores/<script>", "/v1/%3Cscript%3Ealert(1)%3C/script%3E", "/v1/cameras/%22%3E", "/%3Ca%3E.html"):
        answer = await guarded.client.get(path, headers={**seed.headers("admin@acme"), "Accept": "text/html"})
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.status_code in {404, 422}


async def test_a_page_repeats_nothing_of_its_address(served: Served) -> None:
    answer = await served.client.get("/stores/%3Cscript%3Ealert(1)%3Cscript%3E?store=%3Cscript%3E")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "alert" not in answer.text


async def test_every_answer_says_what_it_is_and_text_in_which_encoding(served: Served) -> None:
    """JSON is UTF-8 and says no charset (RFC 8259)."""
    for path in (
        "/",
        "/account.js",
        "/style.css",
        "/docs/",
        "/v1/stores",
        "/openapi.json",
        "/nothing",
        "/livez",
        "/metrics",
    ):
        kind = (await served.client.get(path)).headers["content-type"]
        assert kind in {"application/json", "application/problem+json"} or "charset=utf-8" in kind, (path, kind)
    for path in ("/icon.svg", "/v1/stores/shop/footfall.csv?from=2026-11-20&to=2026-11-21"):
        assert "content-type" in (await served.client.get(path)).headers, path


async def test_no_folder_is_listed(served: Served) -> None:
    for path in ("/docs/..", "/.", "/docs/.", "/static/", "/dashboards/", "/live/"):
        answer = await served.client.get(path)
        assert answer.status_code in {307, 404} or answer.text.lstrip().lower().startswith("<!doctype html>"), path
        assert "Index of" not in answer.text


async def test_no_answer_says_what_it_is_made_of(served: Served) -> None:
    """Versions of the server, the framework or the language help who looks for a known hole."""
    for path in ("/", "/v1/stores", "/nothing", "/livez", "/v1/stores/%00", "/openapi.json"):
        answer = await served.client.get(path)
        told = f"{answer.headers} {answer.text if answer.is_error else ''}"
        assert not re.search(
            r"python/|starlette|fastapi|asyncpg|sqlalchemy|Traceback|x-powered-by|\.py\b", told, re.IGNORECASE
        ), path


async def test_an_error_of_ours_tells_nothing_of_our_insides(
    guarded: Served, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM /srv/metrica/services/api/app.py")

    monkeypatch.setattr("services.api.stores.service.change", broken)
    change = {"capacity": 3}
    answer = await guarded.client.patch("/v1/stores/shop", json=change, headers=seed.headers("admin@acme"))

    assert answer.status_code == 500
    assert "SELECT" not in answer.text
    assert "app.py" not in answer.text
    assert "its log has the details" in answer.json()["detail"]
