"""`/v1/cameras/{camera}/health`: what its services said of a camera, and for how long it ran."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.events import State
from services.api.cameras.health import uptime
from services.api.cameras.repository import remove_camera
from services.persistence.health import write_health
from tests.api.asked import Asked
from tests.persistence.builders import NOON, status

URL = "/v1/cameras/shop-door/health"
RETRYING, RUNNING, STOPPED = State.RETRYING, State.RUNNING, State.STOPPED
MINUTE = 60.0


async def say(asked: Asked, minute: float, state: State = RUNNING, message: str = "", service: str = "ingest") -> None:
    """A service says something so many minutes after noon."""
    said = status(minute * MINUTE, state, message, camera="shop-door", service=service)
    await write_health(asked.pool, [said])


def after_noon(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
async def shop(asked: Asked) -> Asked:
    """A shop with a camera, an hour after noon."""
    await asked.set_up()
    asked.clock.now = after_noon(60)
    return asked


async def pages(asked: Asked, limit: int, **query: object) -> list[list[dict[str, Any]]]:
    found, cursor = [], None
    while True:
        page = await asked.get(URL, limit=limit, **query, **({"cursor": cursor} if cursor else {}))
        found.append(page["items"])
        cursor = page["next"]
        if cursor is None:
            return found


class TestList:
    async def test_the_newest_comes_first(self, shop: Asked) -> None:
        await say(shop, 0)
        await say(shop, 30, RETRYING, "The camera does not answer. Trying again.")

        answer = await shop.get(URL)

        assert answer["items"] == [
            {"at": "2026-11-20T12:30:00Z", "service": "ingest", "state": "retrying",
             "message": "The camera does not answer. Trying again.", "session": None},
            {"at": "2026-11-20T12:00:00Z", "service": "ingest", "state": "running", "message": "", "session": None},
        ]  # fmt: skip
        assert answer["uptime"] == 0.5

    async def test_pages_show_everything_once_also_what_was_said_at_one_moment(self, shop: Asked) -> None:
        for minute in range(5):
            for service in ("api", "detector", "ingest"):
                await say(shop, minute, [RUNNING, RETRYING][minute % 2], service=service)

        found = await pages(shop, 4)

        assert [len(page) for page in found] == [4, 4, 4, 3]
        said = [(one["at"], one["service"]) for page in found for one in page]
        assert said == sorted(set(said), reverse=True)

    async def test_of_the_period_that_is_asked_for(self, shop: Asked) -> None:
        for minute in range(4):
            await say(shop, minute, [RUNNING, RETRYING][minute % 2])

        answer = await shop.get(URL, from_=after_noon(1).isoformat(), to="2026-11-20T14:03:00+02:00")

        assert [one["at"][14:16] for one in answer["items"]] == ["02", "01"]

    async def test_a_camera_of_which_nothing_was_said(self, shop: Asked) -> None:
        assert await shop.get(URL) == {"items": [], "next": None, "uptime": None}

    async def test_a_camera_that_is_removed_takes_it_along(self, shop: Asked) -> None:
        await say(shop, 0)

        await remove_camera(shop.database_url, "shop-door")
        await shop.set_up()

        assert (await shop.get(URL))["items"] == []

    @pytest.mark.parametrize(
        "query",
        [
            {"from": "2026-11-20T12:30:00Z", "to": "2026-11-20T12:30:00Z"},
            {"from": "2026-11-20T13:00:00Z"},
            {"from": "2026-08-01T00:00:00Z"},
            {"from": "0001-01-01T00:00:00+14:00", "to": "0001-01-02T00:00:00Z"},
            {"to": "0001-01-01T00:00:00+14:00"},
            {"to": "2026-11-20T12:30:00"},
            {"cursor": "MjAyNi0xMS0yMCAxMjowMDowMCBpbmdlc3Q"},
            {"cursor": "bm9uc2Vuc2U"},
        ],
        ids=["empty", "to come", "long", "ancient", "ancient end", "no offset", "cursor of no offset", "no cursor"],
    )
    async def test_what_is_no_period_and_no_cursor_is_refused(self, shop: Asked, query: dict[str, object]) -> None:
        await shop.refused(URL, **query)


class TestUptime:
    async def test_counts_what_held_when_the_period_began(self, shop: Asked) -> None:
        await say(shop, 0)
        await say(shop, 40, RETRYING)

        answer = await shop.get(URL, from_=after_noon(20).isoformat(), to=after_noon(60).isoformat())

        assert answer["uptime"] == 0.5

    @pytest.mark.parametrize(
        ("standing", "words", "expected"),
        [
            pytest.param({}, [], None, id="nothing was said"),
            pytest.param({"ingest": RUNNING}, [], 1, id="all the time"),
            pytest.param({}, [(30, "ingest", RUNNING)], 1, id="from the first word on"),
            pytest.param({"ingest": RUNNING}, [(45, "ingest", STOPPED)], 0.75, id="until it was paused"),
            pytest.param({"ingest": RUNNING, "detector": State.NO_MODEL}, [], 0, id="one service is not enough"),
            pytest.param(
                {"ingest": RUNNING, "detector": RUNNING},
                [(15, "ingest", RETRYING), (30, "detector", RETRYING), (45, "ingest", RUNNING)],
                0.25,
                id="only while all of them run",
            ),
        ],
    )
    def test_is_the_part_in_which_all_services_said_running(
        self, standing: dict[str, State], words: list[tuple[float, str, State]], expected: float | None
    ) -> None:
        said = [(after_noon(minute), service, state) for minute, service, state in words]

        assert uptime(standing, said, after_noon(0), after_noon(60)) == expected
