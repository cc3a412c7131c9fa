"""The rows of exports of finest vehicles.

Source: the vendor's newer document, "Finest vehicles export". The vendor renumbered the types on 2021-08-10, and does
not state whether older rows have the new numbers. Impressions are a factor of the site for the type of vehicle, which
the vendor's user may change: no list of fields has them. `impressions` is their name before December 2021.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Protocol

from msgspec import Meta

from collector.instants import to_ms
from collector.model import EventType, Record
from collector.vendors.leniency import fraction
from collector.vendors.quividi.finest import FinestForm, FinestRow, milliseconds, row_decoder
from collector.vendors.quividi.finest_fields import Lasting, Occurrence, ended_at, word
from collector.vendors.quividi.wire import ABSENT, Amount, Integer, Tenths
from collector.vendors.vocabulary import VehicleColor, VehicleType

# Zero means unknown, as does an undocumented code: one of the vendor's examples has a color of five digits.
TYPES: Mapping[int, VehicleType] = {1: "car", 2: "bus", 3: "truck_or_suv", 4: "van", 5: "bike"}
COLORS: Mapping[int, VehicleColor] = {
    1: "white",
    2: "gray",
    3: "yellow",
    4: "red",
    5: "green",
    6: "blue",
    7: "black",
}
RENUMBERED_LOCAL_S = to_ms(datetime(2021, 8, 10)) // 1000  # noqa: DTZ001 - local


class Vehicle(FinestRow, frozen=True, gc=False, omit_defaults=True):
    """A row: a vehicle that passed."""

    KIND = "vehicle"
    REQUIRED = (("type",), ("vehicle_presence_time",))
    FORMER: ClassVar[Mapping[str, str]] = {"impressions": "vehicle_impressions"}

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
    def key_fields(self) -> tuple[int | str | None, ...]:
        return self.type, self.vehicle_ms

    @property
    def fingerprint_fields(self) -> tuple[object, ...]:
        return (self.color,)

    @property
    def length_ms(self) -> int | None:
        return self.vehicle_ms


class VehicleRow(Protocol):
    """A row that has the fields of a vehicle."""

    @property
    def type(self) -> int | None: ...
    @property
    def color(self) -> int | None: ...
    @property
    def vehicle_impressions(self) -> float | None: ...
    @property
    def impressions(self) -> float | None: ...
    @property
    def impressions_per_vehicle(self) -> float | None: ...


VehicleTypeCode = Annotated[int | None, Meta(description="The vendor's code of the type.")]
ColorCode = Annotated[
    int | None,
    Meta(description="The vendor's code of the color, of which some are not documented; null if it sends none."),
]
Impressions = Annotated[
    float | None,
    Meta(description="Estimated persons in the vehicle; null if the vendor sends none."),
]
ImpressionsPerVehicle = Annotated[
    float | None,
    Meta(
        description="The site's factor for this type of vehicle when the vendor made the row. Never add it up. Null "
        "if the vendor sends none."
    ),
]
BeforeRenumbering = Annotated[
    bool,
    Meta(
        description="Whether it passed before 2021-08-10, when the vendor renumbered the types: `vehicle_type` may be "
        "wrong."
    ),
]


class VehicleV1(Lasting, frozen=True, kw_only=True, gc=False):
    """A vehicle that passed the location."""

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/vehicle/<location>/<started_local>/<type>-<presence>/<occurrence>`, with the "
            "vendor's code and milliseconds."
        ),
    ]
    presence_ms: Annotated[int | None, Meta(description="How long the vehicle was there, in milliseconds.")]
    vehicle_type: Annotated[VehicleType, Meta(description="Type as estimated by the camera.")]
    vehicle_type_code: VehicleTypeCode
    color: Annotated[
        VehicleColor | None, Meta(description="Color as estimated by the camera; null if the vendor sends none.")
    ]
    color_code: ColorCode
    impressions: Impressions
    impressions_per_vehicle: ImpressionsPerVehicle
    before_renumbering: BeforeRenumbering
    occurrence: Occurrence


def vehicle_fields(row: VehicleRow) -> dict[str, Any]:
    """The fields that describe a vehicle."""
    impressions = row.impressions if row.vehicle_impressions is None else row.vehicle_impressions
    return {
        "vehicle_type": word(TYPES, row.type, "unknown"),
        "vehicle_type_code": row.type,
        "color": word(COLORS, row.color, "unknown"),
        "color_code": row.color,
        "impressions": fraction(impressions),
        "impressions_per_vehicle": fraction(row.impressions_per_vehicle),
    }


def is_before_renumbering(record: Record[Any]) -> bool:
    """Whether a record is from the time of the former numbers of types, by the clock of the location."""
    return record.vendor_local_s < RENUMBERED_LOCAL_S


def _fields(record: Record[Any]) -> Mapping[str, Any]:
    row: Vehicle = record.payload.row
    fields = vehicle_fields(row)
    return fields | {
        "vehicle_type": fields["vehicle_type"] or "unknown",
        "ended_at": ended_at(record, row),
        "presence_ms": row.vehicle_ms,
        "before_renumbering": is_before_renumbering(record),
    }


VEHICLE = EventType("quividi.vehicle.v1", "quividi.vehicles", VehicleV1)
FORM = FinestForm(VEHICLE, row_decoder(Vehicle), _fields)
