"""Cameras: create, change and remove."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.address import HIDDEN
from services.api.access.principal import Principal, Role
from services.api.access.repository import readable_camera, readable_store
from services.api.auth.writing import Edit
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
from services.api.http.pagination import Page, PageRequest
from services.api.http.problems import Invalid, Unavailable
from services.api.http.repository import free_id
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
    shown = [(await _read(session, principal, store_row, camera, vault))[1] for camera in cameras.rows]
    return Page(items=shown, next=cameras.next)


async def show(session: AsyncSession, principal: Principal, camera: str, vault: Vault) -> CameraSettings:
    """A camera's settings, as the principal may see them."""
    return (await _find(session, principal, camera, vault))[2]


async def create(
    session: AsyncSession, principal: Principal, store: Store, body: CameraIn, vault: Vault, networks: SourceNetworks
) -> CameraSettings:
    """Create a camera in a store."""
    check_address(principal, body.address, networks)
    fields = {
        "camera": await free_id(session, Camera, body.id, body.name or f"{store.id}-camera"),
        "store": store.id,
        "organization": store.organization,
        "lines": [line.model_dump() for line in body.lines],
    }
    return await _write(session, principal, {**fields, **changes_of(body)}, vault, trusted=principal.superadmin)


async def change(
    session: AsyncSession, edit: Edit, camera: str, body: CameraPatch, vault: Vault, networks: SourceNetworks
) -> CameraSettings:
    """Update the fields of a camera that the body sets."""
    principal = edit.principal
    _, before, present = await _find(session, principal, camera, vault, required_role(body))
    edit.check(present)
    changes, trusted = changes_of(body), None
    if "address" in changes:
        check_address(principal, body.address, networks)
        trusted = principal.superadmin  # setting an address counts as choosing it, even the same one
        if changes["address"] != before.address:
            changes.setdefault("start", None)  # it belonged to the former source
    return await _write(session, principal, {**dict(before), "again": False, **changes}, vault, trusted=trusted)


async def draw(session: AsyncSession, edit: Edit, camera: str, body: LinesIn | ZonesIn, vault: Vault) -> CameraSettings:
    """Replace all lines, or all zones, of a camera."""
    return await preview(session, edit.principal, camera, body, vault, edit.check)


async def preview(
    session: AsyncSession,
    principal: Principal,
    camera: str,
    body: LinesIn | ZonesIn,
    vault: Vault,
    check: Callable[[CameraSettings], None] = lambda _: None,
) -> CameraSettings:
    """Draw in a transaction that need not be committed."""
    _, before, present = await _find(session, principal, camera, vault, Role.MANAGER)
    check(present)
    return await _write(session, principal, {**dict(before), "again": False, **body.model_dump()}, vault, trusted=None)


async def remove(session: AsyncSession, edit: Edit, camera: str, vault: Vault) -> None:
    """Remove a camera with its lines and zones. Its counts are kept."""
    row, _, present = await _find(session, edit.principal, camera, vault, Role.MANAGER)
    edit.check(present)
    await delete_camera(session, row)


def check_address(principal: Principal, address: str, networks: SourceNetworks) -> None:
    """Refuse addresses of the server itself, its files and its devices, unless a superadmin gives them.

    Ingest checks once more, after name resolution and at redirects.

    Raises:
        Invalid: the address takes a superadmin, is sealed, or contains the mask of a secret.
    """
    if is_sealed(address):
        raise Invalid("say the address in the clear", "address", code="address-sealed")
    if HIDDEN in address:
        raise Invalid(
            "this is how an address is shown, with {hidden} for its secrets: say it whole, or not",
            "address",
            code="address-hidden",
            hidden=HIDDEN,
        )
    if principal.superadmin:
        return
    if not _REMOTE.match(address.strip()):
        raise Invalid(
            "give an rtsp://, rtsps://, rtspu://, http:// or https:// address, or sim://door; "
            "files and devices of the machine take a superadmin",
            "address",
            code="address-scheme",
        )
    if (why := literal_hosts.refusal(address, networks)) is not None:
        raise Invalid(
            "a camera there takes a superadmin: {why}. Give the address of the camera itself",
            "address",
            code="address-takes-superadmin",
            why=why,
        )


async def _find(
    session: AsyncSession, principal: Principal, camera: str, vault: Vault, role: Role = Role.VIEWER
) -> tuple[Camera, CameraSetup, CameraSettings]:
    row = await readable_camera(session, principal, camera, role)
    store = await readable_store(session, principal, row.store)
    return row, *await _read(session, principal, store, row, vault)


async def _read(
    session: AsyncSession, principal: Principal, store: Store, camera: Camera, vault: Vault
) -> tuple[CameraSetup, CameraSettings]:
    lines, zones = await read_lines(session, camera.id), await read_zones(session, camera.id)
    setup = read_setup(camera, store, lines, zones, vault)
    return setup, CameraSettings.of(principal.role_in(store.organization), setup, camera, lines, zones)


async def _write(
    session: AsyncSession, principal: Principal, fields: Mapping[str, Any], vault: Vault, *, trusted: bool | None
) -> CameraSettings:
    try:
        setup = CameraSetup.model_validate(fields)
    except ValidationError as error:
        raise Invalid.of(error) from error
    try:
        await write_camera(session, setup, vault, trusted=trusted)
    except CannotOpen as error:
        raise Unavailable(
            "This camera's address cannot be kept: {error}.", code="address-cannot-be-sealed", error=error
        ) from error
    return await show(session, principal, setup.camera, vault)
