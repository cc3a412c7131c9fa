"""Views per hour: the response and the event of each hour.

Source: the vendor's document, "Device statistics". Requests always have year, month, day and hour: alone, `day` would
mean the weekday, and `hour` the hour of the day. The vendor omits hours without data. Such an hour has no event, since
a missing row is not a measured zero.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Raw, Struct, structs

from collector.alignment import Periods
from collector.instants import format_ms, to_ms
from collector.model import Event, EventType, Record, Reject, Window
from collector.plurals import counted
from collector.steps import Steps
from collector.vendors.event_fields import (
    EstimatedAgeGroup,
    EstimatedGender,
    PeriodEnd,
    PeriodStart,
    Revision,
    UserId,
)
from collector.vendors.leniency import ResponseDecoder, RowDecoder, fraction, numbers_fingerprint
from collector.vendors.raw_rows import MAX_ROWS, RawRows, as_list
from collector.vendors.seemetrix.wire import Integer
from collector.vendors.vocabulary import AgeGroup, Gender

R = TypeVar("R")
"""What represents rows: `Raw` while the response is decoded, then `RawRows`."""

HOUR = timedelta(hours=1)
HOURS = Periods(ZoneInfo("UTC"), datetime(1970, 1, 1), HOUR)  # noqa: DTZ001 - local, of UTC
GROUPING = {"year": "1", "month": "1", "day": "1", "hour": "1"}
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "sex": ("fl", "ml", "us"),
    "age": ("k", "m", "m2", "o", "u"),
    "movies": ("v", "va"),
    "intervals": ("ia",),
}
"""The fields that each optional argument adds. `sex` and `age` together also add the fields of both combined."""
FIELDS_VERSION = 2
"""The version of the lists of fields: the key is extras, device and hour, the fingerprint all counts of `Hour`."""

Number = Integer | float

_key = struct.Struct(">qq")
_EVERY_DEVICE = -1


class HourOfYear(Struct, frozen=True):
    """Year, month, day and hour."""

    y: Annotated[int, Meta(ge=1, le=9999)]
    m: Annotated[int, Meta(ge=1, le=12)]
    d: Annotated[int, Meta(ge=1, le=31)]
    h: Annotated[int, Meta(ge=0, le=23)]


class Hour(Struct, frozen=True):
    """A row: the views of an hour.

    `t` counts all views; `fl`, `ml` and `us` those by gender (female, male, unknown); `k`, `m`, `m2`, `o` and `u` those
    by age group (child, young adult, adult, senior, unknown). Fields such as `fm2` combine both: female adults.
    """

    i: HourOfYear
    t: Integer
    fl: Integer | None = None
    ml: Integer | None = None
    us: Integer | None = None
    k: Integer | None = None
    m: Integer | None = None
    m2: Integer | None = None
    o: Integer | None = None
    u: Integer | None = None
    v: Number | None = None
    va: Number | None = None
    ia: Number | None = None
    fk: Integer | None = None
    fm: Integer | None = None
    fm2: Integer | None = None
    fo: Integer | None = None
    fu: Integer | None = None
    mk: Integer | None = None
    mm: Integer | None = None
    mm2: Integer | None = None
    mo: Integer | None = None
    mu: Integer | None = None
    uk: Integer | None = None
    um: Integer | None = None
    um2: Integer | None = None
    uo: Integer | None = None
    uu: Integer | None = None


class Statistics(Struct, Generic[R], frozen=True):
    """The response of `/statistics/user/<id>/` and `/statistics/device/<id>/`."""

    objects: R
    total: Integer | None = None


class DeviceHour(NamedTuple):
    """The views of an hour, of one device or of all."""

    device_id: int | None
    hour: Hour
    extras: tuple[str, ...]
    """The optional arguments of the request, which decide what the row contains."""


class DemographicsV1(Struct, frozen=True, kw_only=True):
    """The views of one gender and one age group."""

    gender: EstimatedGender
    age_group: EstimatedAgeGroup
    views: Annotated[int, Meta(description="Number of views.")]


_Views = Annotated[int | None, Meta(description="Number of views; null if not requested, or if the vendor sends none.")]


class StatisticsV1(Struct, frozen=True, kw_only=True):
    """The views of one hour, of one device or of all devices. Published after the hour, and when they change later."""

    record_id: Annotated[
        str,
        Meta(
            description="`seemetrix/<user>/statistics/<device>/<extras>/<hour>`: equal for all revisions of the "
            "record. Device: `all`, or its number. Extras: `views`, then the extras of the source, for example "
            "`views+age+sex`."
        ),
    ]
    revision: Revision
    user_id: UserId
    device_id: Annotated[
        int | None, Meta(description="The vendor's number of the device; null for all devices of the user.")
    ]
    period_start: PeriodStart
    period_end: PeriodEnd
    resolution: Annotated[str, Meta(description="Length of the period: `1h`.")]
    views: Annotated[int, Meta(description="Number of all views.")]
    female: _Views
    male: _Views
    gender_unknown: _Views
    child: _Views
    young_adult: _Views
    adult: _Views
    senior: _Views
    age_unknown: _Views
    demographics: Annotated[
        Sequence[DemographicsV1] | None,
        Meta(description="Views by gender and age group; null if not requested, or if the vendor sends none."),
    ]
    movie_views: Annotated[float | None, Meta(description="Views of movies, the vendor's field `v`.")]
    movie_views_average: Annotated[
        float | None, Meta(description="The vendor's field `va`, unchanged. Its document does not explain it.")
    ]
    interval_average: Annotated[
        float | None,
        Meta(
            description="The vendor's field `ia` about durations of views, unchanged. Its document does not explain it."
        ),
    ]


STATISTICS = EventType("seemetrix.statistics.v1", "seemetrix.statistics", StatisticsV1)
TYPES = (STATISTICS,)

_GENDERS: Mapping[str, Gender] = {"f": "female", "m": "male", "u": "unknown"}
_AGE_GROUPS: Mapping[str, AgeGroup] = {"k": "child", "m": "young_adult", "m2": "adult", "o": "senior", "u": "unknown"}

_decode_statistics = ResponseDecoder(Statistics[Raw], Statistics[RawRows], {"i", "t"}.issubset)
_decode_hour = RowDecoder(Hour, side=[name for name in Hour.__struct_fields__ if name not in ("i", "t")])


def decode(body: bytes, max_rows: int = MAX_ROWS) -> Steps[Statistics[RawRows]]:
    """Decode the response; its rows are not decoded yet.

    Raises msgspec.DecodeError, also if the response has fewer rows than its total states.
    """
    statistics = yield from _decode_statistics(body, max_rows)
    as_list(statistics.objects)
    if statistics.total is not None and statistics.total > len(statistics.objects):
        raise msgspec.DecodeError(
            f"`total` is {statistics.total}, but the response has {counted(len(statistics.objects), 'object')}"
        )
    return statistics


def count(statistics: Statistics[RawRows]) -> int:
    """The number of rows."""
    return len(statistics.objects)


def read(
    statistics: Statistics[RawRows],
    window: Window,
    device_id: int | None,
    extras: tuple[str, ...],
    ignored: Counter[str] | None = None,
) -> Iterator[Record[DeviceHour] | Reject | None]:
    """Decode the hours that start in the window. Yield None for other hours: the window covers them only in part.

    `device_id` and `extras` are those of the request. Counts side fields that cannot be understood in `ignored`.
    """
    for row in statistics.objects:
        decoded = _read(row, device_id, extras, ignored)
        is_selected = isinstance(decoded, Reject) or to_ms(window.start) <= decoded.start_ms < to_ms(window.end)
        yield decoded if is_selected else None


def _read(
    row: bytes, device_id: int | None, extras: tuple[str, ...], ignored: Counter[str] | None
) -> Record[DeviceHour] | Reject:
    try:
        hour = _decode_hour(row, ignored)
        start = datetime(hour.i.y, hour.i.m, hour.i.d, hour.i.h, tzinfo=UTC)
    except ValueError as error:
        device = None if device_id is None else str(device_id)
        return Reject(row, str(error), device, place=device or "")
    start_ms = to_ms(start)
    return Record(
        key=_key_of(device_id, start_ms) + "+".join(extras).encode(),
        fingerprint=numbers_fingerprint(structs.astuple(hour)[1:]),
        start_ms=start_ms,
        end_ms=start_ms + HOUR // timedelta(milliseconds=1),
        vendor_local_s=start_ms // 1000,
        payload=DeviceHour(device_id, hour, extras),
    )


def former(record: Record[DeviceHour]) -> Record[DeviceHour]:
    """The record with the key and the fingerprint of version 1."""
    fingerprint = msgspec.msgpack.encode(structs.astuple(record.payload.hour)[1:])
    return structs.replace(record, key=_key_of(record.payload.device_id, record.start_ms), fingerprint=fingerprint)


def _key_of(device_id: int | None, start_ms: int) -> bytes:
    return b"seemetrix.statistics" + _key.pack(_EVERY_DEVICE if device_id is None else device_id, start_ms)


def explode(record: Record[DeviceHour], digest: str, revision: int, user: int) -> Iterator[Event]:
    """Yield the hour's event."""
    device_id, hour, extras = record.payload
    start, place = format_ms(record.start_ms), "all" if device_id is None else str(device_id)
    data = StatisticsV1(
        record_id=f"seemetrix/{user}/statistics/{place}/{'+'.join(('views', *extras))}/{start}",
        revision=revision,
        user_id=user,
        device_id=device_id,
        period_start=start,
        period_end=format_ms(record.end_ms),
        resolution="1h",
        views=hour.t,
        female=hour.fl,
        male=hour.ml,
        gender_unknown=hour.us,
        child=hour.k,
        young_adult=hour.m,
        adult=hour.m2,
        senior=hour.o,
        age_unknown=hour.u,
        demographics=_demographics(hour),
        movie_views=fraction(hour.v),
        movie_views_average=fraction(hour.va),
        interval_average=fraction(hour.ia),
    )
    key, owner = (f"user/{user}",) * 2 if device_id is None else (place, f"device/{place}")
    yield Event(STATISTICS, f"{digest}/statistics/0", f"{owner}/statistics/{start}", start, key, data)


def _demographics(hour: Hour) -> Sequence[DemographicsV1] | None:
    """The views by gender and age group; None if the response does not contain them."""
    groups = [
        DemographicsV1(gender=gender, age_group=age_group, views=views)
        for letter, gender in _GENDERS.items()
        for letters, age_group in _AGE_GROUPS.items()
        if (views := getattr(hour, letter + letters)) is not None
    ]
    return groups or None
