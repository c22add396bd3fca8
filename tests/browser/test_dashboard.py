"""The live dashboard in a real browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from contracts.events import State
from contracts.identity import Direction
from infra.local.processes.nats import NatsServer
from tests.browser.conftest import LINE, Shop

LONG = 15_000  # ms: a start of the API on a busy machine


def shows(page: Page, *, ins: int, out: int, inside: int) -> None:
    for name, number in {"in": ins, "out": out, "inside": inside}.items():
        expect(page.get_by_test_id(name)).to_have_text(str(number), timeout=LONG)


def is_live(page: Page) -> None:
    expect(page.get_by_test_id("connection")).to_have_text("Live", timeout=LONG)


def test_numbers_go_up_without_a_reload_and_again_after_the_api_restarted(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.cross(2)
    page.goto(shop.url)
    shows(page, ins=2, out=0, inside=2)
    page.evaluate("window.sameDocument = true")

    shop.cross(1)
    shop.cross(1, Direction.OUT)
    shows(page, ins=3, out=1, inside=2)

    shop.stop()
    expect(page.get_by_test_id("connection")).to_have_text("Away", timeout=LONG)
    expect(page.get_by_test_id("banner")).to_contain_text("last numbers known")
    shows(page, ins=3, out=1, inside=2)
    shop.cross(4)
    shop.start()

    shows(page, ins=7, out=1, inside=6)
    is_live(page)
    expect(page.get_by_test_id("banner")).to_be_hidden()
    shop.cross(1)
    shows(page, ins=8, out=1, inside=7)
    assert page.evaluate("window.sameDocument"), "the page was loaded anew"
    expect(page.get_by_test_id("spoken")).to_have_text("7 inside, 8 in, 1 out today", timeout=LONG)


def test_what_is_wrong_with_a_camera_is_said_with_what_to_do(shop: Shop, page: Page) -> None:
    shop.set_up(model="person-detection-0200")
    shop.say("ingest", State.RUNNING)
    page.goto(shop.url)
    expect(page.get_by_test_id("state")).to_have_text("Counting", timeout=LONG)
    expect(page.get_by_test_id("model")).to_have_text("person-detection-0200")

    shop.say("detector", State.NO_MODEL, "person-detection-0200 cannot be downloaded. Put it into METRICA_MODELS.")

    expect(page.get_by_test_id("state")).to_have_text("No model")
    expect(page.get_by_test_id("message")).to_contain_text("Put it into METRICA_MODELS.")
    shop.say("detector", State.RUNNING)
    expect(page.get_by_test_id("state")).to_have_text("Counting")
    expect(page.get_by_test_id("message")).to_be_hidden()

    shop.say("ingest", State.REFUSED, "There is no file /videos/door.mp4: check the address.")
    expect(page.get_by_test_id("state")).to_have_text("Cannot work")
    expect(page.get_by_test_id("message")).to_have_text("There is no file /videos/door.mp4: check the address.")


def test_how_a_camera_did_is_there_for_who_asks(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.remember("ingest", State.RUNNING, ago=timedelta(hours=4))
    shop.remember("ingest", State.RETRYING, "The camera does not answer. Trying again.", ago=timedelta(hours=1))
    page.goto(shop.url)
    health = page.get_by_test_id("health")
    expect(health.locator("li")).to_have_count(0)

    health.locator("summary").click()

    expect(page.get_by_test_id("uptime")).to_have_text("Counting 75.0 % of the time", timeout=LONG)
    expect(health.locator("li .state")).to_have_text(["ingest: trying again", "ingest: counting"])
    expect(health.locator("li .said").first).to_have_text("The camera does not answer. Trying again.")


def test_the_picture_with_boxes_the_line_and_its_age(shop: Shop, page: Page) -> None:
    shop.set_up()
    page.goto(shop.url)
    expect(page.get_by_test_id("placeholder")).to_contain_text("has sent no picture", timeout=LONG)

    shop.see(seq=41)
    shop.see(seq=42)

    expect(page.get_by_test_id("picture")).to_have_attribute("data-seq", "42", timeout=LONG)
    expect(page.get_by_test_id("placeholder")).to_be_hidden()
    green = page.get_by_test_id("picture").evaluate("c => [...c.getContext('2d').getImageData(320, 20, 1, 1).data]")
    assert green[1] > green[0], "the picture itself is drawn"
    overlay = page.get_by_test_id("overlay")
    expect(overlay).to_have_attribute("viewBox", "0 0 640 360")
    expect(overlay.locator(".box")).to_have_attribute("width", "80")
    expect(overlay.locator(".tag-text")).to_have_text("12")
    expect(overlay.locator(".in-text")).to_have_text("IN")
    # IN is on the right hand of somebody who walks from left to right: below the line.
    assert float(overlay.locator(".in-text").get_attribute("y") or 0) > 180
    expect(page.get_by_test_id("age")).to_have_text(re.compile(r"^\d+(\.\d)? s ago$"))
    expect(overlay.locator(".boxes")).to_have_class("boxes stale")  # after a second without news
    expect(page.get_by_test_id("age")).to_have_attribute("data-age", "late")


def test_zones_have_their_names_and_say_how_many_stand_in_them(shop: Shop, page: Page) -> None:
    floor = [[0.25, 0.7], [0.6, 0.7], [0.6, 1], [0.25, 1]]  # the feet of who is seen are in it, their middle is not
    shelf = [[0.8, 0], [1, 0], [1, 1], [0.8, 1]]
    shop.set_up(zones=[{"id": "till", "name": "Till", "polygon": floor}, {"id": "shelf", "polygon": shelf}])
    page.goto(shop.url)
    texts = page.get_by_test_id("overlay").locator(".zone-text")
    expect(texts).to_have_text(["shelf", "Till"], timeout=LONG)

    shop.see(seq=1)

    expect(texts).to_have_text(["shelf · 0", "Till · 1"], timeout=LONG)
    expect(texts).to_have_text(["shelf", "Till"], timeout=LONG)  # after a second without news
    shop.set_up(zones=[{"id": "till", "name": "Till", "polygon": floor}])  # on the page without a reload
    expect(texts).to_have_text(["Till"], timeout=LONG)


def test_where_nobody_is_looked_for_is_dark_and_sides_have_their_names(shop: Shop, page: Page) -> None:
    left, corner = [[0, 0], [0.6, 0], [0.6, 1], [0, 1]], [[0, 0], [0.2, 0], [0.2, 0.3], [0, 0.3]]
    lines = [{**LINE, "in_name": "shop", "out_name": "street"}]
    shop.set_up(lines=lines, detection={"regions": [left], "ignore": [corner]})
    shop.see(seq=1)
    shop.cross(2)
    page.goto(shop.url)
    shows(page, ins=2, out=0, inside=2)

    overlay = page.get_by_test_id("overlay")
    expect(overlay).to_have_attribute("viewBox", "0 0 640 360", timeout=LONG)
    expect(overlay.locator(".region")).to_have_attribute("points", "0,0 384,0 384,360 0,360")
    expect(overlay.locator(".ignored")).to_have_count(1)
    expect(overlay.locator(".dark")).to_have_css("fill", "rgba(11, 12, 14, 0.5)")
    expect(overlay.locator(".in-text")).to_have_text("IN shop")
    expect(overlay.locator(".out-text")).to_have_text("street")
    expect(page.locator(".lines dd")).to_have_text("2 in → shop · 0 out → street")

    shop.set_up(lines=lines)  # in force without a restart, and on the page without a reload
    expect(overlay.locator(".region")).to_have_count(0, timeout=LONG)
    expect(overlay.locator(".dark")).to_have_count(0)


def test_the_day_in_bars(shop: Shop, page: Page) -> None:
    shop.set_up()
    page.goto(shop.url)
    is_live(page)
    shop.cross(3)
    shop.cross(2, Direction.OUT)

    chart = page.get_by_test_id("chart")
    expect(chart.locator("[data-in='3'][data-out='2'] .bar-in")).to_have_count(1, timeout=LONG)
    hours = chart.locator("g").count()
    page.get_by_test_id("by-quarter").click()

    assert chart.locator("g").count() == 4 * hours
    expect(chart.locator("[data-in='3'][data-out='2']")).to_have_count(1)

    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360, "a phone needs no sideways scrolling"


def test_today_beside_a_usual_day_of_its_weekday(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.cross(7, ago=timedelta(days=7))
    shop.cross(3)
    page.goto(shop.url)

    mark = page.get_by_test_id("chart").locator("[data-then='7']")
    expect(mark).to_have_count(1, timeout=LONG)
    page.get_by_test_id("by-quarter").click()
    expect(mark).to_have_count(1)
    expect(page.locator("#then")).to_have_text(f"In, usual {datetime.now(UTC):%A}")
    expect(page.get_by_test_id("demo")).to_be_hidden()


def where_it_is_noon() -> str:
    """A time zone in which the present hour is the thirteenth of the day."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"  # the sign of POSIX: west is positive


def test_what_was_not_counted_is_a_gap_and_never_a_zero(shop: Shop, page: Page) -> None:
    shop.set_up(time_zone=where_it_is_noon())
    shop.cross(7, ago=timedelta(days=7))
    now = datetime.now(UTC)
    shop.cover(now - timedelta(minutes=40), now)
    page.goto(shop.url)

    chart = page.get_by_test_id("chart")
    expect(chart.locator("[data-gap] .gap").first).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("gaps")).to_be_visible()
    page.get_by_test_id("by-quarter").click()
    page.get_by_test_id("as-table").click()
    expect(page.get_by_test_id("day-table")).to_contain_text("not counted")


def test_a_system_of_ten_minutes_compares_with_nothing(shop: Shop, page: Page) -> None:
    shop.set_up(time_zone=where_it_is_noon())
    shop.cross(70, ago=timedelta(days=7))
    now = datetime.now(UTC)
    shop.cover(now - timedelta(minutes=10), now)
    shop.cross(3)
    page.goto(shop.url)

    expect(page.locator(".tile.in")).to_contain_text("counted since", timeout=LONG)
    expect(page.locator(".tile.in")).not_to_contain_text("%")


def test_a_store_without_a_camera_has_no_numbers(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.set_up("gate", store="mall", store_name="A Mall")
    shop.remove_camera("gate")
    page.goto(f"{shop.url}/stores/mall")

    expect(page.get_by_test_id("empty")).to_contain_text("No camera counts here yet", timeout=LONG)
    expect(page.get_by_test_id("in")).to_have_count(0)


def test_a_demonstration_is_marked(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.mark_as_demo()
    page.goto(shop.url)

    expect(page.get_by_test_id("demo")).to_contain_text("invented", timeout=LONG)


def test_without_the_bus_the_numbers_still_come(shop: Shop, page: Page, nats_server: NatsServer) -> None:
    shop.set_up()
    page.goto(shop.url)
    is_live(page)

    nats_server.kill()

    expect(page.get_by_test_id("connection")).to_have_text("Delayed", timeout=LONG)
    nats_server.start()
    is_live(page)


def test_without_a_camera_the_page_says_how_to_begin_and_fills_by_itself(shop: Shop, page: Page) -> None:
    page.goto(shop.url)
    expect(page.get_by_test_id("empty")).to_contain_text("metrica camera set")

    shop.set_up()

    expect(page.get_by_test_id("camera")).to_have_count(1, timeout=LONG)
    expect(page.get_by_test_id("empty")).to_be_hidden()


def test_all_stores_are_seen_at_a_glance_and_live(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.cross(5)
    shop.set_up("gate", store="mall", store_name="A Mall")
    page.goto(shop.url)
    rows = page.get_by_test_id("store-row")
    expect(rows).to_have_count(2, timeout=LONG)
    expect(rows.first).to_contain_text("A Mall")
    is_live(page)

    shop.cross(2)
    shop.cross(1, Direction.OUT)

    expect(page.get_by_test_id("total-in")).to_have_text("7", timeout=LONG)
    expect(rows.nth(1)).to_contain_text("6")  # inside
    page.get_by_role("button", name="In today").click()
    expect(rows.first).to_contain_text("The Shop")
    page.get_by_role("link", name="The Shop").click()
    shows(page, ins=7, out=1, inside=6)


def test_an_unknown_store_is_said_and_never_replaced(shop: Shop, page: Page) -> None:
    shop.set_up()
    page.goto(f"{shop.url}/stores/nowhere")

    expect(page.get_by_test_id("nothing-here")).to_contain_text("no store “nowhere”", timeout=LONG)
    expect(page.get_by_test_id("connection")).to_have_count(0)
    page.get_by_role("link", name="To the stores").click()
    expect(page.get_by_test_id("store")).to_have_text("The Shop", timeout=LONG)


def test_the_day_is_read_by_keys_and_as_a_table(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.cross(3)
    page.goto(shop.url)
    chart = page.get_by_test_id("chart")
    expect(chart.locator("[data-in='3']")).to_have_count(1, timeout=LONG)
    told = page.locator(".chart .value")
    expect(told).to_contain_text("3 in, 0 out")

    chart.focus()
    page.keyboard.press("Home")
    expect(told).to_have_text(re.compile("^00:00–01:00: "))
    page.keyboard.press("ArrowRight")
    expect(told).to_have_text(re.compile("^01:00–02:00: "))

    page.get_by_test_id("as-table").click()
    expect(page.get_by_test_id("day-table").locator("tbody tr")).to_have_count(24)


def test_several_stores_can_be_chosen_from(shop: Shop, page: Page) -> None:
    shop.set_up()
    shop.cross(5)
    shop.set_up("gate", store="mall", store_name="A Mall")
    page.goto(f"{shop.url}/?store=shop")
    shows(page, ins=5, out=0, inside=5)

    assert page.url.endswith("/stores/shop"), "an old address leads to today's"
    page.get_by_test_id("store-picker").click()
    page.get_by_label("Search").fill("mall")
    expect(page.get_by_role("link", name="The Shop")).to_have_count(0)
    page.keyboard.press("Enter")

    shows(page, ins=0, out=0, inside=0)
    expect(page.get_by_test_id("camera")).to_have_attribute("data-camera", "gate")
    expect(page.get_by_test_id("store")).to_be_focused()
    assert page.url.endswith("/stores/mall")
    page.go_back()
    shows(page, ins=5, out=0, inside=5)
    page.goto(f"{shop.url}/docs")
    described = page.get_by_test_id("route").filter(has_text="/v1/stores/{store}/events")
    expect(described).to_contain_text("Follow a store live")


def test_every_subject_is_shown_with_its_senders_and_receivers(shop: Shop, page: Page) -> None:
    page.goto(f"{shop.url}/docs/events")

    crossings = page.get_by_test_id("channel").filter(has_text="metrica.{run}.crossings.{store}.{camera}")
    expect(crossings).to_contain_text("tracker, replay → persistence, api")
    crossings.locator("summary").click()
    expect(crossings).to_contain_text("RUN_{run}_CROSSINGS")
    expect(page.get_by_test_id("channel").filter(has_text="$KV.checkpoints.")).to_have_count(1)
