"""How a vendor is asked over HTTP: limits, timeouts, a size bound, and what each failure means for the caller.

The only module with aiohttp's client. Foreign errors end here: their texts hold URLs, and URLs hold keys.
"""

import os
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
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
from collector.errors import NotFound, Park, RetryLater, Split
from collector.settings import STRICT, Count, Duration, at_least, is_loopback

T = TypeVar("T")

CHUNK_BYTES = 64 << 10
CONNECT_S = 10
WHOLE = 3
"""How many timeouts a whole answer may take: a vendor that trickles is not waited for for ever."""
ANSWERS_AT_ONCE = 2
"""Answers that are in memory at a time in the process, but for small ones: what bounds it, whatever is configured."""
SMALL_BYTES = 256 << 10
"""A body up to here needs no share: the live edge waits for no backfill, and for no vendor that trickles."""

DAY_S = 86_400.0
"""The longest Retry-After that is taken at its word."""

_NOT_FOUND, _TOO_LARGE, _TOO_MANY = 404, 413, 429
_PASSING = frozenset({408, 425, _TOO_MANY})


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
        self._answers = anyio.Semaphore(ANSWERS_AT_ONCE)

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
        conceal: Callable[[bytes], bytes] = bytes,
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
                        _judge(response, self.clock.now())
                        body = await _read(response, limits.max_response_bytes, share, scope)
            except (aiohttp.ClientError, OSError) as error:
                # Raised further down: from here it would carry the foreign error, which holds the URL, as its context.
                trouble = _explained(error, url, silence)
            except BaseException:
                share.give_back()
                raise
            finally:
                asked(status, monotonic() - began, len(body))
        if trouble is not None:
            share.give_back()
            raise trouble
        return Response(conceal(body), timedelta(seconds=monotonic() - began), vendor_now, share.give_back)


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


def _judge(response: aiohttp.ClientResponse, now: datetime) -> None:
    """Nothing for 200; else what the status means for the caller."""
    status = response.status
    if status == 200:  # noqa: PLR2004 - the one status with an answer
        return
    if status == _TOO_LARGE:
        raise Split(f"HTTP {status}")
    if status in _PASSING or status >= 500:  # noqa: PLR2004 - the server's own errors
        wait = retry_after_s(response.headers.get("Retry-After"), now)
        reason = f"HTTP {status}" + (f", asks to wait {wait:g} s" if wait else "")
        raise RetryLater(reason, after_s=wait, throttled=status == _TOO_MANY)
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        raise Park(f"HTTP {status}: a redirect, which is not followed", advice="check base_url: scheme, host and path")
    advice = {
        401: "the key is wrong: correct it; the collector notices by itself",
        403: "the key may not read this: check the user and the ids in the source's settings",
        404: "the vendor does not know this path: check base_url (scheme, host, path such as /api)",
    }.get(status, "the vendor refuses the request as it is: check the source's settings")
    raise (NotFound if status == _NOT_FOUND else Park)(f"HTTP {status}", advice=advice)


async def _read(response: aiohttp.ClientResponse, limit: int, share: "_Share", deadline: anyio.CancelScope) -> bytes:
    """The body after decompression, in chunks, so that one that is too large is never whole in memory."""
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > SMALL_BYTES and not share.taken:
            left, deadline.deadline = deadline.deadline - anyio.current_time(), inf
            await share.take()  # however long: the wait is our own, not the vendor's
            deadline.deadline = anyio.current_time() + left
        if size > limit:
            raise Split(f"an answer of more than max_response_bytes ({limit})")
        parts.append(chunk)
    return b"".join(parts)


def _explained(error: Exception, url: str, silence_s: float) -> RetryLater | Park:
    host = urlsplit(url).hostname or "the vendor"
    match error:
        case aiohttp.ConnectionTimeoutError():
            trouble: RetryLater | Park = RetryLater(f"no connection to {host} within {CONNECT_S} s")
        case TimeoutError():  # silence, or an answer that takes too long: less is asked for next time
            trouble = RetryLater(f"no answer within the timeout of {silence_s:g} s", narrower=True)
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            advice = "check base_url and the machine's clock, or add the authority to the machine's certificates"
            trouble = Park(f"the certificate of {host} is not trusted", advice=advice)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            trouble = Park("base_url is no URL that can be asked", advice="check base_url")
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno or 0  # names that are not found have numbers below zero, and a text
            reason = os.strerror(number) if number > 0 else error.os_error.strerror
            trouble = RetryLater(f"no connection to {host}:{error.port}: {reason}")
        case aiohttp.ClientPayloadError():
            trouble = RetryLater(f"{host} broke off in the middle of its answer")
        case _:
            trouble = RetryLater(f"{host} did not answer: {type(error).__name__}")
    return trouble


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds of a Retry-After header in either form (RFC 9110, 10.2.3); 0 without one or with one that is none."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(min(int(header.strip()[:20]), DAY_S))
    moment = _moment(header)
    return 0.0 if moment is None else min(max(0.0, (moment - now).total_seconds()), DAY_S)


def _date(response: aiohttp.ClientResponse) -> datetime | None:
    return _moment(response.headers.get("Date", ""))


def _moment(header: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
