"""Stores: create, change and remove."""

from __future__ import annotations

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Role
from services.api.access.repository import readable_store
from services.api.auth.writing import Edit
from services.api.http.problems import Conflict
from services.api.http.repository import free_id
from services.api.stores import repository
from services.api.stores.opening_hours import OpeningHours
from services.api.stores.schemas import StoreIn, StorePatch, StoreSettings
from services.kit.database.tables import Organization, Store


async def create(session: AsyncSession, organization: Organization, body: StoreIn) -> StoreSettings:
    """Create a store in an organization."""
    made = Store(
        id=await free_id(session, Store, body.id, body.name),
        opening_hours=_stored_hours(body.opening_hours),
        organization=organization.id,
        **body.model_dump(include={"name", "time_zone", "capacity"}),
    )
    session.add(made)
    return StoreSettings.of(made)


async def change(session: AsyncSession, edit: Edit, store: str, body: StorePatch) -> StoreSettings:
    """Update the fields of a store that the body sets."""
    row = await readable_store(session, edit.principal, store, Role.MANAGER)
    edit.check(StoreSettings.of(row))
    for name, value in body.changes.items():
        setattr(row, name, _stored_hours(value) if isinstance(value, OpeningHours) else value)
    session.add(row)
    return StoreSettings.of(row)


async def remove(session: AsyncSession, edit: Edit, store: str) -> None:
    """Remove a store with its keys.

    Raises:
        Conflict: it has cameras.
    """
    row = await readable_store(session, edit.principal, store, Role.ADMIN)
    edit.check(StoreSettings.of(row))
    if await repository.has_cameras(session, row):
        raise Conflict("The store {store} has cameras: remove those first.", code="store-has-cameras", store=row.id)
    await repository.delete_store(session, row)


def _stored_hours(hours: OpeningHours) -> dict[str, object]:
    """Opening hours as the database stores them: without empty weekdays."""
    return hours.model_dump(mode="json", exclude_defaults=True)
