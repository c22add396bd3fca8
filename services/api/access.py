"""Who may see which store. Every query of store data begins here; nothing else selects stores or cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from services.api.problems import NotFound
from services.kit.tables import Camera, Store


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `organizations` None sees all: whoever sits at this machine, as long as there is no sign-in."""

    name: str = "somebody at this machine"
    organizations: frozenset[str] | None = None


LOCAL = Principal()


async def readable_stores(session: AsyncSession, principal: Principal) -> Sequence[Store]:
    """The stores that the principal may see, by name."""
    return (await session.exec(_stores(principal).order_by(col(Store.name), col(Store.id)))).all()


async def readable_store(session: AsyncSession, principal: Principal, store: str) -> Store:
    """One store.

    Raises:
        NotFound: there is none, or not for this principal.
    """
    found = (await session.exec(_stores(principal).where(Store.id == store))).first()
    if found is None:
        raise NotFound(f"There is no store {store!r}. GET /v1/stores lists them.")
    return found


async def readable_stores_of(session: AsyncSession, principal: Principal, organization: str) -> Sequence[Store]:
    """The stores of one organization, by name.

    Raises:
        NotFound: there is no such organization, or not for this principal, or it has no store.
    """
    query = _stores(principal).where(Store.organization == organization).order_by(col(Store.name), col(Store.id))
    found = (await session.exec(query)).all()
    if not found:
        raise NotFound(f"There is no organization {organization!r} with a store. GET /v1/stores lists what there is.")
    return found


async def readable_camera(session: AsyncSession, principal: Principal, camera: str) -> Camera:
    """One camera.

    Raises:
        NotFound: there is none, or not for this principal.
    """
    stores = _stores(principal).with_only_columns(col(Store.id))
    found = (await session.exec(select(Camera).where(Camera.id == camera, col(Camera.store).in_(stores)))).first()
    if found is None:
        raise NotFound(f"There is no camera {camera!r}. GET /v1/stores lists them.")
    return found


def _stores(principal: Principal) -> SelectOfScalar[Store]:
    everything = select(Store)
    if principal.organizations is None:
        return everything
    return everything.where(col(Store.organization).in_(principal.organizations))
