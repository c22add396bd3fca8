"""Subjects: every builder's subject is read back to its parts, and lands in exactly one stream."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from contracts import streams, subjects
from contracts.identity import LIVE, PARTITIONS, partition
from contracts.streams import BUCKETS, STREAMS, Owner, owned_by
from contracts.subjects import Kind, Subject, parse
from services.kit.nats.stream_config import to_config
from tests.contracts.names import TOKENS

Build = Callable[[str, str, str, str], str]
CAMERA_SUBJECTS: dict[Kind, Build] = {
    Kind.PREVIEW: lambda run, store, camera, _: subjects.preview(run, store, camera),
    Kind.RECORDED: lambda run, store, camera, _: subjects.recorded(run, store, camera),
    Kind.PATHS: lambda run, store, camera, _: subjects.paths(run, store, camera),
    Kind.CROSSINGS: lambda run, store, camera, _: subjects.crossings(run, store, camera),
    Kind.EDGE: lambda run, store, camera, _: subjects.edge(run, store, camera),
    Kind.TRACKS: lambda run, store, camera, _: subjects.tracks(run, store, camera),
}
GROUPED: dict[Kind, Build] = {
    Kind.FRAMES: lambda run, store, camera, pool: subjects.frames(run, pool, store, camera),
    Kind.KEPT: lambda run, store, camera, pool: subjects.kept(run, pool, store, camera),
}


class TestRoundTrip:
    @given(TOKENS, TOKENS, TOKENS)
    def test_of_a_camera(self, run: str, store: str, camera: str) -> None:
        for kind, build in CAMERA_SUBJECTS.items():
            assert parse(build(run, store, camera, "")) == Subject(run, kind, store, camera)

    @given(TOKENS, TOKENS, TOKENS, TOKENS)
    def test_of_frames(self, run: str, store: str, camera: str, pool: str) -> None:
        for kind, build in GROUPED.items():
            assert parse(build(run, store, camera, pool)) == Subject(run, kind, store, camera, group=pool)

    @given(TOKENS, TOKENS, TOKENS)
    def test_of_detections(self, run: str, store: str, camera: str) -> None:
        number = partition(camera)

        assert parse(subjects.detections(run, store, camera)) == Subject(
            run, Kind.DETECTIONS, store, camera, group=str(number)
        )
        assert 0 <= number < PARTITIONS

    @given(TOKENS, TOKENS, TOKENS, TOKENS)
    def test_of_a_status(self, run: str, store: str, camera: str, service: str) -> None:
        assert parse(subjects.status(run, store, camera, service)) == Subject(
            run, Kind.STATUS, store, camera, part=service
        )

    @given(TOKENS, TOKENS)
    def test_of_counts(self, run: str, store: str) -> None:
        assert parse(subjects.counts(run, store)) == Subject(run, Kind.COUNTS, store)


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param("", id="nothing"),
        pytest.param("metrica", id="the root alone"),
        pytest.param("metrica.live", id="no kind"),
        pytest.param("metrica.live.crossings", id="no names"),
        pytest.param("metrica.live.crossings.store", id="a name too few"),
        pytest.param("metrica.live.crossings.store.camera.more", id="a name too many"),
        pytest.param("metrica.live.frames.store.camera", id="frames without a pool"),
        pytest.param("metrica.live.status.store.camera", id="a status of no service"),
        pytest.param("metrica.live.counts.store.camera", id="counts are a store's"),
        pytest.param("metrica.live.crossings.store.", id="an empty name"),
        pytest.param("metrica..crossings.store.camera", id="an empty run"),
        pytest.param("metrica.live.guesses.store.camera", id="an unknown kind"),
        pytest.param("other.live.crossings.store.camera", id="somebody else's"),
        pytest.param("metrica.dlq.tracker.live", id="a dead letter"),
    ],
)
def test_what_is_no_subject_is_refused_by_name(subject: str) -> None:
    with pytest.raises(ValueError, match=r"is not a subject of Metrica's|wrong number of parts") as refused:
        parse(subject)

    assert repr(subject) in str(refused.value)


def matches(pattern: str, subject: str) -> bool:
    """NATS's rule: `*` is one token, `>` is one or more at the end."""
    wanted, given_ = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(given_) > place
        if place >= len(given_) or token not in ("*", given_[place]):
            return False
    return len(wanted) == len(given_)


def takers(subject: str) -> list[str]:
    return [stream.name for stream in STREAMS if any(matches(pattern, subject) for pattern in stream.subjects)]


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (subjects.detections("night", "shop", "door"), "detections"),
        (subjects.counts("live", "shop"), "counts"),
        (subjects.dead_letter("tracker", "night"), "dlq"),
        (subjects.PROBE_CANCEL, "probe"),
        ("metrica.live.invented.shop", "other"),
        ("_INBOX_api.XYZ", "other"),
        ("metrica", "other"),
    ],
)
def test_a_subject_has_one_of_few_kinds_for_metrics(subject: str, kind: str) -> None:
    assert subjects.kind_of(subject) == kind


class TestStreams:
    @pytest.mark.parametrize(
        ("subject", "stream"),
        [
            (subjects.frames(LIVE, "pool", "store", "camera"), "FRAMES"),
            (subjects.kept(LIVE, "pool", "store", "camera"), "KEPT"),
            (subjects.preview(LIVE, "store", "camera"), "PREVIEW"),
            (subjects.recorded(LIVE, "store", "camera"), "RECORDED"),
            (subjects.detections(LIVE, "store", "camera"), "DETECTIONS"),
            (subjects.paths(LIVE, "store", "camera"), "PATHS"),
            (subjects.crossings(LIVE, "store", "camera"), "CROSSINGS"),
            (subjects.edge(LIVE, "store", "camera"), "CROSSINGS"),
            (subjects.status(LIVE, "store", "camera", "ingest"), "STATUS"),
            (subjects.dead_letter("tracker", LIVE), "DLQ"),
            (subjects.dead_letter("tracker", "replay-1"), "DLQ"),
        ],
    )
    def test_every_kept_subject_lands_in_exactly_one_stream(self, subject: str, stream: str) -> None:
        assert takers(subject) == [stream]

    @pytest.mark.parametrize(
        "subject", [subjects.tracks(LIVE, "store", "camera"), subjects.counts(LIVE, "store")], ids=["tracks", "counts"]
    )
    def test_what_travels_at_most_once_is_kept_by_none(self, subject: str) -> None:
        assert takers(subject) == []

    @pytest.mark.parametrize("kind", Kind)
    def test_a_replay_never_reaches_the_live_streams(self, kind: Kind) -> None:
        assert takers(f"metrica.replay-1.{kind}.a.b.c") == []

    def test_names_are_unique(self) -> None:
        assert len({stream.name for stream in STREAMS}) == len(STREAMS)
        assert len({bucket.name for bucket in BUCKETS}) == len(BUCKETS)

    def test_each_has_the_owner_that_the_design_names(self) -> None:
        owners = {
            owner: ({stream.name for stream in owned_by(owner)[0]}, {bucket.name for bucket in owned_by(owner)[1]})
            for owner in Owner
        }

        assert owners == {
            Owner.INGEST: ({"FRAMES", "KEPT", "PREVIEW", "RECORDED", "STATUS"}, {"ingest_state"}),
            Owner.DETECTOR: ({"DETECTIONS"}, {"attempts", "views"}),
            Owner.TRACKER: ({"PATHS", "CROSSINGS"}, {"checkpoints", "leases"}),
            Owner.PERSISTENCE: ({"DLQ"}, set()),
            Owner.API: (set(), {"cameras", "runs", "sources"}),
            Owner.REPLAY: (set(), set()),
        }

    def test_only_frames_and_previews_may_be_forgotten_with_the_broker(self) -> None:
        assert {stream.name for stream in STREAMS if stream.in_memory} == {"FRAMES", "PREVIEW"}

    def test_frames_that_must_not_be_lost_hold_up_their_own_camera_alone(self) -> None:
        config = to_config(streams.KEPT)

        assert config.discard_new_per_subject is True
        assert config.max_msgs_per_subject == 64

    @pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
    def test_every_stream_has_a_limit_of_size_or_count(self, stream: streams.Stream) -> None:
        assert stream.max_bytes or (stream.max_per_subject and stream.max_age)

    @pytest.mark.parametrize(
        ("pattern", "subject"),
        [
            (subjects.pool_filter(LIVE, Kind.KEPT, "motion"), subjects.kept(LIVE, "motion", "store", "camera")),
            (subjects.partition_filter(LIVE, 9), subjects.detections(LIVE, "store", "entrance")),
        ],
        ids=["a pool's frames", "a partition's detections"],
    )
    def test_a_filter_lets_its_own_subjects_through_and_no_others(self, pattern: str, subject: str) -> None:
        assert matches(pattern, subject)
        assert not matches(pattern, subject.replace(".motion.", ".motion-2.").replace(".9.", ".19."))
