"""Row 3: whoever sends or takes slowly, or opens connections without end, is cut off, and keeps nobody else out."""

from __future__ import annotations

import asyncio
import logging
import resource
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from services.kit.http.descriptors import CalmErrors, most_connections
from services.kit.http.limits import Limits
from tests.security.http_server import PATIENCE, QUICK, site

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
PATIENT = Limits(head_seconds=60, body_seconds=60, stall_seconds=60, keep_alive_seconds=60)
"""Nothing ends here because of its time."""


def status(answer: bytes) -> int:
    """The status of an answer."""
    return int(answer.split(b" ", 2)[1])


class TestHeads:
    @pytest.mark.parametrize(
        "begun",
        [
            pytest.param(b"", id="nothing at all, as a half-open TLS handshake sends to a plain port"),
            pytest.param(b"G", id="one byte"),
            pytest.param(HEAD, id="a head without its end"),
        ],
    )
    async def test_a_head_that_does_not_end_is_answered_408(self, begun: bytes) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(begun)
            assert status(await client.rest()) == 408

    async def test_a_head_of_a_byte_now_and_then_gets_no_more_time(self) -> None:
        async with site() as one:
            client = await one.connect()
            began = time.monotonic()
            answer = await client.drip(HEAD + b"X-A: " + b"a" * 1000)
            assert status(answer) == 408
            assert time.monotonic() - began < PATIENCE / 2

    async def test_the_next_request_of_a_connection_has_no_more_time(self) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(HEAD + b"\r\n")
            assert status(await client.head()) == 200
            client.send(HEAD)
            assert b"408 Request Timeout" in await client.rest()

    async def test_an_idle_connection_is_closed_without_a_word(self) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(HEAD + b"\r\n")
            assert (await client.rest()).endswith(b"here\n")

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param(b"".join(b"X-%d: a\r\n" % n for n in range(3000)), id="thousands of headers"),
            pytest.param(b"X-A: " + b"a" * 70_000 + b"\r\n", id="a header of 70 KB"),
            pytest.param(b"".join(b"X-%d: a\r\n" % n for n in range(101)), id="one header too many"),
        ],
    )
    async def test_a_head_that_is_too_large_is_answered_431(self, headers: bytes) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(HEAD + headers + b"\r\n")
            answer = await client.rest()
            assert not answer or status(answer) == 431  # a client that still sends may find its connection reset
            assert not one.scopes
            assert status(await one.get()) == 200

    async def test_a_head_of_the_usual_size_is_served(self) -> None:
        async with site() as one:
            headers = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 100) for n in range(60))
            client = await one.connect()
            client.send(HEAD + b"Connection: close\r\n" + headers + b"\r\n")
            assert status(await client.rest()) == 200

    async def test_what_is_no_http_is_refused_and_closed(self) -> None:
        async with site() as one:
            for sent in (
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                b"\r\n" * 3,
                b"GET / FTP/1.1\r\n\r\n",
            ):
                client = await one.connect()
                client.send(sent)
                assert status(await client.rest()) == 400


class TestBodies:
    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(b"Content-Length: 100\r\n\r\n", id="a length"),
            pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", id="chunked"),
            pytest.param(b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n", id="asked to go on"),
        ],
    )
    async def test_a_body_that_does_not_come_is_answered_408(self, head: bytes) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(POST + head)
            answer = (await client.rest()).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").lstrip()
            assert status(answer) == 408

    async def test_chunks_without_end_get_no_more_time(self) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            assert status(await client.drip(b"1\r\nx\r\n" * 1000, 0.02)) == 408

    async def test_a_body_that_is_not_asked_for_holds_no_connection(self) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
            assert status(await client.drip(b"x" * 10_000, 0.02)) == 200  # the answer, and then the end

    async def test_a_body_that_is_left_open_ends_a_stream(self) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(b"GET /quiet HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
            await client.rest()
            async with asyncio.timeout(PATIENCE):
                await one.ended.wait()

    async def test_a_body_without_end_is_bounded_in_bytes(self) -> None:
        async with site(replace(PATIENT, body_bytes=100_000)) as one:
            client = await one.connect()
            client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(20):
                client.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            answer = await client.rest()
            assert not answer or status(answer) == 413

    async def test_a_body_in_time_is_read(self) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(POST + b"Connection: close\r\nContent-Length: 4\r\n\r\n")
            client.send(b"body")
            assert (await client.rest()).endswith(b"\r\n\r\nbody")


class TestAnswers:
    @pytest.mark.parametrize("path", ["/endless", "/large"])
    async def test_an_answer_that_nobody_takes_is_given_up(self, path: str) -> None:
        async with site() as one:
            client = await one.connect(window=1)
            client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            async with asyncio.timeout(PATIENCE):
                while not one.scopes or len(one.server.guard):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                if path == "/endless":
                    await one.ended.wait()
            client.writer.close()

    async def test_an_answer_that_is_taken_slowly_is_sent_whole(self) -> None:
        async with site(replace(QUICK, stall_seconds=3)) as one:
            client = await one.connect(window=1 << 16)
            client.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            read = 0
            async with asyncio.timeout(PATIENCE):
                while data := await client.reader.read(1 << 17):
                    read += len(data)
                    await asyncio.sleep(0.02)
            assert read > 64 * 65536
            client.writer.close()

    async def test_a_quiet_stream_lives_on(self) -> None:
        async with site() as one:
            client = await one.connect()
            client.send(b"GET /quiet HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.head()
            await asyncio.sleep(2 * max(QUICK.head_seconds, QUICK.body_seconds, QUICK.stall_seconds))
            assert not one.ended.is_set()
            client.writer.close()

    async def test_requests_in_a_row_are_answered_in_a_row_and_bounded(self) -> None:
        async with site() as one:
            client = await one.connect(window=1)
            for _ in range(2000):
                client.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.sleep(0.2)
            assert len(one.scopes) <= 2, "one after another, as they are taken"
            assert status(await one.get()) == 200
            client.writer.close()


class TestConnections:
    async def test_half_open_requests_keep_nobody_out(self) -> None:
        async with site(replace(PATIENT, per_address=20, total=60)) as one:
            idle = [await one.connect() for _ in range(200)]
            for client in idle:
                client.send(HEAD)
            assert status(await one.get()) == 200, "the same address"
            assert status(await one.get(source="127.9.9.9")) == 200, "all of this machine's addresses are one"
            assert len(one.server.guard) <= 21
            for client in idle:
                client.writer.close()

    @pytest.mark.parametrize(
        "begun",
        [
            pytest.param(POST + b"Content-Length: 9\r\n\r\n", id="half a body"),
            pytest.param(HEAD + b"\r\n", id="idle after an answer"),
        ],
    )
    async def test_whoever_waits_for_its_client_gives_way(self, begun: bytes) -> None:
        async with site(replace(PATIENT, per_address=10)) as one:
            clients = [await one.connect() for _ in range(30)]
            for client in clients:
                client.send(begun)
            assert status(await one.get()) == 200
            for client in clients:
                client.writer.close()

    async def test_what_is_at_work_is_not_ended_and_more_is_refused(self) -> None:
        async with site(replace(PATIENT, per_address=5)) as one:
            clients = [await one.connect() for _ in range(5)]
            for client in clients:
                client.send(b"GET /quiet HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert status(await client.head()) == 200
            refused = await (await one.connect()).rest()
            assert status(refused) == 503
            assert b"retry-after: 10" in refused
            assert not one.ended.is_set()
            clients[0].writer.close()
            async with asyncio.timeout(PATIENCE):
                while len(one.server.guard) > 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert status(await one.get()) == 200
            for client in clients:
                client.writer.close()

    async def test_a_trusted_proxy_has_the_whole_total(self) -> None:
        async with site(replace(PATIENT, per_address=5, total=30), trusted_proxies="127.0.0.1") as one:
            clients = [await one.connect() for _ in range(20)]
            for client in clients:
                client.send(b"GET /quiet HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert status(await client.head()) == 200
            for client in clients:
                client.writer.close()

    async def test_nothing_of_a_connection_is_left(self) -> None:
        async with site() as one:
            for _ in range(5):
                await one.get()
            async with asyncio.timeout(PATIENCE):
                while len(one.server.guard):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert not one.server.guard._by_address


class TestDescriptors:
    def test_a_service_raises_the_soft_limit_to_the_hard_one(self) -> None:
        script = (
            "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (256, 4000))\n"
            "from services.kit.http.descriptors import raise_limit, most_connections\n"
            "print(raise_limit(), r.getrlimit(r.RLIMIT_NOFILE), most_connections(10_000))"
        )
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert told.split("\n")[0] == "4000 (4000, 4000) 3872"

    def test_connections_leave_descriptors_for_everything_else(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert most_connections(10**9) < soft
        assert most_connections(10) == 10

    async def test_a_flood_of_failed_accepts_is_one_line(self, caplog: pytest.LogCaptureFixture) -> None:
        loop, told = asyncio.get_running_loop(), CalmErrors()
        with caplog.at_level(logging.DEBUG, "asyncio"):
            for _ in range(2000):
                told(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "too many")})
        assert not caplog.records, "asyncio's own handler writes a traceback for each"

    async def test_wrong_requests_are_not_written_into_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        async with site() as one:
            with caplog.at_level(logging.DEBUG):
                for _ in range(20):
                    client = await one.connect()
                    client.send(b"nonsense\r\n\r\n")
                    await client.rest()
        assert "Invalid HTTP request" not in caplog.text
