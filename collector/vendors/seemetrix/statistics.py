"""Visits counted by the hour: what comes, and its events.

Source: the vendor's document, "Device statistics". All four of year, month, day and hour are always asked for: a lone
`day` would mean the weekday, and a lone `hour` the hour of the day. Hours without data are left out; that they are
absent is no measured zero, and so no event.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Raw, Struct, structs

from collector.alignment import Periods
from collector.instants import Timestamp, format_ms, to_ms
from collector.model import Event, EventType, Record, Reject, Window
from collector.vendors.leniency import decode_answer, decode_record
from collector.vendors.seemetrix.wire import Integer
from collector.vendors.vocabulary import AgeGroup, Gender

HOUR = timedelta(hours=1)
HOURS = Periods(ZoneInfo("UTC"), datetime(1970, 1, 1), HOUR)  # noqa: DTZ001 - local, of UTC
ARRANGED = {"year": "1", "month": "1", "day": "1", "hour": "1"}
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "sex": ("fl", "ml", "us"),
    "age": ("k", "m", "m2", "o", "u"),
    "movies": ("v", "va"),
    "intervals": ("ia",),
}
"""The counters that each parameter adds; with both `sex` and `age`, those of both together."""
FIELDS_VERSION = 1
"""Of the lists of fields in `_key` and in the fingerprint, which is all counters."""

Number = Integer | float

_WRITTEN = "%Y/%m/%d %H:%M:%S"
_key = struct.Struct(">qq")
_EVERY_DEVICE = -1


class Unit(Struct, frozen=True):
    """Which hour."""

    y: Annotated[int, Meta(ge=1, le=9999)]
    m: Annotated[int, Meta(ge=1, le=12)]
    d: Annotated[int, Meta(ge=1, le=31)]
    h: Annotated[int, Meta(ge=0, le=23)]


class Hour(Struct, frozen=True):
    """An object of the answer: the counters of an hour."""

    i: Unit
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


class Statistics(Struct, frozen=True):
    """The answer of `/statistics/user/<id>/` and `/statistics/device/<id>/`."""

    objects: list[Raw]
    total: Integer | None = None
    min_date: str | None = None
    max_date: str | None = None


class Counted(NamedTuple):
    """The counters of an hour, of one device or of all."""

    device_id: int | None
    hour: Hour


class DemographicsV1(Struct, frozen=True, kw_only=True):
    """How many of one gender and one age group."""

    gender: Annotated[Gender, Meta(description="What the camera took the persons for.")]
    age_group: Annotated[AgeGroup, Meta(description="What the camera took the persons for.")]
    views: Annotated[int, Meta(description="How many views.")]


_Views = Annotated[int | None, Meta(description="How many views; null where it was not asked for, or not said.")]


class StatisticsV1(Struct, frozen=True, kw_only=True):
    """The views of one hour, of one device or of all: published when the hour is over, and when it changes later."""

    event_id: Annotated[str, Meta(description="`<32 hex digits of the record's id>/statistics/0`: unique, and stable.")]
    record_id: Annotated[
        str, Meta(description="`user/<user>/<hour>` or `device/<device>/<hour>`: the same for every revision.")
    ]
    revision: Annotated[int, Meta(description="Counts the versions of the record, from 0; the highest counts.", ge=0)]
    source: Annotated[str, Meta(description="The source's name in the collector's configuration.")]
    user_id: Annotated[int, Meta(description="The vendor's number of the user.")]
    device_id: Annotated[int | None, Meta(description="The vendor's number of the device; null for all of the user's.")]
    period_start: Annotated[Timestamp, Meta(description="Begin of the hour, UTC.")]
    period_end: Annotated[Timestamp, Meta(description="Its end, UTC, itself not in it.")]
    resolution: Annotated[str, Meta(description="How long the period is: `1h`.")]
    views: Annotated[int, Meta(description="How many views, of everybody.")]
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
        Meta(description="Views by gender and age group; null where they were not asked for, or not said."),
    ]
    movie_views: Annotated[int | float | None, Meta(description="The vendor's `v`: views of movies.")]
    movie_views_average: Annotated[
        int | float | None, Meta(description="The vendor's `va`, as it comes: its document does not explain it.")
    ]
    interval_average: Annotated[
        int | float | None, Meta(description="The vendor's `ia`, of view durations, as it comes: it is not explained.")
    ]


STATISTICS = EventType("seemetrix.statistics.v1", "seemetrix.statistics", StatisticsV1)
TYPES = (STATISTICS,)

_GENDERS: Mapping[str, Gender] = {"f": "female", "m": "male", "u": "unknown"}
_AGE_GROUPS: Mapping[str, AgeGroup] = {"k": "child", "m": "young_adult", "m2": "adult", "o": "senior", "u": "unknown"}

_decode_statistics = msgspec.json.Decoder(Statistics).decode
_decode_hour = msgspec.json.Decoder(Hour).decode


def answer(body: bytes) -> Statistics:
    """Raises msgspec.DecodeError, also when there are not as many objects as it says."""
    told = decode_answer(body, _decode_statistics)
    if told.total is not None and told.total != len(told.objects):
        raise msgspec.DecodeError(f"it says that it has {told.total} objects, and has {len(told.objects)}")
    return told


def read(told: Statistics, window: Window, device_id: int | None) -> Iterator[Record[Counted] | Reject]:
    """The hours of a window, each whole. What begins outside of it is a part of an hour, and is left out."""
    earliest, latest = _moment(told.min_date), _moment(told.max_date)
    for row in told.objects:
        found = _read(bytes(row), device_id, earliest, latest)
        if isinstance(found, Reject) or to_ms(window.start) <= found.start_ms < to_ms(window.end):
            yield found


def _read(
    row: bytes, device_id: int | None, earliest: datetime | None, latest: datetime | None
) -> Record[Counted] | Reject:
    try:
        hour = decode_record(row, _decode_hour, Hour)
        begin = datetime(hour.i.y, hour.i.m, hour.i.d, hour.i.h, tzinfo=UTC)
        if (earliest is not None and begin + HOUR <= earliest) or (latest is not None and begin > latest):
            raise ValueError("Outside of the answer's own min_date and max_date - at `$.i`")  # noqa: TRY301
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return Reject(row, str(error), None if device_id is None else str(device_id))
    begin_ms = to_ms(begin)
    return Record(
        key=b"seemetrix.statistics" + _key.pack(_EVERY_DEVICE if device_id is None else device_id, begin_ms),
        fingerprint=msgspec.msgpack.encode(structs.astuple(hour)[1:]),
        start_ms=begin_ms,
        end_ms=begin_ms + HOUR // timedelta(milliseconds=1),
        vendor_local_s=begin_ms // 1000,
        payload=Counted(device_id, hour),
    )


def _moment(written: str | None) -> datetime | None:
    """As statistics write times; one that cannot be read says nothing."""
    try:
        return None if written is None else datetime.strptime(written, _WRITTEN).replace(tzinfo=UTC)
    except ValueError:
        return None


def explode(record: Record[Counted], digest: str, revision: int, source: str, user: int) -> Iterator[Event]:
    """The hour's event."""
    device_id, hour = record.payload
    event_id, start = f"{digest}/statistics/0", format_ms(record.start_ms)
    whose = f"user/{user}" if device_id is None else f"device/{device_id}"
    data = StatisticsV1(
        event_id=event_id,
        record_id=f"{whose}/{start}",
        revision=revision,
        source=source,
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
        movie_views=hour.v,
        movie_views_average=hour.va,
        interval_average=hour.ia,
    )
    key = str(user if device_id is None else device_id)
    yield Event(STATISTICS, event_id, f"{whose}/statistics/{start}", start, key, data)


def _demographics(hour: Hour) -> Sequence[DemographicsV1] | None:
    found = [
        DemographicsV1(gender=gender, age_group=age_group, views=views)
        for letter, gender in _GENDERS.items()
        for letters, age_group in _AGE_GROUPS.items()
        if (views := getattr(hour, letter + letters)) is not None
    ]
    return found or None
