"""Streams as a next release may have them: with changed field lists of keys and fingerprints."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from collector.model import DedupMode, Event, FetchResult, Record, Window
from collector.vendors.base import Stream
from collector.vendors.leniency import comparable
from collector.vendors.quividi import alerts, monitoring
from collector.vendors.quividi.aggregate_records import WITHDRAWN
from collector.vendors.quividi.contents import ViewerWithContents
from collector.vendors.quividi.finest import Located
from collector.vendors.quividi.topology.listing import Thing, fingerprint
from collector.vendors.quividi.topology.listings import LISTINGS
from collector.vendors.quividi.viewers import LocatedViewer
from collector.vendors.seemetrix import wire as seemetrix

Fingerprint = Callable[[Record[Any]], bytes]
"""Computes the fingerprint that the previous release gave a record, from its payload."""
GONE = b"gone"


class FieldChange(Struct, frozen=True):
    """How the field lists of a stream change."""

    key: bool
    """Whether the key gets one more part."""
    fingerprint: Literal["same", "more", "fewer"]


FIELD_CHANGES = {
    "longer key": FieldChange(key=True, fingerprint="same"),
    "more fields": FieldChange(key=False, fingerprint="more"),
    "fewer fields": FieldChange(key=False, fingerprint="fewer"),
    "longer key and more fields": FieldChange(key=True, fingerprint="more"),
}


class FieldLists(Struct, frozen=True):
    """The field lists of two successive releases."""

    dedup_mode: DedupMode
    change: FieldChange
    previous_fingerprint: Fingerprint
    key_part: Callable[[Record[Any]], bytes] = lambda _: b"/account"
    """The part by which the next release extends the key, unless the stream is LATEST."""
    nth: int = 1
    """How often the field lists have changed: the first byte of a LATEST key, so that keys of two releases differ."""

    def upgraded(self, record: Record[Any]) -> Record[Any]:
        """Return a record of the previous release as the next release reads it."""
        key, fingerprint = record.key, record.fingerprint
        if self.change.key:
            key = bytes([self.nth]) + key[1:] if self.dedup_mode is DedupMode.LATEST else key + self.key_part(record)
        if self.change.fingerprint != "same" and fingerprint != GONE:
            decoded = msgspec.msgpack.decode(fingerprint)
            fields = list(decoded.values()) if isinstance(decoded, dict) else decoded
            fingerprint = msgspec.msgpack.encode(
                [*fields, "more"] if self.change.fingerprint == "more" else fields[:-1]
            )
        return structs.replace(record, key=key, fingerprint=fingerprint)

    def former(self, record: Record[Any]) -> Record[Any]:
        """Return a record of the next release as the previous one read it: the inverse of `upgraded`."""
        key, fingerprint = record.key, record.fingerprint
        if self.change.key:
            key = self._former_key(key) if self.dedup_mode is DedupMode.LATEST else key[: -len(self.key_part(record))]
        return structs.replace(
            record,
            key=key,
            fingerprint=fingerprint if self.change.fingerprint == "same" else self.previous_fingerprint(record),
        )

    def gone(self, before: Callable[[bytes], Record[Any]]) -> Callable[[bytes], Record[Any]]:
        """Return the next release's function for records of things that are gone, given that of the previous one."""
        return lambda key: self.upgraded(before(self._former_key(key) if self.change.key else key))

    def _former_key(self, key: bytes) -> bytes:
        return bytes([self.nth - 1]) + key[1:]


class UpgradedStream(Stream[Any]):
    """A stream of the next release, made from one of this release."""

    def __init__(self, stream: Any, lists: FieldLists) -> None:  # noqa: ANN401 - any stream
        self._stream = stream
        self._lists = lists
        for name in Stream.__annotations__:
            setattr(self, name, getattr(stream, name))
        self.fields_version: int = stream.fields_version + 1
        self.former = lists.former

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the same in both releases
        return getattr(self._stream, name)

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[Any], None]:
        async for result in self._stream.fetch(window):
            records = (self._lists.upgraded(row) if isinstance(row, Record) else row for row in result.records)
            gone = None if result.gone is None else self._lists.gone(result.gone)
            yield structs.replace(result, records=records, gone=gone)

    def explode(self, record: Record[Any], digest: str, number: int) -> Iterator[Event]:
        events: Iterator[Event] = self._stream.explode(record, digest, number)
        return events


def field_lists(stream: str, dedup_mode: DedupMode, change: FieldChange) -> FieldLists:
    """Return the field lists of a stream, `<vendor>.<stream>`, before and after a change.

    A longer key of viewers includes `glasses`, so rows that the previous release treats as equal may differ.
    """
    parts = {"quividi.viewers": _glasses, "quividi.viewers_apc": lambda record: _glasses(record, record.payload.viewer)}
    return FieldLists(dedup_mode, change, PREVIOUS_FINGERPRINTS[stream], parts.get(stream, lambda _: b"/account"))


def _glasses(record: Record[Any], seen: LocatedViewer | None = None) -> bytes:
    seen = seen or record.payload
    return b"/%d" % (seen.row.glasses or 0)


def _finest(seen: Located[Any]) -> bytes:
    return msgspec.msgpack.encode(seen.row.fingerprint(seen.link))


def _viewer_apc(record: Record[ViewerWithContents]) -> bytes:
    played = [
        (str(each.content_id), each.campaign_id, each.app_id, each.dwell_ms, each.attention_ms, *each.moods_ms)
        for each in record.payload.contents
    ]
    return msgspec.msgpack.encode((_finest(record.payload.viewer), played))


def _numbers(values: Sequence[float | None]) -> bytes:
    return msgspec.msgpack.encode([comparable(value) for value in values])


def _configured(*names: str) -> Fingerprint:
    """Of a type that is configured by hand, whose rows have these fields in the fingerprint."""

    def fingerprint(record: Record[Any]) -> bytes:
        row = msgspec.json.decode(record.payload.text)
        found = {name: row[name] for name in names if row[name] is not None}
        whole = {name: int(each) for name, each in found.items() if isinstance(each, float) and each.is_integer()}
        return msgspec.msgpack.encode(found | whole)

    return fingerprint


def _aggregate(*attributes: int, decimals: int = 6) -> Fingerprint:
    """Of an aggregated type, which compares numbers with so many decimals, and the attributes of these indexes."""

    def fingerprint(record: Record[Any]) -> bytes:
        row, withdrawn = record.payload, [WITHDRAWN] if record.only_if_known else []
        numbers = [comparable(each, decimals) for each in row.metrics]
        return msgspec.msgpack.encode([*numbers, *(row.attributes[index] for index in attributes), *withdrawn])

    return fingerprint


def _thing(record: Record[Thing], number: str) -> bytes:
    return fingerprint(record.payload.event, number)


PREVIOUS_FINGERPRINTS: dict[str, Fingerprint] = {
    "seemetrix.sessions": lambda record: seemetrix._fingerprint(record.payload, record.end_ms),
    "seemetrix.devices": lambda record: msgspec.msgpack.encode(record.payload),
    "seemetrix.counters": lambda record: _numbers(structs.astuple(record.payload)),
    "seemetrix.statistics": lambda record: _numbers(structs.astuple(record.payload.hour)[1:]),
    "seemetrix.breakdown": lambda record: msgspec.msgpack.encode(record.payload[2:]),
    **{
        f"quividi.{stream}": lambda record: _finest(record.payload)
        for stream in (
            "viewers",
            "footfall",
            "vehicles",
            "vehicles_footfall",
            "pmp_sales_by_demographics",
            "pmp_sales_funnel",
        )
    },
    "quividi.retail_analytics_footfall": lambda record: _finest(record.payload.visitor),
    "quividi.viewers_apc": _viewer_apc,
    "quividi.alerts": lambda record: msgspec.msgpack.encode(alerts._compared(record.payload)),
    "quividi.monitoring": lambda record: msgspec.msgpack.encode(monitoring._compared(record.payload)),
    **{f"quividi.{stream}": partial(_thing, number=lists[0].number) for stream, lists in LISTINGS.items()},
    "quividi.viewers_aggregated": _aggregate(decimals=3),
    "quividi.ots": _aggregate(0, decimals=3),
    "quividi.gate": _aggregate(decimals=3),
    "quividi.proof_of_play_by_location": _aggregate(decimals=3),
    "quividi.proof_of_play_by_site": _aggregate(decimals=3),
    "quividi.proof_of_play_by_location_footfall_faces": _aggregate(),
    "quividi.proof_of_play_by_site_footfall_faces": _aggregate(),
    "quividi.proof_of_play_vehicle_person_by_location": _aggregate(),
    "quividi.proof_of_play_vehicle_person_by_site": _aggregate(),
    "quividi.content_plays": _aggregate(),
    "quividi.footfall_aggregated": _aggregate(),
    "quividi.vehicles_aggregated": _aggregate(),
    "quividi.vehicles_footfall_aggregated": _aggregate(),
    "quividi.im": _aggregate(0),
    "quividi.im_nobackup": _aggregate(0),
    "quividi.im_ots": _aggregate(0),
    "quividi.im_ots_nobackup": _aggregate(0),
    "quividi.targeted_im": _aggregate(),
    "quividi.extrapolated_ots": _aggregate(),
    "quividi.extrapolated_watchers": _aggregate(),
    "quividi.compass": _aggregate(),
    "quividi.retail_analytics_footfall_aggregated": _aggregate(1),
    "quividi.pmp_sales_by_demographics_aggregated": _aggregate(),
    "quividi.pmp_sales_funnel_aggregated": _aggregate(),
    "quividi.rows.queues": _configured("wait_time", "waiting_count"),
    "quividi.rows.gestures": _configured("confidence", "model"),
}
"""The fingerprints of the present field lists, by `<vendor>.<stream>`."""
