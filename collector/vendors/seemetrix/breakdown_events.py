"""The events of a tree of views: one for each node, and one for the root."""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple
from urllib.parse import quote

from msgspec import Meta, Struct

from collector.instants import format_local, format_ms
from collector.model import Event, EventType, Record
from collector.vendors.event_fields import PeriodEnd, PeriodStart, Revision, UserId
from collector.vendors.seemetrix.breakdown import Group, Step
from collector.vendors.vocabulary import GroupLevel

CYCLIC = frozenset({"MM", "DD", "HH"})
"""Formats of dates that recur: months of the year, days of the week, hours of the day."""
MAX_DIGITS = 18
"""The most digits of a number that is certain to fit into 64 bits."""


class BreakdownV1(Struct, frozen=True, kw_only=True):
    """The views of one group in one period. Published after the period, and when they change later."""

    record_id: Annotated[
        str,
        Meta(
            description="`seemetrix/<user>/breakdown/<device>/<levels>/<resolution>/<period_start>`, followed by "
            "`/<path>` except for the root: equal for all revisions of the record. Device: `all`, or the one that the "
            "request selects. Levels: those of the request, with the format of dates, for example `devices+dates:HH`. "
            "Resolution: with the time zone unless it is UTC, for example `1d:Europe%2FParis`."
        ),
    ]
    revision: Revision
    user_id: UserId
    device_id: Annotated[
        int | None,
        Meta(
            description="The device to which the group belongs: the one in `path`, or else the one that the request "
            "selects, if the source has `device_ids`. Null for all devices."
        ),
    ]
    period_start: PeriodStart
    period_end: PeriodEnd
    resolution: Annotated[str, Meta(description="Length of the period, for example `1d`, in `timezone`.")]
    depth: Annotated[
        int,
        Meta(
            description="Number of steps in `path`; 0 for the root. **Every depth repeats the same views: add up rows "
            "of one `depth` only.**",
            ge=0,
        ),
    ]
    is_leaf: Annotated[
        bool,
        Meta(description="Whether there are no groups below this one: it has no views, or is of the last level."),
    ]
    level: Annotated[
        GroupLevel | None,
        Meta(description="Kind of the group: the level of the last step of `path`; null for the root."),
    ]
    path: Annotated[
        Sequence[Step], Meta(description="The groups from the outermost one to this one; empty for the root.")
    ]
    path_device: Annotated[
        str | None, Meta(description="Number of the device in `path`, as text; null if there is none.")
    ]
    path_movie: Annotated[
        str | None, Meta(description="Number of the movie in `path`, as text; null if there is none.")
    ]
    path_date: Annotated[
        str | None, Meta(description="The date in `path`, in the format `date_format`; null if there is none.")
    ]
    path_gender: Annotated[str | None, Meta(description="The gender in `path`; null if there is none.")]
    path_age: Annotated[str | None, Meta(description="The age group in `path`; null if there is none.")]
    path_emotion: Annotated[str | None, Meta(description="The emotion in `path`; null if there is none.")]
    date_format: Annotated[str | None, Meta(description="Format of dates in `path`; null without the level `dates`.")]
    cyclic: Annotated[
        bool,
        Meta(description="Whether the dates recur: months of a year, days of a week, hours of a day."),
    ]
    views: Annotated[int, Meta(description="Number of views.")]
    views_ms: Annotated[
        int, Meta(description="Total duration of the views, in milliseconds. May be above 0 with 0 views.")
    ]
    ots: Annotated[
        int | None,
        Meta(description="Opportunities to see, including the viewers; null at and below ages, genders and emotions."),
    ]
    ots_ms: Annotated[
        int | None, Meta(description="Total dwell time of the OTS, in milliseconds; null where `ots` is null.")
    ]
    timezone: Annotated[
        str | None,
        Meta(
            description="Time zone of the period and of `path_date`, a name of the IANA database. Null if an earlier "
            "version, which had UTC only, wrote the event."
        ),
    ] = None
    utc_offset_s: Annotated[
        int | None,
        Meta(
            description="Local time minus UTC in seconds, the same in all of the period: a period in which it changes "
            "is published as two. Null where `timezone` is null."
        ),
    ] = None
    period_start_local: Annotated[
        str | None,
        Meta(
            description="Start of the period in `timezone`: `2018-01-29T02:00:00`, without a zone. Null where "
            "`timezone` is null."
        ),
    ] = None


BREAKDOWN = EventType("seemetrix.breakdown.v1", "seemetrix.breakdown", BreakdownV1)
TYPES = (BREAKDOWN,)


class SharedFields(NamedTuple):
    """The fields that are equal in all events of a stream."""

    user_id: int
    resolution: str


def explode(record: Record[Group], digest: str, revision: int, common: SharedFields) -> Iterator[Event]:
    """Yield the node's event. Its Kafka key is the device's number if the node belongs to one, else the user's."""
    group = record.payload
    selected, date_format = group.request.device_id, group.request.date_format
    start, found = format_ms(record.start_ms), {step.level: step.value for step in group.path}
    path = "".join(f"/{step.level}={quote(step.name, safe=':')}" for step in group.path)
    levels = "+".join(
        f"dates:{quote(date_format)}" if date_format and each == "dates" else each for each in group.request.levels
    )
    user, place = f"user/{common.user_id}", "all" if selected is None else str(selected)
    device = _identifier(found.get("device", place))
    zone, offset_s = group.request.local_zone, group.request.utc_offset_s
    length = common.resolution if zone is None else f"{common.resolution}:{quote(zone, safe='')}"
    data = BreakdownV1(
        record_id=f"seemetrix/{common.user_id}/breakdown/{place}/{levels}/{length}/{start}{path}",
        revision=revision,
        user_id=common.user_id,
        device_id=device,
        period_start=start,
        period_end=format_ms(record.end_ms),
        resolution=common.resolution,
        depth=len(group.path),
        is_leaf=group.is_leaf,
        level=group.path[-1].level if group.path else None,
        path=group.path,
        path_device=found.get("device"),
        path_movie=found.get("movie"),
        path_date=found.get("date"),
        path_gender=found.get("gender"),
        path_age=found.get("age"),
        path_emotion=found.get("emotion"),
        date_format=date_format,
        cyclic=date_format in CYCLIC,
        views=group.views,
        views_ms=group.views_ms,
        ots=group.ots,
        ots_ms=group.ots_ms,
        timezone=group.request.timezone,
        utc_offset_s=offset_s,
        period_start_local=format_local(record.start_ms + offset_s * 1000),
    )
    owner = user if selected is None else f"device/{selected}"
    key = user if device is None else str(device)
    subject = f"{owner}/breakdown/{length}/{start}{path}"
    yield Event(BREAKDOWN, f"{digest}/breakdown/0", subject, start, key, data)


def _identifier(name: str) -> int | None:
    """The number of a device, from its name in the tree; None if it is not a number."""
    return int(name) if name.isascii() and name.isdecimal() and len(name) <= MAX_DIGITS else None
