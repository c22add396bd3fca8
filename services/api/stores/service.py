"""Making, changing and removing stores."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal, Role, readable_organization, readable_store
from services.api.http import etags
from services.api.http.ids import free_id
from services.api.http.problems import Conflict
from services.api.stores.opening_hours import OpeningHours
from services.api.stores.schemas import StoreIn, StorePatch, StoreSettings
from services.kit.database.account_tables import ApiKey
from services.kit.database.tables import Camera, Store


async def create(session: AsyncSession, principal: Principal, wanted: StoreIn) -> StoreSettings:
    """Make one in an organization that the principal is an admin of."""
    organization = await readable_organization(session, principal, wanted.organization, Role.ADMIN)
    made = Store(
        id=await free_id(session, Store, wanted.id, wanted.name),
        organization=organization.id,
        name=wanted.name,
        time_zone=wanted.time_zone,
        opening_hours=_kept(wanted.opening_hours),
        capacity=wanted.capacity,
    )
    session.add(made)
    return StoreSettings.of(made)


async def change(
    session: AsyncSession, principal: Principal, store: str, wanted: StorePatch, if_match: str | None
) -> StoreSettings:
    """Change what is said."""
    found = await readable_store(session, principal, store, Role.MANAGER)
    etags.check(if_match, StoreSettings.of(found))
    for name, value in wanted.said.items():
        setattr(found, name, _kept(value) if isinstance(value, OpeningHours) else value)
    session.add(found)
    return StoreSettings.of(found)


async def remove(session: AsyncSession, principal: Principal, store: str, if_match: str | None) -> None:
    """Remove one that has no cameras, with its keys."""
    found = await readable_store(session, principal, store, Role.ADMIN)
    etags.check(if_match, StoreSettings.of(found))
    if (await session.exec(select(Camera.id).where(Camera.store == found.id).limit(1))).first() is not None:
        raise Conflict(f"The store {found.id} has cameras: remove those first.")
    for key in (await session.exec(select(ApiKey).where(col(ApiKey.store) == found.id))).all():
        await session.delete(key)
    await session.flush()
    await session.delete(found)


def _kept(hours: OpeningHours) -> dict[str, object]:
    """As the database keeps them: what is not said is left out."""
    return hours.model_dump(mode="json", exclude_defaults=True)
