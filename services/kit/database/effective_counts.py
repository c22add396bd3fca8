"""Which run's counts stand for a line and a time. Every reading of history passes here, and nowhere else decides it.

The live run's are what it counted itself, but where another run was promoted; see `services.kit.database.promotions`.
"""
# ruff: noqa: S608  # nothing of these queries comes from outside

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
# Corrections go by the zone that the days are folded by now: until they follow a changed zone, both are of one.
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
_STANDING: dict[Counted, str] = {"crossing": _CROSSINGS, "count_quarter": _QUARTERS, "count_day": _DAYS}


def standing(table: Counted, run: str) -> str:
    """The rows of a table that stand, as a relation for a query's FROM.

    Of a rollup there may be several rows for one line and time, some of them negative: add them up.

    Args:
        table: the record, or one of its rollups.
        run: the query's placeholder for the run that is asked for, such as `$1`.
    """
    return f"({_STANDING[table].format(run=run)})"
