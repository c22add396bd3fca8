"""Secrets lie where their owner alone reads them, and nowhere else (Holds: "secrets").

The mode of every file of a data folder, the command lines of every process, every log, the database and the bus.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from infra.local.stack import ADMIN_EMAIL, Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup

PASSWORD = "s3cret-of-the-camera"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole Metrica, started with a careless umask, in a folder that others may enter."""
    before = os.umask(0)
    try:
        with Stack(tmp_path_factory.mktemp("home") / "metrica", durable=False) as running:
            running.make_first_admin()
            yield running
    finally:
        os.umask(before)


def secrets_of(stack: Stack) -> dict[str, str]:
    """Every secret, by its file."""
    return {file.name: file.read_text().strip() for file in stack.home.secrets.iterdir()}


def processes(stack: Stack) -> list[psutil.Process]:
    roots = [stack.nats.pid, stack.postgres.pid, *(service.pid for service in stack.services.values())]
    found = [psutil.Process(pid) for pid in roots]
    return [*found, *(child for one in found for child in one.children(recursive=True))]


def test_there_is_a_secret_for_each_user_of_each_server(stack: Stack) -> None:
    names = set(secrets_of(stack))

    assert {"metrica-secret-key", "admin-password", "nats-api", "nats-ingest", "postgres-metrica_api"} <= names
    assert len(set(secrets_of(stack).values())) == len(names), "two of them are the same"
    assert all(len(secret) >= 20 for secret in secrets_of(stack).values())


def test_nobody_but_its_owner_reads_a_secret(stack: Stack) -> None:
    """Whoever else is on the machine: the folder is closed, and each file in it is as well."""
    assert stat.S_IMODE(stack.home.secrets.stat().st_mode) == 0o700
    for file in stack.home.secrets.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    for file in stack.home.folder.rglob("*"):
        if file.is_file() and any(secret.encode() in file.read_bytes() for secret in secrets_of(stack).values()):
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_logs_and_data_are_read_by_nobody_else(stack: Stack) -> None:
    open_to_all = [
        file
        for folder in (stack.home.folder / "logs", stack.home.postgres / "data")
        for file in folder.rglob("*")
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o007 and not _closed_above(file, stack.home.folder)
    ]

    assert open_to_all == []


def _closed_above(file: Path, home: Path) -> bool:
    """Tell whether a folder on the way to a file lets others pass."""
    return any(
        stat.S_IMODE(folder.stat().st_mode) & 0o005 == 0 for folder in file.parents if folder.is_relative_to(home)
    )


def test_no_secret_is_seen_in_the_list_of_processes(stack: Stack) -> None:
    lines = [" ".join(process.cmdline()) for process in processes(stack)]

    assert len(lines) >= 7
    for name, secret in secrets_of(stack).items():
        assert not [line for line in lines if secret in line], name


def test_a_service_is_given_the_secrets_of_its_own(stack: Stack) -> None:
    """Its environment is read by its own user alone; it holds its own password, and no other service's."""
    secrets = secrets_of(stack)
    for name, service in stack.services.items():
        given = Path(f"/proc/{service.pid}/environ").read_bytes().decode()
        held = {secret for secret in secrets if secrets[secret] in given}
        sealed = {"metrica-secret-key"} if name in {"api", "ingest"} else set()
        base = {"api": {"postgres-metrica_api"}, "persistence": {"postgres-metrica_persistence"}}.get(name, set())
        assert held == {f"nats-{name}"} | sealed | base, name


async def test_no_secret_is_told_in_a_log_the_database_or_the_bus(stack: Stack) -> None:
    secrets = {**secrets_of(stack), "camera": PASSWORD}
    address = f"rtsp://me:{PASSWORD}@127.0.0.1:9/stream"
    setup = CameraSetup.model_validate({"camera": "door", "store": "shop", "address": address, "model": "motion"})
    await ensure_camera(stack.api_database_url, setup, stack.vault)
    async with httpx.AsyncClient(base_url=stack.url, timeout=20) as client:
        for password in (secrets["admin-password"], f"{secrets['admin-password']}x"):
            said = {"email": ADMIN_EMAIL, "password": password, "keep": "token"}
            tokens = (await client.post("/v1/auth/sign-in", json=said)).json()
            secrets |= {name: value for name, value in tokens.items() if name.endswith("_token")}
        bearer = {"Authorization": f"Bearer {secrets['access_token']}"}
        assert (await client.get("/v1/cameras/door", headers=bearer)).status_code == 200
        await client.get("/v1/auth/me?access_token=" + secrets["access_token"])

    connection = await asyncpg.connect(stack.database_url)
    tables = await connection.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200")
    rows = [str(await connection.fetch(f'SELECT * FROM "{table["relname"]}"')) for table in tables]
    await connection.close()
    texts = {log.name: log.read_text(errors="replace") for log in (stack.home.folder / "logs").glob("*.log*")}
    texts |= {"database": "\n".join(rows)}
    kept = [file for file in stack.home.nats.rglob("*") if file.is_file() and file.stat().st_size < 1 << 24]
    texts |= {str(file): file.read_bytes().decode("latin-1") for file in kept}

    assert "door" in texts["database"]
    for name, secret in secrets.items():
        assert not [where for where, text in texts.items() if secret in text], name


def test_the_environment_of_containers_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    (tmp_path / ".env.example").write_text(example)
    for part in ("infra/docker",):
        (tmp_path / part).mkdir(parents=True)
    script = tmp_path / "infra/docker/new-env"
    script.write_bytes((ROOT / "infra/docker/new-env").read_bytes())
    script.chmod(0o755)
    subprocess.run(["sh", "-c", "umask 0; ./infra/docker/new-env"], cwd=tmp_path, check=True, capture_output=True)
    env = tmp_path / ".env"

    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    values = [line.partition("=")[2] for line in env.read_text().splitlines() if "PASSWORD=" in line or "_KEY=" in line]
    assert len(values) == len(set(values))
    assert all(len(value) >= 20 for value in values if value)


def test_no_secret_is_committed() -> None:
    """A password or a key in a file that is handed out is everybody's. Those of tests are in `tests/`, and say so."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    private = (
        "BEGIN " + "PRIVATE KEY",
        "BEGIN EC " + "PRIVATE KEY",
        "BEGIN RSA " + "PRIVATE KEY",
        "AKIA" + "0",
        "ghp" + "_",
    )
    for name in filter(None, tracked.split("\0")):
        file = ROOT / name
        if file.is_file() and file.stat().st_size < 1 << 20:
            text = file.read_bytes().decode("latin-1")
            assert not [mark for mark in private if mark in text], name
        assert not name.endswith((".pem", ".key", ".p12", "/.env")), name
