"""Invented shops and their numbers of visitors, by weekday, season and chance; the same for the same seed. Pure."""

from __future__ import annotations

import random
from calendar import day_name
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import NamedTuple

from services.kit.local_time import DAY, instant, time_zone_named

WEEKDAYS = (0.82, 0.80, 0.86, 0.94, 1.18, 1.55, 0.85)
"""From Monday; 1 on average, as the months are."""
MONTHS = (0.90, 0.84, 0.93, 0.97, 1.00, 1.00, 1.04, 0.92, 0.98, 1.01, 1.08, 1.33)
HOURS = (0.0, 0.10, 0.16, 0.21, 0.26, 0.30, 0.35, 0.41, 0.48, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.87, 1.0)
"""Fraction of the opening time after which each sixteenth of a day's visitors has come: most at noon and in the
evening."""
TIME_ZONES = (
    *("Africa/Tunis", "Europe/Paris", "Europe/London", "America/St_Johns", "America/New_York"),
    *("Asia/Kathmandu", "Australia/Sydney", "Pacific/Apia"),
)
VISITORS = 117.0
"""Visitors of a shop of the chain, a day, on average: 200 shops have 50 million crossings in three years."""


@dataclass(frozen=True, slots=True)
class Shop:
    """An invented shop. Each of its doors is a line of a camera."""

    id: str
    name: str
    time_zone: str
    doors: tuple[tuple[str, str], ...]
    visitors: float
    opens: time = time(9)
    closes: time = time(20)
    capacity: int | None = None

    @property
    def opening_hours(self) -> dict[str, list[list[str]]]:
        """The same hours each day, as a store keeps them."""
        return {day.lower(): [[f"{self.opens:%H:%M}", f"{self.closes:%H:%M}"]] for day in day_name}


class ShopDay(NamedTuple):
    """A day of a shop; `key` is the seed of its visitors."""

    shop: Shop
    opens: datetime
    closes: datetime
    visitors: int
    key: int


def chain(shops: int, seed: int) -> list[Shop]:
    """Shops of different sizes in different time zones, each with two or three doors.

    Args:
        shops: number of shops.
        seed: of the random numbers.
    """
    rng = random.Random(seed)  # noqa: S311  # to be the same again
    sizes = [rng.uniform(0.4, 1.6) for _ in range(shops)]
    usual = sum(sizes) / shops
    return [_shop(n, VISITORS * size / usual) for n, size in enumerate(sizes)]


def days_of(shops: Sequence[Shop], first: date, last: date, seed: int) -> Iterator[ShopDay]:
    """Each shop's days, from one local date to another, both included."""
    for shop in shops:
        time_zone = time_zone_named(shop.time_zone)
        for n in range((last - first).days + 1):
            day = first + n * DAY
            rng = random.Random(f"{seed}/{shop.id}/{day}")  # noqa: S311  # as above
            opens, closes = instant(day, shop.opens, time_zone), instant(day, shop.closes, time_zone)
            expected = shop.visitors * WEEKDAYS[day.weekday()] * MONTHS[day.month - 1]
            visitors = max(0, round(expected * rng.gauss(1, 0.12)))
            yield ShopDay(shop, opens, closes, visitors, rng.getrandbits(62))


def _shop(number: int, visitors: float) -> Shop:
    name = f"demo-{number + 1:03}"
    doors = [(f"{name}-a", "entrance"), (f"{name}-b", "entrance"), (f"{name}-b", "lift")]
    return Shop(
        id=name,
        name=f"Demo shop {number + 1}",
        time_zone=TIME_ZONES[number % len(TIME_ZONES)],
        doors=tuple(doors[: 2 + number % 2]),
        visitors=visitors,
        capacity=max(10, round(visitors / 4)),
    )
