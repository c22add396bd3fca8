"""Lists in pages: each ends with a cursor, which the next one begins at, whatever was added or removed meanwhile."""

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
Shown = TypeVar("Shown", bound=BaseModel)


class Page(BaseModel, Generic[Shown]):
    """A part of a list."""

    items: list[Shown]
    next: str | None = Field(description="The `cursor` of the next page; null on the last one.")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page is asked for."""

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
        """The rows of the page, and where the next one begins.

        Args:
            session: a transaction.
            query: for all rows that the caller may see.
            column: by which the list is in order; no two rows have the same, or they differ in `then`.
            read: makes the column's value from its text; raises ValueError.
            then: orders rows of the same value: a name, that is text without blanks.
            newest_first: from the greatest value down.
        """
        columns = [cast("InstrumentedAttribute[Any]", one) for one in (column, then) if one is not None]
        if self.after is not None:
            try:
                bound = _bound(self.after, columns, read)
            except ValueError:
                raise Invalid("This is no cursor of this list.", "cursor") from None
            query = query.where(tuple_(*columns) < bound if newest_first else tuple_(*columns) > bound)
        query = query.order_by(*[one.desc() if newest_first else one for one in columns]).limit(self.limit + 1)
        rows = (await session.exec(query)).all()
        more = len(rows) > self.limit
        rows = rows[: self.limit]
        return rows, _encode(" ".join(str(getattr(rows[-1], one.key)) for one in columns)) if more else None


def asked(
    limit: Annotated[int, Query(ge=1, le=LARGEST, description="The most that a page holds.")] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
) -> Asked:
    """The page that a request asks for."""
    return Asked(limit, None if cursor is None else _decode(cursor))


PageDep = Annotated[Asked, Depends(asked)]


def _bound(after: str, columns: Sequence[InstrumentedAttribute[Any]], read: Callable[[str], object]) -> Tuple:
    first, *then = after.rsplit(" ", len(columns) - 1) if len(columns) > 1 else [after]
    values = zip([read(first), *then], columns, strict=True)
    return tuple_(*[literal(value, column.type) for value, column in values])


def _encode(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        value = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True).decode()
    except (binascii.Error, ValueError):
        value = "\x00"
    if "\x00" in value:
        raise Invalid("This is no cursor of this list.", "cursor")
    return value
