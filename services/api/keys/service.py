"""API keys and edge keys, which an organization's admins manage."""

from __future__ import annotations

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal, Role
from services.api.access.repository import readable_organization, readable_store
from services.api.auth.tokens.api_keys import draw_key
from services.api.clock import Clock
from services.api.http.problems import Invalid, NotFound
from services.api.keys import repository
from services.api.keys.schemas import KeyIn, KeyOut, NewKeyOut
from services.kit.database.account_tables import ApiKey
from services.kit.database.tables import Organization


async def create(
    session: AsyncSession, principal: Principal, organization: Organization, body: KeyIn, clock: Clock
) -> NewKeyOut:
    """Create a key.

    Raises:
        Invalid: the store belongs to another organization.
    """
    if body.store is not None:
        store = await readable_store(session, principal, body.store)
        if store.organization != organization.id:
            raise Invalid(
                "The store {store} is of another organization.",
                "store",
                code="store-of-another-organization",
                store=body.store,
            )
    drawn = draw_key(body.role)
    key = ApiKey(
        organization=organization.id,
        store=body.store,
        name=body.name,
        role=body.role,
        prefix=drawn.prefix,
        hash=drawn.hash,
        created_at=clock(),
        made_by=await repository.maker_of(session, principal),
    )
    session.add(key)
    return NewKeyOut(**KeyOut.of(key).model_dump(), key=drawn.text)


async def revoke(session: AsyncSession, principal: Principal, organization: str, key: UUID, clock: Clock) -> None:
    """Revoke a key, for good. Keeps the time of an earlier revocation.

    Raises:
        NotFound: there is no such key.
    """
    organization_row = await readable_organization(session, principal, organization, Role.ADMIN)
    row = await repository.find_key(session, organization_row, key)
    if row is None:
        raise NotFound(
            "{organization} has no key {key}.", code="no-such-key", organization=organization_row.id, key=key
        )
    row.revoked_at = row.revoked_at or clock()
    session.add(row)
