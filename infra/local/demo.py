"""The demonstration of a fresh Metrica: nine weeks of invented history of the simulated door, marked as such."""

from __future__ import annotations

from datetime import UTC, datetime, time

import asyncpg

from services.api.cameras.repository import CameraSetup
from services.kit.local_time import DAY, local_day, time_zone_named
from services.persistence.demo.seed import DemoHistory, seed_history
from services.persistence.demo.shops import Shop

ORGANIZATION, NAME = "demo", "Demo"
STORE, STORE_NAME = "demo", "Demo shop"
WEEKS = 9
"""Enough for a typical day, which is the median of eight with the same weekday."""
VISITORS = 2400.0
"""Number a day: fewer than at the simulated door, and written in two seconds."""
CAPACITY = 200

_MARK = "INSERT INTO organization (id, name, demo) VALUES ($1, $2, true) ON CONFLICT (id) DO UPDATE SET demo = true"


async def prepare_demo(database_url: str, setup: CameraSetup, *, fresh: bool) -> None:
    """Make the organization of the simulated door, with history if nothing was counted before.

    Args:
        database_url: the database, for the role of persistence, which owns the counts.
        setup: the camera of the simulated door.
        fresh: true if there was no camera before.
    """
    connection = await asyncpg.connect(database_url)
    try:
        counted = await connection.fetchval("SELECT EXISTS (SELECT FROM store_version)")
        if fresh and not counted and setup.store == STORE:
            await seed_history(database_url, _history(setup, datetime.now(UTC)))
        await connection.execute(_MARK, ORGANIZATION, NAME)
    finally:
        await connection.close()


def _history(setup: CameraSetup, now: datetime) -> DemoHistory:
    """Make the history up to now, from when on counts are the simulated door's."""
    time_zone = time_zone_named(setup.time_zone)
    today = local_day(now, time_zone)
    lines = tuple((setup.camera, line.id) for line in setup.lines)
    shop = Shop(STORE, STORE_NAME, time_zone.key, lines, VISITORS, opens=time(8), capacity=CAPACITY)
    return DemoHistory(ORGANIZATION, NAME, [shop], today - WEEKS * 7 * DAY, today, now)
