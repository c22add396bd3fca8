"""Reading stores, with their cameras, lines and totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.events import Counts, Status
from contracts.identity import LIVE, Policy
from services.api.database import driver
from services.api.statuses import worst
from services.api.stores.schemas import AreaOut, CameraOut, LineOut, StoreOut, ZoneOut
from services.kit.database.occupancy import resets_around
from services.kit.database.tables import Camera, Line, OccupancyCorrection, Organization, Store, StoreVersion, ZoneRow
from services.kit.database.totals import all_totals
from services.kit.zones import zone

Drawn = TypeVar("Drawn", Line, ZoneRow)


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """A camera with what is drawn in its picture."""

    camera: Camera
    lines: Sequence[Line]
    zones: Sequence[ZoneRow]


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """What the database knows of a store. Statuses are not in it: they live on the bus."""

    store: Store
    cameras: Sequence[CameraRecord]
    counts: Counts
    since: datetime
    """The last reset of its occupancy."""
    correction: int = 0
    """The newest correction of its occupancy, by number."""
    demo: bool = False

    @property
    def configuration(self) -> str:
        """What of it people set, in a form to be compared."""
        rows = [self.store, *(row for one in self.cameras for row in (one.camera, *one.lines, *one.zones))]
        return "".join(row.model_dump_json() for row in rows) + str(self.correction)

    def show(self, statuses: Sequence[Status]) -> StoreOut:
        """The store as the API shows it, with the last words of the services about its cameras."""
        return StoreOut(
            id=self.store.id,
            name=self.store.name,
            time_zone=self.store.time_zone,
            demo=self.demo,
            counts=self.counts,
            cameras=[
                _show_camera(one, [status for status in statuses if status.camera == one.camera.id])
                for one in self.cameras
            ],
        )


async def read_stores(session: AsyncSession, stores: Sequence[Store], now: datetime) -> list[StoreRecord]:
    """Stores that the caller may read, with all that belongs to them.

    Args:
        session: one transaction, so that totals and version are of one moment.
        stores: from `services.api.access`.
        now: decides which local day "today" is.
    """
    names = [store.id for store in stores]
    cameras = (await session.exec(select(Camera).where(col(Camera.store).in_(names)).order_by(col(Camera.id)))).all()
    lines = await _drawn(session, Line, cameras)
    zones = await _drawn(session, ZoneRow, cameras)
    counted = await all_totals(await driver(session), [(LIVE, name) for name in names], now)
    counts = {one.store: one for one in counted}
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
            since=resets_around(now, store.occupancy_reset, zone(store.time_zone))[0],
            correction=corrections.get(store.id, 0),
            demo=store.organization in demos,
        )
        for store in stores
    ]


async def read_versions(session: AsyncSession, stores: Iterable[str]) -> dict[str, int]:
    """The live versions of some stores; one that nobody was counted in yet has 0."""
    names = list(stores)
    query = select(StoreVersion.store, StoreVersion.version).where(
        StoreVersion.run == LIVE, col(StoreVersion.store).in_(names)
    )
    return dict.fromkeys(names, 0) | dict((await session.exec(query)).all())


async def _drawn(session: AsyncSession, kind: type[Drawn], cameras: Sequence[Camera]) -> dict[str, list[Drawn]]:
    """What of a kind is drawn in the pictures of cameras, by camera."""
    names = [camera.id for camera in cameras]
    found: dict[str, list[Drawn]] = {name: [] for name in names}
    for row in await session.exec(select(kind).where(col(kind.camera).in_(names)).order_by(col(kind.id))):
        found[row.camera].append(row)
    return found


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


def _show_camera(record: CameraRecord, statuses: list[Status]) -> CameraOut:
    camera = record.camera
    return CameraOut(
        id=camera.id,
        name=camera.name,
        revision=camera.revision,
        policy=Policy(camera.policy),
        paused=camera.paused,
        model=camera.model,
        lines=[LineOut.of(line) for line in record.lines],
        zones=[ZoneOut.of(zone) for zone in record.zones],
        detection=AreaOut.model_validate(camera.detection),
        state=worst(statuses),
        statuses=statuses,
    )
