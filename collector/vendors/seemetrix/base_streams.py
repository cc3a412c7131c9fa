"""The base of the streams of a Seemetrix source, and the arguments of requests that select a window."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from collector.alignment import NO_TIME, Alignment
from collector.steps import Steps
from collector.vendors.base import Stream, max_rows
from collector.vendors.empties import Empties, Request, has_undocumented_form, undocumented
from collector.vendors.http import Response
from collector.vendors.seemetrix.client import Client, decode_body
from collector.vendors.seemetrix.offsets import whole_hours
from collector.vendors.source import StreamSettings

P = TypeVar("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Decode(Protocol[T_co]):
    """Decodes a body of at most `max_rows` rows."""

    def __call__(self, body: bytes, max_rows: int) -> Steps[T_co]: ...


class SeemetrixStream(Stream[P]):
    """The base of all streams of Seemetrix. The `name` of a subclass is that of its field in `settings.Streams`."""

    selection = "every device"
    narrowing_advice = "split the source into several with device_ids"

    def __init__(self, client: Client, settings: StreamSettings, alignment: Alignment | None = None) -> None:
        self._client = client
        self.source = client.source
        self.account = client.settings.account
        self._user = client.settings.user_id
        self.policy = settings.policy(client.settings.until, alignment)
        self._empties = Empties()

    async def _request(
        self, request: Request, decode: "Decode[T]", count: Callable[[T], int], empty: T
    ) -> "Decoded[T]":
        """Send a request, and decode its response. `empty` replaces a response that means no data in another form.

        `decode` receives the body, and the most rows that it may have. Raises RetryLater, Park or Split.
        """
        decode_rows = partial(decode, max_rows=max_rows(self.policy.alignment, request.window))
        response = await self._client.get(request.path, dict(request.query))
        try:
            if has_undocumented_form(response.body, response.status):
                if (proof := self._empties.judge(request)) is not None:
                    await self._prove(proof, decode_rows, count)
                return Decoded(response, empty)
            decoded = await decode_body(response, decode_rows)
            self._empties.received(request, count(decoded))
        except BaseException:
            response.release()
            raise
        return Decoded(response.without_body(), decoded)

    async def _prove(self, request: Request, decode: Callable[[bytes], Steps[T]], count: Callable[[T], int]) -> None:
        """Repeat a request that received rows. Raises RetryLater if it does not receive any now."""
        with await self._client.get(request.path, dict(request.query)) as response:
            rows = count(await decode_body(response, decode))
        if not rows:
            raise undocumented()
        self._empties.received(request, rows)


class Decoded(NamedTuple, Generic[T]):
    """A response, and its contents."""

    response: Response
    decoded: T


def bounds(first: datetime, last: datetime, offset: timedelta = NO_TIME) -> dict[str, str]:
    """The arguments that select a window. The document's "local time" is UTC plus `tzo` hours: by default, UTC."""
    return {"b": _format_time(first + offset), "e": _format_time(last + offset), "tzo": str(whole_hours(offset))}


def _format_time(instant: datetime) -> str:
    """A time in the format that the vendor's document requires."""
    return instant.strftime("%Y/%m/%d %H:%M:%S")
