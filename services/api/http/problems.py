"""Error responses of the API, all as problem+json (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from services.kit.logs import logger

MEDIA_TYPE = "application/problem+json"
DATABASE_ERRORS = (
    DBAPIError, PoolTimeout, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError,
)  # fmt: skip
"""Errors of an unreachable Postgres. A refused connection is an OSError that the drivers do not wrap."""
_REFUSING = ("22", "23", "54")
"""Classes of SQLSTATE: data out of range, a constraint, a limit. They are bugs of the API: retrying is of no use."""

log = logger()


class InvalidParameter(BaseModel):
    """An invalid parameter or field of a request."""

    parameter: str
    detail: str


class ProblemDetails(BaseModel):
    """An error: its cause, its place and the remedy (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = ""
    code: str | None = None
    """Identifier of the error for programs, where the status is not specific enough."""
    invalid: list[InvalidParameter] = []


class Problem(Exception):
    """An error with a response of its own. Subclasses define the status."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code: str | None = None
    """Identifier of the error for programs, where the status is not specific enough."""
    retry_after: int | None = None
    """Seconds after which the client may try again."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.invalid: list[InvalidParameter] = []

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


class NotFound(Problem):
    """404: the object does not exist, or is hidden from the caller; both look alike."""

    status = HTTPStatus.NOT_FOUND


class Unauthorized(Problem):
    """401: the caller is not authenticated."""

    status = HTTPStatus.UNAUTHORIZED

    @property
    def headers(self) -> dict[str, str]:
        """Headers with the authentication scheme; Bearer opens no dialog in browsers."""
        return {**super().headers, "WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    """403: the caller may see the object but lacks the right to do this."""

    status = HTTPStatus.FORBIDDEN


class Conflict(Problem):
    """409: the request conflicts with the present state."""

    status = HTTPStatus.CONFLICT


class Gone(Problem):
    """410: the object existed and is no longer valid."""

    status = HTTPStatus.GONE


class ChangedMeanwhile(Problem):
    """412: the object has changed since the caller read it."""

    status = HTTPStatus.PRECONDITION_FAILED


class Invalid(Problem):
    """422: the request is invalid.

    Args:
        detail: the reason, in a sentence.
        where: path of the invalid field, with dots; "" for the whole request.
    """

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, detail: str, where: str = "") -> None:
        super().__init__(detail)
        self.invalid = [InvalidParameter(parameter=where, detail=detail)] if where else []

    @classmethod
    def of(cls, error: ValidationError | RequestValidationError) -> Invalid:
        """The problem of a validation error; paths leave out the part of the request, such as "body" or "query"."""
        begin = 1 if isinstance(error, RequestValidationError) else 0
        invalid = [
            InvalidParameter(
                parameter=".".join(str(part) for part in cause["loc"][begin:]),
                detail=cause["msg"].removeprefix("Value error, "),
            )
            for cause in error.errors()
        ]
        problem = cls(
            "; ".join(f"{each.parameter}: {each.detail}" if each.parameter else each.detail for each in invalid)
        )
        problem.invalid = invalid
        return problem


class TooMany(Problem):
    """429: too many requests, or a quota of the caller is used up."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(Problem):
    """503: a temporary failure."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after = 2


def _is_refusal(error: Exception) -> bool:
    """Tell whether Postgres responded, and rejected a statement."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(cause, "sqlstate", None)).startswith(_REFUSING)


def describe(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Error responses of a route, for OpenAPI."""
    return {int(status): {"description": status.phrase, "model": ProblemDetails} for status in statuses}


SIGNED_IN = describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
ANYBODY = describe(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
READING = SIGNED_IN | describe(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
CREATING = READING | describe(HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS)
CHANGING = CREATING | describe(HTTPStatus.PRECONDITION_FAILED)
"""Error responses of routes with and without a sign-in, and of those that read, create and change."""


def answer(
    request: Request,
    status: int,
    detail: str,
    *,
    invalid: list[InvalidParameter] | None = None,
    headers: dict[str, str] | None = None,
    code: str | None = None,
) -> JSONResponse:
    """The response of a problem."""
    problem = ProblemDetails(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        code=code,
        invalid=invalid or [],
    )
    omitted = {name for name, value in (("invalid", invalid), ("code", code)) if not value}
    return JSONResponse(
        problem.model_dump(exclude_defaults=False, exclude=omitted),
        status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Register handlers that turn all errors of an application into problem+json."""

    async def on_problem(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return answer(
            request, error.status, error.detail, invalid=error.invalid, headers=error.headers, code=error.code
        )

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        no_path = f"No such path: {request.url.path}. See /docs for the API."
        detail = no_path if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
        return answer(request, error.status_code, detail, headers=dict(error.headers or {}))

    async def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return await on_problem(request, Invalid.of(error))

    async def on_database(request: Request, error: Exception) -> JSONResponse:
        if _is_refusal(error):
            return await on_bug(request, error)
        log.warning("the database did not answer", path=request.url.path, error=f"{type(error).__name__}: {error}")
        detail = "The database is away. Counting goes on and nothing is lost; try again in a moment."
        return answer(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"})

    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", path=request.url.path, exc_info=error)
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "An error of the API's own; its log has the details.")

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, on_database)
    app.add_exception_handler(Exception, on_bug)
