"""ETags of the configuration, which prevent a client from overwriting changes that it has not seen."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, TypeVar

from fastapi import Header, Response
from pydantic import BaseModel

from services.api.http.problems import ChangedMeanwhile

Body = TypeVar("Body", bound=BaseModel)

_ETAG = re.compile(r'(?:W/)?"[^"]*"')

IfMatch = Annotated[
    str | None,
    Header(
        description="ETag of the object that the client has read. If it has changed since, the response is 412.",
        examples=['"f00dfeedf00dfeed"'],
    ),
]


class Versioned(BaseModel):
    """An object of which roles see different parts, with one ETag for all roles."""

    @property
    def version(self) -> str:
        """Text that the ETag is derived from."""
        raise NotImplementedError


def etag(body: BaseModel) -> str:
    """ETag of a response body: changes whenever any field changes."""
    text = body.version if isinstance(body, Versioned) else body.model_dump_json()
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'


def tagged(response: Response, body: Body) -> Body:
    """Set the ETag header for a response body, and return the body."""
    response.headers["ETag"] = etag(body)
    return body


def check(if_match: str | None, present: BaseModel) -> None:
    """Compare an If-Match header with an object that is about to be changed.

    Raises:
        ChangedMeanwhile: the header has no ETag of the present object.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if etag(present) not in [tag.removeprefix("W/") for tag in _ETAG.findall(if_match)]:
        raise ChangedMeanwhile(
            "Somebody has changed it since you read it: read it again, and decide anew.", code="changed-meanwhile"
        )
