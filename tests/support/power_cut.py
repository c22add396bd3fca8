"""The remains of JetStream after a power cut: each stream as it was synced last, one longer ago than another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from infra.local.processes.nats import NatsServer


def keep_stream(server: NatsServer, stream: str, to: Path) -> Path:
    """Copy a stream's messages as they lie on the disk now; the server must not be writing. Returns the copy."""
    shutil.copytree(messages(server.folder, stream), to)
    return to


def put_back(server: NatsServer, stream: str, copy: Path) -> None:
    """Give a stopped server the messages of a copy in the place of those that it has."""
    place = messages(server.folder, stream)
    owner = place.stat()
    shutil.rmtree(place)
    shutil.copytree(copy, place)
    for path in (place, *place.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def messages(folder: Path, stream: str) -> Path:
    """The folder of a stream's messages in a nats-server's folder."""
    (found,) = folder.glob(f"**/streams/{stream}/msgs")
    return found
