"""The serving of an app: hashed files for ever, compressed for clients that take it, and its page for every address."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse, StreamingResponse

from services.api.http import problems, security
from services.api.pages.app import PLAIN, AppPages

SCRIPT = "const counts = [];\n" * 100
HTML = '<!doctype html><link rel="icon" href="./icon.svg"><script type="module" src="./assets/index-a1.js"></script>'


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """The files that a build leaves behind."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(HTML)
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "account.html").write_text("<!doctype html>account")
    script = tmp_path / "assets" / "index-a1.js"
    script.write_text(SCRIPT)
    script.with_name("index-a1.js.gz").write_bytes(gzip.compress(SCRIPT.encode(), mtime=0))
    script.with_name("index-a1.js.br").write_bytes(b"brotli")
    return tmp_path


@pytest.fixture
async def client(dist: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)
    security.install(app, [])

    @app.get("/v1/large")
    async def large() -> JSONResponse:
        return JSONResponse({"text": "counted " * 20_000}, headers={"ETag": '"f00d"'})

    @app.get("/v1/small")
    async def small() -> dict[str, int]:
        return {"in": 3}

    @app.get("/v1/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(iter([b"event: counts\ndata: {}\n\n" * 100]), media_type="text/event-stream")

    app.mount("/", AppPages(dist))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
        yield asking


async def raw(client: httpx.AsyncClient, path: str, encoding: str) -> tuple[httpx.Response, bytes]:
    """An answer and its body as it was sent."""
    async with client.stream("GET", path, headers={"Accept-Encoding": encoding}) as answer:
        return answer, b"".join([part async for part in answer.aiter_raw()])


async def test_hashed_files_are_kept_for_ever_and_the_page_is_asked_for_anew(client: httpx.AsyncClient) -> None:
    script = await client.get("/assets/index-a1.js")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"].startswith("text/javascript")

    for path in ("/", "/icon.svg", "/account.html"):
        assert (await client.get(path)).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("accepted", "coding", "body"),
    [
        ("gzip, deflate, br, zstd", "br", b"brotli"),
        ("gzip;q=0.8, br;q=0", "gzip", gzip.compress(SCRIPT.encode(), mtime=0)),
        ("identity", None, SCRIPT.encode()),
        ("br;q=0.0, gzip; q=0", None, SCRIPT.encode()),
    ],
)
async def test_files_are_sent_as_they_were_compressed_at_build(
    client: httpx.AsyncClient, accepted: str, coding: str | None, body: bytes
) -> None:
    async with client.stream("GET", "/assets/index-a1.js", headers={"Accept-Encoding": accepted}) as answer:
        sent = b"".join([part async for part in answer.aiter_raw()])

    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"].endswith("immutable")
    assert gzip.decompress(sent) == gzip.decompress(body) if coding == "gzip" else sent == body


async def test_compressed_files_have_no_address_of_their_own(client: httpx.AsyncClient) -> None:
    assert (await client.get("/assets/index-a1.js.br")).status_code == 404
    assert (await client.get("/assets/index-a1.js.gz")).status_code == 404


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/", "./"),
        ("/index.html", "./"),
        ("/sign-in", "./"),
        ("/stores/shop", "../"),
        ("/stores/shop/history", "../../"),
    ],
)
async def test_the_page_finds_its_files_from_every_address(client: httpx.AsyncClient, path: str, root: str) -> None:
    """Below a path prefix, too: nothing in it begins with a slash."""
    answer = await client.get(path)

    assert answer.status_code == 200
    assert f'src="{root}assets/index-a1.js"' in answer.text
    assert f'href="{root}icon.svg"' in answer.text
    assert (await client.get(path, headers={"If-None-Match": answer.headers["etag"]})).status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/nothing", "/assets/index-b2.js", "/app.js", "/.git/config", "/a/b/c/d/e/f/g/h/i", "/stores/%00"],
)
async def test_what_is_no_page_is_a_problem(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Accept": "text/html"})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_page_is_only_read(client: httpx.AsyncClient) -> None:
    assert (await client.post("/stores/shop")).status_code == 405
    assert (await client.head("/stores/shop")).status_code == 200


async def test_large_json_is_compressed_with_its_etag(client: httpx.AsyncClient) -> None:
    answer, body = await raw(client, "/v1/large", "gzip")

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(body))
    assert "Accept-Encoding" in answer.headers["vary"]
    assert answer.headers["etag"] == '"f00d"'
    assert b"counted counted" in gzip.decompress(body)
    assert len(body) < 5_000


@pytest.mark.parametrize(
    ("path", "encoding"),
    [("/v1/large", "identity"), ("/v1/large", "br"), ("/v1/small", "gzip"), ("/v1/events", "gzip")],
)
async def test_what_is_small_or_sent_little_by_little_is_sent_as_it_is(
    client: httpx.AsyncClient, path: str, encoding: str
) -> None:
    answer, body = await raw(client, path, encoding)

    assert "content-encoding" not in answer.headers
    assert body[:1] in {b"{", b"e"}


async def test_an_app_that_is_not_built_has_a_plain_page_in_its_place(tmp_path: Path) -> None:
    app = FastAPI()
    app.mount("/", AppPages(tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        page = await client.get("/stores/shop")
        assert page.status_code == 200
        assert "not built" in page.text
        assert 'src="../plain.js"' in page.text
        assert (await client.get("/plain.js")).text == (PLAIN / "plain.js").read_text()
