"""The rules of folding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Crossing
from contracts.identity import Direction, to_datetime
from services.kit.local_time import local_day, time_zone_named
from services.persistence.fold import Counted, CountedDays, InOutCount, days_of, fold
from tests.persistence.builders import crossing

ZONES = ["UTC", "Africa/Tunis", "Europe/Paris", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe"]
MOMENTS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001  # drawn naive
STORES = {"north": "Europe/Paris", "south": "Africa/Tunis"}


@st.composite
def crossings(draw: st.DrawFn) -> list[Crossing]:
    places = st.tuples(st.sampled_from(sorted(STORES)), st.sampled_from(["left", "right"]), st.sampled_from(Direction))
    found = draw(st.lists(st.tuples(MOMENTS, places), max_size=60))
    return [
        crossing(n, at=at, store=store, camera=f"{store}-door", line=line, direction=direction)
        for n, (at, (store, line, direction)) in enumerate(found)
    ]


def total(counted: Counted | CountedDays) -> tuple[int, int]:
    return sum(tally.ins for tally in counted.values()), sum(tally.outs for tally in counted.values())


@settings(max_examples=40)
@given(crossings())
def test_each_crossing_is_in_each_rollup_once(events: list[Crossing]) -> None:
    folded = fold(events, {store: time_zone_named(name) for store, name in STORES.items()})

    ins = sum(event.direction is Direction.IN for event in events)
    assert total(folded.minutes) == total(folded.quarters) == total(folded.days) == (ins, len(events) - ins)
    assert sum(session.crossings for session in folded.sessions.values()) == len(events)


@settings(max_examples=40)
@given(crossings(), st.data())
def test_a_batch_folds_to_the_sum_of_its_parts(events: list[Crossing], data: st.DataObject) -> None:
    zones = {store: time_zone_named(name) for store, name in STORES.items()}
    cut = data.draw(st.integers(0, len(events)))
    parts = [fold(events[:cut], zones), fold(events[cut:], zones)]

    summed: CountedDays = {}
    for part in parts:
        for key, tally in part.days.items():
            into = summed.setdefault(key, InOutCount())
            into.ins, into.outs = into.ins + tally.ins, into.outs + tally.outs

    assert summed == fold(events, zones).days


@settings(max_examples=40)
@given(crossings())
def test_keys_are_in_order(events: list[Crossing]) -> None:
    folded = fold(events, {store: time_zone_named(name) for store, name in STORES.items()})

    for keys in (list(folded.minutes), list(folded.quarters), list(folded.days), list(folded.sessions)):
        assert keys == sorted(keys)


@settings(max_examples=40)
@given(crossings(), st.sampled_from(ZONES))
def test_days_can_be_rebuilt_from_quarters_in_any_zone(events: list[Crossing], name: str) -> None:
    folded = fold(events, dict.fromkeys(STORES, time_zone_named(name)))

    assert days_of(folded.quarters, time_zone_named(name)) == folded.days


@given(MOMENTS)
def test_bucket_holds_its_crossing(at: datetime) -> None:
    event = crossing(at=at)
    folded = fold([event], {"shop": time_zone_named("UTC")})

    ((_, minute),) = folded.minutes
    ((_, quarter),) = folded.quarters
    assert minute <= to_datetime(event.at) < minute + timedelta(minutes=1)
    assert quarter <= minute < quarter + timedelta(minutes=15)
    assert quarter.minute in {0, 15, 30, 45}


@pytest.mark.parametrize(
    ("time_zone", "at", "day"),
    [
        pytest.param("Africa/Tunis", "2026-06-30T23:30:00Z", "2026-07-01", id="Tunis is an hour ahead, all year"),
        pytest.param("Africa/Tunis", "2026-12-31T22:59:59Z", "2026-12-31", id="Tunis, a second to midnight"),
        pytest.param("Europe/Paris", "2026-03-28T22:59:00Z", "2026-03-28", id="Paris, winter's last evening"),
        pytest.param("Europe/Paris", "2026-03-29T21:59:00Z", "2026-03-29", id="Paris, the day of 23 hours"),
        pytest.param("Europe/Paris", "2026-03-29T22:00:00Z", "2026-03-30", id="Paris, summer's midnight"),
        pytest.param("Europe/Paris", "2026-10-25T22:30:00Z", "2026-10-25", id="Paris, the day of 25 hours"),
        pytest.param("Asia/Kathmandu", "2026-11-20T18:15:00Z", "2026-11-21", id="Kathmandu, +05:45"),
        pytest.param("Pacific/Kiritimati", "2026-11-20T10:00:00Z", "2026-11-21", id="fourteen hours ahead"),
        pytest.param("America/Los_Angeles", "2026-11-01T06:59:59Z", "2026-10-31", id="behind UTC"),
        pytest.param("Mars/Olympus", "2026-11-20T23:30:00Z", "2026-11-20", id="a wrong name counts as UTC"),
        pytest.param(None, "2026-11-20T23:30:00Z", "2026-11-20", id="an unknown store counts as UTC"),
    ],
)
def test_day_is_the_stores(time_zone: str | None, at: str, day: str) -> None:
    assert local_day(datetime.fromisoformat(at), time_zone_named(time_zone)).isoformat() == day


def test_day_of_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        local_day(datetime(2026, 11, 20), time_zone_named("UTC"))  # noqa: DTZ001  # that is the point
