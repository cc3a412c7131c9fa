"""Alerts of boxes: the rows of `/alerts/`, and the event of each.

Source: the vendor's documentation of today, "Alerts". An alert is raised and later terminated, under the same id. Ids
do not grow with time. The list has the latest 1,000 alerts, and no past before them.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from msgspec import Meta, Struct

from collector.instants import format_ms
from collector.model import Event, EventType, Record, Reject
from collector.vendors.event_fields import Revision
from collector.vendors.leniency import RowDecoder
from collector.vendors.quividi.status_rows import (
    HostTime,
    SeenAt,
    VendorTime,
    host_time,
    place_key,
    record_of,
    reject_of,
    words,
)
from collector.vendors.quividi.wire import Identifier, Integer, parse_local

AlertStatus = Literal["raised", "terminated", "unknown"]

FIELDS_VERSION = 1
"""The version of the lists of fields: the key is the id alone, the fingerprint is in `read_one`."""
INPUT_OR_LICENCE_ERROR = 3
_KINDS: Mapping[int, str] = {
    1: "upload_period",
    2: "watchers_rate",
    INPUT_OR_LICENCE_ERROR: "input_or_licence_error",
    4: "daily_watchers",
    5: "time_drift",
    6: "fingerprint_change",
    7: "upload_error",
    8: "refused_events",
    9: "session_id",
    10: "timezone_change",
    11: "camera_not_found",
    12: "unsupported_option",
    13: "low_fps",
}
_STATUSES: Mapping[str | None, AlertStatus] = {"raised": "raised", "terminated": "terminated"}
_key = struct.Struct(">q")


class Alert(Struct, frozen=True, gc=False):
    """A row. The ids of its places have no `_id` in their names."""

    id: Identifier
    alert_type: Integer
    status: str | None
    timestamp: str
    label: str | None = None
    extra_data: str | None = None
    network: Identifier | None = None
    site: Identifier | None = None
    location: Identifier | None = None
    box: Identifier | None = None
    host_timestamp: str | None = None
    linked_alerthistory: Identifier | None = None


class KnownAlert(Struct, frozen=True, gc=False):
    """An alert whose times are read, and when it was seen in this state."""

    row: Alert
    vendor_time: str
    host_time: str | None
    statuses: Sequence[str] | None
    seen_ms: int


class AlertV1(Struct, frozen=True, kw_only=True, gc=False):
    """An alert about a place or a box. Published when it is raised, when it is terminated, and at any other change."""

    record_id: Annotated[
        str, Meta(description="`quividi/<user>/alert/<alert_id>`: equal for all revisions of the record.")
    ]
    revision: Revision
    alert_id: Annotated[int, Meta(description="The vendor's number of the alert. Numbers do not grow with time.")]
    network_id: Annotated[int | None, Meta(description="The vendor's number of the network.")]
    site_id: Annotated[int | None, Meta(description="The vendor's number of the site.")]
    location_id: Annotated[int | None, Meta(description="The vendor's number of the location.")]
    box_id: Annotated[int | None, Meta(description="The vendor's number of the box.")]
    vendor_time: VendorTime
    host_time: HostTime
    seen_at: SeenAt
    kind: Annotated[
        str,
        Meta(
            description="What the alert is about, by its type: `upload_period`, `watchers_rate`, "
            "`input_or_licence_error`, `daily_watchers`, `time_drift`, `fingerprint_change`, `upload_error`, "
            "`refused_events`, `session_id`, `timezone_change`, `camera_not_found`, `unsupported_option`, `low_fps`; "
            "`unknown` for any other type. Later versions may know more words."
        ),
    ]
    alert_type: Annotated[int, Meta(description="The vendor's number of the type.")]
    label: Annotated[
        str | None,
        Meta(description="The vendor's text for the type. It may change without a new revision: use `alert_type`."),
    ]
    status: Annotated[
        AlertStatus,
        Meta(description="`raised` while the alert lasts, then `terminated`; `unknown` for any other status."),
    ]
    status_text: Annotated[str | None, Meta(description="The vendor's status, if it is neither of the two.")]
    statuses: Annotated[
        Sequence[str] | None,
        Meta(
            description="Of type 3: the states of the inputs in `extra_data`, sorted, such as `input_lost`, "
            "`license_error`. Null for other types."
        ),
    ]
    extra_data: Annotated[str | None, Meta(description="What the vendor adds, as it is. Its form depends on the type.")]
    linked_alert_id: Annotated[
        int | None,
        Meta(
            description="The alert that this one refers to (`linked_alerthistory`). Alerts that last have one too: it "
            "does not show that an alert has ended."
        ),
    ]


ALERT = EventType("quividi.alert.v1", "quividi.alerts", AlertV1)
TYPES = (ALERT,)

_decode_alert = RowDecoder(
    Alert,
    side=[
        *("status", "label", "extra_data", "network", "site", "location", "box"),
        *("host_timestamp", "linked_alerthistory"),
    ],
)


def read_one(raw: bytes, seen_ms: int, ignored: Counter[str] | None = None) -> Record[KnownAlert] | Reject:
    """Decode a row of the response to a request at `seen_ms`, Unix time in milliseconds.

    The fingerprint lacks the label, which the vendor may change for all alerts at once.
    """
    try:
        row = _decode_alert(raw, ignored)
        vendor_time = parse_local(row.timestamp, "timestamp")
        statuses = words(row.extra_data) if row.alert_type == INPUT_OR_LICENCE_ERROR else None
        known = KnownAlert(row, vendor_time.isoformat(), host_time(row.host_timestamp, ignored), statuses, seen_ms)
        return record_of(b"quividi.alert" + _key.pack(row.id), _compared(known), vendor_time, seen_ms, known)
    except ValueError as error:
        return reject_of(raw, Alert, str(error), ("location", "site"))


def _compared(known: KnownAlert) -> Sequence[object]:
    row = known.row
    details = (row.extra_data or None) if known.statuses is None else known.statuses
    places = (row.network, row.site, row.location, row.box)
    return (row.alert_type, row.status, details, *places, known.vendor_time, known.host_time, row.linked_alerthistory)


def explode(record: Record[KnownAlert], digest: str, revision: int, user: str) -> Iterator[Event]:
    """Yield the event of the alert."""
    known, row = record.payload, record.payload.row
    status, seen_at = _STATUSES.get(row.status, "unknown"), format_ms(known.seen_ms)
    data = AlertV1(
        record_id=f"quividi/{quote(user, safe='')}/alert/{row.id}",
        revision=revision,
        alert_id=row.id,
        network_id=row.network,
        site_id=row.site,
        location_id=row.location,
        box_id=row.box,
        vendor_time=known.vendor_time,
        host_time=known.host_time,
        seen_at=seen_at,
        kind=_KINDS.get(row.alert_type, "unknown"),
        alert_type=row.alert_type,
        label=row.label or None,
        status=status,
        status_text=row.status if status == "unknown" else None,
        statuses=known.statuses,
        extra_data=row.extra_data or None,
        linked_alert_id=row.linked_alerthistory,
    )
    yield Event(ALERT, f"{digest}/alert/0", f"alert/{row.id}", seen_at, place_key(row.location, row.site, user), data)
