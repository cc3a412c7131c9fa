"""The settings of a Quividi source: the table of export types says what each of its streams may be asked for."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from collector.alignment import ANCHOR, ANCHOR_DAYS
from collector.model import Account
from collector.secrets import Secret
from collector.settings import Count, Day, Switch
from collector.vendors.quividi.export_types import CONTENT_IDS, GROUP_BY_DEMOGRAPHICS, TABLE
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST
from collector.vendors.source import ChosenStreams, HistorySettings, Positive, SourceSettings, Span, StreamSettings

Identifier = Annotated[Count, Field(ge=0)]
MAX_CONTENT_IDS_BYTES = 1000
"""Of contents in one request, beside the ids of places: no URL grows past 8 KiB."""


class ExportSettings(HistorySettings):
    """What the tables of all streams have."""

    stream: ClassVar[str]

    resolution: str
    settle: Positive = timedelta(minutes=45)  # boxes upload about every 30 minutes
    allowed_lateness: Positive = timedelta(days=3)  # a box that was offline over a weekend
    sweep_every: Positive = timedelta(hours=12)

    @model_validator(mode="before")
    @classmethod
    def _has_only_options_that_there_are(cls, given: Any) -> Any:  # noqa: ANN401 - anything may stand there
        for option in (GROUP_BY_DEMOGRAPHICS, CONTENT_IDS):
            if isinstance(given, Mapping) and option in given and option not in TABLE[cls.stream].options:
                others = " and ".join(name for name, kind in TABLE.items() if option in kind.options)
                raise ValueError(f"{option}: VidiCenter takes it for {others} alone")
        return given

    @field_validator("resolution")
    @classmethod
    def _is_one_that_there_is(cls, resolution: str) -> str:
        kind = TABLE[cls.stream]
        if resolution not in kind.resolutions:
            allowed = ", ".join(f'"{each}"' for each in kind.resolutions)
            reason = f": {kind.otherwise}" if resolution == FINEST or resolution in AGGREGATES else ""
            raise ValueError(f"expected {allowed}{reason}")
        return resolution

    @property
    def options(self) -> Mapping[str, str]:
        """The arguments of a request that say what of the data is wanted, as far as it is not all of it."""
        return {}


class FinestSettings(ExportSettings):
    """What is exported row by row."""

    resolution: str = FINEST
    interval: Positive = timedelta(minutes=15)  # an export costs the vendor something, and boxes upload twice an hour
    span: Span = timedelta(days=1)


class AggregatedSettings(ExportSettings):
    """What is exported as numbers for periods."""

    resolution: str = "1h"
    anchor: Day = ANCHOR
    """From where periods of 7d, 30d and 1M are counted."""
    interval: Positive = timedelta(minutes=30)  # boxes upload twice an hour, and each upload changes the numbers
    span: Span = timedelta(days=30)  # rows are few: a year of hours is a dozen of exports

    @model_validator(mode="after")
    def _counts_from_a_day_of_every_month(self) -> Self:
        if self.resolution == "1M" and self.anchor.day > ANCHOR_DAYS:
            raise ValueError(f"anchor: expected a day up to the {ANCHOR_DAYS}th, which every month has")
        return self


def _askable(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not ids or not all(ids):
        raise ValueError("expected at least one id, or no such key")
    if any("," in each for each in ids):
        raise ValueError("expected ids without a comma, which to VidiCenter is the end of one")
    if len(quote(",".join(ids))) > MAX_CONTENT_IDS_BYTES:
        raise ValueError(f"expected {MAX_CONTENT_IDS_BYTES} characters at most in all, as a URL writes them")
    return tuple(sorted(set(ids)))


ContentIds = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_askable)]


class ViewersSettings(FinestSettings):
    """`[sources.<name>.streams.viewers]`."""

    stream = "viewers"


class ViewersApcSettings(FinestSettings):
    """`[sources.<name>.streams.viewers_apc]`."""

    stream = "viewers_apc"

    content_ids: ContentIds | None = None

    @property
    def options(self) -> Mapping[str, str]:
        return _of(self.content_ids)


class ViewersAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.viewers_aggregated]`."""

    stream = "viewers_aggregated"

    group_by_demographics: Switch = False

    @property
    def options(self) -> Mapping[str, str]:
        return {GROUP_BY_DEMOGRAPHICS: "1"} if self.group_by_demographics else {}  # it counts by being there


class OtsSettings(AggregatedSettings):
    """`[sources.<name>.streams.ots]`."""

    stream = "ots"


class GateSettings(AggregatedSettings):
    """`[sources.<name>.streams.gate]`."""

    stream = "gate"


class ProofOfPlayByLocationSettings(AggregatedSettings):
    """`[sources.<name>.streams.proof_of_play_by_location]`."""

    stream = "proof_of_play_by_location"

    content_ids: ContentIds | None = None

    @property
    def options(self) -> Mapping[str, str]:
        return _of(self.content_ids)


class ProofOfPlayBySiteSettings(ProofOfPlayByLocationSettings):
    """`[sources.<name>.streams.proof_of_play_by_site]`."""

    stream = "proof_of_play_by_site"


def _of(content_ids: tuple[str, ...] | None) -> Mapping[str, str]:
    return {CONTENT_IDS: ",".join(content_ids)} if content_ids else {}


class Streams(ChosenStreams):
    """`[sources.<name>.streams]`."""

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
        return [each for each in self.chosen.values() if isinstance(each, ExportSettings)]


def _some(ids: tuple[int, ...]) -> tuple[int, ...]:
    if not ids:
        raise ValueError("expected at least one id, or no such key")
    return ids


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # of which the last is the one for a zone that there is not
        raise ValueError("expected a time zone of the IANA database, such as Europe/Paris") from None
    return name


Ids = Annotated[tuple[Identifier, ...], Field(strict=False), AfterValidator(_some)]


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
    timezone: Annotated[str, AfterValidator(_is_zone)]
    """Of the locations: the vendor says no zone anywhere."""
    # What VidiCenter takes: 2 connections from one address and 50 calls a minute of one user.
    max_concurrency: Annotated[Count, Field(ge=1)] = 2
    max_requests_per_minute: Annotated[Count, Field(ge=1)] | None = 50
    streams: Streams = Streams()

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        if not self.selectors:
            raise ValueError("expected at least one of locations, sites, location_tags and site_tags")
        if ":" in self.username:
            raise ValueError("username: expected a name without a colon")
        return self

    @model_validator(mode="after")
    def _has_whole_sites(self) -> Self:
        for name in self.streams.chosen:
            if TABLE[name].place == "site_id" and (self.locations or self.location_tags):
                raise ValueError(
                    f"streams.{name} needs sites or site_tags alone: a site's numbers over some of its locations are "
                    "not the site's (make it a source of its own)"
                )
        return self

    @property
    def account(self) -> Account:
        return Account("quividi", self.username)

    @property
    def selectors(self) -> Mapping[str, tuple[int, ...]]:
        """What is asked for, by the vendor's name of the argument: each id once, in order."""
        given = {
            "locations": self.locations,
            "sites": self.sites,
            "location_tags": self.location_tags,
            "site_tags": self.site_tags,
        }
        return {name: tuple(sorted(set(ids))) for name, ids in given.items() if ids}
