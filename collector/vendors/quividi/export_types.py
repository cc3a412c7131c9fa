"""The table of export types: what each allows, what a row of it says, and what becomes of it.

Source: the vendor's document, "Mandatory arguments", "Optional arguments" and "Data formats"; of the new names, what
was observed of its newer one. A new aggregated type is a row here, an event, and a table of the settings.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.quividi import aggregate_events, events
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST
from collector.vendors.quividi.wire import Identifier, Integer

GROUP_BY_DEMOGRAPHICS, CONTENT_IDS = "group_by_demographics", "content_ids"

RAW_ROWS, AGGREGATED_ROWS = 3_000_000, 20_000_000
"""Which the vendor never sends more of in one export: observed, "Limits"."""


class Unit(Struct, frozen=True):
    """What may stand in the vendor's field, and what it is in the event's."""

    wire: Any
    convert: Callable[[Any], Any]


_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Amount = _Count | Annotated[float, Meta(ge=0, le=1e15)]
_Sum = Annotated[int, Meta(ge=0, le=10**12)] | Annotated[float, Meta(ge=0, le=1e12)]
"""Of durations of many: more than there can be, and in milliseconds it still fits into 64 bits."""

CODE = Unit(Integer, int)
NUMBER = Unit(Identifier, int)
TEXT = Unit(str | Integer, str)
COUNT = Unit(_Count, int)
ESTIMATE = PERCENT = Unit(_Amount, lambda amount: amount)
SECONDS = Unit(_Sum, lambda seconds: round(seconds * 1000))
TENTHS = Unit(_Sum, lambda tenths: round(tenths * 100))


class Metric(Struct, frozen=True):
    """A number: its name in the event, which bears its unit, and the vendor's names, of which the first counts."""

    name: str
    unit: Unit
    said: tuple[str, ...]


class Part(Struct, frozen=True):
    """A field that, beside place and period, says what a row is about."""

    name: str
    unit: Unit
    is_told: bool = True
    """By every row that has a number."""


_WATCHERS = Metric("watcher_count", COUNT, ("watcher_count",))
_DURATION = Metric("duration_ms", SECONDS, ("duration",))
_GENDER, _AGE = Part("gender", CODE, is_told=False), Part("age", CODE, is_told=False)
_GATE, _CONTENT = Part("gate_id", NUMBER), Part("content_id", TEXT)
_PLAYS = (
    Metric("content_duration_ms", SECONDS, ("content_duration",)),
    _DURATION,
    Metric("impressions", ESTIMATE, ("impressions",)),
    Metric("estimated_ots", ESTIMATE, ("estimated_ots",)),
    Metric("play_count", COUNT, ("play_count",)),
    Metric("watchers", COUNT, ("watchers",)),
    Metric("watchers_over_2s", COUNT, ("watchers_2sec",)),
)


class ExportType(Struct, frozen=True):
    """A row of the table."""

    data_type: str
    events: tuple[EventType, ...]
    resolutions: tuple[str, ...] = AGGREGATES
    otherwise: str = "VidiCenter has no other"
    """What to tell those who want another resolution."""
    options: frozenset[str] = frozenset()
    place: str = "location_id"
    parts: tuple[Part, ...] = ()
    """With place and period the key of a row; those of demographics where it is grouped by them."""
    metrics: tuple[Metric, ...] = ()
    """None for finest rows, which have a wire of their own."""

    @property
    def is_aggregated(self) -> bool:
        return FINEST not in self.resolutions

    @property
    def max_rows(self) -> int:
        return AGGREGATED_ROWS if self.is_aggregated else RAW_ROWS


TABLE: Mapping[str, ExportType] = {
    "viewers": ExportType(
        "viewers",
        (events.VIEWER,),
        resolutions=(FINEST,),
        otherwise="aggregates of them are the stream viewers_aggregated",
    ),
    "viewers_apc": ExportType(
        "viewers_apc",
        (events.VIEWER_APC, events.VIEWER_CONTENT),
        resolutions=(FINEST,),
        otherwise="VidiCenter does not aggregate viewers with their contents",
        options=frozenset({CONTENT_IDS}),
    ),
    "viewers_aggregated": ExportType(
        "viewers",
        (aggregate_events.VIEWERS_AGGREGATED,),
        otherwise="viewers one by one are the stream viewers",
        options=frozenset({GROUP_BY_DEMOGRAPHICS}),
        parts=(_GENDER, _AGE),
        metrics=(
            _WATCHERS,
            Metric("dwell_ms", TENTHS, ("dwell_time_in_tenths_of_sec", "dwell_time")),
            Metric("attention_ms", TENTHS, ("attention_time_in_tenths_of_sec", "attention_time")),
            Metric("conversion_percent", PERCENT, ("conversion_ratio",)),
        ),
    ),
    "ots": ExportType(
        "ots",
        (aggregate_events.OTS,),
        otherwise="VidiCenter has OTS as aggregates alone",
        metrics=(Metric("ots_count", COUNT, ("ots_count",)), _WATCHERS, _DURATION),
    ),
    "gate": ExportType(
        "gate",
        (aggregate_events.GATE,),
        otherwise="VidiCenter has gates as aggregates alone",
        parts=(_GATE,),
        metrics=(
            Metric("in_count", COUNT, ("in_count",)),
            Metric("out_count", COUNT, ("out_count",)),
            _DURATION,
        ),
    ),
    "proof_of_play_by_location": ExportType(
        "proof_of_play_by_location",
        (aggregate_events.PROOF_OF_PLAY_BY_LOCATION,),
        otherwise="VidiCenter has proof of play as aggregates alone",
        options=frozenset({CONTENT_IDS}),
        parts=(_CONTENT,),
        metrics=_PLAYS,
    ),
    "proof_of_play_by_site": ExportType(
        "proof_of_play_by_site",
        (aggregate_events.PROOF_OF_PLAY_BY_SITE,),
        otherwise="VidiCenter has proof of play as aggregates alone",
        options=frozenset({CONTENT_IDS}),
        place="site_id",
        parts=(_CONTENT,),
        metrics=_PLAYS,
    ),
}
"""By the name of the stream."""
