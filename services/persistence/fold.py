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
    """Which line of which run."""

    run: str
    store: str
    camera: str
    line: str


@dataclass(slots=True)
class Tally:
    """INs and OUTs."""

    ins: int = 0
    outs: int = 0


Counted = dict[tuple[LineKey, datetime], Tally]
"""By line and the bucket's first instant, UTC."""
CountedDays = dict[tuple[LineKey, date], Tally]
SessionKey = tuple[str, str, str]
"""Run, camera, session."""


@dataclass(slots=True)
class SessionTally:
    """Crossings of a session, and when the newest was."""

    store: str
    last_at: datetime
    crossings: int = 0


@dataclass(slots=True)
class Folded:
    """What a batch adds to each rollup, keys in order: no two writers wait for each other in a ring."""

    minutes: Counted = field(default_factory=dict)
    quarters: Counted = field(default_factory=dict)
    days: CountedDays = field(default_factory=dict)
    sessions: dict[SessionKey, SessionTally] = field(default_factory=dict)


def fold(crossings: Iterable[Crossing], zones: Mapping[str, ZoneInfo]) -> Folded:
    """What crossings add to the counts.

    Args:
        crossings: none of them counted before.
        zones: the time zone of each store, by its id.
    """
    folded = Folded()
    for crossing in crossings:
        line = LineKey(crossing.run, crossing.store, crossing.camera, crossing.line)
        at = to_datetime(crossing.at)
        minute, quarter = at.replace(second=0, microsecond=0), quarter_of(at)
        for tally in (
            folded.minutes.setdefault((line, minute), Tally()),
            folded.quarters.setdefault((line, quarter), Tally()),
            folded.days.setdefault((line, local_day(quarter, zones[crossing.store])), Tally()),  # as it is rebuilt
        ):
            if crossing.direction is Direction.IN:
                tally.ins += 1
            else:
                tally.outs += 1
        key = crossing.run, crossing.camera, crossing.session
        session = folded.sessions.setdefault(key, SessionTally(crossing.store, at))
        session.crossings += 1
        session.last_at = max(session.last_at, at)
    return Folded(
        minutes=dict(sorted(folded.minutes.items(), key=lambda item: item[0])),
        quarters=dict(sorted(folded.quarters.items(), key=lambda item: item[0])),
        days=dict(sorted(folded.days.items(), key=lambda item: item[0])),
        sessions=dict(sorted(folded.sessions.items(), key=lambda item: item[0])),
    )


def days_of(quarters: Counted, zone: ZoneInfo) -> CountedDays:
    """The counts by local day in a zone, from those by quarter."""
    days: CountedDays = {}
    for (line, bucket), quarter in quarters.items():
        day = days.setdefault((line, local_day(bucket.astimezone(UTC), zone)), Tally())
        day.ins += quarter.ins
        day.outs += quarter.outs
    return dict(sorted(days.items(), key=lambda item: item[0]))
