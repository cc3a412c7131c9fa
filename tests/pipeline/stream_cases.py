"""Every stream of every vendor without I/O: the example rows of its document, and changes of them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from collector.alignment import periods
from collector.model import DedupMode, Event, Record, Reject, Window
from collector.pipeline.ledger import Former
from collector.steps import at_once
from collector.vendors.quividi import alerts, monitoring
from collector.vendors.quividi.rows import Rows, finest_rows
from collector.vendors.quividi.topology import listing
from collector.vendors.quividi.topology.listing import Listing
from collector.vendors.quividi.topology.listings import LISTINGS
from collector.vendors.seemetrix import breakdown, breakdown_events, counters, devices, statistics, wire
from collector.vendors.seemetrix.breakdown_streams import Breakdown
from collector.vendors.seemetrix.events import explode_session
from collector.vendors.seemetrix.streams import Counters, Devices, Sessions, Statistics
from tests.contracts.examples.seemetrix import REQUEST, USER
from tests.rows import export_rows, published_rows, session_rows
from tests.vendors.quividi import aggregated, configured, finest, status, topology
from tests.vendors.quividi.example import PARIS
from tests.vendors.seemetrix import documented
from tests.vendors.seemetrix.example import RAW_DATA

Row = dict[str, Any]
CONFIGURED = "quividi.rows."
"""The start of the names of streams whose type of export is configured by hand."""
SEEN_MS = 1_780_000_000_000
HALF_YEARS = periods("6M", date(2016, 12, 1), ZoneInfo("UTC"))
FIVE_MINUTES_LATER = {"period_start": "2018-01-29 10:05:00"}
MONTH = Window(datetime(2017, 9, 1, tzinfo=UTC), datetime(2017, 10, 1, tzinfo=UTC))


class StreamCase(Struct, frozen=True):
    """One stream: how rows are decoded and exploded, example rows, and changes of one row."""

    name: str
    """`<vendor>.<stream>`."""
    dedup_mode: DedupMode
    decode: Callable[[Sequence[Row]], Iterable[Record[Any] | Reject]]
    explode: Callable[[Record[Any], str, int], Iterable[Event]]
    rows: Sequence[Row]
    revise: Callable[[Row], Row]
    """The same key with another fingerprint, also without the fingerprint's last field, which some tests remove."""
    same_page: Callable[[Row], Row]
    """Another key on the same ledger page; of a LATEST stream, another key."""
    new_page: Callable[[Row], Row]
    """A key on another page."""
    gone: Callable[[bytes], Record[Any]] | None = None
    is_single: bool = False
    """Whether the stream has only one key."""
    fields_version: int = 1
    former: Former | None = None

    @property
    def max_clock_offset(self) -> timedelta:
        return timedelta(days=1) if self.name.startswith("quividi.") else timedelta(0)


def _with(**changes: object) -> Callable[[Row], Row]:
    return lambda row: row | changes


def _decode_sessions(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    return wire.read(session_rows(json.dumps({"objects": rows}).encode()))


def _decode_devices(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    response = {group: [row for row in rows if row["group"] == group] for group in ("online", "offline", "frozen")}
    return devices.read(at_once(devices.decode(json.dumps(response).encode())), SEEN_MS, include_private=False)


def _decode_counters(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    return [counters.read(json.dumps(row).encode(), SEEN_MS) for row in rows]


def _decode_statistics(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    for row in rows:
        response = at_once(statistics.decode(json.dumps({"objects": [row]}).encode()))
        yield from published_rows(statistics.read(response, MONTH, row.get("device"), ()))


def _decode_breakdown(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    for row in rows:
        start = datetime.fromisoformat(row.get("begin", "2016-12-01T00:00:00Z"))
        period = Window(start, HALF_YEARS.after(start))
        for found in published_rows(breakdown.read([json.dumps(row).encode()], period, REQUEST)):
            if isinstance(found, Reject) or found.payload.path:  # without the root of each row
                yield found


def _decode_export(rows: Rows[Any], found: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    raw = export_rows(json.dumps({"state": "finished", "data": found}).encode())
    return published_rows(rows.read(raw or (), *aggregated.YEAR))


def _decode_configured(rows: Rows[Any], found: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    """Decode each row as the only one of a response, which must not have a row and its revision."""
    for row in found:
        raw = export_rows(configured.response([row]))
        yield from published_rows(rows.read(raw or (), *configured.YEAR_2026))


def _rows_of_export(response: bytes) -> Sequence[Row]:
    rows: Sequence[Row] = json.loads(response)["data"]
    return rows


def _nodes_of_tree(body: bytes) -> Sequence[Row]:
    nodes: Sequence[Row] = json.loads(body)["data"]["o"]
    return nodes


def _devices_by_group(body: bytes) -> Sequence[Row]:
    groups = {group: rows for group, rows in json.loads(body).items() if isinstance(rows, list)}
    return [row | {"group": group} for group, rows in groups.items() for row in rows]


def _export(
    name: str,
    rows: Rows[Any],
    response: bytes,
    revise: Callable[[Row], Row],
) -> StreamCase:
    found = _rows_of_export(response)
    place = next((each for each in ("site_id", "location_id") if each in found[0]), None)
    time = next(each for each in ("start_time", "period_start", "period_start_date") if each in found[0])
    return StreamCase(
        name,
        rows.dedup_mode,
        partial(_decode_export, rows),
        partial(rows.explode, user=str(USER)),
        found,
        revise,
        same_page=lambda row: row | (FIVE_MINUTES_LATER if place is None else {place: int(row[place]) + 1}),
        new_page=lambda row: row | {time: row[time].replace("-01-", "-03-", 1)},
        fields_version=rows.fields_version,
        former=rows.former,
    )


def _decode_alerts(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    return status.read_alerts(json.dumps(rows).encode())


def _decode_messages(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    return status.read_messages(json.dumps(rows).encode())


def _decode_things(lists: Sequence[Listing[Any]], rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    for each in lists:
        found = [row for row in rows if row.get("list", lists[0].noun) == each.noun]
        yield from listing.read(each, at_once(listing.decode(json.dumps(found).encode())), SEEN_MS, str(USER))


def _topology(stream: str, lists: Sequence[Listing[Any]]) -> StreamCase:
    rows = [
        row | {"list": each.noun}
        for each, path in zip(lists, topology.PATHS[stream], strict=True)
        for row in json.loads(topology.RESPONSES[path])
    ]
    return StreamCase(
        f"quividi.{stream}",
        DedupMode.LATEST,
        partial(_decode_things, lists),
        partial(listing.explode, event_type=lists[0].event_type, user=str(USER)),
        rows,
        _with(label="another", name="another"),
        _with(id=4000),
        _with(id=5000),
        gone=partial(listing.gone, lists, seen_ms=SEEN_MS, user=str(USER)),
        fields_version=listing.FIELDS_VERSION,
    )


_COUNTS = {
    "viewers_aggregated": "watcher_count",
    "ots": "ots_count",
    "gate": "in_count",
    "proof_of_play_by_location": "play_count",
    "proof_of_play_by_site": "play_count",
    "proof_of_play_by_location_footfall_faces": "play_count",
    "proof_of_play_by_site_footfall_faces": "play_count",
    "proof_of_play_vehicle_person_by_location": "play_count",
    "proof_of_play_vehicle_person_by_site": "play_count",
    "content_plays": "plays",
    "footfall_aggregated": "footfall_impressions",
    "vehicles_aggregated": "vehicle_count",
    "vehicles_footfall_aggregated": "vehicle_count",
    "im": "im",
    "im_nobackup": "im",
    "im_ots": "im",
    "im_ots_nobackup": "im",
    "targeted_im": "im",
    "extrapolated_ots": "ots_count",
    "extrapolated_watchers": "watcher_count",
    "compass": "ots_count_impressions",
    "retail_analytics_footfall_aggregated": "nb_visits",
    "pmp_sales_by_demographics_aggregated": "product_touches",
    "pmp_sales_funnel_aggregated": "product_touches",
}
"""The first main metric of each type."""
_EXPORTS = (
    *(
        _export(f"quividi.{stream}", finest_rows(stream, PARIS), response, finest.REVISIONS[stream])
        for stream, response in finest.RESPONSES.items()
    ),
    *(
        _export(
            f"quividi.{stream}",
            aggregated.aggregates(stream, "5m" if stream.startswith("extrapolated") else "1h"),
            response,
            _with(**{_COUNTS[stream]: 77}),
        )
        for stream, response in aggregated.ALL_EXAMPLES.items()
    ),
    *(
        structs.replace(
            _export(
                f"{CONFIGURED}{form.stream}",
                configured.rows_of(form),
                configured.response(rows),
                _with(**configured.REVISED[form.stream]),
            ),
            decode=partial(_decode_configured, configured.rows_of(form)),
        )
        for form, rows in configured.FORMS
    ),
)
STREAM_CASES: Mapping[str, StreamCase] = {
    case.name: case
    for case in (
        StreamCase(
            "seemetrix.sessions",
            DedupMode.VERSIONED,
            _decode_sessions,
            partial(explode_session, user=USER),
            json.loads(RAW_DATA)["objects"],
            _with(e="2019-07-01T11:16:43.000000", i=35948),
            _with(o=1332, b="2019-07-01T11:17:00.000000"),
            _with(o=1333, b="2019-07-01T15:00:00.000000", e="2019-07-01T15:00:10.000000"),
            fields_version=Sessions.fields_version,
            former=Sessions.former,
        ),
        StreamCase(
            "seemetrix.devices",
            DedupMode.LATEST,
            _decode_devices,
            partial(devices.explode, user=USER),
            _devices_by_group(documented.DEVICES),
            _with(n="another name"),
            _with(d=4000),
            _with(d=5000),
            gone=partial(devices.gone, seen_ms=SEEN_MS),
            fields_version=Devices.fields_version,
            former=Devices.former,
        ),
        StreamCase(
            "seemetrix.counters",
            DedupMode.LATEST,
            _decode_counters,
            partial(counters.explode, user=USER),
            [json.loads(documented.COUNTERS)],
            _with(usr_num=325),
            dict,
            dict,
            is_single=True,
            fields_version=Counters.fields_version,
            former=Counters.former,
        ),
        StreamCase(
            "seemetrix.statistics",
            DedupMode.VERSIONED,
            _decode_statistics,
            partial(statistics.explode, user=USER),
            json.loads(documented.USER_STATISTICS)["objects"],
            _with(t=4),
            _with(device=7),
            _with(i={"d": 20, "h": 12, "m": 9, "y": 2017}),
            fields_version=Statistics.fields_version,
            former=Statistics.former,
        ),
        StreamCase(
            "seemetrix.breakdown",
            DedupMode.VERSIONED,
            _decode_breakdown,
            partial(breakdown_events.explode, common=breakdown_events.SharedFields(USER, "6M")),
            _nodes_of_tree(documented.FULL_TREE),
            _with(v=64),
            _with(n="1843"),
            _with(begin="2017-06-01T00:00:00Z"),
            fields_version=Breakdown.fields_version,
            former=Breakdown.former,
        ),
        *_EXPORTS,
        StreamCase(
            "quividi.alerts",
            DedupMode.VERSIONED,
            _decode_alerts,
            partial(alerts.explode, user=str(USER)),
            json.loads(status.ALERTS),
            _with(status="another"),
            _with(id=1),
            _with(id=2, timestamp="2026-09-01T00:00:00"),
            fields_version=alerts.FIELDS_VERSION,
        ),
        StreamCase(
            "quividi.monitoring",
            DedupMode.VERSIONED,
            _decode_messages,
            partial(monitoring.explode, user=str(USER)),
            json.loads(status.MESSAGES),
            _with(fps="1.5"),
            _with(box=1),
            _with(box=2, timestamp="2026-09-01T00:00:00"),
            fields_version=monitoring.FIELDS_VERSION,
        ),
        *(_topology(stream, lists) for stream, lists in LISTINGS.items()),
    )
}
