"""Requests that are made from the API's own description, right and wrong ones: none of them is an error of the API's.

    pytest -s -m exhaustive tests/api/test_fuzz.py

makes ten thousand of them, and prints what they were answered with.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg
import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from nats.aio.msg import Msg
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy.pool import AsyncAdaptedQueuePool

from contracts.probe import Probed
from contracts.streams import Owner
from contracts.subjects import PROBE
from services.api.app import create_app
from services.api.http.problems import MEDIA_TYPE
from services.api.settings import ApiSettings
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.api import nonsense
from tests.api.callers import Callers, Things
from tests.api.seeded import PASSWORD, Seed
from tests.api.served import PATIENCE, FakeClock, Served, serving, until_ready
from tests.api.test_frames import publish

SOME, MANY = 800, 10_000
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
CALLERS = {"superadmin": 8, "admin": 2, "manager": 2, "viewer": 1, "reader's key": 1, "anonymous": 1}
"""How often each of them asks, beside one another."""
BUSY = {"store": "shop", "camera": "door"}
"""What nobody removes here: crossings are of it, and a picture."""


def description() -> dict[str, Any]:
    """OpenAPI."""
    return create_app(ApiSettings.model_validate({"database_url": "postgresql://nowhere"})).openapi()


def cases(number: int, seed: int) -> list[Case[Any]]:
    """Requests to all operations, as many that keep to the description as that do not."""
    schema = schemathesis.openapi.from_dict(description())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    kinds = [one.as_strategy(generation_mode=mode) for one in operations for mode in GenerationMode]
    made: list[Case[Any]] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
    )
    @hypothesis.given(st.sampled_from(kinds).flatmap(lambda kind: kind))
    def make(case: Case[Any]) -> None:
        made.append(case)

    make()
    return made


@dataclass
class Asking:
    """Asks, and writes down what is no answer."""

    served: Served
    things: Things
    callers: Callers
    dice: Random
    statuses: Counter[int] = field(default_factory=Counter)
    asked: set[str] = field(default_factory=set)
    wrong: dict[str, str] = field(default_factory=dict)
    """By what is wrong, the first request that showed it."""
    _there: dict[str, str] = field(default_factory=dict)

    async def ask(self, case: Case[Any]) -> None:
        """Ask once, often of what is there, and sometimes with nonsense."""
        if not self._there:
            self._there = await self.things.fresh()
        request = await self._request(case)
        self.served.client.cookies.clear()
        answer = await self.served.client.send(request, stream=True)
        try:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):  # it would not end
                await answer.aread()
                self._judge(case, answer)
        finally:
            await answer.aclose()
        self.statuses[answer.status_code] += 1
        self.asked.add(case.operation.label)
        await self._tidy(case, answer)

    async def _request(self, case: Case[Any]) -> httpx.Request:
        known, luck = self._known(case), self.dice.random()
        for name in case.path_parameters:
            if luck < 0.03:
                case.path_parameters[name] = self.dice.choice(["\x00", "ü", "*"])
            elif name in known and self.dice.random() < 0.8:
                case.path_parameters[name] = known[name]
        sent = case.as_transport_kwargs(base_url=str(self.served.client.base_url))
        query, body = dict(sent["params"] or {}), self._filled(sent.get("json"), known)
        if 0.03 < luck < 0.13 and query:
            query[self.dice.choice(list(query))] = self.dice.choice(nonsense.TEXTS)
        if 0.13 < luck < 0.28:
            body = nonsense.spoilt(body, self.dice)
        content = json.dumps(body).encode() if "json" in sent else _bytes(sent.get("data"))
        if luck > 0.95 and content:
            content = self.dice.choice(nonsense.BODIES)
        headers = {**sent["headers"], **await self._who(case)}
        if sent["cookies"]:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in sent["cookies"].items())
        url = f"{quote(sent['url'], safe='/:%')}?{urlencode(query, doseq=True, errors='surrogatepass')}"
        return self.served.client.build_request(sent["method"], url, headers=list(_sendable(headers)), content=content)

    def _known(self, case: Case[Any]) -> dict[str, str]:
        """Names of what is there."""
        known = {**self._there, "email": "viewer@acme", "password": PASSWORD, "line": "entrance"}
        if case.method != "DELETE" and self.dice.random() < 0.5:
            known |= BUSY
        return known

    def _filled(self, body: Any, known: dict[str, str]) -> Any:  # noqa: ANN401  # JSON
        if isinstance(body, list):
            return [self._filled(one, known) for one in body]
        if not isinstance(body, dict):
            return body
        return {
            name: known[name] if name in known and self.dice.random() < 0.6 else self._filled(value, known)
            for name, value in body.items()
        }

    async def _who(self, case: Case[Any]) -> dict[str, str]:
        if self.dice.random() < 0.04:
            token = self.dice.choice(nonsense.TOKENS)
            return {"Authorization": token, "X-Worker-Key": token.removeprefix("Bearer ")}
        if "ingest" in case.path and self.dice.random() < 0.9:
            return await self.callers.headers("worker key")
        return await self.callers.headers(self.dice.choices(list(CALLERS), list(CALLERS.values()))[0])

    def _judge(self, case: Case[Any], answer: httpx.Response) -> None:
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._note(case, answer, answer.text[:300])
        elif answer.status_code >= HTTPStatus.BAD_REQUEST:
            if answer.headers.get("content-type") != MEDIA_TYPE or answer.json()["status"] != answer.status_code:
                self._note(case, answer, f"no problem+json: {answer.text[:100]}")
            elif answer.json()["detail"].startswith("No such path: "):
                return  # what stood for an id made another address of it, which nothing describes
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                self._note(case, answer, f"{failure}"[:300])

    def _note(self, case: Case[Any], answer: httpx.Response, what: str) -> None:
        asked = answer.request
        self.wrong.setdefault(
            f"{case.operation.label}: {answer.status_code} {what}",
            f"{asked.url} {dict(asked.headers)} {asked.content[:500]!r}",
        )

    async def _tidy(self, case: Case[Any], answer: httpx.Response) -> None:
        """Let the next one find what this one took away."""
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            await self.served.pool.execute("DELETE FROM sign_in_attempts")
        if "auth" in case.path and answer.is_success:
            await self.callers.sign_in_again()
        if case.method == "DELETE" and answer.is_success:
            self._there = {}


def _bytes(data: Any) -> bytes:  # noqa: ANN401  # whatever was made
    return data if isinstance(data, bytes) else b"" if data is None else str(data).encode()


def _sendable(headers: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Texts that may stand in a header: no control character ever reaches the API."""
    for name, value in headers.items():
        if name not in {"Connection", "User-Agent", "X-Schemathesis-TestCaseId"}:
            text = str(value).encode("latin-1", "replace").decode("latin-1")
            yield name.encode(), "".join(letter for letter in text if letter.isprintable()).strip().encode("latin-1")


@pytest.fixture
async def busy(
    settings: ServiceSettings,
    api_database_url: str,
    pool: asyncpg.Pool,
    ingest_bus: Bus,
    clock: FakeClock,
    seed: Seed,
) -> AsyncIterator[Served]:
    """The API with a pool of connections, and all that runs around it: streams, an ingest, crossings and a picture."""
    tracker = await Bus(settings, "tracker", Owner.TRACKER).start()
    await ingest_bus.client.subscribe(PROBE, cb=look)
    said: dict[str, Any] = {"max_changes": 1_000_000, "local_access": "none", "reread_seconds": 2.0}
    async with serving(settings, api_database_url, clock, AsyncAdaptedQueuePool, **said) as parts:
        address = f"http://127.0.0.1:{parts.settings.port}"
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
            await until_ready(client)
            served = Served(client, parts, clock, ingest_bus, pool, api_database_url)
            await served.cross(range(20))
            await publish(served, 1, b"\xff\xd8picture")
            yield served
    await tracker.stop()


async def look(msg: Msg) -> None:
    """Answer as ingest does, whatever the address: the network is left alone."""
    found = [Probed(message="Nobody is at home."), Probed(width=640, height=360, fps=10, jpeg=b"\xff\xd8")]
    await msg.respond(found[len(msg.data) % 2].model_dump_json().encode())


@pytest.fixture(params=[SOME, pytest.param(MANY, marks=[pytest.mark.exhaustive, pytest.mark.timeout(1800)])])
def made(request: pytest.FixtureRequest) -> list[Case[Any]]:
    """Requests, made before anything runs that would have to wait meanwhile. They are always the same."""
    return cases(request.param, seed=request.param)


async def test_no_request_is_an_error_of_the_api_and_every_answer_is_as_described(
    made: list[Case[Any]], busy: Served, seed: Seed
) -> None:
    began = monotonic()
    asking = Asking(busy, Things(busy, seed), Callers(busy, seed), Random(len(made)))
    for case in made:
        await asking.ask(case)

    counts = ", ".join(f"{status}: {times}" for status, times in sorted(asking.statuses.items()))
    asked, seconds = asking.statuses.total(), monotonic() - began
    print(f"\n{asked} requests to {len(asking.asked)} operations in {seconds:.0f} s: {counts}")
    if asking.wrong:
        pytest.fail(
            "\n".join(f"{what}\n    {request}" for what, request in sorted(asking.wrong.items())), pytrace=False
        )
    described = {f"{method.upper()} {path}" for path, methods in description()["paths"].items() for method in methods}
    # Which ones the dice leave out of a few hundred, they alone know; of ten thousand none.
    assert asking.asked <= described
    assert asking.asked == described or asked < MANY
