"""Error responses of the API, all as problem+json (RFC 9457)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
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


Params = dict[str, str | int | float | bool]
"""The values in a sentence, by name."""


class InvalidParameter(BaseModel):
    """An invalid parameter or field of a request."""

    parameter: str
    detail: str
    code: str = Field(description="Name of the rule, for programs and translations.")
    params: Params = Field(default={}, description="The values in `detail`, by name.")


class ProblemDetails(BaseModel):
    """An error: its cause, its place and the remedy (RFC 9457)."""

    type: str = Field(description="The code as a URN: `urn:metrica:problem:no-such-store`.")
    title: str
    status: int
    detail: str
    instance: str = ""
    code: str = Field(description="Name of the kind of error, for programs and translations. It does not change.")
    params: Params = Field(default={}, description="The values in `detail`, by name.")
    invalid: list[InvalidParameter] = []


class Problem(Exception):
    """An error with a response of its own. Subclasses define the status.

    Args:
        detail: the sentence, with its values in braces if there are any: `There is no store {store!r}.`
        code: name of the kind of error; by default that of the class. docs/problems.md lists them.
        params: the values.
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code: str = "internal-error"
    """Name of the kind of error, for programs and translations."""
    retry_after: int | None = None
    """Seconds after which the client may try again."""

    def __init__(self, detail: str, *, code: str | None = None, **params: object) -> None:
        self.detail = _filled(detail, params)
        super().__init__(self.detail)
        self.code = code or self.code
        self.params = {name: _plain(value) for name, value in params.items()}
        self.invalid: list[InvalidParameter] = []

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


_VALUE = re.compile(r"\{(\w+)(!r)?\}")


def _filled(detail: str, params: Mapping[str, object]) -> str:
    """A sentence with its values. Names alone are filled in, so that no text with braces reads a value's attributes."""

    def value(found: re.Match[str]) -> str:
        name, as_literal = found.groups()
        if name not in params:
            return found[0]
        return repr(params[name]) if as_literal else str(params[name])

    return _VALUE.sub(value, detail)


class NotFound(Problem):
    """404: the object does not exist, or is hidden from the caller; both look alike."""

    status = HTTPStatus.NOT_FOUND
    code = "not-found"


class Unauthorized(Problem):
    """401: the caller is not authenticated."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"

    @property
    def headers(self) -> dict[str, str]:
        """Headers with the authentication scheme; Bearer opens no dialog in browsers."""
        return {**super().headers, "WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    """403: the caller may see the object but lacks the right to do this."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class Conflict(Problem):
    """409: the request conflicts with the present state."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class Gone(Problem):
    """410: the object existed and is no longer valid."""

    status = HTTPStatus.GONE
    code = "gone"


class ChangedMeanwhile(Problem):
    """412: the object has changed since the caller read it."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "precondition-failed"


class Invalid(Problem):
    """422: the request is invalid.

    Args:
        detail: the reason, in a sentence.
        where: path of the invalid field, with dots; "" for the whole request.
    """

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid"

    def __init__(self, detail: str, where: str = "", *, code: str | None = None, **params: object) -> None:
        super().__init__(detail, code=code, **params)
        if where:
            self.invalid = [InvalidParameter(parameter=where, detail=self.detail, code=self.code, params=self.params)]

    @classmethod
    def of(cls, error: ValidationError | RequestValidationError) -> Invalid:
        """The problem of a validation error; paths leave out the part of the request, such as "body" or "query"."""
        begin = 1 if isinstance(error, RequestValidationError) else 0
        invalid = [
            InvalidParameter(
                parameter=".".join(str(part) for part in cause["loc"][begin:]),
                detail=cause["msg"].removeprefix("Value error, "),
                code=cause["type"].replace("_", "-"),
                params={name: _plain(value) for name, value in cause.get("ctx", {}).items() if name != "error"},
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
    code = "too-many"

    def __init__(self, detail: str, retry_after: int, *, code: str | None = None, **params: object) -> None:
        super().__init__(detail, code=code, **params)
        self.retry_after = retry_after


class Unavailable(Problem):
    """503: a temporary failure."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
    retry_after = 2


def _plain(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)


def code_of(status: int) -> str:
    """The code of an error that has none but its status: `method-not-allowed`."""
    return HTTPStatus(status).phrase.lower().replace(" ", "-").replace("'", "")


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
    params: Params | None = None,
) -> JSONResponse:
    """The response of a problem; by default, its code is that of its status."""
    code = code or code_of(status)
    problem = ProblemDetails(
        type=f"urn:metrica:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        code=code,
        params=params or {},
        invalid=invalid or [],
    )
    return JSONResponse(
        problem.model_dump(exclude=None if invalid else {"invalid"}),
        status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Register handlers that turn all errors of an application into problem+json."""

    async def on_problem(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return answer(
            request,
            error.status,
            error.detail,
            invalid=error.invalid,
            headers=error.headers,
            code=error.code,
            params=error.params,
        )

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        no_path = f"No such path: {request.url.path}. See /docs for the API."
        detail = no_path if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
        code = "no-such-path" if error.status_code == HTTPStatus.NOT_FOUND else None
        return answer(request, error.status_code, detail, headers=dict(error.headers or {}), code=code)

    async def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return await on_problem(request, Invalid.of(error))

    async def on_database(request: Request, error: Exception) -> JSONResponse:
        if _is_refusal(error):
            return await on_bug(request, error)
        log.warning("the database did not answer", path=request.url.path, error=f"{type(error).__name__}: {error}")
        detail = "The database is away. Counting goes on and nothing is lost; try again in a moment."
        return answer(
            request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"}, code="database-away"
        )

    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", path=request.url.path, exc_info=error)
        detail = "An error of the API's own; its log has the details."
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail, code="internal-error")

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, on_database)
    app.add_exception_handler(Exception, on_bug)
