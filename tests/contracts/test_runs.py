"""The rules of runs: names that no subject of Metrica's has yet, streams of their own, and the time that counts."""

from __future__ import annotations

import pytest
from hypothesis import assume, given

from contracts import subjects
from contracts.identity import LIVE
from contracts.runs import RESERVED, RUN_ENTRIES, Run, RunCamera, RunKind, run_key, run_spec_key
from contracts.streams import STREAMS, run_streams
from tests.contracts.names import TOKENS
from tests.contracts.test_subjects import matches

RUN = Run(
    name="night",
    kind=RunKind.DETECTIONS,
    cameras=(RunCamera(camera="door", store="shop"), RunCamera(camera="lift", store="shop")),
    since=1000,
    until=2000,
    created_at=5000,
)


@pytest.mark.parametrize("name", [*RESERVED, "a.b", "", "two words", "*"])
def test_a_name_that_is_taken_or_no_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"name\n"):
        Run.model_validate({**RUN.model_dump(), "name": name})


def test_a_run_that_takes_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="end must come after"):
        Run.model_validate({**RUN.model_dump(), "until": RUN.since})


def test_frames_from_since_to_just_before_until_count() -> None:
    assert [RUN.counts(at) for at in (999, 1000, 1999, 2000)] == [False, True, True, False]


@given(TOKENS, TOKENS, TOKENS)
def test_its_subjects_land_in_its_own_streams_alone(run: str, store: str, camera: str) -> None:
    assume(run not in RESERVED)
    streams = run_streams(run)
    for subject, stream in [
        (subjects.kept(run, "pool", store, camera), streams.kept),
        (subjects.detections(run, store, camera), streams.detections),
        (subjects.paths(run, store, camera), streams.paths),
        (subjects.crossings(run, store, camera), streams.crossings),
    ]:
        takers = [one for one in (*STREAMS, *streams) if any(matches(pattern, subject) for pattern in one.subjects)]
        assert takers == [stream]


@given(TOKENS, TOKENS)
def test_no_two_runs_share_a_stream(one: str, other: str) -> None:
    assume(one != other)
    assert not {stream.name for stream in run_streams(one)} & {stream.name for stream in run_streams(other)}


def test_every_stream_of_a_run_has_a_limit() -> None:
    assert all(stream.max_bytes for stream in run_streams("night"))


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        (RunKind.FRAMES, ["KEPT", "DETECTIONS", "PATHS", "CROSSINGS", "PROGRESS"]),
        (RunKind.DETECTIONS, ["DETECTIONS", "PATHS", "CROSSINGS", "PROGRESS"]),
        (RunKind.PATHS, ["CROSSINGS"]),
    ],
)
def test_a_run_has_the_streams_behind_what_it_begins_with(kind: RunKind, needed: list[str]) -> None:
    run = RUN.model_copy(update={"kind": kind})

    assert [stream.name for stream in run.streams] == [f"RUN_night_{name}" for name in needed]


def test_entries_are_told_from_the_specs_beside_them() -> None:
    assert matches(RUN_ENTRIES, run_key("night"))
    assert not matches(RUN_ENTRIES, run_spec_key("night", "door", 7))


def test_the_live_run_is_no_entry() -> None:
    assert LIVE in RESERVED
