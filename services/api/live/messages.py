"""The server-sent events of a live stream: stores, snapshot, counts, status, tracks, heartbeat."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, Field

from contracts.events import Counts, Status
from contracts.identity import to_ns
from services.api.live.mailbox import Message
from services.api.stores.schemas import StoreOut

RETRY = b"retry: 1000\n"
"""A browser that lost its stream comes back after so many milliseconds. Stands before the first event."""


class Stores(BaseModel):
    """Which stores an organization's stream is about. Each has a snapshot of its own."""

    now: int
    organization: str
    stores: list[str] = Field(description="By id. One that is no more among them may be forgotten.")


class Snapshot(BaseModel):
    """What a stream says first of a store, and again: at midnight, at a reset, when the configuration changes."""

    now: int = Field(
        description="The API's clock, ns UTC: tells the age of what follows on a browser whose clock is off."
    )
    store: StoreOut


class Heartbeat(BaseModel):
    """The stream lives."""

    now: int
    bus: bool = Field(description="Whether the API hears the services; without, counts come from the database, late.")


def encode(event: str, data: str | bytes, *, id: int | None = None) -> bytes:  # noqa: A002  # the field's name
    """A server-sent event. `data` is JSON on one line."""
    body = data.encode() if isinstance(data, str) else data
    head = f"event: {event}\n" + (f"id: {id}\n" if id is not None else "")
    return head.encode() + b"data: " + body + b"\n\n"


def stores(organization: str, names: Iterable[str], now: datetime) -> Message:
    """Which stores a stream is about."""
    data = Stores(now=to_ns(now), organization=organization, stores=sorted(names)).model_dump_json()
    return Message(("stores",), encode("stores", data))


def snapshot(store: StoreOut, now: datetime) -> Message:
    """Everything of a store at once."""
    data = Snapshot(now=to_ns(now), store=store).model_dump_json(by_alias=True)
    revision = store.counts.revision
    return Message(("snapshot", store.id), encode("snapshot", data, id=revision), store.id, revision, resets=True)


def counts(event: Counts) -> Message:
    """A store's totals. The id of the event is the store's version."""
    body = encode("counts", event.encode(), id=event.revision)
    return Message(("counts", event.store), body, event.store, event.revision)


def status(event: Status) -> Message:
    """How a camera does."""
    return Message(("status", event.camera, event.service), encode("status", event.encode()), event.store)


def tracks(camera: str, data: bytes) -> Message:
    """The tracked people of one frame, as the tracker encoded them."""
    return Message(("tracks", camera), encode("tracks", data))


def heartbeat(now: datetime, *, bus: bool) -> bytes:
    """The sign of life."""
    return encode("heartbeat", Heartbeat(now=to_ns(now), bus=bus).model_dump_json())
