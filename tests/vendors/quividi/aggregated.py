"""The examples of aggregates in the vendor's document, as strict JSON, and helpers from a response to events."""

from collections import Counter
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from jsonschema import Draft202012Validator

from collector.alignment import ANCHOR
from collector.model import Event, Record, Reject
from collector.schemas import json_schema
from collector.vendors.quividi.aggregate_records import Aggregate, Requested
from collector.vendors.quividi.aggregates import Aggregates
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests.rows import export_rows, published_rows
from tests.rows import value_of as decoded_value
from tests.vendors.quividi.example import ABSENT, PARIS
from tests.vendors.quividi.newer import NEWER

DIGEST = "0123456789abcdef0123456789abcdef"

# Trailing commas and `...` are removed, and Python's quotes replaced.
VIEWERS_AGGREGATED = b"""{
    "state":"finished",
    "data":[
        {
            "dwell_time":12, "conversion_ratio":11.11111111111111, "watcher_count":1, "attention_time":3,
            "period_start":"2018-01-29 02:00:00", "location_id":4636
        },
        {
            "dwell_time":0, "conversion_ratio":0.0, "watcher_count":0, "attention_time":0,
            "period_start":"2018-01-29 03:00:00", "location_id":4636
        },
        {
            "dwell_time":83, "conversion_ratio":27.272727272727273, "watcher_count":3, "attention_time":27,
            "period_start":"2018-01-29 04:00:00", "location_id":4636
        }
    ],
    "creation_date":"2018-01-29 10:06:09"
}"""
BY_DEMOGRAPHICS = b"""{
    "state":"finished",
    "data":[
        {
            "dwell_time":83, "gender":1, "age":3, "watcher_count":3, "attention_time":27,
            "period_start":"2018-01-29 04:00:00", "location_id":9876
        },
        {
            "dwell_time":null, "gender":0, "age":0, "watcher_count":0, "attention_time":null,
            "period_start":"2018-01-29 04:00:00", "location_id":9876
        }
    ],
    "creation_date":"2018-01-29 10:12:28"
}"""
OTS = b"""{
    "state":"finished",
    "data":[
        {
            "duration":3600, "watcher_count":3, "period_start":"2018-01-29 00:00:00", "location_id":1467, "ots_count":4
        },
        {
            "duration":3600, "watcher_count":0, "period_start":"2018-01-29 01:00:00", "location_id":1467, "ots_count":0
        },
        {
            "duration":3600, "watcher_count":1, "period_start":"2018-01-29 02:00:00", "location_id":1467, "ots_count":9
        },
        {
            "duration":3600, "watcher_count":0, "period_start":"2018-01-29 03:00:00", "location_id":1467, "ots_count":0
        },
        {
            "duration":3600, "watcher_count":3, "period_start":"2018-01-29 04:00:00", "location_id":1467, "ots_count":11
        }
    ],
    "creation_date":"2018-01-29 10:15:49"
}"""
PLACEHOLDERS = b"""{
    "state":"finished",
    "data":[
        {
            "duration": 86400.0, "location_id": 1234, "ots_count": 504, "watcher_count": 156,
            "period_start": "2016-04-29 00:00:00"
        },
        {
            "duration": null, "location_id": 1234, "ots_count": null, "watcher_count": null,
            "period_start": "2016-04-30 00:00:00"
        }
    ]
}"""
GATE = b"""{
    "state":"finished",
    "data":[
        {
            "in_count":8, "gate_id":1, "out_count":18, "duration":3600, "period_start":"2018-01-19 10:00:00",
            "location_id":26549
        },
        {
            "in_count":14, "gate_id":1, "out_count":36, "duration":3600, "period_start":"2018-01-19 11:00:00",
            "location_id":26549
        },
        {
            "in_count":16, "gate_id":1, "out_count":32, "duration":3600, "period_start":"2018-01-19 12:00:00",
            "location_id":26549
        }
    ],
    "creation_date":"2018-01-29 10:23:23"
}"""
PROOF_OF_PLAY_BY_LOCATION = b"""{
    "state":"finished",
    "data":[
        {
            "content_duration":12.2, "content_id":"content one", "duration":3600, "estimated_ots":32, "impressions":32,
            "location_id":4636, "period_start":"2018-01-29 02:00:00", "play_count":12, "watchers":8, "watchers_2sec":6
        },
        {
            "content_duration":7.8, "content_id":"content one", "duration":3600, "estimated_ots":96, "impressions":96,
            "location_id":4636, "period_start":"2018-01-29 03:00:00", "play_count":22, "watchers":64, "watchers_2sec":20
        },
        {
            "content_duration":12.2, "content_id":"content one", "duration":3600, "estimated_ots":8, "impressions":8,
            "location_id":4636, "period_start":"2018-01-29 04:00:00", "play_count":33, "watchers":4, "watchers_2sec":1
        }
    ],
    "creation_date":"2018-01-29 10:06:09"
}"""
PROOF_OF_PLAY_BY_SITE = b"""{
    "state":"finished",
    "data":[
        {
            "content_duration":12.2, "content_id":"content one", "duration":3600, "estimated_ots":31, "impressions":31,
            "period_start":"2018-01-29 02:00:00", "play_count":10, "site_id":178, "watchers":7, "watchers_2sec":5
        },
        {
            "content_duration":7.8, "content_id":"content one", "duration":3600, "estimated_ots":28, "impressions":28,
            "period_start":"2018-01-29 03:00:00", "play_count":22, "site_id":178, "watchers":14, "watchers_2sec":14
        },
        {
            "content_duration":12.2, "content_id":"content one", "duration":3600, "estimated_ots":87, "impressions":87,
            "period_start":"2018-01-29 04:00:00", "play_count":4, "site_id":178, "watchers":42, "watchers_2sec":12
        }
    ],
    "creation_date":"2018-01-29 10:08:12"
}"""

EXAMPLES = {
    "viewers_aggregated": VIEWERS_AGGREGATED,
    "ots": OTS,
    "gate": GATE,
    "proof_of_play_by_location": PROOF_OF_PLAY_BY_LOCATION,
    "proof_of_play_by_site": PROOF_OF_PLAY_BY_SITE,
}
ALL_EXAMPLES = {**EXAMPLES, **NEWER}
AGGREGATED = [name for name, kind in EXPORT_TYPES.items() if kind.is_aggregated]
OF_A_SELECTION = Requested(user="acme", selection="0f1e2d3c4b5a6978", options="/extrapolation_amount=100", amount=100)
"""A request of an extrapolation."""


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


YEAR = local("2018-01-01T00:00:00"), local("2018-12-31T23:59:59")


def aggregates(
    stream: str,
    resolution: str = "1h",
    anchor: date = ANCHOR,
    zone: ZoneInfo = PARIS,
    *,
    is_grouped: bool = False,
) -> Aggregates:
    requested = Requested(is_grouped=is_grouped)
    if EXPORT_TYPES[stream].place is None:
        requested = OF_A_SELECTION
    return Aggregates(EXPORT_TYPES[stream], resolution, anchor, zone, requested)


def found(rows: Aggregates, body: bytes, bounds: tuple[datetime, datetime] = YEAR) -> list[Record[Aggregate] | Reject]:
    """The records of a response that are published in any case, and its rejects."""
    return [one for one in read(rows, body, bounds) if isinstance(one, Reject) or not one.only_if_known]


def read(rows: Aggregates, body: bytes, bounds: tuple[datetime, datetime] = YEAR) -> list[Record[Aggregate] | Reject]:
    """All records of a response, also those that are only published as revisions, and its rejects."""
    return published_rows(rows.read(export_rows(body) or (), *bounds))


def events(rows: Aggregates, body: bytes, bounds: tuple[datetime, datetime] = YEAR) -> list[Event]:
    records = found(rows, body, bounds)
    assert [] == [one for one in records if isinstance(one, Reject)]
    return [event for one in records if isinstance(one, Record) for event in rows.explode(one, DIGEST, 0, "acme")]


def value(event: Event) -> dict[str, Any]:
    """The decoded value. Fails if it is not valid by its schema."""
    got: dict[str, Any] = decoded_value(event)
    schema = json_schema(event.type)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(got)
    return got


def row(stream: str, **changes: object) -> bytes:
    """The first row of the stream's example with changed fields."""
    fields = msgspec.json.decode(ALL_EXAMPLES[stream])["data"][0] | changes
    return msgspec.json.encode({name: each for name, each in fields.items() if each is not ABSENT})


def record(rows: Aggregates, raw: bytes) -> Record[Aggregate]:
    got = rows.read_row(raw, *YEAR)
    assert isinstance(got, Record), got
    return got


def reject(rows: Aggregates, raw: bytes) -> Reject:
    got = rows.read_row(raw, *YEAR)
    assert isinstance(got, Reject), got
    return got


def event_value(stream: str, **changes: object) -> dict[str, Any]:
    """The value of the event of such a row."""
    return value_of(aggregates(stream), row(stream, **changes))


def value_of(rows: Aggregates, raw: bytes) -> dict[str, Any]:
    [event] = rows.explode(record(rows, raw), DIGEST, 0, "acme")
    return value(event)


def value_and_ignored(stream: str, **changes: object) -> tuple[dict[str, Any], Counter[str]]:
    """The value of the row's event, and the fields that were not understood."""
    rows, ignored = aggregates(stream), Counter[str]()
    got = rows.read_row(row(stream, **changes), *YEAR, ignored)
    assert isinstance(got, Record), got
    [event] = rows.explode(got, DIGEST, 0, "acme")
    return value(event), ignored
