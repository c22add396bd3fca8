"""Queries that features share: a page of a list, and ids that are taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Mapped
from sqlalchemy.sql.elements import Tuple
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from services.api.http.pagination import PageRequest, Rows, encode_cursor
from services.api.http.problems import Invalid
from services.kit.database.tables import Camera, Organization, Store

Row = TypeVar("Row")


async def read_page(
    session: AsyncSession,
    page: PageRequest,
    query: SelectOfScalar[Row],
    column: Mapped[Any],
    read: Callable[[str], object],
    *,
    then: Mapped[str] | None = None,
    newest_first: bool = False,
) -> Rows[Row]:
    """The rows of a page.

    Args:
        query: for all rows that the caller may see.
        column: orders the list; unique, unless `then` is given.
        read: parses a value of the column from a cursor; raises ValueError.
        then: second column of the order, of text without blanks.
        newest_first: order by descending values.

    Raises:
        Invalid: the cursor is not of this list.
    """
    columns = [cast("InstrumentedAttribute[Any]", part) for part in (column, then) if part is not None]
    if page.after is not None:
        try:
            bound = _bound(page.after, columns, read)
        except ValueError:
            raise Invalid("This is no cursor of this list.", "cursor") from None
        query = query.where(tuple_(*columns) < bound if newest_first else tuple_(*columns) > bound)
    query = query.order_by(*[part.desc() if newest_first else part for part in columns]).limit(page.limit + 1)
    rows = (await session.exec(query)).all()
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    return Rows(rows, encode_cursor(" ".join(str(getattr(rows[-1], part.key)) for part in columns)) if more else None)


async def is_taken(session: AsyncSession, kind: type[Organization | Store | Camera], wanted: str) -> bool:
    """Tell whether an object of a kind has an id, of whatever organization."""
    return await session.get(kind, wanted) is not None


def _bound(after: str, columns: Sequence[InstrumentedAttribute[Any]], read: Callable[[str], object]) -> Tuple:
    first, *then = after.rsplit(" ", len(columns) - 1) if len(columns) > 1 else [after]
    values = zip([read(first), *then], columns, strict=True)
    return tuple_(*[literal(value, column.type) for value, column in values])
