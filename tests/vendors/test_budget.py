"""A response has a budget of bytes and messages, and what arrives in one turn of the event loop is parsed in pieces."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import aiohttp
import anyio
import pytest
import trustme
from aiohttp.client_proto import ResponseHandler
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from collector.errors import RetryLater
from collector.vendors import budget
from collector.vendors.budget import MAX_HEAD_BYTES, MAX_INFORMATIONAL, PIECE_BYTES, BoundedConnection
from collector.vendors.http import MAX_SMALL_BYTES, http
from collector.vendors.limits import Limits
from tests.simulated import SimulatedClock
from tests.vendors.loopback import (
    LONG_TIMEOUT,
    SHORT_TIMEOUT,
    Conversation,
    failure,
    get,
    sends,
    sends_endlessly,
    sends_later,
    tcp_server,
    wait_until,
    yield_to_others,
)

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\n"
EMPTY = HEAD + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
LARGE_HEADER = b"X-A: " + b"x" * 60_000 + b"\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

on_each_loop = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"]
)


def chunks(body: bytes, size: int, extension: bytes = b"") -> bytes:
    cut = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in cut)


@contextmanager
def parsed_by_turn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[int]]:
    """The bytes that aiohttp parses, by turn of the event loop."""
    loop, parsed, turn = asyncio.get_running_loop(), Counter[int](), 0
    handle = loop.call_soon(lambda: None)
    receive = ResponseHandler.data_received

    def count() -> None:
        nonlocal turn, handle
        turn += 1
        handle = loop.call_soon(count)

    def received(connection: ResponseHandler, data: bytes) -> None:
        parsed[turn] += len(data)
        receive(connection, data)

    count()
    with monkeypatch.context() as patch:
        patch.setattr(ResponseHandler, "data_received", received)
        yield parsed
    handle.cancel()


def server_context(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """For a server with a certificate that clients trust during this test."""
    authority, trusting = trustme.CA(), ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "vendor.example").configure_cert(context)
    authority.configure_trust(trusting)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    return context


@pytest.mark.parametrize(
    ("converse", "code", "is_narrower"),
    [
        (sends_endlessly(b"", EARLY_HINTS), "response_informational", False),
        (sends_endlessly(b"", b"HTTP/1.1 100\r\n\r\n" * 4000), "response_informational", False),
        (sends_endlessly(b"", b"HTTP/1.1 103 Early Hints\r\n" + LARGE_HEADER + b"\r\n"), "response_headers", False),
        (sends_endlessly(HEAD, LARGE_HEADER), "response_headers", False),
        (sends_endlessly(HEAD, b"a:\r\n"), "response_headers", False),
        (sends_endlessly(HEAD + b"X-A: ", b"x"), "response_headers", False),
        (sends_endlessly(CHUNKED, chunks(b"x" * 4000, 1)), "response_framing", True),
        (sends_endlessly(CHUNKED, chunks(b"x" * 4000, 2)), "response_framing", True),
        (sends_endlessly(CHUNKED, chunks(b"xx", 1, b";" + b"e" * 4096)), "response_framing", True),
        (sends_endlessly(CHUNKED + b"1;", b"e" * 4000), "response_framing", False),
        (sends_endlessly(CHUNKED, b"0" * 4000), "response_framing", False),
        (sends_endlessly(CHUNKED + chunks(b"x", 1) + b"0\r\n", LARGE_HEADER), "response_framing", False),
        (sends_endlessly(CHUNKED + chunks(b"x", 1) + b"0\r\n", b"a:\r\n"), "response_headers", False),
    ],
    ids=[
        "informational",
        "smallest informational",
        "large informational",
        "large headers",
        "small headers",
        "header byte by byte",
        "chunks of 1 byte",
        "chunks of 2 bytes",
        "chunk extensions",
        "endless extension",
        "endless size",
        "large trailers",
        "small trailers",
    ],
)
async def test_an_endless_response_ends_with_an_error(converse: Conversation, code: str, *, is_narrower: bool) -> None:
    async with tcp_server(converse) as url:
        error = await failure(RetryLater, url)
    assert (code, is_narrower) == (error.code, error.narrower)
    assert "127.0.0.1" in str(error)


@pytest.mark.parametrize(
    ("before", "part"),
    [(b"", b"HTTP/1.1 100\r\n\r\n" * 4000), (b"", EARLY_HINTS), (HEAD, LARGE_HEADER)],
    ids=["smallest informational", "informational", "headers"],
)
async def test_no_more_is_parsed_than_the_budget_and_a_piece(
    monkeypatch: pytest.MonkeyPatch, before: bytes, part: bytes
) -> None:
    with parsed_by_turn(monkeypatch) as parsed:
        async with tcp_server(sends_endlessly(before, part)) as url:
            await failure(RetryLater, url)
    assert 0 < parsed.total() <= MAX_HEAD_BYTES + PIECE_BYTES


@on_each_loop
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "TLS"])
async def test_a_piece_is_parsed_in_each_turn(
    monkeypatch: pytest.MonkeyPatch,
    anyio_backend: tuple[str, dict[str, bool]],  # noqa: ARG001
    *,
    is_encrypted: bool,
) -> None:
    body = b"0123" * 60_000
    tls = server_context(monkeypatch) if is_encrypted else None
    async with tcp_server(sends(CHUNKED + chunks(body, 4) + END), tls) as url, http(SimulatedClock()) as client:
        with parsed_by_turn(monkeypatch) as parsed, await get(client, url) as response:
            assert body == response.body
    assert PIECE_BYTES == max(parsed.values())


async def test_connections_to_a_proxy_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tcp_server(sends_endlessly(b"", EARLY_HINTS)) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = await failure(RetryLater, "https://vendor.example")
    assert "proxy_failed" == error.code
    assert all(fact in str(error) for fact in ("HTTPS_PROXY", f"{MAX_INFORMATIONAL} informational"))


@on_each_loop
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["http", "https"])
async def test_connections_through_a_proxy_have_a_budget(
    monkeypatch: pytest.MonkeyPatch,
    anyio_backend: tuple[str, dict[str, bool]],  # noqa: ARG001
    *,
    is_encrypted: bool,
) -> None:
    tls = server_context(monkeypatch)

    async def tunnel(stream: ByteStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        vendor = await TLSStream.wrap(stream, server_side=True, ssl_context=tls, standard_compatible=False)
        await vendor.receive()
        await sends_endlessly(b"", EARLY_HINTS)(vendor)

    async with tcp_server(tunnel, tls if is_encrypted else None) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = await failure(RetryLater, "https://vendor.example")
    assert "response_informational" == error.code
    assert "vendor.example" in str(error)


BODY = b'{"objects":[1,2,3]}' * 20_000


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (EARLY_HINTS * MAX_INFORMATIONAL + EMPTY, b"{}"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + chunks(BODY, 1 << 16) + END, BODY),
        (CHUNKED + chunks(BODY, 3) + END, BODY),
        (CHUNKED + chunks(BODY[:100_000], 1) + END, BODY[:100_000]),
        (CHUNKED + chunks(BODY, 4000, b";name=" + b"e" * 1000) + b"0\r\nX-Sum: 1\r\n\r\n", BODY),
        (CHUNKED + chunks(b"{}", 2) + b"0\r\n" + b"X-A: 1\r\n" * 100 + b"\r\n", b"{}"),
    ],
    ids=["informational", "continue", "small chunks", "smallest chunks", "extensions", "trailers"],
)
async def test_unusual_responses_within_the_budget_are_read(response: bytes, body: bytes) -> None:
    async with tcp_server(sends(response)) as url, http(SimulatedClock()) as client:
        with await get(client, url) as complete:
            assert body == complete.body


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize("size", [1, 100])
async def test_a_body_is_complete_however_it_is_cut(monkeypatch: pytest.MonkeyPatch, piece: int, size: int) -> None:
    body = BODY[:2000]
    monkeypatch.setattr(budget, "PIECE_BYTES", piece)
    whole = EARLY_HINTS + CHUNKED + chunks(body, size) + END
    async with tcp_server(sends(whole)) as url, http(SimulatedClock()) as client:
        with await get(client, url) as response:
            assert body == response.body


@on_each_loop
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("size", [8, 1000])
async def test_a_body_is_complete_if_it_must_wait_for_memory(
    monkeypatch: pytest.MonkeyPatch,
    anyio_backend: tuple[str, dict[str, bool]],  # noqa: ARG001
    size: int,
    *,
    is_encrypted: bool,
) -> None:
    """The server closes the connection while it is not read."""
    tls = server_context(monkeypatch) if is_encrypted else None
    limits = Limits(max_concurrency=10, timeout=LONG_TIMEOUT.timeout)
    body, bodies = b"01234567" * 100_000, list[bytes]()
    assert len(body) > MAX_SMALL_BYTES
    async with tcp_server(sends(CHUNKED + chunks(body, size) + END), tls) as url, http(SimulatedClock()) as client:

        async def read() -> None:
            with await get(client, url, limits=limits) as response:
                bodies.append(response.body)

        async with anyio.create_task_group() as tasks:
            with await get(client, url, limits=limits), await get(client, url, limits=limits):
                tasks.start_soon(read)
                await yield_to_others(2000)
                assert [] == bodies
    assert [body] == bodies


@pytest.mark.parametrize(
    "parts",
    [(HEAD + b"Content-Length: 2\r\n\r\n", b"{}" + EMPTY.replace(b"{}", b"no")), (EMPTY, EMPTY.replace(b"{}", b"no"))],
    ids=["with the body", "later"],
)
async def test_what_follows_a_response_is_not_the_next_response(parts: tuple[bytes, ...]) -> None:
    async with tcp_server(sends_later(*parts, b"")) as url, http(SimulatedClock()) as client:
        for _ in range(3):
            with await get(client, url) as response:
                assert b"{}" == response.body
            await yield_to_others()


async def test_a_connection_is_closed_when_something_follows_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    is_closed = False

    async def converse(stream: ByteStream) -> None:
        nonlocal is_closed
        try:
            await sends_later(HEAD + b"Content-Length: 2\r\n\r\n")(stream)
            await sends_endlessly(b"{}", EMPTY * 1000)(stream)
        finally:
            is_closed = True

    async with tcp_server(converse) as url, http(SimulatedClock()) as client:
        with parsed_by_turn(monkeypatch) as parsed:
            with await get(client, url) as response:
                assert b"{}" == response.body
            await wait_until(lambda: is_closed)
    assert parsed.total() <= 2 * PIECE_BYTES


@pytest.mark.parametrize(
    ("later", "code"),
    [(b"xx\r\n{}\r\n", "response_length"), (b"2\r\n{}\r\n0\r\n" + b"a:\r\n" * 1001, "response_headers")],
    ids=["size of a chunk", "trailers"],
)
async def test_a_body_that_is_not_valid_is_reported_at_once(later: bytes, code: str) -> None:
    async def converse(stream: ByteStream) -> None:
        await sends_later(CHUNKED, later)(stream)
        await anyio.sleep_forever()

    async with tcp_server(converse) as url:
        error = await failure(RetryLater, url, limits=SHORT_TIMEOUT)
    assert (code, False) == (error.code, error.narrower)


async def test_a_response_before_the_request_is_bounded() -> None:
    connection = BoundedConnection(asyncio.get_running_loop())
    connection.connection_made(Transport())
    connection.data_received(EMPTY)
    await yield_to_others(1)
    assert connection.exception() is None
    connection.data_received(bytes(PIECE_BYTES))
    assert isinstance(connection.exception(), budget.BudgetExceeded)
    assert not connection.is_connected()


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self._is_closed = False

    def abort(self) -> None:
        self._is_closed = True

    def is_closing(self) -> bool:
        return self._is_closed


async def test_aiohttp_has_the_private_parts_that_are_used() -> None:
    """`BoundedConnector` and `BoundedConnection` replace or read them."""
    async with aiohttp.TCPConnector() as connector:
        factory = connector._factory
        assert isinstance(factory, partial)
        assert (ResponseHandler, {"loop"}) == (factory.func, set(factory.keywords))
        connection = factory()
    names = ("_exception", "_parser", "_payload", "_reading_paused", "_buffer_paused", "_loop")
    methods = ("_pause_transport_reading", "_resume_transport_reading", "set_response_params", "data_received")
    assert [] == [name for name in (*names, *methods) if not hasattr(connection, name)]
