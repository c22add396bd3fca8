"""Messages for files that hold no readable video: the kind of file, by its first bytes, and the command that helps."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Final

from contracts.address import UNKNOWN

_HEAD: Final = 64 * 1024
_UNPACK: Final = "unpack it, and give the video that is in it"
_SOUND: Final = "has sound and no video"
_STARTS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG", "is a picture (PNG) and no video"),
    (0, b"GIF8", "is a picture (GIF) and no video"),
    (0, b"BM", "is a picture (BMP) and no video"),
    (0, b"II*\x00", "is a picture (TIFF) and no video"),
    (0, b"MM\x00*", "is a picture (TIFF) and no video"),
    (8, b"WEBP", "is a picture (WebP) and no video"),
    (0, b"\xff\xd8\xff", "is a picture (JPEG) and no video"),
    (4, b"ftypavif", "is a picture (AVIF) and no video"),
    (4, b"ftypheic", "is a picture (HEIC) and no video"),
    (4, b"ftypmif1", "is a picture (HEIC) and no video"),
    (0, b"PK\x03\x04", f"is a zip archive: {_UNPACK}"),
    (0, b"Rar!", f"is a rar archive: {_UNPACK}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"is a 7z archive: {_UNPACK}"),
    (0, b"\x1f\x8b", f"is a gzip archive: {_UNPACK}"),
    (0, b"BZh", f"is a bzip2 archive: {_UNPACK}"),
    (0, b"\xfd7zXZ", f"is an xz archive: {_UNPACK}"),
    (0, b"\x28\xb5\x2f\xfd", f"is a zstd archive: {_UNPACK}"),
    (257, b"ustar", f"is a tar archive: {_UNPACK}"),
    (0, b"%PDF", "is a PDF document and no video"),
    (0, b"\x7fELF", "is a program and no video"),
    (0, b"MZ", "is a program and no video"),
    (0, b"ID3", _SOUND),
    (0, b"\xff\xfb", _SOUND),
    (0, b"\xff\xf1", _SOUND),
    (0, b"fLaC", _SOUND),
    (8, b"WAVE", _SOUND),
    (0, b"#!AMR", _SOUND),
    (8, b"AIFF", _SOUND),
)
_CODINGS: Final = {"av01": "AV1", "av1": "AV1", "vvc1": "H.266", "evc1": "EVC", "avs3": "AVS3", "lvc1": "LCEVC"}
"""Names of codings, by the four letters (FourCC) that containers use."""
_DRM_OF_ASF: Final = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")
"""The GUID of ASF's content encryption object."""
_EBML: Final = b"\x1a\x45\xdf\xa3"
_MASTERS: Final = {bytes.fromhex(element) for element in ("18538067", "1654ae6b", "ae", "6d80", "6240")}
"""Matroska's Segment, Tracks, TrackEntry, ContentEncodings and ContentEncoding: a ContentEncryption lies in them."""
_TS_PACKET, _TS_SYNC, _SCRAMBLED = 188, 0x47, 0xC0
_PROTECTED: Final = "is encrypted (DRM): export it without protection from the program or the recorder that has its key"


def reason_unreadable(path: Path, name: str, *, undecodable: bool = False) -> str:
    """The message that says why a file cannot be read, and what to do.

    Args:
        path: of a file that FFmpeg could not open or decode.
        name: the file's name for display.
        undecodable: true if it holds video in a coding without a decoder.
    """
    head = b""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(_HEAD)
    if is_encrypted(path, head):
        return f"{name} {_PROTECTED}"
    convert = f"ffmpeg -i {_quoted(name)} -c:v libx264 out.mp4"
    if undecodable:
        return f"{name} holds {_coding(path, head)} video, which this build cannot decode: {convert}"
    if words := kind_of(head):
        return f"{name} {words}"
    if not head.strip(b"\x00"):
        return f"{name} is no video: it holds zeros alone; copy it again from where it comes"
    if _lacks_index(path, head):
        return (
            f"{name} is no video that can be read: it lacks its index (moov), as after a power cut or a broken copy; "
            f"untrunc whole.mp4 {_quoted(name)} may repair it, whole.mp4 being another one of the same camera"
        )
    if _is_text(head):
        return f"{name} is no video: it is a text file"
    return (
        f"{name} is no video that can be read: FFmpeg does not know its format, or its beginning is missing; where it "
        f"plays elsewhere, {convert}"
    )


def kind_of(head: bytes) -> str:
    """The kind of a file by its first bytes, as a message without its name; empty where it is unknown."""
    return next((words for at, magic, words in _STARTS if head[at : at + len(magic)] == magic), "")


def is_picture(path: Path) -> bool:
    """Tell whether a file is a single picture, which FFmpeg takes for a video of one frame."""
    with suppress(OSError), path.open("rb") as file:
        return "picture" in kind_of(file.read(64))
    return False


def is_encrypted(path: Path, head: bytes | None = None) -> bool:
    """Tell whether a file's video is encrypted, by the marks of its container.

    Args:
        path: of the file.
        head: its first bytes, where they were read already.
    """
    if head is None:
        with suppress(OSError), path.open("rb") as file:
            head = file.read(_HEAD)
    if not head:
        return False
    if head[4:8] == b"ftyp":
        return _sample_entry(path) in (b"encv", b"drmi")
    if head.startswith(_EBML):
        return _has_content_encryption(head)
    if head.startswith(bytes.fromhex("3026b2758e66cf11")):
        return _DRM_OF_ASF in head
    packets = [head[at : at + 4] for at in range(0, len(head) - 4, _TS_PACKET)]
    if len(packets) > 2 and all(packet[0] == _TS_SYNC for packet in packets):
        return sum(bool(packet[3] & _SCRAMBLED) for packet in packets) > len(packets) / 2
    return False


def _coding(path: Path, head: bytes) -> str:
    """The name of a video's coding, as its container says."""
    if head[4:8] in (b"ftyp", b"moov", b"wide"):
        code = _sample_entry(path).decode("ascii", "replace").strip()
    else:
        match = re.search(rb"V_([A-Z0-9/_]{2,30})", head) or re.search(rb"vids(.{4})", head, re.DOTALL)
        code = match[1].decode("ascii", "replace").strip() if match else ""
    return _CODINGS.get(code.lower(), code) if code.isprintable() and code else "an unknown kind of"


def _sample_entry(path: Path) -> bytes:
    """The FourCC of an MP4's first video track; empty where there is none."""
    match = re.search(rb"vmhd.*?stsd.{12}(.{4})", _box(path, b"moov"), re.DOTALL)
    return match[1] if match else b""


def _has_content_encryption(head: bytes) -> bool:
    """Tell whether a track in the first bytes of a Matroska file has a ContentEncryption."""
    at, end = 0, len(head)
    while at < end - 12:
        id_length = 9 - head[at].bit_length()
        element, at = head[at : at + id_length], at + id_length
        length = 9 - head[at].bit_length()
        size = int.from_bytes(head[at : at + length], "big") & ((1 << 7 * length) - 1)
        at += length
        if element == b"\x50\x35":
            return True
        if element == b"\x1f\x43\xb6\x75":  # a cluster: the pictures begin
            return False
        at += 0 if element in _MASTERS else size
    return False


def _lacks_index(path: Path, head: bytes) -> bool:
    """Tell whether a file is an MP4 or QuickTime file without a whole `moov` box."""
    return head[4:8] in (b"ftyp", b"mdat", b"wide", b"free") and not _box(path, b"moov")


def _box(path: Path, kind: bytes) -> bytes:
    """The content of the first whole box of a kind in an MP4, at most 16 MB; empty where there is none."""
    with suppress(OSError), path.open("rb") as file:
        size, at = path.stat().st_size, 0
        while at + 8 <= size:
            file.seek(at)
            header = file.read(16)
            length, box = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            elif length == 0:
                length = size - at
            if length < 8:
                return b""
            if box == kind:
                return file.read(min(length, 16 * 1024 * 1024)) if at + length <= size else b""
            at += length
    return b""


def _is_text(head: bytes) -> bool:
    try:
        text = head[:4096].decode()
    except UnicodeDecodeError as error:
        if error.start < min(len(head), 4096) - 4:  # not a letter that the end of the head cuts in two
            return False
        text = head[: error.start].decode()
    return all(letter.isprintable() or letter in "\r\n\t\f" for letter in text)


def _quoted(name: str) -> str:
    return "in.mp4" if name == UNKNOWN else shlex.quote(name)
