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
from services.kit.network.trusted_proxies import TrustedProxies, read_proxies
from services.kit.vault import Vault

SHORTEST_KEY = 16


class ServiceSettings(BaseSettings):
    """Settings that every service has. A service adds its own fields in a subclass in its own package."""

    model_config = SettingsConfigDict(env_prefix="METRICA_", extra="ignore", frozen=True)

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str | None = None
    nats_password: SecretStr | None = None
    nats_tls_ca: Path | None = None
    """The authority that must have signed the certificate of NATS; by default any that this machine trusts. With it, or
    with an address that begins with tls://, the connection is encrypted or fails."""
    nats_tls_cert: Path | None = None
    """The client certificate of this service, where NATS asks for one."""
    nats_tls_key: Path | None = None
    """The key of the client certificate, where it is not in the same file."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of /livez, /readyz and /metrics (and the API); 0 takes any free port."""
    private_network: bool = False
    """True where only Metrica's own services can reach `host`, as in a network of containers: it may be any address."""
    trusted_proxies: str = ""
    """Addresses, networks and host names, with commas, of the proxies with trusted forwarded headers; see
    `services.kit.network.trusted_proxies`. A proxy on this machine must be named, too."""
    metrics_key: SecretStr | None = None
    """Bearer token that other machines need for /metrics and for the details of /readyz; this machine needs none."""
    max_connections: Annotated[int, Field(ge=8)] = 2048
    """Connections to the HTTP server at a time; fewer where the system gives fewer file descriptors."""
    max_connections_per_address: Annotated[int, Field(ge=4)] = 256
    """Connections of one address, or one /64 of IPv6, at a time; trusted proxies have no such limit."""
    replica: str = Field(default_factory=lambda: f"replica-{uuid4().hex[:12]}")
    """This replica's name, unique within its service. If it stays the same over restarts, a replica that was killed
    takes its leases back at once."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @property
    def nats_tls(self) -> bool:
        """True where the connection to NATS must be encrypted."""
        return self.nats_url.startswith("tls://") or self.nats_tls_ca is not None or self.nats_tls_cert is not None

    @cached_property
    def proxies(self) -> TrustedProxies:
        """The trusted proxies, parsed."""
        return read_proxies(self.trusted_proxies)

    @property
    def metrics_secret(self) -> str | None:
        """The metrics key in the clear."""
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
            return None  # an empty variable counts as unset
        if len(key.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"a metrics key has at least {SHORTEST_KEY} characters: draw it by `openssl rand -hex 32`")
        return key

    @field_validator("nats_tls_ca", "nats_tls_cert", "nats_tls_key", mode="before")
    @classmethod
    def _is_given(cls, path: object) -> object:
        return path or None  # an empty variable counts as unset: compose files pass unset ones on as empty

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
    """Settings of a service that reads sealed secrets."""

    secret_key: SecretStr | None = None
    """Secret from which the key for sealing is derived; see `services.kit.vault`."""

    @field_validator("secret_key")
    @classmethod
    def _makes_a_vault(cls, secret_key: SecretStr | None) -> SecretStr | None:
        _vault(secret_key)
        return secret_key

    @property
    def vault(self) -> Vault:
        """The vault of this secret key."""
        return _vault(self.secret_key)


def _vault(secret_key: SecretStr | None) -> Vault:
    return Vault(None if secret_key is None else secret_key.get_secret_value())


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is a loopback one."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
