"""The settings of a Quividi source."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from collector.model import Account
from collector.secrets import Secret
from collector.settings import STRICT, Count, Name
from collector.vendors.quividi import aggregated_settings, finest_settings, status_settings
from collector.vendors.quividi.export_settings import MAX_IDS_BYTES, ExportSettings
from collector.vendors.quividi.export_types import ExportType
from collector.vendors.quividi.row_settings import RowSettings
from collector.vendors.quividi.topology import settings as topology_settings
from collector.vendors.quividi.zoning import LOCATIONS, SITES, Zone, Zoning
from collector.vendors.source import ChosenStreams, SourceSettings, StreamSettings
from collector.vendors.time_zones import ZoneName

Identifier = Annotated[Count, Field(ge=0)]
SELECTORS = ("locations", "sites", "location_tags", "site_tags")


class Streams(ChosenStreams):
    """`[sources.<name>.streams]`: the list of the vendor's streams, from which all others are derived."""

    viewers: finest_settings.ViewersSettings | None = None
    viewers_apc: finest_settings.ViewersApcSettings | None = None
    footfall: finest_settings.FootfallSettings | None = None
    vehicles: finest_settings.VehiclesSettings | None = None
    vehicles_footfall: finest_settings.VehiclesFootfallSettings | None = None
    retail_analytics_footfall: finest_settings.RetailAnalyticsFootfallSettings | None = None
    pmp_sales_by_demographics: finest_settings.PmpSalesByDemographicsSettings | None = None
    pmp_sales_funnel: finest_settings.PmpSalesFunnelSettings | None = None
    viewers_aggregated: aggregated_settings.ViewersAggregatedSettings | None = None
    ots: aggregated_settings.OtsSettings | None = None
    gate: aggregated_settings.GateSettings | None = None
    proof_of_play_by_location: aggregated_settings.ProofOfPlayByLocationSettings | None = None
    proof_of_play_by_site: aggregated_settings.ProofOfPlayBySiteSettings | None = None
    alerts: status_settings.AlertsSettings | None = None
    monitoring: status_settings.MonitoringSettings | None = None
    locations: topology_settings.LocationsSettings | None = None
    sites: topology_settings.SitesSettings | None = None
    boxes: topology_settings.BoxesSettings | None = None
    zones: topology_settings.ZonesSettings | None = None
    tags: topology_settings.TagsSettings | None = None
    contents: topology_settings.ContentsSettings | None = None
    extrapolated_ots: aggregated_settings.ExtrapolatedOtsSettings | None = None
    extrapolated_watchers: aggregated_settings.ExtrapolatedWatchersSettings | None = None
    proof_of_play_by_location_footfall_faces: aggregated_settings.FacesByLocationSettings | None = None
    proof_of_play_by_site_footfall_faces: aggregated_settings.FacesBySiteSettings | None = None
    proof_of_play_vehicle_person_by_location: aggregated_settings.VehiclesByLocationSettings | None = None
    proof_of_play_vehicle_person_by_site: aggregated_settings.VehiclesBySiteSettings | None = None
    content_plays: aggregated_settings.ContentPlaysSettings | None = None
    footfall_aggregated: aggregated_settings.FootfallAggregatedSettings | None = None
    vehicles_aggregated: aggregated_settings.VehiclesAggregatedSettings | None = None
    vehicles_footfall_aggregated: aggregated_settings.VehiclesFootfallAggregatedSettings | None = None
    compass: aggregated_settings.CompassSettings | None = None
    retail_analytics_footfall_aggregated: aggregated_settings.RetailAnalyticsFootfallAggregatedSettings | None = None
    im: aggregated_settings.ImSettings | None = None
    im_nobackup: aggregated_settings.ImNobackupSettings | None = None
    im_ots: aggregated_settings.ImOtsSettings | None = None
    im_ots_nobackup: aggregated_settings.ImOtsNobackupSettings | None = None
    targeted_im: aggregated_settings.TargetedImSettings | None = None
    pmp_sales_by_demographics_aggregated: aggregated_settings.PmpSalesByDemographicsAggregatedSettings | None = None
    pmp_sales_funnel_aggregated: aggregated_settings.PmpSalesFunnelAggregatedSettings | None = None

    @property
    def main(self) -> Mapping[str, StreamSettings]:
        return {"viewers": finest_settings.ViewersSettings()}

    @property
    def exports(self) -> Sequence[ExportSettings]:
        """The settings of the configured streams of exports."""
        return [each for each in self.chosen.values() if isinstance(each, ExportSettings)]


def _check_is_free(stream: str) -> str:
    if stream in Streams.model_fields:
        raise ValueError("the collector has a stream of this name: choose another name")
    return stream


RowStream = Annotated[Name, AfterValidator(_check_is_free)]
"""The name of a stream whose type of export is configured by hand."""


def _check_ids(ids: tuple[int, ...]) -> tuple[int, ...]:
    if not ids:
        raise ValueError("expected at least one id; remove the key if it selects nothing")
    return ids


Ids = Annotated[tuple[Identifier, ...], Field(strict=False), AfterValidator(_check_ids)]


def _check_all(text: str) -> str:
    if text != "all":
        raise ValueError('expected "all", or an array of ids')
    return text


IdsOrAll = Annotated[
    Annotated[Literal["all"], BeforeValidator(_check_all), Tag("[all]")] | Annotated[Ids, Tag("[ids]")],
    Discriminator(lambda value: "[all]" if isinstance(value, str) else "[ids]"),
]
"""The kind of the value selects the alternative, so that an error names what is wrong with that one only."""


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

    stream_tables: ClassVar[frozenset[str]] = frozenset({"streams", "rows"})

    vendor: Literal["quividi"]
    base_url: str = "https://vidicenter.quividi.com/api/v1"
    username: Annotated[str, Field(min_length=1)]
    token: Secret
    locations: IdsOrAll | None = None
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
    rows: dict[RowStream, RowSettings] | None = None
    """Types of export that the collector does not know, by the name of the stream."""

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
                raise ValueError(
                    f"zones: {kind} {', '.join(map(str, doubled_ids))}: named twice; each place is in one zone, once"
                )
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
        for each, _ in self.exports:
            if each.place != "site_id":
                continue
            if any(zone.locations for zone in self.zones):
                raise ValueError(
                    f"{self._table(each)} has numbers of whole sites: name the sites in zones, not the "
                    "locations (or put the stream into a source of its own)"
                )
            if (self.locations and not self.follows_account) or self.location_tags:
                raise ValueError(
                    f"{self._table(each)} needs sites or site_tags alone: the numbers of some locations "
                    "of a site are not those of the site (put the stream into a source of its own)"
                )
        return self

    @model_validator(mode="after")
    def _has_one_selection(self) -> Self:
        lists = [(name, ",".join(map(str, ids))) for name, ids in self.selectors.items()]
        is_one_request = len(lists) == 1 and len(lists[0][1]) <= MAX_IDS_BYTES and not self.zones
        for each, _ in self.exports:
            if each.place is None and not is_one_request:
                raise ValueError(
                    f"{self._table(each)} needs a selection that fits into one request: only one of "
                    f"{', '.join(SELECTORS)}, with ids of at most {MAX_IDS_BYTES} characters in total, "
                    "and no zones. The numbers of two parts are not those of the whole (put the stream into a "
                    "source of its own)"
                )
        return self

    def _table(self, export_type: ExportType) -> str:
        return f"{'rows' if export_type.stream in (self.rows or {}) else 'streams'}.{export_type.stream}"

    @property
    def chosen(self) -> Mapping[str, StreamSettings]:
        if not self.rows:
            return self.streams.chosen
        return {**self.streams.tables, **self.rows}

    @property
    def exports(self) -> Sequence[tuple[ExportType, ExportSettings]]:
        """The configured streams of exports, with their types."""
        tables = [(name, each) for name, each in self.chosen.items() if isinstance(each, ExportSettings)]
        return [
            (each.type_of(name) if isinstance(each, RowSettings) else each.export_type, each) for name, each in tables
        ]

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
        ids_by_selector = {name: getattr(self, name) for name in SELECTORS}
        if self.follows_account:
            del ids_by_selector[LOCATIONS]
        return {name: tuple(sorted(set(ids))) for name, ids in ids_by_selector.items() if ids}
