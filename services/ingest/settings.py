"""Settings of the ingest service."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field, field_validator

from services.ingest.decoding.hardware import Hardware
from services.ingest.egress import TRUSTED, Egress, Guarded, SourceNetworks
from services.ingest.egress.setting import parse_endpoints
from services.ingest.source import OPEN_TIMEOUT, READ_TIMEOUT
from services.kit.settings import SealedSettings


class IngestSettings(SealedSettings):
    """Time limits for cameras, and the networks in which sources may be."""

    open_timeout: Annotated[float, Field(gt=0)] = OPEN_TIMEOUT
    """Seconds until a camera that does not answer is given up."""
    read_timeout: Annotated[float, Field(gt=0)] = READ_TIMEOUT
    """Seconds without a frame after which a stream counts as broken."""
    decoding: Hardware = Hardware.NONE
    """Hardware that decodes the streams that it can; the processor decodes the others."""
    source_networks: str = ""
    """Networks for sources that are not trusted: `10.1.0.0/16` allows no other network, `+127.0.0.1/32` opens one."""
    own_services: str = ""
    """Metrica's own services, as `nats:4222, 10.0.0.2`: out of reach of such sources. NATS is always among them."""

    @field_validator("source_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        SourceNetworks.parse(text)
        return text

    @field_validator("own_services")
    @classmethod
    def _are_endpoints(cls, text: str) -> str:
        parse_endpoints(text)
        return text

    def egress(self, *, trusted: bool) -> Egress:
        """The rule for a source's connections; `trusted` is a source that a superadmin set."""
        return TRUSTED if trusted else self._guarded

    @cached_property
    def _guarded(self) -> Guarded:
        return Guarded(
            SourceNetworks.parse(self.source_networks),
            (*parse_endpoints(self.own_services), *parse_endpoints(self.nats_url)),
            closed_network=self.private_network,
        )
