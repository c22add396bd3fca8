"""The AsyncAPI 3 document of the bus, from the contracts and the permissions: `python -m infra.nats.asyncapi`.

It lists every subject with its message and headers, the stream that keeps it, the KV buckets, and which service sends
and receives each. The committed copy, `contracts/asyncapi.json`, is what the API shows at `/docs/events`; a test fails
where it differs from what is generated, and where a permission or a handler has no operation in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from contracts import schema, subjects
from contracts.frames import PREFIX, FrameHeader
from contracts.identity import LIVE
from contracts.streams import BUCKETS, DLQ, STATUS, STREAMS, Bucket, Owner, Stream, run_streams
from contracts.subjects import PROBE, PROBE_CANCEL, Kind
from infra.nats.permissions import (
    AT_MOST_ONCE,
    LEASE_GROUPS,
    NOTICES,
    PUBLISHERS,
    READERS,
    REQUESTS,
    SUBSCRIBERS,
    TO_RUNS,
    WRITERS,
)

FILE: Final = Path(subjects.__file__).with_name("asyncapi.json")
VERSION: Final = "3.0.0"
Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/{model}"
_PARAMETERS: Final = {
    "run": "`live`, or the name of a run beside it.",
    "pool": "The detectors that share one model, by the model's name.",
    "partition": "A fixed share of the cameras, 0 to 63: a hash of the camera's id.",
    "store": "Id of the store.",
    "camera": "Id of the camera.",
    "service": "The service that reports.",
}


@dataclass(frozen=True)
class _Channel:
    """A subject: its address, its message, the stream that keeps it, and the name of that stream in other runs."""

    name: str
    address: str
    message: str
    text: str
    stream: Stream | None = None
    run_stream: str = ""


def _of_kind(kind: Kind, address: str, message: str, text: str) -> _Channel:
    subject = f"{subjects.ROOT}.{LIVE}.{kind}.>"
    stream = next((stream for stream in STREAMS if subject in stream.subjects), None)
    of_runs = {name: each.name for each in run_streams("{run}") for name in each.subjects}
    return _Channel(kind.value, address, message, text, stream, of_runs.get(subject.replace(LIVE, "{run}"), ""))


def channels() -> list[_Channel]:
    """The subjects of the contracts, built by the functions that the services use."""
    run, store, camera = "{run}", "{store}", "{camera}"
    detections = f"{subjects.ROOT}.{run}.{Kind.DETECTIONS}.{{partition}}.{store}.{camera}"
    return [
        _of_kind(Kind.FRAMES, subjects.frames(run, "{pool}", store, camera), "frame", "Frames of a live camera."),
        _of_kind(Kind.KEPT, subjects.kept(run, "{pool}", store, camera), "frame", "Frames of a repeatable source."),
        _of_kind(Kind.PREVIEW, subjects.preview(run, store, camera), "frame", "The newest picture of a camera."),
        _of_kind(Kind.RECORDED, subjects.recorded(run, store, camera), "frame", "Frames that are recorded."),
        _of_kind(Kind.DETECTIONS, detections, "detections", "The detections of each frame."),
        _of_kind(Kind.PATHS, subjects.paths(run, store, camera), "path", "Pieces of simplified paths of tracks."),
        _of_kind(Kind.CROSSINGS, subjects.crossings(run, store, camera), "crossing", "Crossings and ends of sessions."),
        _of_kind(
            Kind.COVERAGE, subjects.coverage(run, store, camera), "coverage", "Times in which lines were counted."
        ),
        _of_kind(Kind.EDGE, subjects.edge(run, store, camera), "crossing", "Crossings that an edge device sent."),
        _of_kind(Kind.STATUS, subjects.status(run, store, camera, "{service}"), "status", "The status of a camera."),
        _of_kind(
            Kind.PROGRESS,
            subjects.progress(run, store, camera),
            "tracking_progress",
            "The tracker's progress in a camera of a run, after each checkpoint.",
        ),
        _of_kind(Kind.TRACKS, subjects.tracks(run, store, camera), "tracks", "Boxes for overlays, at most once."),
        _of_kind(Kind.COUNTS, subjects.counts(run, store), "counts", "A store's totals after a commit, at most once."),
        _Channel("dlq", subjects.dead_letter("{service}", run), "dead_letter", "Messages that failed.", DLQ),
        _Channel("probe", PROBE, "probe", "Asks ingest for one frame of an address; answered to the reply subject."),
        _Channel("probe_cancel", PROBE_CANCEL, "probe_id", "Calls a probe off, by its id."),
    ]


_KEYS: Final[dict[str, tuple[str, str, str]]] = {
    "cameras": ("{camera}.{revision}", "camera_spec", "A camera's settings: `current`, and each revision."),
    "runs": ("{run}", "run", "The runs beside the live one."),
    "sources": ("{camera}", "source", "The sealed address of each camera."),
    "ingest_state": ("{camera}", "", "How far a file has been published."),
    "attempts": ("{frame}", "", "Attempts to look at a redelivered frame."),
    "views": ("{camera}", "", "Backgrounds that motion detection has learned."),
    "checkpoints": ("{run}.{partition}.{camera}", "", "The tracker's state for each camera, with its outbox."),
    "leases": ("{group}.{item}", "", "Leases: which replica works on what."),
}
"""Of each bucket its keys, the schema of its values (none: private to its owner), and what it holds."""


def _senders(channel: _Channel) -> Iterator[Owner]:
    if channel.name in PUBLISHERS:
        yield PUBLISHERS[Kind(channel.name)]
    elif channel.stream in {STATUS, DLQ}:
        yield from Owner
    elif channel.name in AT_MOST_ONCE:
        yield AT_MOST_ONCE[Kind(channel.name)][0]
    elif channel.name in ("probe", "probe_cancel"):
        yield REQUESTS[PROBE][1] if channel.name == "probe" else NOTICES[PROBE_CANCEL][0]
    elif channel.stream is not None and channel.stream.owner is not None:
        yield channel.stream.owner
    if channel.name in TO_RUNS:
        yield TO_RUNS[Kind(channel.name)][0]


def _receivers(channel: _Channel) -> Iterator[Owner]:
    if channel.name in AT_MOST_ONCE:
        yield AT_MOST_ONCE[Kind(channel.name)][1]
    elif channel.name in ("probe", "probe_cancel"):
        yield REQUESTS[PROBE][0] if channel.name == "probe" else NOTICES[PROBE_CANCEL][1]
    elif channel.stream is not None:
        yield from READERS.get(channel.stream, ())
        subscribers = SUBSCRIBERS[Kind(channel.name)] if channel.name in SUBSCRIBERS else ()
        yield from (service for service in subscribers if service not in READERS.get(channel.stream, ()))
    elif channel.name in TO_RUNS:
        yield TO_RUNS[Kind(channel.name)][1]


def _writers(bucket: Bucket) -> tuple[Owner, ...]:
    return tuple(LEASE_GROUPS) if bucket.name == "leases" else (bucket.owner, *WRITERS.get(bucket, ()))


def _parameters(address: str) -> Json:
    names = [part[1:-1] for part in address.replace("$KV", "KV").split(".") if part.startswith("{")]
    texts = _PARAMETERS | {
        "revision": "`current`, or the number of a revision.",
        "frame": "Id of the frame.",
        "group": "What is leased: `ingest` (cameras), `pool` (models), `tracker` (partitions) or `replay` (runs).",
        "item": "The camera, the model, the partition or the run.",
    }
    return {name: {"description": texts[name]} for name in names}


def _kept_as(stream: Stream) -> Json:
    limits = {
        "storage": "memory" if stream.in_memory else "file",
        "retention": "workqueue" if stream.work_queue else "limits",
        "discard": "new" if stream.discard_new else "old",
        "maxAgeSeconds": stream.max_age,
        "maxBytes": stream.max_bytes,
        "maxMessagesPerSubject": stream.max_per_subject,
    }
    return {"name": stream.name, "owner": stream.owner, **{name: value for name, value in limits.items() if value}}


def _operation(action: str, service: Owner, channel: str, text: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": text,
        "tags": [{"name": service.value}],
        "messages": [{"$ref": f"#/channels/{channel}/messages/{channel}"}],
    }


def _models() -> tuple[Json, Json]:
    """The schemas of all that travels: of each message, and of the models that they consist of."""
    adapters: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (name, "validation", model if isinstance(model, TypeAdapter) else TypeAdapter(model))
        for name, model in schema.MODELS.items()
    ]
    by_name, definitions = TypeAdapter.json_schemas(adapters, ref_template=_SCHEMAS)
    payloads = {name: each for (name, _), each in by_name.items()}
    for payload in payloads.values():
        if "discriminator" in payload:  # a name in AsyncAPI, an object in OpenAPI
            payload["discriminator"] = payload["discriminator"]["propertyName"]
    return payloads, definitions.get("$defs", {})


def _headers(model: type[BaseModel]) -> Json:
    names = {name: f"{PREFIX}{name.replace('_', '-').title()}" for name in model.model_fields}
    fields = model.model_json_schema(ref_template=_SCHEMAS)["properties"]
    required = [names[name] for name, field in model.model_fields.items() if field.is_required()]
    return {
        "type": "object",
        "properties": {names[name]: field for name, field in fields.items()}
        | {
            "Nats-Msg-Id": {"type": "string", "description": "run/camera/session/seq: a frame that comes twice is one."}
        },
        "required": required,
    }


def _messages() -> tuple[Json, Json]:
    payloads, definitions = _models()
    messages = {
        name: {"name": name, "contentType": "application/json", "payload": payload}
        for name, payload in payloads.items()
    }
    messages["frame"] = {
        "name": "frame",
        "contentType": "image/jpeg",
        "headers": _headers(FrameHeader),
        "payload": {"type": "string", "format": "binary", "description": "A JPEG; empty in the end of a session."},
    }
    messages["probe_id"] = {"name": "probe_id", "contentType": "text/plain", "payload": {"type": "string"}}
    messages["entry"] = {
        "name": "entry",
        "contentType": "application/json",
        "payload": {"type": "object", "description": "Private to the service that owns the bucket."},
    }
    letter = messages["dead_letter"]
    messages["dead_letter"] = {
        "name": "dead_letter",
        "headers": {"type": "object", "properties": {"Metrica-Dead-Letter": letter["payload"]}},
        "payload": {"description": "The message as it was, with its own headers."},
    }
    del messages["frame_header"]
    return messages, definitions


def document() -> Json:
    """The document."""
    messages, definitions = _messages()
    shown: Json = {}
    operations: Json = {}
    for channel in channels():
        shown[channel.name] = {
            "address": channel.address,
            "description": channel.text,
            "parameters": _parameters(channel.address),
            "messages": {channel.name: {"$ref": f"#/components/messages/{channel.message}"}},
            **({"x-jetstream": _kept_as(channel.stream)} if channel.stream else {}),
            **({"x-jetstream-of-runs": channel.run_stream} if channel.run_stream else {}),
        }
        for service in _senders(channel):
            operations[f"{service}.send.{channel.name}"] = _operation("send", service, channel.name, channel.text)
        for service in _receivers(channel):
            operations[f"{service}.receive.{channel.name}"] = _operation("receive", service, channel.name, channel.text)
    for bucket in BUCKETS:
        keys, message, text = _KEYS[bucket.name]
        name = f"kv_{bucket.name}"
        shown[name] = {
            "address": f"$KV.{bucket.name}.{keys}",
            "description": text,
            "parameters": _parameters(keys),
            "messages": {name: {"$ref": f"#/components/messages/{message or 'entry'}"}},
            "x-kv": {"bucket": bucket.name, "owner": bucket.owner, "ttlSeconds": bucket.ttl, "history": bucket.history},
        }
        for service in _writers(bucket):
            operations[f"{service}.send.{name}"] = _operation("send", service, name, text)
        for service in dict.fromkeys((*_writers(bucket), *READERS.get(bucket, ()))):
            operations[f"{service}.receive.{name}"] = _operation("receive", service, name, text)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Metrica",
            "version": version("metrica"),
            "description": "The subjects, streams and KV buckets over which Metrica's services work together.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats", "description": "NATS with JetStream."}},
        "channels": shown,
        "operations": operations,
        "components": {"messages": messages, "schemas": definitions},
    }


def encode() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document."""
    FILE.write_text(encode())


if __name__ == "__main__":
    main()
