"""The server-sent events of a live stream: stores, snapshot, counts, status, crossing, tracks, heartbeat."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from contracts.events import Counts, Crossing, Event, Status, Tracks
from contracts.identity import Direction, to_ns
from services.api.live.mailbox import Message
from services.api.stores.schemas import StoreOut

LATEST_CROSSINGS = 16
"""Crossings of a camera that wait for a slow browser at most; later ones replace the oldest."""
RETRY = b"retry: 1000\n"
"""Milliseconds until a browser reconnects. Sent before the first event."""


class Stores(BaseModel):
    """The stores of an organization's stream. A snapshot of each is sent, too."""

    now: int
    organization: str
    stores: list[str] = Field(
        description="Ids of the stores. A store that is missing from a later list can be forgotten."
    )


class Snapshot(BaseModel):
    """A store as a whole: at the stream's start, at midnight, at a reset, on opening and closing, and on changes."""

    now: int = Field(description="Time by the API's clock, ns UTC: browsers with a wrong clock compute ages from it.")
    store: StoreOut


class LiveCrossing(BaseModel):
    """A person who crossed a line, as soon as it was decided: before it is counted, and at most once.

    A crossing may be missing here; `counts` and the list of crossings have them all.
    """

    id: UUID = Field(description="The same as in the list of crossings.")
    store: str
    camera: str
    line: str
    direction: Direction
    at: int = Field(description="Time at which the path met the line, ns UTC.")
    seq: int = Field(description="The frame that decided it, in its session; 0 of an edge device.")
    session: str


class Heartbeat(BaseModel):
    """Sign that the stream is alive."""

    now: int
    bus: bool = Field(description="Whether the API is connected to NATS; if not, counts come late, from the database.")


EVENTS: dict[str, type[BaseModel]] = {
    "stores": Stores,
    "snapshot": Snapshot,
    "counts": Counts,
    "status": Status,
    "crossing": LiveCrossing,
    "tracks": Tracks,
    "heartbeat": Heartbeat,
}
"""The schema of each event."""


def encode(event: str, data: str | bytes, *, id: int | None = None) -> bytes:  # noqa: A002  # the field's name
    """A server-sent event. `data` is JSON on one line."""
    body = data.encode() if isinstance(data, str) else data
    head = f"event: {event}\n" + (f"id: {id}\n" if id is not None else "")
    return head.encode() + b"data: " + body + b"\n\n"


def stores(organization: str, names: Iterable[str], now: datetime) -> Message:
    """The list of a stream's stores."""
    data = Stores(now=to_ns(now), organization=organization, stores=sorted(names)).model_dump_json()
    return Message(("stores",), encode("stores", data))


def snapshot(store: StoreOut, now: datetime) -> Message:
    """The snapshot of a store."""
    data = Snapshot(now=to_ns(now), store=store).model_dump_json(by_alias=True)
    revision = store.counts.revision
    return Message(("snapshot", store.id), encode("snapshot", data, id=revision), store.id, revision, resets=True)


def counts(event: Counts) -> Message:
    """A store's totals. The event's id is the store's version."""
    body = encode("counts", _whole(event), id=event.revision)
    return Message(("counts", event.store), body, event.store, event.revision)


def status(event: Status) -> Message:
    """A camera's status."""
    return Message(("status", event.camera, event.service), encode("status", _whole(event)), event.store)


def crossing(event: Crossing, number: int) -> Message:
    """A crossing.

    Args:
        number: counts crossings. Of those that a browser has not taken, `LATEST_CROSSINGS` of each camera are kept.
    """
    data = LiveCrossing.model_validate(event.model_dump(include=set(LiveCrossing.model_fields))).model_dump_json()
    key = ("crossing", event.camera, str(number % LATEST_CROSSINGS))
    return Message(key, encode("crossing", data), event.store)


def tracks(camera: str, data: bytes) -> Message:
    """The tracks in one frame, as the tracker encoded them."""
    return Message(("tracks", camera), encode("tracks", data))


def _whole(event: Event) -> str:
    """An event of the bus with all fields of its schema, also those that are null."""
    return event.model_dump_json(by_alias=True)


def heartbeat(now: datetime, *, bus: bool) -> bytes:
    """The heartbeat event."""
    return encode("heartbeat", Heartbeat(now=to_ns(now), bus=bus).model_dump_json())
