"""Streams as the next release may have them: with other lists of fields in keys and fingerprints."""

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from collector.model import DedupMode, Event, FetchResult, Record, Reject, Window
from collector.vendors.base import Stream
from collector.vendors.quividi import wire as quividi
from collector.vendors.quividi.contents import ViewerWithContents
from collector.vendors.quividi.wire import LocatedViewer
from collector.vendors.seemetrix import wire as seemetrix

Print = Callable[[Record[Any]], bytes]
"""A record's fingerprint in the release before, made of what the record holds now."""
GONE = b"gone"


class Change(Struct, frozen=True):
    """What of a stream's lists of fields is another."""

    key: bool
    """It has one more part."""
    fingerprint: Literal["same", "more", "fewer"]


CHANGES = {
    "a part more in the key": Change(key=True, fingerprint="same"),
    "a field more": Change(key=False, fingerprint="more"),
    "a field fewer": Change(key=False, fingerprint="fewer"),
    "a part and a field more": Change(key=True, fingerprint="more"),
}


class Lists(Struct, frozen=True):
    """The lists of fields of two releases that follow each other."""

    dedup_mode: DedupMode
    change: Change
    before: Print
    part: Callable[[Record[Any]], bytes] = lambda _: b"/account"
    nth: int = 1
    """How often the lists have changed. The first byte of a LATEST key says it, so that no key is in two lists."""

    def present(self, record: Record[Any]) -> Record[Any]:
        """A record of the release before, as this one reads it."""
        key, fingerprint = record.key, record.fingerprint
        if self.change.key:
            key = bytes([self.nth]) + key[1:] if self.dedup_mode is DedupMode.LATEST else key + self.part(record)
        if self.change.fingerprint != "same" and fingerprint != GONE:
            decoded = msgspec.msgpack.decode(fingerprint)
            fields = list(decoded.values()) if isinstance(decoded, dict) else decoded
            fingerprint = msgspec.msgpack.encode(
                [*fields, "more"] if self.change.fingerprint == "more" else fields[:-1]
            )
        return structs.replace(record, key=key, fingerprint=fingerprint)

    def former(self, record: Record[Any]) -> Record[Any]:
        """The inverse."""
        key, fingerprint = record.key, record.fingerprint
        if self.change.key:
            key = self._former_thing(key) if self.dedup_mode is DedupMode.LATEST else key[: -len(self.part(record))]
        return structs.replace(
            record, key=key, fingerprint=fingerprint if self.change.fingerprint == "same" else self.before(record)
        )

    def gone(self, before: Callable[[bytes], Record[Any]]) -> Callable[[bytes], Record[Any]]:
        """The record of a thing that is gone, by its key of either release."""
        return lambda key: self.present(before(self._former_thing(key) if self.change.key else key))

    def _former_thing(self, key: bytes) -> bytes:
        return bytes([self.nth - 1]) + key[1:]


class Changed(Stream[Any]):
    """A stream of the next release."""

    def __init__(self, stream: Any, lists: Lists) -> None:  # noqa: ANN401 - any stream
        self._stream = stream
        self._lists = lists
        for name in Stream.__annotations__:
            setattr(self, name, getattr(stream, name))
        self.fields_version: int = stream.fields_version + 1
        self.former = lists.former

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the same in both releases
        return getattr(self._stream, name)

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[Any], None]:
        async for answer in self._stream.fetch(window):
            records = (row if isinstance(row, Reject) else self._lists.present(row) for row in answer.records)
            gone = None if answer.gone is None else self._lists.gone(answer.gone)
            yield structs.replace(answer, records=records, gone=gone)

    def explode(self, record: Record[Any], digest: str, number: int) -> Iterator[Event]:
        events: Iterator[Event] = self._stream.explode(record, digest, number)
        return events


def lists_of(stream: str, dedup_mode: DedupMode, change: Change) -> Lists:
    """Those of one of the vendors' streams, after it has changed. Viewers who were equal may then be two."""
    parts = {"viewers": _glasses, "viewers_apc": lambda record: _glasses(record, record.payload.viewer)}
    return Lists(dedup_mode, change, BEFORE.get(stream, _aggregate), parts.get(stream, lambda _: b"/account"))


def _glasses(record: Record[Any], seen: LocatedViewer | None = None) -> bytes:
    seen = seen or record.payload
    return b"/%d" % (seen.row.glasses or 0)


def _viewer(seen: LocatedViewer) -> bytes:
    start = seen.row.footfall_start
    return quividi._fingerprint(seen.row, None if start is None else quividi.parse_local(start, "footfall_start"))


def _viewer_apc(record: Record[ViewerWithContents]) -> bytes:
    played = [
        (str(each.content_id), each.campaign_id, each.app_id, each.dwell_ms, each.attention_ms, *each.moods_ms)
        for each in record.payload.contents
    ]
    return msgspec.msgpack.encode((_viewer(record.payload.viewer), played))


def _aggregate(record: Record[Any]) -> bytes:
    return msgspec.msgpack.encode([quividi.comparable(each) for each in record.payload.metrics])


BEFORE: dict[str, Print] = {
    "sessions": lambda record: seemetrix._fingerprint(record.payload, record.end_ms),
    "devices": lambda record: msgspec.msgpack.encode(record.payload),
    "counters": lambda record: msgspec.msgpack.encode(record.payload),
    "statistics": lambda record: msgspec.msgpack.encode(structs.astuple(record.payload.hour)[1:]),
    "breakdown": lambda record: msgspec.msgpack.encode(record.payload[2:]),
    "viewers": lambda record: _viewer(record.payload),
    "viewers_apc": _viewer_apc,
}
"""The fingerprints of version 1, made of payloads; all others are aggregates."""
