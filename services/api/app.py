"""The application: its components, routes and lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import FileResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from contracts.streams import CAMERAS, SOURCES, Owner
from services.api import health
from services.api.audit.endpoints import router as changes
from services.api.auth.authenticator import Authenticator
from services.api.auth.endpoints.second_factor import router as second_factors
from services.api.auth.endpoints.sign_in import router as auth
from services.api.auth.endpoints.sign_in import well_known
from services.api.auth.endpoints.sign_ins import router as sign_ins
from services.api.auth.first_admin import ensure_first_admin
from services.api.auth.passwords.hashing import Passwords
from services.api.auth.passwords.strength import Judge
from services.api.auth.second_factor.factors import SecondFactors
from services.api.auth.service import SignIns
from services.api.auth.tokens.access_tokens import BUILT_IN, Issuer, Verifier
from services.api.auth.tokens.jwks import RemoteKeys
from services.api.auth.tokens.signing_keys import SigningKeys
from services.api.cameras.endpoints import router as cameras
from services.api.change_quota import ChangeQuota
from services.api.clock import Clock, utc_now
from services.api.counts.endpoints import router as counts
from services.api.database import open_engine, open_sessions, ping
from services.api.edge.endpoints import router as edge
from services.api.history.endpoints import router as history
from services.api.history.export_endpoints import router as exports
from services.api.http import openapi, problems, security
from services.api.invitations.endpoints import links as invitation_links
from services.api.invitations.endpoints import router as invitations
from services.api.keys.endpoints import router as keys
from services.api.live.endpoints import router as live
from services.api.live.feed import LiveFeed
from services.api.live.hub import Hub
from services.api.live.messages import EVENTS as EVENTS_OF_STREAMS
from services.api.mail.outbox import Outbox
from services.api.members.endpoints import router as members
from services.api.occupancy.endpoints import router as occupancy
from services.api.organizations.endpoints import router as organizations
from services.api.pages.app import AppPages
from services.api.projection import Projection
from services.api.promotions.endpoints import router as promotions
from services.api.resets.endpoints import router as resets
from services.api.resets.service import prepare
from services.api.runs.endpoints import router as runs
from services.api.settings import ApiSettings
from services.api.state import AppState
from services.api.statuses import Statuses
from services.api.stores.endpoints import router as stores
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.retry import retry
from services.kit.service import Health, working

log = logger()

DOCS = Path(__file__).parent / "docs"
EVENTS = Path(__file__).parents[2] / "contracts" / "asyncapi.json"
"""Written by `infra.nats.asyncapi`."""


def create_app(settings: ApiSettings, clock: Clock = utc_now, engine: AsyncEngine | None = None) -> FastAPI:
    """The application. Its background tasks run during its lifespan.

    Args:
        engine: of the database, in place of a pool of its own.
    """
    database_url = settings.database_url.get_secret_value()
    engine = engine or open_engine(database_url)
    sessions = open_sessions(engine)
    writable = open_sessions(engine.execution_options(isolation_level="READ COMMITTED"))
    passwords, signing_keys = Passwords(), SigningKeys(writable, settings.vault, clock)
    factors = SecondFactors(settings.vault)
    bus = Bus(settings, Owner.API, Owner.API)
    statuses, hub = Statuses(), Hub()
    feed = LiveFeed(bus, sessions, hub, statuses, clock, settings.reread_seconds)
    projection = Projection(
        bus, sessions, writable, database_url, settings.vault, statuses, clock, changed=feed.refresh
    )

    outbox = Outbox(writable, settings, settings.vault, clock, prepare(settings.public_url, clock))

    async def work() -> None:
        await _make_first_admin(settings)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(statuses.follow(bus), name="statuses")
            tasks.create_task(feed.run(), name="feed")
            tasks.create_task(projection.run(), name="projection")
            tasks.create_task(outbox.run(), name="mail")

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with working(work, bus):
            yield
        await engine.dispose()

    app = FastAPI(
        title="Metrica",
        summary="People counting for shops: stores, counts, pictures, and a live stream of them.",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads scripts of other hosts; the one below does not
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.components = AppState(
        settings=settings,
        bus=bus,
        health=Health(
            bus, [f"KV_{bucket.name}" for bucket in (CAMERAS, SOURCES)], {"database": lambda: ping(sessions)}
        ),
        sessions=sessions,
        statuses=statuses,
        hub=hub,
        feed=feed,
        clock=clock,
        writable=writable,
        vault=settings.vault,
        passwords=passwords,
        judge=Judge(),
        outbox=outbox,
        signing_keys=signing_keys,
        authenticator=Authenticator(
            settings, Verifier(_issuers(settings, signing_keys), clock), sessions, writable, clock
        ),
        second_factors=factors,
        sign_ins=SignIns(writable, signing_keys, passwords, factors, settings.vault, clock),
        change_quota=ChangeQuota(settings.max_changes, clock),
        quotas=settings.quotas,
    )
    problems.install(app)
    security.install(app, settings.other_hosts)
    openapi.install(app, EVENTS_OF_STREAMS.values())
    accounts = (auth, sign_ins, second_factors, invitation_links, resets)
    configured = (*accounts, organizations, members, invitations, keys, changes, stores, cameras)
    for router in (*configured, counts, history, exports, occupancy, live, runs, promotions, edge):
        app.include_router(router, prefix="/v1")
    app.include_router(well_known)
    app.include_router(health.router)
    app.add_route("/asyncapi.json", lambda _request: FileResponse(EVENTS), include_in_schema=False)
    app.add_route("/docs", lambda _request: RedirectResponse("docs/"), include_in_schema=False)
    app.mount("/docs/", StaticFiles(directory=DOCS, html=True), name="docs")
    app.mount("/", AppPages(), name="dashboard")
    return app


def _issuers(settings: ApiSettings, signing_keys: SigningKeys) -> list[Issuer]:
    issuers = [Issuer(BUILT_IN, BUILT_IN, signing_keys)]
    if settings.jwks_url and settings.jwks_issuer and settings.jwks_audience:
        issuers.append(Issuer(settings.jwks_issuer, settings.jwks_audience, RemoteKeys(settings.jwks_url)))
    return issuers


async def _make_first_admin(settings: ApiSettings) -> None:
    """Create the first superadmin, if METRICA_ADMIN_PASSWORD is set. Waits for the database."""
    if settings.admin_password is None:
        return
    password, database_url = settings.admin_password.get_secret_value(), settings.database_url.get_secret_value()

    async def ensure() -> None:
        if await ensure_first_admin(database_url, settings.admin_email, password):
            log.info("the first superadmin was made", email=settings.admin_email)
            await _warn_of_weak(password, settings.admin_email)

    waiting = "the first superadmin waits for the database"
    await retry(ensure, waiting, on=problems.DATABASE_ERRORS, report=log.info)


async def _warn_of_weak(password: str, email: str) -> None:
    """Warn of a weak password. Refusing it could leave an installation without any account to sign in with."""
    if not (await Judge().judge(password, [email])).enough:
        log.warning("METRICA_ADMIN_PASSWORD is easily guessed: sign in and choose another", email=email)
