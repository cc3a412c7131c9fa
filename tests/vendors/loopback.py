"""Vendors on the loopback interface: HTTP servers, and TCP servers for what no HTTP library would send."""

import asyncio
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

from collector.errors import Park
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import Http, Response, http
from collector.vendors.limits import Limits
from tests.simulated import SimulatedClock

KEY = "s3cr3t k&y+/="
LONG_TIMEOUT = Limits(timeout=timedelta(seconds=60))
SHORT_TIMEOUT = Limits(timeout=timedelta(seconds=1))  # the shortest configurable timeout

OnRequest = Callable[[str, float, int], None]
UNREPORTED: OnRequest = standalone_telemetry().request_completed

E = TypeVar("E", bound=Exception)
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Conversation = Callable[[ByteStream], Awaitable[None]]


def responding(
    body: bytes = b"{}", *, status: int = 200, headers: dict[str, str] | None = None, seen: list[str] | None = None
) -> Handler:
    """A handler with a constant response. `seen` collects the raw paths and queries of requests."""

    async def handler(request: web.BaseRequest) -> web.Response:
        if seen is not None:
            seen.append(request.raw_path)
        return web.Response(status=status, body=body, headers=headers)

    return handler


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL, with the scheme http, of a server that passes every request to the handler."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    loop = asyncio.get_running_loop()
    handle = loop.get_exception_handler()

    def ignore_handshakes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """In its debug mode, asyncio reports a client that does not trust the certificate as an error of the server."""
        if handle is not None and not isinstance(context.get("exception"), ConnectionError | ssl.SSLError):
            handle(loop, context)

    if tls is not None:
        loop.set_exception_handler(ignore_handshakes)
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        if tls is not None:
            for _ in range(50):  # the end of a handshake is noticed a few turns of the loop after the client's
                await anyio.lowlevel.checkpoint()
        loop.set_exception_handler(handle)


@asynccontextmanager
async def tcp_server(converse: Conversation, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL of a TCP server that reads a request and then passes the connection to `converse`."""

    async def serve(stream: ByteStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
            async with stream:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += await stream.receive()
                await converse(stream)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon((TLSListener(listener, tls, standard_compatible=False) if tls else listener).serve, serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - of a socket, not of a database
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


def sends(*parts: bytes) -> Conversation:
    """Send the bytes, then close the connection."""

    async def converse(stream: ByteStream) -> None:
        for part in parts:
            await stream.send(part)

    return converse


def sends_endlessly(first: bytes, part: bytes) -> Conversation:
    """Send the first bytes, then the part again and again, until the client closes the connection."""

    async def converse(stream: ByteStream) -> None:
        await stream.send(first)
        while True:
            await stream.send(part)

    return converse


def sends_later(*parts: bytes) -> Conversation:
    """Send each part when the client has received the one before, then close the connection."""

    async def converse(stream: ByteStream) -> None:
        for part in parts:
            await stream.send(part)
            await yield_to_others()

    return converse


def sends_then_stalls(*parts: bytes) -> Conversation:
    """Send the bytes, then keep the connection open without sending more."""

    async def converse(stream: ByteStream) -> None:
        for part in parts:
            await stream.send(part)
        await anyio.sleep_forever()

    return converse


async def get(client: Http, url: str, *, limits: Limits = LONG_TIMEOUT, on_request: OnRequest = UNREPORTED) -> Response:
    """Send one request with the key in its query, for the only account of these tests."""
    limiter = client.limiter("vendor/1", limits)
    return await client.get(f"{url}/data/", {"key": KEY}, limits=limits, limiter=limiter, on_request=on_request)


async def failure(kind: type[E], url: str, *, limits: Limits = LONG_TIMEOUT, on_request: OnRequest = UNREPORTED) -> E:
    """The error of one request. Fails if the error contains the key."""
    async with http(SimulatedClock()) as client:
        with pytest.raises(kind) as raised:
            await get(client, url, limits=limits, on_request=on_request)
    assert_no_key(raised.value)
    return raised.value


def assert_no_key(error: Exception, key: str = KEY) -> None:
    texts = [str(error), repr(error), *traceback.format_exception(error)]
    if isinstance(error, Park):
        texts.append(error.advice)
    for form in (key, quote(key, safe=""), quote(key, safe="/:,"), quote(key)):
        assert [] == [text for text in texts if form in text]


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition holds. The deadline only keeps a failing test from hanging."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def yield_to_others(times: int = 200) -> None:
    """Let other tasks run for a while, without waiting for time to pass."""
    for _ in range(times):
        await anyio.lowlevel.checkpoint()
