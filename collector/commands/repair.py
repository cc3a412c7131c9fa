"""The state of a stream without its damaged records, for `collector state rewind`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from collector.errors import UnreadableState
from collector.instants import floor_second
from collector.model import Checkpoint
from collector.pipeline.plan import first_checkpoint
from collector.pipeline.state import State, StateFormat, by_stream, load, stream_prefix
from collector.pipeline.state_records import shown, split_key
from collector.vendors.base import Stream


class Readable(Struct, frozen=True):
    """What can be read of a stream's state."""

    state: State
    """Without a checkpoint if that is missing or damaged."""
    damaged: tuple[bytes, ...] = ()
    """The keys of the records that no version of the collector writes."""

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
    whole = by_stream(pairs).get(prefix, {})
    try:
        return Readable(load(prefix, state_format, whole))
    except UnreadableState as error:
        if error.code != "state_damaged":
            raise
    damaged = {rest for rest, value in whole.items() if _is_damaged(prefix, state_format, rest, value)}
    remaining = {rest: value for rest, value in whole.items() if rest not in damaged}
    keys = tuple(key for key in pairs if (parts := split_key(key)) and parts[0] == prefix and parts[1] in damaged)
    return Readable(load(prefix, state_format, remaining), keys)


def replacement(stream: Stream[Any], to: datetime, since: datetime | None) -> Checkpoint:
    """The checkpoint of a stream that has lost its own: it continues from `to`, or the start of the period with `to`.

    `since` is the configured one: the stream can be rewound to there later.
    """
    checkpoint = first_checkpoint(stream.policy.alignment.floor(to), stream.policy, stream.selection, str(stream.zone))
    if since is None or floor_second(since) >= checkpoint.since:
        return checkpoint
    return structs.replace(checkpoint, since=floor_second(since))


def _is_damaged(prefix: str, state_format: StateFormat, rest: str, value: bytes) -> bool:
    try:
        load(prefix, state_format, {rest: value})
    except UnreadableState as error:
        return error.code == "state_damaged"
    return False
