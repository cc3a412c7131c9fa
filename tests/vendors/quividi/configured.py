"""Invented types of export that are configured by hand: a finest one and an aggregated one, and what they publish."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from collector.model import Account, DedupMode, Event, Record, Reject
from collector.pipeline.message import record_digest
from collector.vendors.quividi.configured_rows import ConfiguredAggregates, ConfiguredRow, configured_finest_rows
from collector.vendors.quividi.row_values import RowForm
from collector.vendors.quividi.rows import Rows
from tests.rows import value_of
from tests.vendors.quividi.example import ABSENT, PARIS

Row = dict[str, Any]
USER = "airport"
QUEUE: Row = {
    "location_id": 5120,
    "period_start": "2026-01-14 17:00:00",
    "period_start_date": "2026-01-14",
    "period_start_time": "17:00:00",
    "desk": 3,
    "waiting_count": 14.0,
    "wait_time": 812,
    "desk_name": "Departures",
}
"""An aggregated row."""
QUEUES: tuple[Row, ...] = (QUEUE, QUEUE | {"desk": 4, "waiting_count": 2, "wait_time": None})
GESTURE: Row = {
    "location_id": "5120",
    "period_start": "2026-01-14T17:41:09.250",
    "hand": {"side": "left", "fingers": [1, 2.0]},
    "gesture": 7,
    "gesture_time": 31,
    "confidence": 0.75,
    "model": "2.4",
}
"""A finest row."""
GESTURES: tuple[Row, ...] = (GESTURE, GESTURE | {"gesture": 2})
YEAR_2026 = datetime.fromisoformat("2026-01-01T00:00:00"), datetime.fromisoformat("2026-12-31T23:59:59")
QUEUE_FORM = RowForm(
    stream="queues",
    data_type="queue",
    resolution="1h",
    is_finest=False,
    key=("desk",),
    ignore=frozenset({"desk_name"}),
    user=USER,
    selection="5e1ec7ed",
)
GESTURE_FORM = RowForm(
    stream="gestures",
    data_type="gesture",
    resolution="finest",
    is_finest=True,
    ignore=frozenset({"model", "confidence"}),
    user=USER,
    selection="5e1ec7ed",
)

REVISED: Mapping[str, Row] = {"queues": {"wait_time": 77}, "gestures": {"confidence": 0.5}}
"""By stream: changes that give a row another fingerprint under the same key."""
FORMS: tuple[tuple[RowForm, tuple[Row, ...]], ...] = ((QUEUE_FORM, QUEUES), (GESTURE_FORM, GESTURES))


def rows_of(form: RowForm, zone: ZoneInfo = PARIS) -> Rows[ConfiguredRow]:
    return configured_finest_rows(form, zone) if form.is_finest else ConfiguredAggregates(form, date(2018, 1, 1), zone)


def raw(row: Row, **changes: object) -> bytes:
    """The row with changed fields."""
    fields = row | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ABSENT}).encode()


def read(
    form: RowForm, rows: Iterable[bytes], zone: ZoneInfo = PARIS, ignored: Counter[str] | None = None
) -> list[Record[ConfiguredRow] | Reject | None]:
    return list(rows_of(form, zone).read(rows, *YEAR_2026, ignored))


def record(form: RowForm, row: Row, zone: ZoneInfo = PARIS, /, **changes: object) -> Record[ConfiguredRow]:
    [found] = read(form, [raw(row, **changes)], zone)
    assert isinstance(found, Record), found
    return found


def event(form: RowForm, found: Record[ConfiguredRow], number: int = 0) -> Event:
    mode = DedupMode.MULTISET if form.is_finest else DedupMode.VERSIONED
    digest = record_digest(mode, found, number, Account("quividi", USER))
    [event] = rows_of(form).explode(found, digest, number, USER)
    return event


def value(form: RowForm, found: Record[ConfiguredRow], number: int = 0) -> Mapping[str, Any]:
    return value_of(event(form, found, number), "airport")


def response(rows: Iterable[Row]) -> bytes:
    return json.dumps({"state": "finished", "data": [*rows], "creation_date": "2026-01-15 06:00:12"}).encode()
