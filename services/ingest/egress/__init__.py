"""Connections to cameras: resolved, judged by a rule, and made here, never by FFmpeg."""

from services.ingest.egress.policy import TRUSTED, Egress, Guarded, Trusted
from services.kit.network.source_networks import SourceNetworks

__all__ = ["TRUSTED", "Egress", "Guarded", "SourceNetworks", "Trusted"]
