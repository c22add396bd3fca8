"""Queries of cameras with their lines and zones; and of the store and organization that a new camera needs.

Every change of a camera's spec increases its revision, in the transaction that notifies the API to project it. A line's
revision is the camera's revision that last changed its geometry. It is never used again for another geometry, even if a
line is removed and drawn again.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.cameras.addresses import LOCKED, open_or_leave, sealed
from services.api.cameras.mapping import has_moved, read_setup, read_spec, set_camera, set_line, substance
from services.api.cameras.setup import CameraSetup, with_tidy_names
from services.api.http.pagination import PageRequest, Rows
from services.api.http.repository import read_page
from services.api.transaction import writing_at
from services.kit.database.tables import Camera, CameraHealth, Line, Organization, Store, ZoneRow
from services.kit.vault import MARK, CannotOpen, Vault, is_sealed

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class NoSuchCamera(LookupError):
    """There is no camera with that id."""


async def ensure_camera(
    database_url: str, setup: CameraSetup, vault: Vault = LOCKED, *, address_is_said: bool = True
) -> int:
    """Create or change a camera to match a setup, and its store and organization; for the operator.

    Args:
        address_is_said: whether the operator chose the address, which makes it trusted; False if it is the present one.

    Returns:
        The camera's revision; unchanged if the spec for the services is.

    Raises:
        CannotOpen: the address is of a network stream, and there is no secret key to seal it with.
        ValueError: a name has a character that is not allowed, is blank or too long.
    """
    setup = with_tidy_names(setup)
    async with writing_at(database_url) as session:
        await _ensure_store(session, setup)
        return await write_camera(session, setup, vault, trusted=True if address_is_said else None)


async def write_camera(session: AsyncSession, setup: CameraSetup, vault: Vault, *, trusted: bool | None) -> int:
    """Create or change a camera of an existing store. Returns its revision.

    Args:
        trusted: whether a superadmin or the operator chose the address; None leaves it as it was.
    """
    camera = await session.get(Camera, setup.camera)
    lines = {line.id: line for line in await read_lines(session, setup.camera)}
    before = None if camera is None else read_spec(camera, lines.values())
    if camera is None:
        camera = Camera(id=setup.camera, store=setup.store, address="", model="", policy="", revision=0)
    if before is None or substance(before) != substance(setup.spec(1)):
        camera.revision += 1
    set_camera(camera, setup)
    _set_address(camera, setup.address, vault, trusted)
    session.add(camera)
    await session.flush()
    await _set_lines(session, setup, lines, camera.revision)
    await _set_zones(session, setup)
    return camera.revision


async def find_camera(database_url: str, camera: str, vault: Vault = LOCKED) -> CameraSetup:
    """The setup of a camera.

    Raises:
        NoSuchCamera: there is no such camera.
    """
    matches = [setup for setup in await list_cameras(database_url, vault) if setup.camera == camera]
    if not matches:
        raise NoSuchCamera(f"there is no camera {camera!r}: `metrica camera list` shows them")
    return matches[0]


async def list_cameras(database_url: str, vault: Vault = LOCKED) -> list[CameraSetup]:
    """The setups of all cameras, ordered by store and id. Invalid lines, zones and regions are left out.

    An address that the vault cannot open stays sealed.
    """
    async with writing_at(database_url) as session:
        rows = (
            await session.exec(
                select(Camera, Store).where(Camera.store == Store.id).order_by(col(Camera.store), col(Camera.id))
            )
        ).all()
        return [
            read_setup(camera, store, await read_lines(session, camera.id), await read_zones(session, camera.id), vault)
            for camera, store in rows
        ]


async def remove_camera(database_url: str, camera: str) -> None:
    """Remove a camera with its lines and zones. Its counts are kept.

    Raises:
        NoSuchCamera: there is no such camera.
    """
    async with writing_at(database_url) as session:
        row = await session.get(Camera, camera)
        if row is None:
            raise NoSuchCamera(f"there is no camera {camera!r}: `metrica camera list` shows them")
        await delete_camera(session, row)


async def delete_camera(session: AsyncSession, camera: Camera) -> None:
    """Remove a camera inside a transaction of `services.api.transaction`."""
    for row in (*await read_lines(session, camera.id), *await read_zones(session, camera.id)):
        await session.delete(row)
    await session.flush()
    await session.delete(camera)


async def renumber(database_url: str, camera: str, taken: int) -> None:
    """Give a camera and its lines the next revision, because `taken` is the revision of another spec."""
    async with writing_at(database_url, "api") as session:
        row = await session.get(Camera, camera)
        if row is None or row.revision != taken:
            return  # another replica was faster
        row.revision += 1
        for line in await read_lines(session, camera):
            line.revision = row.revision


async def read_lines(session: AsyncSession, camera: str) -> list[Line]:
    """The lines of a camera, ordered by id."""
    return list((await session.exec(select(Line).where(Line.camera == camera).order_by(col(Line.id)))).all())


async def read_zones(session: AsyncSession, camera: str) -> list[ZoneRow]:
    """The zones of a camera, ordered by id."""
    query = select(ZoneRow).where(ZoneRow.camera == camera).order_by(col(ZoneRow.id))
    return list((await session.exec(query)).all())


async def read_all(session: AsyncSession) -> list[tuple[Camera, list[Line]]]:
    """All cameras with their lines, ordered by id."""
    lines: defaultdict[str, list[Line]] = defaultdict(list)
    for line in await session.exec(select(Line).order_by(col(Line.camera), col(Line.id))):
        lines[line.camera].append(line)
    return [(camera, lines[camera.id]) for camera in await session.exec(select(Camera).order_by(col(Camera.id)))]


async def read_cameras_of(session: AsyncSession, store: Store, page: PageRequest) -> Rows[Camera]:
    """A page of a store's cameras, ordered by id."""
    return await read_page(session, page, select(Camera).where(Camera.store == store.id), col(Camera.id), str)


async def read_clear_addresses(session: AsyncSession) -> list[tuple[str, str]]:
    """Ids and addresses of the cameras whose addresses are stored in the clear."""
    query = select(Camera.id, Camera.address).where(col(Camera.address).not_like(f"{MARK}%"))
    return list((await session.exec(query)).all())


async def replace_address(session: AsyncSession, camera: str, before: str, after: str) -> None:
    """Replace a camera's address, unless another transaction has."""
    same = col(Camera.id) == camera, col(Camera.address) == before
    await session.exec(update(Camera).where(*same).values(address=after))


async def read_statuses(
    session: AsyncSession, camera: Camera, since: datetime, until: datetime, page: PageRequest
) -> Rows[CameraHealth]:
    """A page of a camera's statuses in a period, newest first."""
    at = col(CameraHealth.at)
    query = select(CameraHealth).where(CameraHealth.camera == camera.id, at >= since, at < until)
    return await read_page(session, page, query, at, _read_moment, then=col(CameraHealth.service), newest_first=True)


async def read_states(
    session: AsyncSession, camera: Camera, since: datetime, until: datetime
) -> tuple[dict[str, str], list[tuple[datetime, str, str]]]:
    """The last state of each service before a period; and time, service and state of all statuses in it, in order."""
    at, service = col(CameraHealth.at), col(CameraHealth.service)
    before = (
        select(CameraHealth.service, CameraHealth.state)
        .where(CameraHealth.camera == camera.id, at < since)
        .ext(distinct_on(service))
        .order_by(service, at.desc())
    )
    within = (
        select(CameraHealth.at, CameraHealth.service, CameraHealth.state)
        .where(CameraHealth.camera == camera.id, at >= since, at < until)
        .order_by(at)
    )
    return dict((await session.exec(before)).all()), list((await session.exec(within)).all())


async def _ensure_store(session: AsyncSession, setup: CameraSetup) -> None:
    if await session.get(Organization, setup.organization) is None:
        session.add(Organization(id=setup.organization, name=setup.organization))
        await session.flush()
    store = await session.get(Store, setup.store)
    if store is None:
        store = Store(id=setup.store, organization=setup.organization, name=setup.store)
    store.name = store.name if setup.store_name is None else setup.store_name
    store.time_zone = store.time_zone if setup.time_zone is None else setup.time_zone
    session.add(store)
    await session.flush()


def _set_address(camera: Camera, address: str, vault: Vault, trusted: bool | None) -> None:
    """Store an address sealed. The same address keeps its seal, so that ingest does not reopen it."""
    if camera.address and (address == camera.address or address == open_or_leave(camera.address, vault)):
        camera.trusted = camera.trusted if trusted is None else trusted
        return
    if is_sealed(address):
        raise CannotOpen(f"the address of camera {camera.id} is sealed: say it in the clear")
    camera.address, camera.trusted = sealed(address, vault), bool(trusted)


async def _set_lines(session: AsyncSession, setup: CameraSetup, before: dict[str, Line], revision: int) -> None:
    for line in setup.lines:
        row = before.pop(line.id, None)
        if row is None:
            row = Line(camera=setup.camera, **{**line.model_dump(mode="json"), "revision": revision})
        elif has_moved(row, line):
            row.revision = revision
        set_line(row, line)
        session.add(row)
    for row in before.values():
        await session.delete(row)


async def _set_zones(session: AsyncSession, setup: CameraSetup) -> None:
    before = {row.id: row for row in await read_zones(session, setup.camera)}
    for zone in setup.zones:
        values = zone.model_dump(mode="json")
        row = before.pop(zone.id, None) or ZoneRow(camera=setup.camera, **values)
        row.name, row.polygon = zone.name, values["polygon"]
        session.add(row)
    for row in before.values():
        await session.delete(row)


def _read_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not EARLIEST < moment < LATEST:
        raise ValueError(f"{text} is no moment of a camera's")
    return moment
