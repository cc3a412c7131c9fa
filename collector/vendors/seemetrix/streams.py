"""The streams of a Seemetrix source: the requests of each. The module of the same name decodes its responses."""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from collector.errors import NotFound, RetryLater, Split
from collector.instants import SECOND, to_ms
from collector.model import DedupMode, Event, FetchResult, Policy, Record, Reject, Window
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import Stream
from collector.vendors.http import Http, Response
from collector.vendors.seemetrix import breakdown, counters, devices, events, statistics, wire
from collector.vendors.seemetrix.client import (
    BREAKDOWN,
    COUNTERS,
    DEVICES,
    OBJECTS_A_PAGE,
    RAW_DATA,
    STATISTICS_OF_DEVICE,
    STATISTICS_OF_USER,
    Client,
    decoded,
)
from collector.vendors.seemetrix.settings import (
    BreakdownSettings,
    CountersSettings,
    DevicesSettings,
    SeemetrixSource,
    SessionsSettings,
    StatisticsSettings,
)

P = TypeVar("P")


class SeemetrixStream(Stream[P]):
    """What all streams of Seemetrix share."""

    selection = "every device"
    oversize_advice = "raise max_response_bytes, or split the source into several with device_ids"

    def __init__(self, client: Client, policy: Policy) -> None:
        self._client = client
        self.source = client.source
        self.account = client.settings.account
        self.policy = policy


class Sessions(SeemetrixStream[wire.Session]):
    """The stream `sessions`: raw data, a request for each of the device_ids or one for all devices."""

    name = "sessions"
    dedup_mode = DedupMode.VERSIONED
    fields_version = wire.FIELDS_VERSION
    event_types = events.TYPES

    @staticmethod
    def sequence_of(record: Record[wire.Session]) -> tuple[int, int]:
        return record.payload.d, record.payload.o

    def __init__(self, client: Client, settings: SessionsSettings) -> None:
        super().__init__(client, settings.policy(client.settings.until))
        self.selection = client.selection

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[wire.Session], None]:
        """An answer for each device. Which sessions a window selects is unstated, so whatever comes is passed on."""
        for device in self._client.devices:
            query = _bounds(window.start, window.end)
            if device is not None:
                query["device_id"] = str(device)
            with await self._client.get(RAW_DATA, query) as response:
                raw = decoded(response, wire.rows)
                yield _answer(response, wire.read(raw), len(raw))

    def explode(self, record: Record[wire.Session], digest: str, number: int) -> Iterator[Event]:
        return events.explode_session(record, digest, number, self.source)


class Devices(SeemetrixStream[devices.Known]):
    """The stream `devices`: the list of devices as it is now."""

    name = "devices"
    dedup_mode = DedupMode.LATEST
    fields_version = devices.FIELDS_VERSION
    event_types = devices.TYPES

    def __init__(self, client: Client, settings: DevicesSettings) -> None:
        self._private = settings.include_private
        super().__init__(client, settings.policy(client.settings.until))

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[devices.Known], None]:
        """The devices as they are at the end of the window."""
        seen_ms = to_ms(window.end)
        with await self._client.get(DEVICES, {}) as response:
            told = decoded(response, devices.answer)
            records = devices.read(told, seen_ms, private=self._private)
            gone = partial(devices.gone, seen_ms=seen_ms)
            yield _answer(response, records, told.rows, gone, is_whole=told.is_whole)

    def explode(self, record: Record[devices.Known], digest: str, number: int) -> Iterator[Event]:
        return devices.explode(record, digest, number, self.source)


class Counters(SeemetrixStream[counters.Counters]):
    """The stream `counters`: the account's counters as they are now."""

    name = "counters"
    dedup_mode = DedupMode.LATEST
    fields_version = counters.FIELDS_VERSION
    event_types = counters.TYPES

    def __init__(self, client: Client, settings: CountersSettings) -> None:
        self._user = client.settings.user_id
        self._path, self._other = COUNTERS
        super().__init__(client, settings.policy(client.settings.until))

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[counters.Counters], None]:
        """The counters as they are at the end of the window."""
        with await self._get() as response:
            record = decoded(response, lambda body: counters.read(body, to_ms(window.end)))
            self._client.telemetry.counters(counters.gauges(record.payload))
            yield _answer(response, (record,), 1)

    async def _get(self) -> Response:
        """The document writes this path alone without a slash at its end: if that is not found, with one."""
        try:
            return await self._client.get(self._path, {})
        except NotFound:
            response = await self._client.get(self._other, {})
            self._path, self._other = self._other, self._path
            return response

    def explode(self, record: Record[counters.Counters], digest: str, number: int) -> Iterator[Event]:
        return counters.explode(record, digest, number, self.source, self._user)


class Statistics(SeemetrixStream[statistics.Counted]):
    """The stream `statistics`: views by the hour, of each of the device_ids or of all devices together."""

    name = "statistics"
    dedup_mode = DedupMode.VERSIONED
    fields_version = statistics.FIELDS_VERSION
    event_types = statistics.TYPES

    def __init__(self, client: Client, settings: StatisticsSettings) -> None:
        self._user = client.settings.user_id
        self._wanted = {name: "1" for name, wanted in settings.extras.items() if wanted}
        super().__init__(client, settings.policy(client.settings.until, statistics.HOURS))
        self.selection = client.selection

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[statistics.Counted], None]:
        """An answer for each device."""
        query = {**_bounds(window.start, window.end - SECOND), **statistics.ARRANGED, **self._wanted}
        for device in self._client.devices:
            path = STATISTICS_OF_USER if device is None else STATISTICS_OF_DEVICE.format(device_id=device)
            with await self._client.get(path, query) as response:
                told = decoded(response, statistics.answer)
                yield _answer(response, statistics.read(told, window, device), len(told.objects))

    def explode(self, record: Record[statistics.Counted], digest: str, number: int) -> Iterator[Event]:
        return statistics.explode(record, digest, number, self.source, self._user)


class Breakdown(SeemetrixStream[breakdown.Found]):
    """The stream `breakdown`: a tree of views for each period, of each of the device_ids or of all devices."""

    name = "breakdown"
    dedup_mode = DedupMode.VERSIONED
    fields_version = breakdown.FIELDS_VERSION
    event_types = breakdown.TYPES

    def __init__(self, client: Client, settings: BreakdownSettings) -> None:
        self._levels = settings.levels
        self._alignment = settings.alignment
        date_format = settings.date_format
        self._query = {"to_object": "0", **({"dt_format": date_format} if date_format else {})}
        self._common = breakdown.Common(client.source, client.settings.user_id, settings.resolution, date_format)
        super().__init__(client, settings.policy(client.settings.until, self._alignment))
        self.selection = f"{client.selection}, {'/'.join(settings.levels)} by {settings.resolution}"

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[breakdown.Found], None]:
        """An answer for each device and period; its pages are one answer."""
        start = window.start
        while start < window.end:
            period = Window(start, self._alignment.after(start))
            for device in self._client.devices:
                yield await self._tree(period, device)
            start = period.end

    async def _tree(self, period: Window, device: int | None) -> FetchResult[breakdown.Found]:
        path = BREAKDOWN + "".join(f"{level}/" for level in self._levels)
        query = _bounds(period.start, period.end - SECOND) | self._query
        if device is not None:
            query["d"] = str(device)
        paged = self._levels[0] in breakdown.PAGED
        most = self._client.settings.max_response_bytes
        rows: list[bytes] = []
        size, took, first, page, pages = 0, timedelta(0), None, 0, 1
        while page < pages:
            if paged:
                query |= {"page": str(page), "obj_in_page": str(OBJECTS_A_PAGE)}
            with await self._client.get(path, query) as response:
                told = decoded(response, breakdown.answer)
                size, took, first = size + len(response.body), took + response.took, first or response.vendor_now
                nodes = breakdown.children(told)
            if told.page not in (None, page):
                raise RetryLater(f"page {page} was asked for, and page {told.page} came")
            if size > most:
                raise Split(f"pages of more than max_response_bytes ({most}) in all")
            rows += nodes
            page, pages = page + 1, (told.pages_total or 1) if paged and nodes else 0
        return FetchResult(breakdown.read(rows, period, self._levels, device), len(rows), size, took, first)

    def explode(self, record: Record[breakdown.Found], digest: str, number: int) -> Iterator[Event]:
        return breakdown.explode(record, digest, number, self._common)


KINDS: Mapping[str, Callable[[Client, Any], Stream[Any]]] = {
    "sessions": Sessions,
    "devices": Devices,
    "counters": Counters,
    "statistics": Statistics,
    "breakdown": Breakdown,
}


def streams(source: str, settings: SeemetrixSource, http: Http, telemetry: VendorTelemetry) -> Sequence[Stream[Any]]:
    client = Client(source, settings, http, telemetry)
    return [KINDS[name](client, chosen) for name, chosen in settings.streams.chosen.items()]


def _answer(
    response: Response,
    records: Iterable[Record[P] | Reject],
    rows: int,
    gone: Callable[[bytes], Record[P]] | None = None,
    *,
    is_whole: bool = True,
) -> FetchResult[P]:
    """What one response says."""
    return FetchResult(records, rows, len(response.body), response.took, response.vendor_now, gone, is_whole)


def _bounds(first: datetime, last: datetime) -> dict[str, str]:
    """UTC, since every request says `tzo=0`: whatever "local" means, both readings agree."""
    return {"b": _written(first), "e": _written(last), "tzo": "0"}


def _written(instant: datetime) -> str:
    """As the vendor's document wants it; UTC, since every request says `tzo=0`."""
    return instant.strftime("%Y/%m/%d %H:%M:%S")
