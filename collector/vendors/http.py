"""How a vendor is asked over HTTP: limits, timeouts, a size bound.

The only module with aiohttp's client; what a failure means for the caller is in `failures.py`.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import anyio
from msgspec import Struct
from pydantic import BaseModel, Field
from yarl import URL

from collector import __version__
from collector.clock import Clock
from collector.errors import Park, RetryLater, Split
from collector.settings import STRICT, Count, Duration, at_least, is_loopback
from collector.vendors.failures import CONNECT_S, explained, judge, moment

T = TypeVar("T")

CHUNK_BYTES = 64 << 10
WHOLE = 3
"""How many timeouts a whole answer may take: a vendor that trickles is not waited for for ever."""
MAX_LARGE_RESPONSES = 2
"""Answers that are in memory at a time in the process, but for small ones: what bounds it, whatever is configured."""
MAX_SMALL_BYTES = 256 << 10
"""A body up to here needs no share: the live edge waits for no backfill, and for no vendor that trickles."""


class Limits(BaseModel):
    """What a source may ask of its vendor; sources of one account must agree."""

    model_config = STRICT

    max_concurrency: Annotated[Count, Field(ge=1)] = 1
    max_requests_per_minute: Annotated[Count, Field(ge=1)] | None = None
    max_response_bytes: Annotated[Count, Field(ge=1 << 10)] = 16 << 20
    timeout: Annotated[Duration, at_least(timedelta(seconds=1))] = timedelta(seconds=60)
    """The longest silence; a whole answer may take `WHOLE` times that."""


class Response(Struct, frozen=True):
    """A body that was read whole, and its share of memory, given back by `release`."""

    body: bytes
    took: timedelta
    vendor_now: datetime | None
    release: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Limiter:
    """One account's limits: how many requests at a time, and how many a minute; and its host's, which it may share."""

    def __init__(self, limits: Limits, clock: Clock, host: anyio.Semaphore | None = None) -> None:
        self._at_once = anyio.Semaphore(limits.max_concurrency)
        self._host = host or nullcontext()
        self._per_minute = limits.max_requests_per_minute
        self._began: deque[datetime] = deque(maxlen=limits.max_requests_per_minute or 0)
        self._turn = anyio.Lock()
        self._clock = clock

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a free place, and until another request in the last minute is allowed."""
        async with self._at_once:
            if self._per_minute:
                async with self._turn:
                    if len(self._began) == self._per_minute:
                        await self._clock.until(self._began[0] + timedelta(minutes=1))
                    self._began.append(self._clock.now())
            async with self._host:
                yield


class Http:
    """The connections of the process to all vendors."""

    def __init__(self, clock: Clock, session: aiohttp.ClientSession) -> None:
        self.clock = clock
        self._session = session
        self._shared: dict[tuple[str, str], Any] = {}
        self._answers = anyio.Semaphore(MAX_LARGE_RESPONSES)

    def shared(self, kind: str, owner: str, make: Callable[[], T]) -> T:
        """The one thing of its kind that an owner (an account, a host) has in this process, made when first needed."""
        if (kind, owner) not in self._shared:
            self._shared[kind, owner] = make()
        thing: T = self._shared[kind, owner]
        return thing

    def limiter(self, account: str, limits: Limits, host: anyio.Semaphore | None = None) -> Limiter:
        """The one limiter of an account, whatever the number of its sources and streams."""
        return self.shared("limiter", account, lambda: Limiter(limits, self.clock, host))

    def host(self, base_url: str, connections: int) -> anyio.Semaphore:
        """How many requests a host takes from one address at a time, over all accounts."""
        return self.shared("host", urlsplit(base_url).netloc, lambda: anyio.Semaphore(connections))

    async def get(
        self,
        url: str,
        query: Mapping[str, str],
        *,
        limits: Limits,
        limiter: Limiter,
        asked: Callable[[str, float, int], None],
        redact: Callable[[bytes], bytes] = bytes,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The whole body of a 200 answer, without what `conceal` takes out of it.

        `asked` is told the status (or `error`), the seconds and the bytes of every request. Raises RetryLater, Park or
        Split; no text of theirs holds the query, the headers or what the vendor said in its own words.
        """
        text = "&".join(f"{name}={quote(value, safe='/:,')}" for name, value in query.items())
        target = URL(f"{url}?{text}", encoded=True)
        silence = limits.timeout.total_seconds()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=silence)
        share = _Share(self._answers)
        trouble: RetryLater | Park | None = None
        async with limiter.turn():
            began, status, body, vendor_now = monotonic(), "error", b"", None
            try:
                with anyio.fail_after(WHOLE * silence) as scope:
                    async with self._session.get(
                        target, headers=headers, allow_redirects=False, timeout=timeout
                    ) as response:
                        status, vendor_now = str(response.status), _date(response)
                        judge(response, self.clock.now())
                        body = await _read(response, limits.max_response_bytes, share, scope)
            except (aiohttp.ClientError, OSError) as error:
                # Raised further down: from here it would carry the foreign error, which holds the URL, as its context.
                trouble = explained(error, url, silence)
            except BaseException:
                share.give_back()
                raise
            finally:
                asked(status, monotonic() - began, len(body))
        if trouble is not None:
            share.give_back()
            raise trouble
        return Response(redact(body), timedelta(seconds=monotonic() - began), vendor_now, share.give_back)


class _Share:
    """An answer's share of memory; given back once, however often that is said."""

    def __init__(self, shares: anyio.Semaphore) -> None:
        self._shares = shares
        self.taken = False

    async def take(self) -> None:
        await self._shares.acquire()
        self.taken = True

    def give_back(self) -> None:
        if self.taken:
            self.taken = False
            self._shares.release()


@asynccontextmanager
async def http(clock: Clock) -> AsyncIterator[Http]:
    """The process's HTTP client, closed at the end."""
    connector = aiohttp.TCPConnector(limit=0, limit_per_host=0, ttl_dns_cache=60)
    headers = {"User-Agent": f"collector/{__version__}", "Accept": "application/json"}
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
    ) as session:
        yield Http(clock, session)


def is_private(base_url: str, *, insecure_http: bool) -> bool:
    """Whether keys may be sent there: https, or plain http to this machine or where it is allowed in so many words."""
    parts = urlsplit(base_url)
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and (insecure_http or is_loopback(parts.hostname or ""))


async def _read(response: aiohttp.ClientResponse, limit: int, share: "_Share", deadline: anyio.CancelScope) -> bytes:
    """The body after decompression, in chunks, so that one that is too large is never whole in memory."""
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_SMALL_BYTES and not share.taken:
            left, deadline.deadline = deadline.deadline - anyio.current_time(), inf
            await share.take()  # however long: the wait is our own, not the vendor's
            deadline.deadline = anyio.current_time() + left
        if size > limit:
            raise Split(f"an answer of more than max_response_bytes ({limit})")
        parts.append(chunk)
    return b"".join(parts)


def ahead_s(response: Response, answered: datetime) -> float | None:
    """How far the vendor's clock is ahead of ours at least, in seconds (below zero: behind); None if it says no time.

    It wrote the whole second, at some instant between the request and the end of the answer.
    """
    if response.vendor_now is None:
        return None
    min_end = (response.vendor_now - answered).total_seconds()
    most = min_end + 1 + response.took.total_seconds()
    return max(min_end, 0.0) + min(most, 0.0)


def _date(response: aiohttp.ClientResponse) -> datetime | None:
    return moment(response.headers.get("Date", ""))
