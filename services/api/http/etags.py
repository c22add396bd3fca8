"""ETags of the configuration: nobody overwrites unawares what somebody else has changed meanwhile."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, TypeVar

from fastapi import Header, Response
from pydantic import BaseModel

from services.api.http.problems import ChangedMeanwhile

Shown = TypeVar("Shown", bound=BaseModel)

_ETAG = re.compile(r'(?:W/)?"[^"]*"')

IfMatch = Annotated[
    str | None,
    Header(
        description="The ETag of what was read. Where it has changed since, 412 and nothing is done.",
        examples=['"f00dfeedf00dfeed"'],
    ),
]


class Versioned(BaseModel):
    """What is shown to some with more and to others with less of it, and has one ETag for all."""

    @property
    def version(self) -> str:
        """What decides the ETag."""
        raise NotImplementedError


def etag(shown: BaseModel) -> str:
    """Names what is shown: another as soon as anything of it is another."""
    text = shown.version if isinstance(shown, Versioned) else shown.model_dump_json()
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'


def tagged(response: Response, shown: Shown) -> Shown:
    """What is shown, after its ETag was put on the answer that shows it."""
    response.headers["ETag"] = etag(shown)
    return shown


def check(if_match: str | None, present: BaseModel) -> None:
    """Make sure that what is to be changed is what the caller has read.

    Raises:
        ChangedMeanwhile: it is not.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if etag(present) not in [tag.removeprefix("W/") for tag in _ETAG.findall(if_match)]:
        raise ChangedMeanwhile("Somebody has changed it since you read it: read it again, and decide anew.")
