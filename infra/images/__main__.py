"""Pin the images of compose.yaml and the Dockerfile by the digests of their registries: `./taskw images`.

It pins all or none: if a digest is not available, the files stay unchanged, and the exit code is 1. A tag that was
pushed again has another digest, which appears in `git diff` for review like any other change.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer

from infra.images.references import images_in, with_digests
from infra.images.registry import Unresolved, digest

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "compose.yaml", ROOT / "infra" / "docker" / "Dockerfile"]
_TIMEOUT = 20.0


def main(
    files: Annotated[list[Path] | None, typer.Argument(help="Instead of compose.yaml and the Dockerfile.")] = None,
) -> None:
    """Pin images by the digests of their registries."""
    texts = {file: file.read_text(encoding="utf-8") for file in files or FILES}
    images = list(dict.fromkeys(image for text in texts.values() for image in images_in(text)))
    digests: dict[str, str] = {}
    unresolved: list[str] = []
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as client:
        for image in images:
            try:
                digests[image] = digest(client, image)
            except Unresolved as error:
                unresolved.append(str(error))
    if unresolved or not images:
        print(*(f"images: {line}" for line in unresolved or ["no image is named there"]), sep="\n", file=sys.stderr)
        print("images: nothing was written. Run it where the registries are reached (HTTPS_PROXY?)", file=sys.stderr)
        raise SystemExit(1)
    for file, text in texts.items():
        _replace(file, with_digests(text, digests))
    print(*(f"{image}@{digests[image]}" for image in images), sep="\n")


def _replace(file: Path, text: str) -> None:
    """Write a file atomically."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(file.stat().st_mode)
    beside.replace(file)


if __name__ == "__main__":
    typer.run(main)
