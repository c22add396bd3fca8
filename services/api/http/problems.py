"""Errors as the API tells them: problem+json (RFC 9457), whatever went wrong and wherever."""

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
"""What talking to Postgres raises while it is away. A refused connection is an OSError that nobody wraps."""
_REFUSING = ("22", "23", "54")
"""Classes of SQLSTATE: data out of range, a constraint, a limit. Trying again changes nothing: we should have known."""

log = logger()


class InvalidParameter(BaseModel):
    """One thing that is wrong with a request."""

    parameter: str
    detail: str


class ProblemDetails(BaseModel):
    """What went wrong, where, and what to do (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = ""
    code: str | None = None
    """What a program goes by, where the status does not say enough."""
    invalid: list[InvalidParameter] = []


class Problem(Exception):
    """An error that the caller is told of. Subclasses name it."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code: str | None = None
    """What a program goes by, where the status does not say enough."""
    retry_after: int | None = None
    """Seconds after which trying again makes sense."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.invalid: list[InvalidParameter] = []

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the answer."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


class NotFound(Problem):
    """There is no such thing, or not for this caller: the two look alike from outside."""

    status = HTTPStatus.NOT_FOUND


class Unauthorized(Problem):
    """Nobody knows who asks."""

    status = HTTPStatus.UNAUTHORIZED

    @property
    def headers(self) -> dict[str, str]:
        """How to say who one is; a browser is not to ask by itself."""
        return {**super().headers, "WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    """The caller may see it, and may not do it."""

    status = HTTPStatus.FORBIDDEN


class Conflict(Problem):
    """It does not go with what is there."""

    status = HTTPStatus.CONFLICT


class Gone(Problem):
    """It was there, and is of no use any more."""

    status = HTTPStatus.GONE


class ChangedMeanwhile(Problem):
    """Somebody else changed it since the caller read it."""

    status = HTTPStatus.PRECONDITION_FAILED


class Invalid(Problem):
    """What was sent makes no sense, and where.

    Args:
        detail: in a sentence.
        where: the path of the field in what was sent, with dots; "" is all of it.
    """

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, detail: str, where: str = "") -> None:
        super().__init__(detail)
        self.invalid = [InvalidParameter(parameter=where, detail=detail)] if where else []

    @classmethod
    def of(cls, error: ValidationError | RequestValidationError) -> Invalid:
        """What a model says that was made of what was sent; of a request, without the part of it that was meant."""
        begin = 1 if isinstance(error, RequestValidationError) else 0
        wrong = [
            InvalidParameter(
                parameter=".".join(str(part) for part in one["loc"][begin:]),
                detail=one["msg"].removeprefix("Value error, "),
            )
            for one in error.errors()
        ]
        problem = cls("; ".join(f"{one.parameter}: {one.detail}" if one.parameter else one.detail for one in wrong))
        problem.invalid = wrong
        return problem


class TooMany(Problem):
    """It was tried too often."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(Problem):
    """It cannot be answered now, and may be soon."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after = 2


def _is_refusal(error: Exception) -> bool:
    """Whether Postgres answered, and will not store what it was given."""
    told = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(told, "sqlstate", None)).startswith(_REFUSING)


READING = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
CREATING = (
    *READING, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS,
)  # fmt: skip
CHANGING = (*CREATING, HTTPStatus.PRECONDITION_FAILED)
"""What routes of a kind may answer with."""


def describe(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for OpenAPI."""
    return {int(status): {"description": status.phrase, "model": ProblemDetails} for status in statuses}


def answer(
    request: Request,
    status: int,
    detail: str,
    *,
    invalid: list[InvalidParameter] | None = None,
    headers: dict[str, str] | None = None,
    code: str | None = None,
) -> JSONResponse:
    """A problem as a response."""
    problem = ProblemDetails(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        code=code,
        invalid=invalid or [],
    )
    unsaid = {name for name, said in (("invalid", invalid), ("code", code)) if not said}
    return JSONResponse(
        problem.model_dump(exclude_defaults=False, exclude=unsaid),
        status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Make the application tell all its errors so."""

    async def on_problem(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return answer(
            request, error.status, error.detail, invalid=error.invalid, headers=error.headers, code=error.code
        )

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        nothing = f"Nothing is at {request.url.path}. What there is stands at /docs."
        detail = nothing if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
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
