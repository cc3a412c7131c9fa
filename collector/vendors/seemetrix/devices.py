"""The present devices of a user: the response and the event of each device.

Source: the vendor's document, "Devices management". A row has the device's own keys (`k`, `s`), which are never read,
and an address and a list of users (`ip`, `acl`), which are only read with `include_private = true`.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from collector.instants import MAX_MS, MIN_MS, Timestamp, format_ms, to_ms
from collector.model import Event, EventType, Record, Reject
from collector.steps import Steps
from collector.vendors.event_fields import DeviceId, Revision
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder, understood
from collector.vendors.raw_rows import MAX_ROWS, Form, RawRows, as_list, check_rows
from collector.vendors.seemetrix.wire import Identifier, Integer, device_of

R = TypeVar("R")
"""What represents rows: `Raw` while the response is decoded, then `RawRows`."""
State = Literal["online", "offline", "frozen", "gone"]

FIELDS_VERSION = 1
"""The version of the lists of fields: the key is the device's number, the fingerprint all fields of `KnownDevice`."""

_key = struct.Struct(">q")
_GONE = b"gone"
_SECRET = ("k", "s", "ip", "acl")
"""The fields that are removed from a malformed row."""


class Device(Struct, frozen=True):
    """A row. `d` is the device's number and `n` its name. The document does not explain `f`, `o`, `or` and `sid`."""

    d: Identifier
    n: str | None = None
    created: str | None = None
    modified: str | None = None
    ip: str | None = None
    acl: tuple[Integer, ...] | None = None


class Devices(Struct, Generic[R], frozen=True):
    """The response of `/user/<id>/devices/`."""

    online: R
    offline: R
    frozen: R
    online_total: Integer | None = None
    offline_total: Integer | None = None
    frozen_total: Integer | None = None

    @property
    def groups(self: "Devices[RawRows]") -> Sequence[tuple[State, RawRows, int | None]]:
        return (
            ("online", self.online, self.online_total),
            ("offline", self.offline, self.offline_total),
            ("frozen", self.frozen, self.frozen_total),
        )

    @property
    def rows(self: "Devices[RawRows]") -> int:
        return sum(len(rows) for _, rows, _ in self.groups)

    @property
    def has_every_list(self: "Devices[RawRows]") -> bool:
        """Whether no list is null, which is not documented."""
        return all(rows.form is Form.LIST for _, rows, _ in self.groups)

    @property
    def is_whole(self: "Devices[RawRows]") -> bool:
        """Whether the response has every list, and as many rows as its totals state."""
        return self.has_every_list and all(total is None or total == len(rows) for _, rows, total in self.groups)


class KnownDevice(Struct, frozen=True):
    """The present state of a device."""

    device_id: int
    state: State
    name: str | None = None
    created_ms: int | None = None
    modified_ms: int | None = None
    ip: str | None = None
    acl: tuple[int, ...] | None = None


class DeviceV1(Struct, frozen=True, kw_only=True):
    """The state of a device. Published when it is new or changes. The last event of a key is the present state."""

    record_id: Annotated[
        str, Meta(description="`seemetrix/<user>/device/<device>`: equal for all revisions of the record.")
    ]
    revision: Revision
    device_id: DeviceId
    seen_at: Annotated[Timestamp, Meta(description="Time of the request for the list, in UTC.")]
    state: Annotated[
        State,
        Meta(description="The vendor's state; `gone` after several consecutive complete lists without the device."),
    ]
    name: Annotated[str | None, Meta(description="The user's name for the device; null when it is gone.")]
    created_at: Annotated[
        Timestamp | None, Meta(description="Registration of the device, in UTC; null when it is gone.")
    ]
    modified_at: Annotated[
        Timestamp | None, Meta(description="Last change of the device, in UTC; null when it is gone.")
    ]
    ip: Annotated[str | None, Meta(description="IP address, if the source has `include_private = true`.")]
    acl: Annotated[
        Sequence[int] | None,
        Meta(description="Users with access to the device, if the source has `include_private = true`."),
    ]


DEVICE = EventType("seemetrix.device.v1", "seemetrix.devices", DeviceV1, compacted=True)
TYPES = (DEVICE,)

_decode_devices = ResponseDecoder(Devices[Raw], Devices[RawRows], {"d"}.issubset)
_decode_device = RowDecoder(Device, side=("n", "created", "modified", "ip", "acl"))
_decode_object = RowDecoder(dict[str, Any])


def decode(body: bytes, max_rows: int = MAX_ROWS) -> Steps[Devices[RawRows]]:
    """Decode the response; its rows are not decoded yet. Raises msgspec.DecodeError."""
    devices = yield from _decode_devices(body, max_rows)
    for _, rows, _ in devices.groups:
        if rows.form is not Form.NULL:
            as_list(rows)
    check_rows(devices.rows, max_rows)
    return devices


def decode_ids(body: bytes) -> Steps[tuple[set[int], bool]]:
    """The ids of the devices in a response, and whether they are all.

    They are not all if a list is null, or if the id of a device cannot be read. Raises msgspec.DecodeError, also if no
    id can be read although there are devices.
    """
    devices = yield from decode(body)
    found = set[int | None]()
    for _, rows, _ in devices.groups:
        for row in rows:
            found.add(device_of(row))
            yield
    if found == {None}:
        raise msgspec.DecodeError("no device has a number")
    return {each for each in found if each is not None}, devices.has_every_list and None not in found


def read(
    devices: Devices[RawRows], seen_ms: int, ignored: Counter[str] | None = None, *, include_private: bool
) -> Iterator[Record[KnownDevice] | Reject]:
    """Decode the rows of the response to a request at `seen_ms`, Unix time in milliseconds.

    Counts side fields that cannot be understood in `ignored`.
    """
    for state, rows, _ in devices.groups:
        for row in rows:
            yield _read(row, state, seen_ms, ignored, include_private=include_private)


def gone(key: bytes, seen_ms: int) -> Record[KnownDevice]:
    """The record of a device that has disappeared from the list."""
    (device_id,) = _key.unpack(key)
    return _record(KnownDevice(device_id, "gone"), _GONE, seen_ms)


def _read(
    row: bytes, state: State, seen_ms: int, ignored: Counter[str] | None, *, include_private: bool
) -> Record[KnownDevice] | Reject:
    try:
        device = _decode_device(row, ignored)
    except MalformedRow as error:
        return Reject(_without_secrets(row), str(error))
    known = KnownDevice(
        device.d,
        state,
        device.n,
        understood(ignored, "created", lambda: _parse_date(device.created)),
        understood(ignored, "modified", lambda: _parse_date(device.modified)),
        device.ip if include_private else None,
        tuple(sorted(device.acl)) if include_private and device.acl is not None else None,
    )
    return _record(known, msgspec.msgpack.encode(known), seen_ms)


def _record(known: KnownDevice, fingerprint: bytes, seen_ms: int) -> Record[KnownDevice]:
    return Record(
        key=_key.pack(known.device_id),
        fingerprint=fingerprint,
        start_ms=seen_ms,
        end_ms=seen_ms,
        vendor_local_s=seen_ms // 1000,
        payload=known,
    )


def _parse_date(text: str | None) -> int | None:
    """Unix time in milliseconds of a date in HTTP's format. Raises ValueError."""
    if text is None:
        return None
    try:
        unix_ms = to_ms(parsedate_to_datetime(text))
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if not MIN_MS <= unix_ms <= MAX_MS:
        raise ValueError("outside the years 1 to 9999")
    return unix_ms


def _without_secrets(row: bytes) -> bytes:
    """The row without its secret fields; nothing of a row that is not an object: it may contain them anywhere."""
    try:
        decoded = _decode_object(row)
    except MalformedRow:
        return b""
    return msgspec.json.encode({name: value for name, value in decoded.items() if name not in _SECRET})


def explode(record: Record[KnownDevice], digest: str, revision: int, user: int) -> Iterator[Event]:
    """Yield the device's event. Its Kafka key names the user: a device may disappear from one user's list only."""
    known, seen_at = record.payload, format_ms(record.start_ms)
    yield Event(
        DEVICE,
        f"{digest}/device/0",
        f"device/{known.device_id}",
        seen_at,
        f"user/{user}/device/{known.device_id}",
        DeviceV1(
            record_id=f"seemetrix/{user}/device/{known.device_id}",
            revision=revision,
            device_id=known.device_id,
            seen_at=seen_at,
            state=known.state,
            name=known.name,
            created_at=_timestamp(known.created_ms),
            modified_at=_timestamp(known.modified_ms),
            ip=known.ip,
            acl=known.acl,
        ),
    )


def _timestamp(unix_ms: int | None) -> Timestamp | None:
    return None if unix_ms is None else format_ms(unix_ms)
