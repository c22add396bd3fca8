"""Queries of API keys and edge keys."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal
from services.api.http.pagination import PageRequest, Rows
from services.api.http.repository import read_page
from services.kit.database.account_tables import ApiKey
from services.kit.database.tables import Organization


async def read_keys(session: AsyncSession, organization: Organization, page: PageRequest) -> Rows[ApiKey]:
    """A page of an organization's keys, ordered by id."""
    query = select(ApiKey).where(ApiKey.organization == organization.id)
    return await read_page(session, page, query, col(ApiKey.id), UUID)


async def find_key(session: AsyncSession, organization: Organization, key: UUID) -> ApiKey | None:
    """A key of an organization."""
    query = select(ApiKey).where(ApiKey.id == key, ApiKey.organization == organization.id)
    return (await session.exec(query)).first()


async def maker_of(session: AsyncSession, principal: Principal) -> UUID | None:
    """The user in whose name a principal makes keys: itself, or the maker of its key."""
    if principal.key is None:
        return principal.user
    key = (await session.exec(select(ApiKey).where(ApiKey.id == principal.key))).first()
    return None if key is None else key.made_by
