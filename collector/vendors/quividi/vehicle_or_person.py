"""The rows of exports of finest vehicles and footfall: each is a vehicle or a person.

Source: the vendor's newer document, "Finest vehicles and footfall export". No field says which of both a row is. A row
has the fields of both, and those of the other kind are 0. The fields that identify records (`vr_id` and others) are
only on persons, and only in newer versions of VidiCenter.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from collector.model import EventType, Record
from collector.vendors.quividi.finest import FinestForm, milliseconds, row_decoder, text_of
from collector.vendors.quividi.finest_fields import Lasting, Occurrence, VrId, ended_at
from collector.vendors.quividi.footfall import Person, TrackingMode, WatcherId, WatcherStartedAt, link_fields
from collector.vendors.quividi.vehicles import (
    BeforeRenumbering,
    ColorCode,
    Impressions,
    ImpressionsPerVehicle,
    VehicleTypeCode,
    is_before_renumbering,
    vehicle_fields,
)
from collector.vendors.quividi.wire import ABSENT, Amount, Integer, Tenths
from collector.vendors.vocabulary import VehicleColor, VehicleType

Kind = Literal["vehicle", "person", "undetermined"]


class VehicleOrPerson(Person, frozen=True, gc=False, omit_defaults=True):
    """A row: a vehicle or a person that passed."""

    KIND = "vehicle_or_person"
    REQUIRED = (("type",), ("vehicle_presence_time",), ("footfall_presence_time",))
    FORMER: ClassVar[Mapping[str, str]] = {"impressions": "vehicle_impressions"}
    SPARSE: ClassVar[frozenset[str]] = frozenset(("vr_id", "watcher_id", "watcher_start", "tracking_mode"))

    type: Integer | None = ABSENT
    vehicle_presence_time: Tenths | None = ABSENT
    color: Integer | None = None
    vehicle_impressions: Amount | None = None
    impressions: Amount | None = None
    impressions_per_vehicle: Amount | None = None

    @property
    def vehicle_ms(self) -> int | None:
        return milliseconds(self.vehicle_presence_time)

    @property
    def kind(self) -> Kind:
        """What the row is: `undetermined` if it has signs of both or of none. A null is no sign."""
        identified = (self.vr_id, self.watcher_id, self.watcher_start, self.tracking_mode)
        is_person = bool(self.footfall_ms) or any(each is not None for each in identified)
        is_vehicle = bool(self.vehicle_ms)
        if is_person == is_vehicle:
            return "undetermined"
        return "person" if is_person else "vehicle"

    @property
    def key_fields(self) -> tuple[int | str | None, ...]:
        return self.type, self.vehicle_ms, self.footfall_ms

    @property
    def fingerprint_fields(self) -> tuple[object, ...]:
        return text_of(self.vr_id), self.tracking_mode, self.color

    @property
    def length_ms(self) -> int | None:
        """That of the vehicle or of the person; the longer one if it is undetermined."""
        return max((each for each in (self.vehicle_ms, self.footfall_ms) if each is not None), default=None)

    @property
    def is_placeholder(self) -> bool:
        return self.vr_id is None and all(each is None for each in self.key_fields)

    @property
    def doubts(self) -> Sequence[str]:
        return ("kind",) if self.kind == "undetermined" else ()


class VehicleOrPersonV1(Lasting, frozen=True, kw_only=True, gc=False):
    """A vehicle or a person that passed the location. Those persons are also in `quividi.footfall`.

    The fields of a vehicle are null for a person, and the other way round, unless the vendor fills them.
    """

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/vehicle_or_person/<location>/<started_local>/<type>-<vehicle presence>-"
            "<footfall presence>/<occurrence>`, with the vendor's code and milliseconds."
        ),
    ]
    kind: Annotated[
        Kind,
        Meta(
            description="Derived from the presences, and from the fields that only persons have; `undetermined` if "
            "they speak for both or for neither."
        ),
    ]
    vehicle_presence_ms: Annotated[
        int | None, Meta(description="How long the vehicle was there, in milliseconds; null for a person.")
    ]
    vehicle_type: Annotated[VehicleType | None, Meta(description="Type as estimated by the camera; null for a person.")]
    vehicle_type_code: VehicleTypeCode
    color: Annotated[
        VehicleColor | None,
        Meta(description="Color as estimated by the camera; null for a person, and if the vendor sends none."),
    ]
    color_code: ColorCode
    impressions: Impressions
    impressions_per_vehicle: ImpressionsPerVehicle
    before_renumbering: BeforeRenumbering
    footfall_presence_ms: Annotated[
        int | None, Meta(description="How long the person was there, in milliseconds; null for a vehicle.")
    ]
    vr_id: VrId
    watcher_id: WatcherId
    watcher_started_at: WatcherStartedAt
    tracking_mode: TrackingMode
    occurrence: Occurrence


def _fields(record: Record[Any]) -> Mapping[str, Any]:
    row: VehicleOrPerson = record.payload.row
    kind = row.kind
    vehicle: dict[str, Any] = {"vehicle_presence_ms": row.vehicle_ms, **vehicle_fields(row)}
    footfall_ms = row.footfall_ms
    if kind == "person":
        vehicle = {name: None if value == 0 else value for name, value in vehicle.items()}
        vehicle["vehicle_type"] = vehicle["vehicle_type"] if vehicle["vehicle_type_code"] is not None else None
        vehicle["color"] = vehicle["color"] if vehicle["color_code"] is not None else None
    elif kind == "vehicle":
        footfall_ms = footfall_ms or None
    return {
        "ended_at": ended_at(record, row),
        "kind": kind,
        **vehicle,
        "before_renumbering": is_before_renumbering(record),
        "footfall_presence_ms": footfall_ms,
        **link_fields(record.payload),
    }


VEHICLE_OR_PERSON = EventType("quividi.vehicle_or_person.v1", "quividi.vehicles_footfall", VehicleOrPersonV1)
FORM = FinestForm(VEHICLE_OR_PERSON, row_decoder(VehicleOrPerson), _fields)
