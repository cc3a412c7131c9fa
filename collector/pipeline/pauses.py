"""The records of the state topic with which an operator pauses a source or a stream. Pure.

    #pause/<vendor>/<user>/<source>            a source: all of its streams, also those that are added later
    #pause/<vendor>/<user>/<source>/<stream>   one stream, with all of its shards

The keys belong to the partition of the account, not to a stream: a release that does not know them ignores them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from collector.model import Pause
from collector.pipeline.state_records import PREFIX_PARTS, RESERVED

PAUSES = RESERVED + b"pause/"
"""The start of the keys."""
VERSION = 1
UNREADABLE = Pause("the record of the pause cannot be read: `collector resume`")
"""What counts if a record is damaged, or was written by a newer version: a pause without end, never none."""


class _StoredPause(Struct, frozen=True):
    version: int
    reason: str
    since: datetime
    by: str
    until: datetime | None = None


def pause_key(prefix: str) -> bytes:
    """The key of the pause of a stream, by the prefix of its whole stream, or of a source, by the first three parts."""
    return PAUSES + prefix.encode()


def source_prefix(prefix: str) -> str:
    """The part of a stream's prefix that names the source. Also the prefix of a source, unchanged."""
    return "/".join(prefix.split("/")[: PREFIX_PARTS - 1])


def encode_pause(pause: Pause) -> bytes:
    """The value of the record of a pause, which has a start."""
    if pause.since is None:
        raise AssertionError("only a pause that cannot be read has no start")
    return msgspec.json.encode(_StoredPause(VERSION, pause.reason, pause.since, pause.by or "", pause.until))


def decode_pause(value: bytes) -> Pause:
    """The pause; UNREADABLE for a value that this version does not write. Raises nothing."""
    try:
        stored = msgspec.json.decode(value, type=_StoredPause)
        since, until = _in_utc(stored.since), stored.until and _in_utc(stored.until)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return UNREADABLE
    return Pause(stored.reason, since, until, stored.by) if stored.version == VERSION else UNREADABLE


def _in_utc(instant: datetime) -> datetime:
    """The instant in UTC. Raises ValueError without a zone, and OverflowError beyond the calendar."""
    if instant.tzinfo is None:
        raise ValueError("a time has no time zone")
    return instant.astimezone(UTC)


def pauses_of(prefix: str, pairs: Mapping[bytes, bytes]) -> dict[bytes, Pause]:
    """The pauses of a stream by key, the one that ends last first: its own, and that of its source.

    `prefix` is that of the whole stream, and `pairs` are those of its partition. Pauses that are over are included.
    """
    keys = dict.fromkeys((pause_key(source_prefix(prefix)), pause_key(prefix)))
    found = [(key, decode_pause(pairs[key])) for key in keys if key in pairs]
    return dict(sorted(found, key=lambda each: each[1].ends_at, reverse=True))


def pauses_by_prefix(pairs: Mapping[bytes, bytes]) -> dict[str, Pause]:
    """All pauses by the prefix in their keys. Keys that name neither a source nor a stream are left out."""
    found = {}
    for key, value in pairs.items():
        if not key.startswith(PAUSES) or not key.isascii():
            continue
        prefix = key.removeprefix(PAUSES).decode()
        parts = prefix.split("/")
        if len(parts) in (PREFIX_PARTS - 1, PREFIX_PARTS) and all(parts):
            found[prefix] = decode_pause(value)
    return found
