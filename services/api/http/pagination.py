"""Pagination by cursors, which stay valid when rows are added or removed meanwhile."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, cast

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy import literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Mapped
from sqlalchemy.sql.elements import Tuple
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from services.api.http.problems import Invalid

LARGEST = 200

Row = TypeVar("Row")
Item = TypeVar("Item", bound=BaseModel)


class Page(BaseModel, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: str | None = Field(description="The `cursor` of the next page; null on the last page.")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for a page: its size, and the position after which it starts."""

    limit: int
    after: str | None

    async def read(
        self,
        session: AsyncSession,
        query: SelectOfScalar[Row],
        column: Mapped[Any],
        read: Callable[[str], object],
        *,
        then: Mapped[str] | None = None,
        newest_first: bool = False,
    ) -> tuple[Sequence[Row], str | None]:
        """The rows of the page, and the cursor of the next page.

        Args:
            session: a transaction.
            query: for all rows that the caller may see.
            column: orders the list; unique, unless `then` is given.
            read: parses a value of the column from a cursor; raises ValueError.
            then: second column of the order, of text without blanks.
            newest_first: order by descending values.

        Raises:
            Invalid: the cursor is not of this list.
        """
        columns = [cast("InstrumentedAttribute[Any]", part) for part in (column, then) if part is not None]
        if self.after is not None:
            try:
                bound = _bound(self.after, columns, read)
            except ValueError:
                raise Invalid("This is no cursor of this list.", "cursor") from None
            query = query.where(tuple_(*columns) < bound if newest_first else tuple_(*columns) > bound)
        query = query.order_by(*[part.desc() if newest_first else part for part in columns]).limit(self.limit + 1)
        rows = (await session.exec(query)).all()
        more = len(rows) > self.limit
        rows = rows[: self.limit]
        return rows, encode_cursor(" ".join(str(getattr(rows[-1], part.key)) for part in columns)) if more else None


def page_request(
    limit: Annotated[int, Query(ge=1, le=LARGEST, description="Largest number of items in a page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the previous page.")] = None,
) -> PageRequest:
    """The page of a request."""
    return PageRequest(limit, None if cursor is None else read_cursor(cursor))


PageDep = Annotated[PageRequest, Depends(page_request)]


def _bound(after: str, columns: Sequence[InstrumentedAttribute[Any]], read: Callable[[str], object]) -> Tuple:
    first, *then = after.rsplit(" ", len(columns) - 1) if len(columns) > 1 else [after]
    values = zip([read(first), *then], columns, strict=True)
    return tuple_(*[literal(value, column.type) for value, column in values])


def encode_cursor(value: str) -> str:
    """The cursor of a position in a list."""
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
        raise Invalid("This is no cursor of this list.", "cursor")
    return value
