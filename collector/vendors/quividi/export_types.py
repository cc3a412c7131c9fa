"""What a type of export is: the arguments that it accepts, the fields of its rows, and the events that it publishes.

The types themselves are in `finest_types.py` and `aggregated_types.py`. A new aggregated type is an `ExportType` there,
an event and a settings class.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Annotated, Any

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST
from collector.vendors.quividi.wire import Identifier, Integer

GROUP_BY_DEMOGRAPHICS, CONTENT_IDS = "group_by_demographics", "content_ids"

MAX_FINEST_ROWS, MAX_AGGREGATED_ROWS = 3_000_000, 20_000_000
"""The vendor never sends more rows in one export. Source: the vendor's newer document, "Limits"."""


class Unit(Struct, frozen=True):
    """The type of a vendor's field, and its conversion to the event's field."""

    wire: Any
    convert: Callable[[Any], Any]


_Count = Annotated[int, Meta(ge=0, le=10**15)]
"""The bound is above any real value. Sums of counts still fit into 64 bits."""
_Amount = _Count | Annotated[float, Meta(ge=0, le=1e15)]
_TotalDuration = Annotated[int, Meta(ge=0, le=10**12)] | Annotated[float, Meta(ge=0, le=1e12)]
"""The sum of many durations. The bound is above any real value, and in milliseconds still fits into 64 bits."""

CODE = Unit(Integer, int)
NUMBER = Unit(Identifier, int)
TEXT = Unit(str | Integer, lambda text: str(text) or None)
"""An empty text identifies nothing, as null."""
COUNT = Unit(_Count, int)
ESTIMATE = PERCENT = Unit(_Amount, lambda amount: float(amount) + 0.0)
"""Always a fraction in the event, and never -0.0: the vendor writes 3 in one export and 3.0 in the next."""
SECONDS = Unit(_TotalDuration, lambda seconds: round(seconds * 1000))
TENTHS = Unit(_TotalDuration, lambda tenths: round(tenths * 100))


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
    wire_names: tuple[str, ...]
    """The vendor's fields; the first one that is not null is used."""
    is_main: bool = False
    """Whether the field must be understood: a row in which it is neither a number nor null is malformed. It must not be
    absent either, also where all other metrics are null. Other metrics that cannot be understood are null."""
    may_be_absent: bool = False
    """Whether a row with numbers may lack all of the fields, which is the same as null. If not, such a row is
    malformed: the vendor has renamed the field, and a revision with null would replace the published number."""
    addition: Addition = Addition.SUM


class KeyPart(Struct, frozen=True):
    """A field that, with the place and the period, identifies a row."""

    name: str
    unit: Unit
    is_required: bool = True
    """Whether every row with a metric must have it."""


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
    place: str = "location_id"
    """The field that identifies the place of a row."""
    key_parts: tuple[KeyPart, ...] = ()
    """With place and period, the key of a row. Gender and age are part of it only if rows are grouped by them."""
    metrics: tuple[Metric, ...] = ()
    """Empty for finest exports, whose rows have structs of their own."""

    @property
    def is_aggregated(self) -> bool:
        return FINEST not in self.resolutions

    @property
    def max_rows(self) -> int:
        return MAX_AGGREGATED_ROWS if self.is_aggregated else MAX_FINEST_ROWS
