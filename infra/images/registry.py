"""Client of image registries, for the present digest of a tag.

The API is https://distribution.github.io/distribution/spec/api/: a manifest's digest is the hash of its bytes. These
are fetched and hashed here; the digest in a header is compared, but not trusted.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping

import httpx

from infra.images.references import Reference

_HOSTS = {"docker.io": "registry-1.docker.io"}
_MANIFESTS = ", ".join([
    "application/vnd.oci.image.index.v1+json",  # for all architectures, preferred to those for one
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
])  # fmt: skip
_LARGEST = 4 * 1024 * 1024
"""Greatest size of a manifest in bytes, as in registries themselves."""


class Unresolved(Exception):
    """A digest is not available; the message has the image and the reason."""


def digest(client: httpx.Client, image: str) -> str:
    """Ask an image's registry for the digest of its tag.

    Raises:
        Unresolved: the registry is unreachable, refuses, or does not answer with a manifest.
    """
    try:
        return _digest(client, Reference.parse(image))
    except (ValueError, httpx.HTTPError) as error:
        raise Unresolved(f"{image}: {error or type(error).__name__}") from error


def _digest(client: httpx.Client, reference: Reference) -> str:
    host = _HOSTS.get(reference.registry, reference.registry)
    url = f"{_scheme(host)}://{host}/v2/{reference.repository}/manifests/{reference.tag}"
    headers = {"Accept": _MANIFESTS}
    answer = client.get(url, headers=headers)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        token = _token(client, answer.headers.get("www-authenticate", ""), secure=url.startswith("https:"))
        answer = client.get(url, headers=headers | {"Authorization": f"Bearer {token}"})
    answer.raise_for_status()
    if len(answer.content) > _LARGEST or not answer.headers.get("content-type", "").startswith("application/vnd."):
        raise ValueError(f"{host} answers with something that is no manifest")
    computed = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    declared = answer.headers.get("docker-content-digest", computed)
    if declared != computed:
        raise ValueError(f"{host} says {declared}, but what it sent is {computed}: something on the way changed it")
    return computed


def _token(client: httpx.Client, challenge: str, *, secure: bool) -> str:
    """Get an anonymous token by the registry's challenge: `Bearer realm="https://…",service="…",scope="…"`."""
    scheme, _, rest = challenge.partition(" ")
    fields: Mapping[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if scheme.lower() != "bearer" or "realm" not in fields:
        raise ValueError(f"the registry lets nobody in without {scheme or 'something it does not name'}")
    if secure and not fields["realm"].startswith("https://"):
        raise ValueError("the registry sends its tokens unencrypted")
    answer = client.get(fields["realm"], params={name: fields[name] for name in ("service", "scope") if name in fields})
    answer.raise_for_status()
    body = answer.json()
    token = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
    if not token:
        raise ValueError("the registry gives no token")
    return str(token)


def _scheme(host: str) -> str:
    """Choose the scheme: unencrypted for this machine only, as in Docker."""
    name = host.rpartition(":")[0] or host
    try:
        return "http" if ipaddress.ip_address(name).is_loopback else "https"
    except ValueError:
        return "http" if name == "localhost" else "https"
