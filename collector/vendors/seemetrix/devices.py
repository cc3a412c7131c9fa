"""The devices of a user, as they are now: what comes, and the event of each.

Source: the vendor's document, "Devices management". A row carries the device's own keys (`k`, `s`), which are read by
nobody here, and an address and a list of users (`ip`, `acl`), which are for those who ask for them.
"""

import struct
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from collector.instants import Timestamp, format_ms, to_ms
from collector.model import Event, EventType, Record, Reject
from collector.vendors.leniency import decode_answer, decode_record
from collector.vendors.seemetrix.wire import Identifier, Integer

State = Literal["online", "offline", "frozen", "gone"]

FIELDS_VERSION = 1
"""Of the lists of fields in `_key` and `_fingerprint`."""

_key = struct.Struct(">q")
_GONE = b"gone"
_SECRET = ("k", "s", "ip", "acl")
"""What a row that cannot be understood is shown without."""


class Device(Struct, frozen=True):
    """A row. `f`, `o`, `or` and `sid` are not explained anywhere."""

    d: Identifier
    n: str | None = None
    created: str | None = None
    modified: str | None = None
    ip: str | None = None
    acl: tuple[Integer, ...] | None = None


class Devices(Struct, frozen=True):
    """The answer of `/user/<id>/devices/`."""

    online: list[Raw]
    offline: list[Raw]
    frozen: list[Raw]
    online_total: Integer | None = None
    offline_total: Integer | None = None
    frozen_total: Integer | None = None

    @property
    def groups(self) -> Sequence[tuple[State, list[Raw], int | None]]:
        return (
            ("online", self.online, self.online_total),
            ("offline", self.offline, self.offline_total),
            ("frozen", self.frozen, self.frozen_total),
        )

    @property
    def rows(self) -> int:
        return sum(len(rows) for _, rows, _ in self.groups)

    @property
    def is_whole(self) -> bool:
        """Whether there are as many rows as it says."""
        return all(total is None or total == len(rows) for _, rows, total in self.groups)


class Known(Struct, frozen=True):
    """A device, and what is known of it at present."""

    device_id: int
    state: State
    name: str | None = None
    created_ms: int | None = None
    modified_ms: int | None = None
    ip: str | None = None
    acl: tuple[int, ...] | None = None


class DeviceV1(Struct, frozen=True, kw_only=True):
    """What is known of a device: published when it is new or changes. The last event of a key is what is so now."""

    event_id: Annotated[str, Meta(description="`<32 hex digits of the record's id>/device/0`: unique, and stable.")]
    record_id: Annotated[str, Meta(description="`<device>`: the same for every revision.")]
    revision: Annotated[int, Meta(description="Counts what was known of the device, from 0; the highest counts.", ge=0)]
    source: Annotated[str, Meta(description="The source's name in the collector's configuration.")]
    device_id: Annotated[int, Meta(description="The vendor's number of the device.")]
    state: Annotated[
        State, Meta(description="As the vendor sees it; `gone` when several whole lists in a row lack the device.")
    ]
    name: Annotated[str | None, Meta(description="What the user calls it; null when it is gone.")]
    created: Annotated[Timestamp | None, Meta(description="When it was registered, UTC; null when it is gone.")]
    modified: Annotated[Timestamp | None, Meta(description="When it was last changed, UTC; null when it is gone.")]
    ip: Annotated[str | None, Meta(description="Its address, where the source has `include_private = true`.")]
    acl: Annotated[
        Sequence[int] | None,
        Meta(description="Users who have access to it, where the source has `include_private = true`."),
    ]
    seen_at: Annotated[Timestamp, Meta(description="When the list that says so was asked for, UTC.")]


DEVICE = EventType("seemetrix.device.v1", "seemetrix.devices", DeviceV1, compacted=True)
TYPES = (DEVICE,)

_decode_devices = msgspec.json.Decoder(Devices).decode
_decode_device = msgspec.json.Decoder(Device).decode
_decode_any = msgspec.json.Decoder().decode


def answer(body: bytes) -> Devices:
    """Raises msgspec.DecodeError."""
    return decode_answer(body, _decode_devices)


def read(devices: Devices, seen_ms: int, *, private: bool) -> Iterator[Record[Known] | Reject]:
    """What is known of each device, seen at the time that is given."""
    for state, rows, _ in devices.groups:
        for row in rows:
            yield _read(bytes(row), state, seen_ms, private=private)


def gone(key: bytes, seen_ms: int) -> Record[Known]:
    """What is known of a device that is listed no more."""
    (device_id,) = _key.unpack(key)
    return _record(Known(device_id, "gone"), _GONE, seen_ms)


def _read(row: bytes, state: State, seen_ms: int, *, private: bool) -> Record[Known] | Reject:
    try:
        device = decode_record(row, _decode_device, Device)
        known = Known(
            device.d,
            state,
            device.n,
            _moment(device.created, "created"),
            _moment(device.modified, "modified"),
            device.ip if private else None,
            tuple(sorted(device.acl)) if private and device.acl is not None else None,
        )
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return Reject(_without_secrets(row), str(error))
    return _record(known, msgspec.msgpack.encode(known), seen_ms)


def _record(known: Known, fingerprint: bytes, seen_ms: int) -> Record[Known]:
    return Record(
        key=_key.pack(known.device_id),
        fingerprint=fingerprint,
        start_ms=seen_ms,
        end_ms=seen_ms,
        vendor_local_s=seen_ms // 1000,
        payload=known,
    )


def _moment(written: str | None, field: str) -> int | None:
    """As HTTP writes dates: `Fri, 15 Sep 2017 07:36:38 GMT`."""
    if written is None:
        return None
    try:
        moment: datetime = parsedate_to_datetime(written)
        return to_ms(moment)
    except (ValueError, OverflowError):
        raise ValueError(f"Expected a date such as `Fri, 15 Sep 2017 07:36:38 GMT` - at `$.{field}`") from None


def _without_secrets(row: bytes) -> bytes:
    told = _decode_any(row)
    if not isinstance(told, dict):
        return row
    return msgspec.json.encode({name: value for name, value in told.items() if name not in _SECRET})


def explode(record: Record[Known], digest: str, revision: int, source: str) -> Iterator[Event]:
    """The device's event."""
    known, seen_at = record.payload, format_ms(record.start_ms)
    key, event_id = str(known.device_id), f"{digest}/device/0"
    yield Event(
        DEVICE,
        event_id,
        f"device/{key}",
        seen_at,
        key,
        DeviceV1(
            event_id=event_id,
            record_id=key,
            revision=revision,
            source=source,
            device_id=known.device_id,
            state=known.state,
            name=known.name,
            created=_written(known.created_ms),
            modified=_written(known.modified_ms),
            ip=known.ip,
            acl=known.acl,
            seen_at=seen_at,
        ),
    )


def _written(unix_ms: int | None) -> Timestamp | None:
    return None if unix_ms is None else format_ms(unix_ms)
