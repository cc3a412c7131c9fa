"""The tables of the streams with numbers for each period."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from collector.settings import Count, Switch
from collector.vendors.quividi import aggregated_types, footfall_types, impression_types, play_types, sales_types
from collector.vendors.quividi.export_settings import AggregatedSettings, ContentIds, content_ids_argument
from collector.vendors.quividi.export_types import (
    AVERAGE_CONTENT_DURATION,
    EXTRAPOLATION_AMOUNT,
    GROUP_BY_DEMOGRAPHICS,
)
from collector.vendors.source import PositiveDuration


def _average_is_none(given: Any) -> Any:  # noqa: ANN401 - not validated yet
    return None if given == "" else given


ExtrapolationAmount = Annotated[
    Annotated[Count, Field(ge=1)] | None,
    BeforeValidator(_average_is_none),
]
"""A number of locations; None, which is written as an empty string, for the average of the sample."""


def _grouping_argument(*, group_by_demographics: bool) -> Mapping[str, str]:
    return {GROUP_BY_DEMOGRAPHICS: "1"} if group_by_demographics else {}  # its presence counts, not its value


class ViewersAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.viewers_aggregated]`."""

    export_type = aggregated_types.VIEWERS_AGGREGATED

    group_by_demographics: Switch = False

    @property
    def options(self) -> Mapping[str, str]:
        return _grouping_argument(group_by_demographics=self.group_by_demographics)


class OtsSettings(AggregatedSettings):
    """`[sources.<name>.streams.ots]`."""

    export_type = aggregated_types.OTS


class GateSettings(AggregatedSettings):
    """`[sources.<name>.streams.gate]`."""

    export_type = aggregated_types.GATE


class ExtrapolatedOtsSettings(AggregatedSettings):
    """`[sources.<name>.streams.extrapolated_ots]`."""

    export_type = aggregated_types.EXTRAPOLATED_OTS

    extrapolation_amount: ExtrapolationAmount

    @property
    def options(self) -> Mapping[str, str]:
        return {EXTRAPOLATION_AMOUNT: "" if self.extrapolation_amount is None else str(self.extrapolation_amount)}


class ExtrapolatedWatchersSettings(ExtrapolatedOtsSettings):
    """`[sources.<name>.streams.extrapolated_watchers]`."""

    export_type = aggregated_types.EXTRAPOLATED_WATCHERS


class ProofOfPlayByLocationSettings(AggregatedSettings):
    """`[sources.<name>.streams.proof_of_play_by_location]`."""

    export_type = play_types.PROOF_OF_PLAY_BY_LOCATION

    group_by_demographics: Switch = False
    content_ids: ContentIds | None = None

    @property
    def options(self) -> Mapping[str, str]:
        grouping = _grouping_argument(group_by_demographics=self.group_by_demographics)
        return {**grouping, **content_ids_argument(self.content_ids)}


class ProofOfPlayBySiteSettings(ProofOfPlayByLocationSettings):
    """`[sources.<name>.streams.proof_of_play_by_site]`."""

    export_type = play_types.PROOF_OF_PLAY_BY_SITE


class FacesByLocationSettings(ProofOfPlayByLocationSettings):
    """`[sources.<name>.streams.proof_of_play_by_location_footfall_faces]`."""

    export_type = play_types.PROOF_OF_PLAY_BY_LOCATION_FOOTFALL_FACES


class FacesBySiteSettings(ProofOfPlayByLocationSettings):
    """`[sources.<name>.streams.proof_of_play_by_site_footfall_faces]`."""

    export_type = play_types.PROOF_OF_PLAY_BY_SITE_FOOTFALL_FACES


class VehiclesByLocationSettings(AggregatedSettings):
    """`[sources.<name>.streams.proof_of_play_vehicle_person_by_location]`."""

    export_type = play_types.PROOF_OF_PLAY_VEHICLE_PERSON_BY_LOCATION


class VehiclesBySiteSettings(AggregatedSettings):
    """`[sources.<name>.streams.proof_of_play_vehicle_person_by_site]`."""

    export_type = play_types.PROOF_OF_PLAY_VEHICLE_PERSON_BY_SITE


class ContentPlaysSettings(AggregatedSettings):
    """`[sources.<name>.streams.content_plays]`."""

    export_type = play_types.CONTENT_PLAYS


class FootfallAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.footfall_aggregated]`."""

    export_type = footfall_types.FOOTFALL_AGGREGATED


class VehiclesAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.vehicles_aggregated]`."""

    export_type = footfall_types.VEHICLES_AGGREGATED


class VehiclesFootfallAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.vehicles_footfall_aggregated]`."""

    export_type = footfall_types.VEHICLES_FOOTFALL_AGGREGATED


class CompassSettings(AggregatedSettings):
    """`[sources.<name>.streams.compass]`."""

    export_type = footfall_types.COMPASS


class RetailAnalyticsFootfallAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.retail_analytics_footfall_aggregated]`."""

    export_type = footfall_types.RETAIL_ANALYTICS_FOOTFALL_AGGREGATED


class ImSettings(AggregatedSettings):
    """`[sources.<name>.streams.im]`."""

    export_type = impression_types.IM

    average_content_duration: PositiveDuration | None = None

    @property
    def options(self) -> Mapping[str, str]:
        if self.average_content_duration is None:
            return {}
        return {AVERAGE_CONTENT_DURATION: str(self.average_content_duration // timedelta(seconds=1))}


class ImNobackupSettings(ImSettings):
    """`[sources.<name>.streams.im_nobackup]`."""

    export_type = impression_types.IM_NOBACKUP


class ImOtsSettings(AggregatedSettings):
    """`[sources.<name>.streams.im_ots]`."""

    export_type = impression_types.IM_OTS


class ImOtsNobackupSettings(AggregatedSettings):
    """`[sources.<name>.streams.im_ots_nobackup]`."""

    export_type = impression_types.IM_OTS_NOBACKUP


class TargetedImSettings(ImSettings):
    """`[sources.<name>.streams.targeted_im]`."""

    export_type = impression_types.TARGETED_IM


class PmpSalesByDemographicsAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.pmp_sales_by_demographics_aggregated]`."""

    export_type = sales_types.PMP_SALES_BY_DEMOGRAPHICS_AGGREGATED


class PmpSalesFunnelAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.pmp_sales_funnel_aggregated]`."""

    export_type = sales_types.PMP_SALES_FUNNEL_AGGREGATED
