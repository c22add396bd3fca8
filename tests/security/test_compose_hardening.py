"""Rows 3, 5, 8, 18 and 21: compose.yaml, the Caddyfile and the Dockerfile on rights, bounds and who is believed.

That a real engine and a real caddy do so is shown in tests/compose/test_door.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.support.scene import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Mapping[str, Any]] = COMPOSE["services"]
DOMAIN = yaml.safe_load((ROOT / "compose.domain.yaml").read_text())
CADDYFILE = (ROOT / "infra" / "caddy" / "Caddyfile").read_text()
DOCKERFILE = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
OURS = ("migrate", "ingest", "detector", "tracker", "persistence", "api", "replay", "cli")
RIGHTS = {
    "postgres": {"CHOWN", "DAC_READ_SEARCH", "FOWNER", "SETGID", "SETUID"},  # of its entry point, before it is postgres
    "caddy": {"NET_BIND_SERVICE"},
}
every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_a_container_has_no_right_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", [])) == RIGHTS.get(name, set())
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    for open_door in ("privileged", "devices", "network_mode", "pid", "ipc", "userns_mode", "cgroup"):
        assert open_door not in service
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@every_service
def test_a_container_has_bounds_that_can_be_changed(name: str) -> None:
    service = SERVICES[name]
    limit = re.fullmatch(r"\$\{(METRICA_(?:[A-Z]+_)?MEMORY):-(\d+)([mg])\}", service["mem_limit"])
    assert limit, f"{name}: {service['mem_limit']}"
    assert f"#{limit[1]}={limit[2]}{limit[3]}\n" in (ROOT / ".env.example").read_text(), "documented, with its default"
    assert 0 < service["pids_limit"] <= 2048
    assert service["logging"]["options"] == {"max-size": "16m", "max-file": "2"}


def test_files_of_this_machine_are_shown_read_only() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            if volume.startswith((".", "/", "$")):
                assert volume.endswith(":ro"), f"{name}: {volume}"


def test_only_doors_are_published_and_to_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"caddy", "prometheus"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert "ports" in DOMAIN["services"]["caddy"], "whoever wants to be reached says so by a file of its own"
    assert not any("ports" in service for name, service in DOMAIN["services"].items() if name != "caddy")


def test_what_decodes_strangers_streams_is_not_beside_the_database() -> None:
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert networks["postgres"] == {"database"}
    assert COMPOSE["networks"]["database"] == {"internal": True}
    assert {name for name, where in networks.items() if "database" in where} == {
        "postgres", "migrate", "persistence", "api", "cli",
    }  # fmt: skip
    assert networks["caddy"] == {"front"}
    assert {name for name, where in networks.items() if "front" in where} == {"caddy", "api", "prometheus"}


def test_our_images_run_as_somebody_without_rights() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    based = {found[2]: found[1] for stage in stages if (found := re.match(r"(\S+) AS (\S+)", stage))}
    texts = {found[2]: stage for stage in stages if (found := re.match(r"(\S+) AS (\S+)", stage))}
    for name in OURS:
        stage, user = name, None
        while user is None and stage in texts:
            users = re.findall(r"^USER (\S+)", texts[stage], re.MULTILINE)
            user, stage = (users[-1] if users else None), based[stage]
        assert user == "10001:10001", name


def test_the_api_believes_caddy_and_nobody_else() -> None:
    trusted = SERVICES["api"]["environment"]["METRICA_TRUSTED_PROXIES"]
    assert trusted == "caddy${METRICA_OUTER_PROXIES:+,${METRICA_OUTER_PROXIES:-}}", "and whom caddy believes by .env"
    others = [name for name in SERVICES if name != "api"]
    assert not any("METRICA_TRUSTED_PROXIES" in SERVICES[name].get("environment", {}) for name in others)
    assert "FORWARDED_ALLOW_IPS" not in str(COMPOSE)


def test_caddy_passes_on_no_word_of_strangers_about_who_they_are() -> None:
    assert re.findall(r"trusted_proxies (.*)", CADDYFILE) == ["{$METRICA_OUTER_PROXIES}"]
    assert SERVICES["caddy"]["environment"] == {"METRICA_OUTER_PROXIES": None}, "nobody, unless .env says so"
    assert "private_ranges" not in CADDYFILE
    assert "header_up" not in CADDYFILE


def test_caddy_bounds_what_it_is_sent() -> None:
    for bound in ("read_header 10s", "read_body 30s", "idle 2m", "max_header_size 16KB", "max_size 2MB", "admin off"):
        assert bound in CADDYFILE


def test_metrics_take_a_key_and_stay_inside() -> None:
    assert "@inside path /metrics /metrics/* /readyz /readyz/*" in CADDYFILE
    assert "respond @inside 404" in CADDYFILE
    for name in ("ingest", "detector", "tracker", "persistence", "api", "replay"):
        assert SERVICES[name]["environment"]["METRICA_METRICS_KEY"].startswith("${METRICA_METRICS_KEY:?")
    scraped = yaml.safe_load((ROOT / "infra" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert all(job["authorization"] == {"credentials_file": "/tmp/metrics_key"} for job in scraped)


def test_each_service_has_its_own_secrets_and_no_others() -> None:
    variables = {
        name: {
            variable
            for variable, value in service.get("environment", {}).items()
            if value and re.search(r"PASSWORD|SECRET", f"{variable} {value}")
        }
        for name, service in SERVICES.items()
    }
    assert variables["detector"] == variables["tracker"] == {"METRICA_NATS_PASSWORD"}
    assert variables["ingest"] == {"METRICA_NATS_PASSWORD", "METRICA_SECRET_KEY"}
    assert variables["caddy"] == variables["prometheus"] == set()
    assert not any("POSTGRES_ADMIN" in str(SERVICES[name]) for name in SERVICES if name != "postgres")


def test_what_is_not_said_in_env_is_not_passed_on_as_an_empty_word() -> None:
    """`NAME:` alone is left out where .env says nothing; `${NAME:-}` would be an empty value."""
    for name, service in {**SERVICES, **DOMAIN["services"]}.items():
        for variable, value in service.get("environment", {}).items():
            said = re.sub(r"\$\{\w+:\+.*\}\}$", "", str(value))  # something, where the variable is set
            assert not re.search(r":?-\}", said), f"{name}: {variable}"
