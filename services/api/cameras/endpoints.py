"""`/v1/cameras`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import AwareDatetime

from services.api.access.principal import Role
from services.api.access.repository import readable_camera, readable_store
from services.api.auth.dependencies import PrincipalDep
from services.api.auth.writing import EditDep
from services.api.cameras import service
from services.api.cameras.camera_test import CameraTestsDep
from services.api.cameras.health import HealthPage, period, read_health
from services.api.cameras.preview import newest_picture
from services.api.cameras.schemas import (
    CameraIn,
    CameraPatch,
    CameraSettings,
    LinesIn,
    ProbeIn,
    ProbeOut,
    ZonesIn,
    required_role,
)
from services.api.dependencies import (
    BusDep,
    CameraID,
    ClockDep,
    SessionDep,
    SessionsDep,
    SettingsDep,
    StoreID,
    VaultDep,
    WritableDep,
)
from services.api.http.etags import tagged
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import CHANGING, CREATING, READING, describe
from services.api.idempotency.creation import CreationDep

router = APIRouter(tags=["cameras"])


class Jpeg(Response):
    """A JPEG response."""

    media_type = "image/jpeg"


@router.get(
    "/cameras/{camera}/frame.jpg",
    summary="See a camera's newest picture",
    response_class=Jpeg,
    responses={
        200: {
            "description": "The frame. `Metrica-Captured-At` is its time, ns UTC; `Metrica-Seq` its number in the "
            "camera's session.",
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        },
        304: {"description": "There is no newer frame than the one in `If-None-Match`."},
        **describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def show_frame(
    camera: CameraID,
    principal: PrincipalDep,
    sessions: SessionsDep,
    bus: BusDep,
    if_none_match: Annotated[str | None, Header(description="The ETag of the frame that the client has.")] = None,
) -> Response:
    """The newest frame of a camera, as its detector receives it."""
    async with sessions() as session:
        row = await readable_camera(session, principal, camera)
    picture = await newest_picture(bus, row)
    headers = {
        "ETag": picture.etag,
        "Cache-Control": "no-store",
        "Metrica-Captured-At": str(picture.header.captured_at),
        "Metrica-Session": picture.header.session,
        "Metrica-Seq": str(picture.header.seq),
    }
    if if_none_match == picture.etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Jpeg(picture.jpeg, headers=headers)


@router.get("/cameras/{camera}/health", summary="See how a camera did", responses=READING)
async def show_health(
    camera: CameraID,
    session: SessionDep,
    principal: PrincipalDep,
    clock: ClockDep,
    page: PageDep,
    from_: Annotated[
        AwareDatetime | None,
        Query(alias="from", description="A week before `to` if omitted.", examples=["2026-11-23T00:00:00Z"]),
    ] = None,
    to: Annotated[
        AwareDatetime | None,
        Query(description="Exclusive; now if omitted.", examples=["2026-11-24T00:00:00Z"]),
    ] = None,
) -> HealthPage:
    """Changes of its state or message, as each service reported them, newest first; and its uptime."""
    row = await readable_camera(session, principal, camera)
    return await read_health(session, row, *period(from_, to, clock()), page)


@router.get("/stores/{store}/cameras", summary="List a store's cameras", responses=READING)
async def list_cameras(
    store: StoreID, session: SessionDep, principal: PrincipalDep, vault: VaultDep, page: PageDep
) -> Page[CameraSettings]:
    """Camera settings, ordered by id. For their states see `GET /v1/stores`."""
    return await service.list_cameras(session, principal, store, vault, page)


@router.post(
    "/stores/{store}/cameras",
    summary="Make a camera",
    status_code=HTTPStatus.CREATED,
    response_model=CameraSettings,
    responses=CREATING,
)
async def create_camera(
    store: StoreID,
    body: CameraIn,
    principal: PrincipalDep,
    vault: VaultDep,
    settings: SettingsDep,
    creation: CreationDep,
) -> Response:
    """Requires the manager role. Ingest opens the camera within a second or two."""
    return await creation.once(
        body,
        lambda session: readable_store(session, principal, store, required_role(body)),
        lambda session, row: service.create(session, principal, row, body, vault, settings.networks),
    )


@router.post("/stores/{store}/cameras/test", summary="Try an address out", response_model=ProbeOut, responses=CREATING)
async def test_address(
    store: StoreID,
    body: ProbeIn,
    principal: PrincipalDep,
    sessions: SessionsDep,
    settings: SettingsDep,
    tests: CameraTestsDep,
) -> ProbeOut | Response:
    """Grabs one frame of an address that no camera has yet, or reports the error.

    Requires the manager role. Takes up to 40 s, and two may run at a time. Disconnecting cancels it.
    """
    async with sessions() as session:
        store_row = await readable_store(session, principal, store, Role.MANAGER)
    service.check_address(principal, body.address, settings.networks)
    return await tests.run(store_row.organization, body.address, trusted=principal.superadmin)


@router.get("/cameras/{camera}", summary="See a camera's settings", responses=READING)
async def show_camera(
    camera: CameraID, session: SessionDep, principal: PrincipalDep, vault: VaultDep, response: Response
) -> CameraSettings:
    """A camera's settings. Send the ETag as `If-Match` with a change."""
    return tagged(response, await service.show(session, principal, camera, vault))


@router.patch("/cameras/{camera}", summary="Change a camera", responses=CHANGING)
async def change_camera(
    camera: CameraID, body: CameraPatch, edit: EditDep, vault: VaultDep, settings: SettingsDep
) -> CameraSettings:
    """Requires the manager role. `{"paused": true}` pauses it. In force within a second or two."""
    return await edit.apply(service.change, camera, body, vault, settings.networks)


@router.put("/cameras/{camera}/lines", summary="Draw a camera's lines", responses=CHANGING)
async def draw_lines(camera: CameraID, body: LinesIn, edit: EditDep, vault: VaultDep) -> CameraSettings:
    """Replaces all lines: omitted ones are removed. A line that can never count is refused with the reason."""
    return await edit.apply(service.draw, camera, body, vault)


@router.post("/cameras/{camera}/lines/preview", summary="Try lines out", responses=CREATING)
async def preview_lines(
    camera: CameraID, body: LinesIn, principal: PrincipalDep, vault: VaultDep, writable: WritableDep
) -> CameraSettings:
    """Settings that these lines would result in, or the reason why one can never count. Changes nothing."""
    async with writable() as session:  # never committed
        return await service.preview(session, principal, camera, body, vault)


@router.put("/cameras/{camera}/zones", summary="Name parts of a camera's picture", responses=CHANGING)
async def name_zones(camera: CameraID, body: ZonesIn, edit: EditDep, vault: VaultDep) -> CameraSettings:
    """Replaces all zones: omitted ones are removed. Zones do not affect counting."""
    return await edit.apply(service.draw, camera, body, vault)


@router.delete("/cameras/{camera}", summary="Remove a camera", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING)
async def remove_camera(camera: CameraID, edit: EditDep, vault: VaultDep) -> None:
    """Requires the manager role. Its counts are kept."""
    await edit.apply(service.remove, camera, vault)


@router.post("/cameras/{camera}/test", summary="Try a camera out", response_model=ProbeOut, responses=CREATING)
async def test_camera(
    camera: CameraID, principal: PrincipalDep, sessions: SessionsDep, tests: CameraTestsDep
) -> ProbeOut | Response:
    """Grabs one frame of the camera's source, or reports the error.

    Requires the manager role. Takes up to 40 s, and two may run at a time. Disconnecting cancels it.
    """
    async with sessions() as session:
        row = await readable_camera(session, principal, camera, Role.MANAGER)
        store_row = await readable_store(session, principal, row.store)
    return await tests.run(store_row.organization, row.address, trusted=row.trusted)
