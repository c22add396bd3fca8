"""Heads of HTTP and RTSP messages: parsed strictly and written anew, so that FFmpeg reads what was checked here."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, field

LONGEST_HEAD = 16 * 1024
"""Bytes. A camera's are below 1 KB."""
MOST_HEADERS = 100
LONGEST_BODY = 256 * 1024
"""Bytes of a description (SDP): a camera's is below 2 KB, and FFmpeg reads no more than 16 KB of one."""
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")
_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]")


class Malformed(Exception):
    """Bytes that are no message, or a message that can be read in two ways."""


@dataclass(frozen=True, slots=True)
class MessageHead:
    """The head of a message.

    Attributes:
        start: the first line.
        headers: names and values in their order, names as they were sent.
    """

    start: str
    headers: tuple[tuple[str, str], ...] = field(default=())

    def get(self, name: str) -> str | None:
        """The value of a header; None where it is missing.

        Raises:
            Malformed: the header is given twice, with different values.
        """
        values = {value for header, value in self.headers if header.lower() == name.lower()}
        if len(values) > 1:
            raise Malformed(f"{name} is given twice")
        return values.pop() if values else None

    def replace(self, name: str, value: str) -> MessageHead:
        """The same head with another value of a header, or with the header added."""
        others = tuple(header for header in self.headers if header[0].lower() != name.lower())
        return MessageHead(self.start, (*others, (name, value)))

    @property
    def length(self) -> int:
        """Number of bytes of the body.

        Raises:
            Malformed: it is no number, or more than LONGEST_BODY.
        """
        text = self.get("Content-Length")
        if text is None:
            return 0
        if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or int(text) > LONGEST_BODY:
            raise Malformed("the length of the body is no number, or too great")
        return int(text)

    def encode(self) -> bytes:
        """Encode the head for the wire, with the empty line."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")


def parse_head(raw: bytes) -> MessageHead:
    """Parse a head, without the empty line at its end. A line that is no header is removed.

    Raises:
        Malformed: it is no head.
    """
    start, *lines = [line.removesuffix(b"\r") for line in raw.split(b"\n")]
    if len(lines) > MOST_HEADERS:
        raise Malformed("too many headers")
    if not start.strip() or any(_FORBIDDEN.search(line) for line in (start, *lines)):
        raise Malformed("control characters")
    headers = []
    for line in lines:
        if line.startswith((b" ", b"\t")):
            raise Malformed("a header over two lines")
        name, colon, value = line.partition(b":")
        if colon and _NAME.fullmatch(name):
            headers.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))
    return MessageHead(start.decode("latin-1"), tuple(headers))


class Wire:
    """Reads messages and bytes from a connection, until a deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        """Read from a connection until a moment of `time.monotonic`, seconds."""
        self.connection = connection
        self._deadline = deadline
        self._waiting = bytearray()

    @property
    def holds_more(self) -> bool:
        """Tell whether bytes have been received that were not read yet."""
        return bool(self._waiting)

    def wait_at_most(self, seconds: float) -> None:
        """Set the deadline to some seconds from now."""
        self._deadline = time.monotonic() + seconds

    def peek(self) -> int:
        """Wait for the next byte, and return it without taking it.

        Raises:
            EOFError: the other side closed.
            OSError: the connection broke, or nothing came in time.
        """
        while not self._waiting:
            self._receive()
        return self._waiting[0]

    def head(self) -> MessageHead:
        """Read the next message's head.

        Raises:
            Malformed: it is no head, or longer than LONGEST_HEAD.
            EOFError: the other side closed.
            OSError: the connection broke, or nothing came in time.
        """
        while self.peek() in b"\r\n":
            del self._waiting[0]
        searched = 0
        while (end := re.compile(rb"\n\r?\n").search(self._waiting, searched)) is None:
            if len(self._waiting) > LONGEST_HEAD:
                raise Malformed("a head without an end")
            if _NO_TEXT.search(self._waiting, searched):
                raise Malformed("control characters")
            searched = max(0, len(self._waiting) - 2)
            self._receive()
        if end.end() > LONGEST_HEAD:
            raise Malformed("a head of more than 16 KB")
        raw = bytes(self._waiting[: end.start()])
        del self._waiting[: end.end()]
        return parse_head(raw.removesuffix(b"\r"))

    def exactly(self, count: int) -> bytes:
        """Read a number of bytes; raises as `peek` does."""
        while len(self._waiting) < count:
            self._receive()
        taken = bytes(self._waiting[:count])
        del self._waiting[:count]
        return taken

    def rest(self) -> bytes:
        """Take the bytes that have been received already."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken

    def _receive(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        received = self.connection.recv(16 * 1024)
        if not received:
            raise EOFError
        self._waiting += received
