"""The state of a stream without its damaged records, for `collector state rewind`."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from collector.errors import UnreadableState
from collector.instants import floor_second
from collector.model import Checkpoint
from collector.pipeline.plan import first_checkpoint
from collector.pipeline.shards import whole_prefix
from collector.pipeline.state import State, StateFormat, by_stream, load, stream_prefix
from collector.pipeline.state_records import decode_checkpoint, shown, split_key
from collector.vendors.base import Stream


class Readable(Struct, frozen=True):
    """What can be read of a stream's state."""

    state: State
    """Without a checkpoint if that is missing or damaged."""
    damaged: tuple[bytes, ...] = ()
    """The keys of the records that no version of the collector writes."""
    joined: int = 0
    """The highest `Checkpoint.joined` of the other shards of the stream."""

    @property
    def names(self) -> tuple[str, ...]:
        """The keys of the damaged records, as text."""
        return tuple(shown(key.decode("utf-8", "backslashreplace")) for key in self.damaged)


def readable(stream: Stream[Any], pairs: Mapping[bytes, bytes]) -> Readable:
    """The state of a stream as far as it can be read. `pairs` are those of its partition.

    Raises UnreadableState for records of another version of the collector: that version can read them.
    """
    prefix = stream_prefix(stream.account, stream.source, stream.name)
    state_format = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
    streams = by_stream(pairs)
    whole, joined = streams.get(prefix, {}), _joined(prefix, streams)
    try:
        return Readable(load(prefix, state_format, whole), (), joined)
    except UnreadableState as error:
        if error.code != "state_damaged":
            raise
    damaged = {rest for rest, value in whole.items() if _is_damaged(prefix, state_format, rest, value)}
    remaining = {rest: value for rest, value in whole.items() if rest not in damaged}
    keys = tuple(key for key in pairs if (parts := split_key(key)) and parts[0] == prefix and parts[1] in damaged)
    return Readable(load(prefix, state_format, remaining), keys, joined)


def _joined(prefix: str, streams: Mapping[str, Mapping[str, bytes]]) -> int:
    found = 0
    for each, pairs in streams.items():
        if each != prefix and whole_prefix(each) == whole_prefix(prefix) and "" in pairs:
            with suppress(UnreadableState):
                found = max(found, decode_checkpoint(each, pairs[""]).joined)
    return found


def replacement(stream: Stream[Any], to: datetime, since: datetime | None, joined: int = 0) -> Checkpoint:
    """The checkpoint of a stream that has lost its own: it continues from `to`, or the start of the period with `to`.

    `since` is the configured one: the stream can be rewound to there later. `joined` is that of the other shards.
    """
    checkpoint = first_checkpoint(stream.policy.alignment.floor(to), stream.policy, stream.selection)
    checkpoint = structs.replace(checkpoint, joined=joined)
    if since is None or floor_second(since) >= checkpoint.since:
        return checkpoint
    return structs.replace(checkpoint, since=floor_second(since))


def _is_damaged(prefix: str, state_format: StateFormat, rest: str, value: bytes) -> bool:
    try:
        load(prefix, state_format, {rest: value})
    except UnreadableState as error:
        return error.code == "state_damaged"
    return False
