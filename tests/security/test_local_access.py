"""Row 1: local access is a browser's at this machine, and no program's, no proxy's, no other site's."""

from __future__ import annotations

import httpx
import pytest

from tests.api.served import BROWSER, PATIENCE, Served

DATA = "/v1/stores"


async def ask(served: Served, path: str = DATA, **headers: str) -> httpx.Response:
    """Ask as a program does, with these headers and no others."""
    address = f"http://127.0.0.1:{served.parts.settings.port}"
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as program:
        return await program.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(BROWSER, id="a page of ours fetches"),
        pytest.param({**BROWSER, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, id="a picture in it"),
        pytest.param(
            {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
            id="somebody typed the address",
        ),
        pytest.param({**BROWSER, "Host": "localhost:8080"}, id="by its name"),
        pytest.param({**BROWSER, "Host": "[::1]:8080"}, id="by its IPv6 address"),
    ],
)
async def test_a_browser_here_looks(served: Served, headers: dict[str, str]) -> None:
    assert (await ask(served, **headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="curl"),
        pytest.param(
            {"User-Agent": "Lavf/61.7.100", "Accept": "*/*", "Range": "bytes=0-", "Icy-MetaData": "1"}, id="ffmpeg"
        ),
        pytest.param({"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0"}, id="a browser's name alone"),
        pytest.param({"Origin": "http://localhost:8080", "Referer": "http://localhost:8080/"}, id="an origin alone"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="half of what browsers send"),
    ],
)
@pytest.mark.parametrize("path", [DATA, "/v1/cameras/door/frame.jpg", "/v1/stores/shop/events", "/v1/auth/me"])
async def test_a_program_here_takes_a_key(served: Served, headers: dict[str, str], path: str) -> None:
    answer = await ask(served, path, **headers)
    assert answer.status_code == 401
    assert "key" in answer.json()["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({**BROWSER, "Sec-Fetch-Site": "cross-site"}, id="another site's page"),
        pytest.param({**BROWSER, "Sec-Fetch-Site": "same-site"}, id="another port of this machine"),
        pytest.param({**BROWSER, "Sec-Fetch-Mode": "websocket"}, id="no request of ours"),
        *(
            pytest.param({**BROWSER, name: value}, id=name)
            for name, value in {
                "X-Forwarded-For": "127.0.0.1",
                "X-Forwarded-Host": "localhost",
                "X-Forwarded-Proto": "http",
                "X-Forwarded-Prefix": "/",
                "Forwarded": "for=127.0.0.1",
                "Via": "1.1 proxy",
                "X-Real-IP": "127.0.0.1",
                "CF-Connecting-IP": "127.0.0.1",
            }.items()
        ),
    ],
)
async def test_a_browser_that_is_not_here_signs_in(served: Served, headers: dict[str, str]) -> None:
    assert (await ask(served, **headers)).status_code == 401


@pytest.mark.parametrize(
    "host", ["rebound.example", "localhost.rebound.example", "127.0.0.1.nip.io", "[::2]", "0.0.0.0"]
)
async def test_a_name_that_was_made_to_point_here_finds_nobody(served: Served, host: str) -> None:
    assert (await ask(served, **BROWSER, Host=host)).status_code in {400, 401}


async def test_a_wrong_token_is_not_made_good_by_being_here(served: Served) -> None:
    assert (await ask(served, **BROWSER, Authorization="Bearer nonsense")).status_code == 401
