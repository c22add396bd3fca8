"""Watch on the disk of the data folder: warns before it is full, and restarts NATS once there is space again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

NEARLY_FULL = 48 * 1024 * 1024
"""Bytes. Postgres allocates 16 MB for its log at a time."""
ROOM_AGAIN = 128 * 1024 * 1024


class DiskWatch:
    """Checks the free space.

    Args:
        folder: on the disk to watch.
        tell: prints a line when the disk is nearly full, and when there is space again.
        restart_broker: ends nats-server, which is then started again. After a stream's write has failed for lack of
            space, nats-server 2.15 refuses all later writes, even once there is space: counting would stop for good.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None], restart_broker: Callable[[], None]) -> None:
        self._folder, self._tell, self._restart_broker = folder, tell, restart_broker
        self._full = False

    def look(self) -> None:
        """Check once.

        Raises:
            OSError: the folder is missing.
        """
        free = shutil.disk_usage(self._folder).free
        if not self._full and free < NEARLY_FULL:
            self._full = True
            self._tell(
                f"only {free // 2**20} MB are free on the disk of {self._folder}: counting stops when it is full; free "
                f"{ROOM_AGAIN // 2**20} MB, and it goes on"
            )
        elif self._full and free >= ROOM_AGAIN:
            self._full = False
            self._tell("the disk has room again: nats-server is started anew, so that it writes again")
            self._restart_broker()
