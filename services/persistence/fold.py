"""Folding crossings into counts by minute and quarter of an hour (UTC), local day of the store, and session. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from contracts.events import Crossing
from contracts.identity import Direction, to_datetime
from services.kit.local_time import local_day, quarter_of


class LineKey(NamedTuple):
    """A counting line in a run."""

    run: str
    store: str
    camera: str
    line: str


@dataclass(slots=True)
class InOutCount:
    """INs and OUTs."""

    ins: int = 0
    outs: int = 0


Counted = dict[tuple[LineKey, datetime], InOutCount]
"""Counts by line and the bucket's first instant, UTC."""
CountedDays = dict[tuple[LineKey, date], InOutCount]
SessionKey = tuple[str, str, str]
"""Run, camera, session."""


@dataclass(slots=True)
class SessionCrossings:
    """Number of a session's crossings, and the time of the newest."""

    store: str
    last_at: datetime
    crossings: int = 0


@dataclass(slots=True)
class Folded:
    """Additions of a batch to each rollup, in the order of the keys, so that writers cannot deadlock."""

    minutes: Counted = field(default_factory=dict)
    quarters: Counted = field(default_factory=dict)
    days: CountedDays = field(default_factory=dict)
    sessions: dict[SessionKey, SessionCrossings] = field(default_factory=dict)


def fold(crossings: Iterable[Crossing], time_zones: Mapping[str, ZoneInfo]) -> Folded:
    """Fold crossings into the rollups.

    Args:
        crossings: not counted before.
        time_zones: of each store, by its id.
    """
    folded = Folded()
    for crossing in crossings:
        line = LineKey(crossing.run, crossing.store, crossing.camera, crossing.line)
        at = to_datetime(crossing.at)
        minute, quarter = at.replace(second=0, microsecond=0), quarter_of(at)
        for count in (
            folded.minutes.setdefault((line, minute), InOutCount()),
            folded.quarters.setdefault((line, quarter), InOutCount()),
            folded.days.setdefault(
                (line, local_day(quarter, time_zones[crossing.store])), InOutCount()
            ),  # as in `days_of`
        ):
            if crossing.direction is Direction.IN:
                count.ins += 1
            else:
                count.outs += 1
        key = crossing.run, crossing.camera, crossing.session
        session = folded.sessions.setdefault(key, SessionCrossings(crossing.store, at))
        session.crossings += 1
        session.last_at = max(session.last_at, at)
    return Folded(
        minutes=dict(sorted(folded.minutes.items(), key=lambda item: item[0])),
        quarters=dict(sorted(folded.quarters.items(), key=lambda item: item[0])),
        days=dict(sorted(folded.days.items(), key=lambda item: item[0])),
        sessions=dict(sorted(folded.sessions.items(), key=lambda item: item[0])),
    )


def days_of(quarters: Counted, time_zone: ZoneInfo) -> CountedDays:
    """The counts by local day in a time zone, from the counts by quarter."""
    days: CountedDays = {}
    for (line, bucket), quarter in quarters.items():
        day = days.setdefault((line, local_day(bucket.astimezone(UTC), time_zone)), InOutCount())
        day.ins += quarter.ins
        day.outs += quarter.outs
    return dict(sorted(days.items(), key=lambda item: item[0]))
