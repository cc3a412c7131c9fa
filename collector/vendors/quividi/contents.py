"""Viewers with what was played before them, as VidiCenter sends them: rows of finest viewers with `contents`.

Source: the vendor's document, "Finest viewers APC export". Of a content, all times are milliseconds, also where they
have the names of a viewer's tenths of seconds.
"""

from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from collector.model import Record, Reject
from collector.vendors.leniency import decode_record
from collector.vendors.quividi.wire import Integer, Seen, place_of, read_viewer

Milliseconds = Annotated[int, Meta(ge=0, le=2**53)] | Annotated[float, Meta(ge=0, le=2**53)]


class Content(Struct, frozen=True, gc=False, omit_defaults=True):
    """What was played, and the viewer meanwhile."""

    content_id: str | Integer
    campaign_id: str | Integer | None = None
    app_id: str | Integer | None = None
    dwell_time: Milliseconds | None = None
    dwell_time_in_milliseconds: Milliseconds | None = None
    attention_time: Milliseconds | None = None
    attention_time_in_milliseconds: Milliseconds | None = None
    very_happy_time: Milliseconds | None = None
    happy_time: Milliseconds | None = None
    neutral_time: Milliseconds | None = None
    unhappy_time: Milliseconds | None = None
    very_unhappy_time: Milliseconds | None = None

    @property
    def dwell_ms(self) -> int | None:
        return _ms(self.dwell_time_in_milliseconds, self.dwell_time)

    @property
    def attention_ms(self) -> int | None:
        """May be above the dwell time: it is passed on."""
        return _ms(self.attention_time_in_milliseconds, self.attention_time)

    @property
    def moods_ms(self) -> tuple[int | None, ...]:
        times = (self.very_happy_time, self.happy_time, self.neutral_time, self.unhappy_time, self.very_unhappy_time)
        return tuple(_ms(each) for each in times)


class SeenApc(Struct, frozen=True, gc=False):
    """A viewer and its contents."""

    seen: Seen
    contents: tuple[Content, ...]


class _Row(Struct, frozen=True):
    """What a viewer's row has besides."""

    contents: tuple[Content, ...] | None = None


_decode_row = msgspec.json.Decoder(_Row).decode


def read_viewer_apc(raw: bytes, zone: ZoneInfo) -> Record[SeenApc] | Reject | None:
    """One viewer, or why it is none, or None for a row that only says that there is no data."""
    viewer = read_viewer(raw, zone)
    if isinstance(viewer, Reject):
        return viewer
    try:
        contents = decode_record(raw, _decode_row, _Row).contents or ()
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return Reject(raw, str(error), place_of(raw))
    if viewer is None:
        return Reject(raw, "Contents of a viewer of whom nothing is said", place_of(raw)) if contents else None
    played = [
        (str(each.content_id), each.campaign_id, each.app_id, each.dwell_ms, each.attention_ms, *each.moods_ms)
        for each in contents
    ]
    return Record(
        key=b"quividi.viewer_apc" + viewer.key,
        fingerprint=msgspec.msgpack.encode((viewer.fingerprint, played)),
        start_ms=viewer.start_ms,
        end_ms=viewer.end_ms,
        vendor_local_s=viewer.vendor_local_s,
        payload=SeenApc(viewer.payload, contents),
    )


def _ms(*said: float | None) -> int | None:
    """Of the first that is there."""
    return next((round(each) for each in said if each is not None), None)
