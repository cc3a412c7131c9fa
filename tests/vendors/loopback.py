"""A vendor on loopback: real HTTP, and below HTTP for what no server library would do."""

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TypeVar
from urllib.parse import quote

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from anyio.abc import SocketAttribute, SocketStream

from collector.errors import Park
from collector.telemetry.vendor import unreported
from collector.vendors.http import Http, Limits, Response, http
from tests.simulated import SimulatedClock

KEY = "s3cr3t k&y+/="
PATIENT = Limits(timeout=timedelta(seconds=60))
HASTY = Limits(timeout=timedelta(seconds=1))  # the shortest silence that can be configured

OnRequest = Callable[[str, float, int], None]
UNREPORTED: OnRequest = unreported().asked

E = TypeVar("E", bound=Exception)
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Speak = Callable[[SocketStream], Awaitable[None]]


def answering(
    body: bytes = b"{}", *, status: int = 200, headers: dict[str, str] | None = None, seen: list[str] | None = None
) -> Handler:
    """Always the same answer; `seen` collects the paths and queries, as they stood on the wire."""

    async def handler(request: web.BaseRequest) -> web.Response:
        if seen is not None:
            seen.append(request.raw_path)
        return web.Response(status=status, body=body, headers=headers)

    return handler


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The URL of a server that answers every path."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(speak: Speak) -> AsyncIterator[str]:
    """The URL of a server that hears a request out and then does with the connection as it likes."""

    async def serve(stream: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            async with stream:
                heard = b""
                while b"\r\n\r\n" not in heard:
                    heard += await stream.receive()
                await speak(stream)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - of a socket, not of a database
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


def saying(*parts: bytes) -> Speak:
    """These bytes, and then the end of the connection."""

    async def speak(stream: SocketStream) -> None:
        for part in parts:
            await stream.send(part)

    return speak


def falling_silent(*parts: bytes) -> Speak:
    """These bytes, and then nothing for ever."""

    async def speak(stream: SocketStream) -> None:
        for part in parts:
            await stream.send(part)
        await anyio.sleep_forever()

    return speak


async def ask(asking: Http, url: str, *, limits: Limits = PATIENT, on_request: OnRequest = UNREPORTED) -> Response:
    """One request with the key in its query, by the one account of these tests."""
    limiter = asking.limiter("vendor/1", limits)
    return await asking.get(f"{url}/data/", {"key": KEY}, limits=limits, limiter=limiter, on_request=on_request)


async def failure(kind: type[E], url: str, *, limits: Limits = PATIENT, on_request: OnRequest = UNREPORTED) -> E:
    """The error of one request, which keeps the key to itself."""
    async with http(SimulatedClock()) as asking:
        with pytest.raises(kind) as raised:
            await ask(asking, url, limits=limits, on_request=on_request)
    assert_keeps_the_key(raised.value)
    return raised.value


def assert_keeps_the_key(error: Exception, key: str = KEY) -> None:
    texts = [str(error), repr(error), *traceback.format_exception(error)]
    if isinstance(error, Park):
        texts.append(error.advice)
    for form in (key, quote(key, safe=""), quote(key, safe="/:,"), quote(key)):
        assert [] == [text for text in texts if form in text]


async def until(happened: Callable[[], bool]) -> None:
    """Let the others run until it is so. The deadline only keeps a broken promise from hanging."""
    with anyio.fail_after(30):
        while not happened():
            await anyio.lowlevel.checkpoint()


async def let_the_others_run(times: int = 200) -> None:
    """For what must not have happened by then: no time is waited for."""
    for _ in range(times):
        await anyio.lowlevel.checkpoint()
