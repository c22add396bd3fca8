"""Names of images, parsed as by Docker, and their places in compose.yaml and the Dockerfile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HUB = "docker.io"
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?")
_NAME = re.compile(r"[a-z0-9]+([._/-][a-z0-9]+)*")
_TAG = re.compile(r"\w[\w.-]{0,127}")
# Defaults of variables and build arguments: `${METRICA_NATS_IMAGE:-nats:2.15.0-alpine}`.
_DEFAULT = re.compile(
    r"(?P<before>\$\{METRICA_\w+_IMAGE:-|^ARG PYTHON=)(?P<image>[^}\s@]+)(?:@[^}\s]*)?(?P<after>\}|$)", re.MULTILINE
)


@dataclass(frozen=True)
class Reference:
    """An image by name and tag."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, image: str) -> Reference:
        """Parse a name as Docker does: `nats:2.15.0` is `library/nats` of Docker Hub.

        Raises:
            ValueError: it is no name of an image, or has no tag.
        """
        first, slash, rest = image.partition("/")
        elsewhere = bool(slash) and (bool(set(".:") & set(first)) or first == "localhost")
        registry, path = (first, rest) if elsewhere else (_HUB, image)
        repository, _, tag = path.rpartition(":")
        if not _REGISTRY.fullmatch(registry) or not _NAME.fullmatch(repository) or not _TAG.fullmatch(tag):
            raise ValueError(f"{image!r} is no image with a tag, as nats:2.15.0-alpine is")
        if registry == _HUB and "/" not in repository:
            repository = f"library/{repository}"
        return cls(registry, repository, tag)


def images_in(text: str) -> list[str]:
    """List a file's default images, without digests, each once."""
    return list(dict.fromkeys(match["image"] for match in _DEFAULT.finditer(text)))


def with_digests(text: str, digests: Mapping[str, str]) -> str:
    """Add its digest to each default image of a file."""
    return _DEFAULT.sub(
        lambda match: f"{match['before']}{match['image']}@{digests[match['image']]}{match['after']}", text
    )
