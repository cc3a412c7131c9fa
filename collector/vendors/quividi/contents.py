"""The rows of exports of viewers with contents: those of finest viewers, with an array `contents`.

Source: the vendor's document, "Finest viewers APC export". All times of a content are in milliseconds, even where a
field has the name of a viewer's field in tenths of seconds.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from collector.model import Record, Reject
from collector.vendors.leniency import MalformedRow, RowDecoder
from collector.vendors.quividi.finest import fields_of
from collector.vendors.quividi.viewers import LocatedViewer, Viewer, read_viewer
from collector.vendors.quividi.wire import ABSENT, Integer, place_of
from collector.vendors.row_fields import paths_of

FIELDS_VERSION = 2
"""The version of the lists of fields in the key and the fingerprint."""

Milliseconds = Annotated[int, Meta(ge=0, le=2**53)] | Annotated[float, Meta(ge=0, le=2**53)]


class Content(Struct, frozen=True, gc=False, omit_defaults=True):
    """A content that was played, and how long the viewer stayed, looked and was in each mood during that time."""

    content_id: str | Integer
    campaign_id: str | Integer | None = None
    app_id: str | Integer | None = None
    dwell_time: Milliseconds | None = ABSENT
    dwell_time_in_milliseconds: Milliseconds | None = ABSENT
    attention_time: Milliseconds | None = ABSENT
    attention_time_in_milliseconds: Milliseconds | None = ABSENT
    very_happy_time: Milliseconds | None = None
    happy_time: Milliseconds | None = None
    neutral_time: Milliseconds | None = None
    unhappy_time: Milliseconds | None = None
    very_unhappy_time: Milliseconds | None = None

    @property
    def has_times(self) -> bool:
        """Whether the row has one of its times, be it null."""
        times = (self.dwell_time, self.dwell_time_in_milliseconds, self.attention_time)
        return any(time != ABSENT for time in (*times, self.attention_time_in_milliseconds))

    @property
    def dwell_ms(self) -> int | None:
        return _ms(self.dwell_time_in_milliseconds, self.dwell_time)

    @property
    def attention_ms(self) -> int | None:
        """May exceed the dwell time: the vendor's value is not corrected."""
        return _ms(self.attention_time_in_milliseconds, self.attention_time)

    @property
    def moods_ms(self) -> tuple[int | None, ...]:
        times = (self.very_happy_time, self.happy_time, self.neutral_time, self.unhappy_time, self.very_unhappy_time)
        return tuple(_ms(each) for each in times)


class ViewerWithContents(Struct, frozen=True, gc=False):
    """A decoded row."""

    viewer: LocatedViewer
    contents: tuple[Content, ...]
    selection: str
    """Describes the contents that the export is limited to; empty for all."""
    positions: Mapping[int, int] | None = None
    """The contents to publish, by index, with their positions; None for the viewer with all contents."""


class _Row(Struct, frozen=True):
    """The fields of a row beyond those of a viewer."""

    contents: tuple[Content, ...] | UnsetType | None = UNSET


_decode_row = RowDecoder(_Row)
_decode_row.parts["contents"] = RowDecoder(
    Content,
    side=(
        "campaign_id",
        "app_id",
        "very_happy_time",
        "happy_time",
        "neutral_time",
        "unhappy_time",
        "very_unhappy_time",
    ),
)
FIELDS = fields_of(Viewer, more=paths_of(_Row))


def read_viewer_apc(
    raw: bytes, zone: ZoneInfo, ignored: Counter[str] | None = None, selection: str = ""
) -> Record[ViewerWithContents] | Reject | None:
    """Decode one row. Return None for a placeholder, which the vendor sends where it has no data.

    `selection` describes the contents that the export is limited to; empty for all.
    """
    viewer = read_viewer(raw, zone, ignored)
    if isinstance(viewer, Reject):
        return viewer
    try:
        contents = _decode_row(raw, ignored).contents
        if viewer is not None and isinstance(contents, UnsetType):
            raise MalformedRow("Object missing required field `contents`")  # noqa: TRY301 - one way to reject a row
        contents = contents or ()
        if not all(content.has_times for content in contents):
            raise MalformedRow("Object missing required field `dwell_time_in_milliseconds` - at `$.contents[...]`")  # noqa: TRY301
    except MalformedRow as error:
        return Reject(raw, str(error), place_of(raw))
    if viewer is None:
        return Reject(raw, "Contents in a placeholder row", place_of(raw)) if contents else None
    played = [
        (str(each.content_id), each.campaign_id, each.app_id, each.dwell_ms, each.attention_ms, *each.moods_ms)
        for each in contents
    ]
    return Record(
        key=_key_of(viewer.key) + selection.encode(),
        fingerprint=msgspec.msgpack.encode((viewer.fingerprint, played)),
        start_ms=viewer.start_ms,
        end_ms=viewer.end_ms,
        vendor_local_s=viewer.vendor_local_s,
        payload=ViewerWithContents(viewer.payload, contents, selection),
        parts=[str(each.content_id).encode() for each in contents],
    )


def former(record: Record[ViewerWithContents]) -> Record[ViewerWithContents]:
    """The record with the key of version 1. The fingerprint is the same."""
    length = len(record.key) - len(record.payload.selection.encode())
    return structs.replace(record, key=record.key[:length])


def only_contents(record: Record[ViewerWithContents], positions: Mapping[int, int]) -> Record[ViewerWithContents]:
    """The record of which only these contents are published, by index, with their positions."""
    return structs.replace(record, payload=structs.replace(record.payload, positions=positions))


def _key_of(viewer_key: bytes) -> bytes:
    return b"quividi.viewer_apc" + viewer_key


def _ms(*values: float | None) -> int | None:
    """The first value that is neither null nor absent, rounded; None if there is none."""
    return next((round(each) for each in values if each is not None and each != ABSENT), None)
