"""The rules of a camera's state: a step is a function of the state, the arrivals and the specs, and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path

import pytest

from contracts.events import Coverage, Detections
from contracts.frames import EndReason
from contracts.identity import Policy
from contracts.spec import CameraSpec
from contracts.subjects import Kind, parse
from services.kit.nats.consumers.stream_position import StreamPosition
from services.tracker.ordering import SILENCE, Arrival
from services.tracker.state import CameraState, Checkpoint
from tests.tracker.scenes import film, seen, spec, walk

STORED = Path(__file__).with_name("stored_checkpoint.json")
"""A checkpoint as an earlier release stored it: somebody is in the picture, and has crossed the line once."""
SPECS = {1: spec()}
CROSSING = [walk((0.0, 900, 200), (3.0, 300, 200))]


def fresh(counts: bool = True) -> CameraState:
    checkpoint = Checkpoint(run="live", store="shop", camera="cam", owner="me", low_water=0)
    return CameraState(checkpoint, counts=lambda _: counts, shows=True)


def restored(checkpoint: Checkpoint) -> CameraState:
    again = Checkpoint.model_validate_json(checkpoint.model_dump_json(exclude_defaults=True))
    return CameraState(again, counts=lambda _: True, shows=True)


def arrived(frames: Sequence[Detections], first: int = 1, final: bool = False) -> list[Arrival]:
    """Frames as read from the stream, ten a second."""
    return [
        Arrival(frame, first + n, (first + n) / 10, (first + n) / 10, final=final and n == len(frames) - 1)
        for n, frame in enumerate(frames)
    ]


def payloads(*states: CameraState) -> list[str]:
    return [event.payload for state in states for event in state.outbox]


class TestAdvance:
    def test_in_one_go_or_frame_by_frame_is_the_same(self) -> None:
        arrivals = arrived(film(CROSSING, seconds=4))
        whole, parts = fresh(), fresh()
        whole.advance(arrivals, SPECS)
        for arrival in arrivals:
            parts.advance([arrival], SPECS)

        assert payloads(whole) == payloads(parts) != []
        assert whole.checkpoint(StreamPosition(seq=40), ()) == parts.checkpoint(StreamPosition(seq=40), ())

    @pytest.mark.parametrize("cut", [1, 13, 15, 39])
    def test_from_a_checkpoint_it_goes_on_as_if_nothing_had_been(self, cut: int) -> None:
        arrivals = arrived(film(CROSSING, seconds=4))
        whole, before = fresh(), fresh()
        whole.advance(arrivals, SPECS)
        before.advance(arrivals[:cut], SPECS)
        after = restored(before.checkpoint(StreamPosition(seq=cut), ()))
        after.advance(arrivals[cut:], SPECS)

        assert payloads(before, after) == payloads(whole)

    def test_a_crossing_is_urgent_and_a_frame_is_not(self) -> None:
        state = fresh()
        frames = arrived(film(CROSSING, seconds=4))
        state.advance(frames[:5], SPECS)
        assert (state.urgent, state.changed) == (False, True)
        state.advance(frames[5:], SPECS)
        assert state.urgent
        state.settle()

        assert (state.urgent, state.changed, state.outbox) == (False, False, [])

    def test_the_end_of_a_session_is_urgent(self) -> None:
        state = fresh()
        state.advance(arrived([seen(0), seen(1, end=EndReason.FINISHED)]), SPECS)

        assert state.urgent

    def test_a_frame_is_tracked_by_the_spec_that_it_names_when_it_is_released(self) -> None:
        state = fresh()
        late = seen(1).model_copy(update={"spec_revision": 2})
        specs: dict[int, CameraSpec] = {**SPECS, 2: spec(revision=2)}
        state.advance(arrived([seen(0), seen(2)]), specs)
        assert state.revisions(arrived([late])) == {1, 2}
        tracked = state.advance(arrived([late], first=3), specs)

        assert [event.seq for event, _ in tracked] == [1, 2]

    def test_behind_the_final_arrival_nothing_is_waited_for(self) -> None:
        state = fresh()
        tracked = state.advance(arrived([seen(0), seen(2), seen(4)], final=True), SPECS)

        assert [event.seq for event, _ in tracked] == [0, 2, 4]

    def test_what_is_outside_of_the_period_counts_nothing(self) -> None:
        state = fresh(counts=False)
        state.advance(arrived(film(CROSSING, seconds=4)), SPECS)

        assert not state.urgent


class TestWaiting:
    def test_a_held_frame_keeps_the_low_water_mark_before_it(self) -> None:
        state = fresh()
        state.advance(arrived([seen(0), seen(1), seen(3), seen(4)]), SPECS)

        assert state.checkpoint(StreamPosition(seq=4), ()).low_water == 2

    def test_silence_ends_a_wait_and_a_consumer_that_is_behind_does_not(self) -> None:
        state = fresh()
        state.advance(
            arrived([frame.model_copy(update={"policy": Policy.LATEST}) for frame in (seen(0), seen(2))]), SPECS
        )
        due = state.deadline(0.0)
        assert due == 0.2 + SILENCE[Policy.LATEST]

        assert state.expire(due + 9, inf, SPECS) == []
        assert [event.seq for event, _ in state.expire(due, 0.0, SPECS)] == [2]
        assert state.deadline(0.0) == inf


class TestStored:
    def test_a_checkpoint_of_an_earlier_release_is_read_and_written_as_it_was(self) -> None:
        stored = STORED.read_text().strip()
        checkpoint = Checkpoint.model_validate_json(stored)
        state = CameraState(checkpoint, counts=lambda _: True, shows=True)

        assert checkpoint.model_dump_json(exclude_defaults=True) == stored
        again = state.checkpoint(StreamPosition(seq=26), checkpoint.outbox)
        assert again.model_dump_json(exclude_defaults=True) == stored

    def test_it_goes_on_from_there(self) -> None:
        frames = arrived([*film(CROSSING, seconds=4), seen(40, end=EndReason.FINISHED)])
        state = CameraState(Checkpoint.model_validate_json(STORED.read_text()), counts=lambda _: True, shows=True)
        ends = [step.end for _, step in state.advance(frames[26:], SPECS) if step.end is not None]

        assert [(end.frames, end.missed, end.count) for end in ends] == [(40, 0, 1)]


def covered(*states: CameraState) -> list[Coverage]:
    """The coverage among the events of states."""
    bodies = (event.payload for state in states for event in state.outbox if parse(event.subject).kind is Kind.COVERAGE)
    return [Coverage.model_validate_json(body) for body in bodies]


class TestCoverage:
    def test_the_end_of_a_session_comes_after_all_of_its_coverage(self) -> None:
        state = fresh()
        frames = film([], seconds=4)
        end = frames[-1].model_copy(
            update={"seq": 40, "previous": 39, "end": EndReason.FINISHED, "boxes": (), "scores": ()}
        )
        state.advance(arrived([*frames, end]), SPECS)

        (*_, last) = covered(state)
        assert (last.start, last.until) == (frames[0].captured_at, frames[-1].captured_at)
        assert (last.store, last.camera, last.lines) == ("shop", "cam", tuple(line.id for line in spec().lines))
        kinds = [parse(event.subject).kind for event in state.outbox]
        assert kinds[-2:] == [Kind.COVERAGE, Kind.CROSSINGS]
        assert len({event.msg_id for event in state.outbox}) == len(state.outbox), "a later end is no repetition"

    def test_a_restored_state_reports_the_same(self) -> None:
        arrivals = arrived(film([], seconds=65))
        whole, before = fresh(), fresh()
        whole.advance(arrivals, SPECS)
        before.advance(arrivals[:300], SPECS)
        after = restored(before.checkpoint(StreamPosition(seq=300), ()))
        after.advance(arrivals[300:], SPECS)

        assert covered(before, after) == covered(whole)
        assert len(covered(whole)) == 2

    def test_frames_that_were_not_analysed_cover_nothing(self) -> None:
        state = fresh()
        frames = film([], seconds=40)
        state.advance(
            arrived(
                [
                    frame
                    if n < 100 or n > 300
                    else frame.model_copy(update={"skipped": "broken", "boxes": (), "scores": ()})
                    for n, frame in enumerate(frames)
                ]
            ),
            SPECS,
        )

        starts = {interval.start for interval in covered(state)}
        assert starts == {frames[0].captured_at, frames[301].captured_at}

    def test_a_run_covers_only_its_period(self) -> None:
        state = fresh(counts=False)
        state.advance(arrived(film([], seconds=4)), SPECS)

        assert covered(state) == []

    def test_a_camera_that_moves_to_another_store_covers_each_for_its_time(self) -> None:
        state = fresh()
        frames = film([], seconds=8)
        state.advance(
            arrived(
                [frame if n < 40 else frame.model_copy(update={"store": "mall"}) for n, frame in enumerate(frames)]
            ),
            SPECS,
        )

        stores = {(interval.store, interval.start) for interval in covered(state)}
        assert stores == {("shop", frames[0].captured_at), ("mall", frames[40].captured_at)}
        assert max(interval.until for interval in covered(state) if interval.store == "shop") == frames[39].captured_at
