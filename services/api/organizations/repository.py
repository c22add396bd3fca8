"""Queries of organizations."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.account_tables import ApiKey, Membership
from services.kit.database.tables import Organization, Store


async def has_stores(session: AsyncSession, organization: Organization) -> bool:
    """Tell whether an organization has stores."""
    query = select(Store.id).where(Store.organization == organization.id).limit(1)
    return (await session.exec(query)).first() is not None


async def delete_organization(session: AsyncSession, organization: Organization) -> None:
    """Delete an organization with its members and keys."""
    for kind in (Membership, ApiKey):
        for owned in (await session.exec(select(kind).where(col(kind.organization) == organization.id))).all():
            await session.delete(owned)
    await session.flush()
    await session.delete(organization)
