"""The database's contents at each version of a store: noted by itself, in the transaction that raised the version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import asyncpg

from contracts.events import Counts
from services.kit.database.totals import totals
from tests.faults.browser import Shown
from tests.persistence.conftest import Stored
from tests.support.record import Row

# At the commit: a batch first raises the version, and then adds to the counts.
_NOTE = """
CREATE TABLE held (store text, version bigint, camera text, line text, ins int, outs int,
                   PRIMARY KEY (store, version, camera, line));
CREATE FUNCTION note_totals() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO held SELECT NEW.store, NEW.version, camera, line, ins, outs
    FROM count_day WHERE run = NEW.run AND store = NEW.store ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER note_totals AFTER INSERT OR UPDATE ON store_version DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION note_totals();
"""


class History:
    """A look at a database that notes its own totals, from before the first crossing on."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    async def begin(self) -> None:
        """Let the database note its totals from now on."""
        async with asyncpg.create_pool(self._database_url, min_size=0) as pool:
            await pool.execute(_NOTE)

    async def totals(self, store: str) -> Counts:
        """A store's totals of today."""
        async with asyncpg.create_pool(self._database_url, min_size=0) as pool:
            return await totals(pool, "live", store, datetime.now(UTC))

    async def assert_rollups_agree(self) -> None:
        """Minutes, quarters, days and sessions are what the crossings come to."""
        connection = await asyncpg.connect(self._database_url)
        try:
            async with connection.transaction(isolation="repeatable_read"):  # people may be counted meanwhile
                await Stored(connection).assert_rollups_equal_record()
        finally:
            await connection.close()

    async def assert_held(self, shown: Sequence[Shown]) -> None:
        """Whatever was shown had been committed just so, and nothing newer had been shown before."""
        async with asyncpg.create_pool(self._database_url, min_size=0) as pool:
            rows = await pool.fetch("SELECT version, camera, line, ins, outs FROM held")
        held: dict[int, set[tuple[str, str, int, int]]] = defaultdict(set)
        for version, *line in rows:
            held[version].add(tuple(line))
        newest = 0
        for one in shown:
            counts = one.counts
            assert counts.revision >= newest, f"{one.sender} went back from {newest} to {counts.revision}"
            newest = counts.revision
            lines = {(line.camera, line.line, line.in_, line.out) for line in counts.lines}
            assert lines == held[newest], f"{one.sender} showed as {newest} what never was: {counts}"
            assert (counts.in_, counts.out) == (sum(line[2] for line in lines), sum(line[3] for line in lines))


def difference(expected: Mapping[str, Sequence[Row]], found: Mapping[str, Sequence[Row]]) -> list[str]:
    """Crossings that are missing or too many, by camera and id; one that came out otherwise is both."""
    return [
        f"{camera} {what} {row[0]}: {row[2]} over {row[1]}, seq {row[3]}, at {row[4]}, place {row[5]:.3f}"
        for camera in expected
        for what, rows in (
            ("lacks", set(expected[camera]) - set(found[camera])),
            ("has too much", set(found[camera]) - set(expected[camera])),
        )
        for row in sorted(rows, key=lambda row: row[3])
    ]
