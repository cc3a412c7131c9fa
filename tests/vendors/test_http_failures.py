"""Whatever breaks below HTTP is passing trouble, told without the key."""

import gzip
import socket
import struct

import pytest
from anyio.abc import SocketAttribute, SocketStream

from collector.errors import RetryLater
from tests.vendors.loopback import HASTY, PATIENT, Speak, answering, failure, falling_silent, saying, serving, speaking

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PACKED = gzip.compress(bytes(range(256)) * 100)


def of_length(length: int, body: bytes, encoding: bytes = b"") -> Speak:
    return saying(HEAD + encoding + b"Content-Length: %d\r\n\r\n" % length + body)


def reset_after(*parts: bytes) -> Speak:
    async def speak(stream: SocketStream) -> None:
        for part in parts:
            await stream.send(part)
        # To linger for no time is to close with a reset.
        linger = struct.pack("ii", 1, 0)
        raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - of a socket, not of a database
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return speak


GZIP = b"Content-Encoding: gzip\r\n"
BROKEN_OFF = "127.0.0.1 broke off in the middle of its answer"


@pytest.mark.parametrize(
    "speak",
    [
        of_length(100, b'{"objects":['),
        saying(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"obj'),
        saying(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"obj\r\n'),
        of_length(len(PACKED), PACKED[:-20], GZIP),
        of_length(10, b"not gzip!!", GZIP),
    ],
    ids=["length", "in a chunk", "between chunks", "packed", "not packed"],
)
async def test_half_an_answer_is_none(speak: Speak) -> None:
    async with speaking(speak) as url:
        error = await failure(RetryLater, url)

    assert (BROKEN_OFF, 0.0, False) == (str(error), error.after_s, error.narrower)


@pytest.mark.parametrize(
    "speak",
    [
        saying(),
        reset_after(),
        reset_after(HEAD + b"Content-Length: 100\r\n\r\n{"),
        saying(b"SSH-2.0-OpenSSH_9.6\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: some\r\n\r\n"),
        saying(HEAD + b"X-Endless: " + b"x" * 100_000 + b"\r\n\r\n"),
    ],
    ids=["closed", "reset", "reset in the answer", "not HTTP", "bad length", "endless header"],
)
async def test_a_connection_that_breaks_is_tried_again(speak: Speak) -> None:
    async with speaking(speak) as url:
        error = await failure(RetryLater, url)

    assert (0.0, False) == (error.after_s, error.narrower)
    assert "127.0.0.1" in str(error)


async def test_a_vendor_that_is_down_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]

    error = await failure(RetryLater, f"http://127.0.0.1:{port}")

    assert "no connection to 127.0.0.1" in str(error)
    assert not error.narrower


async def test_a_name_that_is_not_known_is_tried_again() -> None:
    error = await failure(RetryLater, "http://vendor.invalid", limits=PATIENT)

    assert "no connection to vendor.invalid" in str(error)


async def test_plain_http_where_tls_is_due_is_tried_again() -> None:
    async with serving(answering()) as url:
        error = await failure(RetryLater, url.replace("http:", "https:"))

    assert "no TLS with 127.0.0.1" in str(error)
    assert "does this port speak https?" in error.advice


@pytest.mark.parametrize(
    ("speak", "status"),
    [(falling_silent(), "error"), (falling_silent(HEAD + b"Content-Length: 100\r\n\r\n{"), "200")],
    ids=["before the answer", "in the answer"],
)
async def test_silence_asks_for_less_next_time(speak: Speak, status: str) -> None:
    told: list[tuple[str, int]] = []
    async with speaking(speak) as url:
        error = await failure(RetryLater, url, limits=HASTY, asked=lambda code, _, size: told.append((code, size)))

    assert error.narrower
    assert "timeout of 1 s" in str(error)
    assert [(status, 0)] == told
