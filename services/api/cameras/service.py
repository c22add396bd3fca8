"""Making, changing and removing cameras."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.address import HIDDEN
from services.api.access import Principal, Role, readable_camera, readable_store
from services.api.cameras.repository import CameraSetup, delete_camera, read_lines, read_setup, read_zones, write_camera
from services.api.cameras.schemas import (
    CameraIn,
    CameraPatch,
    CameraSettings,
    LinesIn,
    ZonesIn,
    said,
    who_may,
)
from services.api.http import etags
from services.api.http.ids import free_id
from services.api.http.pagination import Asked
from services.api.http.problems import Invalid, Unavailable
from services.kit.database.tables import Camera, Store
from services.kit.network import literal_hosts
from services.kit.network.source_networks import SourceNetworks
from services.kit.vault import CannotOpen, Vault, is_sealed

_REMOTE = re.compile(r"(rtsp[su]?|https?|sim)://", re.IGNORECASE)


async def list_cameras(
    session: AsyncSession, principal: Principal, store: str, vault: Vault, page: Asked
) -> tuple[list[CameraSettings], str | None]:
    """The cameras of a store, by their ids."""
    found = await readable_store(session, principal, store)
    rows, after = await page.read(session, select(Camera).where(Camera.store == found.id), col(Camera.id), str)
    return [await _show(session, principal, found, camera, vault) for camera in rows], after


async def show(session: AsyncSession, principal: Principal, camera: str, vault: Vault) -> CameraSettings:
    """A camera as it is set."""
    found = await readable_camera(session, principal, camera)
    return await _show(session, principal, await readable_store(session, principal, found.store), found, vault)


async def create(
    session: AsyncSession,
    principal: Principal,
    store: str,
    wanted: CameraIn,
    vault: Vault,
    networks: SourceNetworks,
) -> CameraSettings:
    """Make one in a store."""
    place = await readable_store(session, principal, store, who_may(wanted))
    check_address(principal, wanted.address, networks)
    name = await free_id(session, Camera, wanted.id, wanted.name or f"{place.id}-camera")
    lines = [line.model_dump() for line in wanted.lines]
    setup = _setup(
        {"camera": name, "store": place.id, "organization": place.organization, **said(wanted), "lines": lines}
    )
    await _write(session, setup, vault, trusted=principal.superadmin)
    return await show(session, principal, name, vault)


async def change(
    session: AsyncSession,
    principal: Principal,
    camera: str,
    wanted: CameraPatch,
    vault: Vault,
    networks: SourceNetworks,
    if_match: str | None,
) -> CameraSettings:
    """Change what is said."""
    _, before = await _to_change(session, principal, camera, vault, if_match, who_may(wanted))
    changes = said(wanted)
    trusted = None
    if "address" in changes:
        check_address(principal, wanted.address, networks)
        trusted = principal.superadmin  # who says it, be it the same, has chosen it
        if changes["address"] != before.address:
            changes.setdefault("start", None)  # it went with the source
    await _write(session, _setup({**dict(before), "again": False, **changes}), vault, trusted=trusted)
    return await show(session, principal, camera, vault)


async def draw(
    session: AsyncSession,
    principal: Principal,
    camera: str,
    wanted: LinesIn | ZonesIn,
    vault: Vault,
    if_match: str | None = None,
) -> CameraSettings:
    """Put lines, or zones, in the place of all that there are."""
    _, before = await _to_change(session, principal, camera, vault, if_match)
    await _write(session, _setup({**dict(before), "again": False, **wanted.model_dump()}), vault, trusted=None)
    return await show(session, principal, camera, vault)


async def remove(session: AsyncSession, principal: Principal, camera: str, vault: Vault, if_match: str | None) -> None:
    """Remove one, with its lines and zones. What it counted stays."""
    found, _ = await _to_change(session, principal, camera, vault, if_match)
    await delete_camera(session, found)


def check_address(principal: Principal, address: str, networks: SourceNetworks) -> None:
    """Leave files and devices of the machine, and the machine itself, to those whose machine it is.

    Ingest looks again, at what a name resolves to and where it is sent on to.

    Raises:
        Invalid: it is such an address, and the principal no superadmin; or it is sealed, as only the database has it.
    """
    if is_sealed(address):
        raise Invalid("say the address in the clear", "address")
    if HIDDEN in address:
        raise Invalid(
            f"this is how an address is shown, with {HIDDEN} for its secrets: say it whole, or not", "address"
        )
    if principal.superadmin:
        return
    if not _REMOTE.match(address.strip()):
        raise Invalid(
            "give an rtsp://, rtsps://, rtspu://, http:// or https:// address, or sim://door; "
            "files and devices of the machine take a superadmin",
            "address",
        )
    if (why := literal_hosts.refusal(address, networks)) is not None:
        raise Invalid(f"a camera there takes a superadmin: {why}. Give the address of the camera itself", "address")


async def _to_change(
    session: AsyncSession,
    principal: Principal,
    camera: str,
    vault: Vault,
    if_match: str | None,
    role: Role = Role.MANAGER,
) -> tuple[Camera, CameraSetup]:
    found = await readable_camera(session, principal, camera, role)
    place = await readable_store(session, principal, found.store)
    lines, zones = await read_lines(session, found.id), await read_zones(session, found.id)
    setup = read_setup(found, place, lines, zones, vault)
    etags.check(if_match, CameraSettings.of(role, setup, found, lines, zones))
    return found, setup


async def _show(
    session: AsyncSession, principal: Principal, store: Store, camera: Camera, vault: Vault
) -> CameraSettings:
    lines, zones = await read_lines(session, camera.id), await read_zones(session, camera.id)
    setup = read_setup(camera, store, lines, zones, vault)
    return CameraSettings.of(principal.role_in(store.organization), setup, camera, lines, zones)


def _setup(fields: Mapping[str, Any]) -> CameraSetup:
    try:
        return CameraSetup.model_validate(dict(fields))
    except ValidationError as error:
        raise Invalid.of(error) from error


async def _write(session: AsyncSession, setup: CameraSetup, vault: Vault, *, trusted: bool | None) -> None:
    try:
        await write_camera(session, setup, vault, trusted=trusted)
    except CannotOpen as error:
        raise Unavailable(f"This camera's address cannot be kept: {error}.") from error
