"""An RTSP relay on loopback, through which FFmpeg reaches one camera and nothing else.

FFmpeg resolves no names, and connects to the relay alone. The relay parses messages until the camera plays, and copies
bytes from then on. FFmpeg would follow a redirect (3xx) anywhere, so the relay never passes one on: the opener reads it
from `moved`, and opens the new address under the same rule for connections. Once the camera plays, FFmpeg follows no
redirects any more. Where the camera sends by UDP, FFmpeg does not notice (`rtp_over_udp`).
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time

from services.ingest.egress.connections import Connections, Exhausted
from services.ingest.egress.heads import Malformed, MessageHead, Wire
from services.ingest.egress.policy import Egress
from services.ingest.egress.rtp_over_udp import UdpPorts, UdpRefused
from services.ingest.source import SourceLost, SourceRefused

BUFFER = 256 * 1024
"""Bytes that are copied at once."""
MOST_MESSAGES = 64
"""Most requests until the camera plays: OPTIONS, DESCRIBE, a SETUP for each track, and each again with the password."""
_STATUS = re.compile(r"RTSP/1\.\d (\d{3})(?: .*)?", re.ASCII)
_REQUEST = re.compile(r"([A-Z_]+) \S+ RTSP/1\.\d", re.ASCII)
_INTERLEAVED = 0x24  # "$": the first byte of an RTP or RTCP packet among the messages
_MESSAGE_SECONDS = 5.0
"""Time for the rest of a message after its first byte, while packets come by UDP."""
_UNSUPPORTED_TRANSPORT = 461


class RtspRelay(Connections):
    """Relays one connection of FFmpeg to a camera that was dialled already.

    Args:
        name: of the source, for display.
        camera: the connection to the camera.
        timeout: seconds until the camera must play.
        udp: the rule for UDP packets to the camera. Where it is given, the camera is asked to send by UDP.

    Attributes:
        moved: the address of the camera's redirect; None where there was none.
        port: of the relay on 127.0.0.1.
    """

    def __init__(self, name: str, camera: socket.socket, *, timeout: float, udp: Egress | None = None) -> None:
        super().__init__(name)
        self.moved: str | None = None
        self._egress = udp
        self._udp: UdpPorts | None = None
        self._deadline = time.monotonic() + timeout
        self._camera = self.keep(camera)
        self._listener = self.keep(socket.create_server(("127.0.0.1", 0), backlog=1))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True, name="rtsp relay").start()

    def _serve(self) -> None:
        try:
            self._relay()
        except Exhausted:
            self.failure = SourceLost(
                f"{self.name} sends more data than a picture takes, and no picture",
                code="more-than-a-picture",
                source=self.name,
            )
        except Malformed as error:
            self.failure = SourceLost(
                f"{self.name} does not speak RTSP properly: {error}",
                code="no-proper-rtsp",
                source=self.name,
                error=error,
            )
        except UdpRefused:
            self.failure = SourceRefused(
                f"{self.name} does not send by UDP: write rtsp:// instead of rtspu://", code="no-udp", source=self.name
            )
        except (OSError, EOFError):  # either side may close at any time, and `close` ends both
            pass
        finally:
            self.close()

    def _relay(self) -> None:
        self._listener.settimeout(max(0.0, self._deadline - time.monotonic()))
        accepted, _ = self._listener.accept()
        self.drop(self._listener)  # one source, one connection
        reader = self.keep(accepted)
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._egress is not None:
            self._udp = UdpPorts(self._camera, self._egress, self.keep)
        from_reader, from_camera = (Wire(connection, self._deadline) for connection in (reader, self._camera))
        self._converse(from_reader, from_camera)
        if self.moved is not None:
            return
        if self._udp is not None:
            self._relay_udp(self._udp, from_reader, from_camera)
        else:
            for connection in (reader, self._camera):
                connection.settimeout(None)
            self._camera.sendall(from_reader.rest())
            reader.sendall(from_camera.rest())
            self._copy(reader)

    def _converse(self, reader: Wire, camera: Wire) -> None:
        """Relay requests and their answers until a PLAY succeeds, or an answer is a redirect."""
        for _ in range(MOST_MESSAGES):
            request = reader.head()
            request_line = _REQUEST.fullmatch(request.start)
            if request_line is None:
                raise Malformed("FFmpeg's request cannot be read")
            method = self.unanswered = request_line[1]
            over_udp = self._udp if method == "SETUP" else None
            if over_udp is not None:
                request = over_udp.ask(request)
            camera.connection.sendall(request.encode() + reader.exactly(request.length))
            answer, body = self._answer(reader, camera)
            status_line = _STATUS.fullmatch(answer.start)
            if status_line is None:
                raise Malformed("its answer has no status line")
            self.status, self.unanswered = int(status_line[1]), ""
            if 300 <= self.status < 400:
                self.moved = answer.get("Location") or ""
                return
            if self.status == _UNSUPPORTED_TRANSPORT:
                self._refuse_transport()
            if over_udp is not None and 200 <= self.status < 300:
                answer = over_udp.answer(answer)
            reader.connection.sendall(answer.encode() + body)
            if method == "PLAY" and 200 <= self.status < 300:
                return
        raise Malformed(f"it does not play after {MOST_MESSAGES} requests")

    def _refuse_transport(self) -> None:
        if self._udp is not None:
            raise UdpRefused
        self.failure = SourceRefused(
            f"{self.name} does not send over TCP: write rtspu:// instead of rtsp://, for UDP",
            code="no-tcp",
            source=self.name,
        )

    def _answer(self, reader: Wire, camera: Wire) -> tuple[MessageHead, bytes]:
        """Read the camera's next message, head and body. Packets before it are passed on to FFmpeg."""
        while camera.peek() == _INTERLEAVED:
            packet = camera.exactly(4)
            packet += camera.exactly(int.from_bytes(packet[2:]))
            self.count(len(packet))
            reader.connection.sendall(packet)
        answer = camera.head()
        return answer, camera.exactly(answer.length)

    def _copy(self, reader: socket.socket) -> None:
        """Copy bytes in both directions until one side closes."""
        # One buffer, filled and emptied in turns: while FFmpeg does not read, the camera is not read either.
        camera, buffer = self._camera, memoryview(bytearray(BUFFER))
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.register(camera, select.POLLIN)
        camera_at = camera.fileno()
        while True:
            if isinstance(camera, ssl.SSLSocket) and camera.pending():
                ready = [camera_at]
            else:
                ready = [descriptor for descriptor, _ in poll.poll()]
            for descriptor in ready:
                source, target = (camera, reader) if descriptor == camera_at else (reader, camera)
                count = source.recv_into(buffer)
                if not count:
                    return
                if source is camera:
                    self.count(count)
                target.sendall(buffer[:count])

    def _relay_udp(self, udp: UdpPorts, reader: Wire, camera: Wire) -> None:
        """Pass UDP packets to FFmpeg, and messages in both directions, until one side closes."""
        channels = {port.fileno(): channel for channel, port in udp.channels.items()}
        poll = select.poll()
        for descriptor in (reader.connection.fileno(), camera.connection.fileno(), *channels):
            poll.register(descriptor, select.POLLIN)
        reader.connection.settimeout(None)
        ready = [wire.connection.fileno() for wire in (reader, camera) if wire.holds_more]
        while True:
            for descriptor in ready or [descriptor for descriptor, _ in poll.poll()]:
                if (channel := channels.get(descriptor)) is not None:
                    packets = udp.receive(channel)
                    self.count(len(packets))
                    reader.connection.sendall(packets)
                elif descriptor == camera.connection.fileno():
                    self._pass_messages(camera, reader.connection)
                else:
                    self._pass_messages(reader, camera.connection, udp)
            ready = []

    def _pass_messages(self, source: Wire, target: socket.socket, udp: UdpPorts | None = None) -> None:
        """Pass on the messages that have arrived.

        Packets among them are taken out: those of FFmpeg are statistics, and go to the camera by UDP.
        """
        source.wait_at_most(_MESSAGE_SECONDS)
        while True:
            if source.peek() == _INTERLEAVED:
                frame = source.exactly(4)
                packet = source.exactly(int.from_bytes(frame[2:]))
                if udp is not None:
                    udp.send(frame[1], packet)
            else:
                head = source.head()
                target.sendall(head.encode() + source.exactly(head.length))
            if not source.holds_more:
                return
