"""The stream of trees of views: a request for each page of each period."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from collector.errors import NotReplayable, Park, RetryLater, Split
from collector.instants import SECOND
from collector.model import DedupMode, Event, FetchResult, Record, Reject, RejectedRow, Window
from collector.steps import Steps
from collector.turns import in_turns
from collector.vendors.empties import Request
from collector.vendors.http import Response
from collector.vendors.raw_rows import MAX_ROWS_OF_PERIOD, RawRows, check_rows
from collector.vendors.seemetrix import breakdown, breakdown_events
from collector.vendors.seemetrix.base_streams import SeemetrixStream, bounds
from collector.vendors.seemetrix.client import BREAKDOWN, OBJECTS_PER_PAGE, Client
from collector.vendors.seemetrix.offsets import format_offset, offset_at, whole_hours
from collector.vendors.seemetrix.settings import BreakdownSettings

NO_TREE: breakdown.Tree[RawRows] = breakdown.Tree(ok=1)
MAX_PASSES = 4
"""How often the pages of a tree are read, until a reading finds no further node."""
MAX_PAGES = 5000
"""The most pages of a tree. At ten nodes a page, they have MAX_ROWS nodes of the first level."""
MAX_EMPTY_PAGES = 10
"""More empty pages in a row, although the vendor says that there are further pages, are an error."""


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
        self._zone = ZoneInfo(settings.timezone)
        self._common = breakdown_events.SharedFields(self._user, settings.resolution)
        zone = "" if settings.timezone == breakdown.UTC_NAME else f" in {settings.timezone}"
        self.selection = f"{client.selection}, {'/'.join(settings.levels)} by {settings.resolution}{zone}"

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
        request = self._tree_request(period, device)
        tree, ignored = _Tree(self._client.settings.max_response_bytes), Counter[str]()
        for _ in range(MAX_PASSES):
            before = len(tree.nodes)
            pages = await self._read_pages(tree, period, request)
            if pages <= 1 or len(tree.nodes) == before:
                break
        else:
            raise RetryLater(f"other nodes in each of {MAX_PASSES} readings of its pages", code="pages_shift")
        records = breakdown.read(tree.nodes.values(), period, request, ignored, tree.root)
        return FetchResult(records, len(tree.nodes), tree.size, tree.took, tree.vendor_now, ignored=ignored)

    def _tree_request(self, period: Window, device: int | None) -> breakdown.Request:
        """What is requested. Raises Park if `tzo` cannot state the offset of the period: settings check recent ones."""
        offset = offset_at(self._zone, period.start)
        if whole_hours(offset) is None:
            key = f"sources.{self.source}.streams.breakdown.timezone"
            raise Park(
                f"the offset of {self._zone.key} from UTC is {format_offset(offset)} on {period.start:%Y-%m-%d}, and "
                "the vendor accepts whole hours only",
                code="offset_not_whole",
                advice=f"choose a zone of whole hours in {key}, or leave the key out: dates are then in UTC",
            )
        return breakdown.Request(self._levels, self._date_format, device, self._zone.key, offset // SECOND)

    async def _read_pages(self, tree: "_Tree", period: Window, wanted: breakdown.Request) -> int:
        """Add the nodes of all pages to the tree. Returns the number of pages.

        The request ends with the first instant of the next period. The document does not state whether `e` is
        inclusive: if it is, a view at exactly this instant is counted in both periods; with an earlier `e`, every view
        of the last second would be counted in none.
        """
        path = BREAKDOWN + "".join(f"{level}/" for level in self._levels)
        query = bounds(period.start, period.end, timedelta(seconds=wanted.utc_offset_s)) | self._query
        device = wanted.device_id
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

    def decode_again(self, row: RejectedRow) -> Iterator[Record[breakdown.Group] | Reject | None]:
        """Yield the nodes of the subtree. The root is not among them: a part of the tree does not tell its totals."""
        found = breakdown.split_place(row.place)
        if found is None:
            raise NotReplayable("the dead letter does not name the device and the period", code="place_unknown")
        device, start, zone = found
        period = Window(start, self._alignment.after(start))
        is_period = self._alignment.floor(start) == start and row.window.start <= start and period.end <= row.window.end
        if zone != self._zone.key or not is_period:
            raise NotReplayable("the stream had another time zone or resolution then", code="configuration_changed")
        records = breakdown.read((row.payload,), period, self._tree_request(period, device))
        return (each for each in records if not isinstance(each, Record) or each.payload.path)


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
