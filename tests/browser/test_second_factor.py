"""The page of one's sign-in settings, and signing in with a code, in a real browser."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Shop
from tests.browser.test_dashboard import LONG, is_live
from tests.browser.test_sign_in import EMAIL, PASSWORD, sign_in

NEW = "mauve otters juggle quietly"


@pytest.fixture
def guarded(shop: Shop) -> Shop:
    """The address at which everybody signs in."""
    shop.set_up()
    shop.make_user(EMAIL, PASSWORD)
    shop.stop()
    shop.environment["METRICA_LOCAL_ACCESS"] = "none"
    shop.start()
    return shop


def code(secret: str, *, steps: int = 0) -> str:
    return str(pyotp.TOTP(secret.replace(" ", "")).at(datetime.now(UTC), counter_offset=steps))


def picture(page: Page, name: str) -> None:
    """For eyes: where METRICA_SCREENSHOTS names a folder."""
    if folder := os.environ.get("METRICA_SCREENSHOTS"):
        for width, height in ((390, 844), (1280, 800)):
            page.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"


def set_up(page: Page) -> tuple[str, list[str]]:
    """Turn the second factor on: its secret and recovery codes."""
    form = page.get_by_test_id("factor-off")
    form.get_by_label("Your password").fill(PASSWORD)
    form.get_by_role("button", name="Set up").click()
    expect(page.get_by_test_id("qr")).to_be_visible(timeout=LONG)
    secret = page.get_by_test_id("secret").inner_text()
    picture(page, "set-up")
    wait = page.get_by_test_id("factor-new")
    wait.get_by_label("Code that the app shows").fill(code(secret))
    wait.get_by_role("button", name="Turn on").click()
    codes = page.get_by_test_id("codes").locator("li")
    expect(codes).to_have_count(10, timeout=LONG)
    return secret, codes.all_inner_texts()


def test_a_second_factor_is_set_up_and_asked_for(guarded: Shop, page: Page) -> None:
    page.goto(f"{guarded.url}/security.html")
    sign_in(page)
    expect(page.get_by_test_id("factor-state")).to_have_text("off", timeout=LONG)
    picture(page, "off")
    form = page.get_by_test_id("factor-off")
    form.get_by_label("Your password").fill("a wrong password")
    form.get_by_role("button", name="Set up").click()
    expect(form.get_by_role("alert")).to_have_text("That is not your present password.", timeout=LONG)

    secret, codes = set_up(page)
    picture(page, "codes")
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_test_id("factor-state")).to_have_text("on", timeout=LONG)
    expect(page.get_by_test_id("factor-on")).to_contain_text("10 recovery codes are left")
    assert codes[0] not in page.content(), "they are shown once"
    page.get_by_text("Change it").click()
    picture(page, "on")

    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("sign-in")).to_be_visible(timeout=LONG)
    page.goto(guarded.url)
    expect(page.get_by_label("Code")).to_be_hidden()
    sign_in(page)
    asked = page.get_by_test_id("sign-in").get_by_label("Code")
    expect(asked).to_be_focused(timeout=LONG)
    expect(page.get_by_test_id("sign-in-error")).to_be_hidden()
    picture(page, "asked")
    asked.fill("000000")
    page.get_by_test_id("sign-in").get_by_role("button").click()
    expect(page.get_by_test_id("sign-in-error")).to_contain_text("The code is wrong", timeout=LONG)
    asked.fill(code(secret, steps=1))
    page.keyboard.press("Enter")
    is_live(page)

    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("sign-in")).to_be_visible(timeout=LONG)
    sign_in(page)
    expect(asked).to_be_focused(timeout=LONG)
    asked.fill(codes[0])
    page.keyboard.press("Enter")
    is_live(page)
    page.get_by_test_id("account").click()
    expect(page.get_by_test_id("factor-on")).to_contain_text("9 recovery codes are left", timeout=LONG)
    page.get_by_text("Change it").click()
    page.get_by_test_id("factor-on").get_by_label("Your password").fill(PASSWORD)
    page.get_by_test_id("factor-on").get_by_label("Code").fill(codes[1])
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_test_id("factor-state")).to_have_text("off", timeout=LONG)


def test_sign_ins_are_listed_and_ended_and_the_password_is_changed(guarded: Shop, page: Page, browser: Browser) -> None:
    with browser.new_context() as context:
        other = context.new_page()
        other.goto(guarded.url)
        sign_in(other)
        is_live(other)
        page.goto(f"{guarded.url}/security.html")
        sign_in(page)
        rows = page.get_by_test_id("sign-ins").locator("li")
        expect(rows).to_have_count(2, timeout=LONG)
        expect(page.get_by_test_id("sign-ins")).to_contain_text("this one")
        picture(page, "sign-ins")
        page.get_by_role("button", name="End the sign-in of").press("Enter")
        expect(rows).to_have_count(1, timeout=LONG)
        expect(other.get_by_test_id("sign-in")).to_be_visible(timeout=3 * LONG)

    form = page.get_by_test_id("password")
    form.get_by_label("Present password").fill(PASSWORD)
    form.get_by_label("New password").fill(NEW)
    form.get_by_role("button", name="Change").click()
    expect(page.get_by_test_id("password-done")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_test_id("sign-in")).to_be_visible(timeout=LONG)
    sign_in(page, NEW)
    is_live(page)


def test_who_needs_a_second_factor_is_led_to_it(guarded: Shop, page: Page) -> None:
    guarded.stop()
    guarded.environment["METRICA_ADMIN_SECOND_FACTOR"] = "required"
    guarded.start()
    page.goto(guarded.url)
    sign_in(page)

    expect(page.get_by_test_id("needed")).to_contain_text("Superadmins need a second factor", timeout=LONG)
    picture(page, "needed")
    set_up(page)
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_test_id("needed")).to_be_hidden(timeout=LONG)
    page.get_by_label("Metrica, live dashboard").click()
    is_live(page)
