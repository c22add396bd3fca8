"""Health of a camera over a period: changes of its statuses, and its uptime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.events import State
from services.api.http.pagination import Page, PageRequest
from services.api.http.problems import Invalid
from services.kit.database.tables import Camera, CameraHealth

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
LONGEST = timedelta(days=92)
"""A quarter of a year."""

Report = tuple[datetime, str, State]
"""Time, service and state of a status."""


class HealthOut(BaseModel):
    """A status of a service that differs from its previous one."""

    at: datetime = Field(description="Time of the status.")
    service: str = Field(
        description="The reporting service: ingest opens the source, the detector analyses its frames."
    )
    state: State
    message: str = Field(description="The error, and what to do.")
    session: str | None = Field(description="The camera's session, if the status is about one.")


class HealthPage(Page[HealthOut]):
    """A camera's statuses, newest first, and its uptime."""

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
        description="Fraction of the period, from the first status on, in which all services reported `running`; null "
        "without a status. A service that dies reports nothing: its latest status holds."
    )


def period(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Start and exclusive end of the period of a request; by default the last week.

    Raises:
        Invalid: the period is empty, outside `EARLIEST` to now, or longer than `LONGEST`.
    """
    until = now if end is None else min(end, now)
    since = max(until, EARLIEST + WEEK) - WEEK if start is None else start
    if not EARLIEST <= since < until:
        raise Invalid("must be before `to` and before now, and not before the year 2000", "from")
    if until - since > LONGEST:
        raise Invalid(f"must be at most {LONGEST.days} days before `to`", "from")
    return since, until


async def read_health(
    session: AsyncSession, camera: Camera, since: datetime, until: datetime, page: PageRequest
) -> HealthPage:
    """A page of a camera's statuses in a period, and the uptime over all of it."""
    at = col(CameraHealth.at)
    query = select(CameraHealth).where(CameraHealth.camera == camera.id, at >= since, at < until)
    rows, after = await page.read(session, query, at, _read_moment, then=col(CameraHealth.service), newest_first=True)
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
    last_states = {name: State(state) for name, state in await session.exec(before)}
    reports = [(moment, name, State(state)) for moment, name, state in await session.exec(within)]
    return uptime(last_states, reports, since, until)


def uptime(before: Mapping[str, State], reports: Iterable[Report], since: datetime, until: datetime) -> float | None:
    """The fraction of a period in which every service that had reported was `running`.

    Args:
        before: each service's last state before the period.
        reports: statuses within the period, in order.
        since: its start.
        until: its end.

    Returns:
        0 to 1, of the time from the first report on; None without a report.
    """
    states, moment = dict(before), since
    known = ran = timedelta()
    for at, service, state in [*reports, (until, "", State.STOPPED)]:
        if states:
            known += at - moment
        if states and all(state is State.RUNNING for state in states.values()):
            ran += at - moment
        moment = at
        states[service] = state
    return round(ran / known, 4) if known else None
