"""`/v1/runs`."""

from __future__ import annotations

from contextlib import ExitStack
from http import HTTPStatus

from fastapi import APIRouter, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal
from services.api.access.repository import readable_store
from services.api.auth.dependencies import AuthenticatorDep, HoldDep, PrincipalDep
from services.api.auth.writing import WritingDep
from services.api.dependencies import BusDep, ClockDep, SessionDep, SessionsDep, SettingsDep
from services.api.http.problems import CREATING, READING, describe
from services.api.idempotency.creation import CreationDep
from services.api.live.stream import RightsCheck
from services.api.quotas import QuotaKind
from services.api.runs import service
from services.api.runs.dependencies import RunID
from services.api.runs.schemas import RunIn, RunOut
from services.api.runs.stream import RunStream

router = APIRouter(tags=["runs"])

EXAMPLE = 'event: progress\ndata: {"name":"moved-5f0c9a","phase":"running","done":0.42}\n\n'


@router.get("/runs", summary="List runs", responses=describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE))
async def list_runs(session: SessionDep, bus: BusDep, principal: PrincipalDep) -> list[RunOut]:
    """All runs whose stores you may see, the oldest first."""
    return await service.read_all(session, bus, principal)


@router.post(
    "/runs",
    summary="Ask for a run",
    status_code=HTTPStatus.CREATED,
    response_model=RunOut,
    responses=CREATING,
)
async def create_run(
    body: RunIn, principal: PrincipalDep, bus: BusDep, creation: CreationDep, clock: ClockDep
) -> Response:
    """Processes stored data of a period once more, beside the live counts. Requires the manager role.

    The replay service carries the run out; follow it at `/v1/runs/{run}/events`.
    """
    return await creation.once(
        body,
        lambda session: service.check(session, principal, body),
        lambda session, place: service.create(session, bus, principal, body, place, clock()),
        tagged=False,
    )


@router.get("/runs/{run}", summary="See a run", responses=READING)
async def show_run(run: RunID, session: SessionDep, bus: BusDep, principal: PrincipalDep) -> RunOut:
    """A run with its progress."""
    return await service.read_one(session, bus, principal, run)


@router.delete("/runs/{run}", summary="Remove a run", status_code=HTTPStatus.ACCEPTED, responses=CREATING)
async def remove_run(run: RunID, bus: BusDep, principal: PrincipalDep, writing: WritingDep, clock: ClockDep) -> RunOut:
    """Has a run removed with all its data, one that is at work, too. Requires the manager role.

    It is gone once `GET` answers 404.
    """
    async with writing.transaction() as session:
        return await service.remove(session, bus, principal, run, clock())


@router.get(
    "/runs/{run}/events",
    summary="Follow a run live",
    status_code=HTTPStatus.OK,
    response_class=RunStream,
    responses={
        200: {
            "description": "The stream.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}},
        },
        **describe(
            HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE
        ),
    },
)
async def follow_run(
    run: RunID,
    bus: BusDep,
    principal: PrincipalDep,
    authenticator: AuthenticatorDep,
    sessions: SessionsDep,
    settings: SettingsDep,
    hold: HoldDep,
) -> RunStream:
    """The run as of now and at each change, as `progress`; at last `ended`, or `removed`, after which it is closed."""

    async def check(session: AsyncSession, caller: Principal) -> None:
        await service.readable_run(session, bus, caller, run)

    async with sessions() as session:
        entry = await service.readable_run(session, bus, principal, run)
        store = await readable_store(session, principal, entry.cameras[0].store)
    with ExitStack() as share:
        share.enter_context(hold(QuotaKind.STREAM, store.organization))
        rights = RightsCheck(lambda: authenticator.ask_again(principal, check), settings.recheck_seconds)
        return RunStream(bus, run, rights, share.pop_all(), settings.heartbeat_seconds)
