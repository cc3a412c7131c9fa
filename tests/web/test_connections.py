"""What a client of the HTTP server may use: connections, time, bytes. None of it costs others their responses."""

import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from threading import Event

import anyio
import anyio.abc
import anyio.from_thread
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.web import connections
from collector.web.connections import Connection, Limits
from collector.web.server import serve_http
from tests.kafka.broker import free_port
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
UNFINISHED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Unfinished: "


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The daemon runs with uvloop, whose transports differ from those of asyncio."""
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def served(limits: Limits | None = None) -> AsyncIterator[int]:
    """The port of a server with these limits."""
    port = free_port()
    status, registry = ProcessStatus("1", "group"), Metrics().registry
    async with serve_http(("127.0.0.1", port), status, registry, SimulatedClock(), limits=limits):
        yield port


@asynccontextmanager
async def connected(port: int, *, number: int = 1, sends: bytes = b"") -> AsyncIterator[list[anyio.abc.SocketStream]]:
    """This many connections, over each of which these bytes have been sent."""
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(number):
            streams.append(await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port)))
            if sends:
                await streams[-1].send(sends)
        yield streams


async def received(stream: anyio.abc.SocketStream) -> bytes:
    """All bytes until the server closes the connection."""
    content = b""
    with anyio.fail_after(20):
        try:
            async for part in stream:
                content += part
        except anyio.BrokenResourceError:
            pass  # reset
    return content


async def response(port: int, request: bytes = HEALTHZ) -> bytes:
    async with connected(port, sends=request) as (stream,):
        return await received(stream)


def status_of(response_: bytes) -> int:
    return int(response_.split(b" ", 2)[1]) if response_ else 0


@pytest.mark.parametrize("sends", [b"", UNFINISHED])
async def test_many_silent_or_unfinished_connections_do_not_keep_others_out(sends: bytes) -> None:
    async with served(Limits(connections=8)) as port, connected(port, number=40, sends=sends) as silent:
        assert 200 == status_of(await response(port))
        for stream in silent[:32]:
            assert b"" == await received(stream)


async def test_a_connection_is_closed_at_once_when_all_others_are_being_served() -> None:
    collecting, finish = anyio.Event(), Event()

    class Slow(Collector):
        def collect(self) -> list[GaugeMetricFamily]:
            anyio.from_thread.run_sync(collecting.set)
            finish.wait(20)
            return []

    registry, port = CollectorRegistry(), free_port()
    limits = Limits(connections=2)
    async with serve_http(("127.0.0.1", port), ProcessStatus("1", "g"), registry, SimulatedClock(), limits=limits):
        registry._collector_to_names[Slow()] = []  # registering it would collect
        request = HEALTHZ.replace(b"/healthz", b"/metrics")
        async with connected(port, number=2, sends=request) as (first, second):
            await collecting.wait()
            refused = await response(port)
            finish.set()
            assert b"" == refused
            assert (200, 200) == (status_of(await received(first)), status_of(await received(second)))
        assert 200 == status_of(await response(port))


@pytest.mark.parametrize("sends", [b"", UNFINISHED])
async def test_a_connection_without_a_complete_request_is_closed_after_its_time(sends: bytes) -> None:
    async with served(Limits(request_s=0.05)) as port:
        assert b"" == await response(port, sends)


async def test_a_client_that_does_not_read_is_disconnected_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Large(Collector):
        def collect(self) -> list[GaugeMetricFamily]:
            return [GaugeMetricFamily("large", "x" * (32 << 20))]

    registry, port, aborted, abort = CollectorRegistry(), free_port(), anyio.Event(), Connection.abort

    def abort_(connection: Connection) -> None:
        abort(connection)
        aborted.set()

    monkeypatch.setattr(Connection, "abort", abort_)
    registry.register(Large())
    limits = Limits(connection_s=0.2)
    async with (
        serve_http(("127.0.0.1", port), ProcessStatus("1", "g"), registry, SimulatedClock(), limits=limits),
        connected(port, sends=HEALTHZ.replace(b"/healthz", b"/metrics")) as (stream,),
    ):
        with anyio.fail_after(20):
            await aborted.wait()
        assert len(await received(stream)) < 32 << 20


async def test_a_connection_ends_with_the_response() -> None:
    async with served() as port:
        found = await response(port, HEALTHZ * 3)
    assert 1 == found.count(b"HTTP/1.1 200")
    assert b"Connection: close" in found


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n" + b"X-Many: a\r\n" * 100 + b"\r\n", 400),
        (UNFINISHED + b"a" * (64 << 10), 0),
        (HEALTHZ.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello"), 413),
        (HEALTHZ.replace(b"\r\n\r\n", b"\r\nContent-Length: 1000000000\r\n\r\n"), 413),
        (HEALTHZ.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello"), 413),
        (HEALTHZ.replace(b"GET", b"POST"), 405),
        (HEALTHZ.replace(b"/healthz", b"/absent"), 404),
        (b"not HTTP\r\n\r\n", 400),
        (HEALTHZ, 200),
        (HEALTHZ.replace(b"/healthz", b"/readyz"), 503),
        (HEALTHZ.replace(b"/healthz", b"/metrics"), 200),
        (HEALTHZ.replace(b"/healthz", b"/api/status"), 200),
        (HEALTHZ.replace(b"/healthz", b"/"), 200),
    ],
    ids=lambda each: each[:60].decode() if isinstance(each, bytes) else None,
)
async def test_responses_name_no_version_and_are_not_sniffed(request_: bytes, expected: int) -> None:
    async with served() as port:
        found = await response(port, request_)
        assert 200 == status_of(await response(port))
    assert expected == status_of(found)
    if expected:
        header = found.partition(b"\r\n\r\n")[0]
        assert [b"Server: collector"] == [line for line in header.splitlines() if line.startswith(b"Server:")]
        assert 1 == header.count(b"X-Content-Type-Options: nosniff")


@pytest.mark.parametrize(
    ("limit", "expected"), [(1024, 64), (256, 64), (128, 32), (2, 1), (resource.RLIM_INFINITY, 64)]
)
def test_the_server_leaves_most_descriptors_to_others(
    monkeypatch: pytest.MonkeyPatch, limit: int, expected: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert expected == connections.max_connections()
