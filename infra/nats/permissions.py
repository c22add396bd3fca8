"""NATS permissions: a user per service, with the fewest subjects that it needs. Pure.

The contracts give the owner of each stream and bucket; the tables here give the other readers. A new stream that
has readers other than its owner needs a line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from contracts.identity import LIVE
from contracts.streams import (
    BUCKETS,
    CAMERAS,
    CHECKPOINTS,
    CROSSINGS,
    DETECTIONS,
    DLQ,
    FRAMES,
    KEPT,
    LEASES,
    PATHS,
    PREVIEW,
    RECORDED,
    RUNS,
    SOURCES,
    STATUS,
    STREAMS,
    Bucket,
    Owner,
    Stream,
)
from contracts.subjects import DEAD_LETTERS, PROBE, PROBE_CANCEL, ROOT, Kind, dead_letter, inbox, status

DEVELOPER = "developer"
"""The user of the command line and of tests, with all permissions."""
USERS = (*(owner.value for owner in Owner), DEVELOPER)

READERS: dict[Stream | Bucket, tuple[Owner, ...]] = {
    FRAMES: (Owner.DETECTOR,),
    KEPT: (Owner.DETECTOR,),
    PREVIEW: (Owner.API,),
    STATUS: (Owner.API, Owner.PERSISTENCE),
    RECORDED: (Owner.REPLAY,),
    DETECTIONS: (Owner.TRACKER, Owner.REPLAY),
    PATHS: (Owner.REPLAY,),
    CROSSINGS: (Owner.PERSISTENCE,),
    CAMERAS: (Owner.INGEST, Owner.DETECTOR, Owner.TRACKER, Owner.REPLAY),
    RUNS: (Owner.DETECTOR, Owner.TRACKER, Owner.PERSISTENCE, Owner.REPLAY),
    SOURCES: (Owner.INGEST,),  # a camera's address may contain its password
    LEASES: (Owner.INGEST, Owner.DETECTOR, Owner.REPLAY),
    CHECKPOINTS: (Owner.INGEST,),  # for the frame from which to resume a file
}
"""Readers of streams and buckets, other than their owners."""

AT_MOST_ONCE = {Kind.TRACKS: (Owner.TRACKER, Owner.API), Kind.COUNTS: (Owner.PERSISTENCE, Owner.API)}
"""Publisher and subscriber of events without a stream (core NATS)."""

SUBSCRIBERS = {
    Kind.STATUS: (Owner.API, Owner.REPLAY),
    Kind.CROSSINGS: (Owner.API,),
    Kind.EDGE: (Owner.API,),
}
"""Core subscribers of events with a stream: the API reports a camera's trouble even if the stream is unavailable, and
shows crossings at once, which may be lost there: persistence counts them from the stream. No stream keeps the statuses
of runs, which replay passes on."""

TO_RUNS = {
    Kind.KEPT: (Owner.REPLAY, Owner.DETECTOR),
    Kind.DETECTIONS: (Owner.REPLAY, Owner.TRACKER),
    Kind.CROSSINGS: (Owner.REPLAY, Owner.PERSISTENCE),
    Kind.PROGRESS: (Owner.TRACKER, Owner.REPLAY),
}
"""Publisher and reader of the events of runs beside the live one, besides those that publish them in the live run."""

PUBLISHERS = {Kind.EDGE: Owner.API}
"""Publishers into a stream of another owner: crossings that edge workers in stores send over HTTP."""

REQUESTS = {PROBE: (Owner.INGEST, Owner.API)}
"""Responder and requester of each request."""

NOTICES = {PROBE_CANCEL: (Owner.API, Owner.INGEST)}
"""Publisher and subscriber of subjects outside of any run (core NATS)."""

WRITERS = {RUNS: (Owner.REPLAY,)}
"""Writers of the keys of a bucket, other than its owner."""

LEASE_GROUPS = {Owner.INGEST: "ingest", Owner.TRACKER: "tracker", Owner.DETECTOR: "pool", Owner.REPLAY: "replay"}
"""First token of the keys of each service's leases."""

PURGES: dict[Owner, tuple[Stream | Bucket, ...]] = {Owner.INGEST: (KEPT,), Owner.REPLAY: (DLQ, RUNS, CHECKPOINTS)}
"""Streams and buckets that a service purges: ingest removes frames that are queued for a model no camera uses any more,
replay what is left of a dropped run. NATS knows no narrower right: a purge's filter is in its body."""

RUN_WORKERS = (Owner.DETECTOR, Owner.TRACKER, Owner.PERSISTENCE, Owner.REPLAY)
"""Services that work on runs other than the live one, in streams that the replay service makes and removes.

A stream's name is one token of a subject, so that only `*` matches a run's streams: these services may read all streams
that the contracts don't declare. The declared ones that they have no right to are denied one by one.
"""


@dataclass(frozen=True, slots=True)
class Permissions:
    """The subjects that a user may publish to and subscribe to. Denied subjects have priority over allowed ones."""

    publish: tuple[str, ...]
    deny_publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False
    """True if it may reply to requests on any reply subject: once for each, and within two minutes."""


_MAKING = ("CREATE", "UPDATE", "DELETE")
"""Requests by which the streams of a run are made and removed."""


def permissions(service: Owner) -> Permissions:
    """Return the permissions of a service."""
    owned = [name for name, stored in _declared() if stored.owner is service]
    foreign = [
        name for name, stored in _declared() if stored.owner is not service and service not in READERS.get(stored, ())
    ]
    on_runs, makes_runs = service in RUN_WORKERS, service is Owner.REPLAY
    purges = [_stream_of(purged) for purged in PURGES.get(service, ())]
    readable = ["*"] if on_runs else [name for name, _ in _declared() if name not in foreign]
    events = tuple(_events(service))
    return Permissions(
        publish=(
            *events,
            status("*", "*", "*", service),
            dead_letter(service, "*"),
            *(request for request, (_, requester) in REQUESTS.items() if requester is service),
            *(subject for subject, (publisher, _) in NOTICES.items() if publisher is service),
            *_keys(service),
            *(subject for name in owned for subject in _declaring(name)),
            *(f"$JS.API.STREAM.PURGE.{_stream_of(purged)}" for purged in PURGES.get(service, ())),
            *(f"$JS.API.STREAM.{verb}.*" for verb in _MAKING if makes_runs),
            *(subject for name in readable for subject in _reading(name)),
        ),
        deny_publish=(
            # The wildcard for an event's run would also match another service's dead letters.
            *(subject.replace(f"{ROOT}.*", DEAD_LETTERS) for subject in (*events, status("*", "*", "*", service))),
            *(subject for name in foreign if on_runs for subject in _all_requests(name, purges)),
            *(f"$JS.API.STREAM.{verb}.{name}" for name, _ in _declared() if makes_runs for verb in _MAKING),
            *(_in_run(LIVE, kind) for kind, (publisher, _) in TO_RUNS.items() if publisher is service),
        ),
        subscribe=(
            f"{inbox(service)}.>",
            *(_any_run(kind) for kind, (_, subscriber) in AT_MOST_ONCE.items() if subscriber is service),
            *(_any_run(kind) for kind, subscribers in SUBSCRIBERS.items() if service in subscribers),
            *(request for request, (responder, _) in REQUESTS.items() if responder is service),
            *(subject for subject, (_, subscriber) in NOTICES.items() if subscriber is service),
        ),
        answers=any(responder is service for responder, _ in REQUESTS.values()),
    )


def _declared() -> Iterator[tuple[str, Stream | Bucket]]:
    """Yield the declared streams and buckets, each with the name of its JetStream stream."""
    yield from ((stream.name, stream) for stream in STREAMS)
    yield from ((_stream_of(bucket), bucket) for bucket in BUCKETS)


def _events(service: Owner) -> Iterator[str]:
    """Yield the subjects of events that only this service publishes, in any run."""
    by_others = {_any_run(kind) for kind in PUBLISHERS}
    for stream in STREAMS:
        if stream.owner is service and stream not in {STATUS, DLQ}:  # all services publish to these
            subjects = (subject.replace(f"{ROOT}.{LIVE}.", f"{ROOT}.*.") for subject in stream.subjects)
            yield from (subject for subject in subjects if subject not in by_others)
    yield from (_any_run(kind) for kind, publisher in PUBLISHERS.items() if publisher is service)
    yield from (_any_run(kind) for kind, (publisher, _) in AT_MOST_ONCE.items() if publisher is service)
    yield from (_any_run(kind) for kind, (publisher, _) in TO_RUNS.items() if publisher is service)


def _any_run(kind: Kind) -> str:
    return _in_run("*", kind)


def _in_run(run: str, kind: Kind) -> str:
    return f"{ROOT}.{run}.{kind}.>"


def _stream_of(stored: Stream | Bucket) -> str:
    return f"KV_{stored.name}" if isinstance(stored, Bucket) else stored.name


def _keys(service: Owner) -> Iterator[str]:
    """Yield the subjects of the keys that a service writes."""
    for bucket in BUCKETS:
        if bucket is not LEASES and service in {bucket.owner, *WRITERS.get(bucket, ())}:
            yield f"$KV.{bucket.name}.>"
    if service in LEASE_GROUPS:
        yield f"$KV.{LEASES.name}.{LEASE_GROUPS[service]}.>"


def _declaring(name: str) -> Iterator[str]:
    yield from (f"$JS.API.STREAM.{verb}.{name}" for verb in ("CREATE", "UPDATE"))


def _reading(name: str) -> Iterator[str]:
    """Yield the requests for reading a stream, by messages or through consumers."""
    yield f"$JS.API.STREAM.INFO.{name}"
    yield f"$JS.API.STREAM.MSG.GET.{name}"
    yield from (f"$JS.API.DIRECT.GET.{name}{rest}" for rest in ("", ".>"))
    yield from (f"$JS.API.CONSUMER.CREATE.{name}{rest}" for rest in ("", ".>"))
    yield from (f"$JS.API.CONSUMER.{verb}.{name}.*" for verb in ("DURABLE.CREATE", "INFO", "MSG.NEXT"))
    yield from (f"$JS.{answer}.{name}.>" for answer in ("ACK", "FC"))


def _all_requests(name: str, purges: Collection[str]) -> Iterator[str]:
    """Yield all requests about a stream, with its name as fifth or sixth token, and all replies to its consumers.

    Of a stream that the service may purge, though not read, they are named one by one.
    """
    if name in purges:
        verbs = ("STREAM.INFO", "STREAM.MSG.*", "DIRECT.GET", "CONSUMER.*", "CONSUMER.*.*")
        yield from (f"$JS.API.{verb}.{name}{rest}" for verb in verbs for rest in ("", ".>"))
    else:
        yield from (f"$JS.API.{verb}.{name}{rest}" for verb in ("*.*", "*.*.*") for rest in ("", ".>"))
    yield from (f"$JS.{answer}.{name}.>" for answer in ("ACK", "FC"))
