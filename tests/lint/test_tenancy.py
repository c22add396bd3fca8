"""The lint that no query bypasses `access` finds violations."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.lint.tenancy import API, EXEMPT, check, find_violations


def tables(source: str) -> list[str]:
    return [one.table for one in check(dedent(source), "some.py")]


@pytest.mark.parametrize(
    ("source", "table"),
    [
        pytest.param("async def f(s, id: str): s.exec(select(Store).where(Store.id == id))", "Store", id="by a name"),
        pytest.param("async def f(s): s.exec(select(Camera.address))", "Camera", id="one column"),
        pytest.param("async def f(s, id: str): return await s.get(Camera, id)", "Camera", id="by primary key"),
        pytest.param("async def f(s): s.exec(delete(Line))", "Line", id="a deletion"),
        pytest.param("async def f(s): s.exec(sqlmodel.select(Store))", "Store", id="by its module"),
        pytest.param("def f(s):\n    row = CountDay\n    s.exec(select(row.ins))", "CountDay", id="renamed"),
        pytest.param("async def f(c): c.fetch('SELECT * FROM crossing')", "crossing", id="SQL"),
        pytest.param("_Q = 'SELECT 1 FROM count_day'\nasync def f(c): c.fetch(_Q)", "count_day", id="SQL with a name"),
        pytest.param("async def f(c, t): c.fetch(f'UPDATE camera SET {t}')", "camera", id="SQL with holes"),
        pytest.param("class A:\n    def f(self, s): s.exec(select(Store))", "Store", id="a method"),
        pytest.param("def f(s, principal: Principal): s.exec(select(Store))", "Store", id="a grant nobody looks at"),
    ],
)
def test_a_query_that_goes_around_is_found(source: str, table: str) -> None:
    assert table in tables(source)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            "async def f(s, store: Store): await s.exec(select(Camera).where(Camera.store == store.id))",
            id="of a store that access found",
        ),
        pytest.param(
            "async def f(s, stores: Sequence[Store]): s.exec(select(Camera).where(col(Camera.store).in_(stores)))",
            id="of several",
        ),
        pytest.param(
            "async def f(s, principal: Principal): await s.exec(readable(principal).join(select(Store)))",
            id="of who asks",
        ),
        pytest.param("async def f(s): await s.exec(select(User))", id="no organization's"),
        pytest.param("def f(): 'Reads from store to store.'", id="a docstring"),
        pytest.param("def f(cameras): return cameras.get(camera)", id="a dictionary"),
    ],
)
def test_a_query_of_what_access_found_passes(source: str) -> None:
    assert not tables(source)


def test_the_api_has_none() -> None:
    assert [str(one) for one in find_violations()] == []


def test_what_is_exempt_is_there() -> None:
    for where in EXEMPT:
        module, _, function = where.partition(":")
        assert (API / module).exists(), where
        assert not function or f"def {function}(" in (API / module).read_text(), where
