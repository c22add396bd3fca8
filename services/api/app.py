"""The API put together: its parts, its routes, and how it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from contracts.streams import CAMERAS, SOURCES, Owner
from services.api import description, health, problems, security
from services.api.cameras.endpoints import router as cameras
from services.api.clock import Clock, utc_now
from services.api.counts.endpoints import router as counts
from services.api.database import open_engine, open_sessions, ping
from services.api.dependencies import Parts
from services.api.history.endpoints import router as history
from services.api.history.export import Exports
from services.api.history.export_endpoints import router as exports
from services.api.live.endpoints import router as live
from services.api.live.feed import Feed
from services.api.live.hub import Hub
from services.api.live.statuses import Statuses
from services.api.occupancy.endpoints import router as occupancy
from services.api.projection import Projection
from services.api.settings import ApiSettings
from services.api.stores.endpoints import router as stores
from services.kit.bus import Bus
from services.kit.service import Health, working

DASHBOARD = Path(__file__).parents[2] / "dashboards" / "live"
"""Beside `services`, in a checkout as where it is installed."""
DOCS = Path(__file__).parent / "docs"


def create_app(settings: ApiSettings, clock: Clock = utc_now) -> FastAPI:
    """The application. It works as long as its lifespan lasts."""
    database_url = settings.database_url.get_secret_value()
    engine = open_engine(database_url)
    sessions = open_sessions(engine)
    bus = Bus(settings, Owner.API, Owner.API)
    statuses, hub = Statuses(), Hub(settings.max_streams)
    feed = Feed(bus, sessions, hub, statuses, clock, settings.reread_seconds)
    projection = Projection(bus, sessions, database_url, statuses, clock, changed=feed.refresh)

    async def work() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(statuses.follow(bus), name="statuses")
            tasks.create_task(feed.run(), name="feed")
            tasks.create_task(projection.run(), name="projection")

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
        docs_url=None,  # FastAPI's page loads its script from elsewhere; ours, below, is our own
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.parts = Parts(
        settings=settings,
        bus=bus,
        health=Health(
            bus, [f"KV_{bucket.name}" for bucket in (CAMERAS, SOURCES)], {"database": lambda: ping(sessions)}
        ),
        sessions=sessions,
        statuses=statuses,
        hub=hub,
        feed=feed,
        exports=Exports(),
        clock=clock,
    )
    problems.install(app)
    security.install(app)
    description.install(app)
    for router in (stores, counts, history, exports, occupancy, live, cameras):
        app.include_router(router, prefix="/v1")
    app.include_router(health.router)
    app.add_route("/docs", lambda _request: RedirectResponse("/docs/"), include_in_schema=False)
    app.mount("/docs/", StaticFiles(directory=DOCS, html=True), name="docs")
    app.mount("/", StaticFiles(directory=DASHBOARD, html=True), name="dashboard")
    return app
