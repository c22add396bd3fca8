"""The options that people may write behind `./taskw up`, and the answers where one can't be."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.spec import Side
from infra.local.errors import LocalError
from infra.local.options import read_options


def test_nothing_said_is_the_default() -> None:
    options = read_options([], {})
    assert (options.camera, options.line, options.port, options.detectors) == (None, None, 8080, 1)


def test_arguments_win_over_the_environment() -> None:
    options = read_options(["PORT=9001", "IN=left"], {"PORT": "9000", "LINE": "0.1,0.2,0.3,0.4"})
    assert (options.port, options.in_side, options.line) == (9001, Side.LEFT, (0.1, 0.2, 0.3, 0.4))


def test_a_file_is_meant_from_where_the_command_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.mp4").touch()
    monkeypatch.chdir(tmp_path)
    assert read_options(["CAMERA=shop.mp4"], {}).camera == str(tmp_path / "shop.mp4")


@pytest.mark.parametrize("address", ["rtsp://user:word@camera/1", "http://camera/mjpeg", "sim://door?seed=3", "0"])
def test_addresses_and_device_numbers_are_taken_as_they_are(address: str) -> None:
    assert read_options([f"CAMERA={address}"], {}).camera == address


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("CAMERA=missing.mp4", "there is no file"),
        ("CAMERA=/", "is a folder"),
        ("LINE=0.5,0", "LINE=0.5,0: give four numbers"),
        ("LINE=left", "give four numbers"),
        ("LINE=0.5,0,0.5,1.5", "outside the picture"),
        ("LINE=0.5,0.5,0.501,0.5", "shorter than"),
        ("IN=inside", "IN=inside: "),
        ("PORT=99999", "PORT=99999: "),
        ("CAMERA_TRACK=one", "CAMERA_TRACK=one: "),
        ("CAMERA_RATE=-1", "CAMERA_RATE=-1: "),
        ("DETECTORS=0", "DETECTORS=0: "),
        ("CAMRA=0", "'CAMRA=0' is not understood: give CAMERA="),
        ("video.mp4", "'video.mp4' is not understood"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(argument: str, told: str) -> None:
    with pytest.raises(LocalError) as refusal:
        read_options([argument], {})
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["HOST", "METRICA_HOST"])
def test_other_machines_are_let_in_only_where_everybody_signs_in(name: str) -> None:
    for arguments, environment in (([f"{name}=0.0.0.0"], {}), ([], {name: "0.0.0.0"})):
        with pytest.raises(LocalError, match="say so by METRICA_LOCAL_ACCESS=none"):
            read_options(arguments, environment)
        options = read_options([*arguments, "METRICA_LOCAL_ACCESS=none"], environment)
        assert (options.host, options.local_access) == ("0.0.0.0", "none")
    with pytest.raises(LocalError, match=f"give {name}=0.0.0.0"):
        read_options([f"{name}=192.168.1.7", "METRICA_LOCAL_ACCESS=none"], {})
