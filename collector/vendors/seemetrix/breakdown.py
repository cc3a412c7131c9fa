"""Views as a tree of levels, in the order that the configuration wants: what comes, and an event for each node.

Source: the vendor's document, "Unified device statistics request". A node with no views has no children, and groups
without data are left out: what is absent is no measured zero. OTS are only said above ages, genders and emotions.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw, Struct

from collector.instants import Timestamp, format_ms, to_ms
from collector.model import Event, EventType, Record, Reject, Window
from collector.vendors.leniency import decode_answer, decode_record
from collector.vendors.seemetrix.wire import Integer

Levels = Literal["devices", "movies", "dates", "ages", "genders", "emotions"]
DateFormat = Literal["YYYY-MM-DD HH", "YYYY-MM-DD", "YYYY-MM", "YYYY", "MM", "DD", "HH"]
LEVEL_OF: Mapping[str, "Level"] = {
    "devices": "device",
    "movies": "movie",
    "dates": "date",
    "ages": "age",
    "genders": "gender",
    "emotions": "emotion",
}
"""What the vendor calls a node of each level, its `t`."""
Level = Literal["device", "movie", "date", "age", "gender", "emotion"]
CYCLIC = frozenset({"MM", "DD", "HH"})
"""Formats of dates that come again: months of the year, days of the week, hours of the day."""
PAGED = frozenset({"devices", "movies"})
"""Levels of which a root comes in pages."""

FIELDS_VERSION = 1
"""Of the lists of fields in keys and fingerprints."""

Number = Integer | float

# The vendor's words, where the events' vocabulary has others.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "age": {"kid": "child", "young": "young_adult", "adult": "adult", "old": "senior", "undefined": "unknown"},
    "gender": {"undefined": "unknown"},
    "emotion": {"surprise": "surprised", "undefined": "unknown"},
}


class Node(Struct, frozen=True):
    """A node and all below it: `o` is a list, or an object by name, as `to_object` says."""

    n: str | Integer
    v: Number
    vd: Number
    t: str | None = None
    ots: Number | None = None
    otsd: Number | None = None
    o: list["Node"] | dict[str, "Node"] | None = None


class Root(Struct, frozen=True):
    """The root, its children not decoded yet: one that is broken does not spoil the others."""

    o: list[Raw] | dict[str, Raw]


class Tree(Struct, frozen=True):
    """A page of the answer."""

    ok: Integer | bool
    data: Root | None = None
    page: Integer | None = None
    pages_total: Integer | None = None


class Step(Struct, frozen=True):
    """One level on the way to a node."""

    level: Annotated[Level, Meta(description="What kind of group it is.")]
    name: Annotated[str, Meta(description="The vendor's name of the group: an id, a date in its format, or a word.")]
    value: Annotated[str, Meta(description="The same in the events' vocabulary, where that has another word for it.")]


class Found(NamedTuple):
    """A node, without those below it."""

    device_id: int | None
    """Which device alone was asked for."""
    path: tuple[Step, ...]
    views: int
    views_ms: int
    ots: int | None
    ots_ms: int | None


class BreakdownV1(Struct, frozen=True, kw_only=True):
    """The views of one group in one period: published when the period is over, and when it changes later."""

    event_id: Annotated[str, Meta(description="`<32 hex digits of the record's id>/breakdown/0`: unique, and stable.")]
    record_id: Annotated[
        str, Meta(description="`user/<user>/<resolution>/<period_start>/<path>`: the same for every revision.")
    ]
    revision: Annotated[int, Meta(description="Counts the versions of the record, from 0; the highest counts.", ge=0)]
    source: Annotated[str, Meta(description="The source's name in the collector's configuration.")]
    user_id: Annotated[int, Meta(description="The vendor's number of the user.")]
    device_id: Annotated[
        int | None, Meta(description="The device that alone was asked for, where the source names its devices.")
    ]
    period_start: Annotated[Timestamp, Meta(description="Begin of the period, UTC; days are UTC days.")]
    period_end: Annotated[Timestamp, Meta(description="Its end, UTC, itself not in it.")]
    resolution: Annotated[str, Meta(description="How long the period is, e.g. `1d`.")]
    level: Annotated[Level, Meta(description="What kind of group this is: the level of the path's last step.")]
    path: Annotated[Sequence[Step], Meta(description="The groups, from the outermost one to this one.")]
    date_format: Annotated[
        str | None, Meta(description="How dates in the path are written; null where none are asked for.")
    ]
    cyclic: Annotated[
        bool,
        Meta(description="Whether those dates come again: months of a year, days of a week, hours of a day."),
    ]
    views: Annotated[int, Meta(description="How many views.")]
    views_ms: Annotated[int, Meta(description="Duration of all of them, in milliseconds; may stand beside 0 views.")]
    ots: Annotated[
        int | None,
        Meta(description="Opportunities to see, the viewers included; null below ages, genders and emotions."),
    ]
    ots_ms: Annotated[int | None, Meta(description="Dwell time of all of them, in milliseconds; null where `ots` is.")]


BREAKDOWN = EventType("seemetrix.breakdown.v1", "seemetrix.breakdown", BreakdownV1)
TYPES = (BREAKDOWN,)

_decode_tree = msgspec.json.Decoder(Tree).decode
_decode_node = msgspec.json.Decoder(Node).decode


def answer(body: bytes) -> Tree:
    """A page. Raises msgspec.DecodeError, also when the vendor says that it is no success."""
    told = decode_answer(body, _decode_tree)
    if told.ok != 1:
        raise msgspec.DecodeError(f"it says ok = {msgspec.json.encode(told.ok).decode()}, which is no success")
    if told.data is None:
        raise msgspec.DecodeError("Object missing required field `data`")
    return told


def children(told: Tree) -> list[bytes]:
    """The nodes of the first level, not decoded yet."""
    if told.data is None:
        return []
    nodes = told.data.o
    return [bytes(node) for node in (nodes.values() if isinstance(nodes, dict) else nodes)]


def read(
    rows: Sequence[bytes], period: Window, levels: Sequence[str], device_id: int | None
) -> Iterator[Record[Found] | Reject]:
    """A record for each node, those of one tree from the top down; a tree that is broken is one reject."""
    for row in rows:
        try:
            nodes = list(_walk(decode_record(row, _decode_node, Node), levels, device_id, ()))
        except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
            yield Reject(row, str(error), None if device_id is None else str(device_id))
        else:
            yield from (_record(found, period) for found in nodes)


def _walk(node: Node, levels: Sequence[str], device_id: int | None, above: tuple[Step, ...]) -> Iterator[Found]:
    if not levels:
        raise ValueError("Deeper than the levels that were asked for - at `$.o`")
    level = LEVEL_OF[levels[0]]
    if node.t not in (None, level):
        raise ValueError(f"Expected a {level}, got {node.t!r} - at `$.t`")
    name = str(node.n)
    path = (*above, Step(level, name, _WORDS.get(level, {}).get(name, name)))
    yield Found(device_id, path, round(node.v), round(node.vd), _rounded(node.ots), _rounded(node.otsd))
    for child in (node.o.values() if isinstance(node.o, dict) else node.o) or ():
        yield from _walk(child, levels[1:], device_id, path)


def _rounded(said: float | None) -> int | None:
    return None if said is None else round(said)


def _record(found: Found, period: Window) -> Record[Found]:
    start_ms, end_ms = to_ms(period.start), to_ms(period.end)
    place = [(step.level, step.name) for step in found.path]
    return Record(
        key=b"seemetrix.breakdown" + msgspec.msgpack.encode((found.device_id, start_ms, end_ms, place)),
        fingerprint=msgspec.msgpack.encode(found[2:]),
        start_ms=start_ms,
        end_ms=end_ms,
        vendor_local_s=start_ms // 1000,
        payload=found,
    )


class Common(NamedTuple):
    """What all nodes of a stream have in common."""

    source: str
    user_id: int
    resolution: str
    date_format: str | None


def explode(record: Record[Found], digest: str, revision: int, common: Common) -> Iterator[Event]:
    """The node's event; its key is the device that it is of, where it is of one."""
    found = record.payload
    event_id, start = f"{digest}/breakdown/0", format_ms(record.start_ms)
    way = "/".join(f"{step.level}={quote(step.name, safe=':')}" for step in found.path)
    whose = f"user/{common.user_id}" if found.device_id is None else f"device/{found.device_id}"
    device = next((step.name for step in found.path if step.level == "device"), found.device_id)
    data = BreakdownV1(
        event_id=event_id,
        record_id=f"{whose}/{common.resolution}/{start}/{way}",
        revision=revision,
        source=common.source,
        user_id=common.user_id,
        device_id=found.device_id,
        period_start=start,
        period_end=format_ms(record.end_ms),
        resolution=common.resolution,
        level=found.path[-1].level,
        path=found.path,
        date_format=common.date_format,
        cyclic=common.date_format in CYCLIC,
        views=found.views,
        views_ms=found.views_ms,
        ots=found.ots,
        ots_ms=found.ots_ms,
    )
    key = str(common.user_id if device is None else device)
    yield Event(BREAKDOWN, event_id, f"{whose}/breakdown/{common.resolution}/{start}/{way}", start, key, data)
