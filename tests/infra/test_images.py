"""Row 21: `./taskw images` pins images by the digests that their registry tells, all of them or none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.images.references import Reference, images_in, with_digests
from tests.support.registry import Registry, registry
from tests.support.scene import ROOT


@pytest.fixture
def hub() -> Iterator[Registry]:
    with registry() as running:
        yield running


@pytest.fixture
def compose(tmp_path: Path, hub: Registry) -> Path:
    """A file that names two images of the registry."""
    file = tmp_path / "compose.yaml"
    file.write_text(
        f"x: ${{METRICA_NATS_IMAGE:-{hub.name('library/nats:2.15.0-alpine')}}}\n"
        f"ARG PYTHON={hub.name('library/python:3.13.16-slim')}\n"
        f"y: ${{METRICA_MEMORY:-1g}}\n"
    )
    return file


def pin(*files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.images", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_each_image_is_pinned_by_the_digest_of_its_tag(compose: Path, hub: Registry) -> None:
    nats = hub.push("library/nats:2.15.0-alpine")
    python = hub.push("library/python:3.13.16-slim", "two")

    done = pin(compose)

    assert done.returncode == 0, done.stderr
    assert compose.read_text().splitlines() == [
        f"x: ${{METRICA_NATS_IMAGE:-{hub.name('library/nats:2.15.0-alpine')}@{nats}}}",
        f"ARG PYTHON={hub.name('library/python:3.13.16-slim')}@{python}",
        "y: ${METRICA_MEMORY:-1g}",
    ]
    assert hub.scopes == ["repository:library/nats:pull", "repository:library/python:pull"]


def test_a_tag_that_was_pushed_anew_gets_its_new_digest(compose: Path, hub: Registry) -> None:
    for image in ("library/nats:2.15.0-alpine", "library/python:3.13.16-slim"):
        hub.push(image)
    pin(compose)
    before = compose.read_text()

    later = hub.push("library/nats:2.15.0-alpine", "rebuilt")
    pin(compose)

    assert later in compose.read_text()
    assert later not in before
    assert compose.read_text().count("@sha256:") == 2


def test_where_one_is_not_had_nothing_is_written(compose: Path, hub: Registry) -> None:
    hub.push("library/nats:2.15.0-alpine")
    before = compose.read_bytes()

    done = pin(compose)

    assert done.returncode == 1
    assert "library/python:3.13.16-slim" in done.stderr
    assert "nothing was written" in done.stderr
    assert "Traceback" not in done.stderr
    assert compose.read_bytes() == before
    assert [file.name for file in compose.parent.iterdir()] == [compose.name]


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ({"said": f"sha256:{'0' * 64}"}, "something on the way changed it"),
        ({"scheme": "Basic"}, "lets nobody in without Basic"),
        ({"content_type": "text/html"}, "no manifest"),
    ],
    ids=["another digest than what it sent", "a registry with passwords", "a page of a captive portal"],
)
def test_what_cannot_be_believed_is_not_written(
    compose: Path, hub: Registry, behaviour: dict[str, str], says: str
) -> None:
    for image in ("library/nats:2.15.0-alpine", "library/python:3.13.16-slim"):
        hub.push(image)
    for name, value in behaviour.items():
        setattr(hub, name, value)
    before = compose.read_bytes()

    done = pin(compose)

    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert compose.read_bytes() == before


def test_without_a_registry_it_says_so_and_leaves_the_file(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("${METRICA_NATS_IMAGE:-127.0.0.1:1/nats:2}")

    done = pin(file)

    assert done.returncode == 1
    assert "nothing was written. Run it where the registries are reached" in done.stderr
    assert file.read_text() == "${METRICA_NATS_IMAGE:-127.0.0.1:1/nats:2}"


@pytest.mark.parametrize(
    ("image", "registry", "repository", "tag"),
    [
        ("nats:2.15.0-alpine", "docker.io", "library/nats", "2.15.0-alpine"),
        ("prom/prometheus:v3.15.0", "docker.io", "prom/prometheus", "v3.15.0"),
        ("ghcr.io/astral-sh/uv:0.13", "ghcr.io", "astral-sh/uv", "0.13"),
        ("localhost:5000/nats:2", "localhost:5000", "nats", "2"),
    ],
)
def test_a_name_is_read_as_docker_reads_it(image: str, registry: str, repository: str, tag: str) -> None:
    assert Reference.parse(image) == Reference(registry, repository, tag)


@pytest.mark.parametrize("image", ["nats", "", "nats:", "../nats:2", "registry.example/:2", "nats:2 --privileged"])
def test_what_names_no_tag_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match="is no image with a tag"):
        Reference.parse(image)


def test_the_images_of_the_project_are_found_and_can_be_pinned() -> None:
    compose, dockerfile = ((ROOT / name).read_text() for name in ("compose.yaml", "infra/docker/Dockerfile"))

    images = images_in(compose)

    assert {Reference.parse(image).repository for image in images} == {
        "library/python", "library/nats", "library/postgres", "library/caddy", "prom/prometheus",
    }  # fmt: skip
    assert images_in(dockerfile) == images[:1], "the Dockerfile stands on compose.yaml's Python"
    digest = f"sha256:{'1' * 64}"
    pinned = with_digests(compose, dict.fromkeys(images, digest))
    assert pinned.count(f"@{digest}}}") == len(images) == 5
    assert with_digests(pinned, dict.fromkeys(images, digest)) == pinned
    assert images_in(pinned) == images
