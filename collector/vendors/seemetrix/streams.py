"""The streams of a Seemetrix source: the requests of each. The module of the same name decodes its responses."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from collector.cloudevents import Envelope, Message
from collector.errors import NotFound
from collector.instants import to_ms
from collector.model import DedupMode, Event, EventType, FetchResult, FieldSample, Record, Reject, RejectedRow, Window
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import Stream
from collector.vendors.empties import Request, undocumented
from collector.vendors.http import Http, Response
from collector.vendors.leniency import unexpected_response
from collector.vendors.raw_rows import NO_ROWS, RawRows
from collector.vendors.seemetrix import counters, devices, events, statistics, wire
from collector.vendors.seemetrix.base_streams import SeemetrixStream, bounds
from collector.vendors.seemetrix.breakdown_streams import Breakdown
from collector.vendors.seemetrix.client import (
    COUNTERS,
    DEVICES,
    RAW_DATA,
    STATISTICS_OF_DEVICE,
    STATISTICS_OF_USER,
    Client,
    decode_body,
)
from collector.vendors.seemetrix.session_messages import encode_session
from collector.vendors.seemetrix.settings import (
    CountersSettings,
    DevicesSettings,
    SeemetrixSource,
    SessionsSettings,
    StatisticsSettings,
)

P = TypeVar("P")


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
            query = bounds(window.start, window.end)
            if device is not None:
                query["device_id"] = str(device)
            request, ignored = Request(RAW_DATA, query, window, device), Counter[str]()
            response, raw = await self._request(request, wire.decode, len, NO_ROWS)
            with response:
                sample = wire.FIELDS.sample(raw)
                yield _result(response, wire.read(raw, ignored), len(raw), ignored, sample=sample)

    def explode(self, record: Record[wire.Session], digest: str, number: int) -> Iterator[Event]:
        return events.explode_session(record, digest, number, self._user)

    def encode(
        self, record: Record[wire.Session], digest: str, number: int, envelope_of: Callable[[EventType], Envelope]
    ) -> Iterator[Message]:
        return encode_session(record, digest, number, self._user, envelope_of)

    def decode_again(self, row: RejectedRow) -> Iterator[Record[wire.Session] | Reject | None]:
        return wire.read((row.payload,))


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
            listed, ignored = await decode_body(response, devices.decode), Counter[str]()
            self._check_lists(listed, window)
            records = devices.read(listed, seen_ms, ignored, include_private=self._include_private)
            gone = partial(devices.gone, seen_ms=seen_ms)
            yield _result(response, records, listed.rows, ignored, gone, is_whole=listed.is_whole)

    def _check_lists(self, listed: devices.Devices[RawRows], window: Window) -> None:
        """Raise RetryLater if a list is null and nothing shows that it is empty. Such a response is never whole."""
        request, had_proof = Request(DEVICES, {}, window), self._empties.has_proof
        if listed.rows or listed.has_every_list:
            self._empties.received(request, listed.rows)
        if listed.has_every_list:
            return
        if not had_proof or (not listed.rows and self._empties.judge(request) is not None):
            raise undocumented()

    def explode(self, record: Record[devices.KnownDevice], digest: str, number: int) -> Iterator[Event]:
        return devices.explode(record, digest, number, self._user)


class Counters(SeemetrixStream[counters.Counters]):
    """The present counters of the account."""

    name = "counters"
    dedup_mode = DedupMode.LATEST
    fields_version = counters.FIELDS_VERSION
    event_types = counters.TYPES
    former = staticmethod(counters.former)

    def __init__(self, client: Client, settings: CountersSettings) -> None:
        super().__init__(client, settings)
        self._path, self._other_path = COUNTERS

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[counters.Counters], None]:
        """Yield the counters; they are seen at the end of the window."""
        with await self._get() as response:
            ignored = Counter[str]()
            record = self._read(response, to_ms(window.end), ignored)
            self._client.telemetry.counters(counters.gauges(record.payload))
            yield _result(response, (record,), 1, ignored)

    @staticmethod
    def _read(response: Response, seen_ms: int, ignored: Counter[str]) -> Record[counters.Counters]:
        """The record of a response. Raises RetryLater if it is not as the vendor's document describes it."""
        try:
            return counters.read(response.body, seen_ms, ignored)
        except msgspec.DecodeError as error:
            raise unexpected_response(response.body, error) from None

    async def _get(self) -> Response:
        """Only this path is documented without a trailing slash. If it is not found, try it with one."""
        try:
            return await self._client.get(self._path, {})
        except NotFound:
            response = await self._client.get(self._other_path, {})
            self._path, self._other_path = self._other_path, self._path
            return response

    def explode(self, record: Record[counters.Counters], digest: str, number: int) -> Iterator[Event]:
        return counters.explode(record, digest, number, self._user)


class Statistics(SeemetrixStream[statistics.DeviceHour]):
    """Views per hour, of all devices together or of each of the device_ids."""

    name = "statistics"
    dedup_mode = DedupMode.VERSIONED
    fields_version = statistics.FIELDS_VERSION
    event_types = statistics.TYPES
    former = staticmethod(statistics.former)

    def __init__(self, client: Client, settings: StatisticsSettings) -> None:
        super().__init__(client, settings, statistics.HOURS)
        self._extras = tuple(sorted(name for name, is_sent in settings.extras.items() if is_sent))
        self.selection = client.selection

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[statistics.DeviceHour], None]:
        """Yield a result for each device.

        The request ends with the first instant of the next hour: what happens in the last second belongs to the window.
        The row of the next hour is dropped.
        """
        query = {**bounds(window.start, window.end), **statistics.GROUPING, **dict.fromkeys(self._extras, "1")}
        for device in self._client.devices:
            path = STATISTICS_OF_USER if device is None else STATISTICS_OF_DEVICE.format(device_id=device)
            response, decoded = await self._request(
                Request(path, query, window, device),
                statistics.decode,
                statistics.count,
                statistics.Statistics(NO_ROWS),
            )
            with response:
                ignored = Counter[str]()
                records = statistics.read(decoded, window, device, self._extras, ignored)
                yield _result(response, records, len(decoded.objects), ignored)

    def explode(self, record: Record[statistics.DeviceHour], digest: str, number: int) -> Iterator[Event]:
        return statistics.explode(record, digest, number, self._user)

    def decode_again(self, row: RejectedRow) -> Iterator[Record[statistics.DeviceHour] | Reject | None]:
        """As for a response to the window of the row, whose hours beyond the window are incomplete."""
        device = int(row.place) if row.place else None
        decoded = statistics.Statistics(RawRows.of((row.payload,)))
        return statistics.read(decoded, row.window, device, self._extras)


STREAMS: Mapping[str, type[SeemetrixStream[Any]]] = {
    each.name: each for each in (Sessions, Devices, Counters, Statistics, Breakdown)
}
"""The streams, by name."""


def streams(source: str, settings: SeemetrixSource, http: Http, telemetry: VendorTelemetry) -> Sequence[Stream[Any]]:
    """The configured streams of a source."""
    client = Client(source, settings, http, telemetry)
    return [STREAMS[name](client, chosen) for name, chosen in settings.streams.chosen.items()]


def _result(
    response: Response,
    records: Iterable[Record[P] | Reject | None],
    rows: int,
    ignored: Counter[str],
    gone: Callable[[bytes], Record[P]] | None = None,
    *,
    is_whole: bool = True,
    sample: FieldSample | None = None,
) -> FetchResult[P]:
    """The result of one response."""
    size, took, vendor_now = response.size, response.took, response.vendor_now
    return FetchResult(records, rows, size, took, vendor_now, gone, is_whole, ignored, sample)
