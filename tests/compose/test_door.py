"""compose.yaml's door and its containers, as an attacker finds them: on a real engine, through the real caddy."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from infra.local.ports import free_port
from tests.support.engine import TAG, Project, docker, project

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

ADMIN = "admin@metrica.local"
SERVICES = ("nats", "postgres", "ingest", "detector", "tracker", "persistence", "api", "replay", "caddy", "prometheus")
CAPABILITIES = {"caddy": "0000000000000400"}  # NET_BIND_SERVICE; nobody else keeps any
READ_HEADER, READ_BODY = 10.0, 30.0

TRY = """
import json, sys, urllib.error, urllib.request
statuses = []
for attempt in range({times}):
    body = json.dumps(dict(email="guess%d@nowhere.test" % attempt, password="not the password " * 2, keep="token"))
    headers = {{"Content-Type": "application/json", "Host": "localhost", "X-Forwarded-For": {forwarded}}}
    request = urllib.request.Request("http://{place}/v1/auth/sign-in", body.encode(), headers)
    try:
        statuses.append(urllib.request.urlopen(request, timeout=30).status)
    except urllib.error.HTTPError as error:
        statuses.append(error.code)
print(json.dumps(statuses))
"""


@pytest.fixture(scope="module")
def stack(images: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Everything, by a name of its own: `localhost`, for which caddy makes a certificate itself."""
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("METRICA_HTTP_PORT", "METRICA_HTTPS_PORT")}
    environment = {
        "COMPOSE_FILE": "compose.yaml:compose.domain.yaml",
        "COMPOSE_PROFILES": "observability",
        "METRICA_DOMAIN": "localhost",
        "METRICA_PROMETHEUS_PORT": str(free_port()),
        **ports,
    }
    with project(tmp_path_factory.mktemp("door"), environment) as running:
        running.compose("up", "--detach", "--quiet-pull", "--wait", *SERVICES)
        yield running


def _sign_in(stack: Project, url: str, keep: str = "token", **forwarded: str) -> httpx.Response:
    who = {"email": ADMIN, "password": stack.password("METRICA_ADMIN_PASSWORD"), "keep": keep}
    own = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    headers = own | {f"X-Forwarded-{name.title()}": value for name, value in forwarded.items()}
    with httpx.Client(verify=False, timeout=30) as client:
        return client.post(f"{url}/v1/auth/sign-in", json=who, headers=headers)


def _https(stack: Project) -> str:
    return f"https://localhost:{stack.environment['METRICA_HTTPS_PORT'].rpartition(':')[2]}"


def _stranger(stack: Project, place: str, *, times: int, forwarded: str = '"192.0.2.%d" % attempt') -> list[int]:
    """Try passwords from a container of another address, saying each time to ask for somebody else."""
    code = TRY.format(place=place, times=times, forwarded=forwarded)
    network = f"--network={stack.name}_front"
    printed = docker("run", "--rm", network, "--entrypoint=python", f"metrica/api:{TAG}", "-c", code)
    statuses: list[int] = json.loads(printed)
    return statuses


def test_wrong_passwords_of_one_client_do_not_stop_another(stack: Project) -> None:
    """Row 8, and row 12: who asks is told by caddy's word alone."""
    statuses = _stranger(stack, "caddy:8080", times=60)

    assert set(statuses) <= {401, 429}  # where another test had this container's address before, the limit is reached
    assert statuses[-5:] == [429] * 5, "saying to ask for somebody else is no way around the limit"
    assert _sign_in(stack, stack.url).status_code == 200


def test_a_stranger_beside_the_door_speaks_for_nobody(stack: Project) -> None:
    """Row 12: whoever reaches the API past caddy is counted by their own address."""
    assert _stranger(stack, "api:8080", times=60)[-3:] == [429] * 3


@pytest.mark.exhaustive  # tests/security/test_proxies.py has the same rule without containers
def test_a_proxy_further_out_is_believed_where_it_is_named(stack: Project) -> None:
    """Row 8: a proxy of one's own that ends TLS, on this machine; it comes from the gateway of `front`."""
    gateway = docker("network", "inspect", "--format={{(index .IPAM.Config 0).Gateway}}", f"{stack.name}_front").strip()
    named = replace(stack, environment={**stack.environment, "METRICA_OUTER_PROXIES": gateway})
    try:
        named.compose("up", "--detach", "--wait", "caddy")
        for guess in range(52):
            body = {"email": f"guess{guess}@nowhere.test", "password": "not the password", "keep": "token"}
            guessed = httpx.post(
                f"{stack.url}/v1/auth/sign-in", json=body, headers={"X-Forwarded-For": "198.51.100.7"}, timeout=30
            )
        other = _sign_in(stack, stack.url, keep="cookie", **{"for": "198.51.100.8", "proto": "https"})
        stranger = _stranger(stack, "caddy:8080", times=60)
    finally:
        stack.compose("up", "--detach", "--wait", "caddy")

    assert guessed.status_code == 429
    assert other.status_code == 200, "people behind the proxy are told apart"
    assert all("secure" in cookie.lower() for cookie in other.headers.get_list("set-cookie"))
    assert stranger[-3:] == [429] * 3, "and nobody else is believed"


@pytest.mark.parametrize("encrypted", [True, False])
def test_cookies_are_secure_where_caddy_speaks_tls(stack: Project, *, encrypted: bool) -> None:
    """Row 8: the API learns from caddy by which scheme it was asked."""
    answer = _sign_in(stack, _https(stack) if encrypted else stack.url, keep="cookie")

    assert answer.status_code == 200
    cookies = answer.headers.get_list("set-cookie")
    assert cookies
    assert [("secure" in cookie.lower()) for cookie in cookies] == [encrypted] * len(cookies)


def test_by_a_name_of_its_own_everything_is_encrypted(stack: Project) -> None:
    with httpx.Client(verify=False) as client:
        plain = client.get(f"http://localhost:{stack.environment['METRICA_HTTP_PORT'].rpartition(':')[2]}/v1/stores")
        encrypted = client.get(f"{_https(stack)}/livez")
    assert plain.status_code == 308
    assert plain.headers["location"].startswith("https://localhost")
    assert encrypted.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/readyz", "/x/../metrics"])
def test_numbers_of_the_inside_are_not_passed_on(stack: Project, path: str) -> None:
    """Row 18: through the door nobody asks for metrics, by whichever spelling."""
    with socket.create_connection(("127.0.0.1", stack.port), 10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.split(b" ", 2)[1] == b"404"
    assert b"metrica_" not in answer


def test_prometheus_has_the_key_and_sees_every_service(stack: Project) -> None:
    """Row 18: `/metrics` with the key that new-env drew, from a container whose root is read-only."""
    url = f"http://127.0.0.1:{stack.environment['METRICA_PROMETHEUS_PORT']}/api/v1/targets?state=active"
    deadline = time.monotonic() + 90
    while True:
        targets = httpx.get(url).json()["data"]["activeTargets"]
        well = {target["labels"]["service"] for target in targets if target["health"] == "up"}
        if {"ingest", "detector", "tracker", "persistence", "api", "replay"} <= well:
            return
        assert time.monotonic() < deadline, [(one["labels"], one["health"], one["lastError"]) for one in targets]
        time.sleep(0.5)


def test_a_head_that_does_not_end_is_cut_off(stack: Project) -> None:
    """Row 3, at the door: a client has 10 s for its head."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", stack.port), READ_HEADER * 3) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        while connection.recv(4096):
            pass
    assert time.monotonic() - begun < READ_HEADER * 2


def test_a_body_that_does_not_end_is_cut_off_and_a_live_stream_is_not(stack: Project) -> None:
    """Row 3, at the door: 30 s for a body, while who only listens goes on listening."""
    line = (
        "--line",
        "0.1,0.528,0.9,0.528",
        "--in",
        "right",
        "--store",
        "shop",
        "--time-zone",
        "UTC",
        "--model",
        "motion",
    )
    stack.metrica("camera", "set", "door", "sim://door", *line)
    token = _sign_in(stack, stack.url).json()["access_token"]
    begun = time.monotonic()
    with (
        httpx.Client(base_url=stack.url, timeout=READ_BODY, headers={"Authorization": f"Bearer {token}"}) as client,
        client.stream("GET", "/v1/stores/shop/events") as stream,
        socket.create_connection(("127.0.0.1", stack.port), READ_BODY * 2) as connection,
    ):
        assert stream.status_code == 200
        lines = ("POST /v1/auth/sign-in HTTP/1.1", "Host: localhost", "Content-Type: application/json")
        connection.sendall("\r\n".join((*lines, "Content-Length: 99", "", '{"email": ')).encode())
        while connection.recv(4096):
            pass
        assert time.monotonic() - begun < READ_BODY * 1.5
        events = stream.iter_lines()
        while time.monotonic() - begun < READ_BODY + 5:
            next(events)


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_bounds_and_no_rights(stack: Project, service: str) -> None:
    """Rows 5 and 21: as the engine and the kernel see it, not as compose.yaml says it."""
    container = stack.container(service)
    host = json.loads(docker("inspect", "--format={{json .HostConfig}}", container))
    status = dict(
        line.split(":\t", 1)
        for line in docker("exec", container, "cat", "/proc/1/status").splitlines()
        if line.startswith(("Cap", "NoNewPrivs"))
    )

    assert host["Memory"] > 0
    assert 0 < host["PidsLimit"] <= 2048
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert status["NoNewPrivs"] == "1"
    assert status["CapEff"] == CAPABILITIES.get(service, "0000000000000000")


def test_ingest_does_not_reach_the_database(stack: Project) -> None:
    """Row 1, in compose: what decodes the streams of strangers is on no network with Postgres, nor with the door."""
    networks = {
        service: set(json.loads(docker("inspect", "--format={{json .NetworkSettings.Networks}}", container)))
        for service in SERVICES
        for container in [stack.container(service)]
    }
    assert networks["ingest"] == {f"{stack.name}_inside"}
    assert networks["postgres"] == {f"{stack.name}_database"}
    assert not networks["caddy"] & networks["ingest"]
