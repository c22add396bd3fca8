"""Alembic's environment. The connection comes from `services.persistence.migrate`, which holds the lock."""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlmodel import AutoString, SQLModel

from services.kit.database import account_tables, sign_in_tables, tables
from services.persistence.partitions import is_partition

assert all((tables, account_tables, sign_in_tables))  # imported for what they register in the metadata


def _is_declared(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not is_partition(name or "")


def _plainly(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Render SQLModel's text type as SQLAlchemy's, so that revisions do not depend on SQLModel."""
    return "sa.String()" if kind == "type" and isinstance(item, AutoString) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    include_name=_is_declared,
    render_item=_plainly,
)
with context.begin_transaction():
    context.run_migrations()
