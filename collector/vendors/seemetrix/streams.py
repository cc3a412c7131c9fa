"""The streams of a Seemetrix source: the requests of each. The module of the same name decodes its responses."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from collector.alignment import Alignment
from collector.errors import NotFound, RetryLater, Split
from collector.instants import to_ms
from collector.model import DedupMode, Event, FetchResult, Record, Reject, Window
from collector.steps import Steps
from collector.telemetry.vendor import VendorTelemetry
from collector.turns import in_turns
from collector.vendors.base import Stream, max_rows
from collector.vendors.empties import Empties, Request, has_undocumented_form, undocumented
from collector.vendors.http import Http, Response
from collector.vendors.leniency import unexpected_response
from collector.vendors.raw_rows import MAX_ROWS_OF_PERIOD, NO_ROWS, RawRows, check_rows
from collector.vendors.seemetrix import breakdown, breakdown_events, counters, devices, events, statistics, wire
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
T_co = TypeVar("T_co", covariant=True)

NO_TREE: breakdown.Tree[RawRows] = breakdown.Tree(ok=1)
MAX_PASSES = 4
"""How often the pages of a tree are read, until a reading finds no further node."""
MAX_PAGES = 5000
"""The most pages of a tree. At ten nodes a page, they have MAX_ROWS nodes of the first level."""
MAX_EMPTY_PAGES = 10
"""More empty pages in a row, although the vendor says that there are further pages, are an error."""


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
            request, ignored = Request(RAW_DATA, query, window, device), Counter[str]()
            response, raw = await self._request(request, wire.decode, len, NO_ROWS)
            with response:
                yield _result(response, wire.read(raw, ignored), len(raw), ignored)

    def explode(self, record: Record[wire.Session], digest: str, number: int) -> Iterator[Event]:
        return events.explode_session(record, digest, number, self._user)


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
        query = {**_bounds(window.start, window.end), **statistics.GROUPING, **dict.fromkeys(self._extras, "1")}
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


class Breakdown(SeemetrixStream[breakdown.Group]):
    """A tree of views for each period, of all devices or of each of the device_ids."""

    name = "breakdown"
    dedup_mode = DedupMode.VERSIONED
    fields_version = breakdown.FIELDS_VERSION
    event_types = breakdown_events.TYPES
    former = staticmethod(breakdown.former)

    def __init__(self, client: Client, settings: BreakdownSettings) -> None:
        self._alignment = settings.alignment
        super().__init__(client, settings, self._alignment)
        self._levels = settings.levels
        date_format = settings.date_format
        self._query = {"to_object": "0", **({"dt_format": date_format} if date_format else {})}
        self._date_format = date_format
        self._common = breakdown_events.SharedFields(self._user, settings.resolution)
        self.selection = f"{client.selection}, {'/'.join(settings.levels)} by {settings.resolution}"

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[breakdown.Group], None]:
        """Yield a result for each period and device, with the nodes of all its pages."""
        start = window.start
        while start < window.end:
            period = Window(start, self._alignment.after(start))
            for device in self._client.devices:
                yield await self._tree(period, device)
            start = period.end

    async def _tree(self, period: Window, device: int | None) -> FetchResult[breakdown.Group]:
        """The tree of one period, from all its pages. Raises RetryLater, Park or Split.

        Where there are several pages, their content may shift while they are read, and a node may be on none of them.
        They are therefore read until a pass finds no further node.
        """
        tree, ignored = _Tree(self._client.settings.max_response_bytes), Counter[str]()
        for _ in range(MAX_PASSES):
            before = len(tree.nodes)
            pages = await self._read_pages(tree, period, device)
            if pages <= 1 or len(tree.nodes) == before:
                break
        else:
            raise RetryLater(f"other nodes in each of {MAX_PASSES} readings of its pages", code="pages_shift")
        request = breakdown.Request(self._levels, self._date_format, device)
        records = breakdown.read(tree.nodes.values(), period, request, ignored, tree.root)
        return FetchResult(records, len(tree.nodes), tree.size, tree.took, tree.vendor_now, ignored=ignored)

    async def _read_pages(self, tree: "_Tree", period: Window, device: int | None) -> int:
        """Add the nodes of all pages to the tree. Returns the number of pages.

        The request ends with the first instant of the next period. The document does not state whether `e` is
        inclusive: if it is, a view at exactly this instant is counted in both periods; with an earlier `e`, every view
        of the last second would be counted in none.
        """
        path = BREAKDOWN + "".join(f"{level}/" for level in self._levels)
        query = _bounds(period.start, period.end) | self._query
        if device is not None:
            query["d"] = str(device)
        is_paged = self._levels[0] in breakdown.PAGED
        page, pages, empty = 0, 1, 0
        tree.roots.clear()
        while page < pages:
            if is_paged:
                query |= {"page": str(page), "obj_in_page": str(OBJECTS_PER_PAGE)}
            response, decoded = await self._request(
                Request(path, dict(query), period, device), breakdown.decode, breakdown.count, NO_TREE
            )
            with response:
                nodes = breakdown.children(decoded)
                tree.roots.add(breakdown.totals(decoded))
                await in_turns(tree.add(response, nodes))
            if decoded.page not in (None, page):
                raise RetryLater(f"page {decoded.page} was sent instead of page {page}", code="wrong_page")
            empty = 0 if nodes else empty + 1
            if empty > MAX_EMPTY_PAGES:
                raise RetryLater(f"{empty} empty pages in a row, of {decoded.pages_total}", code="pages_empty")
            page, pages = page + 1, (decoded.pages_total or 1) if is_paged else 1
            if pages > MAX_PAGES:
                raise Split(f"more than {MAX_PAGES} pages", code="too_many_rows")
        return pages

    def explode(self, record: Record[breakdown.Group], digest: str, number: int) -> Iterator[Event]:
        return breakdown_events.explode(record, digest, number, self._common)


class _Tree:
    """What was read of a tree so far."""

    def __init__(self, max_bytes: int) -> None:
        self.nodes: dict[tuple[bytes, int], bytes] = {}
        """The nodes of the first level, not decoded yet: by name, and by their number among those of one page with this
        name, since one of these may be malformed."""
        self.roots: set[breakdown.Totals | None] = set()
        """The totals of the root, as each page of the last reading states them; None for a page that does not."""
        self.size = 0
        """Bytes of the nodes."""
        self.took = timedelta(0)
        self.vendor_now: datetime | None = None
        self._max_bytes = max_bytes

    @property
    def root(self) -> breakdown.Totals | None:
        """The totals of the root; None if its pages do not agree. The document does not state whose totals they are."""
        return next(iter(self.roots)) if len(self.roots) == 1 else None

    def add(self, response: Response, nodes: Iterable[bytes]) -> Steps[None]:
        """Add a page. Raises Split if the nodes are too large together, or too many."""
        names = Counter[bytes]()
        for node in nodes:
            name = breakdown.name_of(node)
            self.nodes[name, names[name]] = node
            names[name] += 1
            yield
        check_rows(len(self.nodes), MAX_ROWS_OF_PERIOD)
        self.size, self.took = sum(map(len, self.nodes.values())), self.took + response.took
        self.vendor_now = self.vendor_now or response.vendor_now
        if self.size > self._max_bytes:
            reason = f"the pages together exceed max_response_bytes ({self._max_bytes})"
            raise Split(reason, code="response_too_large")


STREAMS: Mapping[str, type[SeemetrixStream[Any]]] = {each.name: each for each in SeemetrixStream.__subclasses__()}
"""The streams of this module, by name."""


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
) -> FetchResult[P]:
    """The result of one response."""
    return FetchResult(records, rows, response.size, response.took, response.vendor_now, gone, is_whole, ignored)


def _bounds(first: datetime, last: datetime) -> dict[str, str]:
    """The arguments that select a window. With `tzo=0`, the document's "local time" is UTC."""
    return {"b": _format_time(first), "e": _format_time(last), "tzo": "0"}


def _format_time(instant: datetime) -> str:
    """A time in the format that the vendor's document requires."""
    return instant.strftime("%Y/%m/%d %H:%M:%S")
