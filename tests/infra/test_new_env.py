"""`infra/docker/new-env`: a password for everybody whom compose.yaml asks for one, once."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from infra.nats.configuration import password_variable
from infra.nats.permissions import USERS
from tests.support.scene import ROOT

SCRIPT = ROOT / "infra" / "docker" / "new-env"


def new_env(file: Path) -> dict[str, str]:
    subprocess.run([SCRIPT, file], check=True, capture_output=True)
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_whoever_compose_asks_for_a_password_gets_one_of_its_own(tmp_path: Path) -> None:
    written = new_env(tmp_path / "env")

    assert set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text())) == set(written)
    assert {password_variable(user) for user in USERS} <= set(written)
    assert len(set(written.values())) == len(written)
    assert all(re.fullmatch(r"[a-z0-9]{32,}", password) for password in written.values())


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    new_env(tmp_path / "env")

    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


def test_what_is_there_stays_and_what_is_new_is_added(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("METRICA_NATS_API_PASSWORD=mine\nMETRICA_DETECTOR_REPLICAS=3")

    first, second = new_env(file), new_env(file)

    assert first["METRICA_NATS_API_PASSWORD"] == "mine"
    assert first["METRICA_DETECTOR_REPLICAS"] == "3"
    assert len(first) > 8
    assert second == first
