"""What people write is shown as text, and nothing but our own scripts runs (Holds: "HTML in names")."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from playwright.sync_api import Page, expect

from tests.api.seeded import Seed
from tests.api.served import Served
from tests.browser.conftest import Shop
from tests.browser.conftest import page as page  # a fixture, handed on
from tests.browser.conftest import shop as shop
from tests.browser.test_dashboard import LONG

ROOT = Path(__file__).parents[2]
EVIL = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>'\"`</title>&lt;b&gt;"
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|javascript:|"
    r"set(?:Timeout|Interval)\(\s*[\"'`]|DOMParser|createContextualFragment|postMessage|localStorage"
)


def test_names_are_shown_as_they_were_written(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.cross(1)

    async def rename() -> None:
        connection = await asyncpg.connect(shop.database_url)
        for change in ("store SET name", "camera SET name", "line SET name", "line SET in_name", "line SET out_name"):
            await connection.execute(f"UPDATE {change} = $1", EVIL)
        await connection.close()

    with ThreadPoolExecutor() as thread:
        thread.submit(asyncio.run, rename()).result()
    page.goto(shop.url)
    expect(page.get_by_text(EVIL).first).to_be_attached(timeout=LONG)

    assert page.title() != "run"
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("script:not([src])").count() == 0


def test_no_script_makes_html_of_what_it_was_sent() -> None:
    """A constant piece of HTML is none: nothing is put into it but by `textContent`."""
    found = [
        f"{script.relative_to(ROOT)}: {line.strip()}"
        for folder in ("dashboards", "services/api/docs")
        for script in (ROOT / folder).rglob("*.js")
        for line in script.read_text().splitlines()
        if SINKS.search(line) and not re.search(r"innerHTML = (\"[^\"$]*\"|'[^'$]*');$", line.strip())
    ]

    assert found == []


def test_no_page_has_a_script_or_a_style_within_it() -> None:
    pages = [*(ROOT / "dashboards").rglob("*.html"), *(ROOT / "services/api").rglob("*.html")]

    assert len(pages) >= 2
    for one in pages:
        html = one.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+\s*=|<style|javascript:|\sstyle=", html), one
        assert not re.search(r"(src|href|action)=[\"']?(https?:)?//", html), one


async def test_every_answer_forbids_what_is_not_our_own(served: Served) -> None:
    for path in ("/", "/app.js", "/docs/", "/v1/stores", "/openapi.json", "/nothing", "/v1/stores/%00", "/livez"):
        for host in ("localhost", "evil.example"):
            headers = (await served.client.get(path, headers={"Host": host})).headers
            policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
            assert (policy["default-src"], policy["script-src"], policy["base-uri"]) == ("'none'", "'self'", "'none'")
            assert (policy["frame-ancestors"], policy["form-action"]) == ("'none'", "'none'")
            assert not re.search("unsafe|http:|https:|\\*|data:", policy["script-src"] + policy["style-src"])
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/v1/stores/<script>", "/%3Cscript%3Ealert(1)%3C/script%3E", "/v1/cameras/%22%3E"])
async def test_an_error_is_json_whatever_it_repeats(path: str, guarded: Served, seed: Seed) -> None:
    answer = await guarded.client.get(path, headers={**seed.headers("admin@acme"), "Accept": "text/html"})

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code in {404, 422}
