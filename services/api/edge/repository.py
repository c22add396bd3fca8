"""What the database knows of a worker's store: its lines, and which crossings it holds already."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import LIVE
from services.api.auth.tokens.api_keys import Worker
from services.kit.database.tables import Camera, CrossingRow, Line


@dataclass(frozen=True, slots=True)
class LineRevisions:
    """A line of a camera, as it counts now."""

    line: int
    spec: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What a crossing says that is stored."""

    camera: str
    line: str
    direction: str
    at: datetime


async def lines_of(session: AsyncSession, worker: Worker) -> dict[str, dict[str, LineRevisions]]:
    """The lines of the worker's store, by camera and id. A camera without lines is there, too."""
    found: dict[str, dict[str, LineRevisions]] = {}
    query = (
        select(Camera.id, Camera.revision, Line.id, Line.revision)
        .join(Line, col(Line.camera) == Camera.id, isouter=True)
        .where(Camera.store == worker.store)
    )
    for camera, spec, line, revision in (await session.exec(query)).all():
        lines = found.setdefault(camera, {})
        if line is not None:
            lines[line] = LineRevisions(revision, spec)
    return found


async def stored_crossings(session: AsyncSession, worker: Worker, ids: Collection[UUID]) -> dict[UUID, Stored]:
    """Which of these crossings the database holds."""
    row = CrossingRow
    query = select(row).where(row.run == LIVE, row.store == worker.store, col(row.id).in_(ids))
    return {one.id: Stored(one.camera, one.line, one.direction, one.at) for one in (await session.exec(query)).all()}
