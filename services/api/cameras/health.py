"""Health of a camera over a period: changes of its statuses, and its uptime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pydantic import ConfigDict, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.events import State
from services.api.cameras.repository import EARLIEST, read_states, read_statuses
from services.api.http.bodies import RowOut
from services.api.http.pagination import Page, PageRequest
from services.api.http.problems import Invalid
from services.kit.database.tables import Camera

WEEK = timedelta(days=7)
LONGEST = timedelta(days=92)
"""A quarter of a year."""

Report = tuple[datetime, str, State]
"""Time, service and state of a status."""


class HealthOut(RowOut):
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
        raise Invalid(
            "must be before `to` and before now, and not before the year 2000", "from", code="period-out-of-order"
        )
    if until - since > LONGEST:
        raise Invalid("must be at most {days} days before `to`", "from", code="period-too-long", days=LONGEST.days)
    return since, until


async def read_health(
    session: AsyncSession, camera: Camera, since: datetime, until: datetime, page: PageRequest
) -> HealthPage:
    """A page of a camera's statuses in a period, and the uptime over all of it."""
    statuses = (await read_statuses(session, camera, since, until, page)).show(HealthOut.of)
    before, within = await read_states(session, camera, since, until)
    states = {service: State(state) for service, state in before.items()}
    reports = [(at, service, State(state)) for at, service, state in within]
    return HealthPage(items=statuses.items, next=statuses.next, uptime=uptime(states, reports, since, until))


def uptime(before: Mapping[str, State], reports: Iterable[Report], since: datetime, until: datetime) -> float | None:
    """The fraction of a period in which every service that had reported was `running`.

    Args:
        before: each service's last state before the period.
        reports: statuses within the period, in order.

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
