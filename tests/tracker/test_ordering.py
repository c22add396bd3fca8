"""The rules of order: each camera's frames by seq, each once, whatever way they come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.checkpoints import REMEMBERED
from contracts.events import Detections
from contracts.frames import EndReason
from contracts.identity import Policy
from services.tracker.ordering import PATIENCE, SILENCE, Arrival, OrderState, Sequencer

LATEST, EVERY = Policy.LATEST, Policy.EVERY
FOREVER = 1e9


def frame(
    seq: int,
    *,
    session: str = "s",
    policy: Policy = EVERY,
    previous: int | None = -1,
    end: EndReason | None = None,
    skipped: str | None = None,
) -> Detections:
    """A frame whose predecessor is the seq before it, unless told."""
    return Detections(
        run="live",
        store="shop",
        camera="door",
        session=session,
        seq=seq,
        previous=(seq - 1 if seq else None) if previous == -1 else previous,
        captured_at=1_000 + seq,
        width=640,
        height=360,
        spec_revision=1,
        policy=policy,
        end=end,
        skipped=skipped,
        boxes=((1, 2, 3, 4),),
        scores=(0.5,),
    )


class Stream:
    """A stream of one camera's detections on the way to a sequencer, and what came out."""

    def __init__(self, order: Sequencer | None = None) -> None:
        self.order = order or Sequencer()
        self.taken: list[Detections] = []
        self._next = 1

    def bring(self, event: Detections, at: float = 0.0) -> list[str]:
        """An event is stored and received at a time; what it let out."""
        return self.receive(Arrival(event, self._next, at, at))

    def receive(self, arrival: Arrival) -> list[str]:
        self._next = arrival.stream_seq + 1
        return self._take(self.order.offer(arrival))

    def wait_until(self, now: float, caught_up_since: float = 0.0) -> list[str]:
        return self._take(self.order.expire(now, caught_up_since))

    def _take(self, released: Iterable[Detections]) -> list[str]:
        events = list(released)
        self.taken += events
        return [name(event) for event in events]


def name(event: Detections) -> str:
    return f"{event.session}{event.seq}{'!' if event.end else ''}"


def numbered(count: int, session: str = "s", policy: Policy = EVERY) -> list[Detections]:
    """A whole session: `count` frames and its end."""
    frames = [frame(seq, session=session, policy=policy) for seq in range(count)]
    return [*frames, frame(count, session=session, policy=policy, end=EndReason.FINISHED)]


class TestEvery:
    def test_frames_in_order_go_straight_through(self) -> None:
        stream = Stream()

        assert [stream.bring(event) for event in numbered(2)] == [["s0"], ["s1"], ["s2!"]]

    def test_a_frame_waits_for_the_one_before(self) -> None:
        stream = Stream()

        assert stream.bring(frame(1)) == []
        assert stream.bring(frame(2), at=20) == []
        assert stream.bring(frame(0), at=30) == ["s0", "s1", "s2"]

    def test_a_frame_comes_once_however_often_it_is_delivered(self) -> None:
        stream = Stream()

        for event in [frame(0), frame(0), frame(2), frame(2), frame(1), frame(1), frame(2)]:
            stream.bring(event)

        assert [name(event) for event in stream.taken] == ["s0", "s1", "s2"]

    def test_a_skipped_frame_closes_a_gap_like_any_other(self) -> None:
        stream = Stream()
        stream.bring(frame(0))
        stream.bring(frame(2))

        assert stream.bring(frame(1, skipped="the JPEG is cut off")) == ["s1", "s2"]

    def test_seqs_may_have_holes_where_ingest_says_so(self) -> None:
        stream = Stream()
        stream.bring(frame(0))

        assert stream.bring(frame(5, previous=0)) == ["s5"]

    def test_a_gap_is_waited_for_while_no_detector_works(self) -> None:
        """All detectors are down for five minutes: what one of them held comes again, after later frames."""
        stream = Stream()
        stream.bring(frame(0), at=0)
        stream.bring(frame(2), at=0.1)

        assert stream.bring(frame(4), at=300) == []
        assert stream.bring(frame(1), at=301) == ["s1", "s2"]
        assert stream.bring(frame(3), at=302) == ["s3", "s4"]

    def test_a_gap_that_never_closes_while_detectors_work_is_given_up_in_the_end(self) -> None:
        stream = Stream()
        stream.bring(frame(0))

        came = [stream.bring(frame(seq), at=seq * 0.5) for seq in range(2, 130)]

        first = next(place for place, out in enumerate(came) if out)
        assert first * 0.5 == PATIENCE[EVERY]
        assert came[first][:2] == ["s2", "s3"]

    def test_silence_gives_a_gap_up_only_when_somebody_had_time_to_mend_it(self) -> None:
        stream = Stream()
        stream.bring(frame(0))
        stream.bring(frame(2), at=1)

        assert stream.wait_until(1 + SILENCE[EVERY] - 1) == []
        assert stream.wait_until(1 + SILENCE[EVERY]) == ["s2"]


class TestLatest:
    def test_a_gap_is_given_up_after_200_ms_of_the_streams_time(self) -> None:
        stream = Stream()
        stream.bring(frame(0, policy=LATEST), at=10.0)
        stream.bring(frame(2, policy=LATEST), at=10.1)

        assert stream.bring(frame(3, policy=LATEST), at=10.29) == []
        assert stream.bring(frame(4, policy=LATEST), at=10.3) == ["s2", "s3", "s4"]

    def test_a_frame_that_comes_within_that_time_is_taken(self) -> None:
        stream = Stream()
        stream.bring(frame(0, policy=LATEST), at=10.0)
        stream.bring(frame(2, policy=LATEST), at=10.1)

        assert stream.bring(frame(1, policy=LATEST), at=10.29) == ["s1", "s2"]

    def test_one_that_comes_later_is_ignored_even_if_nothing_came_between(self) -> None:
        stream = Stream()
        stream.bring(frame(0, policy=LATEST), at=10.0)
        stream.bring(frame(2, policy=LATEST), at=10.1)

        assert stream.bring(frame(1, policy=LATEST), at=10.9) == ["s2"]

    def test_without_arrivals_the_local_clock_gives_a_gap_up(self) -> None:
        stream = Stream()
        stream.bring(frame(0, policy=LATEST), at=10.0)
        stream.bring(frame(2, policy=LATEST), at=10.1)

        assert stream.order.deadline(0.0) == pytest.approx(10.6)
        assert stream.wait_until(10.5) == []
        assert stream.wait_until(10.6) == ["s2"]
        assert stream.order.deadline(0.0) == inf

    def test_a_first_frame_that_is_missing_is_a_gap_too(self) -> None:
        stream = Stream()

        assert stream.bring(frame(3, policy=LATEST), at=10.0) == []
        assert stream.bring(frame(4, policy=LATEST), at=10.2) == ["s3", "s4"]

    def test_silence_while_the_broker_was_away_does_not_count(self) -> None:
        stream = Stream()
        stream.bring(frame(0, policy=LATEST), at=10.0)
        stream.bring(frame(2, policy=LATEST), at=10.1)

        assert stream.order.deadline(20.0) == 20.5
        assert stream.wait_until(20.4, caught_up_since=20.0) == []
        assert stream.receive(Arrival(frame(1, policy=LATEST), 3, stored_at=10.2, received_at=20.4)) == ["s1", "s2"]

    def test_nothing_is_given_up_while_messages_may_be_unread(self) -> None:
        stream = Stream()
        stream.bring(frame(0, policy=LATEST), at=10.0)
        stream.bring(frame(2, policy=LATEST), at=10.1)

        assert stream.order.deadline(inf) == inf
        assert stream.wait_until(1000.0, caught_up_since=inf) == []


class TestSessions:
    def test_an_end_opens_the_way_for_the_next_session(self) -> None:
        stream = Stream()

        for event in [frame(0, session="a"), *numbered(1, session="b"), frame(1, session="a", end=EndReason.STOPPED)]:
            stream.bring(event)

        assert [name(event) for event in stream.taken] == ["a0", "a1!", "b0", "b1!"]

    def test_a_session_whose_end_never_came_is_ended_as_lost_once(self) -> None:
        stream = Stream()
        stream.bring(frame(0, session="a", policy=LATEST, skipped="broken"), at=0)

        assert stream.bring(frame(0, session="b", policy=LATEST), at=5.0) == []
        assert stream.bring(frame(1, session="b", policy=LATEST), at=5.2) == ["a1!", "b0", "b1"]
        end = stream.taken[1]
        assert (end.end, end.previous, end.boxes, end.scores, end.skipped) == (EndReason.LOST, 0, (), (), None)
        assert end.captured_at == frame(0).captured_at

    def test_frames_of_an_ended_session_are_ignored(self) -> None:
        stream = Stream()
        for event in numbered(2, session="a"):
            stream.bring(event)

        assert stream.bring(frame(1, session="a")) == []
        assert stream.bring(frame(9, session="a")) == []
        assert stream.bring(frame(2, session="a", end=EndReason.FINISHED)) == []
        assert stream.order.oldest_held is None

    def test_the_real_end_is_ignored_after_one_was_put_in_its_place(self) -> None:
        stream = Stream()
        stream.bring(frame(0, session="a", policy=LATEST), at=0)
        stream.bring(frame(0, session="b", policy=LATEST), at=5.0)
        stream.bring(frame(1, session="b", policy=LATEST), at=5.2)

        assert stream.bring(frame(1, session="a", policy=LATEST, end=EndReason.LOST), at=5.3) == []

    def test_ended_sessions_are_remembered_for_a_while(self) -> None:
        stream = Stream()
        for number in range(REMEMBERED):
            for event in numbered(1, session=f"s{number}"):
                stream.bring(event)

        assert [stream.bring(frame(5, session=f"s{number}")) for number in range(REMEMBERED)] == [[]] * REMEMBERED
        assert len(stream.order.state.ended) == REMEMBERED

    def test_a_live_camera_does_not_wait_for_a_file_that_was_left_behind(self) -> None:
        stream = Stream()
        stream.bring(frame(0, session="file"), at=0)
        stream.bring(frame(2, session="file"), at=0)

        assert stream.bring(frame(0, session="live", policy=LATEST), at=1.0) == ["file2"]
        assert stream.bring(frame(1, session="live", policy=LATEST), at=1.2) == ["file3!", "live0", "live1"]

    def test_a_file_waits_long_for_the_end_of_the_file_before_it(self) -> None:
        stream = Stream()
        stream.bring(frame(0, session="a"), at=0)
        stream.bring(frame(0, session="b"), at=1)

        assert stream.bring(frame(1, session="b"), at=30) == []
        assert stream.bring(frame(1, session="a", end=EndReason.STOPPED), at=31) == ["a1!", "b0", "b1"]


class TestRestart:
    def test_what_is_held_is_read_again_from_the_stream(self) -> None:
        stream = Stream()
        stream.bring(frame(0))
        for seq in (3, 2):
            stream.bring(frame(seq))
        held = stream.order.oldest_held
        stream.bring(frame(1))

        assert (held, stream.order.oldest_held) == (2, None)

    def test_the_state_is_small_and_survives_json(self) -> None:
        stream = Stream()
        stream.bring(frame(0))

        state = stream.order.state

        assert OrderState.model_validate_json(state.model_dump_json()) == state
        assert state.last is not None
        assert state.last.boxes == ()

    @given(st.data())
    def test_going_on_from_any_state_gives_what_no_restart_would_have_given(self, data: st.DataObject) -> None:
        arrivals = data.draw(deliveries())
        restart = data.draw(st.integers(0, len(arrivals)))
        undisturbed, before = Stream(), Stream()
        for arrival in arrivals:
            undisturbed.receive(arrival)
        for arrival in arrivals[:restart]:
            before.receive(arrival)

        low_water = before.order.oldest_held
        again = arrivals[(low_water - 1) if low_water is not None else restart :]
        after = Stream(Sequencer(before.order.state))
        for arrival in again:
            after.receive(arrival)

        assert before.taken + after.taken == undisturbed.taken


@st.composite
def deliveries(draw: st.DrawFn, policies: Sequence[Policy] = (LATEST, EVERY)) -> list[Arrival]:
    """Two sessions' frames in any order of delivery, some doubled, with any pauses between."""
    policy = draw(st.sampled_from(policies))
    events = numbered(draw(st.integers(1, 6)), "a", policy) + numbered(draw(st.integers(1, 4)), "b", policy)
    doubled = draw(st.lists(st.sampled_from(events), max_size=4))
    pauses = st.sampled_from([0.0, 0.01, 0.05, 0.15, 0.25, 0.7, 3.0])
    at, arrivals = 100.0, []
    for place, event in enumerate(draw(st.permutations(events + doubled))):
        at += draw(pauses)
        arrivals.append(Arrival(event, place + 1, at, at))
    return arrivals


@given(st.data())
def test_any_order_of_delivery_of_every_frame_gives_the_order_of_seq_each_once(data: st.DataObject) -> None:
    session = numbered(data.draw(st.integers(0, 8)))
    doubled = data.draw(st.lists(st.sampled_from(session), max_size=5))
    stream = Stream()

    for event in data.draw(st.permutations(session + doubled)):
        stream.bring(event)

    assert stream.taken == [event.model_copy() for event in session]


@given(deliveries())
def test_each_frame_is_taken_at_most_once_and_seqs_only_grow(arrivals: list[Arrival]) -> None:
    stream = Stream()
    for arrival in arrivals:
        stream.receive(arrival)
    stream.wait_until(FOREVER)

    for session in "ab":
        seqs = [event.seq for event in stream.taken if event.session == session]
        assert seqs == sorted(set(seqs))
        assert sum(event.end is not None for event in stream.taken if event.session == session) <= 1
    assert stream.order.oldest_held is None


@given(deliveries(policies=[LATEST]), st.data())
def test_reading_live_and_reading_again_take_the_same_decisions(arrivals: list[Arrival], data: st.DataObject) -> None:
    """Live, a message is received up to 0.25 s after it was stored, and the local clock fires in the pauses."""
    live, again = Stream(), Stream()
    now = 0.0
    for arrival in arrivals:
        received = max(now, arrival.stored_at + data.draw(st.sampled_from([0.0, 0.02, 0.25])))
        while (deadline := live.order.deadline(0.0)) < received:
            live.wait_until(deadline)
        now = received
        live.receive(Arrival(arrival.event, arrival.stream_seq, arrival.stored_at, received))
        again.receive(Arrival(arrival.event, arrival.stream_seq, arrival.stored_at, 0.0))
    for stream in (live, again):
        stream.wait_until(FOREVER)

    assert live.taken == again.taken
