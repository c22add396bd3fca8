"""The audit log: records each object of the configuration that a transaction creates, changes or removes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.clock import Clock
from services.kit.database.account_tables import ApiKey, AuditEntry, Invitation, Membership, PasswordReset, User
from services.kit.database.sign_in_tables import SecondFactor
from services.kit.database.tables import Camera, Line, Organization, Store, ZoneRow

KINDS: dict[type[SQLModel], str] = {
    Organization: "organization",
    Store: "store",
    Camera: "camera",
    Line: "line",
    ZoneRow: "zone",
    User: "user",
    Membership: "membership",
    ApiKey: "key",
    Invitation: "invitation",
    PasswordReset: "password reset",
    SecondFactor: "second factor",
}
"""Recorded tables, and their names in the log."""

_SECRETS = {"address", "password_hash", "hash", "sealed", "pending"}
_HIDDEN, _HIDDEN_ANEW = "***", "*** (another)"
LONGEST_VALUE, LONGEST_SIDE = 1024, 4096
"""Bytes of JSON of one value in the log, and of all values before or after: 50 zones take several pages."""
_NO_CHANGES = {"last_used_at", "last_step"}

Values = dict[str, Any]


def watch(session: AsyncSession, who: str, clock: Clock) -> None:
    """Record a session's changes, in the same transaction.

    Args:
        session: newly opened.
    """

    def before_flush(flushing: Session, *_: object) -> None:
        with flushing.no_autoflush:
            changes = [_change(row, flushing) for row in [*flushing.new, *flushing.dirty, *flushing.deleted]]
        flushing.add_all(AuditEntry(at=clock(), who=who, **change) for change in changes if change)

    event.listen(session.sync_session, "before_flush", before_flush)


def _change(row: SQLModel, session: Session) -> Values | None:
    """Columns of the log entry for a row; None if it has not changed, or its table is not recorded."""
    kind = KINDS.get(type(row))
    if kind is None:
        return None
    before, after = _before_and_after(row)
    entry: Values
    if row in session.new:
        entry = {"action": "created", "after": after}
    elif row in session.deleted:
        entry = {"action": "removed", "before": before}
    else:
        changed = sorted({name for name in after if before[name] != after[name]} - _NO_CHANGES)
        if not changed:
            return None
        entry = {
            "action": "changed",
            "before": {name: before[name] for name in changed},
            "after": {name: after[name] for name in changed},
        }
    for side in {"before", "after"} & entry.keys():
        entry[side] = _bounded(entry[side])
    key = "/".join(str(part) for part in inspect(type(row)).primary_key_from_instance(row))
    return {"kind": kind, "key": key, "organization": _organization(session, row), **entry}


def _before_and_after(row: SQLModel) -> tuple[Values, Values]:
    after = row.model_dump(mode="json")
    was = {
        attribute.key: attribute.history.deleted[0]
        for attribute in inspect(row).attrs
        if attribute.history.has_changes() and attribute.history.deleted
    }
    before = {
        **after,
        **type(row).model_construct(**{**row.model_dump(), **was}).model_dump(mode="json", warnings=False),
    }
    for name in _SECRETS & set(after):
        another = before[name] != after[name]
        before[name], after[name] = _HIDDEN, _HIDDEN_ANEW if another else _HIDDEN
    return before, after


def _bounded(values: Values) -> Values:
    """Values with each long one replaced by its size and SHA-256, by which it can be identified."""
    bounded = {name: _summary(value) if _size(value) > LONGEST_VALUE else value for name, value in values.items()}
    for name in sorted(bounded, key=lambda name: _size(bounded[name]), reverse=True):
        if _size(bounded) <= LONGEST_SIDE:
            break
        bounded[name] = _summary(values[name])
    return bounded


def _summary(value: object) -> Values:
    text = json.dumps(value, sort_keys=True).encode()
    return {"cut": True, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def _size(value: object) -> int:
    return len(json.dumps(value))


def _organization(session: Session, row: SQLModel) -> str | None:
    match row:
        case Organization():
            return row.id
        case Store() | Membership() | ApiKey() | Invitation():
            return row.organization
        case Line() | ZoneRow():
            camera = session.get(Camera, row.camera)
            return None if camera is None else _organization(session, camera)
        case Camera():
            store = session.get(Store, row.store)
            return None if store is None else store.organization
        case _:
            return None
