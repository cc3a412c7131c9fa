"""Every stream of both vendors, as its document shows it, with changes of the document's rows."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.alignment import periods
from collector.model import DedupMode, Event, Record, Reject, Window
from collector.pipeline.ledger import Former
from collector.vendors.quividi import events as quividi_events
from collector.vendors.quividi import wire as quividi
from collector.vendors.quividi.contents import read_viewer_apc
from collector.vendors.quividi.rows import FinestRows, Rows
from collector.vendors.seemetrix import breakdown, counters, devices, statistics, wire
from collector.vendors.seemetrix.events import explode_session
from collector.vendors.seemetrix.streams import Breakdown, Counters, Devices, Sessions, Statistics
from tests.contracts.examples.seemetrix import LEVELS, SOURCE, USER
from tests.vendors.quividi import aggregated
from tests.vendors.quividi.example import EXPERT_RESPONSE, PARIS
from tests.vendors.quividi.test_contents import APC_RESPONSE
from tests.vendors.seemetrix import documented
from tests.vendors.seemetrix.example import RAW_DATA

Row = dict[str, Any]
SEEN_MS = 1_780_000_000_000
HALVES = periods("6M", date(2016, 12, 1), ZoneInfo("UTC"))
HOURS = Window(datetime(2017, 9, 1, tzinfo=UTC), datetime(2017, 10, 1, tzinfo=UTC))


class Kind(Struct, frozen=True):
    """A stream, without the I/O."""

    name: str
    dedup_mode: DedupMode
    read: Callable[[Sequence[Row]], Iterable[Record[Any] | Reject]]
    explode: Callable[[Record[Any], str, int], Iterable[Event]]
    rows: Sequence[Row]
    revised: Callable[[Row], Row]
    """The same thing, of which something else is known."""
    late: Callable[[Row], Row]
    """Another thing of the same ten minutes; of a snapshot, another thing."""
    later: Callable[[Row], Row]
    """A thing of another page."""
    gone: Callable[[bytes], Record[Any]] | None = None
    only: bool = False
    """There is one thing in the stream."""
    version: int = 1
    """Of the lists of fields."""
    former: Former | None = None

    @property
    def max_clock_offset(self) -> timedelta:
        return timedelta(days=1) if self.name in QUIVIDI else timedelta(0)


def _changed(**changes: object) -> Callable[[Row], Row]:
    return lambda row: row | changes


def _sessions(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    return wire.read(wire.rows(json.dumps({"objects": rows}).encode()))


def _devices(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    answer = {group: [row for row in rows if row["group"] == group] for group in ("online", "offline", "frozen")}
    return devices.read(devices.decode(json.dumps(answer).encode()), SEEN_MS, include_private=False)


def _counters(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    return [counters.read(json.dumps(row).encode(), SEEN_MS) for row in rows]


def _statistics(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    for row in rows:
        answer = statistics.decode(json.dumps({"objects": [row]}).encode())
        yield from statistics.read(answer, HOURS, row.get("device"))


def _breakdown(rows: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    for row in rows:
        begin = datetime.fromisoformat(row.get("begin", "2016-12-01T00:00:00Z"))
        period = Window(begin, HALVES.after(begin))
        yield from breakdown.read([json.dumps(row).encode()], period, LEVELS, None)


def _exported(rows: Rows[Any], found: Sequence[Row]) -> Iterable[Record[Any] | Reject]:
    answer = quividi.decode_export(json.dumps({"state": "finished", "data": found}).encode())
    return rows.read(quividi.rows(answer) or (), *aggregated.YEAR)


def _data(answer: bytes) -> Sequence[Row]:
    rows: Sequence[Row] = json.loads(answer)["data"]
    return rows


def _tree(body: bytes) -> Sequence[Row]:
    nodes: Sequence[Row] = json.loads(body)["data"]["o"]
    return nodes


def _listed(body: bytes) -> Sequence[Row]:
    groups = {group: rows for group, rows in json.loads(body).items() if isinstance(rows, list)}
    return [row | {"group": group} for group, rows in groups.items() for row in rows]


def _export(name: str, rows: Rows[Any], answer: bytes, revised: Callable[[Row], Row]) -> Kind:
    found = _data(answer)
    place = "site_id" if "site_id" in found[0] else "location_id"
    time = "start_time" if "start_time" in found[0] else "period_start"
    return Kind(
        name,
        rows.dedup_mode,
        partial(_exported, rows),
        partial(rows.explode, source=SOURCE),
        found,
        revised,
        late=lambda row: row | {place: row[place] + 1},
        later=lambda row: row | {time: row[time].replace("2018-01", "2018-03")},
        version=rows.fields_version,
        former=rows.former,
    )


_NUMBERS = {"viewers_aggregated": "watcher_count", "ots": "ots_count", "gate": "in_count"}
_EXPORTS = (
    _export(
        "viewers",
        FinestRows(PARIS, quividi.read_viewer, quividi_events.explode_viewer),
        EXPERT_RESPONSE,
        _changed(beard=3),
    ),
    _export(
        "viewers_apc",
        FinestRows(PARIS, read_viewer_apc, quividi_events.explode_viewer_apc),
        APC_RESPONSE,
        _changed(beard=3),
    ),
    *(
        _export(stream, aggregated.aggregates(stream), answer, _changed(**{_NUMBERS.get(stream, "play_count"): 77}))
        for stream, answer in aggregated.EXAMPLES.items()
    ),
)
QUIVIDI = {kind.name for kind in _EXPORTS}
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "sessions",
            DedupMode.VERSIONED,
            _sessions,
            partial(explode_session, source=SOURCE),
            json.loads(RAW_DATA)["objects"],
            _changed(e="2019-07-01T11:16:43.000000", i=35948),
            _changed(o=1332, b="2019-07-01T11:17:00.000000"),
            _changed(o=1333, b="2019-07-01T15:00:00.000000", e="2019-07-01T15:00:10.000000"),
            version=Sessions.fields_version,
            former=Sessions.former,
        ),
        Kind(
            "devices",
            DedupMode.LATEST,
            _devices,
            partial(devices.explode, source=SOURCE),
            _listed(documented.DEVICES),
            _changed(n="another name"),
            _changed(d=4000),
            _changed(d=5000),
            gone=partial(devices.gone, seen_ms=SEEN_MS),
            version=Devices.fields_version,
            former=Devices.former,
        ),
        Kind(
            "counters",
            DedupMode.LATEST,
            _counters,
            partial(counters.explode, source=SOURCE, user=USER),
            [json.loads(documented.COUNTERS)],
            _changed(usr_num=325),
            dict,
            dict,
            only=True,
            version=Counters.fields_version,
            former=Counters.former,
        ),
        Kind(
            "statistics",
            DedupMode.VERSIONED,
            _statistics,
            partial(statistics.explode, source=SOURCE, user=USER),
            json.loads(documented.USER_STATISTICS)["objects"],
            _changed(t=4),
            _changed(device=7),
            _changed(i={"d": 20, "h": 12, "m": 9, "y": 2017}),
            version=Statistics.fields_version,
            former=Statistics.former,
        ),
        Kind(
            "breakdown",
            DedupMode.VERSIONED,
            _breakdown,
            partial(breakdown.explode, common=breakdown.Common(SOURCE, USER, "6M", "MM")),
            _tree(documented.FULL_TREE),
            _changed(v=64),
            _changed(n="1843"),
            _changed(begin="2017-06-01T00:00:00Z"),
            version=Breakdown.fields_version,
            former=Breakdown.former,
        ),
        *_EXPORTS,
    )
}
