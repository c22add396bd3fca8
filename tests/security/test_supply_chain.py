"""Row 21: what is fetched to run Metrica is named exactly, checked by hash, and fetched in one way."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.support.scene import ROOT

DOCKERFILE = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
EXACT = re.compile(r"v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)*(@sha256:[0-9a-f]{64})?")
EXTRAS = ("kit", "ingest", "detector", "tracker", "persistence", "api", "replay", "ingest,detector,tracker,api")


@pytest.fixture(scope="module")
def pins() -> ModuleType:
    """The program that stands alone in the image where packages are installed."""
    spec = importlib.util.spec_from_file_location("pins", ROOT / "infra" / "docker" / "pins.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _printed(*extras: str) -> str:
    return subprocess.run(
        ["python3", ROOT / "infra" / "docker" / "pins.py", ",".join(extras)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_images_of_others_are_named_by_exact_version() -> None:
    images = yaml.safe_load((ROOT / "compose.yaml").read_text())["x-images"]
    assert set(images) == {"python", "nats", "postgres", "caddy", "prometheus"}
    for name, image in images.items():
        found = re.fullmatch(r"\$\{METRICA_[A-Z]+_IMAGE:-([^:}]+):([^}]+)\}", image)
        assert found, f"{name} is not of the form ${{METRICA_…_IMAGE:-name:version}}"
        assert EXACT.fullmatch(found[2]), f"{name}: {found[2]} moves"
        assert found[2].count(".") >= (1 if name == "postgres" else 2), f"{name}: {found[2]} moves"


def test_no_image_is_named_elsewhere() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    named = {name: service["image"] for name, service in services.items()}
    foreign = {name for name, image in named.items() if not image.startswith("metrica/")}
    assert foreign == {"nats", "postgres", "caddy", "prometheus"}
    froms = re.findall(r"^FROM (\S+)(?: AS (\S+))?", DOCKERFILE, re.MULTILINE)
    stages = {stage for _, stage in froms}
    assert {source for source, _ in froms} - stages == {"${PYTHON}"}
    assert all(source in stages for source in re.findall(r"COPY --from=(\S+)", DOCKERFILE))


def test_the_dockerfile_stands_on_the_same_python() -> None:
    image = yaml.safe_load((ROOT / "compose.yaml").read_text())["x-images"]["python"]
    assert f"ARG PYTHON={image.partition(':-')[2].removesuffix('}')}\n" in DOCKERFILE


def test_images_fetch_packages_in_one_way_alone() -> None:
    install = (ROOT / "infra" / "docker" / "install").read_text()
    assert re.findall(r"install .*--requirement.*", install) == [
        "install --quiet --no-deps --require-hashes --only-binary :all: --requirement pins.txt"
    ]
    runs = " ".join(re.findall(r"^RUN (?:[^\n]*\\\n)*[^\n]*", DOCKERFILE, re.MULTILINE))
    assert not re.search(r"\b(pip|curl|wget|apt-get|apk|git|uv)\b (?!/)", runs.replace("/pip", "")), "another way in"
    assert not re.search(r"^ADD ", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("extras", EXTRAS)
def test_an_image_gets_what_its_extra_needs_with_every_hash_of_the_lock(pins: ModuleType, extras: str) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    printed = _printed(*extras.split(","))

    found = dict(re.findall(r"^([a-z0-9._-]+)==(.*(?:\n    --hash.*)+)", printed, re.MULTILINE))
    assert pins.direct(about, extras.split(",")) <= set(found)
    assert len(re.findall(r"--hash=sha256:", printed)) > len(found)
    for name in found:
        entries = re.findall(rf"^{re.escape(name)}==.*(?:\n    --hash.*)+", lock, re.MULTILINE)
        assert all(entry in printed for entry in entries), f"{name}: not as in the lock"
    assert not {"pytest", "mypy", "ruff", "playwright", "uv", "setuptools"} & set(found), "a tool of developers"


def test_packages_come_with_those_that_brought_them(pins: ModuleType) -> None:
    """A chain of three, one that two bring, one with two versions, and one that nobody here needs."""
    lock = (
        "a==1 \\\n    --hash=sha256:aa\n    # via metrica (pyproject.toml)\n"
        "b==2 ; python_full_version < '3.12' \\\n    --hash=sha256:bb\n    # via a\n"
        "b==3 ; python_full_version >= '3.12' \\\n    --hash=sha256:cc\n    # via a\n"
        "c==4 \\\n    --hash=sha256:dd\n    # via\n    #   b\n    #   other\n"
        "other==5 \\\n    --hash=sha256:ee\n    # via metrica (pyproject.toml)\n"
    )
    needed = "".join(pins.needed(pins.read(lock), {"a"}))
    assert re.findall(r"^(\w+==\d)", needed, re.MULTILINE) == ["a==1", "b==2", "b==3", "c==4"]
    assert "#" not in needed


def test_a_package_that_the_lock_lacks_ends_the_build(pins: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"requirements.lock lacks nothing-like-it: run ./taskw lock"):
        pins.needed(pins.read("a==1 \\\n    --hash=sha256:aa\n"), {"nothing-like-it"})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_have_no_more_rights_than_reading(workflow: Path) -> None:
    text = workflow.read_text()
    jobs = yaml.safe_load(text)
    used = re.findall(r"uses: *(\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40}", action), f"{action} moves"
        assert re.search(r"# v\d+", comment), f"{action}: which version is that?"
    assert jobs["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in jobs["jobs"].values())
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")
    assert all("timeout-minutes" in job for job in jobs["jobs"].values())
    assert "pull_request_target" not in text
    assert "secrets." not in text
    assert not re.search(r"run:.*\$\{\{ *github\.(event|head_ref)", text), "what a stranger names is run"


def test_whoever_finds_a_hole_is_told_how_to_report_it() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert "private security advisory" in text
    assert not re.search(r"[\w.]+@[\w-]+\.\w+", text), "an address that nobody reads"
    assert "SECURITY.md" in (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\((docs/[^)#]+)", text):
        assert (ROOT / link).is_file() or link == "docs/security.md"
