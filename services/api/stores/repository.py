"""Reads stores with their cameras, lines, zones and totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.events import Counts, Status
from contracts.identity import LIVE
from services.api.database import driver
from services.api.statuses import worst
from services.api.stores.schemas import CameraOut, StoreOut
from services.kit.database.account_tables import ApiKey
from services.kit.database.occupancy import resets_around
from services.kit.database.tables import Camera, Line, OccupancyCorrection, Organization, Store, StoreVersion, ZoneRow
from services.kit.database.totals import all_totals
from services.kit.local_time import time_zone_named

Drawn = TypeVar("Drawn", Line, ZoneRow)


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """A camera with its lines and zones."""

    camera: Camera
    lines: Sequence[Line]
    zones: Sequence[ZoneRow]


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """A store as the database has it. Statuses are kept in memory; see `services.api.statuses`."""

    store: Store
    cameras: Sequence[CameraRecord]
    counts: Counts
    since: datetime
    """The last reset of its occupancy."""
    correction: int = 0
    """Id of the newest correction of its occupancy."""
    demo: bool = False

    @property
    def configuration(self) -> str:
        """The configuration as a text, for comparison."""
        rows = [self.store, *(row for record in self.cameras for row in (record.camera, *record.lines, *record.zones))]
        return "".join(row.model_dump_json() for row in rows) + str(self.correction)

    def show(self, statuses: Sequence[Status]) -> StoreOut:
        """The store's schema, with the latest statuses of its cameras."""
        return StoreOut(
            id=self.store.id,
            name=self.store.name,
            time_zone=self.store.time_zone,
            demo=self.demo,
            counts=self.counts,
            cameras=[
                _camera_out(record, [status for status in statuses if status.camera == record.camera.id])
                for record in self.cameras
            ],
        )


async def read_stores(session: AsyncSession, stores: Sequence[Store], now: datetime) -> list[StoreRecord]:
    """Read the cameras, lines, zones and totals of stores.

    Args:
        session: a transaction, which makes totals and versions one snapshot.
        stores: from `services.api.access`.
        now: gives the present local day.
    """
    names = [store.id for store in stores]
    cameras = (await session.exec(select(Camera).where(col(Camera.store).in_(names)).order_by(col(Camera.id)))).all()
    lines = await _drawn(session, Line, cameras)
    zones = await _drawn(session, ZoneRow, cameras)
    counted = await all_totals(await driver(session), [(LIVE, name) for name in names], now)
    counts = {totals.store: totals for totals in counted}
    corrections = await _corrections(session, stores)
    demos = await _demos(session, stores)
    return [
        StoreRecord(
            store,
            [
                CameraRecord(camera, lines[camera.id], zones[camera.id])
                for camera in cameras
                if camera.store == store.id
            ],
            counts[store.id],
            since=resets_around(now, store.occupancy_reset, time_zone_named(store.time_zone))[0],
            correction=corrections.get(store.id, 0),
            demo=store.organization in demos,
        )
        for store in stores
    ]


async def read_versions(session: AsyncSession, stores: Iterable[str]) -> dict[str, int]:
    """The versions of stores in the live run; 0 for a store without a crossing."""
    names = list(stores)
    query = select(StoreVersion.store, StoreVersion.version).where(
        StoreVersion.run == LIVE, col(StoreVersion.store).in_(names)
    )
    return dict.fromkeys(names, 0) | dict((await session.exec(query)).all())


async def has_cameras(session: AsyncSession, store: Store) -> bool:
    """Tell whether a store has cameras."""
    return (await session.exec(select(Camera.id).where(Camera.store == store.id).limit(1))).first() is not None


async def delete_store(session: AsyncSession, store: Store) -> None:
    """Delete a store with its keys."""
    for key in (await session.exec(select(ApiKey).where(col(ApiKey.store) == store.id))).all():
        await session.delete(key)
    await session.flush()
    await session.delete(store)


async def _drawn(session: AsyncSession, kind: type[Drawn], cameras: Sequence[Camera]) -> dict[str, list[Drawn]]:
    """The lines or zones of cameras, by camera."""
    names = [camera.id for camera in cameras]
    by_camera: dict[str, list[Drawn]] = {name: [] for name in names}
    for row in await session.exec(select(kind).where(col(kind.camera).in_(names)).order_by(col(kind.id))):
        by_camera[row.camera].append(row)
    return by_camera


async def _corrections(session: AsyncSession, stores: Sequence[Store]) -> dict[str, int]:
    correction = OccupancyCorrection
    query = (
        select(correction.store, func.max(correction.id))
        .where(col(correction.store).in_([store.id for store in stores]))
        .group_by(correction.store)
    )
    return {store: newest for store, newest in (await session.exec(query)).all() if newest}


async def _demos(session: AsyncSession, stores: Sequence[Store]) -> set[str]:
    organizations = {store.organization for store in stores}
    query = select(Organization.id).where(col(Organization.id).in_(organizations), col(Organization.demo))
    return set((await session.exec(query)).all())


def _camera_out(record: CameraRecord, statuses: list[Status]) -> CameraOut:
    return CameraOut.model_validate(
        {
            **record.camera.model_dump(exclude={"address"}),
            "lines": [line.model_dump() for line in record.lines],
            "zones": [zone.model_dump() for zone in record.zones],
            "state": worst(statuses),
            "statuses": statuses,
        }
    )
