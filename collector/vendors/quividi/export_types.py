"""What a type of export is: the arguments that it accepts, the fields of its rows, and the events that it publishes.

The types themselves are in `finest_types.py`, `aggregated_types.py`, `play_types.py`, `impression_types.py` and
`sales_types.py`. A new aggregated type is an `ExportType` there, an event and a settings class.
"""

from enum import Enum, auto

from msgspec import Struct

from collector.model import EventType
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST
from collector.vendors.quividi.units import Unit

GROUP_BY_DEMOGRAPHICS, CONTENT_IDS = "group_by_demographics", "content_ids"
AVERAGE_CONTENT_DURATION, EXTRAPOLATION_AMOUNT = "average_content_duration", "extrapolation_amount"
OPTIONS = (GROUP_BY_DEMOGRAPHICS, CONTENT_IDS, AVERAGE_CONTENT_DURATION, EXTRAPOLATION_AMOUNT)
"""The arguments that only some types accept."""

MAX_FINEST_ROWS, MAX_AGGREGATED_ROWS = 3_000_000, 20_000_000
"""The vendor never sends more rows in one export. Source: the vendor's newer document, "Limits"."""
DECIMALS, MORE_DECIMALS = 3, 6
"""The decimals of numbers in fingerprints: of the first types, and of all later ones. Impression multipliers have four
decimals, shares three."""


class Addition(Enum):
    """How the values of two rows become that of the time that both describe together."""

    SUM = auto()
    CONVERSION = auto()
    """A percentage that watchers are of OTS: computed from the sums of both."""
    RATIO = auto()
    """Any other average, rate or share: unknown, unless both rows have the same one."""


class Metric(Struct, frozen=True):
    """A measured value of a row."""

    name: str
    """The event's field, with its unit."""
    unit: Unit
    names: tuple[str, ...]
    """The vendor's fields, the newest name first; the first one that is not null is used."""
    is_main: bool = False
    """Whether the field must be understood: a row in which it is neither a number nor null is malformed. It must not be
    absent either, also where all other metrics are null. Other metrics that cannot be understood are null."""
    may_be_absent: bool = False
    """Whether a row with numbers may lack all of the fields, which is the same as null. If not, such a row is
    malformed: the vendor has renamed the field, and a revision with null would replace the published number."""
    addition: Addition = Addition.SUM
    since: int = 1
    """The first `fields_version` whose fingerprint contains the metric."""
    expected_at: tuple[str, ...] = ()
    """The resolutions at which the vendor documents a field that may be absent: its absence is reported there."""
    in_other_units: tuple[tuple[str, Unit], ...] = ()
    """More of the vendor's fields, older than `names`, with their units."""

    @property
    def fields(self) -> tuple[tuple[str, Unit], ...]:
        """The vendor's fields and their units, the newest first."""
        return (*((name, self.unit) for name in self.names), *self.in_other_units)

    @property
    def wire_names(self) -> tuple[str, ...]:
        """The vendor's fields, the newest first."""
        return tuple(name for name, _ in self.fields)


class Attribute(Struct, frozen=True):
    """A field that describes a row and measures nothing.

    It may be absent, and is never added. A row that only has attributes is a placeholder.
    """

    name: str
    """The event's field, and the vendor's field unless `wire_name` is given."""
    unit: Unit
    wire_name: str = ""
    in_fingerprint: bool = True
    """Whether the row is published again when only this attribute has changed. Not if it tells how something is now:
    then the change of a name, for example, would be a revision of every period of the past."""
    since: int = 1
    """As that of a metric."""
    expected_at: tuple[str, ...] = ()
    """As those of a metric."""

    @property
    def field(self) -> str:
        """The vendor's field."""
        return self.wire_name or self.name


class KeyPart(Struct, frozen=True):
    """A field that, with the place and the period, identifies a row."""

    name: str
    unit: Unit
    is_required: bool = True
    """Whether every row with a metric must have it."""
    only_if_grouped: bool = False
    """Whether it is part of the key only if the request groups rows by demographics."""


class ExportType(Struct, frozen=True, kw_only=True):
    """The type of a stream's exports."""

    stream: str
    data_type: str
    """The argument of the request."""
    events: tuple[EventType, ...]
    resolutions: tuple[str, ...] = AGGREGATES
    resolution_hint: str
    """The end of the error's text for a resolution that VidiCenter has, but not for this type."""
    options: frozenset[str] = frozenset()
    """The optional arguments that the request may have."""
    place: str | None = "location_id"
    """The field that identifies the place of a row. None if rows have no place: they are about all that the request
    selects."""
    key_parts: tuple[KeyPart, ...] = ()
    """With place and period, the key of a row."""
    metrics: tuple[Metric, ...] = ()
    """Empty for finest exports, whose rows have structs of their own."""
    attributes: tuple[Attribute, ...] = ()
    unread: tuple[str, ...] = ()
    """Other fields that the vendor documents, now or formerly. They are not published, and not reported as unknown."""
    is_extrapolated: bool = False
    """Whether the metrics are projections from a sample of places."""
    fields_version: int = 1
    """The version of the field lists of an aggregated type: of the key, and of the fingerprint."""
    decimals: int = MORE_DECIMALS
    """The decimals of numbers in the fingerprint."""

    @property
    def is_aggregated(self) -> bool:
        return FINEST not in self.resolutions

    @property
    def max_rows(self) -> int:
        return MAX_AGGREGATED_ROWS if self.is_aggregated else MAX_FINEST_ROWS
