"""The types of export: the arguments that each accepts, the fields of its rows, and the events that it publishes.

Source: the vendor's document, "Mandatory arguments", "Optional arguments" and "Data formats". Newer field names were
observed in newer versions of VidiCenter. A new aggregated type is an `ExportType` here, an event and a settings class.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Annotated, Any

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.quividi import aggregate_events, events
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


_WATCHERS = Metric("watcher_count", COUNT, ("watcher_count",))
_DURATION = Metric("duration_ms", SECONDS, ("duration",))
_GENDER, _AGE = KeyPart("gender", CODE, is_required=False), KeyPart("age", CODE, is_required=False)
_GATE, _CONTENT = KeyPart("gate_id", NUMBER), KeyPart("content_id", TEXT)
_PROOF_OF_PLAY = (
    Metric("content_duration_ms", SECONDS, ("content_duration",)),
    _DURATION,
    Metric("impressions", ESTIMATE, ("impressions",), is_main=True),
    Metric("estimated_ots", ESTIMATE, ("estimated_ots",), may_be_absent=True),
    Metric("play_count", COUNT, ("play_count",), is_main=True),
    Metric("watchers", COUNT, ("watchers",)),
    Metric("watchers_over_2s", COUNT, ("watchers_2sec",)),
)


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


VIEWERS = ExportType(
    stream="viewers",
    data_type="viewers",
    events=(events.VIEWER,),
    resolutions=(FINEST,),
    resolution_hint="the stream viewers_aggregated has aggregates",
)
VIEWERS_APC = ExportType(
    stream="viewers_apc",
    data_type="viewers_apc",
    events=(events.VIEWER_APC, events.VIEWER_CONTENT),
    resolutions=(FINEST,),
    resolution_hint="VidiCenter does not aggregate viewers with their contents",
    options=frozenset({CONTENT_IDS}),
)
VIEWERS_AGGREGATED = ExportType(
    stream="viewers_aggregated",
    data_type="viewers",
    events=(aggregate_events.VIEWERS_AGGREGATED,),
    resolution_hint="the stream viewers has single viewers",
    options=frozenset({GROUP_BY_DEMOGRAPHICS}),
    key_parts=(_GENDER, _AGE),
    metrics=(
        Metric("watcher_count", COUNT, ("watcher_count",), is_main=True),
        Metric("dwell_ms", TENTHS, ("dwell_time_in_tenths_of_sec", "dwell_time")),
        Metric("attention_ms", TENTHS, ("attention_time_in_tenths_of_sec", "attention_time")),
        Metric("conversion_percent", PERCENT, ("conversion_ratio",), may_be_absent=True, addition=Addition.CONVERSION),
    ),
)
OTS = ExportType(
    stream="ots",
    data_type="ots",
    events=(aggregate_events.OTS,),
    resolution_hint="VidiCenter only exports aggregates of OTS",
    metrics=(Metric("ots_count", COUNT, ("ots_count",), is_main=True), _WATCHERS, _DURATION),
)
GATE = ExportType(
    stream="gate",
    data_type="gate",
    events=(aggregate_events.GATE,),
    resolution_hint="VidiCenter only exports aggregates of gates",
    key_parts=(_GATE,),
    metrics=(
        Metric("in_count", COUNT, ("in_count",), is_main=True),
        Metric("out_count", COUNT, ("out_count",), is_main=True),
        _DURATION,
    ),
)
PROOF_OF_PLAY_BY_LOCATION = ExportType(
    stream="proof_of_play_by_location",
    data_type="proof_of_play_by_location",
    events=(aggregate_events.PROOF_OF_PLAY_BY_LOCATION,),
    resolution_hint="VidiCenter only exports aggregates of proof of play",
    options=frozenset({CONTENT_IDS}),
    key_parts=(_CONTENT,),
    metrics=_PROOF_OF_PLAY,
)
PROOF_OF_PLAY_BY_SITE = ExportType(
    stream="proof_of_play_by_site",
    data_type="proof_of_play_by_site",
    events=(aggregate_events.PROOF_OF_PLAY_BY_SITE,),
    resolution_hint="VidiCenter only exports aggregates of proof of play",
    options=frozenset({CONTENT_IDS}),
    place="site_id",
    key_parts=(_CONTENT,),
    metrics=_PROOF_OF_PLAY,
)
