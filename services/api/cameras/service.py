"""Cameras: create, change and remove."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.address import HIDDEN
from services.api.access.principal import Principal, Role
from services.api.access.repository import readable_camera, readable_store
from services.api.cameras.mapping import read_setup
from services.api.cameras.repository import delete_camera, read_cameras_of, read_lines, read_zones, write_camera
from services.api.cameras.schemas import (
    CameraIn,
    CameraPatch,
    CameraSettings,
    LinesIn,
    ZonesIn,
    changes_of,
    required_role,
)
from services.api.cameras.setup import CameraSetup
from services.api.http import etags
from services.api.http.ids import free_id
from services.api.http.pagination import Page, PageRequest
from services.api.http.problems import Invalid, Unavailable
from services.kit.database.tables import Camera, Store
from services.kit.network import literal_hosts
from services.kit.network.source_networks import SourceNetworks
from services.kit.vault import CannotOpen, Vault, is_sealed

_REMOTE = re.compile(r"(rtsp[su]?|https?|sim)://", re.IGNORECASE)


async def list_cameras(
    session: AsyncSession, principal: Principal, store: str, vault: Vault, page: PageRequest
) -> Page[CameraSettings]:
    """A page of a store's cameras, ordered by id."""
    store_row = await readable_store(session, principal, store)
    cameras = await read_cameras_of(session, store_row, page)
    return Page(
        items=[await _show(session, principal, store_row, camera, vault) for camera in cameras.rows], next=cameras.next
    )


async def show(session: AsyncSession, principal: Principal, camera: str, vault: Vault) -> CameraSettings:
    """A camera's settings, as the principal may see them."""
    row = await readable_camera(session, principal, camera)
    return await _show(session, principal, await readable_store(session, principal, row.store), row, vault)


async def create(
    session: AsyncSession,
    principal: Principal,
    store: str,
    body: CameraIn,
    vault: Vault,
    networks: SourceNetworks,
) -> CameraSettings:
    """Create a camera in a store."""
    store_row = await readable_store(session, principal, store, required_role(body))
    check_address(principal, body.address, networks)
    name = await free_id(session, Camera, body.id, body.name or f"{store_row.id}-camera")
    lines = [line.model_dump() for line in body.lines]
    setup = _setup(
        {
            "camera": name,
            "store": store_row.id,
            "organization": store_row.organization,
            **changes_of(body),
            "lines": lines,
        }
    )
    await _write(session, setup, vault, trusted=principal.superadmin)
    return await show(session, principal, name, vault)


async def change(
    session: AsyncSession,
    principal: Principal,
    camera: str,
    body: CameraPatch,
    vault: Vault,
    networks: SourceNetworks,
    if_match: str | None,
) -> CameraSettings:
    """Update the fields of a camera that the body sets.

    Raises:
        ChangedMeanwhile: the camera is not at the ETag of `if_match`.
    """
    _, before = await _to_change(session, principal, camera, vault, if_match, required_role(body))
    changes = changes_of(body)
    trusted = None
    if "address" in changes:
        check_address(principal, body.address, networks)
        trusted = principal.superadmin  # setting an address counts as choosing it, even the same one
        if changes["address"] != before.address:
            changes.setdefault("start", None)  # it belonged to the former source
    await _write(session, _setup({**dict(before), "again": False, **changes}), vault, trusted=trusted)
    return await show(session, principal, camera, vault)


async def draw(
    session: AsyncSession,
    principal: Principal,
    camera: str,
    body: LinesIn | ZonesIn,
    vault: Vault,
    if_match: str | None = None,
) -> CameraSettings:
    """Replace all lines, or all zones, of a camera."""
    _, before = await _to_change(session, principal, camera, vault, if_match)
    await _write(session, _setup({**dict(before), "again": False, **body.model_dump()}), vault, trusted=None)
    return await show(session, principal, camera, vault)


async def remove(session: AsyncSession, principal: Principal, camera: str, vault: Vault, if_match: str | None) -> None:
    """Remove a camera with its lines and zones. Its counts are kept."""
    row, _ = await _to_change(session, principal, camera, vault, if_match)
    await delete_camera(session, row)


def check_address(principal: Principal, address: str, networks: SourceNetworks) -> None:
    """Refuse addresses of the server itself, its files and its devices, unless a superadmin gives them.

    Ingest checks once more, after name resolution and at redirects.

    Raises:
        Invalid: the address takes a superadmin, is sealed, or contains the mask of a secret.
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
    row = await readable_camera(session, principal, camera, role)
    store_row = await readable_store(session, principal, row.store)
    lines, zones = await read_lines(session, row.id), await read_zones(session, row.id)
    setup = read_setup(row, store_row, lines, zones, vault)
    etags.check(if_match, CameraSettings.of(role, setup, row, lines, zones))
    return row, setup


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
