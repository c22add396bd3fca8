"""`/livez`, `/readyz` and `/metrics` for operators, as every service has them."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from services.api.dependencies import HealthDep, SettingsDep
from services.api.http.problems import Unauthorized, describe
from services.api.settings import ApiSettings
from services.kit.http.local import NOT_SHOWN, may_look_inside
from services.kit.service import in_lines

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Alive?", response_class=PlainTextResponse)
async def livez() -> str:
    """Responds while the event loop is running."""
    return "alive\n"


@router.get(
    "/readyz",
    summary="Ready?",
    response_class=PlainTextResponse,
    responses={
        503: {
            "description": "Problems, one line each, for this machine and holders of the metrics key; for others, "
            "`not ready`.",
            "content": {"text/plain": {}},
        }
    },
)
async def readyz(request: Request, health: HealthDep, settings: SettingsDep) -> Response:
    """Checks JetStream and the database with a round trip each."""
    problems = await health.problems()
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return PlainTextResponse(in_lines(problems, inside=_is_inside(request, settings)), status)


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=PlainTextResponse,
    responses=describe(HTTPStatus.UNAUTHORIZED),
)
async def metrics(request: Request, settings: SettingsDep) -> Response:
    """Metrics in Prometheus's text format, for this machine and holders of METRICA_METRICS_KEY as a bearer token."""
    if not _is_inside(request, settings):
        raise Unauthorized(NOT_SHOWN, code="health-not-shown")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _is_inside(request: Request, settings: ApiSettings) -> bool:
    return may_look_inside(request.scope, settings.metrics_secret)
