"""The streams of a Quividi source. Each fetches exports of one type."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from collector.errors import Split
from collector.model import ZONES_MARK, Event, FetchResult, Record, Reject, RejectedRow, Window, shard_name
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import Stream, max_rows
from collector.vendors.http import Http
from collector.vendors.quividi.aggregate_records import Requested
from collector.vendors.quividi.aggregates import Aggregates
from collector.vendors.quividi.client import Client
from collector.vendors.quividi.configured_rows import ConfiguredAggregates, configured_finest_rows
from collector.vendors.quividi.export_settings import MAX_IDS_BYTES, AggregatedSettings, ExportSettings
from collector.vendors.quividi.export_types import (
    AVERAGE_CONTENT_DURATION,
    CONTENT_IDS,
    EXTRAPOLATION_AMOUNT,
    GROUP_BY_DEMOGRAPHICS,
    ExportType,
)
from collector.vendors.quividi.places_client import Places, Selection
from collector.vendors.quividi.row_settings import RowSettings
from collector.vendors.quividi.rows import Rows, finest_rows
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.status_streams import status_streams
from collector.vendors.quividi.topology.streams import topology_streams
from collector.vendors.quividi.zones import earliest

P = TypeVar("P")


class ExportStream(Stream[P]):
    """The exports of one type."""

    max_clock_offset = timedelta(days=2)
    """Two places differ by up to 26 hours, and a place may move between them: see `pipeline/shards.py`."""
    narrowing_advice = "split the source into several with fewer locations each"

    def __init__(
        self,
        client: Client,
        export_type: ExportType,
        settings: ExportSettings,
        rows: Rows[P],
        selection: Selection,
        zone: str,
    ) -> None:
        """`zone` is the name of the zone of the places that `selection` selects."""
        source = client.settings
        self._client = client
        self._rows = rows
        self._max_rows = export_type.max_rows
        self._selection = selection
        self.zone = self._zone = ZoneInfo(zone)
        self._type_arguments = {"data_type": export_type.data_type, "time_resolution": settings.resolution}
        self._options = settings.options
        self.source = client.source
        self.name = export_type.stream if zone == source.timezone else shard_name(export_type.stream, zone)
        self.account = client.settings.account
        self.policy = settings.policy(client.settings.until, rows.alignment)
        self.dedup_mode = rows.dedup_mode
        self.fields_version = rows.fields_version
        self.former = rows.former
        self.only_parts = rows.only_parts
        self.event_types = export_type.events
        if isinstance(settings, RowSettings):
            table = f"sources.{client.source}.rows.{export_type.stream}"
            self.format_advice = f"correct the keys of {table}, such as key, time and place"
        options = settings.selected
        selectors = source.selectors or {"all": ()}
        selected = [repr(each) for each in (selectors, options) if each]
        digest = blake2b("".join(selected).encode(), digest_size=8).hexdigest()
        zoning = source.zoning
        self.zones = zoning.description
        self.selection = f"{', '.join([*selectors, *options])} {digest}{zoning.digest and ZONES_MARK}{zoning.digest}"

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[P], None]:
        """Yield an export for each list of ids. The rows of a place repeat if two selectors select it."""
        first, last = self._rows.bounds(window)
        times = {"start": first.isoformat(), "end": last.isoformat()}
        limit = max_rows(self.policy.alignment, window)
        fetched_queries: list[dict[str, str]] = []
        for selector, ids in _id_lists(await self._selection.current(window.swept_at)):
            if (rows := self._rows.min_rows(ids.count(",") + 1, first, last)) > self._max_rows:
                raise Split(
                    f"the export has {rows} rows; the vendor sends at most {self._max_rows}", code="too_many_rows"
                )
            query = {**self._type_arguments, **times, selector: ids, **self._options}
            fetched_queries.append(query)
            response, raw, requested_at = await self._client.export(query, earliest(last, self._zone), limit)
            with response:
                if len(raw) >= self._max_rows:
                    self._client.forget(query)
                    raise Split(f"the export has {len(raw)} rows, the most that the vendor sends", code="too_many_rows")
                ignored = Counter[str]()
                yield FetchResult(
                    records=self._rows.read(raw, first, last, ignored),
                    rows=len(raw),
                    size=response.size,
                    took=response.took,
                    vendor_now=requested_at,
                    ignored=ignored,
                    sample=None if self._rows.fields is None else self._rows.fields.sample(raw),
                )
        # Only after all of them: when one export fails, the next attempt need not rebuild those before it.
        for query in fetched_queries:
            self._client.forget(query)

    def explode(self, record: Record[P], digest: str, number: int) -> Iterator[Event]:
        return self._rows.explode(record, digest, number, self.account.user)

    def decode_again(self, row: RejectedRow) -> Iterator[Record[P] | Reject | None]:
        return self._rows.read_again(row, *self._rows.bounds(row.window))


def _rows(export_type: ExportType, settings: ExportSettings, zone: ZoneInfo, source: QuividiSource) -> Rows[Any]:
    """The decoder of the rows of a stream's exports."""
    match settings:
        case RowSettings():
            selection = _selection_digest(source)
            form = settings.form(export_type.stream, user=source.account.user, selection=selection)
            if settings.is_finest:
                return configured_finest_rows(form, zone)
            return ConfiguredAggregates(form, settings.anchor, zone)
        case AggregatedSettings():
            requested = _requested(settings.options, source)
            return Aggregates(export_type, settings.resolution, settings.anchor, zone, requested)
        case _:
            return finest_rows(export_type.stream, zone, _selected_contents(settings.options))


def _requested(options: Mapping[str, str], source: QuividiSource) -> Requested:
    """What decides what the rows of a request with these options are about, beside their own fields."""
    named = _selected_contents(options)
    if AVERAGE_CONTENT_DURATION in options:
        named += f"/{AVERAGE_CONTENT_DURATION}={options[AVERAGE_CONTENT_DURATION]}"
    amount = options.get(EXTRAPOLATION_AMOUNT)
    if amount is not None:
        named += f"/{EXTRAPOLATION_AMOUNT}={amount or 'average'}"
    return Requested(
        is_grouped=GROUP_BY_DEMOGRAPHICS in options,
        options=named,
        user=source.account.user,
        selection=_selection_digest(source),
        amount=int(amount) if amount else None,
    )


def _selection_digest(source: QuividiSource) -> str:
    """A digest of what the source selects, for rows without a place."""
    return blake2b(repr(sorted(source.selectors.items())).encode(), digest_size=8).hexdigest()


def _selected_contents(options: Mapping[str, str]) -> str:
    """Describes the contents to which exports are limited, as identities contain it; empty for all contents."""
    if CONTENT_IDS not in options:
        return ""
    ids = sorted(options[CONTENT_IDS].split(","))
    return f"/content_ids={blake2b(','.join(ids).encode(), digest_size=8).hexdigest()}"


def streams(source: str, settings: QuividiSource, http: Http, telemetry: VendorTelemetry) -> Sequence[Stream[Any]]:
    """The configured streams of a source."""
    client = Client(source, settings, http, telemetry)
    places = Places(client, telemetry)
    exports = [
        ExportStream(
            client,
            export_type,
            chosen,
            _rows(export_type, chosen, ZoneInfo(zone), settings),
            Selection(places, client, zone, by_site=export_type.place == "site_id"),
            zone,
        )
        for export_type, chosen in settings.exports
        for zone in settings.zoning.names
    ]
    return [*exports, *status_streams(client, settings), *topology_streams(client, settings, telemetry)]


def _id_lists(selectors: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, str]]:
    """Yield the selector and the ids of each request. There are as few requests as the length of a URL allows.

    Each request has one selector: the vendor's document does not state how it combines two.
    """
    for selector, ids in selectors.items():
        joined = ""
        for number in map(str, ids):
            if joined and len(joined) + 1 + len(number) > MAX_IDS_BYTES:
                yield selector, joined
                joined = ""
            joined = f"{joined},{number}" if joined else number
        yield selector, joined
