"""Settings of the API."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.api.http.texts import without_hidden
from services.api.mail.settings import MailSettings
from services.api.quotas import QuotaKind, Quotas, Shares
from services.kit.network.source_networks import SourceNetworks
from services.kit.settings import DatabaseSettings, is_loopback

_ANY = {"0.0.0.0", "::"}  # noqa: S104  # recognised, not listened on


class ApiSettings(DatabaseSettings, MailSettings):
    """Settings of the API."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    local_access: Literal["viewer", "none"] = "none"
    """Rights of browsers on this machine without a sign-in: read everything, or none."""
    hosts: str = ""
    """Names and addresses of this machine for other machines, with commas; needed if they have access."""
    jwks_url: str | None = None
    """URL of the public keys of another issuer of tokens (Supabase, Keycloak, Auth0 …)."""
    jwks_issuer: str | None = None
    """`iss` of its tokens."""
    jwks_audience: str | None = None
    """`aud` of its tokens for this API."""
    admin_email: str = "admin@metrica.local"
    admin_password: SecretStr | None = None
    """Password of the first superadmin, who is created at the start if there is no user."""
    admin_second_factor: Literal["required", "optional"] = "optional"
    """`required`: superadmins of the built-in accounts have no rights until they have set up a second factor."""
    source_networks: str = ""
    """As in ingest: the API accepts the same addresses that ingest opens."""
    max_streams: Annotated[int, Field(ge=1)] = 500
    """Live streams (open dashboards) at a time. 500 take half a core at 5 events/s."""
    max_streams_per_principal: Annotated[int, Field(ge=1)] = 50
    """Live streams of one user, one key, or one address without sign-in: 50 open tabs."""
    max_streams_per_organization: Annotated[int | None, Field(ge=1)] = None
    """Live streams of one organization; by default half of `max_streams`."""
    max_exports: Annotated[int, Field(ge=1)] = 8
    """Exports at a time. Each holds a database connection; see docs/operating.md."""
    max_exports_per_principal: Annotated[int, Field(ge=1)] = 2
    max_exports_per_organization: Annotated[int, Field(ge=1)] = 2
    max_camera_tests: Annotated[int, Field(ge=1)] = 64
    """Camera tests at a time, including those that wait at ingest."""
    max_camera_tests_per_principal: Annotated[int, Field(ge=1)] = 2
    max_camera_tests_per_organization: Annotated[int, Field(ge=1)] = 2
    max_changes: Annotated[int, Field(ge=1)] = 300
    """Changes of one user or key in 10 minutes, counted by each replica for itself."""
    reread_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Interval for reading the versions of watched stores, which makes up for lost notices."""
    recheck_seconds: Annotated[float, Field(gt=0)] = 10.0
    """Interval for checking the rights of each live stream's reader: a sign-out ends the stream within it."""
    heartbeat_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Interval of heartbeats in live streams. The dashboard reconnects after 7 s without an event."""

    @field_validator("source_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        SourceNetworks.parse(text)
        return text

    @property
    def networks(self) -> SourceNetworks:
        """Networks of cameras that need no superadmin."""
        return SourceNetworks.parse(self.source_networks)

    @field_validator("admin_email")
    @classmethod
    def _is_readable(cls, email: str) -> str:
        return without_hidden(email)

    @field_validator("max_streams_per_organization", mode="before")
    @classmethod
    def _is_given(cls, number: object) -> object:
        return number or None  # compose files pass unset variables as empty ones

    @property
    def quotas(self) -> Quotas:
        """Quotas of streams, exports and camera tests."""
        half = -(-self.max_streams // 2)
        streams = self.max_streams_per_principal, self.max_streams_per_organization or half, self.max_streams
        exports = self.max_exports_per_principal, self.max_exports_per_organization, self.max_exports
        tests = self.max_camera_tests_per_principal, self.max_camera_tests_per_organization, self.max_camera_tests
        return Quotas(
            {
                QuotaKind.STREAM: Shares(*streams),
                QuotaKind.EXPORT: Shares(*exports),
                QuotaKind.CAMERA_TEST: Shares(*tests),
            }
        )

    @property
    def other_hosts(self) -> list[str]:
        """Allowed hosts besides the names of this machine."""
        hosts = [name.strip() for name in self.hosts.split(",") if name.strip()]
        return hosts if is_loopback(self.host) or self.host in _ANY else [*hosts, self.host]

    @model_validator(mode="after")
    def _stay_on_this_machine(self) -> Self:
        """Check remote access, in place of the base class's rule for services without a sign-in."""
        if is_loopback(self.host) or self.private_network:  # only a proxy reaches it, and forwards client addresses
            return self
        lets_in = f"METRICA_HOST={self.host} lets other machines in: "
        if self.local_access != "none":
            raise ValueError(lets_in + "that takes METRICA_LOCAL_ACCESS=none, so that everybody signs in")
        if self.secret_key is None and self.jwks_url is None:
            raise ValueError(lets_in + "that takes METRICA_SECRET_KEY or METRICA_JWKS_URL, so that people sign in")
        if not self.other_hosts:
            raise ValueError(lets_in + "say in METRICA_HOSTS by which names and addresses they call this one")
        return self

    @model_validator(mode="after")
    def _issuer_is_whole(self) -> Self:
        values = [self.jwks_url, self.jwks_issuer, self.jwks_audience]
        if any(values) and not all(values):
            raise ValueError("METRICA_JWKS_URL, METRICA_JWKS_ISSUER and METRICA_JWKS_AUDIENCE go together")
        return self
