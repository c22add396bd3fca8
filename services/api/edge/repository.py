"""Queries of an edge worker's store: its lines, and stored crossings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import LIVE
from services.api.auth.tokens.api_keys import EdgeWorker
from services.kit.database.tables import Camera, CrossingRow, Line


@dataclass(frozen=True, slots=True)
class LineRevisions:
    """Present revisions of a line and of its camera's spec."""

    line: int
    spec: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The contents of a stored crossing."""

    camera: str
    line: str
    direction: str
    at: datetime


async def lines_of(session: AsyncSession, worker: EdgeWorker) -> dict[str, dict[str, LineRevisions]]:
    """The lines of the worker's store, by camera and id; cameras without lines are included."""
    by_camera: dict[str, dict[str, LineRevisions]] = {}
    query = (
        select(Camera.id, Camera.revision, Line.id, Line.revision)
        .join(Line, col(Line.camera) == Camera.id, isouter=True)
        .where(Camera.store == worker.store)
    )
    for camera, spec, line, revision in (await session.exec(query)).all():
        lines = by_camera.setdefault(camera, {})
        if line is not None:
            lines[line] = LineRevisions(revision, spec)
    return by_camera


async def stored_crossings(session: AsyncSession, worker: EdgeWorker, ids: Collection[UUID]) -> dict[UUID, Stored]:
    """The stored crossings among `ids`, by id."""
    query = select(CrossingRow).where(
        CrossingRow.run == LIVE, CrossingRow.store == worker.store, col(CrossingRow.id).in_(ids)
    )
    rows = (await session.exec(query)).all()
    return {row.id: Stored(row.camera, row.line, row.direction, row.at) for row in rows}
