"""No path leads out of what is served, or past who may see it (Holds: "path traversal, `//v1`, `%2e%2e`")."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.api.served import Served
from tests.security.raw import request, send

UP = (
    "..",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "%252e%252e",
    "..%2f",
    "..%5c",
    "..\\",
    "%c0%ae%c0%ae",
    "....//",
    "..;",
    "%2e%2e%00",
    "..%09",
)
TARGETS = ("etc/passwd", "pyproject.toml", "services/api/app.py", "secrets/metrica-secret-key", ".env", ".git/config")
GIVEN_AWAY = (b"root:x:", b"[project]", b"def create_app", b"[core]", b"METRICA_")


def port(served: Served) -> int:
    return served.parts.settings.port


@pytest.mark.parametrize("base", ["/", "/docs/"])
async def test_no_path_leads_out_of_the_pages(base: str, guarded: Served) -> None:
    for up in UP:
        for target in TARGETS:
            for times in (1, 2, 6):
                told = await send(port(guarded), request(base + f"{up}/" * times + target), silence=5)
                assert told.status in {0, 400, 404}, (up, target, told.raw[:200])
                assert not [word for word in GIVEN_AWAY if word in told.raw]


async def test_neither_an_absolute_path_nor_a_scheme_is_a_page(guarded: Served) -> None:
    for path in (
        "//etc/passwd", "///etc/passwd", "/file:///etc/passwd", "/docs//etc/passwd", "/C:/x", "/~root", "/.env",
        "/index.html/x", "/docs/docs.js/../../app.py",
    ):  # fmt: skip
        told = await send(port(guarded), request(path))
        assert told.status in {0, 400, 404}, (path, told.raw[:200])
        assert not [word for word in GIVEN_AWAY if word in told.raw]


async def test_a_path_that_is_written_otherwise_is_not_let_past_the_sign_in(guarded: Served) -> None:
    """Paths that two readers normalise two ways (CVE-2023-27482, CVE-2026-27880): refused, or nothing is there."""
    for path in (
        "//v1/stores", "/v1//stores", "/v1/stores/", "/v1/stores//", "/V1/stores", "/v1/%73tores", "/v1%2fstores",
        "/./v1/stores", "/v1/auth/../stores", "/v1/auth/sign-in/../../stores", "http://localhost/v1/stores",
        "/docs/../v1/stores", "/livez/../v1/stores", "/livez/..;/v1/stores", "/metrics;/v1/stores", "/v1/stores;x=y",
        "/v1/stores.json", "/v1/stores%20", "/v1/stores%00", "/v1/stores%2e", "/.well-known/../v1/stores",
        "/v1/stores?x#/livez", "/v1/stores\\", "/v1/./stores",
    ):  # fmt: skip
        told = await send(port(guarded), request(path))
        assert told.status in {0, 307, 308, 400, 401, 404, 405}, (path, told.raw[:200])
        assert b'"time_zone"' not in told.raw


async def test_a_redirect_leads_nowhere_else(guarded: Served) -> None:
    """`//evil.example/…` is another machine's address where it stands in `Location`."""
    for path in (
        "/docs", "/v1/stores/", "//evil.example/docs", "//evil.example/..", "/\\evil.example/docs",
        "//evil.example/%2e%2e/docs", "/docs//evil.example/..", "/docs%0d%0aLocation:%20http://evil.example",
        "///evil.example//docs", "/%2fevil.example/docs",
    ):  # fmt: skip
        told = await send(port(guarded), request(path))
        for line in told.raw.partition(b"\r\n\r\n")[0].split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name.lower() == b"location":
                assert urlsplit(value.decode()).hostname in {None, "localhost"}, (path, value)
                assert not value.startswith((b"//", b"/\\")), (path, value)
            assert name.lower() != b"set-cookie"
