"""Fixtures of every test: real servers, one set per xdist worker, and what a machine must have.

Real footage is found by METRICA_TEST_DATA, a Docker Engine by asking for it; the last lines of every run say how many
tests of theirs ran.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import API, PERSISTENCE, PostgresServer
from services.kit.settings import ServiceSettings
from services.persistence.migrate import upgrade
from tests.support.engine import no_engine
from tests.support.given_postgres import GivenPostgres
from tests.support.machine import chromium, complaint

FOOTAGE = "METRICA_TEST_DATA"

# Tests share the cores by themselves; results are the same at any number of threads.
os.environ.setdefault("METRICA_THREADS", "1")

# A loaded machine is slow, not wrong: how long an example takes is pytest-timeout's business.
hypothesis.settings.register_profile("metrica", deadline=None)
hypothesis.settings.load_profile("metrica")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seeds of the chaos runs."""

    def seeds(text: str) -> list[int]:
        return [int(seed) for seed in text.split(",")]

    parser.addoption("--seeds", type=seeds, help="the chaos of these seeds, as 7,8 (tests/faults)")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to begin on a machine that lacks what the selected tests need; count tests that not every one can run."""
    if hasattr(config, "workerinput"):  # an xdist worker: its controller has looked
        return
    selected = [Path(config.invocation_params.dir, arg.split("::")[0]).resolve() for arg in config.args]
    if not config.option.keyword and (problem := complaint(selected, config.rootpath)):
        raise pytest.UsageError(problem)
    for marker, (title, missing) in OPTIONAL.items():
        config.pluginmanager.register(MarkerCount(marker, title, missing), f"{marker}-count")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs real footage or a Docker Engine where there is none."""
    for marker, (_, missing) in OPTIONAL.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and (reason := missing()) is not None:
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


def no_footage() -> str | None:
    """The reason for which there is no real footage here; None if there is."""
    folder = os.environ.get(FOOTAGE)
    if not folder:
        return f"{FOOTAGE} is not set"
    return None if Path(folder, "videos", "truth.json").is_file() else f"{FOOTAGE}={folder} holds no videos/truth.json"


OPTIONAL: dict[str, tuple[str, Callable[[], str | None]]] = {
    "footage": ("real footage", no_footage),
    "containers": ("containers", no_engine),
}
"""What not every machine has, by the marker of the tests that need it: its name, and what says why it is not here."""


class MarkerCount:
    """Says at the very end how many tests of a marker ran: a green run without them must not go unnoticed."""

    def __init__(self, marker: str, title: str, missing: Callable[[], str | None]) -> None:
        self._marker, self._title, self._missing = marker, title, missing
        self._ran = self._left_out = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: at its call, or at the set-up that skipped or failed it."""
        if self._marker in report.keywords and (
            report.when == "call" or (report.when == "setup" and not report.passed)
        ):
            if report.skipped:
                self._left_out += 1
            else:
                self._ran += 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Outermost, so that this comes after pytest's own last line."""
        yield
        reporter: pytest.TerminalReporter | None = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and not session.config.option.collectonly:
            why = f" ({reason})" if (reason := self._missing()) else ""
            reporter.write_line(f"{self._title}: {self._ran} tests ran, {self._left_out} left out{why}")


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real clips, truth and models, for tests marked `footage`: `videos/`, `models/`, `mot/`."""
    if (reason := no_footage()) is not None:
        pytest.skip(reason)
    return Path(os.environ[FOOTAGE])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, for a module of tests without an event loop of their own: it brings one to their thread."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that shares nothing with another one's."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture(autouse=True)
def nothing_is_refused(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever runs in a test's folder, NATS refuses nobody a subject: each service may do all that it does."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None and request.node.get_closest_marker("trespass") is None:
        assert not violations(folder)


@pytest.fixture(autouse=True)
def priority_is_left_alone() -> Iterator[None]:
    """No library gives a test's process real-time priority: whatever it starts would inherit it, and starve others."""
    yield
    policy = os.sched_getscheduler(0)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert policy == os.SCHED_OTHER


def violations(folder: Path) -> list[str]:
    """The refusals of the NATS servers of a folder."""
    logs = [log for log in folder.rglob("nats.log*") if log.is_file()]
    return [line for log in logs for line in log.read_text(errors="replace").splitlines() if " Violation - " in line]


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server of the test's own: `url`, `environment(user)`, `stop()`, `kill()`, and `start()` again."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def settings(nats_server: NatsServer) -> ServiceSettings:
    """The settings of somebody who may do everything on the test's NATS server."""
    return ServiceSettings(
        nats_url=nats_server.url, nats_user="developer", nats_password=nats_server.passwords["developer"]
    )


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One Postgres per worker; or that which TEST_DATABASE_URL names, for all."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield GivenPostgres(given)
        return
    with PostgresServer(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with all migrations: tests get copies of it, which cost 30 ms instead of a second."""
    name = f"migrated_{secrets.token_hex(4)}"
    postgres_server.execute(f"CREATE DATABASE {name} OWNER {PERSISTENCE}")
    with ThreadPoolExecutor() as thread:  # an event loop of its own: the caller's thread may have one
        thread.submit(asyncio.run, upgrade(postgres_server.url(PERSISTENCE, name))).result()
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The name of a fresh migrated database."""
    name = f"test_{secrets.token_hex(4)}"
    postgres_server.execute(
        f"CREATE DATABASE {name} TEMPLATE {migrated_template} STRATEGY FILE_COPY OWNER {PERSISTENCE}"
    )
    yield name
    if not postgres_server.running:  # a test killed it
        postgres_server.start()
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(postgres_server: PostgresServer, database: str) -> str:
    """A fresh migrated database, as persistence sees it."""
    return postgres_server.url(PERSISTENCE, database)


@pytest.fixture
def api_database_url(postgres_server: PostgresServer, database: str) -> str:
    """The same database as `database_url`, as the api sees it."""
    return postgres_server.url(API, database)
