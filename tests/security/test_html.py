"""Text that people write is shown as text, and nothing but our own scripts runs (Holds: "HTML in names").

`test_headers.py` has what each answer says to browsers.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
from playwright.sync_api import Page, expect

from tests.browser.conftest import Shop
from tests.browser.conftest import page as page  # a fixture, handed on
from tests.browser.conftest import shop as shop
from tests.browser.test_dashboard import LONG

ROOT = Path(__file__).parents[2]
EVIL = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>'\"`</title>&lt;b&gt;"
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|javascript:|"
    r"set(?:Timeout|Interval)\(\s*[\"'`]|DOMParser|createContextualFragment|postMessage|localStorage|sessionStorage|indexedDB"
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


def test_password_fields_hide_what_is_typed_and_let_managers_fill_it() -> None:
    fields = [
        field
        for page in (ROOT / "dashboards").rglob("*.html")
        for field in re.findall(r"<input[^>]*>", page.read_text())
        if re.search(r"name=.?(?:\w*password|present|new)\b", field)
    ]

    assert fields
    for field in fields:
        assert 'type="password"' in field, field
        assert re.search(r'autocomplete="(current|new)-password"', field), field
    scripts = [script.read_text() for script in (ROOT / "dashboards").rglob("*.js")]
    assert not [script for script in scripts if re.search(r"onpaste|[\"']paste[\"']", script)]


def test_no_script_fills_an_object_by_names_that_were_sent() -> None:
    """`__proto__` and `constructor` would be filled, too: what has names of others is a `Map`."""
    by_name = re.compile(r"^\s*[\w.]+\[[a-z][\w.]*\] = ", re.MULTILINE)
    scripts = [script for folder in ("dashboards", "services/api/docs") for script in (ROOT / folder).rglob("*.js")]

    assert [script.name for script in scripts if by_name.search(script.read_text())] == []
