"""A full disk is told, and counting goes on by itself once there is room."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.local.data_dir.disk import NEARLY_FULL, ROOM_AGAIN, DiskWatch


class Disk:
    """A disk whose free bytes are as told, under a watch that has looked at each."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._usage = shutil.disk_usage(folder)
        self.said: list[str] = []
        self.restarts = 0
        self._watch = DiskWatch(folder, self.said.append, self._restart)
        monkeypatch.setattr("shutil.disk_usage", lambda _path: self._usage)

    def has_free(self, *amounts: int) -> None:
        for free in amounts:
            self._usage = self._usage._replace(free=free)
            self._watch.look()

    def _restart(self) -> None:
        self.restarts += 1


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


def test_with_room_nothing_is_said(disk: Disk) -> None:
    disk.has_free(10 * ROOM_AGAIN, ROOM_AGAIN, NEARLY_FULL)
    assert (disk.said, disk.restarts) == ([], 0)


def test_a_full_disk_is_told_once(disk: Disk) -> None:
    disk.has_free(3 * 2**20, 0, 2**20, NEARLY_FULL + 1)
    (line,) = disk.said
    assert "only 3 MB are free" in line
    assert disk.restarts == 0


def test_the_broker_is_started_anew_once_there_is_room(disk: Disk) -> None:
    disk.has_free(0, ROOM_AGAIN, 2 * ROOM_AGAIN)
    assert disk.restarts == 1
    assert "room again" in disk.said[-1]
