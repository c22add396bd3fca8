"""Runs: ask for one, see them, have one removed.

The entries are in NATS, where the replay service reads them. A run is shown to those who may see all of its stores.
Names have a random part, so that nobody learns from a refused name that another organization has such a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import to_ns
from contracts.runs import Run, RunCamera, RunPhase, RunProgress, RunRequest
from contracts.spec import CameraSpec, CountingLine
from services.api.access.principal import Principal, Role
from services.api.access.repository import readable_camera, readable_store, readable_stores
from services.api.http.problems import Conflict, Invalid, NotFound, TooMany
from services.api.runs.repository import is_promoted
from services.api.runs.schemas import RunIn, RunOut
from services.kit.database.account_tables import AuditEntry
from services.kit.database.tables import Camera, Store
from services.kit.nats.bus import Bus
from services.kit.nats.run_entries import ask_to_drop, create_run, find_run, has_ended, list_runs, read_progress

MAX_UNENDED, MAX_KEPT = 4, 200
"""Runs of one organization: at work at a time, and in all. The trackers and the disk are those of all organizations."""
RETRY_AFTER = 30
_MINUTE = 60_000_000_000


async def create(
    session: AsyncSession,
    bus: Bus,
    principal: Principal,
    body: RunIn,
    place: tuple[Sequence[Camera], Store],
    now: datetime,
) -> RunOut:
    """Ask for a run.

    Args:
        place: its cameras, and the store of the first, from `check`.

    Raises:
        Invalid: a line cannot count.
        TooMany: as many runs of the organization are at work as may be.
        Conflict: the organization has as many runs as may be kept.
    """
    cameras, store = place
    await _check_number(session, bus, principal, store)
    since = to_ns(body.since)
    run = Run(
        name="-".join(filter(None, (body.name.strip("-"), uuid4().hex[:12]))),
        kind=body.kind,
        cameras=tuple(RunCamera(camera=camera.id, store=camera.store) for camera in cameras),
        since=since,
        until=min(to_ns(body.until), max(to_ns(now), since + 1)),
        created_at=to_ns(now),
        speed=body.speed,
        lines=_lines(body, cameras[0]),
        model=body.model,
        request=RunRequest(
            by=principal.name,
            begin=max(0, since - round(body.warm_up * _MINUTE)),
            since=since,
            until=to_ns(body.until),
            in_store=True,
        ),
    ).in_phase(RunPhase.REQUESTED)
    session.add(_entry("created", principal, store.organization, run, now))
    await session.flush()  # an error of the database comes before the run is there
    await create_run(bus, run)
    return RunOut.of(run, RunProgress())


async def check(session: AsyncSession, principal: Principal, body: RunIn) -> tuple[Sequence[Camera], Store]:
    """Check that the principal may replay the cameras. Returns them, and the first one's store.

    Raises:
        Invalid: they are of several organizations.
    """
    cameras = [await readable_camera(session, principal, camera, Role.MANAGER) for camera in body.cameras]
    stores = [await readable_store(session, principal, camera.store, Role.MANAGER) for camera in cameras]
    if len({store.organization for store in stores}) > 1:
        raise Invalid(
            "The cameras are of several organizations: ask for a run in each.", "cameras", code="several-organizations"
        )
    return cameras, stores[0]


async def read_all(session: AsyncSession, bus: Bus, principal: Principal) -> list[RunOut]:
    """All runs that the principal may see, the oldest first."""
    runs = await _visible(session, principal, await list_runs(bus))
    return [RunOut.of(run, await read_progress(bus, run.name)) for run in runs]


async def read_one(session: AsyncSession, bus: Bus, principal: Principal, name: str) -> RunOut:
    """A run with its progress."""
    run = await readable_run(session, bus, principal, name)
    return RunOut.of(run, await read_progress(bus, name))


async def remove(session: AsyncSession, bus: Bus, principal: Principal, name: str, now: datetime) -> RunOut:
    """Have a run removed with all its data; takes the manager role.

    Raises:
        Conflict: its counts are shown in place of the live ones.
    """
    run = await readable_run(session, bus, principal, name, Role.MANAGER)
    names = dict.fromkeys(camera.store for camera in run.cameras)
    stores = [await readable_store(session, principal, store, Role.MANAGER) for store in names]
    if any([await is_promoted(session, store, name) for store in stores]):
        raise Conflict("The counts of the run {run} are promoted: revoke that first.", code="run-is-promoted", run=name)
    session.add(_entry("removed", principal, stores[0].organization, run, now))
    await session.flush()
    return RunOut.of(await ask_to_drop(bus, name) or run, RunProgress())


async def readable_run(
    session: AsyncSession, bus: Bus, principal: Principal, name: str, role: Role = Role.VIEWER
) -> Run:
    """A run.

    Raises:
        NotFound: there is no such run, or the principal may not see one of its stores.
        Forbidden: the principal may see it and lacks the role.
    """
    run = await find_run(bus, name)
    visible = [] if run is None else await _visible(session, principal, [run])
    if not visible:
        raise NotFound("There is no run {run!r}. GET /v1/runs lists them.", code="no-such-run", run=name)
    for store in {camera.store for camera in visible[0].cameras}:
        await readable_store(session, principal, store, role)
    return visible[0]


async def _visible(session: AsyncSession, principal: Principal, runs: Sequence[Run]) -> list[Run]:
    named = {camera.store for run in runs for camera in run.cameras}
    seen = {store.id for store in await readable_stores(session, principal, named)}
    return [run for run in runs if run.cameras and all(camera.store in seen for camera in run.cameras)]


async def _check_number(session: AsyncSession, bus: Bus, principal: Principal, store: Store) -> None:
    stores = {each.id for each in await readable_stores(session, principal) if each.organization == store.organization}
    runs = [run for run in await list_runs(bus) if any(camera.store in stores for camera in run.cameras)]
    if sum(not has_ended(run) for run in runs) >= MAX_UNENDED:
        raise TooMany(
            "{most} runs of {organization} are at work, the most at a time.",
            RETRY_AFTER,
            code="too-many-runs-at-work",
            most=MAX_UNENDED,
            organization=store.organization,
        )
    if len(runs) >= MAX_KEPT:
        raise Conflict(
            "{organization} has {runs} runs, the most that are kept: remove some.",
            code="too-many-runs-kept",
            organization=store.organization,
            runs=len(runs),
        )


def _lines(body: RunIn, camera: Camera) -> tuple[CountingLine, ...] | None:
    """The lines of the body, as revisions of their own: their crossings have other ids than the live ones."""
    if body.lines is None:
        return None
    revision = camera.revision + 1
    try:
        lines = tuple(CountingLine(**line.model_dump(), revision=revision) for line in body.lines)
        CameraSpec(store=camera.store, camera=camera.id, revision=revision, lines=lines)
    except ValidationError as error:
        raise Invalid.of(error) from None
    return lines


def _entry(action: str, principal: Principal, organization: str, run: Run, now: datetime) -> AuditEntry:
    values = run.model_dump(
        mode="json", include={"kind", "cameras", "since", "until", "speed", "model"}, exclude_none=True
    )
    return AuditEntry(
        at=now,
        who=principal.name,
        organization=organization,
        action=action,
        kind="run",
        key=run.name,
        before=values if action == "removed" else None,
        after=values if action == "created" else None,
    )
