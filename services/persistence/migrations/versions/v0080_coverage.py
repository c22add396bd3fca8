"""Coverage: the intervals in which each line was counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0070"
branch_labels = None
depends_on = None

# Gaps before this revision are not known: a line is taken as counted from its first count to its last. Edge devices
# report no coverage, so that their lines' is unknown.
_KNOWN_BEFORE = """
INSERT INTO coverage (run, store, camera, line, start, until)
SELECT q.run, q.store, q.camera, q.line, min(q.bucket), max(q.bucket) + interval '15 minutes'
FROM count_quarter q
WHERE NOT EXISTS (
    SELECT FROM session_count s WHERE s.run = q.run AND s.camera = q.camera AND s.session LIKE 'edge-%'
)
GROUP BY q.run, q.store, q.camera, q.line
"""


def upgrade() -> None:
    """Go forward."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "coverage",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("run", "store", "camera", "line")),
        sa.Column("start", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.PrimaryKeyConstraint("run", "store", "camera", "line", "start"),
    )
    op.create_index("coverage_by_time", "coverage", ["run", "store", "until"])
    op.execute(_KNOWN_BEFORE)


def downgrade() -> None:
    """Go back: what was not counted is a zero again."""
    op.drop_table("coverage")
