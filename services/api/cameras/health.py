"""How a camera did: the changes that its services told of, and for how long it ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.events import State
from services.api.http.pagination import Asked, Page
from services.api.http.problems import Invalid
from services.kit.database.tables import Camera, CameraHealth

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
LONGEST = timedelta(days=92)
"""A quarter of a year."""

Word = tuple[datetime, str, State]
"""When which service said which state."""


class HealthOut(BaseModel):
    """A service said something new."""

    at: datetime = Field(description="When it was said.")
    service: str = Field(description="Which one: ingest opens the source, the detector looks at the pictures.")
    state: State
    message: str = Field(description="What is wrong and what to do.")
    session: str | None = Field(description="The stretch of pictures that it is about.")


class HealthPage(Page[HealthOut]):
    """A camera's health, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {
                        "at": "2026-11-23T08:20:00Z",
                        "service": "ingest",
                        "state": "retrying",
                        "message": "The camera does not answer. Trying again.",
                        "session": None,
                    }
                ],
                "next": None,
                "uptime": 0.98,
            }
        }
    )

    uptime: float | None = Field(
        description="The part of the period in which all services said `running`, from their first word on; null where "
        "nothing was said. A service that dies says nothing: its last word stands."
    )


def period(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From when until before when a camera's health is told.

    Raises:
        Invalid: that is no time, or too long a one.
    """
    until = now if end is None else min(end, now)
    since = max(until, EARLIEST + WEEK) - WEEK if start is None else start
    if not EARLIEST <= since < until:
        raise Invalid("must be before `to` and before now, and not before the year 2000", "from")
    if until - since > LONGEST:
        raise Invalid(f"must be at most {LONGEST.days} days before `to`", "from")
    return since, until


async def read_health(
    session: AsyncSession, camera: Camera, since: datetime, until: datetime, page: Asked
) -> HealthPage:
    """A page of what was said of a camera in a period."""
    at = col(CameraHealth.at)
    said = select(CameraHealth).where(CameraHealth.camera == camera.id, at >= since, at < until)
    rows, after = await page.read(session, said, at, _read_moment, then=col(CameraHealth.service), newest_first=True)
    return HealthPage(
        items=[HealthOut.model_validate(row.model_dump()) for row in rows],
        next=after,
        uptime=await _read_uptime(session, camera, since, until),
    )


def _read_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not EARLIEST < moment < LATEST:
        raise ValueError(f"{text} is no moment of a camera's")
    return moment


async def _read_uptime(session: AsyncSession, camera: Camera, since: datetime, until: datetime) -> float | None:
    at, service = col(CameraHealth.at), col(CameraHealth.service)
    before = (
        select(CameraHealth.service, CameraHealth.state)
        .where(CameraHealth.camera == camera.id, at < since)
        .ext(distinct_on(service))
        .order_by(service, at.desc())
    )
    within = (
        select(CameraHealth.at, CameraHealth.service, CameraHealth.state)
        .where(CameraHealth.camera == camera.id, at >= since, at < until)
        .order_by(at)
    )
    standing = {name: State(state) for name, state in await session.exec(before)}
    words = [(moment, name, State(state)) for moment, name, state in await session.exec(within)]
    return uptime(standing, words, since, until)


def uptime(standing: Mapping[str, State], words: Iterable[Word], since: datetime, until: datetime) -> float | None:
    """The part of a period in which every service that had said anything said `running`.

    Args:
        standing: what each service had said last before the period.
        words: what was said in it, in order.
        since: its begin.
        until: its end.

    Returns:
        From 0 to 1, of the time from the first word on; None where nothing was said.
    """
    said, moment = dict(standing), since
    known = ran = timedelta()
    for at, service, state in [*words, (until, "", State.STOPPED)]:
        if said:
            known += at - moment
        if said and all(one is State.RUNNING for one in said.values()):
            ran += at - moment
        moment = at
        said[service] = state
    return round(ran / known, 4) if known else None
