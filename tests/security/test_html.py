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
    r"[iI]nnerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|javascript:|"
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


def sources(*suffixes: str) -> list[Path]:
    """The files of our own that browsers get, as they were written: not what is built of them, or others' packages."""
    return [
        file
        for folder in ("dashboards", "services/api")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in suffixes
        and not {"node_modules", "dist", "generated"} & set(file.parts)
        and ".test" not in file.name
    ]


def scripts() -> list[Path]:
    return sources(".js", ".ts", ".tsx")


def test_no_script_makes_html_of_what_it_was_sent() -> None:
    """The policy forbids it, too: `require-trusted-types-for`."""
    found = [
        f"{script.relative_to(ROOT)}: {line.strip()}"
        for script in scripts()
        for line in script.read_text().splitlines()
        if SINKS.search(line)
    ]

    assert len(scripts()) > 20
    assert found == []


def test_no_page_has_a_script_or_a_style_within_it() -> None:
    pages = sources(".html")

    assert len(pages) >= 4
    for one in pages:
        html = one.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+\s*=|<style|javascript:|\sstyle=", html), one
        assert not re.search(r"(src|href|action)=[\"']?(https?:)?//", html), one


def test_password_fields_hide_what_is_typed_and_let_managers_fill_it() -> None:
    fields = [
        field
        for page in sources(".html", ".tsx")
        for field in re.findall(r"<input\s[^>]*>", page.read_text())
        if re.search(r"name=.?(?:\w*password|present|new)\b", field)
    ]

    assert len(fields) >= 5
    for field in fields:
        assert 'type="password"' in field, field
        assert re.search(r'autocomplete="(current|new)-password"', field), field
    assert not [script for script in scripts() if re.search(r"onpaste|[\"']paste[\"']", script.read_text())]


def test_no_script_fills_an_object_by_names_that_were_sent() -> None:
    """`__proto__` and `constructor` would be filled, too: what has names of others is a `Map`."""
    by_name = re.compile(r"^\s*[\w.]+\[[a-z][\w.]*\] = ", re.MULTILINE)

    assert [script.name for script in scripts() if by_name.search(script.read_text())] == []
