"""Queries of the audit log."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.http.pagination import PageRequest, Rows
from services.api.http.repository import read_page
from services.kit.database.account_tables import AuditEntry
from services.kit.database.tables import Organization


async def read_entries(session: AsyncSession, organization: Organization, page: PageRequest) -> Rows[AuditEntry]:
    """A page of an organization's log, newest first."""
    query = select(AuditEntry).where(AuditEntry.organization == organization.id)
    return await read_page(session, page, query, col(AuditEntry.id), _read_id, newest_first=True)


def _read_id(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError(f"{text} is no id")
    return number
