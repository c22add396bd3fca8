"""Crossings of a store as a list, the newest first."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from services.api.history.period import DateRange
from services.api.history.repository import CountSelection, CrossingFilter, Position, read_crossings
from services.api.history.schemas import CrossingOut
from services.api.http.pagination import Page, encode_cursor, read_cursor
from services.api.http.problems import Invalid
from services.kit.local_time import time_zone_named


async def list_crossings(
    connection: asyncpg.Connection,
    reading: CountSelection,
    period: DateRange,
    wanted: CrossingFilter,
    limit: int,
    cursor: str | None,
) -> Page[CrossingOut]:
    """Read a page of crossings.

    Args:
        connection: gets one query.
        reading: the run, and one store.
        period: local dates.
        wanted: camera and line.
        limit: most crossings of the page.
        cursor: `next` of the page before, or None for the first.

    Raises:
        Invalid: the cursor is not of this list.
    """
    after = None if cursor is None else _position(cursor)
    rows = await read_crossings(connection, reading, period, wanted, after, limit + 1)
    zone = time_zone_named(reading.stores[0].time_zone)
    shown = rows[:limit]
    following = encode_cursor(f"{shown[-1]['at'].isoformat()} {shown[-1]['id']}") if len(rows) > limit else None
    return Page(items=[_crossing(row, zone) for row in shown], next=following)


def _crossing(row: asyncpg.Record, zone: ZoneInfo) -> CrossingOut:
    return CrossingOut.model_validate({**row, "at": row["at"].astimezone(zone)})


def _position(cursor: str) -> Position:
    moment, _, name = read_cursor(cursor).partition(" ")
    try:
        at, id_ = datetime.fromisoformat(moment), UUID(name)
    except ValueError:
        at, id_ = datetime.min, UUID(int=0)  # noqa: DTZ901  # as one without a time zone, it is refused
    if at.tzinfo is None:
        raise Invalid("This is no cursor of this list.", "cursor", code="wrong-cursor")
    return at, id_
