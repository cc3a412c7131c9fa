"""The settings of a Quividi source."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, Field, model_validator

from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, Failed, is_out_of_files
from collector.model import Account
from collector.secrets import Secret
from collector.settings import STRICT, Count
from collector.vendors.quividi import aggregated_settings, finest_settings
from collector.vendors.quividi.export_settings import ExportSettings
from collector.vendors.quividi.zoning import LOCATIONS, SITES, Zone, Zoning
from collector.vendors.source import ChosenStreams, SourceSettings, StreamSettings

Identifier = Annotated[Count, Field(ge=0)]


class Streams(ChosenStreams):
    """`[sources.<name>.streams]`: the list of the vendor's streams, from which all others are derived."""

    viewers: finest_settings.ViewersSettings | None = None
    viewers_apc: finest_settings.ViewersApcSettings | None = None
    viewers_aggregated: aggregated_settings.ViewersAggregatedSettings | None = None
    ots: aggregated_settings.OtsSettings | None = None
    gate: aggregated_settings.GateSettings | None = None
    proof_of_play_by_location: aggregated_settings.ProofOfPlayByLocationSettings | None = None
    proof_of_play_by_site: aggregated_settings.ProofOfPlayBySiteSettings | None = None

    @property
    def main(self) -> Mapping[str, StreamSettings]:
        return {"viewers": finest_settings.ViewersSettings()}

    @property
    def exports(self) -> Sequence[ExportSettings]:
        """The settings of the configured streams of exports."""
        return [each for each in self.chosen.values() if isinstance(each, ExportSettings)]


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
ZoneName = Annotated[str, AfterValidator(_check_zone)]


class ZoneSettings(BaseModel):
    """`[[sources.<name>.zones]]`: places that are in another zone than `timezone`."""

    model_config = STRICT

    timezone: ZoneName
    sites: Ids | None = None
    locations: Ids | None = None

    @model_validator(mode="after")
    def _has_places(self) -> Self:
        if not self.sites and not self.locations:
            raise ValueError("expected sites or locations: the places that are in this zone")
        return self


class QuividiSource(SourceSettings):
    """`[sources.<name>]` with `vendor = "quividi"`."""

    vendor: Literal["quividi"]
    base_url: str = "https://vidicenter.quividi.com/api/v1"
    username: Annotated[str, Field(min_length=1)]
    token: Secret
    locations: Literal["all"] | Ids | None = None
    """Ids, or "all" to follow the account's active locations."""
    sites: Ids | None = None
    location_tags: Ids | None = None
    site_tags: Ids | None = None
    timezone: ZoneName
    """The time zone of the locations: the vendor's responses do not contain it."""
    zones: Annotated[tuple[ZoneSettings, ...], Field(strict=False)] = ()
    """The locations that are in other zones."""
    # The limits of VidiCenter: 2 connections from one address, and 50 calls a minute by one user.
    max_concurrency: Annotated[Count, Field(ge=1)] = 2
    max_requests_per_minute: Annotated[Count, Field(ge=1)] | None = 50
    streams: Streams = Streams()

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        if self.follows_account:
            if self.selectors:
                raise ValueError(f'locations = "all" already selects everything: remove {", ".join(self.selectors)}')
        elif not self.selectors:
            raise ValueError("expected at least one of locations, sites, location_tags and site_tags")
        return self

    @model_validator(mode="after")
    def _has_distinct_zones(self) -> Self:
        names = [self.timezone, *(zone.timezone for zone in self.zones)]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"zones: {', '.join(doubled)} is named twice: each zone has one table, and is not timezone"
            )
        for kind in (SITES, LOCATIONS):
            ids = [each for zone in self.zones for each in getattr(zone, kind) or ()]
            if doubled_ids := sorted({each for each in ids if ids.count(each) > 1}):
                raise ValueError(f"zones: {kind} {', '.join(map(str, doubled_ids))} are in two zones")
        if self.zones and (self.location_tags or self.site_tags):
            raise ValueError('zones: expected a source that selects locations or sites, or locations = "all"')
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
            if each.export_type.place != "site_id":
                continue
            if any(zone.locations for zone in self.zones):
                raise ValueError(
                    f"streams.{each.export_type.stream} has numbers of whole sites: name the sites in zones, not the "
                    "locations (or put the stream into a source of its own)"
                )
            if (self.locations and not self.follows_account) or self.location_tags:
                raise ValueError(
                    f"streams.{each.export_type.stream} needs sites or site_tags alone: the numbers of some locations "
                    "of a site are not those of the site (put the stream into a source of its own)"
                )
        return self

    @property
    def account(self) -> Account:
        return Account("quividi", self.username)

    @property
    def follows_account(self) -> bool:
        """Whether the source selects the account's active locations, whichever they are."""
        return self.locations == "all"

    @property
    def needs_places(self) -> bool:
        """Whether what to request depends on the account's list of locations."""
        return self.follows_account or bool(self.zones)

    @property
    def zoning(self) -> Zoning:
        """The zones of the source's places."""
        return Zoning(
            self.timezone,
            [Zone(each.timezone, frozenset(each.sites or ()), frozenset(each.locations or ())) for each in self.zones],
        )

    @property
    def selectors(self) -> Mapping[str, tuple[int, ...]]:
        """The selected ids by the vendor's name of the argument, sorted and without duplicates."""
        ids_by_selector = {
            "locations": None if self.locations == "all" else self.locations,
            "sites": self.sites,
            "location_tags": self.location_tags,
            "site_tags": self.site_tags,
        }
        return {name: tuple(sorted(set(ids))) for name, ids in ids_by_selector.items() if ids}
