"""Promotions: a run's counts in place of the live ones, for a line and a period. A promotion changes no stored count.

The tables of counts hold the counts of each run, the live one included. Queries of live counts add the corrections by
promotions: the run's quarters of the promoted period, less the live ones. Of promotions that overlap, the newest that
is not revoked is in force. Where none affects the query, this costs one index lookup.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import asyncpg

_CORRECTIONS = """
SELECT p.store, c.camera, c.line, c.bucket, c.ins, c.outs
FROM promotion p CROSS JOIN LATERAL (
    SELECT q.camera, q.line, q.bucket,
           CASE q.run WHEN 'live' THEN -q.ins ELSE q.ins END AS ins,
           CASE q.run WHEN 'live' THEN -q.outs ELSE q.outs END AS outs
    FROM count_quarter q
    WHERE q.run IN ('live', p.run) AND q.store = p.store AND q.camera = p.camera AND q.line = p.line
      AND q.bucket >= GREATEST(p.since, {since}) AND q.bucket < LEAST(p.until, {until})
      AND NOT EXISTS (
          SELECT FROM promotion n
          WHERE n.revoked_at IS NULL AND n.store = p.store AND n.camera = p.camera AND n.line = p.line AND n.id > p.id
            AND q.bucket >= n.since AND q.bucket < n.until
      )
    OFFSET 0
) c
WHERE p.revoked_at IS NULL AND {stores} AND p.since < {until} AND p.until > {since}
"""
# OFFSET 0 keeps Postgres from reading count_quarter before it has looked for a promotion.


class CountCorrection(NamedTuple):
    """Counts to add to a line's live counts, in the quarter of an hour that begins at `bucket`, UTC.

    A quarter may have two: the live counts as negative numbers, and the run's counts.
    """

    store: str
    camera: str
    line: str
    bucket: datetime
    ins: int
    outs: int


def corrections_of(stores: str, since: str, until: str) -> str:
    """The query of corrections (see `CountCorrection`), as part of another query: two would read two snapshots.

    Args:
        stores, since, until: placeholders of the query's parameters, such as `$1`.
    """
    return _CORRECTIONS.format(stores=f"p.store = ANY({stores}::text[])", since=since, until=until)


EVERY_CORRECTION = _CORRECTIONS.format(stores="true", since="p.since", until="p.until")
"""The query of the corrections of all stores and times; the query around it restricts them."""


async def corrections(
    connection: asyncpg.Connection, store: str, since: datetime, until: datetime
) -> list[CountCorrection]:
    """The corrections of a store's live counts by promotions, in the quarters from `since` until before `until`."""
    rows = await connection.fetch(corrections_of("$1", "$2", "$3"), [store], since, until)
    return [CountCorrection(*row) for row in rows]
