"""What ingest may connect to: every connection to a camera is resolved, judged and made here, never by FFmpeg."""

from services.ingest.egress.policy import TRUSTED, Egress, Guarded, Trusted
from services.kit.network.source_networks import SourceNetworks

__all__ = ["TRUSTED", "Egress", "Guarded", "SourceNetworks", "Trusted"]
