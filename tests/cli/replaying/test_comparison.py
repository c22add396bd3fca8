"""The rules of comparing two runs: crossings are joined by their ids."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from contracts.identity import to_ns
from services.cli.replaying.comparison import Hour, compare
from services.cli.replaying.results import StoredCrossing

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE = StoredCrossing(
    id=UUID(int=1), camera="door", line="line", line_revision=1, direction="in", session="s", seq=7, at=to_ns(NOON),
    place=0.5, spec_revision=1, store="shop", model="motion", model_sha256="", model_precision="",
)  # fmt: skip
TWO = ONE._replace(id=UUID(int=2), direction="out", at=to_ns(NOON.replace(minute=59)))
THREE = ONE._replace(id=UUID(int=3), line="gate", at=to_ns(NOON.replace(hour=13)))


def test_what_is_the_same_in_both_is_equal() -> None:
    comparison = compare([ONE, TWO], [TWO, ONE])

    assert (comparison.equal, comparison.same) == (2, True)


def test_what_is_in_both_with_another_field_is_changed() -> None:
    comparison = compare([ONE], [ONE._replace(place=0.25)])

    assert comparison.changed == ((ONE, ONE._replace(place=0.25)),)
    assert (comparison.equal, comparison.same) == (0, False)


def test_what_only_one_of_them_has_is_told() -> None:
    comparison = compare([ONE, TWO], [ONE, THREE])

    assert (comparison.only_first, comparison.only_second, comparison.equal) == ((TWO,), (THREE,), 1)
    assert not comparison.same


def test_counts_stand_side_by_side_for_each_hour_and_line() -> None:
    assert compare([ONE, TWO], [ONE, THREE]).hours == (
        Hour(NOON, "door", "line", ins=(1, 1), outs=(1, 0)),
        Hour(NOON.replace(hour=13), "door", "gate", ins=(0, 1), outs=(0, 0)),
    )


def test_nothing_equals_nothing() -> None:
    assert (compare([], []).same, compare([], []).hours) == (True, ())
