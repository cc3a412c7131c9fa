"""Monitoring messages of boxes: the rows of `/monitoring_msgs/`, and the event of each.

Source: the vendor's documentation of today, "Monitoring messages". A message has no id. The list has the latest 1,000
messages, and no past before them. `raw_camera_config` has the addresses of cameras: it is never read.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, NamedTuple
from urllib.parse import quote

from msgspec import Meta, Struct

from collector.instants import format_ms
from collector.model import Event, EventType, Record, Reject
from collector.vendors.event_fields import Revision
from collector.vendors.leniency import RowDecoder, comparable, fraction, understood
from collector.vendors.quividi.status_rows import (
    HostTime,
    SeenAt,
    VendorTime,
    decimal,
    place_key,
    record_of,
    reject_of,
    words,
)
from collector.vendors.quividi.wire import Identifier, Integer, Number, parse_local

FIELDS_VERSION = 1
"""The version of the lists of fields: the key is the box and the two times, the fingerprint is in `read_one`."""
_RESOLUTION = re.compile(r"(\d{1,6})\s*[xX]\s*(\d{1,6})")


class MonitoringMessage(Struct, frozen=True, gc=False):
    """A row. `fps`, `avg_luma` and `resolution` are texts: `"24.9"` or `"-"`, `"38.0%"`, `"1280x720"`."""

    box: Identifier
    timestamp: str
    host_timestamp: str | None = None
    location: Identifier | None = None
    status: str | None = None
    vr_status: str | None = None
    vr_version: str | None = None
    cpu_load: Number | None = None
    fps: Number | str | None = None
    avg_luma: Number | str | None = None
    nb_inputlost: Integer | None = None
    resolution: str | None = None


class Resolution(NamedTuple):
    """In pixels."""

    width: int
    height: int


class KnownMessage(Struct, frozen=True, gc=False):
    """A message whose times and texts are read, and when it was seen."""

    row: MonitoringMessage
    vendor_time: str
    host_time: str | None
    vr_status: Sequence[str] | None
    fps: float | None
    avg_luma_percent: float | None
    resolution: Resolution | None
    seen_ms: int


class MonitoringMessageV1(Struct, frozen=True, kw_only=True, gc=False):
    """What a box reported about itself at one time."""

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/box/<box_id>/monitoring_message/<vendor_time>/<host_time>`: equal for all "
            "revisions of the record."
        ),
    ]
    revision: Revision
    box_id: Annotated[int, Meta(description="The vendor's number of the box.")]
    location_id: Annotated[int | None, Meta(description="The vendor's number of the location.")]
    vendor_time: VendorTime
    host_time: HostTime
    seen_at: SeenAt
    status: Annotated[str | None, Meta(description="The vendor's status of the box, as it is, such as `running`.")]
    vr_status: Annotated[
        Sequence[str] | None,
        Meta(description="The states of the inputs, sorted, such as `processing`, `input_lost`, `license_error`."),
    ]
    vr_version: Annotated[str | None, Meta(description="The version of the software on the box.")]
    cpu_load: Annotated[float | None, Meta(description="Load of the processor. The vendor does not document its unit.")]
    fps: Annotated[float | None, Meta(description="Frames per second; null if the vendor sends `-`.")]
    avg_luma_percent: Annotated[float | None, Meta(description="Average brightness of the image, in percent.")]
    input_lost_count: Annotated[int | None, Meta(description="How often the input was lost.")]
    resolution_width_px: Annotated[int | None, Meta(description="Width of the image, in pixels; 0 without input.")]
    resolution_height_px: Annotated[int | None, Meta(description="Height of the image, in pixels; 0 without input.")]


MONITORING_MESSAGE = EventType("quividi.monitoring_message.v1", "quividi.monitoring_messages", MonitoringMessageV1)
TYPES = (MONITORING_MESSAGE,)

_decode_message = RowDecoder(
    MonitoringMessage,
    side=[
        *("location", "status", "vr_status", "vr_version", "cpu_load", "fps", "avg_luma", "nb_inputlost"),
        "resolution",
    ],
)


def read_one(raw: bytes, seen_ms: int, ignored: Counter[str] | None = None) -> Record[KnownMessage] | Reject:
    """Decode a row of the response to a request at `seen_ms`, Unix time in milliseconds."""
    try:
        row = _decode_message(raw, ignored)
        vendor_time = parse_local(row.timestamp, "timestamp")
        host = None if row.host_timestamp is None else parse_local(row.host_timestamp, "host_timestamp").isoformat()
        known = KnownMessage(
            row,
            vendor_time.isoformat(),
            host,
            words(row.vr_status),
            understood(ignored, "fps", partial(decimal, row.fps)),
            understood(ignored, "avg_luma", partial(decimal, row.avg_luma, "%")),
            understood(ignored, "resolution", partial(_resolution, row.resolution)),
            seen_ms,
        )
        key = f"quividi.monitoring_message/{row.box}/{known.vendor_time}/{host or ''}"
        return record_of(key.encode(), _compared(known), vendor_time, seen_ms, known)
    except ValueError as error:
        return reject_of(raw, MonitoringMessage, str(error), ("location",))


def _compared(known: KnownMessage) -> Sequence[object]:
    row = known.row
    numbers = [comparable(each) for each in (row.cpu_load, known.fps, known.avg_luma_percent, row.nb_inputlost)]
    texts = (row.location, row.status or None, row.vr_version or None)
    return (*texts, known.vr_status, *numbers, known.resolution)


def explode(record: Record[KnownMessage], digest: str, revision: int, user: str) -> Iterator[Event]:
    """Yield the event of the message."""
    known, row = record.payload, record.payload.row
    seen_at, box = format_ms(known.seen_ms), f"box/{row.box}"
    width, height = known.resolution or (None, None)
    times = f"{known.vendor_time}/{known.host_time or ''}"
    data = MonitoringMessageV1(
        record_id=f"quividi/{quote(user, safe='')}/{box}/monitoring_message/{times}",
        revision=revision,
        box_id=row.box,
        location_id=row.location,
        vendor_time=known.vendor_time,
        host_time=known.host_time,
        seen_at=seen_at,
        status=row.status or None,
        vr_status=known.vr_status,
        vr_version=row.vr_version or None,
        cpu_load=fraction(row.cpu_load),
        fps=fraction(known.fps),
        avg_luma_percent=fraction(known.avg_luma_percent),
        input_lost_count=row.nb_inputlost,
        resolution_width_px=width,
        resolution_height_px=height,
    )
    yield Event(
        MONITORING_MESSAGE,
        f"{digest}/monitoring_message/0",
        box,
        seen_at,
        place_key(row.location, None, user),
        data,
    )


def _resolution(text: str | None) -> Resolution | None:
    """The resolution in a text such as `1280x720`. Raises ValueError for any other text."""
    if not text:
        return None
    found = _RESOLUTION.fullmatch(text.strip())
    if found is None:
        raise ValueError("expected a width and a height")
    return Resolution(int(found[1]), int(found[2]))
