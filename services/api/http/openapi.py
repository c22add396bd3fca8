"""The OpenAPI document at /openapi.json: FastAPI's, corrected for the errors that the API sends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from services.api.http.problems import MEDIA_TYPE

PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
_BODY_REFUSED = {
    "400": {"description": "The body cannot be read.", "content": PROBLEM},
    "413": {"description": "The body is too large.", "content": PROBLEM},
}
_NEVER_SENT = ("HTTPValidationError", "ValidationError")


_CARRIER = "/carrier"
"""Begins the paths of routes that only bring a schema into the document, so that FastAPI names it as all others."""


def _carry() -> None: ...


def refer(model: type[BaseModel]) -> dict[str, str]:
    """A reference to a schema of the document, whose class has a name of its own."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def install(app: FastAPI, models: Iterable[type[BaseModel]] = ()) -> None:
    """Make an application serve the corrected document.

    Args:
        models: as for `describe`.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app, models)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to change it


def describe(app: FastAPI, models: Iterable[type[BaseModel]] = ()) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        models: what streams send: schemas that are no body of a request or response.

    FastAPI assumes the route's media type for every response, and its own format for 422. It does not describe the
    responses to bodies that cannot be read or are too large.
    """
    carriers = [
        APIRoute(f"{_CARRIER}/{model.__name__}", _carry, response_model=model, name=model.__name__) for model in models
    ]
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=[*app.routes, *carriers])
    for carrier in carriers:
        del document["paths"][carrier.path]
    for methods in document["paths"].values():
        for operation in methods.values():
            if "requestBody" in operation:
                operation["responses"].update(_BODY_REFUSED)
            for status, response in operation["responses"].items():
                is_problem = "ProblemDetails" in str(response) or "HTTPValidationError" in str(response)
                if int(status) >= 400 and is_problem:
                    response["content"] = PROBLEM
    for name in _NEVER_SENT:
        document["components"]["schemas"].pop(name, None)
    return document
