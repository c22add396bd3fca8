"""Effective counts: the choice of the run that is shown for a line and a time. All queries of history must use this.

For the live run these are its own counts, except where another run is promoted; see
`services.kit.database.promotions`.
"""
# ruff: noqa: S608  # these queries hold no outside input

from __future__ import annotations

from typing import Literal

from contracts.identity import LIVE
from services.kit.database.promotions import EVERY_CORRECTION

Counted = Literal["crossing", "count_quarter", "count_day"]

_QUARTERS = f"""
SELECT run, store, camera, line, bucket, ins, outs FROM count_quarter WHERE run = {{run}}
UNION ALL
SELECT '{LIVE}', store, camera, line, bucket, ins, outs FROM ({EVERY_CORRECTION}) c WHERE {{run}} = '{LIVE}'
"""
# Corrections use the time zone by which count_day is folded now. While days are rebuilt for a changed time zone, both
# thus use the same one.
_DAYS = f"""
SELECT run, store, camera, line, day, ins, outs FROM count_day WHERE run = {{run}}
UNION ALL
SELECT '{LIVE}', c.store, c.camera, c.line, (c.bucket AT TIME ZONE v.time_zone)::date, c.ins, c.outs
FROM ({EVERY_CORRECTION}) c JOIN store_version v ON v.run = '{LIVE}' AND v.store = c.store
WHERE {{run}} = '{LIVE}'
"""
_IN_FORCE = """
SELECT p.run FROM promotion p
WHERE p.revoked_at IS NULL AND p.store = c.store AND p.camera = c.camera AND p.line = c.line
  AND c.at >= p.since AND c.at < p.until
ORDER BY p.id DESC LIMIT 1
"""
_CROSSINGS = f"""
SELECT c.* FROM crossing c WHERE c.run = {{run}} AND ({{run}} <> '{LIVE}' OR NOT EXISTS ({_IN_FORCE}))
UNION ALL
SELECT c.* FROM crossing c
WHERE {{run}} = '{LIVE}' AND c.run IN (SELECT run FROM promotion WHERE revoked_at IS NULL) AND c.run = ({_IN_FORCE})
"""
_RELATIONS: dict[Counted, str] = {"crossing": _CROSSINGS, "count_quarter": _QUARTERS, "count_day": _DAYS}


def effective_counts(table: Counted, run: str) -> str:
    """The effective rows of a table, as a relation for a query's FROM.

    A rollup may give several rows for one line and time, some of them negative: add them up.

    Args:
        table: the record of crossings, or one of its rollups.
        run: the query's placeholder for the requested run, such as `$1`.
    """
    return f"({_RELATIONS[table].format(run=run)})"
