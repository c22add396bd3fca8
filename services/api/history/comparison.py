"""Comparisons of a period with others: only time that was counted in both is compared, line by line. Pure.

The typical period is made of each weekday's last eight days that were counted: the median of what they had in the same
time, with its quartiles. One busy sale or one dead camera does not move a median, as it moves a mean.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from statistics import quantiles
from typing import NamedTuple

from services.api.history.coverage import CoverageOfStores
from services.api.history.period import FIRST_DAY, DateRange, Size, TimeSlot, wall_clock
from services.api.history.repository import Row
from services.kit.local_time import DAY

TYPICAL_DAYS = 8
TYPICAL_WEEKS = 16
"""Weeks before a period in which its typical days are looked for."""
WIDEST_OFFSET = timedelta(hours=12)
"""After it, a wall-clock time is over in every time zone (west of UTC)."""

LineName = tuple[str, ...]
"""Camera and line."""


class InsOuts(NamedTuple):
    """INs and OUTs."""

    ins: int = 0
    outs: int = 0


class Comparable(NamedTuple):
    """Counts of the time that two periods have in common, and the seconds of it and of all the time up to now."""

    now: InsOuts
    then: InsOuts
    compared: float
    elapsed: float


class Spread(NamedTuple):
    """Median INs and OUTs of some days, with the quartiles of the INs."""

    ins: int = 0
    outs: int = 0
    low: int = 0
    high: int = 0


def fine_size(period: DateRange) -> Size:
    """The size of the buckets in which a period is compared: the longer the period, the coarser."""
    if period.days <= 31:
        return Size.QUARTER
    return Size.HOUR if period.days <= 366 else Size.DAY


class FineCounts:
    """A period in small buckets, by their wall-clock times: an hour that clocks repeat is one.

    Args:
        period: local dates.
        size: of the buckets.
        places: all buckets of the period.
        rows: counts by line.
        coverage: of all lines.
    """

    def __init__(
        self, period: DateRange, size: Size, places: Sequence[TimeSlot], rows: Iterable[Row], coverage: CoverageOfStores
    ) -> None:
        self.period = period
        self._coverage = coverage
        self._places: defaultdict[datetime, list[TimeSlot]] = defaultdict(list)
        for place in places:
            self._places[wall_clock(place.key, size)].append(place)
        self._counts: defaultdict[LineName, defaultdict[datetime, InsOuts]] = defaultdict(lambda: defaultdict(InsOuts))
        for row in rows:
            counts, wall = self._counts[row.series], wall_clock(row.key, size)
            counts[wall] = _sum((counts[wall], InsOuts(row.ins, row.outs)))
        self._lines: dict[LineName, CoverageOfStores] = {
            (line.camera, line.line): coverage.of_lines([line]) for line in coverage.lines
        }

    @property
    def lines(self) -> set[LineName]:
        """Lines with counts or coverage."""
        return {*self._counts, *self._lines}

    def elapsed(self) -> dict[datetime, float]:
        """Wall-clock times of the buckets that are over, with their seconds."""
        now = datetime.fromtimestamp(self._coverage.now, UTC)
        return {
            wall: sum((place.end - place.start).total_seconds() for place in places)
            for wall, places in self._places.items()
            if all(_is_over(place.end, now) for place in places)
        }

    def covered(self, line: LineName | None = None) -> set[datetime]:
        """Wall-clock times of the buckets in which a line, or None for all, was counted, or this is not known."""
        coverage = self._coverage if line is None else self._lines.get(line)
        if coverage is None:
            return set(self._places)
        return {
            wall
            for wall, places in self._places.items()
            if all(coverage.share(place.start, place.end).suffices for place in places)
        }

    def within(self, larger: Sequence[TimeSlot]) -> list[list[datetime]]:
        """Wall-clock times of the buckets that begin in each of some larger ones, which follow one another."""
        starts = sorted((place.start, wall) for wall, places in self._places.items() for place in places)
        return [[wall for at, wall in starts[_first(starts, slot.start) : _first(starts, slot.end)]] for slot in larger]

    def total(self, walls: Iterable[datetime], line: LineName | None = None) -> InsOuts:
        """The counts of a line, or None for all, in some buckets."""
        lines = self._counts if line is None else [line]
        counted: list[Mapping[datetime, InsOuts]] = [self._counts[name] for name in lines if name in self._counts]
        return _sum(counts[wall] for wall in walls for counts in counted if wall in counts)


def compare(own: FineCounts, other: FineCounts) -> Comparable:
    """Compare two periods over the time that both covered, line by line."""
    elapsed = own.elapsed()
    counterparts = {wall: own.period.counterpart(wall, other.period) for wall in elapsed}
    now, then, compared = InsOuts(), InsOuts(), set[datetime]()
    for line in own.lines | other.lines:
        here, there = own.covered(line), other.covered(line)
        walls = [wall for wall in elapsed if wall in here and counterparts[wall] in there]
        now = _sum((now, own.total(walls, line)))
        then = _sum((then, other.total({counterparts[wall] for wall in walls}, line)))
        compared.update(walls)
    return _comparable(now, then, compared, elapsed)


class TypicalDays:
    """The days of which a typical period is made, and what they had.

    Args:
        period: that is compared.
        size: of the buckets of `rows`.
        rows: counts of `history_before(period)`, in total.
        covered: the dates before the period that were counted.
    """

    def __init__(self, period: DateRange, size: Size, rows: Iterable[Row], covered: Container[date]) -> None:
        self._counts: defaultdict[date, defaultdict[time, InsOuts]] = defaultdict(lambda: defaultdict(InsOuts))
        for row in rows:
            wall = wall_clock(row.key, size)
            counts = self._counts[wall.date()]
            counts[wall.time()] = _sum((counts[wall.time()], InsOuts(row.ins, row.outs)))
        weekdays = {(period.first + n * DAY).weekday() for n in range(min(period.days, 7))}
        self._days: dict[int, list[date]] = {weekday: [] for weekday in weekdays}
        before = history_before(period)
        for n in range(before.days):
            day = before.last - n * DAY
            chosen = self._days.get(day.weekday())
            if chosen is not None and len(chosen) < TYPICAL_DAYS and day in covered:
                chosen.append(day)

    @property
    def days(self) -> list[date]:
        """All of the days, in order."""
        return sorted(chain.from_iterable(self._days.values()))

    @property
    def least(self) -> int:
        """The number of days of the weekday that has the fewest."""
        return min(len(days) for days in self._days.values())

    def has(self, day: date) -> bool:
        """Tell whether something is typical of a date."""
        return bool(self._days[day.weekday()])

    def spread(self, walls: Iterable[datetime]) -> Spread:
        """The typical counts of buckets of the period, given by their wall-clock times; days add up."""
        by_day: defaultdict[date, list[time]] = defaultdict(list)
        for wall in walls:
            by_day[wall.date()].append(wall.time())
        spreads = [self._of_day(day.weekday(), times) for day, times in by_day.items() if self.has(day)]
        return Spread(*(round(sum(each)) for each in zip(*spreads, strict=True))) if spreads else Spread()

    def _of_day(self, weekday: int, times: Sequence[time]) -> tuple[float, float, float, float]:
        totals = [_picked(self._counts.get(day, {}), times) for day in self._days[weekday]]
        low, ins, high = quartiles([total.ins for total in totals])
        return ins, quartiles([total.outs for total in totals])[1], low, high


def compare_with_typical(own: FineCounts, typical: TypicalDays) -> Comparable:
    """Compare a period with its typical days, over the time in which all of its lines were counted."""
    elapsed, covered = own.elapsed(), own.covered()
    compared = {wall for wall in elapsed if wall in covered and typical.has(wall.date())}
    spread = typical.spread(compared)
    return _comparable(own.total(compared), InsOuts(spread.ins, spread.outs), compared, elapsed)


def history_before(period: DateRange) -> DateRange:
    """The dates before a period in which its typical days are looked for."""
    first = max(period.first - timedelta(weeks=TYPICAL_WEEKS), FIRST_DAY)
    return DateRange(first, max(period.first - DAY, first))


def quartiles(values: Sequence[int]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile, between two values where they lie there."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _comparable(now: InsOuts, then: InsOuts, compared: set[datetime], elapsed: Mapping[datetime, float]) -> Comparable:
    return Comparable(now, then, sum(elapsed[wall] for wall in compared), sum(elapsed.values()))


def _is_over(end: datetime, now: datetime) -> bool:
    if end.tzinfo is None:  # a wall-clock time of stores in several time zones
        return end.replace(tzinfo=UTC) + WIDEST_OFFSET <= now
    return end <= now


def _first(starts: Sequence[tuple[datetime, datetime]], moment: datetime) -> int:
    return bisect_left(starts, moment, key=lambda start: start[0])


def _picked(counts: Mapping[time, InsOuts], times: Iterable[time]) -> InsOuts:
    return _sum(counts[at] for at in times if at in counts)


def _sum(several: Iterable[InsOuts]) -> InsOuts:
    ins = outs = 0
    for counts in several:
        ins, outs = ins + counts.ins, outs + counts.outs
    return InsOuts(ins, outs)
