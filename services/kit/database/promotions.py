"""Promotions: a run's counts in the place of the live ones, for a line and a period. No count is changed by one.

The tables of counts hold what each run counted, the live one among them. Whoever shows the live counts adds to them
what promotions correct: the run's quarters of the promoted stretch, less the live ones. Of promotions that overlap, the
newest that is not revoked is in force. Where none touches what is read, this costs a look into an index.
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


class Correction(NamedTuple):
    """What to add to the live counts of a line in the quarter of an hour that begins at `bucket`, UTC.

    A quarter may have two: the live counts taken away, and the run's counts.
    """

    store: str
    camera: str
    line: str
    bucket: datetime
    ins: int
    outs: int


def corrections_of(stores: str, since: str, until: str) -> str:
    """The query of corrections (see `Correction`), as a part of another: two statements would be two snapshots.

    Args:
        stores, since, until: the parameters that hold them, such as `$1`.
    """
    return _CORRECTIONS.format(stores=f"p.store = ANY({stores}::text[])", since=since, until=until)


EVERY_CORRECTION = _CORRECTIONS.format(stores="true", since="p.since", until="p.until")
"""The query of the corrections of all stores and times: whoever reads from it says which of them."""


async def corrections(connection: asyncpg.Connection, store: str, since: datetime, until: datetime) -> list[Correction]:
    """What promotions correct of a store's live counts in the quarters from `since` until before `until`."""
    rows = await connection.fetch(corrections_of("$1", "$2", "$3"), [store], since, until)
    return [Correction(*row) for row in rows]
