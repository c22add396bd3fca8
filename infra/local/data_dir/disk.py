"""Watches the disk of the data folder: says when it is full, and brings NATS back once it no longer is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

NEARLY_FULL = 48 * 1024 * 1024
"""Bytes. Postgres alone takes the next 16 MB for its log in one piece."""
ROOM_AGAIN = 128 * 1024 * 1024


class DiskWatch:
    """Looks at how much is free.

    Args:
        folder: on the disk that is watched.
        tell: gets a line when it is nearly full, and when there is room again.
        restart_broker: ends nats-server, which is then started again. Once a write of a stream has failed for want of
            space, nats-server 2.15 refuses all that follow, also when space is there: nothing more would be counted.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None], restart_broker: Callable[[], None]) -> None:
        self._folder, self._tell, self._restart_broker = folder, tell, restart_broker
        self._full = False

    def look(self) -> None:
        """Look once.

        Raises:
            OSError: the folder is gone.
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
