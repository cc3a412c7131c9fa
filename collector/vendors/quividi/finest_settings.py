"""The tables of the streams with a row for each person or vehicle."""

from collections.abc import Mapping

from collector.vendors.quividi import finest_types
from collector.vendors.quividi.export_settings import ContentIds, FinestSettings, content_ids_argument


class ViewersSettings(FinestSettings):
    """`[sources.<name>.streams.viewers]`."""

    export_type = finest_types.VIEWERS


class ViewersApcSettings(FinestSettings):
    """`[sources.<name>.streams.viewers_apc]`."""

    export_type = finest_types.VIEWERS_APC

    content_ids: ContentIds | None = None

    @property
    def options(self) -> Mapping[str, str]:
        return content_ids_argument(self.content_ids)


class FootfallSettings(FinestSettings):
    """`[sources.<name>.streams.footfall]`."""

    export_type = finest_types.FOOTFALL


class VehiclesSettings(FinestSettings):
    """`[sources.<name>.streams.vehicles]`."""

    export_type = finest_types.VEHICLES


class VehiclesFootfallSettings(FinestSettings):
    """`[sources.<name>.streams.vehicles_footfall]`."""

    export_type = finest_types.VEHICLES_FOOTFALL


class RetailAnalyticsFootfallSettings(FinestSettings):
    """`[sources.<name>.streams.retail_analytics_footfall]`."""

    export_type = finest_types.RETAIL_ANALYTICS_FOOTFALL


class PmpSalesByDemographicsSettings(FinestSettings):
    """`[sources.<name>.streams.pmp_sales_by_demographics]`."""

    export_type = finest_types.PMP_SALES_BY_DEMOGRAPHICS


class PmpSalesFunnelSettings(FinestSettings):
    """`[sources.<name>.streams.pmp_sales_funnel]`."""

    export_type = finest_types.PMP_SALES_FUNNEL
