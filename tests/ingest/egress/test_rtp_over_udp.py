"""A camera at rtspu:// sends its pictures by UDP; it is read as one over TCP is, and reaches nothing else."""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from services.ingest.egress import TRUSTED, Egress
from services.ingest.egress.heads import Malformed, MessageHead
from services.ingest.egress.rtp_over_udp import MOST_CHANNELS, UdpPorts, UdpRefused
from services.ingest.source import SourceLost, SourceRefused
from services.ingest.sources.live_camera import LiveCamera
from services.ingest.sources.network import open_stream
from services.kit.network.ip_addresses import IPAddress
from tests.support.grabbing import frames
from tests.support.rtsp import RtspCamera
from tests.support.scripted_rtsp import reply, scripted_rtsp
from tests.support.udp_network import udp_network

TONE = " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8 )"
PICTURES = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 ! videoconvert"
    " ! openh264enc gop-size=15 ! h264parse config-interval=1 ! rtph264pay name=pay0 pt=96 mtu=400"
)
SETUP = MessageHead(
    "SETUP rtsp://127.0.0.1/cam RTSP/1.0", (("CSeq", "3"), ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"))
)


def by_udp(address: str) -> str:
    return address.replace("rtsp://", "rtspu://")


def connect(address: str, timeout: float = 20) -> LiveCamera:
    return open_stream(address, egress=TRUSTED, open_timeout=timeout, read_timeout=5)


def shapes(stream: LiveCamera, count: int) -> set[tuple[int, ...]]:
    with closing(stream):
        return {one.image.shape for one in itertools.islice(frames(stream, None), count)}


@pytest.fixture(scope="module")
def camera() -> Iterator[RtspCamera]:
    streams = {"small": PICTURES + " )", "sound": PICTURES + TONE}
    with RtspCamera("--by", "udp", "--user", "admin", "--password", "se/cret", streams=streams) as camera:
        camera.address = camera.with_login("admin", "se%2Fcret")
        yield camera


@pytest.mark.parametrize("name", ["cam", "small", "sound"])
def test_a_camera_by_udp_is_read_as_one_over_tcp_is(camera: RtspCamera, name: str) -> None:
    assert shapes(connect(by_udp(camera.at(name))), 40) == {(240, 320, 3)}


def test_packets_that_overtake_each_other_are_put_in_order(camera: RtspCamera) -> None:
    with udp_network(camera.at("small"), swap_every=5) as address:
        stream = connect(address.replace("rtspu://", "rtspu://admin:se%2Fcret@"))
        first = [grabbed.image for grabbed in itertools.islice(frames(stream, None), 40)]
        stream.close()

    # A ball on black: what was put together wrongly is grey or torn all over.
    assert all((picture > 60).mean() < 0.05 for picture in first)


def test_lost_packets_cost_pictures_and_not_the_stream(camera: RtspCamera) -> None:
    with udp_network(camera.at("small"), lose_every=20) as address:
        stream = connect(address.replace("rtspu://", "rtspu://admin:se%2Fcret@"))
        assert shapes(stream, 40) == {(240, 320, 3)}


def test_what_a_camera_does_not_offer_is_refused_with_what_to_write() -> None:
    with RtspCamera() as tcp_alone, pytest.raises(SourceRefused, match="write rtsp:// instead of rtspu://"):
        connect(by_udp(tcp_alone.address))
    with RtspCamera("--by", "udp") as udp_alone, pytest.raises(SourceRefused, match="write rtspu:// instead of rtsp:/"):
        connect(udp_alone.address)


@pytest.mark.parametrize(
    "transport",
    [
        "RTP/AVP/TCP;unicast;interleaved=0-1",
        "RTP/AVP;multicast;destination=239.0.0.1;port=5000-5001",
        "RAW/RAW/UDP;unicast;client_port=5000-5001",
        "",
    ],
)
def test_a_camera_that_agrees_to_something_else_is_refused(transport: str) -> None:
    answer = reply(headers={"Transport": transport, "Session": "1"})
    with scripted_rtsp({"SETUP": answer}) as camera, pytest.raises(SourceRefused, match="does not send by UDP"):
        connect(by_udp(camera.address))


def test_a_camera_that_agrees_and_sends_nothing_is_given_up_in_time() -> None:
    answer = reply(headers={"Transport": "RTP/AVP;unicast;client_port=1-2;server_port=9-10", "Session": "1"})
    with scripted_rtsp({"SETUP": answer}) as camera, pytest.raises(SourceLost):
        connect(by_udp(camera.address), timeout=2)


class TestPorts:
    """Two machines are two addresses of loopback."""

    @pytest.fixture
    def ports(self) -> Iterator[UdpPorts]:
        with self.opened(TRUSTED) as ports:
            yield ports

    @staticmethod
    @contextmanager
    def opened(egress: Egress) -> Iterator[UdpPorts]:
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            camera = stack.enter_context(socket.create_connection(listener.getsockname()))
            yield UdpPorts(camera, egress, stack.enter_context)

    def test_packets_are_taken_from_the_camera_alone_whatever_source_it_names(self, ports: UdpPorts) -> None:
        ports.ask(SETUP)
        ports.answer(
            MessageHead("RTSP/1.0 200 OK", (("Transport", "RTP/AVP;unicast;source=127.0.0.2;server_port=9-10"),))
        )
        here = ports.channels[0].getsockname()
        for sender, packet in (("127.0.0.2", b"stranger"), ("127.0.0.1", b"camera")):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                sending.bind((sender, 0))
                sending.sendto(packet, here)

        assert ports.receive(0) == b"$\x00\x00\x06camera"

    def test_the_camera_is_asked_for_an_even_port_and_the_next(self, ports: UdpPorts) -> None:
        for _ in range(MOST_CHANNELS // 2):
            transport = ports.ask(SETUP).get("Transport") or ""
            asked = re.fullmatch(r"RTP/AVP;unicast;client_port=(\d+)-(\d+)", transport)
            assert asked is not None
            assert int(asked[1]) % 2 == 0
            assert int(asked[2]) == int(asked[1]) + 1

    def test_a_camera_has_few_tracks(self, ports: UdpPorts) -> None:
        for number in range(0, MOST_CHANNELS, 2):
            ports.ask(SETUP.replace("Transport", f"RTP/AVP/TCP;unicast;interleaved={number}-{number + 1}"))
        with pytest.raises(Malformed):
            ports.ask(SETUP.replace("Transport", "RTP/AVP/TCP;unicast;interleaved=90-91"))

    @pytest.mark.parametrize("named", ["", "destination=127.0.0.2;", "source=127.0.0.2;"])
    def test_nothing_is_sent_to_a_port_or_a_machine_that_may_not_be_reached(self, named: str) -> None:
        class AllButThese:
            def allows(self, address: IPAddress, port: int) -> bool:
                return port not in forbidden

        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere,
            self.opened(AllButThese()) as ports,
        ):
            here.bind(("127.0.0.1", 0))
            number = here.getsockname()[1]
            elsewhere.bind(("127.0.0.2", number))
            forbidden = {number}
            ports.ask(SETUP)
            ports.answer(
                MessageHead(
                    "RTSP/1.0 200 OK", (("Transport", f"RTP/AVP;unicast;{named}server_port={number}-{number}"),)
                )
            )
            ports.send(0, b"report")
            ports.send(1, b"report")

            for victim in (here, elsewhere):
                victim.setblocking(False)  # what goes over loopback is there once it was sent
                with pytest.raises(BlockingIOError):
                    victim.recv(100)

    def test_reports_go_to_the_port_that_the_camera_named(self, ports: UdpPorts) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as camera:
            camera.bind(("127.0.0.1", 0))
            number = camera.getsockname()[1]
            ports.ask(SETUP)
            ports.answer(
                MessageHead("RTSP/1.0 200 OK", (("Transport", f"RTP/AVP/UDP;unicast;server_port=1-{number}"),))
            )
            ports.send(1, b"report")

            assert [camera.recv(100) for _ in range(2)] == [bytes([0x80, 201, 0, 1, 0, 0, 0, 0]), b"report"]

    def test_other_kinds_of_transport_are_refused(self, ports: UdpPorts) -> None:
        ports.ask(SETUP)
        with pytest.raises(UdpRefused):
            ports.answer(MessageHead("RTSP/1.0 200 OK"))
