"""`/v1/cameras`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Response

from services.api.access import readable_camera
from services.api.cameras.preview import newest_picture
from services.api.dependencies import CameraID, PartsDep, PrincipalDep
from services.api.problems import describe

router = APIRouter(tags=["cameras"])


class Jpeg(Response):
    """A picture."""

    media_type = "image/jpeg"


@router.get(
    "/cameras/{camera}/frame.jpg",
    summary="See a camera's newest picture",
    response_class=Jpeg,
    responses={
        200: {
            "description": "The picture. `Metrica-Captured-At` is its time, ns UTC; `Metrica-Seq` its place in the "
            "camera's session.",
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        },
        304: {"description": "There is none newer than the one that `If-None-Match` names."},
        **describe(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def show_frame(
    camera: CameraID,
    principal: PrincipalDep,
    of: PartsDep,
    if_none_match: Annotated[str | None, Header(description="The ETag of the picture that is there already.")] = None,
) -> Response:
    """The newest picture of a camera, as its detector sees it."""
    async with of.sessions() as session:
        found = await readable_camera(session, principal, camera)
    picture = await newest_picture(of.bus, found)
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
