"""Coverage: the share of a time in which lines were counted. What was not counted is a gap, not a zero. Pure.

A line is expected to be counted from its first counted moment on, as long as it is configured. A store is covered by
the mean over its expected lines, in its opening hours where it has any. Moments are seconds since 1970, UTC.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.api.stores.opening_hours import Interval

GRACE = 150.0
"""Seconds before now at which an interval may end and still go on: its end is reported about every minute."""
ENOUGH = 0.9
"""Least coverage of a time whose counts may be compared."""


class Share(NamedTuple):
    """Seconds that were counted, and that should have been."""

    covered: float = 0.0
    expected: float = 0.0

    def __add__(self, other: object) -> Share:
        """The shares of both together."""
        if not isinstance(other, Share):
            return NotImplemented
        return Share(self.covered + other.covered, self.expected + other.expected)

    @property
    def fraction(self) -> float | None:
        """0 to 1, in thousandths; None where nothing was expected."""
        return round(min(self.covered / self.expected, 1.0), 3) if self.expected else None

    @property
    def suffices(self) -> bool:
        """Tell whether the counts of the time may be compared; also where it is not known."""
        return self.suffices_or(unknown=True)

    def suffices_or(self, *, unknown: bool) -> bool:
        """Tell whether the counts of the time may be compared; `unknown` where nothing was expected."""
        return self.covered >= ENOUGH * self.expected if self.expected else unknown


@dataclass(frozen=True, slots=True)
class LineCoverage:
    """The times in which a line was counted.

    Attributes:
        store, camera, line: ids.
        since: its first counted moment ever.
        until: the moment up to which it is expected: infinite for a line that is configured now.
        intervals: in order of their start; they may overlap.
    """

    store: str
    camera: str
    line: str
    since: float
    until: float
    intervals: Sequence[Interval]


class StoreCoverage:
    """The coverage of some lines of one store.

    Args:
        lines: of the store; without any, coverage is unknown.
        now: the present moment, beyond which nothing is expected.
        opening: intervals in which the store is open, in order; None if it always is.
    """

    def __init__(self, lines: Sequence[LineCoverage], now: float, opening: Sequence[Interval] | None = None) -> None:
        self._now, self._known = now, bool(lines)
        covered = [interval for line in lines for interval in _joined(line.intervals, now)]
        expected = [(line.since, min(line.until, now)) for line in lines]
        self._always = _Integrals(covered, expected, [(-_FAR, now)])
        self._open = None if opening is None else _Integrals(covered, expected, opening)

    def share(self, start: float, end: float) -> Share:
        """The share of a time that was counted: of its opening hours if it has some, up to now."""
        end = min(end, self._now)
        if not self._known or start >= end:
            return Share()
        if self._open is not None and (share := self._open.between(start, end)).expected:
            return share
        return self._always.between(start, end)


class _Integrals:
    """Covered and expected seconds up to any moment, of a line on average.

    Where no line is expected, one is: time before the first count was not counted.
    """

    def __init__(self, covered: Iterable[Interval], expected: Iterable[Interval], within: Iterable[Interval]) -> None:
        edges = sorted(
            (moment, kind, change)
            for kind, intervals in enumerate((covered, expected, within))
            for start, end in intervals
            if start < end
            for moment, change in ((start, 1), (end, -1))
        )
        levels = list(accumulate((edge for edge in edges), _level, initial=(0, 0, 0)))[1:]
        self._moments = [moment for moment, _, _ in edges]
        self._rates = [(min(lines / max(due, 1), 1.0), 1.0) if inside else (0.0, 0.0) for lines, due, inside in levels]
        lengths = [after - before for before, after in zip(self._moments, self._moments[1:], strict=False)]
        self._covered = list(
            accumulate((rate[0] * s for rate, s in zip(self._rates, lengths, strict=False)), initial=0.0)
        )
        self._expected = list(
            accumulate((rate[1] * s for rate, s in zip(self._rates, lengths, strict=False)), initial=0.0)
        )

    def between(self, start: float, end: float) -> Share:
        first, last = self._until(start), self._until(end)
        return Share(last.covered - first.covered, last.expected - first.expected)

    def _until(self, moment: float) -> Share:
        place = bisect_right(self._moments, moment) - 1
        if place < 0:
            return Share()
        beyond = moment - self._moments[place]
        covered, expected = self._rates[place]
        return Share(self._covered[place] + covered * beyond, self._expected[place] + expected * beyond)


_FAR = 1e11
"""Seconds: more than 3000 years."""
_Levels = tuple[int, int, int]


def _level(levels: _Levels, edge: tuple[float, int, int]) -> _Levels:
    _, kind, change = edge
    lines, due, inside = levels
    return lines + change * (kind == 0), due + change * (kind == 1), inside + change * (kind == 2)


def _joined(intervals: Iterable[Interval], now: float) -> Iterator[Interval]:
    """The union of a line's intervals, up to now; one that ended a moment ago still goes on."""
    begin, end = None, 0.0
    for start, until in sorted(intervals):
        stop = now if now - GRACE <= until else until
        if begin is None:
            begin, end = start, stop
        elif start <= end:
            end = max(end, stop)
        else:
            yield begin, end
            begin, end = start, stop
    if begin is not None:
        yield begin, end


class CoverageOfStores:
    """The coverage of lines of several stores, each in its own time zone, of all of them or some.

    Args:
        zones: of the stores, by their ids.
        lines: of the stores.
        now: the present moment.
        opening: by store id, as for `StoreCoverage`.
    """

    def __init__(
        self,
        zones: Mapping[str, ZoneInfo],
        lines: Sequence[LineCoverage],
        now: float,
        opening: Mapping[str, Sequence[Interval] | None],
    ) -> None:
        self.zones, self.lines, self.now, self.opening = zones, lines, now, opening
        by_store: dict[str, list[LineCoverage]] = {store: [] for store in zones}
        for line in lines:
            by_store[line.store].append(line)
        self._stores = [(StoreCoverage(each, now, opening[store]), zones[store]) for store, each in by_store.items()]

    @property
    def since(self) -> datetime | None:
        """The first moment that was counted, ever, UTC."""
        return min((datetime.fromtimestamp(line.since, UTC) for line in self.lines), default=None)

    @property
    def has_any(self) -> bool:
        """Tell whether anything was counted in the time that was read."""
        return any(line.intervals for line in self.lines)

    def by(self, columns: Sequence[str]) -> dict[tuple[str, ...], CoverageOfStores]:
        """The coverage of each series of lines, by the values of some of their attributes."""
        lines: defaultdict[tuple[str, ...], list[LineCoverage]] = defaultdict(list)
        for line in self.lines:
            lines[tuple(getattr(line, column) for column in columns)].append(line)
        return {series: self.of_lines(each) for series, each in lines.items()}

    def of_lines(self, lines: Sequence[LineCoverage]) -> CoverageOfStores:
        """The coverage of some of the lines alone."""
        stores = {line.store for line in lines}
        return CoverageOfStores(
            {store: zone for store, zone in self.zones.items() if store in stores}, lines, self.now, self.opening
        )

    def share(self, start: datetime, end: datetime) -> Share:
        """The share of a time; without an offset, of a wall-clock time of each store."""
        return sum((_share(coverage, start, end, zone) for coverage, zone in self._stores), Share())


def _share(coverage: StoreCoverage, start: datetime, end: datetime, zone: ZoneInfo) -> Share:
    first, last = (at if at.tzinfo else at.replace(tzinfo=zone) for at in (start, end))
    return coverage.share(first.timestamp(), last.timestamp())


UNKNOWN = CoverageOfStores({}, [], 0.0, {})
"""The coverage of lines that report none."""
