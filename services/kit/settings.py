"""Settings that every service has, read from the environment with the prefix METRICA_."""

from __future__ import annotations

import ipaddress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from uuid import uuid4

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.identity import token
from services.kit.http.proxies import TrustedProxies, read_proxies
from services.kit.vault import Vault

SHORTEST_KEY = 16


class ServiceSettings(BaseSettings):
    """What every service needs to know. A service adds its own fields in a subclass in its own package."""

    model_config = SettingsConfigDict(env_prefix="METRICA_", extra="ignore", frozen=True)

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str | None = None
    nats_password: SecretStr | None = None
    nats_tls_ca: Path | None = None
    """Who must have signed the certificate of NATS. With it, or an address that begins with tls://, the connection is
    encrypted or does not come about; without it, whoever this machine trusts will do."""
    nats_tls_cert: Path | None = None
    """The certificate that this service shows, where NATS asks for one."""
    nats_tls_key: Path | None = None
    """Its key, where it is not in the same file."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where /livez, /readyz and /metrics (and the API) answer; 0 takes any free port."""
    private_network: bool = False
    """Whether only Metrica's own can reach `host`, as in a network of containers: then it may be any address."""
    trusted_proxies: str = ""
    """Addresses, networks and host names, with commas, of the proxies that are believed about who asks; see
    `services.kit.http.proxies`. None is believed unless it is named, not even one on this machine."""
    metrics_key: SecretStr | None = None
    """Lets Prometheus see /metrics, and others what is not in order at /readyz; this machine needs none."""
    max_connections: Annotated[int, Field(ge=8)] = 2048
    """Connections to the HTTP server at a time; fewer where the system gives fewer file descriptors."""
    max_connections_per_address: Annotated[int, Field(ge=4)] = 256
    """Of one address, or one /64 of IPv6; trusted proxies have no such bound."""
    replica: str = Field(default_factory=lambda: f"replica-{uuid4().hex[:12]}")
    """This replica's name among those of its service: nobody else's, and best the same after a restart, so that who was
    killed takes up at once what it did before."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @property
    def nats_tls(self) -> bool:
        """Whether the connection to NATS must be encrypted."""
        return self.nats_url.startswith("tls://") or self.nats_tls_ca is not None or self.nats_tls_cert is not None

    @cached_property
    def proxies(self) -> TrustedProxies:
        """The proxies that are believed."""
        return read_proxies(self.trusted_proxies)

    @property
    def metrics_secret(self) -> str | None:
        """The key to metrics."""
        return None if self.metrics_key is None else self.metrics_key.get_secret_value()

    @field_validator("trusted_proxies")
    @classmethod
    def _names_proxies(cls, proxies: str) -> str:
        read_proxies(proxies)
        return proxies

    @field_validator("metrics_key")
    @classmethod
    def _is_hard_to_guess(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None or not key.get_secret_value():
            return None  # an empty variable is none
        if len(key.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"a metrics key has at least {SHORTEST_KEY} characters: draw it by `openssl rand -hex 32`")
        return key

    @field_validator("nats_tls_ca", "nats_tls_cert", "nats_tls_key", mode="before")
    @classmethod
    def _is_given(cls, path: object) -> object:
        return path or None  # an empty variable, as compose files pass on what is not set, is none

    @field_validator("replica")
    @classmethod
    def _is_a_name(cls, replica: str) -> str:
        return token(replica)

    @model_validator(mode="after")
    def _stay_on_this_machine(self) -> Self:
        if not self.private_network and not is_loopback(self.host):
            raise ValueError(
                f"METRICA_HOST={self.host} would let other machines in, and Metrica has no sign-in yet: "
                "use 127.0.0.1, and a tunnel or an authenticating proxy to look from elsewhere"
            )
        return self


class DatabaseSettings(ServiceSettings):
    """Settings of a service that talks to Postgres."""

    database_url: SecretStr
    """postgresql://user:password@host:port/database"""


class SealedSettings(ServiceSettings):
    """Settings of a service that reads what is sealed."""

    secret_key: SecretStr | None = None
    """What passwords of cameras and signing keys are sealed with; see `services.kit.vault`."""

    @field_validator("secret_key")
    @classmethod
    def _makes_a_vault(cls, secret_key: SecretStr | None) -> SecretStr | None:
        _vault(secret_key)
        return secret_key

    @property
    def vault(self) -> Vault:
        """What opens what is sealed."""
        return _vault(self.secret_key)


def _vault(secret_key: SecretStr | None) -> Vault:
    return Vault(None if secret_key is None else secret_key.get_secret_value())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
