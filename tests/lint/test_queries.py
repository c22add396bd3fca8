"""The lint that queries are in repositories, and that one module commits, finds planted offences."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.lint.queries import API, COMMITS, EXEMPT, check, find_violations


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        pytest.param("from sqlmodel import col, select", "imports select", id="a builder"),
        pytest.param("from sqlalchemy.dialects.postgresql import insert", "imports insert", id="of a dialect"),
        pytest.param("import sqlalchemy\nq = sqlalchemy.text('SELECT 1')", "uses sqlalchemy.text", id="by its library"),
        pytest.param("async def f(session): await session.exec(q)", "calls session.exec", id="a query"),
        pytest.param("async def f(session): await session.get(Store, id)", "calls session.get", id="by primary key"),
        pytest.param("async def f(self): await self._session.get(Store, id)", "calls _session.get", id="an attribute"),
        pytest.param("async def f(c): await c.fetch('SELECT 1')", "calls c.fetch", id="by the driver"),
        pytest.param("async def f(s): (await s.connection()).execute(q)", "calls ….execute", id="by a connection"),
    ],
)
def test_a_query_outside_a_repository_is_found(source: str, problem: str) -> None:
    (violation,) = check(source, "stores/service.py")

    assert str(violation).startswith(f"services/api/stores/service.py:{violation.line}: {problem}: move")
    assert list(check(source, "stores/repository.py")) == []


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("async def f(session): await session.commit()", id="a commit"),
        pytest.param("async def f(sessions): sessions.begin()", id="a transaction that commits at its end"),
        pytest.param("async def f(session): session.begin_nested()", id="a savepoint"),
    ],
)
def test_a_commit_elsewhere_is_found(source: str) -> None:
    for module in ("stores/service.py", "stores/repository.py"):
        (violation,) = check(source, module)
        assert "services.api.transaction" in violation.problem
    assert list(check(source, COMMITS)) == []


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            """
            from sqlmodel.ext.asyncio.session import AsyncSession

            async def f(session: AsyncSession, row, kept: dict, listener):
                session.add(row)
                await session.delete(row)
                await session.flush()
                kept.get(row.id)
                listener.begin(row)
            """,
            id="a service",
        ),
    ],
)
def test_what_is_no_query_passes(source: str) -> None:
    assert list(check(dedent(source), "stores/service.py")) == []


def test_the_api_has_none() -> None:
    assert [str(violation) for violation in find_violations()] == []


def test_what_is_exempt_is_there_and_few() -> None:
    assert len(EXEMPT) <= 3
    assert all((API / module).is_file() for module in EXEMPT)
