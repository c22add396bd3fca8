"""Which run's counts stand for a line and a time. Every reading of history passes here, and nowhere else decides it."""

from __future__ import annotations

from typing import Literal

Counted = Literal["crossing", "count_quarter", "count_day"]


def standing(table: Counted, run: str) -> str:
    """The rows of a table that stand, as a relation for a query's FROM: all columns of the table.

    Args:
        table: the record, or one of its rollups.
        run: the query's placeholder for the run that is asked for, such as `$1`.
    """
    return f"(SELECT * FROM {table} WHERE run = {run})"  # noqa: S608  # nothing of it comes from outside
