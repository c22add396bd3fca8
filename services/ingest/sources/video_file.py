"""Video files: read frame by frame, each with the time that the file gives it."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from av.error import FFmpegError

from contracts.address import host_only
from contracts.identity import Policy
from services.ingest.decimator import SECOND
from services.ingest.decoding.completeness import broken_end
from services.ingest.decoding.decoder import Decoder, open_container
from services.ingest.decoding.facts import Facts, facts_of
from services.ingest.decoding.limits import OF_FILE
from services.ingest.decoding.remarks import INTERLACED, choice, slow_decoding
from services.ingest.decoding.timestamps import Timestamps
from services.ingest.decoding.track import PacketTimes, Track, first_packets, tracks_of
from services.ingest.source import Note, SourceLost, SourceRefused
from services.ingest.sources.unreadable import explain, is_encrypted, is_picture
from services.kit.codec import Image

DAMAGE_TOLERATED = 250
"""Packets in a row that may be unreadable before what follows is given up as the end: 10 s at 25 fps."""
_CLOCKED = ("mpegts", "mpeg")
"""Containers that carry a running clock, which may be set while they are recorded."""
_FALLBACK_FPS = 25.0
"""As FFmpeg assumes of a stream without times."""


class VideoFile:
    """A video file as a source of frames.

    Args:
        path: of the file.
        decoder: of its video.
        track: the number of the one that was asked for, if any.
        rate: frames per second, in place of the file's times.
    """

    policy = Policy.EVERY

    def __init__(
        self,
        path: Path,
        decoder: Decoder,
        *,
        track: int | None = None,
        rate: float | None = None,
    ) -> None:
        self._path, self._name = path, host_only(str(path))
        self._decoder, self._wanted, self._rate = decoder, track, rate
        self._fps = rate or decoder.fps or None
        self._length, self._form = decoder.length, decoder.form
        self._timestamps = Timestamps(
            round(SECOND / (self._fps or _FALLBACK_FPS)),
            ignored=rate is not None or decoder.times_are_broken,
            jumps_are_faults=self._form in _CLOCKED,
        )
        self._last_pts: int | None = None
        self._pending, self._ended = True, False
        if not decoder.grab():
            decoder.close()
            raise SourceRefused(
                f"{self._name} holds no frame that can be read: it is empty, cut off, damaged or encrypted; copy it "
                "again from where it comes"
            )
        image = decoder.retrieve()
        if image is None:
            decoder.close()
            raise SourceRefused(f"{self._name}: its frames cannot be unpacked into 8-bit pictures")
        self._size = (image.shape[1], image.shape[0])

    @property
    def name(self) -> str:
        """The file's name."""
        return self._name

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame, pixels."""
        return self._size

    @property
    def fps(self) -> float | None:
        """Frames per second, as the file says, or who opened it."""
        return self._fps

    @property
    def length(self) -> int | None:
        """How many frames the file says it has."""
        return self._length

    @property
    def notes(self) -> list[Note]:
        """Remarks on what is unusual about the file; complete once it was read to its end."""
        decoder, repairs = self._decoder, self._timestamps.repairs
        rate = f"{self._fps or _FALLBACK_FPS:g} frames a second are taken"
        notes = []
        if chosen := choice(decoder):
            notes.append(Note(chosen, "--track"))
        if slow := slow_decoding(decoder):
            notes.append(Note(slow))
        if decoder.interlaced:
            notes.append(Note(INTERLACED))
        if self._rate is None and decoder.times_are_broken:
            notes.append(Note(f"its times are broken: {rate} instead", "--rate"))
        elif repairs.missing:
            notes.append(Note(f"{repairs.missing} of its frames have no time: {rate}", "--rate"))
        if repairs.jumps:
            times = (
                f"its clock was set while it was recorded, {repairs.jumps}×"
                if self._form in _CLOCKED
                else f"the times of {repairs.jumps} of its frames are out of order"
            )
            notes.append(Note(f"{times}: they go on at the frame rate"))
        extent = decoder.extent
        if extent.damaged:
            what = "1 damaged picture was" if extent.damaged == 1 else f"{extent.damaged} damaged pictures were"
            notes.append(Note(f"{what} passed over"))
        if extent.spoilt:
            what = "1 picture is" if extent.spoilt == 1 else f"{extent.spoilt} pictures are"
            notes.append(Note(f"{what} damaged in part"))
        if self._ended and (end := broken_end(self._path) if self._form == "mpegts" else extent.missing):
            notes.append(Note(end))
        return notes

    def facts(self, *, begin: float = 0.0) -> Facts:
        """What the file is. It is opened anew for that.

        Args:
            begin: seconds to pass over before its fields are judged.

        Raises:
            SourceLost: it cannot be opened any more.
        """
        try:
            return facts_of(self._path, self._decoder.track, self._fps or 0.0, begin=begin)
        except FFmpegError as error:
            raise SourceLost(f"{self._name} cannot be opened any more") from error

    def grab(self) -> int | None:
        """Go to the next frame: its time, or None at the end."""
        # The first frame was grabbed when the file was opened.
        if not self._pending and not self._decoder.grab():
            self._decoder.stop_if_closed()
            self._ended = True
            return None
        self._pending = False
        self._last_pts = self._timestamps.next(self._decoder.time)
        return self._last_pts

    def retrieve(self) -> Image:
        """The picture of the frame that `grab` went to."""
        image = self._decoder.retrieve()
        if image is None:
            self._decoder.stop_if_closed()
            raise SourceLost(f"{self._name}: the frame at {(self._last_pts or 0) / SECOND:.2f} s cannot be unpacked")
        return image

    def content_sha256(self) -> str:
        """The sum of the file's bytes, as it was when first asked for, and of how else than usual it is read."""
        if self._wanted is None and self._rate is None:
            return self._content_sha256
        return hashlib.sha256(f"{self._content_sha256} track={self._wanted} rate={self._rate}".encode()).hexdigest()

    @cached_property
    def _content_sha256(self) -> str:
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise SourceRefused(f"{self._name} cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()


def open_video(path: Path, *, track: int | None = None, rate: float | None = None) -> VideoFile:
    """Open a video file.

    Args:
        path: of the file.
        track: the number of the video track to read, from 1, where it has several; else the main one is.
        rate: frames per second, where its times are wrong or missing.

    Raises:
        SourceRefused: no such file, no video, or no frame in it.
    """
    name = host_only(str(path))
    _refuse_what_is_no_file(path, name)
    # An absolute path is never taken for one of FFmpeg's protocols (`concat:…`).
    whole = str(path.resolve())
    try:
        tracks, packets, has_sound = _look(whole)
        if not tracks:
            raise SourceRefused(f"{name} {'has sound and no video' if has_sound else 'holds no video'}")
        if not any(one.codec for one in tracks):
            raise SourceRefused(explain(path, name, undecodable=True))
        if is_encrypted(path):  # some of its pictures may decode to something
            raise SourceRefused(explain(path, name))
        if is_picture(path) and all(len(times) <= 1 for times in packets.values()):
            raise SourceRefused(explain(path, name))
        decoder = Decoder(name, whole, OF_FILE, track=track, packets=packets, damage_tolerated=DAMAGE_TOLERATED)
    except (FFmpegError, MemoryError):
        raise SourceRefused(explain(path, name)) from None
    return VideoFile(path, decoder, track=track, rate=rate)


def _refuse_what_is_no_file(path: Path, name: str) -> None:
    try:
        if path.is_dir():
            raise SourceRefused(f"{name} is a folder: give one video file in it")
        if not path.exists():
            raise SourceRefused(f"{name}: there is no such file")
        if path.is_fifo():
            raise SourceRefused(f"{name} is a pipe, which can be read only once: save it as a file first")
        if not path.is_file():
            raise SourceRefused(f"{name} is a device and no file: give a video file, or a camera's number as in 0")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise SourceRefused(f"{name} cannot be read: {error.strerror}") from error
    if empty:
        raise SourceRefused(f"{name} is an empty file: it holds no video")


def _look(path: str) -> tuple[list[Track], PacketTimes, bool]:
    """The video tracks of a file, their first packets, and whether it has sound."""
    with open_container(path, OF_FILE) as container:
        return tracks_of(container), first_packets(container), bool(container.streams.audio)
