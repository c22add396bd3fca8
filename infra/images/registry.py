"""The API of image registries: the digest that a tag has now.

It is https://distribution.github.io/distribution/spec/api/: a manifest's digest is the hash of its bytes. Those are
fetched and hashed here: what a header says of them is compared and never taken on trust.
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
    "application/vnd.oci.image.index.v1+json",  # of all architectures, before that of one
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
])  # fmt: skip
_LARGEST = 4 * 1024 * 1024
"""Bytes of a manifest, as registries themselves limit it."""


class Unresolved(Exception):
    """No digest was had; the message says of what, and why."""


def digest(client: httpx.Client, image: str) -> str:
    """Ask an image's registry which digest its tag has.

    Raises:
        Unresolved: the registry is not reached, refuses, or answers with something else.
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
    said = answer.headers.get("docker-content-digest", computed)
    if said != computed:
        raise ValueError(f"{host} says {said}, but what it sent is {computed}: something on the way changed it")
    return computed


def _token(client: httpx.Client, challenge: str, *, secure: bool) -> str:
    """Get the token that anybody gets, where the registry says: `Bearer realm="https://…",service="…",scope="…"`."""
    scheme, _, rest = challenge.partition(" ")
    said: Mapping[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if scheme.lower() != "bearer" or "realm" not in said:
        raise ValueError(f"the registry lets nobody in without {scheme or 'something it does not name'}")
    if secure and not said["realm"].startswith("https://"):
        raise ValueError("the registry sends its tokens unencrypted")
    answer = client.get(said["realm"], params={name: said[name] for name in ("service", "scope") if name in said})
    answer.raise_for_status()
    given = answer.json()
    token = (given.get("token") or given.get("access_token")) if isinstance(given, dict) else None
    if not token:
        raise ValueError("the registry gives no token")
    return str(token)


def _scheme(host: str) -> str:
    """Unencrypted to this machine alone, as Docker does it."""
    name = host.rpartition(":")[0] or host
    try:
        return "http" if ipaddress.ip_address(name).is_loopback else "https"
    except ValueError:
        return "http" if name == "localhost" else "https"
