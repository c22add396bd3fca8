"""Publishes crossings of edge workers to NATS. Persistence stores them like the tracker's: each once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from nats.errors import Error as NatsError
from pydantic import JsonValue, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts import subjects
from contracts.events import Crossing
from contracts.identity import LIVE, Direction, edge_id, to_datetime, to_ns
from services.api.auth.tokens.api_keys import EdgeWorker
from services.api.cameras.mapping import in_words
from services.api.edge.repository import LineRevisions, Stored, lines_of, stored_crossings
from services.api.edge.schemas import EdgeAnswer, EdgeAnswers, EdgeCrossing
from services.api.http.bodies import is_storable
from services.api.http.problems import Unavailable
from services.kit.nats.bus import Bus, StreamFull

EARLIEST, LATEST = timedelta(days=400), timedelta(minutes=5)
"""Greatest age of a crossing, and lead over the API's clock: beyond, the worker's clock is wrong."""
AT_ONCE = 64


class Batch:
    """A worker's crossings, validated one by one."""

    def __init__(self, worker: EdgeWorker, lines: Mapping[str, Mapping[str, LineRevisions]], now: datetime) -> None:
        self._worker, self._lines, self._now = worker, lines, now
        self.crossings: dict[UUID, Crossing] = {}
        """Accepted crossings, to be published."""

    def judge(self, event: EdgeCrossing, stored: Stored | None) -> EdgeAnswer:
        """Accept a crossing, or refuse it with the reason.

        Args:
            stored: the crossing with the same id in the database, if any.
        """
        problem = self._problem(event)
        if problem is not None:
            return EdgeAnswer(id=event.id, status="refused", detail=problem)
        made = self._crossing(event)
        before = stored or _as_stored(self.crossings.get(made.id))
        if before is None:
            self.crossings[made.id] = made
            return EdgeAnswer(id=event.id, status="accepted")
        if before == _as_stored(made):
            return EdgeAnswer(id=event.id, status="duplicate")
        detail = "another crossing was sent under this id: give each an id of its own"
        return EdgeAnswer(id=event.id, status="refused", detail=detail)

    def _problem(self, event: EdgeCrossing) -> str | None:
        lines = self._lines.get(event.camera)
        if lines is None:
            return f"the store {self._worker.store} has no camera {event.camera!r}"
        if event.line not in lines:
            return f"the camera {event.camera} has no line {event.line!r}"
        if event.at > self._now + LATEST:
            return f"it is in the future: {event.at.isoformat()}; is the worker's clock right?"
        if event.at < self._now - EARLIEST:
            return f"it is older than {EARLIEST.days} days: {event.at.isoformat()}"
        return None

    def _crossing(self, event: EdgeCrossing) -> Crossing:
        revisions = self._lines[event.camera][event.line]
        return Crossing(
            run=LIVE,
            id=edge_id(self._worker.key, event.id),
            store=self._worker.store,
            camera=event.camera,
            line=event.line,
            line_revision=revisions.line,
            direction=Direction(event.direction),
            session=f"edge-{self._worker.key}",
            seq=0,
            at=to_ns(event.at),
            place=event.place,
            spec_revision=revisions.spec,
        )


async def take(
    session: AsyncSession, bus: Bus, worker: EdgeWorker, events: Sequence[JsonValue], now: datetime
) -> EdgeAnswers:
    """Validate a batch, and publish its accepted crossings. Returns once the stream has stored them.

    Raises:
        Unavailable: NATS does not accept them now; the whole batch can be sent again.
    """
    read = [_read(event) for event in events]
    valid = [item for item in read if isinstance(item, EdgeCrossing)]
    stored = await stored_crossings(session, worker, [edge_id(worker.key, crossing.id) for crossing in valid])
    batch = Batch(worker, await lines_of(session, worker), now)
    answers = [
        item if isinstance(item, EdgeAnswer) else batch.judge(item, stored.get(edge_id(worker.key, item.id)))
        for item in read
    ]
    await _publish(bus, batch.crossings.values())
    statuses = [answer.status for answer in answers]
    return EdgeAnswers(
        accepted=statuses.count("accepted"),
        duplicates=statuses.count("duplicate"),
        refused=statuses.count("refused"),
        events=answers,
    )


def _read(event: JsonValue) -> EdgeCrossing | EdgeAnswer:
    try:
        return EdgeCrossing.model_validate(event)
    except ValidationError as error:
        sent_id = event.get("id") if isinstance(event, dict) else None
        id_ = sent_id if isinstance(sent_id, str) and is_storable(sent_id) else None
        return EdgeAnswer(id=id_, status="refused", detail=in_words(error))


def _as_stored(crossing: Crossing | None) -> Stored | None:
    if crossing is None:
        return None
    return Stored(crossing.camera, crossing.line, crossing.direction.value, to_datetime(crossing.at))


async def _publish(bus: Bus, crossings: Iterable[Crossing]) -> None:
    if not bus.connected:
        raise Unavailable(
            "NATS is away: nothing was taken. Send the batch again; what is sent twice counts once.",
            code="crossings-not-taken",
        )
    turn = asyncio.Semaphore(AT_ONCE)

    async def publish(crossing: Crossing) -> None:
        async with turn:
            subject = subjects.edge(LIVE, crossing.store, crossing.camera)
            await bus.try_publish(subject, crossing.encode(), msg_id=f"{LIVE}/{crossing.id}")

    # Waits for all of them, so that none is under way when the batch is reported as not accepted.
    done = await asyncio.gather(*(publish(crossing) for crossing in crossings), return_exceptions=True)
    for failure in done:
        if isinstance(failure, NatsError | StreamFull | TimeoutError):
            raise Unavailable(
                "NATS did not take all of it. Send the batch again; what is sent twice counts once.",
                code="crossings-not-all-taken",
            ) from failure
        if failure is not None:
            raise failure
