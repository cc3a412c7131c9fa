"""The present counters of a user's dashboard: the response and its event.

Source: the vendor's document, "Status counters".
"""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs

from collector.instants import Timestamp, format_ms
from collector.model import Event, EventType, Record
from collector.vendors.event_fields import Revision, UserId
from collector.vendors.leniency import BYTE_ORDER_MARK, MalformedRow, RowDecoder, numbers_fingerprint
from collector.vendors.seemetrix.wire import Integer

FIELDS_VERSION = 2
"""The version of the list of fields in the fingerprint: all fields of `Counters`, whatever their form."""
_KEY = bytes(8)
"""The stream has only one record."""
_WIRE_FIELDS = {
    "devices": "dev_num",
    "devices_online": "online_device_num",
    "movies": "movies_num",
    "visits_hour": "usr_cur_hour",
    "visits_day": "usr_cur_day",
    "visits_month": "usr_cur_month",
    "visits_total": "usr_num",
    "average_visit_seconds": "avg_duration",
}
"""The field of each counter, by the value of the metric's label `counter`."""


Seconds = Annotated[int, Meta(ge=-(10**15), le=10**15)] | Annotated[float, Meta(ge=-1e15, le=1e15)]
"""The bound is above any real value, and in milliseconds still fits into 64 bits."""


class Counters(Struct, frozen=True):
    """The response of `/user/<id>/counters`."""

    usr_num: Integer
    avg_duration: Seconds | None = None
    dev_num: Integer | None = None
    movies_num: Integer | None = None
    online_device_num: Integer | None = None
    usr_cur_day: Integer | None = None
    usr_cur_hour: Integer | None = None
    usr_cur_month: Integer | None = None


class CountersV1(Struct, frozen=True, kw_only=True):
    """The counters of the account's dashboard. Published when one of them changes."""

    record_id: Annotated[str, Meta(description="`seemetrix/<user>/counters`: equal for all revisions of the record.")]
    revision: Revision
    user_id: UserId
    seen_at: Annotated[Timestamp, Meta(description="Time of the request, in UTC.")]
    device_count: Annotated[int | None, Meta(description="Registered devices.")]
    online_device_count: Annotated[int | None, Meta(description="Online devices.")]
    movie_count: Annotated[int | None, Meta(description="Registered movies.")]
    visits_hour: Annotated[int | None, Meta(description="Visits in the current hour.")]
    visits_day: Annotated[int | None, Meta(description="Visits in the current day.")]
    visits_month: Annotated[int | None, Meta(description="Visits in the current month.")]
    visits_total: Annotated[int, Meta(description="Total visits.")]
    average_visit_ms: Annotated[
        int | None,
        Meta(description="Average duration of a visit over all devices, in milliseconds. The vendor sends seconds."),
    ]


COUNTERS = EventType("seemetrix.counters.v1", "seemetrix.counters", CountersV1)
TYPES = (COUNTERS,)

_decode = RowDecoder(Counters, side=[name for name in Counters.__struct_fields__ if name != "usr_num"])


def read(body: bytes, seen_ms: int, ignored: Counter[str] | None = None) -> Record[Counters]:
    """Decode the response to a request at `seen_ms`, Unix time in milliseconds.

    Counts counters that cannot be understood in `ignored`, except for the total. Raises msgspec.DecodeError.
    """
    try:
        counters = _decode(body.removeprefix(BYTE_ORDER_MARK), ignored)
    except MalformedRow as error:
        raise msgspec.DecodeError(str(error)) from error
    return Record(
        key=_KEY,
        fingerprint=numbers_fingerprint(structs.astuple(counters)),
        start_ms=seen_ms,
        end_ms=seen_ms,
        vendor_local_s=seen_ms // 1000,
        payload=counters,
    )


def former(record: Record[Counters]) -> Record[Counters]:
    """The record with the fingerprint of version 1."""
    return structs.replace(record, fingerprint=msgspec.msgpack.encode(record.payload))


def gauges(counters: Counters) -> dict[str, float]:
    """The counters that the vendor sends, by the value of the metric's label `counter`."""
    named = {name: getattr(counters, field) for name, field in _WIRE_FIELDS.items()}
    return {name: float(value) for name, value in named.items() if value is not None}


def explode(record: Record[Counters], digest: str, revision: int, user: int) -> Iterator[Event]:
    """Yield the event of the counters."""
    key, seen_at = f"user/{user}", format_ms(record.start_ms)
    counters = record.payload
    data = CountersV1(
        record_id=f"seemetrix/{user}/counters",
        revision=revision,
        user_id=user,
        seen_at=seen_at,
        device_count=counters.dev_num,
        online_device_count=counters.online_device_num,
        movie_count=counters.movies_num,
        visits_hour=counters.usr_cur_hour,
        visits_day=counters.usr_cur_day,
        visits_month=counters.usr_cur_month,
        visits_total=counters.usr_num,
        average_visit_ms=None if counters.avg_duration is None else round(counters.avg_duration * 1000),
    )
    yield Event(COUNTERS, f"{digest}/counters/0", key, seen_at, key, data)
