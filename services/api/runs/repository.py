"""Queries about runs. Their entries are in NATS; see `services.kit.nats.run_entries`."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.tables import Promotion, Store


async def is_promoted(session: AsyncSession, store: Store, run: str) -> bool:
    """Tell whether a store shows a run's counts in place of the live ones."""
    query = select(Promotion.id).where(
        Promotion.run == run, Promotion.store == store.id, col(Promotion.revoked_at).is_(None)
    )
    return (await session.exec(query.limit(1))).first() is not None
