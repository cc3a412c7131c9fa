"""Whatever a client sends to the port, it receives an HTTP response or none, and others are served."""

from collections.abc import Iterator

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given
from hypothesis import strategies as st

from collector.web.connections import Limits
from tests.web.test_connections import HEALTHZ, response, served

REQUEST = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nIf-None-Match: x\r\n\r\n"
TOKENS = (
    *(b"POST", b"CONNECT", b"HEAD", b"PRI * HTTP/2.0", b"HTTP/9.9", b"HTTP/1.0", b"http://other/healthz", b"*"),
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\x00", b"\xff", b":", b" ", b"\t", b"%", b"%00", b"/../../etc/passwd"),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n"),
    *(b"Host: other\r\n", b"Host: [::1\r\n", b"X: " + b"x" * 10_000 + b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01"),
)
CHANGES = st.lists(
    st.tuples(st.integers(0, len(REQUEST)), st.integers(0, 12), st.sampled_from(TOKENS) | st.binary(max_size=8)),
    max_size=5,
)
LIMITS = Limits(connections=8)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio", {"use_uvloop": True}) as started:
        yield started


@pytest.fixture(scope="module")
def port(portal: BlockingPortal) -> Iterator[int]:
    with portal.wrap_async_context_manager(served(LIMITS)) as opened:
        yield opened


async def _answered(port: int, request: bytes) -> bytes:
    """What the server responds to a request, after which the client sends nothing more."""
    with anyio.move_on_after(5):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            content = b""
            try:
                await stream.send(request)
                await stream.send_eof()
                async for part in stream:
                    content += part
            except (anyio.BrokenResourceError, OSError):
                pass
            return content
    raise AssertionError("the connection stays open")


@given(changes=CHANGES)
def test_any_request_is_answered_or_refused_and_the_next_is_served(
    portal: BlockingPortal, port: int, changes: list[tuple[int, int, bytes]]
) -> None:
    request = REQUEST
    for at, length, text in changes:
        request = request[:at] + text + request[at + length :]

    answer = portal.call(_answered, port, request)
    assert not answer or answer.startswith(b"HTTP/")
    assert b"Traceback" not in answer
    assert portal.call(response, port, HEALTHZ).startswith(b"HTTP/1.1 200 ")
