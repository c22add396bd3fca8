"""Making and revoking keys: an organization's admins do."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal, Role, readable_organization, readable_store
from services.api.auth.tokens.api_keys import draw_key
from services.api.clock import Clock
from services.api.http.pagination import Asked
from services.api.http.problems import Invalid, NotFound
from services.api.keys.schemas import KeyIn, KeyOut, NewKeyOut
from services.kit.database.account_tables import ApiKey


async def list_keys(
    session: AsyncSession, principal: Principal, organization: str, page: Asked
) -> tuple[list[KeyOut], str | None]:
    """The keys of an organization, by their ids; revoked ones too."""
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    query = select(ApiKey).where(ApiKey.organization == found.id)
    rows, after = await page.read(session, query, col(ApiKey.id), UUID)
    return [KeyOut.of(row) for row in rows], after


async def create(
    session: AsyncSession, principal: Principal, organization: str, wanted: KeyIn, clock: Clock
) -> NewKeyOut:
    """Make one."""
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    if wanted.store is not None:
        store = await readable_store(session, principal, wanted.store)
        if store.organization != found.id:
            raise Invalid(f"The store {wanted.store} is of another organization.", "store")
    drawn, made_by = draw_key(wanted.role), principal.user
    if principal.key is not None:
        by = (await session.exec(select(ApiKey).where(ApiKey.id == principal.key))).first()
        made_by = None if by is None else by.made_by
    key = ApiKey(
        organization=found.id,
        store=wanted.store,
        name=wanted.name,
        role=wanted.role,
        prefix=drawn.prefix,
        hash=drawn.hash,
        created_at=clock(),
        made_by=made_by,
    )
    session.add(key)
    return NewKeyOut(**KeyOut.of(key).model_dump(), key=drawn.text)


async def revoke(session: AsyncSession, principal: Principal, organization: str, key: UUID, clock: Clock) -> None:
    """Revoke one, at once and for good. One that is revoked stays so, since when it was."""
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    row = (await session.exec(select(ApiKey).where(ApiKey.id == key, ApiKey.organization == found.id))).first()
    if row is None:
        raise NotFound(f"{found.id} has no key {key}.")
    row.revoked_at = row.revoked_at or clock()
    session.add(row)
