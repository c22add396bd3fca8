"""Pagination by cursors, which stay valid when rows are added or removed meanwhile."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from services.api.http.problems import Invalid

LARGEST = 200
DEFAULT = 50

Row = TypeVar("Row")
Item = TypeVar("Item", bound=BaseModel)


class Page(BaseModel, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: str | None = Field(description="The `cursor` of the next page; null on the last page.")


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """The rows of a page, and the cursor of the next page."""

    rows: Sequence[Row]
    next: str | None

    def show(self, schema: Callable[[Row], Item]) -> Page[Item]:
        """The page of a response, with the schema of each row."""
        return Page(items=[schema(row) for row in self.rows], next=self.next)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for a page: its size, and the position after which it starts."""

    limit: int
    after: str | None


def page_request(
    limit: Annotated[int, Query(ge=1, le=LARGEST, description="Largest number of items in a page.")] = DEFAULT,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the previous page.")] = None,
) -> PageRequest:
    """The page of a request."""
    return PageRequest(limit, None if cursor is None else read_cursor(cursor))


PageDep = Annotated[PageRequest, Depends(page_request)]


def optional_page_request(
    limit: Annotated[int | None, Query(ge=1, le=LARGEST, description="Largest number of items in a page.")] = None,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the previous page.")] = None,
) -> PageRequest | None:
    """The page of a request to a list that is whole where neither is given; then None."""
    if limit is None and cursor is None:
        return None
    return page_request(limit or DEFAULT, cursor)


OptionalPageDep = Annotated[PageRequest | None, Depends(optional_page_request)]


def encode_cursor(value: str) -> str:
    """The cursor of a position."""
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """The position that a cursor names.

    Raises:
        Invalid: it is no cursor.
    """
    try:
        value = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True).decode()
    except (binascii.Error, ValueError):
        value = "\x00"
    if "\x00" in value:
        raise Invalid("This is no cursor of this list.", "cursor", code="wrong-cursor")
    return value
