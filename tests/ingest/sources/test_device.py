"""Cameras of this machine that are not there, or are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.ingest.source import SourceLost
from services.ingest.sources.device import open_device


def test_a_camera_that_is_not_plugged_in(tmp_path: Path) -> None:
    with pytest.raises(SourceLost, match=r"there is no camera 3 on this machine \(.*/video3 is missing\): plug it in"):
        open_device(3, folder=tmp_path)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_camera_is_said_to_be_none(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "video0")

    with pytest.raises(SourceLost, match=r"camera 0 \(.*/video0\) will not open"):
        open_device(0, folder=tmp_path)
