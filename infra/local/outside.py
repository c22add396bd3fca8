"""External files that services must reach if they run as other users: videos, cameras, models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalError
from infra.local.processes.unprivileged import device_usable, is_root
from infra.local.view import closed_to_others
from services.api.cameras.repository import list_cameras
from services.kit.vault import Vault


@dataclass(frozen=True, slots=True)
class ExternalFiles:
    """Files outside of the project and its data."""

    videos: tuple[Path, ...] = ()
    models: tuple[Path, ...] = ()

    def __add__(self, other: ExternalFiles) -> ExternalFiles:
        return ExternalFiles(self.videos + other.videos, self.models + other.models)


def external_files(address: str | None, model: str | None) -> ExternalFiles:
    """List the files that a camera's address and model refer to."""
    video = _absolute(address)
    weights = _absolute((model or "").removeprefix("ultralytics:"))
    models = () if weights is None else (weights, weights.with_suffix(".bin")) if weights.suffix else (weights,)
    return ExternalFiles((video,) if video else (), tuple(path for path in models if _exists(path)))


async def external_files_of_cameras(database_url: str, vault: Vault) -> ExternalFiles:
    """List the files of all configured cameras."""
    cameras = await list_cameras(database_url, vault)
    return sum((external_files(camera.address, camera.model) for camera in cameras), ExternalFiles())


def check_readable(address: str | None, model: str | None) -> None:
    """Check that services can read the requested files, if they run as other users.

    Raises:
        LocalError: they can't; with the remedy.
    """
    if not is_root():
        return
    files = external_files(address, model)
    places = [("CAMERA", files.videos), ("MODEL", files.models)]
    for name in ("METRICA_MODELS", "METRICA_VIDEOS"):
        parts = os.environ.get(name, "").split(os.pathsep)
        places.append((name, tuple(path for part in parts if part and _exists(path := Path(part)))))
    for option, paths in places:
        for path in paths:
            if closed_to_others(path):
                opening = "chmod o+r" if path.is_file() else "chmod -R o+rX"
                raise LocalError(
                    f"{option}={path} is closed to everybody but its owner, and no service runs as root: "
                    f"{opening} {path}"
                )
    device = Path(f"/dev/video{address}") if address and address.isdecimal() else None
    if device and device.exists() and not device_usable(device):
        raise LocalError(
            f"CAMERA={address}: {device} is root's alone, and no service runs as root: give it a group "
            f"(chgrp video {device} && chmod g+rw {device})"
        )


def _absolute(text: str | None) -> Path | None:
    path = Path(text) if text and text.startswith("/") else None
    return path if path is not None and _exists(path) else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
