"""Two runs over the same time, crossing by crossing: the same input makes the same ids, so that it is a join. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timezone, tzinfo

from contracts.events import Crossing
from contracts.identity import Direction, to_datetime
from services.cli.replaying.results import Counted


@dataclass(frozen=True, slots=True)
class Hour:
    """INs and OUTs of a line in an hour of a time zone, in the one run and in the other."""

    hour: datetime
    camera: str
    line: str
    ins: tuple[int, int]
    outs: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of each crossing.

    Attributes:
        equal: in both runs, every field the same.
        changed: in both, but not the same: as it is in the one and in the other.
        only_one: in the one run alone.
        only_other: in the other alone.
        hours: the counts by hour and line.
    """

    equal: int
    changed: tuple[tuple[Counted, Counted], ...]
    only_one: tuple[Counted, ...]
    only_other: tuple[Counted, ...]
    hours: tuple[Hour, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.changed or self.only_one or self.only_other)


def compare(one: Sequence[Counted], other: Sequence[Counted]) -> Comparison:
    """Compare the crossings of two runs."""
    first, second = {crossing.id: crossing for crossing in one}, {crossing.id: crossing for crossing in other}
    both = [(crossing, second[crossing.id]) for crossing in one if crossing.id in second]
    changed = tuple(pair for pair in both if pair[0] != pair[1])
    return Comparison(
        equal=len(both) - len(changed),
        changed=changed,
        only_one=tuple(crossing for crossing in one if crossing.id not in second),
        only_other=tuple(crossing for crossing in other if crossing.id not in first),
        hours=by_hour(one, other),
    )


def by_hour(
    one: Iterable[Counted | Crossing], other: Iterable[Counted | Crossing], where: tzinfo = UTC
) -> tuple[Hour, ...]:
    """The counts of two runs by hour of a time zone and by line; an hour that clocks repeat is two."""
    counts = Counter((_place(crossing, where), crossing.direction, 0) for crossing in one)
    counts += Counter((_place(crossing, where), crossing.direction, 1) for crossing in other)
    return tuple(
        Hour(
            *place,
            ins=(counts[place, Direction.IN, 0], counts[place, Direction.IN, 1]),
            outs=(counts[place, Direction.OUT, 0], counts[place, Direction.OUT, 1]),
        )
        for place in sorted({place for place, _, _ in counts})
    )


def _place(crossing: Counted | Crossing, where: tzinfo) -> tuple[datetime, str, str]:
    local = to_datetime(crossing.at).astimezone(where).replace(minute=0, second=0, microsecond=0)
    # Within one zone, two hours of the same name would be the same: as an offset's they are not.
    return local.replace(tzinfo=timezone(local.utcoffset() or UTC.utcoffset(None))), crossing.camera, crossing.line
