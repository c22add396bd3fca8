"""Video files as sources: read frame by frame, with the times that the file gives."""

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
from services.ingest.decoding.limits import FILE_OPTIONS
from services.ingest.decoding.remarks import INTERLACED, choice, slow_decoding
from services.ingest.decoding.timestamps import Timestamps
from services.ingest.decoding.track import PacketTimes, Track, first_packets, tracks_of
from services.ingest.source import Note, SourceLost, SourceRefused
from services.ingest.sources.unreadable import is_encrypted, is_picture, reason_unreadable
from services.kit.codec import Image

DAMAGE_TOLERATED = 250
"""Unreadable packets in a row after which the rest of a file is given up: 10 s at 25 fps."""
_CLOCKED = ("mpegts", "mpeg")
"""Containers that carry a running clock, which may be set while they are recorded."""
_FALLBACK_FPS = 25.0
"""FFmpeg's assumption for a stream without times."""


class VideoFile:
    """A video file as a source of frames.

    Args:
        path: of the file.
        decoder: of its video; its first frame is read.
        track: the number of the track that was asked for, if any.
        rate: frames per second, in place of the file's times.

    Attributes:
        name: the file's.
        size: width and height of the first frame, pixels.
        fps: frames per second: the rate given at opening, or as the file says; None where neither is known.
        length: the number of frames, as the file says; None where it does not say.

    Raises:
        SourceRefused: it holds no frame that can be read and converted.
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
        self._path, self.name = path, host_only(str(path))
        self._decoder, self._asked_track, self._rate = decoder, track, rate
        self.fps = rate or decoder.fps or None
        self.length, self._format = decoder.length, decoder.format
        self._timestamps = Timestamps(
            round(SECOND / (self.fps or _FALLBACK_FPS)),
            ignored=rate is not None or decoder.times_are_broken,
            jumps_are_faults=self._format in _CLOCKED,
        )
        self._last_pts: int | None = None
        self._pending, self._ended = True, False
        if not decoder.grab():
            decoder.close()
            raise SourceRefused(
                f"{self.name} holds no frame that can be read: it is empty, cut off, damaged or encrypted; copy it "
                "again from where it comes",
                code="file-without-frames",
                source=self.name,
            )
        image = decoder.retrieve()
        if image is None:
            decoder.close()
            raise SourceRefused(
                f"{self.name}: its frames cannot be unpacked into 8-bit pictures",
                code="frames-undecodable",
                source=self.name,
            )
        self.size = (image.shape[1], image.shape[0])

    @property
    def notes(self) -> list[Note]:
        """Remarks on unusual properties of the file; complete once it was read to its end."""
        decoder, repairs = self._decoder, self._timestamps.repairs
        rate = f"{self.fps or _FALLBACK_FPS:g} frames a second are taken"
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
                if self._format in _CLOCKED
                else f"the times of {repairs.jumps} of its frames are out of order"
            )
            notes.append(Note(f"{times}: they go on at the frame rate"))
        extent = decoder.extent
        if extent.damaged:
            subject = "1 damaged picture was" if extent.damaged == 1 else f"{extent.damaged} damaged pictures were"
            notes.append(Note(f"{subject} passed over"))
        if extent.corrupt:
            subject = "1 picture is" if extent.corrupt == 1 else f"{extent.corrupt} pictures are"
            notes.append(Note(f"{subject} damaged in part"))
        if self._ended and (end := broken_end(self._path) if self._format == "mpegts" else extent.missing):
            notes.append(Note(end))
        return notes

    def facts(self, *, begin: float = 0.0) -> Facts:
        """Describe the file. It is opened a second time for that.

        Args:
            begin: seconds to skip before its fields are judged.

        Raises:
            SourceLost: it cannot be opened any more.
        """
        try:
            return facts_of(self._path, self._decoder.track, self.fps or 0.0, begin=begin)
        except FFmpegError as error:
            raise SourceLost(f"{self.name} cannot be opened any more", code="file-gone", source=self.name) from error

    def grab(self) -> int | None:
        """Go to the next frame. Returns its time, ns; None at the end."""
        # The first frame was grabbed when the file was opened.
        if not self._pending and not self._decoder.grab():
            self._decoder.stop_if_closed()
            self._ended = True
            return None
        self._pending = False
        self._last_pts = self._timestamps.next(self._decoder.time)
        return self._last_pts

    def retrieve(self) -> Image:
        """Convert the picture of the frame that `grab` went to."""
        image = self._decoder.retrieve()
        if image is None:
            self._decoder.stop_if_closed()
            raise SourceLost(
                f"{self.name}: the frame at {(self._last_pts or 0) / SECOND:.2f} s cannot be unpacked",
                code="broken-frame",
                source=self.name,
            )
        return image

    def content_sha256(self) -> str:
        """The sum of the file's bytes at the first call, and of the track and rate where they were asked for."""
        if self._asked_track is None and self._rate is None:
            return self._content_sha256
        reading = f"{self._content_sha256} track={self._asked_track} rate={self._rate}"
        return hashlib.sha256(reading.encode()).hexdigest()

    @cached_property
    def _content_sha256(self) -> str:
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise SourceRefused(
                f"{self.name} cannot be read: {error.strerror}",
                code="file-not-readable",
                source=self.name,
                strerror=error.strerror,
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()


def open_video(path: Path, *, track: int | None = None, rate: float | None = None) -> VideoFile:
    """Open a video file.

    Args:
        path: of the file.
        track: the number of the video track to read, from 1; None chooses the main one.
        rate: frames per second, in place of the file's times where those are wrong or missing.

    Raises:
        SourceRefused: no such file, no video, or no frame in it.
    """
    name = host_only(str(path))
    _refuse_unless_file(path, name)
    # FFmpeg never takes an absolute path for one of its protocols (`concat:…`).
    absolute = str(path.resolve())
    try:
        tracks, packets, has_sound = _inspect(absolute)
        if not tracks:
            raise SourceRefused(
                f"{name} {'has sound and no video' if has_sound else 'holds no video'}",
                code="file-without-video",
                source=name,
            )
        if not any(known.codec for known in tracks):
            raise SourceRefused(reason_unreadable(path, name, undecodable=True), code="file-unreadable", source=name)
        if is_encrypted(path):  # FFmpeg may decode some of its pictures all the same
            raise SourceRefused(reason_unreadable(path, name), code="file-unreadable", source=name)
        if is_picture(path) and all(len(times) <= 1 for times in packets.values()):
            raise SourceRefused(reason_unreadable(path, name), code="file-unreadable", source=name)
        decoder = Decoder(name, absolute, FILE_OPTIONS, track=track, packets=packets, damage_tolerated=DAMAGE_TOLERATED)
    except (FFmpegError, MemoryError):
        raise SourceRefused(reason_unreadable(path, name), code="file-unreadable", source=name) from None
    return VideoFile(path, decoder, track=track, rate=rate)


def _refuse_unless_file(path: Path, name: str) -> None:
    try:
        if path.is_dir():
            raise SourceRefused(f"{name} is a folder: give one video file in it", code="file-is-folder", source=name)
        if not path.exists():
            raise SourceRefused(f"{name}: there is no such file", code="no-such-file", source=name)
        if path.is_fifo():
            raise SourceRefused(
                f"{name} is a pipe, which can be read only once: save it as a file first",
                code="file-is-pipe",
                source=name,
            )
        if not path.is_file():
            raise SourceRefused(
                f"{name} is a device and no file: give a video file, or a camera's number as in 0",
                code="file-is-device",
                source=name,
            )
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise SourceRefused(
            f"{name} cannot be read: {error.strerror}", code="file-not-readable", source=name, strerror=error.strerror
        ) from error
    if empty:
        raise SourceRefused(f"{name} is an empty file: it holds no video", code="file-empty", source=name)


def _inspect(path: str) -> tuple[list[Track], PacketTimes, bool]:
    """Read a file's video tracks, the times of their first packets, and whether it has sound."""
    with open_container(path, FILE_OPTIONS) as container:
        return tracks_of(container), first_packets(container), bool(container.streams.audio)
