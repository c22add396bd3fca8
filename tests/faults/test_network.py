"""The cable between the shop and the centre is out for a while: longer than leases, or longer than connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.apart import run_apart
from tests.faults.films import Films


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seconds", [8, pytest.param(45, marks=pytest.mark.exhaustive)])
def test_a_cut_cable_between_two_hosts_changes_no_count(tmp_path: Path, films: Films, seconds: int) -> None:
    cameras = [camera.model_dump_json() for camera in films.cameras[:2]]
    namespaces, programs = ("--mount", "--net"), ("mount", "ip")
    run_apart("tests.faults.two_hosts", tmp_path, str(seconds), *cameras, namespaces=namespaces, programs=programs)
