"""A door of Metrica's own on loopback, through which FFmpeg reaches one RTSP camera and nothing else.

FFmpeg neither resolves names nor connects anywhere but here. Messages are read until the camera plays, then bytes are
copied. FFmpeg would follow a camera that answers 3xx wherever it points. Such an answer is never handed on: the opener
looks at `moved`, and opens the new address by the same rule. Once the camera plays, FFmpeg follows nothing any more.
Where the camera is to send by UDP, FFmpeg does not notice (`rtp_over_udp`).
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time

from services.ingest.egress.connections import Connections, Exhausted
from services.ingest.egress.heads import Head, Malformed, Wire
from services.ingest.egress.policy import Egress
from services.ingest.egress.rtp_over_udp import UdpPorts, UdpRefused
from services.ingest.source import SourceLost, SourceRefused

BUFFER = 256 * 1024
MOST_MESSAGES = 64
"""Until the camera plays: OPTIONS, DESCRIBE, a SETUP for each track, and each again with the password."""
_STATUS = re.compile(r"RTSP/1\.\d (\d{3})(?: .*)?", re.ASCII)
_REQUEST = re.compile(r"([A-Z_]+) \S+ RTSP/1\.\d", re.ASCII)
_INTERLEAVED = 0x24  # "$": a packet of media or of its statistics, among the messages
_MESSAGE_SECONDS = 5.0
"""For the rest of a message whose beginning has come, while packets come by UDP."""
_UNSUPPORTED_TRANSPORT = 461


class RtspRelay(Connections):
    """Leads one connection of FFmpeg's to a camera that was dialled already.

    Args:
        name: of the source.
        camera: the connection to it.
        timeout: seconds that the camera has until it plays.
        udp: what UDP may be sent to; where it is given, pictures are to come by UDP.

    Attributes:
        moved: where the camera said that the stream is instead.
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
            self._lead()
        except Exhausted:
            self.failure = SourceLost(f"{self.name} sends more than a picture takes, and no picture")
        except Malformed as error:
            self.failure = SourceLost(f"{self.name} does not speak RTSP properly: {error}")
        except UdpRefused:
            self.failure = SourceRefused(f"{self.name} does not send by UDP: write rtsp:// instead of rtspu://")
        except (OSError, EOFError):  # either side may go away at any time, and `close` takes both away
            pass
        finally:
            self.close()

    def _lead(self) -> None:
        self._listener.settimeout(max(0.0, self._deadline - time.monotonic()))
        accepted, _ = self._listener.accept()
        self.drop(self._listener)  # one source, one connection
        reader = self.keep(accepted)
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._egress is not None:
            self._udp = UdpPorts(self._camera, self._egress, self.keep)
        from_reader, from_camera = (Wire(one, self._deadline) for one in (reader, self._camera))
        self._converse(from_reader, from_camera)
        if self.moved is not None:
            return
        if self._udp is not None:
            self._collect(self._udp, from_reader, from_camera)
        else:
            for connection in (reader, self._camera):
                connection.settimeout(None)
            self._camera.sendall(from_reader.rest())
            reader.sendall(from_camera.rest())
            self._copy(reader)

    def _converse(self, reader: Wire, camera: Wire) -> None:
        """Hand on requests and their answers until one to PLAY says yes, or one says that the stream is elsewhere."""
        for _ in range(MOST_MESSAGES):
            request = reader.head()
            asked = _REQUEST.fullmatch(request.start)
            if asked is None:
                raise Malformed("FFmpeg asks for what is no request")
            self.asked = asked[1]
            over_udp = self._udp if asked[1] == "SETUP" else None
            if over_udp is not None:
                request = over_udp.ask(request)
            camera.connection.sendall(request.encode() + reader.exactly(request.length))
            answer, body = self._answer(reader, camera)
            said = _STATUS.fullmatch(answer.start)
            if said is None:
                raise Malformed("the camera answers with what is no answer")
            self.status, self.asked = int(said[1]), ""
            if 300 <= self.status < 400:
                self.moved = answer.get("Location") or ""
                return
            if self.status == _UNSUPPORTED_TRANSPORT:
                self._refuse_transport()
            if over_udp is not None and 200 <= self.status < 300:
                answer = over_udp.answer(answer)
            reader.connection.sendall(answer.encode() + body)
            if asked[1] == "PLAY" and 200 <= self.status < 300:
                return
        raise Malformed("the conversation comes to no end")

    def _refuse_transport(self) -> None:
        if self._udp is not None:
            raise UdpRefused
        self.failure = SourceRefused(f"{self.name} does not send over TCP: write rtspu:// instead of rtsp://, for UDP")

    def _answer(self, reader: Wire, camera: Wire) -> tuple[Head, bytes]:
        """The camera's next message; packets that come before it are handed on."""
        while camera.peek() == _INTERLEAVED:
            packet = camera.exactly(4)
            packet += camera.exactly(int.from_bytes(packet[2:]))
            self.count(len(packet))
            reader.connection.sendall(packet)
        answer = camera.head()
        return answer, camera.exactly(answer.length)

    def _copy(self, reader: socket.socket) -> None:
        """Hand over bytes in both directions until one side closes."""
        # One buffer, filled and emptied in turns: where the reader does not take, the camera is not read.
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

    def _collect(self, udp: UdpPorts, reader: Wire, camera: Wire) -> None:
        """Hand packets from UDP to FFmpeg, and messages in both directions, until one side closes."""
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
                    self._hand_on_messages(camera, reader.connection)
                else:
                    self._hand_on_messages(reader, camera.connection, udp)
            ready = []

    def _hand_on_messages(self, source: Wire, target: socket.socket, udp: UdpPorts | None = None) -> None:
        """Hand on what has come whole; FFmpeg's statistics go by UDP, and a camera has no packets to send here."""
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
