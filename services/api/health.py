"""`/livez`, `/readyz` and `/metrics`, for those who run the service; the same as every service has."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from services.api.dependencies import PartsDep

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Alive?", response_class=PlainTextResponse)
async def livez() -> str:
    """Answers while the event loop turns."""
    return "alive\n"


@router.get(
    "/readyz",
    summary="Ready?",
    response_class=PlainTextResponse,
    responses={503: {"description": "What is not in order, one line each.", "content": {"text/plain": {}}}},
)
async def readyz(of: PartsDep) -> Response:
    """A round trip through JetStream and one to the database."""
    problems = await of.health.problems()
    lines = [f"{name}: {problem}" for name, problem in problems.items()] or ["ready"]
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return PlainTextResponse("\n".join([*lines, ""]), status)


@router.get("/metrics", summary="Metrics", response_class=PlainTextResponse)
async def metrics() -> Response:
    """Prometheus's text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
