"""The streams of an account's lists. Each requests one list, or two, and publishes what is new in them."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

import msgspec

from collector.errors import Split
from collector.instants import to_ms
from collector.model import DedupMode, Event, FetchResult, Record, Reject, Window
from collector.places import PlaceHealth, PlacesHealth, PlaceState
from collector.telemetry.vendor import VendorTelemetry
from collector.turns import in_turns
from collector.vendors.base import Stream
from collector.vendors.http import Response
from collector.vendors.leniency import unexpected_response
from collector.vendors.quividi.client import Client
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.topology import listing
from collector.vendors.quividi.topology.health import place_health, with_place
from collector.vendors.quividi.topology.listing import Thing
from collector.vendors.quividi.topology.listings import LISTINGS, TYPES
from collector.vendors.quividi.topology.locations import LocationV1
from collector.vendors.quividi.topology.settings import TopologySettings
from collector.vendors.raw_rows import MAX_ROWS, RawRows, check_rows

Found = Iterator[Record[Thing] | Reject]


class TopologyStream(Stream[Thing]):
    """The present lists of what an account may see. The source's selection does not restrict them."""

    dedup_mode = DedupMode.LATEST
    fields_version = listing.FIELDS_VERSION
    selection = "the whole account"

    def __init__(self, client: Client, name: str, settings: TopologySettings) -> None:
        self._client = client
        self._listings = LISTINGS[name]
        self.source = client.source
        self.name = name
        self.account = client.settings.account
        self.policy = settings.policy(client.settings.until)
        self.event_types = TYPES[name]

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[Thing], None]:
        """Yield all lists in one result, which is complete: without one of them, nothing is yielded.

        Things are seen at the end of the window. Only the last response is held while its rows are consumed.
        """
        seen_ms, user, ignored = to_ms(window.end), self.account.user, Counter[str]()
        records: list[Found] = []
        rows, size, took, vendor_now = 0, 0, timedelta(0), list[datetime | None]()
        with ExitStack() as held:
            for each in self._listings:
                held.close()
                response = held.enter_context(await self._client.get_list(each.path, {}))
                found = await _rows(response)
                records.append(listing.read(each, found, seen_ms, user, ignored))
                rows, size, took = rows + len(found), size + response.size, took + response.took
                vendor_now.append(response.vendor_now)
                self._check_size(rows, size)
            yield FetchResult(
                records=self._observed(chain.from_iterable(records)),
                rows=rows,
                size=size,
                took=took,
                vendor_now=None if None in vendor_now else min(each for each in vendor_now if each is not None),
                gone=partial(listing.gone, self._listings, seen_ms=seen_ms, user=user),
                ignored=ignored,
            )

    def _check_size(self, rows: int, size: int) -> None:
        """Raise Split if the lists together are larger than one response may be."""
        check_rows(rows, MAX_ROWS)
        if size > (maximum := self._client.settings.max_response_bytes):
            raise Split(f"the lists together exceed max_response_bytes ({maximum})", code="response_too_large")

    def _observed(self, records: Found) -> Found:
        """The records. A subclass may observe them."""
        return records

    def explode(self, record: Record[Thing], digest: str, number: int) -> Iterator[Event]:
        return listing.explode(record, digest, number, self.event_types[0], self.account.user)


class Locations(TopologyStream):
    """The locations, whose times of upload also show whether their boxes upload."""

    def __init__(self, client: Client, name: str, settings: TopologySettings, telemetry: VendorTelemetry) -> None:
        super().__init__(client, name, settings)
        self._telemetry = telemetry

    def _observed(self, records: Found) -> Found:
        """The records. The health of the places is reported once all of them are consumed."""
        now, counts = self._client.clock.now(), Counter[PlaceState]()
        worst: Sequence[PlaceHealth] = ()
        for each in records:
            if isinstance(each, Record) and isinstance(each.payload.event, LocationV1):
                place = place_health(each.payload.event, now)
                counts[place.state] += 1
                worst = with_place(worst, place)
            yield each
        self._telemetry.places(self.name, PlacesHealth(now, counts, worst))


def topology_streams(client: Client, settings: QuividiSource, telemetry: VendorTelemetry) -> Sequence[TopologyStream]:
    """The configured streams of lists of a source."""
    tables = {name: each for name, each in settings.streams.chosen.items() if isinstance(each, TopologySettings)}
    return [
        Locations(client, name, each, telemetry) if name == "locations" else TopologyStream(client, name, each)
        for name, each in tables.items()
    ]


async def _rows(response: Response) -> RawRows:
    """The rows of a list. Raises RetryLater for anything but an array, which may be a page of an undocumented kind."""
    try:
        return await in_turns(listing.decode(response.body))
    except msgspec.DecodeError as error:
        raise unexpected_response(response.body, error) from None
