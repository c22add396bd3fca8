"""Making, changing, removing and trying out cameras."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from pydantic import ValidationError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.address import holds_secret
from contracts.probe import Probe, Probed
from contracts.subjects import PROBE
from services.api import etags
from services.api.access import Principal, Role, readable_camera, readable_store
from services.api.cameras.schemas import (
    CameraIn,
    CameraPatch,
    CameraSettings,
    LinesIn,
    ProbeOut,
    ZonesIn,
    said,
    who_may,
)
from services.api.configuration import CameraSetup, delete_camera, read_lines, read_setup, read_zones, write_camera
from services.api.naming import free_id
from services.api.pages import Asked
from services.api.problems import Invalid, Unavailable
from services.kit.bus import Bus
from services.kit.tables import Camera, Store
from services.kit.vault import Vault, is_sealed

PROBE_SECONDS = 40.0
"""Opening may take 10, reading 10, and finding out why not another 10; others may be before us."""
_REMOTE = re.compile(r"(rtsps?|https?|sim)://", re.IGNORECASE)


async def list_cameras(
    session: AsyncSession, principal: Principal, store: str, vault: Vault, page: Asked
) -> tuple[list[CameraSettings], str | None]:
    """The cameras of a store, by their ids."""
    found = await readable_store(session, principal, store)
    rows, after = await page.read(session, select(Camera).where(Camera.store == found.id), col(Camera.id), str)
    return [await _show(session, found, camera, vault) for camera in rows], after


async def show(session: AsyncSession, principal: Principal, camera: str, vault: Vault) -> CameraSettings:
    """A camera as it is set."""
    found = await readable_camera(session, principal, camera)
    return await _show(session, await readable_store(session, principal, found.store), found, vault)


async def create(
    session: AsyncSession, principal: Principal, store: str, wanted: CameraIn, vault: Vault
) -> CameraSettings:
    """Make one in a store."""
    place = await readable_store(session, principal, store, who_may(wanted))
    check_address(principal, wanted.address)
    name = await free_id(session, Camera, wanted.id, wanted.name or f"{place.id}-camera")
    lines = [line.model_dump() for line in wanted.lines]
    setup = _setup(
        {"camera": name, "store": place.id, "organization": place.organization, **said(wanted), "lines": lines}
    )
    await write_camera(session, setup, _sealing(wanted.address, vault))
    return await show(session, principal, name, vault)


async def change(
    session: AsyncSession, principal: Principal, camera: str, wanted: CameraPatch, vault: Vault, if_match: str | None
) -> CameraSettings:
    """Change what is said."""
    _, before = await _to_change(session, principal, camera, vault, if_match, who_may(wanted))
    changes = said(wanted)
    if "address" in changes:
        check_address(principal, wanted.address)
        _sealing(wanted.address, vault)
        if changes["address"] != before.address:
            changes.setdefault("start", None)  # it went with the source
    await write_camera(session, _setup({**dict(before), "again": False, **changes}), vault)
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
    await write_camera(session, _setup({**dict(before), "again": False, **wanted.model_dump()}), vault)
    return await show(session, principal, camera, vault)


async def remove(session: AsyncSession, principal: Principal, camera: str, vault: Vault, if_match: str | None) -> None:
    """Remove one, with its lines and zones. What it counted stays."""
    found, _ = await _to_change(session, principal, camera, vault, if_match)
    await delete_camera(session, found)


def check_address(principal: Principal, address: str) -> None:
    """Leave files and devices of the machine to those whose machine it is.

    Raises:
        Invalid: it is such an address, and the principal no superadmin; or it is sealed, as only the database has it.
    """
    if is_sealed(address):
        raise Invalid("say the address in the clear", "address")
    if not principal.superadmin and not _REMOTE.match(address.strip()):
        raise Invalid(
            "give an rtsp://, rtsps://, http:// or https:// address, or sim://door; "
            "files and devices of the machine take a superadmin",
            "address",
        )


async def probe(bus: Bus, address: str, vault: Vault) -> ProbeOut:
    """Have ingest grab one frame of an address.

    Args:
        bus: asks.
        address: as it was said, or sealed.
        vault: seals it for the way.

    Raises:
        Unavailable: no ingest answers.
    """
    sent = vault.seal(address) if holds_secret(address) and vault.usable else address
    try:
        reply = await bus.client.request(PROBE, Probe(address=sent).model_dump_json().encode(), timeout=PROBE_SECONDS)
    except NoRespondersError:
        raise Unavailable("No ingest runs that could look: start it, then try again.") from None
    except (NatsError, TimeoutError) as error:
        raise Unavailable(f"Ingest did not answer within {PROBE_SECONDS:.0f} s: {error or 'time-out'}.") from error
    probed = Probed.model_validate_json(reply.data)
    if not probed.works:
        return ProbeOut(works=False, message=probed.message)
    picture = base64.b64encode(probed.jpeg).decode()
    return ProbeOut(works=True, message="", picture=picture, width=probed.width, height=probed.height, fps=probed.fps)


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
    etags.check(if_match, CameraSettings.of(setup, found.revision, lines, zones))
    return found, setup


async def _show(session: AsyncSession, store: Store, camera: Camera, vault: Vault) -> CameraSettings:
    lines, zones = await read_lines(session, camera.id), await read_zones(session, camera.id)
    return CameraSettings.of(read_setup(camera, store, lines, zones, vault), camera.revision, lines, zones)


def _setup(fields: Mapping[str, Any]) -> CameraSetup:
    try:
        return CameraSetup.model_validate(dict(fields))
    except ValidationError as error:
        raise Invalid.of(error) from error


def _sealing(address: str, vault: Vault) -> Vault:
    if holds_secret(address) and not vault.usable:
        raise Unavailable("A password in an address is kept sealed, and METRICA_SECRET_KEY is not set.")
    return vault
