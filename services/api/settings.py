"""Settings of the API."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.api.http.texts import without_hidden
from services.api.mail.settings import MailSettings
from services.api.quotas import Kind, Quotas, Shares
from services.kit.network.source_networks import SourceNetworks
from services.kit.settings import DatabaseSettings, is_loopback

_ANY = {"0.0.0.0", "::"}  # noqa: S104  # recognised, not listened on


class ApiSettings(DatabaseSettings, MailSettings):
    """What the API needs to know."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    local_access: Literal["viewer", "none"] = "none"
    """What somebody at this very machine may do without signing in: see everything, or nothing."""
    hosts: str = ""
    """Names and addresses, with commas, by which other machines call this one; needed where they are let in."""
    jwks_url: str | None = None
    """Where another issuer of tokens (Supabase, Keycloak, Auth0 …) has its public keys."""
    jwks_issuer: str | None = None
    """What its tokens have as `iss`."""
    jwks_audience: str | None = None
    """What its tokens that are meant for us have as `aud`."""
    admin_email: str = "admin@metrica.local"
    admin_password: SecretStr | None = None
    """Of the first superadmin, who is made at the start where there is no user at all."""
    admin_second_factor: Literal["required", "optional"] = "optional"
    """Whether superadmins who sign in here can do nothing until they have set up a second factor."""
    source_networks: str = ""
    """As ingest has it: an address that it opens is not refused to who writes it down."""
    max_streams: Annotated[int, Field(ge=1)] = 500
    """Live streams (open dashboards) at a time. 500 take half a core at 5 events/s; the next one is told to wait."""
    max_streams_per_principal: Annotated[int, Field(ge=1)] = 50
    """Live streams of one person, one key, or one address without sign-in: 50 open tabs."""
    max_streams_per_organization: Annotated[int | None, Field(ge=1)] = None
    """Live streams of one organization; half of `max_streams` unless told."""
    max_exports: Annotated[int, Field(ge=1)] = 8
    """Exports at a time. Each holds one of the database's connections; see docs/operating.md."""
    max_exports_per_principal: Annotated[int, Field(ge=1)] = 2
    max_exports_per_organization: Annotated[int, Field(ge=1)] = 2
    max_camera_tests: Annotated[int, Field(ge=1)] = 64
    """Camera tests at a time, those that wait for their turn at ingest included."""
    max_camera_tests_per_principal: Annotated[int, Field(ge=1)] = 2
    max_camera_tests_per_organization: Annotated[int, Field(ge=1)] = 2
    max_changes: Annotated[int, Field(ge=1)] = 300
    """Changes of one person or key in 10 minutes, counted by each replica for itself."""
    reread_seconds: Annotated[float, Field(gt=0)] = 5.0
    """How often the versions of the stores that somebody watches are read: mends a lost notice."""
    recheck_seconds: Annotated[float, Field(gt=0)] = 10.0
    """How often it is asked of each live stream whether who reads it still may: a sign-out ends it within this."""
    heartbeat_seconds: Annotated[float, Field(gt=0)] = 5.0
    """How often a live stream says that it lives. The dashboard gives up on one that was silent for 3 of them."""

    @field_validator("source_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        SourceNetworks.parse(text)
        return text

    @property
    def networks(self) -> SourceNetworks:
        """Where cameras may be that no superadmin set."""
        return SourceNetworks.parse(self.source_networks)

    @field_validator("admin_email")
    @classmethod
    def _is_readable(cls, email: str) -> str:
        return without_hidden(email)

    @field_validator("max_streams_per_organization", mode="before")
    @classmethod
    def _is_given(cls, number: object) -> object:
        return number or None  # an empty variable, as compose files pass on what is not set, is none

    @property
    def quotas(self) -> Quotas:
        """The shares of what is scarce."""
        half = -(-self.max_streams // 2)
        streams = self.max_streams_per_principal, self.max_streams_per_organization or half, self.max_streams
        exports = self.max_exports_per_principal, self.max_exports_per_organization, self.max_exports
        tests = self.max_camera_tests_per_principal, self.max_camera_tests_per_organization, self.max_camera_tests
        return Quotas({Kind.STREAM: Shares(*streams), Kind.EXPORT: Shares(*exports), Kind.CAMERA_TEST: Shares(*tests)})

    @property
    def other_hosts(self) -> list[str]:
        """By which names, besides this machine's own, the API lets itself be called."""
        named = [name.strip() for name in self.hosts.split(",") if name.strip()]
        return named if is_loopback(self.host) or self.host in _ANY else [*named, self.host]

    @model_validator(mode="after")
    def _stay_on_this_machine(self) -> Self:
        """In place of what holds for services without a sign-in."""
        if is_loopback(self.host) or self.private_network:  # a proxy beside it is the only way in, and says from where
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
        said = [self.jwks_url, self.jwks_issuer, self.jwks_audience]
        if any(said) and not all(said):
            raise ValueError("METRICA_JWKS_URL, METRICA_JWKS_ISSUER and METRICA_JWKS_AUDIENCE go together")
        return self
