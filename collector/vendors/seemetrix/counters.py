"""The counters of a user's dashboard, as they are now: what comes, and its event.

Source: the vendor's document, "Status counters".
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from collector.instants import Timestamp, format_ms
from collector.model import Event, EventType, Record
from collector.vendors.leniency import decode_answer, decode_record
from collector.vendors.seemetrix.wire import Integer

FIELDS_VERSION = 1
"""Of the list of fields in the fingerprint, which is all of them."""
_KEY = bytes(8)
"""There is one such thing in a stream."""
_NAMES = {
    "devices": "dev_num",
    "devices_online": "online_device_num",
    "movies": "movies_num",
    "visits_hour": "usr_cur_hour",
    "visits_day": "usr_cur_day",
    "visits_month": "usr_cur_month",
    "visits_total": "usr_num",
    "average_visit_seconds": "avg_duration",
}


class Counters(Struct, frozen=True):
    """The answer of `/user/<id>/counters`."""

    usr_num: Integer
    avg_duration: Integer | float | None = None
    dev_num: Integer | None = None
    movies_num: Integer | None = None
    online_device_num: Integer | None = None
    usr_cur_day: Integer | None = None
    usr_cur_hour: Integer | None = None
    usr_cur_month: Integer | None = None


class CountersV1(Struct, frozen=True, kw_only=True):
    """What the account's dashboard counts: published when it changes."""

    event_id: Annotated[str, Meta(description="`<32 hex digits of the record's id>/counters/0`: unique, and stable.")]
    record_id: Annotated[str, Meta(description="`user/<user>`: the same for every revision.")]
    revision: Annotated[int, Meta(description="Counts the changes, from 0; the highest counts.", ge=0)]
    source: Annotated[str, Meta(description="The source's name in the collector's configuration.")]
    user_id: Annotated[int, Meta(description="The vendor's number of the user.")]
    seen_at: Annotated[Timestamp, Meta(description="When they were asked for, UTC.")]
    device_count: Annotated[int | None, Meta(description="Registered devices.")]
    online_device_count: Annotated[int | None, Meta(description="Devices that are online.")]
    movie_count: Annotated[int | None, Meta(description="Registered movies.")]
    visits_hour: Annotated[int | None, Meta(description="Visits in the current hour.")]
    visits_day: Annotated[int | None, Meta(description="Visits in the current day.")]
    visits_month: Annotated[int | None, Meta(description="Visits in the current month.")]
    visits_total: Annotated[int, Meta(description="Visits in all.")]
    average_visit_ms: Annotated[
        int | None,
        Meta(description="Average duration of a visit over all devices, in milliseconds; the vendor's is in seconds."),
    ]


COUNTERS = EventType("seemetrix.counters.v1", "seemetrix.counters", CountersV1)
TYPES = (COUNTERS,)

_decode = msgspec.json.Decoder(Counters).decode


def read(body: bytes, seen_ms: int) -> Record[Counters]:
    """Raises msgspec.DecodeError."""
    told = decode_answer(body, lambda whole: decode_record(whole, _decode, Counters))
    return Record(
        key=_KEY,
        fingerprint=msgspec.msgpack.encode(told),
        start_ms=seen_ms,
        end_ms=seen_ms,
        vendor_local_s=seen_ms // 1000,
        payload=told,
    )


def gauges(told: Counters) -> dict[str, float]:
    """What was said of them, by name, for those who watch them."""
    named = {name: getattr(told, field) for name, field in _NAMES.items()}
    return {name: float(value) for name, value in named.items() if value is not None}


def explode(record: Record[Counters], digest: str, revision: int, source: str, user: int) -> Iterator[Event]:
    """The counters' event."""
    key, event_id, seen_at = str(user), f"{digest}/counters/0", format_ms(record.start_ms)
    told = record.payload
    data = CountersV1(
        event_id=event_id,
        record_id=f"user/{key}",
        revision=revision,
        source=source,
        user_id=user,
        seen_at=seen_at,
        device_count=told.dev_num,
        online_device_count=told.online_device_num,
        movie_count=told.movies_num,
        visits_hour=told.usr_cur_hour,
        visits_day=told.usr_cur_day,
        visits_month=told.usr_cur_month,
        visits_total=told.usr_num,
        average_visit_ms=None if told.avg_duration is None else round(told.avg_duration * 1000),
    )
    yield Event(COUNTERS, event_id, data.record_id, seen_at, key, data)
