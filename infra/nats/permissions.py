"""Who may do what on NATS: a user per service, with the least subjects that it needs. Pure.

What a service owns, the contracts say; this table says who else reads it. A stream that is new there needs a line in
`READERS` here, where anybody but its owner reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    PREVIEW,
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
"""The user of the command line and of tests: may do everything."""
USERS = (*(owner.value for owner in Owner), DEVELOPER)

READERS: dict[Stream | Bucket, tuple[Owner, ...]] = {
    FRAMES: (Owner.DETECTOR,),
    KEPT: (Owner.DETECTOR,),
    PREVIEW: (Owner.API,),
    STATUS: (Owner.API, Owner.PERSISTENCE),
    DETECTIONS: (Owner.TRACKER,),
    CROSSINGS: (Owner.PERSISTENCE,),
    CAMERAS: (Owner.INGEST, Owner.DETECTOR, Owner.TRACKER),
    RUNS: (Owner.DETECTOR, Owner.TRACKER, Owner.PERSISTENCE),
    SOURCES: (Owner.INGEST,),  # a camera's address may hold its password
    LEASES: (Owner.INGEST, Owner.DETECTOR),
    CHECKPOINTS: (Owner.INGEST,),  # where to go on with a file
}
"""Who reads what another service owns."""

AT_MOST_ONCE = {Kind.TRACKS: (Owner.TRACKER, Owner.API), Kind.COUNTS: (Owner.PERSISTENCE, Owner.API)}
"""Who publishes what no stream keeps, and who listens to it."""

HEARD = {Kind.STATUS: Owner.API}
"""Who listens to what passes on its way into a stream: a camera's trouble is told also where nothing is stored."""

IN_ANOTHERS = {Kind.EDGE: Owner.API}
"""What a service publishes into a stream that another owns: crossings that workers in stores send over HTTP."""

ANSWERS = {PROBE: (Owner.INGEST, Owner.API)}
"""Who answers a request, and who makes it."""

TOLD = {PROBE_CANCEL: (Owner.API, Owner.INGEST)}
"""Who says something outside of any run, and who listens."""

LEASE_GROUPS = {Owner.INGEST: "ingest", Owner.TRACKER: "tracker", Owner.DETECTOR: "pool"}
"""Whose leases a service takes: the first token of their keys."""

PURGES = {Owner.INGEST: (KEPT,)}
"""Who empties a stream of its own: ingest takes back frames that are queued for a model that nobody asks for."""

RUN_WORKERS = (Owner.DETECTOR, Owner.TRACKER, Owner.PERSISTENCE)
"""Who works on runs beside the live one, in streams that the command line makes and removes.

A stream's name is one token of a subject, so that of a run's streams nothing can be said but `*`: these services may
read every stream that the contracts don't name. What they name, and is not theirs, is denied one by one.
"""


@dataclass(frozen=True, slots=True)
class Permissions:
    """The subjects that a user may publish to and subscribe to. What is denied is taken away from what is allowed."""

    publish: tuple[str, ...]
    deny_publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False
    """Whether it may answer what it is asked, wherever the answer is to go: once, and within two minutes."""


def permissions(service: Owner) -> Permissions:
    """What a service may do."""
    owned = [name for name, kept in _kept() if kept.owner is service]
    foreign = [name for name, kept in _kept() if kept.owner is not service and service not in READERS.get(kept, ())]
    on_runs = service in RUN_WORKERS
    readable = ["*"] if on_runs else [name for name, _ in _kept() if name not in foreign]
    events = tuple(_events(service))
    return Permissions(
        publish=(
            *events,
            status("*", "*", "*", service),
            dead_letter(service, "*"),
            *(request for request, (_, asker) in ANSWERS.items() if asker is service),
            *(subject for subject, (teller, _) in TOLD.items() if teller is service),
            *_keys(service),
            *(subject for name in owned for subject in _declaring(name)),
            *(f"$JS.API.STREAM.PURGE.{stream.name}" for stream in PURGES.get(service, ())),
            *(subject for name in readable for subject in _reading(name)),
        ),
        deny_publish=(
            # The run of an event is any token, and this one would make it another's dead letter.
            *(subject.replace(f"{ROOT}.*", DEAD_LETTERS) for subject in (*events, status("*", "*", "*", service))),
            *(subject for name in foreign if on_runs for subject in _asking(name)),
        ),
        subscribe=(
            f"{inbox(service)}.>",
            *(_any_run(kind) for kind, (_, listener) in AT_MOST_ONCE.items() if listener is service),
            *(_any_run(kind) for kind, listener in HEARD.items() if listener is service),
            *(request for request, (answerer, _) in ANSWERS.items() if answerer is service),
            *(subject for subject, (_, listener) in TOLD.items() if listener is service),
        ),
        answers=any(answerer is service for answerer, _ in ANSWERS.values()),
    )


def _kept() -> Iterator[tuple[str, Stream | Bucket]]:
    """Streams and buckets, with the name of the stream that each is."""
    yield from ((stream.name, stream) for stream in STREAMS)
    yield from ((f"KV_{bucket.name}", bucket) for bucket in BUCKETS)


def _events(service: Owner) -> Iterator[str]:
    """What a service alone publishes, of any run."""
    anothers = {_any_run(kind) for kind in IN_ANOTHERS}
    for stream in STREAMS:
        if stream.owner is service and stream not in {STATUS, DLQ}:  # of these each service has a part of its own
            anybodys = (subject.replace(f"{ROOT}.{LIVE}.", f"{ROOT}.*.") for subject in stream.subjects)
            yield from (subject for subject in anybodys if subject not in anothers)
    yield from (_any_run(kind) for kind, publisher in IN_ANOTHERS.items() if publisher is service)
    yield from (_any_run(kind) for kind, (publisher, _) in AT_MOST_ONCE.items() if publisher is service)


def _any_run(kind: Kind) -> str:
    return f"{ROOT}.*.{kind}.>"


def _keys(service: Owner) -> Iterator[str]:
    """The keys that a service writes."""
    yield from (f"$KV.{bucket.name}.>" for bucket in BUCKETS if bucket.owner is service and bucket is not LEASES)
    if service in LEASE_GROUPS:
        yield f"$KV.{LEASES.name}.{LEASE_GROUPS[service]}.>"


def _declaring(name: str) -> Iterator[str]:
    yield from (f"$JS.API.STREAM.{verb}.{name}" for verb in ("CREATE", "UPDATE"))


def _reading(name: str) -> Iterator[str]:
    """What reading a stream takes, by messages or through consumers."""
    yield f"$JS.API.STREAM.INFO.{name}"
    yield f"$JS.API.STREAM.MSG.GET.{name}"
    yield from (f"$JS.API.DIRECT.GET.{name}{rest}" for rest in ("", ".>"))
    yield from (f"$JS.API.CONSUMER.CREATE.{name}{rest}" for rest in ("", ".>"))
    yield from (f"$JS.API.CONSUMER.{verb}.{name}.*" for verb in ("DURABLE.CREATE", "INFO", "MSG.NEXT"))
    yield from (f"$JS.{answer}.{name}.>" for answer in ("ACK", "FC"))


def _asking(name: str) -> Iterator[str]:
    """Every request about a stream, which has its name as fifth or sixth token, and every answer to its consumers."""
    yield from (f"$JS.API.{verb}.{name}{rest}" for verb in ("*.*", "*.*.*") for rest in ("", ".>"))
    yield from (f"$JS.{answer}.{name}.>" for answer in ("ACK", "FC"))
