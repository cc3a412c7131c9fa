"""What the tables of all streams of exports have in common."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, field_validator, model_validator

from collector.alignment import ANCHOR, ANCHOR_DAYS
from collector.settings import Day
from collector.vendors.quividi import (
    aggregated_types,
    finest_types,
    footfall_types,
    impression_types,
    play_types,
    sales_types,
)
from collector.vendors.quividi.export_types import CONTENT_IDS, OPTIONS, ExportType
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST
from collector.vendors.source import HistorySettings, PositiveDuration, Span

EXPORT_TYPES: Mapping[str, ExportType] = {
    each.stream: each
    for module in (finest_types, aggregated_types, play_types, footfall_types, impression_types, sales_types)
    for each in vars(module).values()
    if isinstance(each, ExportType)
}
"""All types, by the name of the stream."""
MAX_IDS_BYTES = 6000
"""The longest list of ids of places in one request: keeps the URL below 8 KiB."""
MAX_CONTENT_IDS_BYTES = 1000
"""The longest list of content ids in one request, in addition to ids of places: keeps the URL below 8 KiB."""


class ExportSettings(HistorySettings):
    """The keys that the tables of all streams have in common."""

    export_type: ClassVar[ExportType]

    resolution: str
    settle: PositiveDuration = timedelta(minutes=45)  # boxes upload about every 30 minutes
    allowed_lateness: PositiveDuration = timedelta(
        days=7
    )  # boxes catch up for days: clients in the field ask again for a week
    sweep_every: PositiveDuration = timedelta(hours=24)  # each sweep is an export of that week

    @model_validator(mode="before")
    @classmethod
    def _has_only_accepted_options(cls, table: Any) -> Any:  # noqa: ANN401 - not validated yet
        for option in OPTIONS:
            if isinstance(table, Mapping) and option in table and option not in cls.export_type.options:
                others = " and ".join(name for name, each in EXPORT_TYPES.items() if option in each.options)
                raise ValueError(f"{option}: VidiCenter accepts it only for {others}")
        return table

    @field_validator("resolution")
    @classmethod
    def _is_accepted_resolution(cls, resolution: str) -> str:
        accepted = cls.export_type.resolutions
        if resolution not in accepted:
            expected = ", ".join(f'"{each}"' for each in accepted)
            is_known = resolution == FINEST or resolution in AGGREGATES
            raise ValueError(f"expected {expected}" + (f": {cls.export_type.resolution_hint}" if is_known else ""))
        return resolution

    @property
    def options(self) -> Mapping[str, str]:
        """The arguments of a request that restrict or group the data."""
        return {}

    @property
    def selected(self) -> Mapping[str, str]:
        """What the table selects beside places, by the words with which a change of it is logged."""
        return self.options


class FinestSettings(ExportSettings):
    """The table of a stream with a row for each viewer."""

    resolution: str = FINEST
    interval: PositiveDuration = timedelta(minutes=15)  # boxes upload twice an hour, and exports are expensive
    span: Span = timedelta(days=1)


class AggregatedSettings(ExportSettings):
    """The table of a stream with numbers for each period."""

    resolution: str = "1h"
    anchor: Day = ANCHOR
    """The day from which periods of 7d, 30d and 1M are counted."""
    interval: PositiveDuration = timedelta(minutes=30)  # boxes upload twice an hour; each upload changes the numbers
    span: Span = timedelta(days=30)  # rows are few: a year of hours takes a dozen exports

    @property
    def selected(self) -> Mapping[str, str]:
        return {self.resolution: "", **self.options}

    @model_validator(mode="after")
    def _anchor_is_in_every_month(self) -> Self:
        check_anchor(self.resolution, self.anchor)
        return self


def check_anchor(resolution: str, anchor: date) -> None:
    """Raise ValueError if periods of this resolution cannot be counted from this day."""
    if resolution == "1M" and anchor.day > ANCHOR_DAYS:
        raise ValueError(f"anchor: expected a day up to the {ANCHOR_DAYS}th, which every month has")


def _check_content_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not ids or not all(ids):
        raise ValueError("expected at least one id; without this key, all contents are selected")
    if any("," in each for each in ids):
        raise ValueError("expected ids without a comma, which separates ids in a request to VidiCenter")
    if len(quote(",".join(ids))) > MAX_CONTENT_IDS_BYTES:
        raise ValueError(f"expected at most {MAX_CONTENT_IDS_BYTES} URL-encoded characters in total")
    return tuple(sorted(set(ids)))


ContentIds = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_check_content_ids)]


def content_ids_argument(content_ids: tuple[str, ...] | None) -> Mapping[str, str]:
    return {CONTENT_IDS: ",".join(content_ids)} if content_ids else {}
