"""The streams of a Seemetrix source: the requests of each. The module of the same name decodes its responses."""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Raw

from collector.alignment import Alignment
from collector.errors import NotFound, RetryLater, Split
from collector.instants import SECOND, to_ms
from collector.model import DedupMode, Event, FetchResult, Record, Reject, Window
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import Stream
from collector.vendors.empties import Empties, Request, has_undocumented_form, undocumented
from collector.vendors.http import Http, Response
from collector.vendors.seemetrix import breakdown, counters, devices, events, statistics, wire
from collector.vendors.seemetrix.client import (
    BREAKDOWN,
    COUNTERS,
    DEVICES,
    OBJECTS_PER_PAGE,
    RAW_DATA,
    STATISTICS_OF_DEVICE,
    STATISTICS_OF_USER,
    Client,
    decode_body,
)
from collector.vendors.seemetrix.settings import (
    BreakdownSettings,
    CountersSettings,
    DevicesSettings,
    SeemetrixSource,
    SessionsSettings,
    StatisticsSettings,
)
from collector.vendors.source import StreamSettings

P = TypeVar("P")
T = TypeVar("T")


class SeemetrixStream(Stream[P]):
    """The base of all streams of Seemetrix. The `name` of a subclass is that of its field in `settings.Streams`."""

    selection = "every device"
    oversize_advice = "raise max_response_bytes, or split the source into several with device_ids"

    def __init__(self, client: Client, settings: StreamSettings, alignment: Alignment | None = None) -> None:
        self._client = client
        self.source = client.source
        self.account = client.settings.account
        self.policy = settings.policy(client.settings.until, alignment)
        self._empties = Empties()

    async def _request(
        self, request: Request, decode: Callable[[bytes], T], count: Callable[[T], int], empty: T
    ) -> "Decoded[T]":
        """Send a request, and decode its response. `empty` replaces a response that means no data in another form.

        Raises RetryLater, Park or Split.
        """
        response = await self._client.get(request.path, dict(request.query))
        try:
            if has_undocumented_form(response.body, response.status):
                if (proof := self._empties.judge(request)) is not None:
                    await self._prove(proof, decode, count)
                return Decoded(response, empty)
            decoded = decode_body(response, decode)
            self._empties.received(request, count(decoded))
        except BaseException:
            response.release()
            raise
        return Decoded(response, decoded)

    async def _prove(self, request: Request, decode: Callable[[bytes], T], count: Callable[[T], int]) -> None:
        """Repeat a request that received rows. Raises RetryLater if it does not receive any now."""
        with await self._client.get(request.path, dict(request.query)) as response:
            rows = count(decode_body(response, decode))
        if not rows:
            raise undocumented()
        self._empties.received(request, rows)


class Decoded(NamedTuple, Generic[T]):
    """A response, and its contents."""

    response: Response
    decoded: T


class Sessions(SeemetrixStream[wire.Session]):
    """Raw data: one request for all devices, or one for each of the device_ids."""

    name = "sessions"
    dedup_mode = DedupMode.VERSIONED
    fields_version = wire.FIELDS_VERSION
    event_types = events.TYPES

    def __init__(self, client: Client, settings: SessionsSettings) -> None:
        super().__init__(client, settings)
        self.selection = client.selection

    @staticmethod
    def sequence_of(record: Record[wire.Session]) -> tuple[int, int]:
        return record.payload.d, record.payload.o

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[wire.Session], None]:
        """Yield all rows: the vendor's document does not state which sessions a window selects."""
        for device in self._client.devices:
            query = _bounds(window.start, window.end)
            if device is not None:
                query["device_id"] = str(device)
            request = Request(RAW_DATA, query, window, device)
            response, raw = await self._request(request, wire.rows, len, list[Raw]())
            with response:
                yield _result(response, wire.read(raw), len(raw))

    def explode(self, record: Record[wire.Session], digest: str, number: int) -> Iterator[Event]:
        return events.explode_session(record, digest, number, self.source)


class Devices(SeemetrixStream[devices.KnownDevice]):
    """The present list of devices."""

    name = "devices"
    dedup_mode = DedupMode.LATEST
    fields_version = devices.FIELDS_VERSION
    event_types = devices.TYPES

    def __init__(self, client: Client, settings: DevicesSettings) -> None:
        super().__init__(client, settings)
        self._include_private = settings.include_private

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[devices.KnownDevice], None]:
        """Yield the list; its devices are seen at the end of the window."""
        seen_ms = to_ms(window.end)
        with await self._client.get(DEVICES, {}) as response:
            listed = decode_body(response, devices.decode)
            self._check_lists(listed, window)
            records = devices.read(listed, seen_ms, include_private=self._include_private)
            gone = partial(devices.gone, seen_ms=seen_ms)
            yield _result(response, records, listed.rows, gone, is_whole=listed.is_whole)

    def _check_lists(self, listed: devices.Devices, window: Window) -> None:
        """Raise RetryLater if a list is null and nothing shows that it is empty. Such a response is never whole."""
        request, had_proof = Request(DEVICES, {}, window), self._empties.has_proof
        if listed.rows or listed.has_every_list:
            self._empties.received(request, listed.rows)
        if listed.has_every_list:
            return
        if not had_proof or (not listed.rows and self._empties.judge(request) is not None):
            raise undocumented()

    def explode(self, record: Record[devices.KnownDevice], digest: str, number: int) -> Iterator[Event]:
        return devices.explode(record, digest, number, self.source)


class Counters(SeemetrixStream[counters.Counters]):
    """The present counters of the account."""

    name = "counters"
    dedup_mode = DedupMode.LATEST
    fields_version = counters.FIELDS_VERSION
    event_types = counters.TYPES

    def __init__(self, client: Client, settings: CountersSettings) -> None:
        super().__init__(client, settings)
        self._path, self._other_path = COUNTERS

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[counters.Counters], None]:
        """Yield the counters; they are seen at the end of the window."""
        with await self._get() as response:
            record = decode_body(response, lambda body: counters.read(body, to_ms(window.end)))
            self._client.telemetry.counters(counters.gauges(record.payload))
            yield _result(response, (record,), 1)

    async def _get(self) -> Response:
        """Only this path is documented without a trailing slash. If it is not found, try it with one."""
        try:
            return await self._client.get(self._path, {})
        except NotFound:
            response = await self._client.get(self._other_path, {})
            self._path, self._other_path = self._other_path, self._path
            return response

    def explode(self, record: Record[counters.Counters], digest: str, number: int) -> Iterator[Event]:
        return counters.explode(record, digest, number, self.source, self._client.settings.user_id)


class Statistics(SeemetrixStream[statistics.DeviceHour]):
    """Views per hour, of all devices together or of each of the device_ids."""

    name = "statistics"
    dedup_mode = DedupMode.VERSIONED
    fields_version = statistics.FIELDS_VERSION
    event_types = statistics.TYPES

    def __init__(self, client: Client, settings: StatisticsSettings) -> None:
        super().__init__(client, settings, statistics.HOURS)
        self._extras = {name: "1" for name, is_sent in settings.extras.items() if is_sent}
        self.selection = client.selection

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[statistics.DeviceHour], None]:
        """Yield a result for each device."""
        query = {**_bounds(window.start, window.end - SECOND), **statistics.GROUPING, **self._extras}
        for device in self._client.devices:
            path = STATISTICS_OF_USER if device is None else STATISTICS_OF_DEVICE.format(device_id=device)
            response, decoded = await self._request(
                Request(path, query, window, device), statistics.decode, statistics.count, statistics.Statistics([])
            )
            with response:
                yield _result(response, statistics.read(decoded, window, device), len(decoded.objects))

    def explode(self, record: Record[statistics.DeviceHour], digest: str, number: int) -> Iterator[Event]:
        return statistics.explode(record, digest, number, self.source, self._client.settings.user_id)


class Breakdown(SeemetrixStream[breakdown.Group]):
    """A tree of views for each period, of all devices or of each of the device_ids."""

    name = "breakdown"
    dedup_mode = DedupMode.VERSIONED
    fields_version = breakdown.FIELDS_VERSION
    event_types = breakdown.TYPES

    def __init__(self, client: Client, settings: BreakdownSettings) -> None:
        self._alignment = settings.alignment
        super().__init__(client, settings, self._alignment)
        self._levels = settings.levels
        date_format = settings.date_format
        self._query = {"to_object": "0", **({"dt_format": date_format} if date_format else {})}
        self._common = breakdown.SharedFields(client.source, client.settings.user_id, settings.resolution, date_format)
        self.selection = f"{client.selection}, {'/'.join(settings.levels)} by {settings.resolution}"

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[breakdown.Group], None]:
        """Yield a result for each period and device, with the rows of all its pages."""
        start = window.start
        while start < window.end:
            period = Window(start, self._alignment.after(start))
            for device in self._client.devices:
                yield await self._tree(period, device)
            start = period.end

    async def _tree(self, period: Window, device: int | None) -> FetchResult[breakdown.Group]:
        """The tree of one period, from all its pages. Raises RetryLater, Park or Split."""
        path = BREAKDOWN + "".join(f"{level}/" for level in self._levels)
        query = _bounds(period.start, period.end - SECOND) | self._query
        if device is not None:
            query["d"] = str(device)
        is_paged = self._levels[0] in breakdown.PAGED
        max_bytes = self._client.settings.max_response_bytes
        rows: list[bytes] = []
        size, took, vendor_now, page, pages = 0, timedelta(0), None, 0, 1
        while page < pages:
            if is_paged:
                query |= {"page": str(page), "obj_in_page": str(OBJECTS_PER_PAGE)}
            response, tree = await self._request(
                Request(path, dict(query), period, device), breakdown.decode, breakdown.count, breakdown.Tree(ok=1)
            )
            with response:
                size, took = size + len(response.body), took + response.took
                vendor_now = vendor_now or response.vendor_now
                nodes = breakdown.children(tree)
            if tree.page not in (None, page):
                raise RetryLater(f"page {tree.page} was sent instead of page {page}", code="wrong_page")
            if size > max_bytes:
                raise Split(f"the pages together exceed max_response_bytes ({max_bytes})", code="response_too_large")
            rows += nodes
            # An empty page is the last one, whatever `pages_total` is.
            page, pages = page + 1, (tree.pages_total or 1) if is_paged and nodes else 0
        records = breakdown.read(rows, period, self._levels, device)
        return FetchResult(records, len(rows), size, took, vendor_now)

    def explode(self, record: Record[breakdown.Group], digest: str, number: int) -> Iterator[Event]:
        return breakdown.explode(record, digest, number, self._common)


STREAMS: Mapping[str, type[SeemetrixStream[Any]]] = {each.name: each for each in SeemetrixStream.__subclasses__()}
"""The streams of this module, by name."""


def streams(source: str, settings: SeemetrixSource, http: Http, telemetry: VendorTelemetry) -> Sequence[Stream[Any]]:
    """The configured streams of a source."""
    client = Client(source, settings, http, telemetry)
    return [STREAMS[name](client, chosen) for name, chosen in settings.streams.chosen.items()]


def _result(
    response: Response,
    records: Iterable[Record[P] | Reject],
    rows: int,
    gone: Callable[[bytes], Record[P]] | None = None,
    *,
    is_whole: bool = True,
) -> FetchResult[P]:
    """The result of one response."""
    return FetchResult(records, rows, len(response.body), response.took, response.vendor_now, gone, is_whole)


def _bounds(first: datetime, last: datetime) -> dict[str, str]:
    """The arguments that select a window. With `tzo=0`, the document's "local time" is UTC."""
    return {"b": _format_time(first), "e": _format_time(last), "tzo": "0"}


def _format_time(instant: datetime) -> str:
    """A time in the format that the vendor's document requires."""
    return instant.strftime("%Y/%m/%d %H:%M:%S")
