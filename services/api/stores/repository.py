"""Reads stores with their cameras, lines, zones and totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

import asyncpg
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.events import Counts, Status
from contracts.identity import LIVE
from services.api.database import driver
from services.api.statuses import worst
from services.api.stores.opening_hours import Opening, OpeningHours, opening
from services.api.stores.schemas import CameraOut, StoreOut
from services.kit.database.account_tables import ApiKey
from services.kit.database.occupancy import resets_around
from services.kit.database.tables import Camera, Line, OccupancyCorrection, Organization, Store, StoreVersion, ZoneRow
from services.kit.database.totals import all_totals
from services.kit.local_time import time_zone_named

Drawn = TypeVar("Drawn", Line, ZoneRow)

_COUNTED_LINES = """
SELECT c.store, c.camera, c.line, min(c.start) AS since, max(c.until) AS until,
       EXISTS (SELECT FROM line l JOIN camera k ON k.id = l.camera
               WHERE l.camera = c.camera AND l.id = c.line AND k.store = c.store) AS is_configured
FROM coverage c WHERE c.run = $1 AND c.store = ANY($2::text[]) GROUP BY c.store, c.camera, c.line
"""


class CountedLine(NamedTuple):
    """A line that was counted, ever.

    Attributes:
        store, camera, line: ids.
        since, until: its first and last counted moment.
        is_configured: whether the store has the line now.
    """

    store: str
    camera: str
    line: str
    since: datetime
    until: datetime
    is_configured: bool


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
    opening: Opening
    """Its state by its opening hours, as it was read."""
    counted: Sequence[CountedLine] = ()
    """Its lines that were counted, ever; removed ones too."""
    correction: int = 0
    """Id of the newest correction of its occupancy."""
    demo: bool = False

    @property
    def configuration(self) -> str:
        """The configuration as a text, for comparison."""
        rows = [self.store, *(row for record in self.cameras for row in (record.camera, *record.lines, *record.zones))]
        since = [f"{each.camera} {each.line} {each.since.isoformat()}" for each in self.counted]
        return "".join(row.model_dump_json() for row in rows) + str(self.correction) + "".join(sorted(since))

    def show(self, statuses: Sequence[Status], *, with_statuses: bool = True) -> StoreOut:
        """The store's schema, with the latest statuses of its cameras, or with their worst states alone."""
        since = {(each.camera, each.line): each.since for each in self.counted}
        return StoreOut(
            **self.store.model_dump(
                include={"id", "organization", "name", "time_zone", "capacity", "opening_hours", "occupancy_reset"}
            ),
            demo=self.demo,
            open_now=self.opening.is_open,
            opens_at=self.opening.opens_at,
            closes_at=self.opening.closes_at,
            counted_since=min(since.values(), default=None),
            counts=self.counts,
            cameras=[
                _camera_out(
                    record,
                    [status for status in statuses if status.camera == record.camera.id],
                    since,
                    with_statuses=with_statuses,
                )
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
    connection = await driver(session)
    counts = {totals.store: totals for totals in await all_totals(connection, [(LIVE, name) for name in names], now)}
    corrections = await _corrections(session, stores)
    demos = await _demos(session, stores)
    counted: dict[str, list[CountedLine]] = {name: [] for name in names}
    for line in await read_counted_lines(connection, LIVE, stores):
        counted[line.store].append(line)
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
            opening=opening(OpeningHours.model_validate(store.opening_hours), time_zone_named(store.time_zone), now),
            counted=counted[store.id],
            correction=corrections.get(store.id, 0),
            demo=store.organization in demos,
        )
        for store in stores
    ]


async def read_counted_lines(connection: asyncpg.Connection, run: str, stores: Sequence[Store]) -> list[CountedLine]:
    """Read the lines of stores that were counted, removed ones too; without an edge device's lines.

    Args:
        connection: of asyncpg.
        run: `live`, or the name of a replay.
        stores: from `services.api.access`.
    """
    return [CountedLine(*row) for row in await connection.fetch(_COUNTED_LINES, run, [store.id for store in stores])]


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


def _camera_out(
    record: CameraRecord, statuses: list[Status], since: Mapping[tuple[str, str], datetime], *, with_statuses: bool
) -> CameraOut:
    return CameraOut.model_validate(
        {
            **record.camera.model_dump(exclude={"address"}),
            "lines": [
                line.model_dump() | {"counted_since": since.get((line.camera, line.id))} for line in record.lines
            ],
            "zones": [zone.model_dump() for zone in record.zones],
            "state": worst(statuses),
            "statuses": statuses if with_statuses else [],
        }
    )
