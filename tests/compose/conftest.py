"""The images of compose.yaml, built from this checkout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.engine import Project, project


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project of which nothing runs; its images are built. Workers that build at once share the work."""
    with project(tmp_path_factory.mktemp("images"), {}) as built:
        built.compose("--profile=cli", "build", "--quiet")
        yield built
