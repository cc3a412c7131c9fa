"""HTTP requests to vendors, with limits of rate, concurrency, time and size.

With `budget.py`, which bounds what its connections receive, the only module that uses aiohttp's client for vendors.
`failures.py` translates failures.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from types import SimpleNamespace
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import anyio
import anyio.lowlevel
from aiohttp.http import HttpProcessingError
from msgspec import Struct, structs
from yarl import URL

from collector import __version__
from collector.clock import Clock
from collector.errors import Park, RetryLater, Split
from collector.steps import Steps
from collector.turns import in_turns
from collector.vendors.budget import BoundedConnector
from collector.vendors.clocks import Clocks, Moment, OnChange, least_difference
from collector.vendors.encodings import ACCEPTED, EncodingError, decoder_of
from collector.vendors.failures import (
    CONNECT_TIMEOUT_S,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    parse_http_date,
    raise_for_status,
    translate,
)
from collector.vendors.limits import Limits
from collector.vendors.proxy import proxy_for, request_arguments

T = TypeVar("T")

CHUNK_BYTES = 64 << 10
MAX_RESPONSE_TIMEOUTS = 3
"""The longest duration of a whole response, as a multiple of `timeout`: bounds a response that trickles."""
MAX_LARGE_RESPONSES = 2
"""The most large responses in memory at a time. With `max_response_bytes`, it bounds the memory of the process."""
MAX_SMALL_BYTES = 256 << 10
"""A body up to this size does not count as large, so that current data waits neither for backfills nor for a response
that trickles."""

MAX_ERROR_BYTES = 8 << 10
"""The longest body of a refusal that is read."""
ERROR_BODY_TIMEOUT_S = 10
"""How long it is waited for: it is only needed to show it."""

MAX_AGE_S = 365 * 86_400.0
"""A longer `Age` is shortened: no cache keeps a response for years."""


class Response(Struct, frozen=True):
    """A complete response. `release`, or the end of a `with` block, lets another large response into memory."""

    body: bytes
    took: timedelta
    vendor_now: datetime | None
    """The instant at which the vendor had what the response contains, from its header `Date`.

    None without that header, and if the clock of the vendor's host cannot be right.
    """
    release: Callable[[], None]
    date: datetime | None = None
    """The header `Date`, whether that clock is right or not; None without that header."""
    status: int = 200
    """200, 202, 203 or 204."""
    size: int = 0
    """Bytes of the body."""

    def without_body(self) -> Self:
        """The response once its body is decoded, which then takes no memory."""
        return structs.replace(self, body=b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Limiter:
    """Limits the concurrent requests of an account, its requests a minute, and the concurrent requests to its host.

    Several accounts may share a host.
    """

    def __init__(self, limits: Limits, clock: Clock, host: anyio.Semaphore | None = None) -> None:
        self._concurrency = anyio.Semaphore(limits.max_concurrency)
        self._host = host or nullcontext()
        self._per_minute = limits.max_requests_per_minute
        self._starts: deque[datetime] = deque(maxlen=limits.max_requests_per_minute or 0)
        self._rate_lock = anyio.Lock()
        self._clock = clock

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until the limits allow another request, and hold its slot."""
        async with self._concurrency:
            if self._per_minute:
                async with self._rate_lock:
                    if len(self._starts) == self._per_minute:
                        await self._clock.until(self._starts[0] + timedelta(minutes=1))
                    self._starts.append(self._clock.now())
            async with self._host:
                yield


class Http:
    """The HTTP client of the process, for all vendors."""

    def __init__(self, clock: Clock, session: aiohttp.ClientSession, clocks: Clocks) -> None:
        self.clock = clock
        self._clocks = clocks
        self._session = session
        self._shared: dict[tuple[str, str], Any] = {}
        self._large_responses = anyio.Semaphore(MAX_LARGE_RESPONSES)

    def shared(self, kind: str, owner: str, make: Callable[[], T]) -> T:
        """The one object of this kind that an owner (an account, a host) has in this process; `make` creates it."""
        if (kind, owner) not in self._shared:
            self._shared[kind, owner] = make()
        shared_object: T = self._shared[kind, owner]
        return shared_object

    def limiter(self, account: str, limits: Limits, host: anyio.Semaphore | None = None) -> Limiter:
        """The limiter of an account, which all its sources and streams share. Other limits make another limiter."""
        owner = f"{account} {[getattr(limits, name) for name in Limits.model_fields]}"
        return self.shared("limiter", owner, lambda: Limiter(limits, self.clock, host))

    def host_semaphore(self, base_url: str, connections: int) -> anyio.Semaphore:
        """The semaphore that bounds concurrent requests to a host. All accounts share it."""
        return self.shared("host", urlsplit(base_url).netloc, lambda: anyio.Semaphore(connections))

    def kafka_accepted(self, max_ahead: timedelta) -> None:
        """Kafka accepted timestamps of this machine's clock, which is therefore not further ahead than `max_ahead`."""
        self._clocks.kafka_accepted(self._moment(), max_ahead)

    async def get(
        self,
        url: str,
        query: Mapping[str, str],
        *,
        limits: Limits,
        limiter: Limiter,
        on_request: Callable[[str, float, int], None],
        redact: Callable[[bytes], Steps[bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        read_refusals: bool = False,
    ) -> Response:
        """Send a request; return its complete response. `redact` is applied to the body.

        With `read_refusals`, a Park for the status of the response has its body, if that is short.

        The status of the response is 200, 202, 203 or 204. Calls `on_request` with the status (or `error`), the seconds
        and the bytes of every request. Raises RetryLater, Park or Split. Their texts contain neither the query, nor
        headers, nor any text that the vendor sends.
        """
        encoded_query = "&".join(f"{name}={quote(value, safe='/:,')}" for name, value in query.items())
        target = URL(f"{url}?{encoded_query}", encoded=True)
        timeout_s = limits.timeout.total_seconds()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=timeout_s)
        proxy = proxy_for(url)
        share, attempt = _MemoryShare(self._large_responses), Attempt()
        failure: RetryLater | Park | None = None
        async with limiter.slot():
            started_s, status, body, vendor_now, date = monotonic(), "error", b"", None, None
            try:
                with anyio.fail_after(MAX_RESPONSE_TIMEOUTS * timeout_s) as scope:
                    async with self._session.get(
                        target,
                        allow_redirects=False,
                        timeout=timeout,
                        trace_request_ctx=attempt,
                        **request_arguments(proxy, url, headers or {}),
                    ) as response:
                        status = str(response.status)
                        try:
                            raise_for_status(response, self.clock.now(), proxy)
                        except Park as refusal:
                            refusal.body = await _read_error(response, redact) if read_refusals else b""
                            raise
                        date = parse_http_date(response.headers.get("Date", ""))
                        took = timedelta(seconds=monotonic() - started_s)
                        vendor_now = self._vendor_now(urlsplit(url).netloc, date, _age(response), took)
                        body = await _read(response, limits.max_response_bytes, share, scope)
            except (aiohttp.ClientError, HttpProcessingError, EncodingError, OSError) as error:
                # Raised below: here, its context would be the original error, which may contain the URL.
                failure = translate(error, url, timeout_s, proxy, is_connected=attempt.is_connected)
            except BaseException:
                share.release()
                raise
            finally:
                on_request(status, monotonic() - started_s, len(body))
        if failure is not None:
            share.release()
            raise failure
        took = timedelta(seconds=monotonic() - started_s)
        try:
            body = body if redact is None else await in_turns(redact(body))
        except BaseException:
            share.release()
            raise
        return Response(body, took, vendor_now, share.release, date, int(status), len(body))

    def _vendor_now(self, host: str, date: datetime | None, age: timedelta, took: timedelta) -> datetime | None:
        """When the vendor had what the response contains; None if that is not known.

        A cache sends the date at which the vendor responded, and the `Age` of its copy (RFC 9111, 5.1).
        """
        if date is None:
            return None
        at = self._moment()
        try:
            reading = date + age
        except OverflowError:
            reading = date
        if self._clocks.observe(host, reading, took, at):
            return date
        return at.now - age if age else None

    def _moment(self) -> Moment:
        return Moment(self.clock.now(), self.clock.monotonic_s())


class Attempt:
    """What is known of a request while no response has arrived."""

    is_connected = False
    """Whether there is a connection to the host: directly, or through the tunnel of a proxy."""


def tracing() -> aiohttp.TraceConfig:
    """Records in the `Attempt` of a request that there is a connection."""

    async def connected(_session: aiohttp.ClientSession, request: SimpleNamespace, _: object) -> None:
        request.trace_request_ctx.is_connected = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


class _MemoryShare:
    """The right to hold one large response in memory. `release` may be called more than once, and without `acquire`."""

    def __init__(self, shares: anyio.Semaphore) -> None:
        self._shares = shares
        self.is_held = False

    async def acquire(self) -> None:
        await self._shares.acquire()
        self.is_held = True

    def release(self) -> None:
        if self.is_held:
            self.is_held = False
            self._shares.release()


@asynccontextmanager
async def http(clock: Clock, on_clock_change: OnChange = lambda _host, _notice: None) -> AsyncIterator[Http]:
    """The HTTP client of the process; its connections are closed at the end.

    It reads only the proxy from the environment, and no credentials from a `.netrc` file. `on_clock_change` is called
    when a notice about the clock of a vendor's host begins, changes or ends.
    """
    connector = BoundedConnector(limit=0, limit_per_host=0, ttl_dns_cache=60)
    headers = {"User-Agent": f"collector/{__version__}", "Accept": "application/json", "Accept-Encoding": ACCEPTED}
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        read_bufsize=CHUNK_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
        trace_configs=[tracing()],
    ) as session:
        yield Http(clock, session, Clocks(on_clock_change))


async def _read(
    response: aiohttp.ClientResponse, limit: int, share: _MemoryShare, deadline: anyio.CancelScope
) -> bytes:
    """The decompressed body, read in parts, so that a body that is too large is never in memory as a whole.

    Raises Split when the body exceeds the limit, compressed or not, and EncodingError when it cannot be decoded.
    """
    decoder = decoder_of(response.headers.getall("Content-Encoding", ()))
    body = bytearray()  # a list of parts would take many times the memory, if each part has some bytes only
    received = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        received += len(chunk)
        for part in decoder.decode(chunk):
            size = len(body) + len(part)
            if size > MAX_SMALL_BYTES and not share.is_held:
                left_s, deadline.deadline = deadline.deadline - anyio.current_time(), inf
                await share.acquire()  # does not count towards the deadline: the vendor does not cause this wait
                deadline.deadline = anyio.current_time() + left_s
            if max(size, received) > limit:
                raise Split(f"the response exceeds max_response_bytes ({limit})", code="response_too_large")
            body += part
            await anyio.lowlevel.checkpoint()  # a chunk may decode to a thousand parts
    decoder.end()
    return bytes(body)


async def _read_error(response: aiohttp.ClientResponse, redact: Callable[[bytes], Steps[bytes]] | None) -> bytes:
    """The body of a refusal; empty if it cannot be read, is long, or does not come soon."""
    body = b""
    with (
        suppress(aiohttp.ClientError, HttpProcessingError, EncodingError, OSError, Split),
        anyio.move_on_after(ERROR_BODY_TIMEOUT_S) as scope,
    ):
        unlimited = _MemoryShare(anyio.Semaphore(1))  # the body is too small to need a share
        body = await _read(response, MAX_ERROR_BYTES, unlimited, scope)
    return body if redact is None else await in_turns(redact(body))


def clock_skew_s(response: Response, received_at: datetime) -> float | None:
    """The least difference, in seconds, between the vendor's clock and this machine's; negative when it is behind.

    None if the response has no date.
    """
    if response.date is None:
        return None
    return least_difference(response.date, received_at, response.took).total_seconds()


def _age(response: aiohttp.ClientResponse) -> timedelta:
    """How long a cache has kept the response; 0 if it comes from the vendor itself."""
    header = response.headers.get("Age", "").strip()
    return timedelta(seconds=min(float(header[:20]), MAX_AGE_S)) if header.isdecimal() else timedelta(0)
