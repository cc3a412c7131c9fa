"""Failures below HTTP raise RetryLater. The error does not contain the key."""

import gzip
import socket
import struct

import pytest
from anyio.abc import ByteStream, SocketAttribute

from collector.errors import RetryLater
from collector.vendors.http import http
from tests.simulated import SimulatedClock
from tests.vendors.loopback import (
    LONG_TIMEOUT,
    SHORT_TIMEOUT,
    Conversation,
    failure,
    get,
    responding,
    sends,
    sends_then_stalls,
    serving,
    tcp_server,
)

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PACKED = gzip.compress(bytes(range(256)) * 100)


def of_length(length: int, body: bytes, encoding: bytes = b"") -> Conversation:
    return sends(HEAD + encoding + b"Content-Length: %d\r\n\r\n" % length + body)


def reset_after(*parts: bytes) -> Conversation:
    async def converse(stream: ByteStream) -> None:
        for part in parts:
            await stream.send(part)
        # With a linger time of zero, closing the connection resets it.
        linger = struct.pack("ii", 1, 0)
        raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - of a socket, not of a database
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return converse


GZIP = b"Content-Encoding: gzip\r\n"


@pytest.mark.parametrize(
    "converse",
    [
        of_length(100, b'{"objects":['),
        sends(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"obj'),
        sends(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"obj\r\n'),
        of_length(len(PACKED), PACKED[:-20], GZIP),
    ],
    ids=["length", "in a chunk", "between chunks", "packed"],
)
async def test_an_incomplete_body_raises_retry_later(converse: Conversation) -> None:
    async with tcp_server(converse) as url:
        error = await failure(RetryLater, url)

    assert ("response_incomplete", 0.0, False) == (error.code, error.after_s, error.narrower)
    assert "127.0.0.1" in str(error)


@pytest.mark.parametrize(
    "converse",
    [
        sends(),
        reset_after(),
        reset_after(HEAD + b"Content-Length: 100\r\n\r\n{"),
    ],
    ids=["closed", "reset", "reset in the response"],
)
async def test_a_broken_connection_raises_retry_later(converse: Conversation) -> None:
    async with tcp_server(converse) as url:
        error = await failure(RetryLater, url)

    assert (0.0, False) == (error.after_s, error.narrower)
    assert "127.0.0.1" in str(error)


async def test_a_refused_connection_raises_retry_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]

    error = await failure(RetryLater, f"http://127.0.0.1:{port}")

    assert "connect_failed" == error.code
    assert f"127.0.0.1:{port}" in str(error)
    assert not error.narrower


async def test_an_unknown_host_raises_retry_later() -> None:
    error = await failure(RetryLater, "http://vendor.invalid", limits=LONG_TIMEOUT)

    assert "connect_failed" == error.code
    assert "vendor.invalid" in str(error)


async def test_plain_http_on_an_https_port_raises_retry_later() -> None:
    async with serving(responding()) as url:
        error = await failure(RetryLater, url.replace("http:", "https:"))

    assert "tls_failed" == error.code
    assert "127.0.0.1" in str(error)
    assert "base_url" in error.advice


@pytest.mark.parametrize(
    ("converse", "status"),
    [(sends_then_stalls(), "error"), (sends_then_stalls(HEAD + b"Content-Length: 100\r\n\r\n{"), "200")],
    ids=["before the response", "in the response"],
)
async def test_a_timeout_requests_a_narrower_window(converse: Conversation, status: str) -> None:
    requests: list[tuple[str, int]] = []
    async with tcp_server(converse) as url:
        error = await failure(
            RetryLater, url, limits=SHORT_TIMEOUT, on_request=lambda code, _, size: requests.append((code, size))
        )

    assert ("response_timeout", True) == (error.code, error.narrower)
    assert "1 s" in str(error)
    assert [(status, 0)] == requests


LENGTH = b"Content-Length: 2\r\n"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "response_invalid"),
        (HEAD + b"Content-Length: some\r\n\r\n", "response_length"),
        (HEAD + LENGTH + LENGTH + b"\r\n{}", "response_length"),
        (HEAD + LENGTH + b"\r\n{}{}", "response_invalid"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxx\r\n{}\r\n0\r\n\r\n", "response_length"),
        (HEAD + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n2\r\n{}\r\n0\r\n\r\n", "response_length"),
        (HEAD + LENGTH + b"X A: 1\r\n\r\n{}", "response_headers"),
        (HEAD + LENGTH + b"X-A: 1\0\r\n\r\n{}", "response_headers"),
        (HEAD + b"X-Endless: " + b"x" * 100_000 + b"\r\n\r\n", "response_headers"),
        (HEAD + b"X-A: 1\r\n" * 1001 + b"\r\n", "response_headers"),
        (HEAD + LENGTH + b"Content-Encoding: xxx\r\n\r\n{}", "response_encoding"),
        (HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "response_length"),
    ],
    ids=[
        "not HTTP",
        "bad length",
        "length twice",
        "longer than its length",
        "bad chunk",
        "chunks and length",
        "bad name of a header",
        "bad header",
        "endless header",
        "endless headers",
        "encoding",
        "two lengths",
    ],
)
async def test_a_response_that_cannot_be_read_is_reported_as_what_it_is(response: bytes, code: str) -> None:
    async with tcp_server(sends(response)) as url:
        error = await failure(RetryLater, url)

    assert (code, 0.0, False) == (error.code, error.after_s, error.narrower)
    assert "xxx" not in str(error)


@pytest.mark.parametrize(
    "headers", [b"X-A: " + b"x" * 60_000 + b"\r\n", b"X-A: 1\r\n" * 900], ids=["large header", "many headers"]
)
async def test_large_headers_are_read(headers: bytes) -> None:
    async with tcp_server(sends(HEAD + headers + LENGTH + b"\r\n{}")) as url, http(SimulatedClock()) as client:
        with await get(client, url) as response:
            assert b"{}" == response.body
