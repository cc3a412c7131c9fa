"""The streams of alerts and monitoring messages: lists of the latest rows, without a past.

A list has at most 1,000 rows. Exactly 1,000 mean that older ones are missing, whatever `hours` is. The rest is then
requested for fewer hours, for each site, and for each location of a site, as far as necessary.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from collector.errors import NotReplayable, Park
from collector.instants import to_ms
from collector.model import DedupMode, Event, FetchResult, Record, Reject, RejectedRow, Window
from collector.turns import in_turns
from collector.vendors.base import Stream, max_rows
from collector.vendors.http import Response
from collector.vendors.leniency import unexpected_response
from collector.vendors.quividi import alerts, monitoring
from collector.vendors.quividi.client import LOCATIONS, Client
from collector.vendors.quividi.licences import REFUSALS
from collector.vendors.quividi.place_list import Place, decode_places
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.status_rows import MAX_CLOCK_OFFSET, ReadOne, decode, read_each
from collector.vendors.quividi.status_settings import StatusSettings
from collector.vendors.raw_rows import RawRows

P = TypeVar("P")

CAP = 1000
"""The vendor returns the latest rows up to this number."""
MAX_HOURS = 24
"""The largest value of the argument `hours`."""
HOUR = timedelta(hours=1)
MARGIN = HOUR
"""How much more than the window is requested: the vendor's clock may be behind, and rows may come late."""
ACCOUNT = ""
"""The scope that is everything that the user may see. Other scopes are parts of a path, such as `/site/178`."""
Hours = int | None
"""The argument `hours`; None for a request without it, whose rows may have any age."""


class StatusStream(Stream[P]):
    """A list of the latest rows of the account. The source's selection does not restrict it."""

    dedup_mode = DedupMode.VERSIONED
    max_clock_offset = MAX_CLOCK_OFFSET
    selection = "everything that the user may see"

    path: str
    """The last part of the list's path."""
    read_one: ReadOne[P]

    def __init__(self, client: Client, settings: StatusSettings) -> None:
        self._client = client
        self.source = client.source
        self.account = client.settings.account
        self.policy = settings.policy(client.settings.until)
        self._published_until: datetime | None = None
        """The end of the latest window that this process has published: what came before it, earlier windows have."""

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[P], None]:
        """Yield the list, and lists of parts of the account where it lacks rows.

        Rows repeat in the lists of parts. A result without rows reports how many lists lack rows for good. For a sweep,
        yield the latest rows of any age: live passes have published the others.
        """
        is_sweep = self._published_until is not None and window.end <= self._published_until
        places: _Places | None = None
        pending, cut = [ACCOUNT], 0
        while pending:
            scope, is_cut = pending.pop(), False
            for hours in (None,) if is_sweep else self._hours(scope, window):
                try:
                    response, rows, seen_ms = await self._list(scope, hours, window)
                except Park as error:
                    if scope == ACCOUNT or error.code not in REFUSALS:
                        raise
                    is_cut, cut = False, cut + 1  # a place that has just been deleted, or that this user may not see
                    break
                with response:
                    is_cut = len(rows) == CAP
                    ignored = Counter[str]()
                    yield FetchResult(
                        records=read_each(rows, self.read_one, seen_ms, ignored),
                        rows=len(rows),
                        size=response.size,
                        took=response.took,
                        vendor_now=response.vendor_now,
                        ignored=ignored,
                    )
                if not is_cut:
                    break
            if is_cut and not is_sweep:
                places = places or await self._places()
                narrower = places.within(scope)
                pending += narrower
                cut += not narrower
        if cut:
            yield FetchResult((), 0, 0, timedelta(0), None, cut=cut)
        self._published_until = max(self._published_until or window.end, window.end)

    def _hours(self, scope: str, window: Window) -> Sequence[Hours]:
        """The values of `hours` to request in turn, until the list is complete. Each covers the time since the window.

        The time counts from the request, and not from the end of the window: a request that is repeated after a failure
        must cover the same start. If even the largest value does not cover it, a request without `hours` has the
        latest rows of any age.
        """
        elapsed = self._client.clock.now() - window.start
        wide, narrow = max(1, -(-(elapsed + MARGIN) // HOUR)), max(1, -(-elapsed // HOUR))
        if wide > MAX_HOURS:
            return (None, MAX_HOURS) if scope == ACCOUNT else (MAX_HOURS,)
        return (wide, narrow) if narrow < wide else (wide,)

    async def _list(self, scope: str, hours: Hours, window: Window) -> tuple[Response, RawRows, int]:
        """The list of a scope: the response, its rows, and the Unix time of the request in milliseconds.

        Raises RetryLater, Park or Split.
        """
        seen_ms, query = to_ms(self._client.clock.now()), {} if hours is None else {"hours": str(hours)}
        response = await self._client.get_list(f"/{self.path}/", query, scope)
        try:
            rows = await in_turns(decode(response.body, max_rows(self.policy.alignment, window)))
        except msgspec.DecodeError as error:
            response.release()
            raise unexpected_response(response.body, error, what=f"the response of /{self.path}/") from None
        except BaseException:
            response.release()
            raise
        return response.without_body(), rows, seen_ms

    def decode_again(self, row: RejectedRow) -> Iterator[Record[P] | Reject | None]:
        """The event's `seen_at` is that of the dead letter, which may differ from that of the request by seconds."""
        if not row.payload:
            raise NotReplayable("the row was not an object, and nothing of it is kept", code="payload_not_kept")
        return read_each((row.payload,), self.read_one, to_ms(row.seen_at))

    async def _places(self) -> "_Places":
        with await self._client.get(LOCATIONS, {}) as response:
            try:
                known = await in_turns(decode_places(response.body))
            except msgspec.DecodeError as error:
                raise unexpected_response(response.body, error, what="the response of /locations/") from None
        return _Places(known.places.values())


class _Places:
    """The sites and locations of the account, by which a list is divided."""

    def __init__(self, locations: Iterable[Place]) -> None:
        self._by_site: Mapping[int | None, list[int]] = defaultdict(list)
        for each in sorted(locations, key=lambda location: location.id):
            self._by_site[each.site_id].append(each.id)

    def within(self, scope: str) -> Sequence[str]:
        """The parts of a scope: sites, and locations without a site; the locations of a site; nothing of a location."""
        if scope == ACCOUNT:
            sites = sorted(site for site in self._by_site if site is not None)
            return [*(f"/site/{site}" for site in sites), *_locations(self._by_site.get(None, ()))]
        kind, _, number = scope.strip("/").partition("/")
        return _locations(self._by_site[int(number)]) if kind == "site" else ()


def _locations(ids: Sequence[int]) -> Sequence[str]:
    return [f"/location/{each}" for each in ids]


class Alerts(StatusStream[alerts.KnownAlert]):
    """The alerts of everything that the user may see."""

    name = "alerts"
    path = "alerts"
    fields_version = alerts.FIELDS_VERSION
    event_types = alerts.TYPES
    read_one = staticmethod(alerts.read_one)

    def explode(self, record: Record[alerts.KnownAlert], digest: str, number: int) -> Iterator[Event]:
        return alerts.explode(record, digest, number, self.account.user)


class Monitoring(StatusStream[monitoring.KnownMessage]):
    """The monitoring messages of all boxes that the user may see."""

    name = "monitoring"
    path = "monitoring_msgs"
    fields_version = monitoring.FIELDS_VERSION
    event_types = monitoring.TYPES
    read_one = staticmethod(monitoring.read_one)

    def explode(self, record: Record[monitoring.KnownMessage], digest: str, number: int) -> Iterator[Event]:
        return monitoring.explode(record, digest, number, self.account.user)


STREAMS = (Alerts, Monitoring)


def status_streams(client: Client, settings: QuividiSource) -> Sequence[Stream[Any]]:
    """The configured streams of alerts and monitoring messages."""
    chosen = settings.streams.chosen
    return [stream(client, table) for stream in STREAMS if isinstance(table := chosen.get(stream.name), StatusSettings)]
