"""Addresses that cannot be right are refused with what may have been meant, and never with a part of a password."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ingest.source import SourceError, SourceRefused
from services.ingest.sources.mistyped import meant_camera, unescaped_login
from services.ingest.sources.opening import open_source
from services.kit.network.ip_addresses import IPAddress


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("192.168.1.20", "192.168.1.20 is no file: if it is a camera, write it as rtsp://192.168.1.20/…"),
        ("192.168.1.20:554", "write it as rtsp://192.168.1.20:554/…"),
        ("192.168.1.20:8554/live", "write it as rtsp://192.168.1.20/…"),
        ("192.168.1.20/live/ch1", "write it as rtsp://192.168.1.20/…"),
        ("admin:Geheim99@192.168.1.20/live", "write it as rtsp://user:password@192.168.1.20/…"),
        ("camera.local", "write it as rtsp://camera.local/…"),
        ("camera.local/live", "write it as rtsp://camera.local/…"),
        ("localhost:554/live", "write it as rtsp://localhost:554/…"),
        ("[fe80::1]/live", "write it as rtsp://[fe80::1]/…"),
        ("rtsp:/192.168.1.20/live", "write it as rtsp://192.168.1.20/…"),
        ("rtsp:user:Geheim99@camera/live", "write it as rtsp://user:password@camera/…"),
    ],
)
def test_a_camera_without_its_scheme_is_told_how_to_be_written(given: str, words: str) -> None:
    with pytest.raises(SourceRefused, match=re.escape(words)):
        open_source(given)


@pytest.mark.parametrize(
    "given", ["shop.mp4", "films/shop.mp4", "shop", "a.b.c.mkv", "films.old/shop.avi", "1.2.3", "C:\\a.mp4"]
)
def test_a_file_that_is_not_there_is_taken_for_no_camera(given: str) -> None:
    assert meant_camera(given) == ""


def test_a_file_named_like_a_camera_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("camera.local").write_text("no camera")

    with pytest.raises(SourceRefused, match="text file"):
        open_source("camera.local")


@pytest.mark.parametrize("password", ["Ge#heim", "#Geheim", "Geheim#", "Ge/he#im", "Ge@he#im", "1#2"])
def test_a_number_sign_in_a_password_is_to_be_written_otherwise(password: str) -> None:
    with pytest.raises(SourceRefused, match=r"holds #, which has to be written as %23"):
        open_source(f"rtsp://admin:{password}@127.0.0.1:1/live")


@pytest.mark.parametrize(
    ("password", "words"), [("Ge/heim", r"holds /, .* as %2F"), ("Ge?heim", r"holds \?, .* as %3F")]
)
def test_so_is_what_ends_a_host(password: str, words: str) -> None:
    with pytest.raises(SourceRefused, match=words):
        open_source(f"rtsp://admin:{password}@127.0.0.1:1/live")


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://10.0.0.5/live@1",
        "rtsp://10.0.0.5:554/user=a@b",
        "rtsp://admin:Ge%23heim@10.0.0.5/live",
        "rtsp://admin:secret@10.0.0.5:554/live?x=a@b",
        "rtsp://[fe80::1]/live@1",
        "rtsp://10.0.0.5/live#part",
    ],
)
def test_what_a_path_may_hold_is_left_alone(address: str) -> None:
    assert unescaped_login(address) == ""


@pytest.mark.parametrize("address", ["-", "/dev/null", "/dev/zero"])
def test_what_is_no_file_is_refused_at_once(address: str) -> None:
    with pytest.raises(SourceRefused, match="give"):
        open_source(address)


SIGNS = "@:/#?%&=\\ "
WORD = st.text("QXZJWKV", min_size=4, max_size=7)
"""Made of letters that are in no message of ours, one after another."""


@st.composite
def addresses(draw: st.DrawFn) -> tuple[str, list[str]]:
    """An address with a password in it that was typed as it is, signs and all; and the words of the password."""
    words = draw(st.lists(WORD, min_size=1, max_size=3))
    signs = draw(st.lists(st.sampled_from(SIGNS), min_size=len(words) + 1, max_size=len(words) + 1))
    edges = draw(st.tuples(st.booleans(), st.booleans()))
    password = (signs[0] if edges[0] else "") + "".join(
        word + (signs[number + 1] if number + 1 < len(words) or edges[1] else "") for number, word in enumerate(words)
    )
    form = draw(
        st.sampled_from(
            [
                "rtsp://admin:{}@127.0.0.1:1/live",
                "http://admin:{}@127.0.0.1:1/live",
                "rtsps://{}@127.0.0.1:1/live",
                "rtsp://admin:{}",
                "rtsp://{}:admin@127.0.0.1:1/",
                "rtsp:admin:{}@127.0.0.1:1/live",
                "rtsp:/admin:{}@127.0.0.1:1/live",
                "admin:{}@127.0.0.1:1/live",
                "{}@127.0.0.1",
                "127.0.0.1:{}",
                "camera.local/{}",
                "ftp://admin:{}@127.0.0.1/live",
                "{}://127.0.0.1/live",
                "rtsp://127.0.0.1:1/user=admin_password={}_stream=0.sdp",
                "http://127.0.0.1:1/video?password={}",
                "rtsp://127.0.0.1:{}/live",
                "sim://door?people={}",
                "sim://{}",
            ]
        )
    )
    if "@" not in form:  # what stands behind an @ there is a host, by every rule
        password = password.replace("@", ":")
    return form.format(password), words


class Nowhere:
    """Lets nothing be connected to."""

    def allows(self, address: IPAddress, port: int) -> bool:
        return False


@settings(max_examples=300, deadline=None)
@given(addresses())
@example(("rtsp://admin:QXZJ#WKVQ@127.0.0.1:1/live", ["QXZJ", "WKVQ"]))
@example(("sim://QXZJ", ["QXZJ"]))
@example(("QXZJ://127.0.0.1/live", ["QXZJ"]))
def test_no_error_holds_a_part_of_a_password(given: tuple[str, list[str]]) -> None:
    address, words = given
    with pytest.raises(SourceError) as caught:
        open_source(address, egress=Nowhere(), open_timeout=0.2, read_timeout=0.2)

    for word in words:
        assert word.lower() not in str(caught.value).lower(), address
