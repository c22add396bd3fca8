"""Compression of JSON: a month's footfall is 149 kB of it. Event streams, pictures and exports are sent as they are."""

from __future__ import annotations

import asyncio
import gzip
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALLEST: Final = 1000
"""Bytes. Less fits into one packet anyway."""
LARGEST: Final = 16 << 20
"""Bytes that are held until the whole is compressed."""
SLOW: Final = 1 << 16
"""Bytes from which compression would hold up the event loop for milliseconds."""
LEVEL: Final = 5
MEDIA_TYPES: Final = {"application/json", "application/problem+json"}


def accepted(accept_encoding: str) -> set[str]:
    """Parse an Accept-Encoding header into the content codings that it allows."""
    codings = set()
    for part in accept_encoding.lower().split(","):
        coding, *parameters = (word.strip() for word in part.split(";"))
        if coding and not any(_is_zero(parameter) for parameter in parameters):
            codings.add(coding)
    return codings


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")


class CompressedJson:
    """Middleware that compresses JSON in answers to GET.

    Plain ASGI: Starlette's compresses also what is compressed already, and what is sent little by little. An ETag stays
    as it is, because a client sends it back as `If-Match`; no cache keeps the compressed answer under it (`no-store`).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request."""
        if scope["type"] == "http" and scope["method"] == "GET" and _takes_gzip(scope):
            await self._app(scope, receive, _Answer(send))
        else:
            await self._app(scope, receive, send)


class _Answer:
    """One answer: held until it is whole if it is compressed, else forwarded message by message."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_worth_it(Headers(raw=message["headers"])):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_compressed(self._start)

    async def _send_compressed(self, start: Message) -> None:
        whole = bytes(self._body)
        body = await asyncio.to_thread(_compress, whole) if len(whole) > SLOW else _compress(whole)
        headers = MutableHeaders(raw=start["headers"])
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        headers.add_vary_header("Accept-Encoding")
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _takes_gzip(scope: Scope) -> bool:
    return "gzip" in accepted(Headers(scope=scope).get("accept-encoding", ""))


def _is_worth_it(headers: Headers) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0]
    length = headers.get("content-length", "")
    is_plain = "content-encoding" not in headers and length.isdecimal()
    return media_type in MEDIA_TYPES and is_plain and SMALLEST < int(length) <= LARGEST


def _compress(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)
