"""How a vendor is asked over HTTP: limits, timeouts, a size bound, and what each failure means for the caller.

The only module with aiohttp's client. Foreign errors end here: their texts hold URLs, and URLs hold keys.
"""

import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from time import monotonic
from typing import Annotated, Self, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import anyio
from msgspec import Struct
from pydantic import BaseModel, Field
from yarl import URL

from collector import __version__
from collector.clock import Clock
from collector.errors import Park, RetryLater, Split
from collector.settings import STRICT, Count, Duration, at_least

T = TypeVar("T")

CHUNK_BYTES = 64 << 10
CONNECT_S = 10
WHOLE = 3
"""How many timeouts a whole answer may take: a vendor that trickles is not waited for for ever."""
ANSWERS_AT_ONCE = 2
"""Answers that are read and decoded at a time in the process: what bounds its memory, whatever is configured."""

_TOO_LARGE, _TOO_MANY = 413, 429
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

    def reading(self, rows: Iterable[T]) -> Iterator[T]:
        """The rows; the memory is given back when they are read."""
        yield from rows
        self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Limiter:
    """One account's limits: how many requests at a time, and how many a minute."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._at_once = anyio.Semaphore(limits.max_concurrency)
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
            yield


class Http:
    """The connections of the process to all vendors."""

    def __init__(self, clock: Clock, session: aiohttp.ClientSession) -> None:
        self.clock = clock
        self._session = session
        self._limiters: dict[str, Limiter] = {}
        self._answers = anyio.Semaphore(ANSWERS_AT_ONCE)

    def limiter(self, account: str, limits: Limits) -> Limiter:
        """The one limiter of an account, whatever the number of its sources and streams."""
        return self._limiters.setdefault(account, Limiter(limits, self.clock))

    async def get(
        self,
        url: str,
        query: Mapping[str, str],
        *,
        limits: Limits,
        limiter: Limiter,
        asked: Callable[[str, float, int], None],
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The whole body of a 200 answer.

        `asked` is told the status (or `error`), the seconds and the bytes of every request. Raises RetryLater, Park or
        Split; no text of theirs holds the query, the headers or what the vendor said in its own words.
        """
        text = "&".join(f"{name}={quote(value, safe='/:,')}" for name, value in query.items())
        target = URL(f"{url}?{text}", encoded=True)
        async with limiter.turn():
            began = monotonic()
            status, size = "error", 0
            silence = limits.timeout.total_seconds()
            try:
                timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=silence)
                with anyio.fail_after(WHOLE * silence):
                    async with self._session.get(
                        target, headers=headers, allow_redirects=False, timeout=timeout
                    ) as response:
                        status = str(response.status)
                        _judge(response, self.clock.now())
                        await self._answers.acquire()
                        try:
                            body = await _read(response, limits.max_response_bytes)
                        except BaseException:
                            self._answers.release()
                            raise
                        size = len(body)
            except aiohttp.ConnectionTimeoutError:
                raise RetryLater(f"no connection within {CONNECT_S} s") from None
            except TimeoutError:
                # Silence, or an answer that takes too long: less is asked for next time.
                raise RetryLater(f"no answer within the timeout of {silence:g} s", narrower=True) from None
            except (aiohttp.ClientError, OSError) as error:
                raise _explained(error, url) from None
            finally:
                asked(status, monotonic() - began, size)
        return Response(body, timedelta(seconds=monotonic() - began), _date(response), _once(self._answers.release))


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
    return parts.scheme == "http" and (insecure_http or _is_loopback(parts.hostname or ""))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _judge(response: aiohttp.ClientResponse, now: datetime) -> None:
    """Nothing for 200; else what the status means for the caller."""
    status = response.status
    if status == 200:  # noqa: PLR2004 - the one status with an answer
        return
    if status == _TOO_LARGE:
        raise Split(f"HTTP {status}")
    if status in _PASSING or status >= 500:  # noqa: PLR2004 - the server's own errors
        wait = retry_after_s(response.headers.get("Retry-After"), now)
        raise RetryLater(f"HTTP {status}" + (f", asks to wait {wait:g} s" if wait else ""), after_s=wait)
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        raise Park(f"HTTP {status}: a redirect, which is not followed", advice="check base_url: scheme, host and path")
    advice = {
        401: "the key is wrong: correct it; the collector notices by itself",
        403: "the key may not read this: check the user and the ids in the source's settings",
        404: "the vendor does not know this path: check base_url (scheme, host, path such as /api)",
    }.get(status, "the vendor refuses the request as it is: check the source's settings")
    raise Park(f"HTTP {status}", advice=advice)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body after decompression, in chunks, so that one that is too large is never whole in memory."""
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > limit:
            raise Split(f"an answer of more than max_response_bytes ({limit})")
        parts.append(chunk)
    return b"".join(parts)


def _explained(error: Exception, url: str) -> RetryLater | Park:
    host = urlsplit(url).hostname or "the vendor"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return Park(
            f"the certificate of {host} is not trusted",
            advice="check base_url and the machine's clock, or add the authority to the machine's certificates",
        )
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return Park("base_url is no URL that can be asked", advice="check base_url")
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return RetryLater(f"no connection to {host}: {type(error).__name__}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return RetryLater(f"{host} broke off in the middle of its answer")
    return RetryLater(f"{host} did not answer: {type(error).__name__}")


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds of a Retry-After header in either form (RFC 9110, 10.2.3); 0 without one or with one that is none."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(min(int(header), 86_400))
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), 86_400.0)


def _date(response: aiohttp.ClientResponse) -> datetime | None:
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _once(release: Callable[[], None]) -> Callable[[], None]:
    pending = [release]

    def call() -> None:
        while pending:
            pending.pop()()

    return call
