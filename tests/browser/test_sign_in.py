"""Signing in to the dashboard, where the API lets nobody look without."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Shop
from tests.browser.test_dashboard import LONG, is_live, shows

EMAIL, PASSWORD = "mara@shop.example", "correct horse battery"


def sign_in(page: Page, password: str = PASSWORD) -> None:
    form = page.get_by_test_id("sign-in")
    form.get_by_label("E-mail").fill(EMAIL)
    form.get_by_label("Password").fill(password)
    form.get_by_role("button", name="Sign in").click()


def close_to_strangers(shop: Shop) -> None:
    """Two people came in, and whoever wants to know has to sign in."""
    shop.set_up()
    shop.cross(2)
    shop.make_user(EMAIL, PASSWORD)
    shop.stop()
    shop.environment["METRICA_LOCAL_ACCESS"] = "none"
    shop.start()


def test_who_has_not_signed_in_is_asked_and_then_sees_the_store(shop: Shop, page: Page) -> None:
    close_to_strangers(shop)
    page.goto(shop.url)
    expect(page.get_by_test_id("sign-in")).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("in")).to_be_hidden()
    assert "The Shop" not in page.content()

    sign_in(page, "a wrong password")
    expect(page.get_by_test_id("sign-in-error")).to_have_text(
        "The e-mail address or the password is wrong.", timeout=LONG
    )
    sign_in(page)
    expect(page.get_by_test_id("sign-in")).to_be_hidden(timeout=LONG)
    shows(page, ins=2, out=0, inside=2)
    is_live(page)
    expect(page.get_by_test_id("who")).to_have_text(EMAIL)
    assert page.evaluate("document.cookie") == "", "no script reads who one is"

    # Ten minutes later the access has ended: whoever comes back goes on without being asked.
    shop.stop()
    page.context.clear_cookies(name="metrica_access")
    shop.start()
    shop.cross(1)
    shows(page, ins=3, out=0, inside=3)
    is_live(page)

    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("sign-in")).to_be_visible(timeout=LONG)
    assert [cookie.get("name") for cookie in page.context.cookies()] == ["metrica_device"], "the browser stays trusted"


def test_an_ended_sign_in_keeps_the_page_and_what_it_showed(shop: Shop, page: Page) -> None:
    close_to_strangers(shop)
    page.goto(shop.url)
    sign_in(page)
    shows(page, ins=2, out=0, inside=2)
    page.evaluate("window.sameDocument = true")

    shop.stop()
    page.context.clear_cookies()
    shop.start()

    expect(page.get_by_role("dialog")).to_contain_text("Your sign-in ended at", timeout=2 * LONG)
    expect(page.get_by_test_id("connection")).to_have_text("Signed out")
    shows(page, ins=2, out=0, inside=2)
    shop.cross(1)
    sign_in(page)
    shows(page, ins=3, out=0, inside=3)
    is_live(page)
    assert page.evaluate("window.sameDocument"), "the page was loaded anew"


def test_who_may_look_without_signing_in_can_sign_in(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.make_user(EMAIL, PASSWORD)
    page.goto(shop.url)
    is_live(page)
    page.get_by_test_id("wants-to-sign-in").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_test_id("wants-to-sign-in").click()

    sign_in(page)

    expect(page.get_by_test_id("who")).to_have_text(EMAIL, timeout=LONG)
    expect(page.get_by_role("button", name="Correct")).to_be_visible(timeout=LONG)


def test_a_manager_corrects_how_many_are_inside(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.cross(2)
    shop.make_user(EMAIL, PASSWORD)
    page.goto(shop.url)
    page.get_by_test_id("wants-to-sign-in").click()
    sign_in(page)
    page.get_by_test_id("correct").click(timeout=LONG)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("By counting, 2 are")
    dialog.get_by_label("People inside now").fill("5")
    dialog.get_by_role("button", name="Save").click()

    shows(page, ins=2, out=0, inside=5)
    expect(dialog).to_be_hidden()


def test_where_this_machine_may_look_nobody_is_asked(shop: Shop, page: Page) -> None:
    shop.set_up()
    page.goto(shop.url)

    is_live(page)
    expect(page.get_by_test_id("sign-in")).to_be_hidden()
    expect(page.get_by_test_id("sign-out")).to_be_hidden()
