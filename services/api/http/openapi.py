"""The API's description at /openapi.json: as FastAPI writes it, with the errors as they are really sent."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.api.http.problems import MEDIA_TYPE

PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
_BODY_REFUSED = {
    "400": {"description": "The body cannot be read.", "content": PROBLEM},
    "413": {"description": "The body is too large.", "content": PROBLEM},
}
_NEVER_SENT = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    """Make an application describe itself so."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to change it


def describe(app: FastAPI) -> dict[str, Any]:
    """The description.

    FastAPI takes every answer to be of the route's own media type, and 422 to be its own kind. What becomes of a body
    that cannot be read, or is too large, it does not tell.
    """
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    for methods in made["paths"].values():
        for operation in methods.values():
            if "requestBody" in operation:
                operation["responses"].update(_BODY_REFUSED)
            for status, response in operation["responses"].items():
                refers = "ProblemDetails" in str(response) or "HTTPValidationError" in str(response)
                if int(status) >= 400 and refers:
                    response["content"] = PROBLEM
    for name in _NEVER_SENT:
        made["components"]["schemas"].pop(name, None)
    return made
