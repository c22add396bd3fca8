"""Queries that features share: a page of a list, and ids of new objects."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Mapped
from sqlalchemy.sql.elements import Tuple
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from contracts.identity import token
from services.api.http.pagination import PageRequest, Rows, encode_cursor
from services.api.http.problems import Conflict, Invalid
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
            raise Invalid("This is no cursor of this list.", "cursor", code="wrong-cursor") from None
        query = query.where(tuple_(*columns) < bound if newest_first else tuple_(*columns) > bound)
    query = query.order_by(*[part.desc() if newest_first else part for part in columns]).limit(page.limit + 1)
    rows = (await session.exec(query)).all()
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    return Rows(rows, encode_cursor(" ".join(str(getattr(rows[-1], part.key)) for part in columns)) if more else None)


async def free_id(
    session: AsyncSession, kind: type[Organization | Store | Camera], requested: str | None, name: str
) -> str:
    """An id that is not in use, as requested or derived from the name.

    Ids are unique over all organizations, since subjects and crossings contain them. The response to an id that is
    taken does not depend on its owner, and reveals nothing of other organizations.

    Args:
        session: a transaction of `services.api.transaction`, the only one that creates objects at a time.
        requested: id; None to derive one from the name.

    Raises:
        Conflict: the requested id is taken, by any organization.
    """
    if requested is not None:
        if await session.get(kind, requested) is not None:
            raise Conflict("The id {id!r} is taken: choose another, or leave it out.", code="id-taken", id=requested)
        return requested
    try:
        stem = token(name)[:56]
    except ValueError:
        stem = kind.__name__.lower()
    made = stem
    while await session.get(kind, made) is not None:
        made = f"{stem}-{secrets.token_hex(3)}"  # a number would reveal how many others there are
    return made


def _bound(after: str, columns: Sequence[InstrumentedAttribute[Any]], read: Callable[[str], object]) -> Tuple:
    first, *then = after.rsplit(" ", len(columns) - 1) if len(columns) > 1 else [after]
    values = zip([read(first), *then], columns, strict=True)
    return tuple_(*[literal(value, column.type) for value, column in values])
