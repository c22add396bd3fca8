"""Promotions: a run's counts in place of the live ones, for a line and a period. A promotion changes no stored count.

The tables of counts hold the counts of each run, the live one included. Queries of live counts add the corrections by
promotions: the run's quarters of the promoted period, less the live ones. Of promotions that overlap, the newest that
is not revoked is in force. Where none affects the query, this costs one index lookup.
"""

EVERY_CORRECTION = """
SELECT p.store, c.camera, c.line, c.bucket, c.ins, c.outs
FROM promotion p CROSS JOIN LATERAL (
    SELECT q.camera, q.line, q.bucket,
           CASE q.run WHEN 'live' THEN -q.ins ELSE q.ins END AS ins,
           CASE q.run WHEN 'live' THEN -q.outs ELSE q.outs END AS outs
    FROM count_quarter q
    WHERE q.run IN ('live', p.run) AND q.store = p.store AND q.camera = p.camera AND q.line = p.line
      AND q.bucket >= p.since AND q.bucket < p.until
      AND NOT EXISTS (
          SELECT FROM promotion n
          WHERE n.revoked_at IS NULL AND n.store = p.store AND n.camera = p.camera AND n.line = p.line AND n.id > p.id
            AND q.bucket >= n.since AND q.bucket < n.until
      )
    OFFSET 0
) c
WHERE p.revoked_at IS NULL
"""
"""The query of the corrections of all stores and times, to be added to the live counts of quarter hours.

A quarter may have two: the live counts as negative numbers, and the run's counts. The query around it restricts them.
"""
# OFFSET 0 keeps Postgres from reading count_quarter before it has looked for a promotion.
