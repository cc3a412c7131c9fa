"""Views as a tree, with the levels that the configuration names: the response, and a record for each node.

Source: the vendor's document, "Unified device statistics request". A node without views has no children, and the vendor
omits groups without data: a missing node is not a measured zero. Nodes at and below ages, genders and emotions have no
opportunities to see (OTS).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Generic, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, structs

from collector.errors import Split
from collector.instants import format_ms, to_ms
from collector.model import Record, Reject, Window
from collector.steps import Steps
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder
from collector.vendors.raw_rows import MAX_ROWS, MAX_ROWS_OF_PERIOD, NO_ROWS, Form, RawRows, as_list, check_rows
from collector.vendors.seemetrix.wire import Integer
from collector.vendors.vocabulary import GroupLevel

LevelName = Literal["devices", "movies", "dates", "ages", "genders", "emotions"]
"""A level in a request."""
DateFormat = Literal["YYYY-MM-DD HH", "YYYY-MM-DD", "YYYY-MM", "YYYY", "MM", "DD", "HH"]
R = TypeVar("R")
"""What represents rows: `Raw` while the response is decoded, then `RawRows`."""

LEVEL_OF: Mapping[str, GroupLevel] = {
    "devices": "device",
    "movies": "movie",
    "dates": "date",
    "ages": "age",
    "genders": "gender",
    "emotions": "emotion",
}
"""The type of the nodes of each level, which is their field `t`."""
PAGED = frozenset({"devices", "movies"})
"""First levels whose nodes the vendor sends in pages."""

FIELDS_VERSION = 3
"""The version of the lists of fields in keys and fingerprints."""

UTC_NAME = "UTC"
"""The time zone of requests without another one."""
_NULL = Raw(b"null")
MAX_NAME = 1000
"""The most characters of a node's name, which is in the key and the subject of all nodes below it."""
MAX_PATHS = 8_000_000
"""The most characters of the names in the paths of all nodes: a hundred for each, if there are as many as possible."""
Number = Integer | Annotated[float, Meta(ge=-(2**63), lt=2**63)]
"""Rounded, it is an integer of 64 bits."""

# The vendor's names of groups that differ from the events' vocabulary.
_VOCABULARY: Mapping[str, Mapping[str, str]] = {
    "age": {"kid": "child", "young": "young_adult", "adult": "adult", "old": "senior", "undefined": "unknown"},
    "gender": {"undefined": "unknown"},
    "emotion": {"surprise": "surprised", "undefined": "unknown"},
}


class Node(Struct, frozen=True):
    """A node and its subtree.

    `n` is its name, `t` its type, `v` its number of views and `vd` their duration in milliseconds; `ots` and `otsd` are
    the same of OTS. `o` contains its children: a list, or an object by name, depending on the argument `to_object`.
    """

    n: str | Integer
    v: Number
    vd: Number
    t: str | None = None
    ots: Number | None = None
    otsd: Number | None = None
    o: list["Node"] | dict[str, "Node"] | None = None


class _Named(Struct, frozen=True):
    """The part of a node that names it."""

    n: str | Integer


class Root(Struct, Generic[R], frozen=True):
    """The root. Its children are not decoded yet: a malformed one must not affect the others.

    Nor are its totals, which may be absent.
    """

    o: R
    v: Raw = _NULL
    vd: Raw = _NULL
    ots: Raw = _NULL
    otsd: Raw = _NULL


class Tree(Struct, Generic[R], frozen=True):
    """A page of the response."""

    ok: Integer | bool
    data: Root[R] | None = None
    page: Integer | None = None
    pages_total: Integer | None = None


class Step(Struct, frozen=True):
    """One level of the path to a group."""

    level: Annotated[GroupLevel, Meta(description="Kind of the group.")]
    name: Annotated[
        str, Meta(description="The vendor's name of the group: an id, a date in the format `date_format`, or a word.")
    ]
    value: Annotated[
        str, Meta(description="The name in the vocabulary of events, such as `young_adult`; else equal to `name`.")
    ]


class Request(NamedTuple):
    """What decides, beside its own path, what a node is about."""

    levels: tuple[str, ...]
    """The levels of the request, from the outermost one."""
    date_format: str | None
    """The format of the level `dates`; None without that level."""
    device_id: int | None
    """The device that is selected; None for all."""
    timezone: str = UTC_NAME
    """The time zone of the period and of the level `dates`."""
    utc_offset_s: int = 0
    """Local time minus UTC in the period, in seconds, as the request states it."""

    @property
    def local_zone(self) -> str | None:
        """The time zone; None for UTC, since identities did not contain it before there were others."""
        return None if self.timezone == UTC_NAME else self.timezone


class Totals(NamedTuple):
    """The numbers of a node."""

    views: int
    views_ms: int
    ots: int | None
    ots_ms: int | None


class Group(NamedTuple):
    """A node without its subtree."""

    request: Request
    path: tuple[Step, ...]
    """Empty for the root."""
    is_leaf: bool
    """Whether the response has no nodes below it."""
    views: int
    views_ms: int
    ots: int | None
    ots_ms: int | None


_decode_tree = ResponseDecoder(Tree[Raw], Tree[RawRows], {"n", "t", "v", "vd"}.issubset)
_decode_node = RowDecoder(Node, side=("ots", "otsd"), is_tree=True)
_decode_node.parts["o"] = _decode_node
_decode_name = RowDecoder(_Named, is_tree=True)
_decode_number = msgspec.json.Decoder(Number).decode


def decode(body: bytes, max_rows: int = MAX_ROWS) -> Steps[Tree[RawRows]]:
    """Decode a page. Raises msgspec.DecodeError, also if the response reports a failure."""
    tree = yield from _decode_tree(body, max_rows)
    if tree.ok != 1:
        raise msgspec.DecodeError(f"`ok` is {msgspec.json.encode(tree.ok).decode()} instead of 1")
    if tree.data is None:
        raise msgspec.DecodeError("Object missing required field `data`")
    if tree.data.o.form is not Form.OBJECT:
        as_list(tree.data.o)
    return tree


def count(tree: Tree[RawRows]) -> int:
    """The number of nodes of the first level."""
    return 0 if tree.data is None else len(tree.data.o)


def children(tree: Tree[RawRows]) -> RawRows:
    """The nodes of the first level, not decoded yet."""
    return NO_ROWS if tree.data is None else tree.data.o


def name_of(row: bytes) -> bytes:
    """Identifies a node of the first level: its name, or the whole row if it has none."""
    try:
        return str(_decode_name(row).n).encode()
    except MalformedRow:
        return row


def totals(tree: Tree[RawRows]) -> Totals | None:
    """The totals of the root; None if it does not state its views and their duration."""
    if tree.data is None:
        return None
    views, views_ms, ots, ots_ms = (_total(each) for each in (tree.data.v, tree.data.vd, tree.data.ots, tree.data.otsd))
    return None if views is None or views_ms is None else Totals(views, views_ms, ots, ots_ms)


def _total(raw: Raw) -> int | None:
    try:
        number: float = _decode_number(raw)
    except msgspec.DecodeError:
        return None
    return round(number)


def read(
    rows: Iterable[bytes],
    period: Window,
    request: Request,
    ignored: Counter[str] | None = None,
    root: Totals | None = None,
) -> Iterator[Record[Group] | Reject | None]:
    """Yield a record for each node, parents before children and the root last.

    A malformed subtree of the first level is one reject. `root` are the totals of the root. If they are not known, the
    root is the sum of the first level, unless one of its nodes is malformed or there are none. Yields None after each
    other step. Counts side fields that cannot be understood in `ignored`. Raises Split if there are more than
    MAX_ROWS_OF_PERIOD nodes.
    """
    count = path_length = 0
    first_level: list[Group] = []
    has_rejects = False
    for row in rows:
        nodes: list[Group] = []
        try:
            for group in _walk(_decode_node(row, ignored), request, request.levels, ()):
                nodes.append(group)
                check_rows(count + len(nodes), MAX_ROWS_OF_PERIOD)
                path_length += sum(len(step.name) for step in group.path)
                if path_length > MAX_PATHS:
                    raise Split(f"the names in all paths have more than {MAX_PATHS} characters", code="too_many_rows")
                yield None
            count += len(nodes)
        except (ValueError, OverflowError) as error:
            yield _reject(row, error, period, request)
            has_rejects = True
        else:
            first_level.append(nodes[0])
            yield from (_record(group, period) for group in nodes)
    if root is None and first_level and not has_rejects:
        root = _sum(first_level)
    if root is not None:
        yield _record(Group(request, (), not first_level and not has_rejects, *root), period)


def _reject(row: bytes, error: Exception, period: Window, request: Request) -> Reject:
    device = None if request.device_id is None else str(request.device_id)
    zone = "" if request.local_zone is None else f"/{request.local_zone}"
    return Reject(row, str(error), device, f"{device}/{format_ms(to_ms(period.start))}{zone}")


def split_place(place: str) -> tuple[int | None, datetime, str] | None:
    """Device, start of the period and time zone, from the place of a reject; None if it has another form."""
    device, _, rest = place.partition("/")
    start, _, zone = rest.partition("/")
    try:
        return None if device == "None" else int(device), datetime.fromisoformat(start), zone or UTC_NAME
    except ValueError:
        return None


def _sum(groups: Sequence[Group]) -> Totals | None:
    """The totals of groups; None if they are beyond 64 bits."""
    total = Totals(
        sum(group.views for group in groups),
        sum(group.views_ms for group in groups),
        _sum_of_known([group.ots for group in groups]),
        _sum_of_known([group.ots_ms for group in groups]),
    )
    return total if all(each is None or abs(each) < 2**63 for each in total) else None


def _sum_of_known(numbers: Sequence[int | None]) -> int | None:
    """The sum; None if one of the numbers is not known."""
    known = [each for each in numbers if each is not None]
    return sum(known) if len(known) == len(numbers) else None


def _walk(node: Node, request: Request, levels: Sequence[str], parents: tuple[Step, ...]) -> Iterator[Group]:
    """Yield the node, then those below it. `levels` are the requested ones from this node down. Raises ValueError."""
    if not levels:
        raise ValueError("More levels than requested - at `$.o`")
    level = LEVEL_OF[levels[0]]
    if node.t not in (None, level):
        raise ValueError(f"Expected a {level}, got {node.t[:40]!r} - at `$.t`")
    name = str(node.n)
    if len(name) > MAX_NAME:
        raise ValueError(f"longer than {MAX_NAME} characters - at `$.n`")
    path = (*parents, Step(level, name, _VOCABULARY.get(level, {}).get(name, name)))
    children = tuple(node.o.values() if isinstance(node.o, dict) else node.o or ())
    yield Group(request, path, not children, round(node.v), round(node.vd), _rounded(node.ots), _rounded(node.otsd))
    for child in children:
        yield from _walk(child, request, levels[1:], path)


def _rounded(number: float | None) -> int | None:
    return None if number is None else round(number)


def _record(group: Group, period: Window) -> Record[Group]:
    start_ms, end_ms = to_ms(period.start), to_ms(period.end)
    return Record(
        key=_key_of(group, start_ms, end_ms),
        fingerprint=msgspec.msgpack.encode(group[2:]),
        start_ms=start_ms,
        end_ms=end_ms,
        vendor_local_s=start_ms // 1000,
        payload=group,
    )


def former(record: Record[Group]) -> Record[Group]:
    """The record with the fingerprint of version 2, which does not contain `is_leaf`. The key is the same."""
    return structs.replace(record, fingerprint=msgspec.msgpack.encode(record.payload[3:]))


def _key_of(group: Group, start_ms: int, end_ms: int) -> bytes:
    """The zone decides what a date is about, and where a period is cut: the hour 08 of two zones is two hours."""
    path, zone = [(step.level, step.name) for step in group.path], group.request.local_zone
    key = b"seemetrix.breakdown" + msgspec.msgpack.encode((group.request.device_id, start_ms, end_ms, path))
    key += msgspec.msgpack.encode(group.request[:2])
    return key if zone is None else key + msgspec.msgpack.encode(zone)
