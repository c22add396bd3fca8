"""Promotions: make, list and revoke."""

from __future__ import annotations

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import to_ns
from contracts.runs import Run
from services.api.access.principal import Principal, Role
from services.api.access.repository import readable_store
from services.api.database import driver
from services.api.http.problems import Invalid, NotFound
from services.api.promotions import repository
from services.api.promotions.refusal import PromotionRefused
from services.api.promotions.schemas import PromotionIn, PromotionOut
from services.api.runs.service import readable_run
from services.kit.database.account_tables import AuditEntry
from services.kit.nats.bus import Bus


async def create(
    session: AsyncSession, principal: Principal, run: Run, body: PromotionIn, now: datetime
) -> PromotionOut:
    """Show the counts of a run, which the principal may manage, in place of the live ones.

    Raises:
        Invalid: the run has not counted that, or is not finished.
    """
    connection = await driver(session)
    since, until = [None if moment is None else to_ns(moment) for moment in (body.since, body.until)]
    try:
        period = await repository.period_of(connection, run, body.camera, body.line, since, until)
    except PromotionRefused as reason:
        raise Invalid("{reason}", code="promotion-refused", reason=reason) from None
    store = await readable_store(session, principal, period.store, Role.MANAGER)
    number = await repository.promote(connection, run.name, period, principal.name, body.note)
    row = await repository.promotion(connection, number)
    assert row is not None
    made = PromotionOut.of(row)
    session.add(_entry("created", principal, store.organization, made, now))
    return made


async def read(session: AsyncSession, bus: Bus, principal: Principal, run: str) -> list[PromotionOut]:
    """The promotions of a run, revoked ones too, the oldest first."""
    await readable_run(session, bus, principal, run)
    return [PromotionOut.of(row) for row in await repository.promotions(await driver(session), run=run)]


async def revoke(session: AsyncSession, principal: Principal, number: int, now: datetime) -> None:
    """Revoke a promotion; takes the manager role.

    Raises:
        NotFound: there is none in force that the principal may see.
    """
    connection = await driver(session)
    row = await repository.promotion(connection, number)
    if row is None:
        raise _unknown(number)
    try:
        store = await readable_store(session, principal, row.store, Role.MANAGER)
    except NotFound:
        raise _unknown(number) from None
    try:
        await repository.revoke(connection, number, principal.name)
    except PromotionRefused:
        raise _unknown(number) from None
    session.add(_entry("removed", principal, store.organization, PromotionOut.of(row), now))


def _unknown(number: int) -> NotFound:
    return NotFound(
        "There is no promotion {promotion} in force. GET /v1/runs/{run}/promotions lists a run's.",
        code="no-such-promotion",
        promotion=number,
    )


def _entry(action: str, principal: Principal, organization: str, promotion: PromotionOut, now: datetime) -> AuditEntry:
    values = promotion.model_dump(mode="json")
    return AuditEntry(
        at=now,
        who=principal.name,
        organization=organization,
        action=action,
        kind="promotion",
        key=str(promotion.id),
        before=values if action == "removed" else None,
        after=values if action == "created" else None,
    )
