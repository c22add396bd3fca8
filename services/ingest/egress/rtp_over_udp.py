"""RTP over UDP from one RTSP camera, passed to FFmpeg as packets within its RTSP connection.

FFmpeg opens no port. It asks for interleaved RTP (RFC 2326, 10.12); the relay asks the camera for UDP instead, to ports
that are opened here. Packets are accepted from and sent to the address of the RTSP connection alone, whatever the
camera names as its `source`: a camera can neither make a third machine send to Metrica, nor make Metrica send to one.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

from services.ingest.egress.heads import Malformed, MessageHead
from services.ingest.egress.policy import Egress
from services.kit.network.ip_addresses import parse

MOST_CHANNELS = 16
"""Most channels. Two for each track, and a camera has three tracks: picture, sound and its own events."""
_LONGEST_PACKET = 65535
_AT_ONCE = 64
"""Packets that are passed on together, where so many wait: a key frame of 1080p has about 150."""
_RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes that may wait in the kernel, which allows less on most machines (net.core.rmem_max)."""
_PORT_TRIES = 20
_INTERLEAVED = re.compile(r"(?:^|;)\s*interleaved=(\d{1,3})-(\d{1,3})\s*(?:;|$)", re.ASCII)
_SERVER_PORT = re.compile(r"(?:^|;)\s*server_port=(\d{1,5})(?:-(\d{1,5}))?\s*(?:;|$)", re.ASCII)
# An RTP packet without content, and a receiver report without blocks (RFC 3550, 5.1 and 6.4.2): a firewall or NAT on
# the way lets the camera's packets in once it has seen a packet to the camera.
_FIRST_RTP = bytes([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
_FIRST_RTCP = bytes([0x80, 201, 0, 1, 0, 0, 0, 0])


class UdpRefused(Exception):
    """The camera does not send by UDP to the ports that it was given."""


class UdpPorts:
    """The UDP ports that one camera sends to, a pair for each track.

    Args:
        camera: the RTSP connection; its two ends give the camera's address, and the local one to listen on.
        egress: the rule for packets to the camera, as it chooses its own ports.
        keep: called with each socket that is opened.

    Attributes:
        channels: the sockets, by FFmpeg's channel numbers.
    """

    def __init__(self, camera: socket.socket, egress: Egress, keep: Callable[[socket.socket], socket.socket]) -> None:
        self._family = camera.family
        self._here, self._camera = camera.getsockname()[0], camera.getpeername()
        self._egress, self._keep = egress, keep
        self._buffer = bytearray(_LONGEST_PACKET)
        self._destinations: dict[int, int] = {}
        self._channel_pair: tuple[int, int] = (0, 1)
        self.channels: dict[int, socket.socket] = {}

    def ask(self, request: MessageHead) -> MessageHead:
        """Rewrite FFmpeg's SETUP for the camera: it asks for UDP to a new pair of ports.

        Raises:
            Malformed: FFmpeg asks for no pair of channels, or for too many.
            OSError: no pair of ports is free.
        """
        interleaved = _INTERLEAVED.search(request.get("Transport") or "")
        if interleaved is None or len(self.channels) >= MOST_CHANNELS:
            raise Malformed("it has too many tracks, or FFmpeg asks for none of them")
        self._channel_pair = int(interleaved[1]), int(interleaved[2])
        pair = self._open_pair()
        for channel, port in zip(self._channel_pair, pair, strict=True):
            self.channels[channel] = port
        first = pair[0].getsockname()[1]
        return request.replace("Transport", f"RTP/AVP;unicast;client_port={first}-{first + 1}")

    def answer(self, answer: MessageHead) -> MessageHead:
        """Rewrite the camera's successful answer to a SETUP for FFmpeg: it names the channels that FFmpeg asked for.

        Raises:
            UdpRefused: the camera does not send by UDP unicast.
        """
        transport = answer.get("Transport") or ""
        if "RTP/AVP" not in transport or "TCP" in transport or "multicast" in transport:
            raise UdpRefused
        rtp, rtcp = self._channel_pair
        if ports := _SERVER_PORT.search(transport):
            self._destinations[rtp] = int(ports[1])
            self._destinations[rtcp] = int(ports[2] or int(ports[1]) + 1)
            self.send(rtp, _FIRST_RTP)
            self.send(rtcp, _FIRST_RTCP)
        return answer.replace("Transport", f"RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}")

    def send(self, channel: int, packet: bytes) -> None:
        """Send FFmpeg's statistics to the camera; as any UDP packets, they may get lost."""
        port = self._destinations.get(channel, 0)
        if not 0 < port <= _LONGEST_PACKET or not self._egress.allows(parse(self._camera[0]), port):
            return
        with suppress(OSError):  # the port is closed, or the kernel's buffer is full
            self.channels[channel].sendto(packet, (self._camera[0], port, *self._camera[2:]))

    def receive(self, channel: int) -> bytes:
        """Receive the packets that wait at a port, each framed as in RFC 2326, 10.12."""
        return b"".join(self._packets(channel))

    def _packets(self, channel: int) -> Iterator[bytes]:
        port, buffer = self.channels[channel], self._buffer
        for _ in range(_AT_ONCE):
            try:
                size, sender = port.recvfrom_into(buffer)
            except (BlockingIOError, ConnectionRefusedError):  # nothing waits, or the camera refused a packet to it
                return
            if sender[0] == self._camera[0]:
                yield bytes((0x24, channel)) + size.to_bytes(2) + buffer[:size]

    def _open_pair(self) -> tuple[socket.socket, socket.socket]:
        """Open two consecutive ports, the first of which is even (RFC 3550, 11)."""
        failure = OSError("no pair of ports is free")
        for _ in range(_PORT_TRIES):
            first = self._open(0)
            number = first.getsockname()[1]
            try:
                if number % 2 == 0:
                    return first, self._open(number + 1)
                return self._open(number - 1), first
            except OSError as error:
                first.close()
                failure = error
        raise failure

    def _open(self, number: int) -> socket.socket:
        port = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            port.setblocking(False)
            port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            port.bind((self._here, number))
        except BaseException:  # of whatever kind: a port that is not handed over must not stay open
            port.close()
            raise
        return self._keep(port)
