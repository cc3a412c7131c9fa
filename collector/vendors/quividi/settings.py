"""The settings of a Quividi source. The export type of a stream determines which arguments its table may have."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, cast
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from collector.alignment import ANCHOR, ANCHOR_DAYS
from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, Failed, is_out_of_files
from collector.model import Account
from collector.secrets import Secret
from collector.settings import Count, Day, Switch
from collector.vendors.quividi import export_types
from collector.vendors.quividi.export_types import CONTENT_IDS, GROUP_BY_DEMOGRAPHICS, ExportType
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST
from collector.vendors.source import (
    ChosenStreams,
    HistorySettings,
    PositiveDuration,
    SourceSettings,
    Span,
    StreamSettings,
)

Identifier = Annotated[Count, Field(ge=0)]
MAX_CONTENT_IDS_BYTES = 1000
"""The longest list of content ids in one request, in addition to ids of places: keeps the URL below 8 KiB."""


class ExportSettings(HistorySettings):
    """The keys that the tables of all streams have in common."""

    export_type: ClassVar[ExportType]

    resolution: str
    settle: PositiveDuration = timedelta(minutes=45)  # boxes upload about every 30 minutes
    allowed_lateness: PositiveDuration = timedelta(days=3)  # a box that was offline over a weekend
    sweep_every: PositiveDuration = timedelta(hours=12)

    @model_validator(mode="before")
    @classmethod
    def _has_only_accepted_options(cls, table: Any) -> Any:  # noqa: ANN401 - not validated yet
        for option in (GROUP_BY_DEMOGRAPHICS, CONTENT_IDS):
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

    @model_validator(mode="after")
    def _anchor_is_in_every_month(self) -> Self:
        if self.resolution == "1M" and self.anchor.day > ANCHOR_DAYS:
            raise ValueError(f"anchor: expected a day up to the {ANCHOR_DAYS}th, which every month has")
        return self


def _check_content_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not ids or not all(ids):
        raise ValueError("expected at least one id; without this key, all contents are selected")
    if any("," in each for each in ids):
        raise ValueError("expected ids without a comma, which separates ids in a request to VidiCenter")
    if len(quote(",".join(ids))) > MAX_CONTENT_IDS_BYTES:
        raise ValueError(f"expected at most {MAX_CONTENT_IDS_BYTES} URL-encoded characters in total")
    return tuple(sorted(set(ids)))


ContentIds = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_check_content_ids)]


class ViewersSettings(FinestSettings):
    """`[sources.<name>.streams.viewers]`."""

    export_type = export_types.VIEWERS


class ViewersApcSettings(FinestSettings):
    """`[sources.<name>.streams.viewers_apc]`."""

    export_type = export_types.VIEWERS_APC

    content_ids: ContentIds | None = None

    @property
    def options(self) -> Mapping[str, str]:
        return _content_ids_argument(self.content_ids)


class ViewersAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.viewers_aggregated]`."""

    export_type = export_types.VIEWERS_AGGREGATED

    group_by_demographics: Switch = False

    @property
    def options(self) -> Mapping[str, str]:
        return {GROUP_BY_DEMOGRAPHICS: "1"} if self.group_by_demographics else {}  # its presence counts, not its value


class OtsSettings(AggregatedSettings):
    """`[sources.<name>.streams.ots]`."""

    export_type = export_types.OTS


class GateSettings(AggregatedSettings):
    """`[sources.<name>.streams.gate]`."""

    export_type = export_types.GATE


class ProofOfPlayByLocationSettings(AggregatedSettings):
    """`[sources.<name>.streams.proof_of_play_by_location]`."""

    export_type = export_types.PROOF_OF_PLAY_BY_LOCATION

    content_ids: ContentIds | None = None

    @property
    def options(self) -> Mapping[str, str]:
        return _content_ids_argument(self.content_ids)


class ProofOfPlayBySiteSettings(ProofOfPlayByLocationSettings):
    """`[sources.<name>.streams.proof_of_play_by_site]`."""

    export_type = export_types.PROOF_OF_PLAY_BY_SITE


def _content_ids_argument(content_ids: tuple[str, ...] | None) -> Mapping[str, str]:
    return {CONTENT_IDS: ",".join(content_ids)} if content_ids else {}


class Streams(ChosenStreams):
    """`[sources.<name>.streams]`: the list of the vendor's streams, from which all others are derived."""

    viewers: ViewersSettings | None = None
    viewers_apc: ViewersApcSettings | None = None
    viewers_aggregated: ViewersAggregatedSettings | None = None
    ots: OtsSettings | None = None
    gate: GateSettings | None = None
    proof_of_play_by_location: ProofOfPlayByLocationSettings | None = None
    proof_of_play_by_site: ProofOfPlayBySiteSettings | None = None

    @property
    def main(self) -> Mapping[str, StreamSettings]:
        return {"viewers": ViewersSettings()}

    @property
    def exports(self) -> Sequence[ExportSettings]:
        """The settings of the configured streams."""
        return cast("Sequence[ExportSettings]", list(self.chosen.values()))


EXPORT_TYPES: Mapping[str, ExportType] = {
    name: cast("type[ExportSettings]", settings).export_type for name, settings in Streams.settings_types().items()
}
"""By the name of the stream."""


def _check_ids(ids: tuple[int, ...]) -> tuple[int, ...]:
    if not ids:
        raise ValueError("expected at least one id; remove the key if it selects nothing")
    return ids


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        if is_out_of_files(error):
            raise Failed(f"the time zone {name} cannot be read: {RAISE_FILE_LIMIT}", code=OUT_OF_FILES) from None
        raise ValueError("expected a time zone of the IANA database, such as Europe/Paris") from None
    return name


Ids = Annotated[tuple[Identifier, ...], Field(strict=False), AfterValidator(_check_ids)]


class QuividiSource(SourceSettings):
    """`[sources.<name>]` with `vendor = "quividi"`."""

    vendor: Literal["quividi"]
    base_url: str = "https://vidicenter.quividi.com/api/v1"
    username: Annotated[str, Field(min_length=1)]
    token: Secret
    locations: Ids | None = None
    sites: Ids | None = None
    location_tags: Ids | None = None
    site_tags: Ids | None = None
    timezone: Annotated[str, AfterValidator(_check_zone)]
    """The time zone of the locations: the vendor's responses do not contain it."""
    # The limits of VidiCenter: 2 connections from one address, and 50 calls a minute by one user.
    max_concurrency: Annotated[Count, Field(ge=1)] = 2
    max_requests_per_minute: Annotated[Count, Field(ge=1)] | None = 50
    streams: Streams = Streams()

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        if not self.selectors:
            raise ValueError("expected at least one of locations, sites, location_tags and site_tags")
        return self

    @model_validator(mode="after")
    def _has_valid_username(self) -> Self:
        if ":" in self.username:
            raise ValueError(
                "username: expected a name without a colon, which HTTP Basic authentication does not allow"
            )
        return self

    @model_validator(mode="after")
    def _has_whole_sites(self) -> Self:
        for each in self.streams.exports:
            if each.export_type.place == "site_id" and (self.locations or self.location_tags):
                raise ValueError(
                    f"streams.{each.export_type.stream} needs sites or site_tags alone: the numbers of some locations "
                    "of a site are not those of the site (put the stream into a source of its own)"
                )
        return self

    @property
    def account(self) -> Account:
        return Account("quividi", self.username)

    @property
    def selectors(self) -> Mapping[str, tuple[int, ...]]:
        """The selected ids by the vendor's name of the argument, sorted and without duplicates."""
        ids_by_selector = {
            "locations": self.locations,
            "sites": self.sites,
            "location_tags": self.location_tags,
            "site_tags": self.site_tags,
        }
        return {name: tuple(sorted(set(ids))) for name, ids in ids_by_selector.items() if ids}
