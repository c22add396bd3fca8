"""Downloads, from a real HTTP server: resumed, checked, and never half done under the right name."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from services.detector.models import download
from services.detector.models.download import ATTEMPTS, DownloadFailed, ModelFile, fetch

CONTENT = bytes(range(256)) * 1000


@dataclass
class Origin:
    """The behaviour of the server under test, and the requests that it got."""

    content: bytes = CONTENT
    status: list[int] = field(default_factory=list)
    """Answered in turn before it behaves."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes each answer in turn breaks off, before it behaves."""
    ranges: bool = True
    redirect: bool = False
    silent: threading.Event = field(default_factory=threading.Event)
    """While set, nothing is answered."""
    address: str = ""
    asked: list[str] = field(default_factory=list)
    """The Range header of each request."""

    def file(self, **changes: object) -> ModelFile:
        fields: dict[str, object] = {
            "name": "model.bin",
            "address": self.address + ("/moved" if self.redirect else "/model.bin"),
            "bytes": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
        }
        return ModelFile.model_validate(fields | changes)


def _handler(origin: Origin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/model.bin")
                self.end_headers()
                return
            wanted = self.headers.get("Range", "")
            origin.asked.append(wanted)
            while origin.silent.is_set():
                time.sleep(0.01)
            if origin.status:
                self.send_error(origin.status.pop(0))
                return
            match = re.fullmatch(r"bytes=(\d+)-", wanted)
            start = int(match[1]) if match and origin.ranges else 0
            if start >= len(origin.content):
                self.send_error(416)
                return
            body = origin.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(origin.content) - 1}/{len(origin.content)}")
            self.end_headers()
            self.wfile.write(body[: origin.cuts.pop(0)] if origin.cuts else body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


@pytest.fixture
def origin() -> Iterator[Origin]:
    told = Origin()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(told)) as server:
        told.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        told.silent.clear()
        server.shutdown()
        thread.join()


class Waits(list[float]):
    """Stands for sleep, and remembers."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_nothing_else_is_left(origin: Origin, tmp_path: Path) -> None:
    place = fetch(origin.file(), tmp_path / "cache" / "model")
    assert place.read_bytes() == CONTENT
    assert names(place.parent) == ["model.bin"]


def test_what_is_there_is_not_fetched_again(origin: Origin, tmp_path: Path) -> None:
    fetch(origin.file(), tmp_path)
    fetch(origin.file(), tmp_path)
    assert len(origin.asked) == 1


def test_a_damaged_file_is_fetched_again(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x" * len(CONTENT))
    assert fetch(origin.file(), tmp_path).read_bytes() == CONTENT


def test_a_sum_of_sha384_is_as_good(origin: Origin, tmp_path: Path) -> None:
    file = origin.file(sha256="", sha384=hashlib.sha384(CONTENT).hexdigest())
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_file_without_a_sum_cannot_even_be_described(origin: Origin) -> None:
    with pytest.raises(ValueError, match=r"model\.bin has no sum"):
        origin.file(sha256="")


def test_a_cut_connection_is_continued_where_it_broke(origin: Origin, tmp_path: Path, waits: Waits) -> None:
    origin.cuts = [100_000, 50_000]
    assert fetch(origin.file(), tmp_path, sleep=waits).read_bytes() == CONTENT
    assert origin.asked == ["", "bytes=100000-", "bytes=150000-"]


def test_a_server_that_cannot_continue_begins_anew(origin: Origin, tmp_path: Path, waits: Waits) -> None:
    origin.cuts, origin.ranges = [100_000], False
    assert fetch(origin.file(), tmp_path, sleep=waits).read_bytes() == CONTENT


def test_what_an_earlier_start_left_is_continued(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "model.bin.part").write_bytes(CONTENT[:1234])
    assert fetch(origin.file(), tmp_path).read_bytes() == CONTENT
    assert origin.asked == ["bytes=1234-"]


def test_a_part_that_is_whole_needs_no_connection(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "model.bin.part").write_bytes(CONTENT)
    assert fetch(origin.file(), tmp_path).read_bytes() == CONTENT
    assert origin.asked == []


def test_a_part_that_is_too_long_is_thrown_away(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "model.bin.part").write_bytes(CONTENT + b"more")
    assert fetch(origin.file(), tmp_path).read_bytes() == CONTENT


def test_a_part_of_another_file_ends_as_a_wrong_sum_and_not_for_ever(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "model.bin.part").write_bytes(b"z" * 1000)
    with pytest.raises(DownloadFailed, match="was removed"):
        fetch(origin.file(), tmp_path)
    assert fetch(origin.file(), tmp_path).read_bytes() == CONTENT


def test_a_wrong_sum_names_both_and_removes_the_file(origin: Origin, tmp_path: Path) -> None:
    origin.content = b"y" * len(CONTENT)
    file = origin.file()
    found = hashlib.sha256(origin.content).hexdigest()
    with pytest.raises(DownloadFailed, match=rf"model\.bin .* has the SHA256 {found}, expected is {file.sha256}"):
        fetch(file, tmp_path)
    assert names(tmp_path) == []


def test_a_longer_file_than_published_is_refused_before_it_fills_the_disk(origin: Origin, tmp_path: Path) -> None:
    origin.content = CONTENT * 20
    with pytest.raises(DownloadFailed, match=f"longer than the {len(CONTENT)} bytes"):
        fetch(origin.file(), tmp_path)
    assert names(tmp_path) == []


def test_a_shorter_file_than_published_is_given_up(origin: Origin, tmp_path: Path, waits: Waits) -> None:
    origin.content = CONTENT[:1000]
    with pytest.raises(DownloadFailed):
        fetch(origin.file(), tmp_path, sleep=waits)


def test_a_missing_file_is_not_tried_again(origin: Origin, tmp_path: Path, waits: Waits) -> None:
    origin.status = [404]
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 answers 404 Not Found for http://.*/model\.bin"):
        fetch(origin.file(), tmp_path, sleep=waits)
    assert waits == []


def test_a_busy_server_is_tried_again_after_growing_pauses(origin: Origin, tmp_path: Path, waits: Waits) -> None:
    origin.status = [503, 429]
    assert fetch(origin.file(), tmp_path, sleep=waits).read_bytes() == CONTENT
    assert waits == [1.0, 2.0]


def test_a_redirect_is_followed_with_its_range(origin: Origin, tmp_path: Path, waits: Waits) -> None:
    origin.redirect, origin.cuts = True, [77]
    assert fetch(origin.file(), tmp_path, sleep=waits).read_bytes() == CONTENT
    assert origin.asked == ["", "bytes=77-"]


def test_a_refused_connection_says_who_refused(tmp_path: Path, waits: Waits) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        free = server.server_port
    file = Origin(address=f"http://127.0.0.1:{free}").file()
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 could not be reached"):
        fetch(file, tmp_path, sleep=waits)
    assert names(tmp_path) == []


def test_a_server_that_falls_silent_is_not_waited_for(
    origin: Origin, tmp_path: Path, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", httpx.Timeout(0.05))
    origin.silent.set()
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 did not answer in time"):
        fetch(origin.file(), tmp_path, sleep=waits)
    assert len(waits) == ATTEMPTS - 1


def test_a_full_disk_says_where_and_how_much(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "model.bin.part").symlink_to("/dev/full")
    with pytest.raises(DownloadFailed, match=rf"no space left in {tmp_path} for the 0\.3 MB of model\.bin"):
        fetch(origin.file(), tmp_path)
    assert names(tmp_path) == []


def test_a_cache_that_is_a_file_says_so(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(DownloadFailed, match=r"cache.* cannot be written"):
        fetch(origin.file(), tmp_path / "cache" / "model")


def test_progress_rises_to_the_whole(origin: Origin, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    fetch(origin.file(), tmp_path, progress=lambda file, done, total: told.append((file, done, total)))
    assert told[-1] == ("model.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_replicas_that_start_together_fetch_it_once(origin: Origin, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as replicas:
        places = list(replicas.map(lambda _: fetch(origin.file(), tmp_path).read_bytes(), range(4)))
    assert places == [CONTENT] * 4
    assert len(origin.asked) == 1
