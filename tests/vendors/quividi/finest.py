"""Example rows of the finest exports, in the forms of the vendor's newer document, and changes of them.

The newer document's rows are not repeated here: these have other places, times and numbers.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from collector.model import Event, Record, Reject
from collector.vendors.quividi.rows import finest_rows
from tests.rows import value_of
from tests.vendors.quividi.example import ABSENT, EXPERT_RESPONSE, PARIS
from tests.vendors.quividi.test_contents import APC_RESPONSE

Row = dict[str, Any]
DIGEST = "0123456789abcdef0123456789abcdef"

PERSON: Row = {
    "location_id": 5120,
    "period_start": "2026-01-14T17:41:09",
    "period_start_date": "2026-01-14",
    "period_start_time": "17:41:09",
    "footfall_presence_time": 156,
    "vr_id": 77031,
    "watcher_id": 40112,
    "watcher_start": "2026-01-14T17:41:10.250000",
    "tracking_mode": 0,
}
PASSER: Row = PERSON | {"vr_id": 77032, "footfall_presence_time": 31, "watcher_id": 0, "watcher_start": None}
CAR: Row = {
    "location_id": 5120,
    "period_start": "2026-01-14T17:41:12",
    "type": 1,
    "color": 7,
    "vehicle_presence_time": 84,
    "vehicle_impressions": 1.6,
    "impressions_per_vehicle": 1.6,
}
BUS: Row = CAR | {"type": 2, "color": None, "vehicle_impressions": 0, "impressions_per_vehicle": 0}
MIXED_CAR: Row = CAR | {"footfall_presence_time": 0}
MIXED_PERSON: Row = PERSON | {
    "type": 0,
    "color": 0,
    "vehicle_presence_time": 0,
    "vehicle_impressions": 0,
    "impressions_per_vehicle": 0,
}
VISITOR: Row = PERSON | {
    "nb_visits": 2.0,
    "visits": [
        {"id": 9, "name": "Till", "timings": [{"start": 350, "duration": 4800}]},
        {"id": 12, "name": "Shelf", "timings": [{"start": 6100, "duration": 9000}]},
    ],
    "nb_clips": 1.0,
    "clips": [{"id": 12, "name": "Shelf", "timings": [{"start": 7000, "duration": 2500}]}],
    "nb_doorpass": 1.0,
    "doorpass": [{"id": 3, "name": "Entrance", "timings": [{"start": 0, "duration": 900}]}],
}
BARE_VISITOR: Row = PASSER | {
    "nb_visits": 1.0,
    "visits": [{"id": 9, "name": "Till", "timings": [{"start": 200, "duration": 2100}]}],
}
SALE: Row = {
    "location_id": 5120,
    "period_start": "2026-01-14T17:41:09",
    "product": "Espresso beans, 1 kg",
    "product_touches": 3,
    "put_back": 2,
    "estimated_sales": 1,
    "gender": 2,
    "age_bracket": 3,
}
FUNNEL: Row = {name: value for name, value in SALE.items() if name != "age_bracket"} | {
    "age": 3,
    "dwell_time_in_tenths_of_sec": 431,
    "attention_time_in_tenths_of_sec": 120,
}
ROWS: Mapping[str, tuple[Row, ...]] = {
    "footfall": (PERSON, PASSER),
    "vehicles": (CAR, BUS),
    "vehicles_footfall": (MIXED_CAR, MIXED_PERSON),
    "retail_analytics_footfall": (VISITOR, BARE_VISITOR),
    "pmp_sales_by_demographics": (SALE, SALE | {"product": "Tea", "gender": 0, "age_bracket": 0}),
    "pmp_sales_funnel": (FUNNEL, FUNNEL | {"product": "Tea", "put_back": 3, "estimated_sales": 0}),
}
"""By the name of the stream."""


def response(*rows: Row) -> bytes:
    return json.dumps({"state": "finished", "data": rows, "creation_date": "2026-01-15 06:00:12"}).encode()


RESPONSES: Mapping[str, bytes] = {
    "viewers": EXPERT_RESPONSE,
    "viewers_apc": APC_RESPONSE,
    **{stream: response(*rows) for stream, rows in ROWS.items()},
}
_REVISED: Mapping[str, Row] = {
    "viewers": {"beard": 3},
    "viewers_apc": {"beard": 3},
    "footfall": {"vr_id": 9},
    "vehicles": {"color": 3},
    "vehicles_footfall": {"tracking_mode": 3},
    "retail_analytics_footfall": {"vr_id": 9},
    "pmp_sales_by_demographics": {"estimated_sales": 0},
    "pmp_sales_funnel": {"estimated_sales": 0},
}
REVISIONS: Mapping[str, Callable[[Row], Row]] = {
    stream: lambda row, changes=changes: row | changes  # type: ignore[misc]
    for stream, changes in _REVISED.items()
}
"""By stream: another fingerprint under the same key."""


def raw(row: Row, **changes: object) -> bytes:
    """The row with changed fields."""
    fields = row | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ABSENT}).encode()


def read(
    stream: str, row: bytes, zone: ZoneInfo = PARIS, ignored: Counter[str] | None = None
) -> Record[Any] | Reject | None:
    """What a stream makes of one row."""
    return finest_rows(stream, zone)._read(row, zone, ignored)


def record(
    stream: str,
    row: Row,
    zone: ZoneInfo = PARIS,
    ignored: Counter[str] | None = None,
    /,
    **changes: object,
) -> Record[Any]:
    found = read(stream, raw(row, **changes), zone, ignored)
    assert isinstance(found, Record), found
    return found


def events(stream: str, row: Row, zone: ZoneInfo = PARIS, /, **changes: object) -> list[Event]:
    return list(finest_rows(stream, zone).explode(record(stream, row, zone, **changes), DIGEST, 0, "acme"))


def values(stream: str, row: Row, zone: ZoneInfo = PARIS, /, **changes: object) -> list[dict[str, Any]]:
    """The values of a row's events, without the fields that all types have."""
    common = {"event_id", "type", "vendor", "source"}
    found = (value_of(event) for event in events(stream, row, zone, **changes))
    return [{name: value for name, value in each.items() if name not in common} for each in found]


def value(stream: str, row: Row, zone: ZoneInfo = PARIS, /, **changes: object) -> dict[str, Any]:
    """The value of a row's first event."""
    return values(stream, row, zone, **changes)[0]
