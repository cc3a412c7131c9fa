"""The records of the state topic with which an operator requests older data of a stream. Pure.

    #backfill/<prefix of the whole stream>/<start>   a request: what starts in [start, end)
    #backfilled/<prefix of the whole stream>         the intervals of all completed backfills

The keys belong to the partition of the account, not to a stream: a release that does not know them ignores them. While
a backfill runs, its checkpoint and ledger are stored as those of a stream, under the name `<stream>~<start>`.

The instants of a request and of the intervals were computed with the time zones of the source of that time, which are
stored with them: with other zones, other rows of the vendor start there. All backfills of a stream have equal zones.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from typing import Annotated, TypeVar
from urllib.parse import quote, unquote

import msgspec
from msgspec import Meta, Struct

from collector.errors import UnreadableState
from collector.instants import format_seconds, to_ms
from collector.model import Backfill, Window, backfill_name
from collector.pipeline.shards import whole_prefix, zone_named
from collector.pipeline.state_records import PREFIX_PARTS, RESERVED, damaged, decode_checkpoint, shown, too_new

REQUESTS = RESERVED + b"backfill/"
HISTORIES = RESERVED + b"backfilled/"
VERSION = 1
S = TypeVar("S")
T = TypeVar("T")
_Instant = Annotated[datetime, Meta(tz=True)]


class _StoredBackfill(Struct, frozen=True, omit_defaults=True):
    version: int
    start: _Instant
    end: _Instant
    requested_at: _Instant
    by: str
    is_cancelled: bool = False
    zones: str = ""


class _StoredHistory(Struct, frozen=True, omit_defaults=True):
    version: int
    intervals: list[tuple[_Instant, _Instant]]
    zones: str = ""


class _Version(Struct, frozen=True):
    version: int


def backfill_key(prefix: str, start: datetime) -> bytes:
    """The key of a request, given the prefix of the whole stream."""
    return REQUESTS + f"{prefix}/{start:%Y%m%dT%H%M%SZ}".encode()


def history_key(prefix: str) -> bytes:
    """The key of what was backfilled, given the prefix of the whole stream."""
    return HISTORIES + prefix.encode()


def encode_backfill(backfill: Backfill) -> bytes:
    """The value of the record of a request."""
    stored = _StoredBackfill(
        VERSION,
        backfill.start,
        backfill.end,
        backfill.requested_at,
        backfill.by,
        backfill.is_cancelled,
        backfill.zones,
    )
    return msgspec.json.encode(stored)


def requests_of(prefix: str, pairs: Mapping[bytes, bytes]) -> Sequence[Backfill]:
    """The requests of a stream, oldest data first, given the prefix of the whole stream and the pairs of its partition.

    Raises UnreadableState for a record that this version does not write.
    """
    keys = REQUESTS + prefix.encode() + b"/"
    found = (_decode(key, value, _StoredBackfill, _backfill) for key, value in pairs.items() if key.startswith(keys))
    return sorted(found, key=lambda each: each.start)


def backfills_by_prefix(pairs: Mapping[bytes, bytes]) -> dict[str, Backfill]:
    """All requests by the whole prefix of their state. Those that cannot be read are left out."""
    found = {}
    for key, value in pairs.items():
        path, _, _ = key.removeprefix(REQUESTS).decode("utf-8", "replace").rpartition("/")
        account_and_source, _, name = path.rpartition("/")
        if not key.startswith(REQUESTS) or path.count("/") != PREFIX_PARTS - 1:
            continue
        with suppress(UnreadableState):
            backfill = _decode(key, value, _StoredBackfill, _backfill)
            found[f"{account_and_source}/{quote(backfill_name(unquote(name), backfill.start), safe='')}"] = backfill
    return found


def history_of(prefix: str, pairs: Mapping[bytes, bytes]) -> Sequence[Window]:
    """What completed backfills of a stream have published, oldest first: disjoint intervals of the starts of records.

    Raises UnreadableState for a record that this version does not write.
    """
    key = history_key(prefix)
    return () if (value := pairs.get(key)) is None else _decode(key, value, _StoredHistory, _history)


def history_zones(prefix: str, pairs: Mapping[bytes, bytes]) -> str:
    """The time zones of the source with which completed backfills were made. Raises as `history_of`.

    Empty if there are none, and in the records of releases that did not store them.
    """
    key = history_key(prefix)
    return "" if (value := pairs.get(key)) is None else _decode(key, value, _StoredHistory, lambda each: each.zones)


def encode_history(intervals: Sequence[Window], added: Window, zones: str = "") -> bytes:
    """The value of the record of what was backfilled with these time zones, with one more interval."""
    merged: list[tuple[datetime, datetime]] = []
    for each in sorted([*intervals, added], key=lambda window: window.start):
        if merged and each.start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], each.end)
        else:
            merged.append((each.start, each.end))
    return msgspec.json.encode(_StoredHistory(VERSION, merged, zones))


def next_published(start: datetime, since: datetime, history: Sequence[Window]) -> datetime:
    """Where published data starts after `start`: that of a completed backfill, or of the stream, given its `since`."""
    return min([since, *(each.start for each in history if each.start > start)])


def starts_of(prefix: str, states: Mapping[str, Mapping[str, bytes]]) -> Sequence[datetime]:
    """Where the shards of a stream start, given its prefix and the states as `by_stream` returns them.

    Raises UnreadableState for a checkpoint that this version does not write.
    """
    own = (each for each in states if whole_prefix(each) == prefix and "" in states[each])
    return [decode_checkpoint(each, states[each][""]).since for each in own]


def neighbour_start(end: datetime, starts: Sequence[datetime], history: Sequence[Window]) -> datetime | None:
    """From where all shards of the stream, or a completed backfill, fetch what a backfill with this end fetches too.

    A backfill fetches up to the allowed lateness after its end, and so did the completed one. None if neither does.
    """
    of_neighbours = [max(starts)] if starts else []
    of_neighbours += [each.start for each in history]
    return min((each for each in of_neighbours if each >= end), default=None)


def in_other_zones(prefix: str, pairs: Mapping[bytes, bytes], zones: str) -> Sequence[tuple[int, int]]:
    """Which local starts, in seconds on the vendor's clock, backfills publish that were requested with another zone.

    `zones` are the present ones of the source. If a place is moved to the west, rows that a backfill has published now
    start after `since`: the stream must leave them out. Backfills with several zones are not considered, because it is
    not known in which of them a row was. Raises as `requests_of` and `history_of`.
    """
    found = [(each.start, each.end, each.zones) for each in requests_of(prefix, pairs)]
    found += [(each.start, each.end, history_zones(prefix, pairs)) for each in history_of(prefix, pairs)]
    return [
        (_local_s(start, zone), _local_s(end, zone))
        for start, end, name in found
        if name != zones and (zone := zone_named(name)) is not None
    ]


def _local_s(instant: datetime, zone: tzinfo) -> int:
    """What clocks in the zone show at the instant, in seconds since 1970 on these clocks."""
    return to_ms(instant.astimezone(zone).replace(tzinfo=None)) // 1000


def active_of(prefix: str, pairs: Mapping[bytes, bytes]) -> Backfill | None:
    """The request of a stream that must run, if there is one. Raises as `requests_of`."""
    return next((each for each in requests_of(prefix, pairs) if not each.is_cancelled), None)


def completed(prefix: str, requested: Backfill, pairs: Mapping[bytes, bytes]) -> Mapping[bytes, bytes | None]:
    """The changes to the records of a stream once a backfill is complete. Raises as `history_of`."""
    history = encode_history(history_of(prefix, pairs), Window(requested.start, requested.end), requested.zones)
    return {backfill_key(prefix, requested.start): None, history_key(prefix): history}


def described(backfill: Backfill) -> str:
    """The interval of a backfill, as part of a sentence."""
    return f"from {format_seconds(backfill.start)} to {format_seconds(backfill.end)}"


def _backfill(stored: _StoredBackfill) -> Backfill:
    start, end, requested_at = (each.astimezone(UTC) for each in (stored.start, stored.end, stored.requested_at))
    if start >= end:
        raise ValueError("it ends before it starts")
    return Backfill(start, end, requested_at, stored.by, stored.is_cancelled, stored.zones)


def _history(stored: _StoredHistory) -> Sequence[Window]:
    intervals = (Window(start.astimezone(UTC), end.astimezone(UTC)) for start, end in stored.intervals)
    return sorted(intervals, key=lambda each: each.start)


def _decode(key: bytes, value: bytes, kind: type[S], convert: Callable[[S], T]) -> T:
    name = shown(key.decode("utf-8", "backslashreplace"))
    try:
        version = msgspec.json.decode(value, type=_Version).version
        if version > VERSION:
            raise too_new(name, f"version {version}")
        return convert(msgspec.json.decode(value, type=kind))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise damaged(name, "", str(error)) from error
