"""The images: each service can be imported in its own, as nobody in particular, and none carries what others need."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.support.engine import Project, docker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

VISION = {"cv2", "numpy"}
DATABASE = {"asyncpg", "sqlalchemy", "sqlmodel"}
CARRIED = {
    "ingest": VISION,
    "detector": VISION | {"openvino"},
    "tracker": {"numpy", "lap"},
    "persistence": DATABASE | {"alembic"},
    "api": DATABASE | {"fastapi"},
}
HEAVY = set.union(*CARRIED.values())

LOOK = """
import importlib.util as find, json, os, pathlib
import services.{service}.{module}
print(json.dumps(dict(
    user=os.getuid(),
    packages=[name for name in {heavy} if find.find_spec(name)],
    services=[folder.name for folder in pathlib.Path("services").iterdir() if folder.is_dir()],
)))
"""


@dataclass
class Seen:
    user: int
    packages: list[str]
    services: list[str]


def look(image: str, service: str, module: str = "app") -> Seen:
    """The contents of an image, seen by Python in a container of it whose root is read-only."""
    code = LOOK.format(service=service, module=module, heavy=sorted(HEAVY))
    return Seen(**json.loads(docker("run", "--rm", "--read-only", "--entrypoint=python", image, "-c", code)))


@pytest.mark.parametrize("service", CARRIED)
def test_an_image_carries_its_own_service_and_no_other(images: Project, service: str) -> None:
    seen = look(images.image(service), service)

    assert set(seen.packages) == CARRIED[service]
    assert set(seen.services) - {"__pycache__"} == {"kit", service}
    assert seen.user != 0


def test_the_migrations_are_those_of_persistence(images: Project) -> None:
    assert set(look(images.image("migrate"), "persistence", "migrate").packages) == CARRIED["persistence"]
