"""Comparison of two runs over the same period: equal crossings have equal ids, so that it is a join. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timezone, tzinfo

from contracts.events import Crossing
from contracts.identity import Direction, to_datetime
from services.cli.replaying.results import StoredCrossing


@dataclass(frozen=True, slots=True)
class Hour:
    """INs and OUTs of a line in an hour of a time zone, in the first and in the second run."""

    hour: datetime
    camera: str
    line: str
    ins: tuple[int, int]
    outs: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between the crossings of two runs.

    Attributes:
        equal: number of crossings with the same fields in both runs.
        changed: crossings in both runs that differ: as in the first and in the second.
        only_first: crossings in the first run only.
        only_second: crossings in the second run only.
        hours: the counts by hour and line.
    """

    equal: int
    changed: tuple[tuple[StoredCrossing, StoredCrossing], ...]
    only_first: tuple[StoredCrossing, ...]
    only_second: tuple[StoredCrossing, ...]
    hours: tuple[Hour, ...]

    @property
    def same(self) -> bool:
        """True if there are no differences."""
        return not (self.changed or self.only_first or self.only_second)


def compare(first: Sequence[StoredCrossing], second: Sequence[StoredCrossing]) -> Comparison:
    """Compare the crossings of two runs."""
    first_ids, by_id = {crossing.id for crossing in first}, {crossing.id: crossing for crossing in second}
    both = [(crossing, by_id[crossing.id]) for crossing in first if crossing.id in by_id]
    changed = tuple(pair for pair in both if pair[0] != pair[1])
    return Comparison(
        equal=len(both) - len(changed),
        changed=changed,
        only_first=tuple(crossing for crossing in first if crossing.id not in by_id),
        only_second=tuple(crossing for crossing in second if crossing.id not in first_ids),
        hours=by_hour(first, second),
    )


def by_hour(
    first: Iterable[StoredCrossing | Crossing], second: Iterable[StoredCrossing | Crossing], zone: tzinfo = UTC
) -> tuple[Hour, ...]:
    """Count the crossings of two runs by line and by hour of a time zone. An hour repeated by the clocks gives two."""
    counts = Counter((_hour_and_line(crossing, zone), crossing.direction, 0) for crossing in first)
    counts += Counter((_hour_and_line(crossing, zone), crossing.direction, 1) for crossing in second)
    return tuple(
        Hour(
            *key,
            ins=(counts[key, Direction.IN, 0], counts[key, Direction.IN, 1]),
            outs=(counts[key, Direction.OUT, 0], counts[key, Direction.OUT, 1]),
        )
        for key in sorted({key for key, _, _ in counts})
    )


def _hour_and_line(crossing: StoredCrossing | Crossing, zone: tzinfo) -> tuple[datetime, str, str]:
    local = to_datetime(crossing.at).astimezone(zone).replace(minute=0, second=0, microsecond=0)
    # Repeated hours are equal in a named time zone, but differ with fixed offsets.
    return local.replace(tzinfo=timezone(local.utcoffset() or UTC.utcoffset(None))), crossing.camera, crossing.line
