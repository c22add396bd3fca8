"""No request is an error of the API's, keeps it busy, or is taken for two (Holds: "deep JSON …").

`tests/api/test_bad_input.py` and `test_fuzz.py` have what a client library can send; this is about bytes, and about
encodings that two readers read otherwise.
"""

from __future__ import annotations

import asyncio
import codecs
import gzip
import json
import time
import zlib

import pytest

from tests.api.seeded import Seed
from tests.api.served import Served
from tests.security.raw import Told, request, send

PATH = "/v1/stores/shop"
CHANGE = {"capacity": 7}


def port(served: Served) -> int:
    return served.parts.settings.port


async def patch(served: Served, seed: Seed, body: bytes, *headers: str, kind: str = "application/json") -> Told:
    bearer = f"Authorization: {seed.headers('admin@acme')['Authorization']}"
    said = (bearer, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers)
    return await send(port(served), request(PATH, *said, method="PATCH", body=body))


async def capacity(served: Served) -> int | None:
    found: int | None = await served.pool.fetchval("SELECT capacity FROM store WHERE id = 'shop'")
    return found


def bodies() -> dict[str, bytes]:
    text = json.dumps(CHANGE)
    return {
        "UTF-7": codecs.encode(text, "utf-7").replace(b"{", b"+AHs-"),
        "overlong UTF-8": b'{"name": "\xc0\xafetc\xc0\xaf"}',
        "overlong braces": b"\xc1\xbb" + text.encode()[1:],
        "a lone surrogate as CESU-8": b'{"name": "\xed\xa0\x80"}',
        "beyond Unicode": b'{"name": "\xf4\x90\x80\x80"}',
        "half a letter": b'{"name": "\xe2\x82"}',
        "EBCDIC": text.encode("cp037"),
        "a NUL before": b"\x00" + text.encode(),
        "a NUL after": text.encode() + b"\x00",
        "two values": text.encode() * 2,
        "a comment": b'{"capacity": 7 /* seven */}',
        "single quotes": b"{'capacity': 7}",
        "a comma too many": b'{"capacity": 7,}',
        "hexadecimal": b'{"capacity": 0x7}',
        "a sign": b'{"capacity": +7}',
        "900 000 digits": b'{"capacity": ' + b"9" * 900_000 + b"}",
        "900 000 digits after the point": b'{"capacity": -1.' + b"9" * 900_000 + b"}",
        "a huge exponent": b'{"capacity": 1e999999999}',
        "100 000 lists": b'{"name": ' + b"[" * 100_000,
        "100 000 objects": b'{"name":' * 100_000,
        "100 000 fields": b"{" + b",".join(b'"f%d":0' % n for n in range(60_000)) + b"}",
        "a __proto__": b'{"__proto__": {"capacity": 7}, "constructor": {}}',
        "too large": b'{"name": "' + b"x" * 1_100_000 + b'"}',
        "a number as text": b'{"capacity": "seven"}',
        "gzip": gzip.compress(text.encode()),
    }


@pytest.mark.parametrize("local", [True, False], ids=["before the sign-in", "after it"])
async def test_no_body_is_an_error_of_the_api_or_keeps_it_busy(local: bool, guarded: Served, seed: Seed) -> None:
    for name, body in bodies().items():
        began = time.process_time()
        told = await patch(guarded, seed, body, *(["Authorization: x"] if local else []))
        assert told.status == 0 or 400 <= told.status < 500, (name, told.raw[:300])
        assert time.process_time() - began < 5, name
    assert await capacity(guarded) is None


async def test_what_is_packed_is_not_unpacked(guarded: Served, seed: Seed) -> None:
    """A gigabyte in a megabyte: nothing here reads `Content-Encoding`."""
    bomb = gzip.compress(b" " * 100_000_000)
    text = json.dumps(CHANGE).encode()
    for kind, body in (
        ("gzip", gzip.compress(text)),
        ("deflate", zlib.compress(text)),
        ("br", text[::-1]),
        ("gzip", bomb),
    ):
        told = await patch(guarded, seed, body, f"Content-Encoding: {kind}")
        assert 400 <= told.status < 500, kind
    assert await capacity(guarded) is None


async def test_json_is_read_one_way_whatever_its_encoding_is_said_to_be(guarded: Served, seed: Seed) -> None:
    """The two Unicode encodings that JSON parsers know by themselves mean what they say, or are refused."""
    for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"):
        for kind in ("application/json", f"application/json; charset={coding}", "application/json; charset=utf-7"):
            told = await patch(guarded, seed, json.dumps(CHANGE).encode(coding), kind=kind)
            assert told.status == 200 or 400 <= told.status < 500, (coding, told.raw[:200])


async def test_of_a_field_that_is_said_twice_the_checked_one_counts(guarded: Served, seed: Seed) -> None:
    """The value that is checked is the one that is stored: there is one reader."""
    await patch(guarded, seed, b'{"capacity": 7, "capacity": 8}')
    assert await capacity(guarded) in {None, 8}
    assert (await patch(guarded, seed, b'{"capacity": 9, "capacity": -1}')).status == 422
    assert (await patch(guarded, seed, b'{"capacity": 9, "\\u0063apacity": -1}')).status == 422
    assert await capacity(guarded) in {None, 8}


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "text/json", "application/xml", "application/json,text/plain", "*/*", "json"]
)
async def test_what_is_not_said_to_be_json_is_not_read_as_json(kind: str, guarded: Served, seed: Seed) -> None:
    told = await patch(guarded, seed, json.dumps(CHANGE).encode(), kind=kind)

    assert 400 <= told.status < 500
    assert await capacity(guarded) is None


SMUGGLED = b"DELETE /v1/cameras/door HTTP/1.1\r\nHost: localhost\r\nX: "
TRICKS = {
    "a length and chunks": (b"Content-Length: 6", b"Transfer-Encoding: chunked"),
    "chunks and a length": (b"Transfer-Encoding: chunked", b"Content-Length: 6"),
    "two lengths": (b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths in one": (b"Content-Length: 5, 6",),
    "a length with a sign": (b"Content-Length: +5",),
    "a negative length": (b"Content-Length: -1",),
    "a length in hexadecimal": (b"Content-Length: 0x5",),
    "a length with letters": (b"Content-Length: 5x",),
    "a length of 40 digits": (b"Content-Length: " + b"9" * 40,),
    "a length with a blank before the colon": (b"Content-Length : 5",),
    "a length with a tab": (b"Content-Length:\t5\x0b",),
    "chunks of a strange kind": (b"Transfer-Encoding: xchunked",),
    "chunks with a tab": (b"Transfer-Encoding:\x0bchunked",),
    "chunks twice": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    "chunks before gzip": (b"Transfer-Encoding: chunked, gzip",),
    "a length, and chunks in a folded line": (b"Content-Length: 6", b"Transfer-Encoding:\r\n chunked"),
    "chunks with a blank before the colon": (b"Transfer-Encoding : chunked",),
    "a length, and chunks behind a lone line feed": (b"Content-Length: 6", b"X: y\nTransfer-Encoding: chunked"),
    "chunks behind a lone return": (b"X: y\rTransfer-Encoding: chunked",),
    "a header without a name": (b": x",),
    "a NUL in a header": (b"X: a\x00b",),
    "a header that is none": (b"nonsense",),
}


async def test_one_request_is_not_taken_for_two(guarded: Served, seed: Seed) -> None:
    """Request smuggling: a proxy and the API must not differ on where a request ends.

    A length and chunks are refused. That a header's line may be folded or end without a return is RFC 9112's.
    """
    bearer = f"Authorization: {seed.headers('admin@acme')['Authorization']}\r\n".encode()
    smuggled = SMUGGLED.replace(b"X: ", bearer + b"\r\n")
    first = (b"POST /v1/auth/refresh HTTP/1.1", b"Host: localhost", b"Content-Type: application/json")

    async def attempt(trick: str, body: bytes) -> None:
        head = b"\r\n".join((*first, *TRICKS[trick]))
        told = await send(port(guarded), head + b"\r\n\r\n" + body + smuggled, silence=2.0)
        assert len(told.statuses) <= 1 or told.statuses[-1] == 400, (trick, told.raw)
        assert all(status < 500 or status == 501 for status in told.statuses), (trick, told.raw)  # 501: RFC 9112, 6.1
        assert 204 not in told.statuses, (trick, "what was smuggled was done")

    await asyncio.gather(*[attempt(trick, body) for trick in TRICKS for body in (b"0\r\n\r\n", b"{}\r\n\r\n")])
    assert await guarded.pool.fetchval("SELECT count(*) FROM camera WHERE id = 'door'") == 1


async def test_a_chunk_of_no_size_ends_it(guarded: Served) -> None:
    head = request("/v1/auth/refresh", "Transfer-Encoding: chunked", "Content-Type: application/json", method="POST")

    async def attempt(size: bytes) -> None:
        body = size + b"\r\n{}\r\n\r\n0\r\n\r\n" + SMUGGLED + b"\r\n\r\n"
        told = await send(port(guarded), head, body, silence=2.0)
        assert all(400 <= status < 500 for status in told.statuses), (size[:20], told.raw)

    sizes = (b"-1", b"0x5", b"5 ", b"5;" + b"x" * 70_000, b"f" * 40, b"", b"g", b"+5", b"5\n", b"5_0")
    await asyncio.gather(*[attempt(size) for size in sizes])


async def test_a_body_without_an_end_is_refused_where_it_grows_too_large(guarded: Served) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    head = request("/v1/auth/refresh", "Transfer-Encoding: chunked", "Content-Type: application/json", method="POST")
    told = await send(port(guarded), head, *[chunk] * 30)

    assert told.status in {0, 413}, told.raw[:200]


async def test_no_method_but_those_that_are_described_does_anything(served: Served) -> None:
    for method in ("TRACE", "TRACK", "CONNECT", "PROPFIND", "DEBUG", "get", "G\x00T", "GET\t", "POST", "X" * 5_000):
        told = await send(port(served), request("/v1/stores", "X-Secret: mirror", "Content-Length: 0", method=method))
        assert told.status == 0 or 400 <= told.status < 500, (method, told.raw[:200])
        assert b"mirror" not in told.raw, method


async def test_a_method_in_a_header_or_a_query_does_nothing(guarded: Served, seed: Seed) -> None:
    bearer = f"Authorization: {seed.headers('admin@acme')['Authorization']}"
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        told = await send(port(guarded), request("/v1/cameras/door", bearer, f"{name}: DELETE"))
        assert told.status == 200
    assert (await send(port(guarded), request("/v1/cameras/door?_method=DELETE", bearer))).status in {200, 422}
    assert await guarded.pool.fetchval("SELECT count(*) FROM camera WHERE id = 'door'") == 1


async def test_a_head_of_any_size_is_refused_or_answered(guarded: Served) -> None:
    for head in (
        b"X: " + b"x" * 70_000,
        b"\r\n".join(b"X-%d: x" % n for n in range(5_000)),
        b"Cookie: " + b"; ".join(b"c%d=x" % n for n in range(4_000)),
        b"X" * 70_000 + b": x",
    ):
        began = time.monotonic()
        told = await send(port(guarded), request("/v1/stores", head))
        assert told.status == 0 or 400 <= told.status < 500, told.raw[:200]
        assert time.monotonic() - began < 5


async def test_a_target_that_is_none_is_refused(guarded: Served) -> None:
    for target in (
        b"*", b"v1/stores", b"?", b"//", b"/v1/stores#x", b"http://", b"/\xff\xfe", b"/%", b"/%zz", b"/%00",
        b"/%ed%a0%80", b"/%c0%ae%c0%ae/etc/passwd", b"/%uff0e", b"/" + b"a/" * 4_000, b"/v1/stores?" + b"a=1&" * 9_000,
    ):  # fmt: skip
        told = await send(port(guarded), request(target))
        assert all(status < 500 for status in told.statuses), (target[:60], told.raw[:200])
        assert told.status != 200 or target in {b"?", b"//"}, target[:60]


NO_IDS = ("*", ">", "a.b", "a b", "a\nb", "a\r\nb", "../x", "$SYS", "\u202e", "x" * 65, "-x", "_x", "\u00e9", "%")


async def test_no_id_is_a_subject_a_path_or_two_words(guarded: Served, seed: Seed) -> None:
    """Ids become subjects of NATS and names of files: `*`, `>` and `.` would mean something there."""
    headers = seed.headers("admin@acme")
    for text in NO_IDS:
        line = {"id": text, "x1": 0, "y1": 0.5, "x2": 1, "y2": 0.5}
        for method, path, body in (
            ("POST", "/v1/stores", {"id": text, "organization": "acme", "name": "New", "time_zone": "UTC"}),
            ("POST", "/v1/stores/shop/cameras", {"id": text, "address": "sim://door"}),
            ("PUT", "/v1/cameras/door/lines", {"lines": [line]}),
        ):
            answer = await guarded.client.request(method, path, json=body, headers=headers)
            assert answer.status_code == 422, (path, text)


PERIODS = (
    "footfall?from=2000-01-01&to=2027-01-01&bucket=quarter-hour",
    "footfall?from=2026-11-02&to=2026-11-01&bucket=day",
    "footfall?bucket=second",
    "counts?day=2026-02-30",
    "crossings.csv?from=0001-01-01&to=9999-12-31",
)


async def test_of_a_parameter_that_is_said_twice_one_counts_and_is_checked(guarded: Served, seed: Seed) -> None:
    """The checked value is the one used, and neither a body nor a header nor a cookie stands in for a parameter."""
    headers = seed.headers("viewer@acme")
    base = "/v1/stores/shop/footfall?from=2026-11-01&to=2026-11-02"
    answers = [await guarded.client.get(f"{base}&bucket={one}&bucket={two}", headers=headers) for one, two in
               (("day", "second"), ("second", "day"))]  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    twice = f"{base}&bucket=day&to=2027-11-02"
    assert (await guarded.client.get(twice, headers=headers)).status_code in {200, 422}
    listed = await guarded.client.get("/v1/stores/shop?store=mall&organization=other", headers=headers)
    assert listed.json()["id"] == "shop"


@pytest.mark.parametrize("query", PERIODS)
async def test_a_period_of_any_length_is_refused_at_once(query: str, guarded: Served, seed: Seed) -> None:
    began = time.monotonic()
    answer = await guarded.client.get(f"/v1/stores/shop/{query}", headers=seed.headers("viewer@acme"))

    assert answer.status_code == 422, answer.text[:300]
    assert time.monotonic() - began < 5
