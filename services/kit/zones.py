"""Time zones of stores: a store's day begins and ends at its own midnight, through daylight saving."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.kit.logs import logger

UTC_NAME = "UTC"

log = logger()


@cache
def zone(name: str | None) -> ZoneInfo:
    """The zone of an IANA name such as `Africa/Tunis`; UTC for None (an unknown store) and for a name nobody knows.

    A wrong name in the configuration must not stop the counting: it is logged once, and days are UTC's meanwhile.
    """
    try:
        return ZoneInfo(name or UTC_NAME)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.warning("unknown time zone, days are counted in UTC: correct the store's time zone", time_zone=name)
        return ZoneInfo(UTC_NAME)


def local_day(moment: datetime, where: ZoneInfo) -> date:
    """The date on a wall calendar in `where` at a moment.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: a store's day cannot be told from it")
    return moment.astimezone(where).date()
