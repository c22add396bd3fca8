"""The pages that a link leads to, in a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncpg
import pytest
from playwright.sync_api import Page, expect

from services.api.access.principal import Role
from services.api.members import user_commands
from tests.api.mailing import GOOD
from tests.browser.conftest import Shop
from tests.browser.test_dashboard import LONG

PASSWORD = "correct horse battery"
MARA = "mara@shop.example"
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """On another thread: Playwright's event loop runs on this one."""
    with ThreadPoolExecutor() as thread:
        return thread.submit(asyncio.run, work).result()


def database(shop: Shop) -> str:
    return shop.environment["METRICA_DATABASE_URL"]


def invited(shop: Shop, email: str = MARA, name: str = "Mara") -> str:
    """The link of an invitation."""
    organization = run(_organization(shop))
    return run(user_commands.invite(database(shop), email, organization, Role.MANAGER, name)).link.at(shop.url)


async def _organization(shop: Shop) -> str:
    connection = await asyncpg.connect(shop.database_url)
    try:
        found: str = await connection.fetchval("SELECT id FROM organization")
        await connection.execute("UPDATE organization SET name = 'Shops of the North'")
    finally:
        await connection.close()
    return found


def reset(shop: Shop, email: str = MARA) -> str:
    return run(user_commands.reset(database(shop), email)).link.at(shop.url)


@pytest.fixture(autouse=True)
def set_up(shop: Shop) -> None:
    shop.set_up()


def test_an_invited_person_chooses_a_password_and_joins(shop: Shop, page: Page) -> None:
    page.goto(invited(shop))
    expect(page.get_by_test_id("title")).to_have_text("Join Shops of the North", timeout=LONG)
    expect(page.get_by_test_id("about")).to_contain_text("as manager")
    assert "#" not in page.url, "whoever looks at the address bar sees no token"
    expect(page.get_by_label("E-mail")).to_have_value(MARA)
    expect(page.get_by_label("Your name")).to_have_value("Mara")

    chosen = page.get_by_label("New password")
    chosen.fill("passwordpassword")
    expect(page.get_by_test_id("strength")).to_have_attribute("data-score", "0", timeout=LONG)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_test_id("error")).to_contain_text("easily guessed", timeout=LONG)
    chosen.fill(GOOD)
    expect(page.get_by_test_id("strength")).to_contain_text("good password", timeout=LONG)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_test_id("outcome")).to_contain_text("You have joined Shops of the North", timeout=LONG)


def test_who_has_an_account_signs_in_to_join(shop: Shop, page: Page) -> None:
    shop.make_user(MARA, PASSWORD)
    page.goto(invited(shop))
    expect(page.get_by_test_id("hint")).to_contain_text("You have an account already", timeout=LONG)
    password, button = page.get_by_label("Password", exact=True), page.get_by_role("button", name="Sign in and join")
    password.fill("a wrong password")
    button.click()
    expect(page.get_by_test_id("error")).to_contain_text("is wrong", timeout=LONG)
    password.fill(PASSWORD)
    button.click()
    expect(page.get_by_test_id("outcome")).to_contain_text("You have joined", timeout=LONG)


def test_a_password_is_chosen_anew_and_the_link_works_once(shop: Shop, page: Page) -> None:
    shop.make_user(MARA, PASSWORD)
    link = reset(shop)
    page.goto(link)
    expect(page.get_by_test_id("title")).to_have_text("Choose a new password", timeout=LONG)
    page.get_by_label("New password").fill(GOOD)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_test_id("outcome")).to_contain_text("Your password is set", timeout=LONG)

    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_test_id("outcome")).to_contain_text("used already", timeout=LONG)
    page.get_by_role("link", name="Ask for a new link").click()
    expect(page.get_by_test_id("title")).to_have_text("Forgotten your password?", timeout=LONG)
    page.get_by_label("E-mail").fill(MARA)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_test_id("outcome")).to_contain_text("If there is an account", timeout=LONG)


def test_a_link_that_nobody_was_sent_says_so(shop: Shop, page: Page) -> None:
    page.goto(f"{shop.url}/account.html#invitation={'x' * 43}")

    expect(page.get_by_test_id("outcome")).to_contain_text("as it stands in the mail", timeout=LONG)


def test_the_sign_in_dialog_leads_to_a_new_password(shop: Shop, page: Page) -> None:
    shop.stop()
    shop.environment["METRICA_LOCAL_ACCESS"] = "none"
    shop.start()
    page.goto(shop.url)
    page.get_by_test_id("forgotten").click()

    expect(page.get_by_test_id("title")).to_have_text("Forgotten your password?", timeout=LONG)


def test_names_are_shown_as_text(shop: Shop, page: Page) -> None:
    link = invited(shop, name="<img src=x onerror=alert(1)>")
    page.goto(link)

    expect(page.get_by_label("Your name")).to_have_value("<img src=x onerror=alert(1)>", timeout=LONG)
    expect(page.locator("img")).to_have_count(0)
