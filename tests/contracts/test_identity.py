"""Names, partitions and ids. The values in here never change: every stored crossing hangs on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.identity import (
    PARTITIONS,
    Direction,
    Token,
    coverage_id,
    crossing_id,
    file_session,
    frame_id,
    partition,
    path_id,
    session_end_id,
    to_datetime,
    to_ns,
    token,
)
from tests.contracts.names import TOKENS

TOKEN: TypeAdapter[str] = TypeAdapter(Token)
SHA = "ab" * 32


class TestFinalValues:
    def test_crossing(self) -> None:
        first = crossing_id("entrance", "line", 1, "s1", 7, Direction.IN, 0)

        assert str(first) == "f1134b22-2198-5c38-83f6-f0cb65597818"
        other = crossing_id("entrance", "line", 2, "s1", 7, Direction.OUT, 1)
        assert str(other) == "fc49acfa-9879-5df6-8bf9-86455299074d"

    def test_path_and_session_end(self) -> None:
        assert str(path_id("entrance", "s1", 3, 0)) == "b48747b7-831a-5169-b8b5-53aaa6481851"
        assert str(session_end_id("entrance", "s1")) == "a6b8ded9-ba79-5fbf-aa36-dd70a60a1ffe"
        assert str(coverage_id("entrance", "s1", 1767258000_000000000)) == "c101f596-115c-51e2-a11e-5b1bb452d320"

    def test_frame(self) -> None:
        assert frame_id("entrance", "s1", 7) == "entrance/s1/7"

    def test_file_session(self) -> None:
        assert (
            file_session(SHA, fps=None, width=960, quality=85, start=1_700_000_000_000_000_000)
            == "d5758b1fa1c77814944d3dd74fb8d66c"
        )
        assert file_session(SHA, fps=10.0, width=640, quality=85, start=0) == "24408900c4936d914b6afdcf3c73ae49"

    def test_partition(self) -> None:
        assert PARTITIONS == 32
        assert [partition(camera) for camera in ("entrance", "door", "camera-7")] == [9, 13, 25]


def test_a_whole_rate_is_the_same_session_however_it_is_written() -> None:
    assert file_session(SHA, fps=10, width=640, quality=85, start=0) == file_session(
        SHA, fps=10.0, width=640, quality=85, start=0
    )


def test_each_part_of_a_crossing_makes_another_id() -> None:
    parts = ("entrance", "line", 1, "s1", 7, Direction.IN, 0)
    others = ("exit", "other", 2, "s2", 8, Direction.OUT, 1)

    ids = {crossing_id(*(*parts[:i], others[i], *parts[i + 1 :])) for i in range(len(parts))}  # type: ignore[arg-type]  # one part replaced

    assert len(ids | {crossing_id(*parts)}) == len(parts) + 1


def test_cameras_spread_over_all_partitions() -> None:
    assert {partition(f"camera-{number}") for number in range(400)} == set(range(PARTITIONS))


@given(TOKENS)
def test_a_token_is_one(name: str) -> None:
    assert TOKEN.validate_python(name) == name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("a.b", id="a dot would make two tokens of it"),
        pytest.param("*", id="a wildcard"),
        pytest.param(">", id="the other wildcard"),
        pytest.param("a b", id="a space would end the subject"),
        pytest.param("-a", id="begins with a dash"),
        pytest.param("a\n", id="ends with a newline"),
        pytest.param("tür", id="not ASCII"),
        pytest.param("a" * 65, id="too long"),
    ],
)
def test_what_would_break_a_subject_is_no_token(name: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        TOKEN.validate_python(name)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("YOLO 26n.onnx", "yolo-26n-onnx"),
        ("person-detection-0200", "person-detection-0200"),
        ("  Main Street №1 ", "main-street-1"),
        ("__a__", "a"),
        ("Türe", "t-re"),
    ],
)
def test_the_nearest_token_to_a_free_name(text: str, made: str) -> None:
    assert token(text) == made


@given(st.text())
def test_a_free_name_becomes_a_token_or_is_refused_in_words(text: str) -> None:
    if any(character in ascii_letters + digits for character in text.lower()):
        assert TOKEN.validate_python(token(text)) == token(text)
    else:
        with pytest.raises(ValueError, match="no letter or digit"):
            token(text)


def test_a_name_of_nothing_usable_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'!\?' holds no letter or digit"):
        token("!?")


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis adds the zone
def test_microseconds_survive_the_way_to_nanoseconds_and_back(moment: datetime) -> None:
    assert to_datetime(to_ns(moment)) == moment


def test_postgres_keeps_microseconds_so_the_rest_is_cut() -> None:
    assert to_datetime(1_767_258_000_123_456_999) == datetime(2026, 1, 1, 9, 0, 0, 123456, UTC)


def test_any_time_zone_is_the_same_moment() -> None:
    assert to_ns(datetime(2026, 1, 1, 10, tzinfo=timezone(timedelta(hours=1)))) == 1_767_258_000_000_000_000


def test_a_time_without_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match=r"no time zone: write it as 2026-11-23T09:00:00\+01:00"):
        to_ns(datetime(2026, 1, 1))  # noqa: DTZ001  # what is refused


def test_two_long_names_with_the_same_beginning_stay_two() -> None:
    one, other = (token("/models/" + "deep/" * 20 + name) for name in ("a.pt", "b.pt"))
    assert one != other
    assert TOKEN.validate_python(one) == one
