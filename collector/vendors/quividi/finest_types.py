"""The types of export that have a row for each person or vehicle.

Source: the vendor's document, "Finest viewers export" and "Finest viewers APC export", and its newer document for all
others. In one place, the newer document declares `finest` unavailable for footfall and vehicles, and has examples of it
in another: VidiCenter may refuse it.
"""

from collector.vendors.quividi import events, footfall, pmp_sales, retail_events, vehicle_or_person, vehicles
from collector.vendors.quividi.export_types import CONTENT_IDS, ExportType
from collector.vendors.quividi.resolutions import FINEST

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
FOOTFALL = ExportType(
    stream="footfall",
    data_type="footfall",
    events=(footfall.FOOTFALL,),
    resolutions=(FINEST,),
    resolution_hint="the stream footfall_aggregated has aggregates",
)
VEHICLES = ExportType(
    stream="vehicles",
    data_type="vehicles",
    events=(vehicles.VEHICLE,),
    resolutions=(FINEST,),
    resolution_hint="the stream vehicles_aggregated has aggregates",
)
VEHICLES_FOOTFALL = ExportType(
    stream="vehicles_footfall",
    data_type="vehicles_footfall",
    events=(vehicle_or_person.VEHICLE_OR_PERSON,),
    resolutions=(FINEST,),
    resolution_hint="the stream vehicles_footfall_aggregated has aggregates",
)
RETAIL_ANALYTICS_FOOTFALL = ExportType(
    stream="retail_analytics_footfall",
    data_type="retail_analytics_footfall",
    events=(retail_events.VISITOR, *retail_events.TIMINGS.values()),
    resolutions=(FINEST,),
    resolution_hint="the stream retail_analytics_footfall_aggregated has aggregates",
)
PMP_SALES_BY_DEMOGRAPHICS = ExportType(
    stream="pmp_sales_by_demographics",
    data_type="pmp_sales_by_demographics",
    events=(pmp_sales.BY_DEMOGRAPHICS,),
    resolutions=(FINEST,),
    resolution_hint="the stream pmp_sales_by_demographics_aggregated has aggregates",
)
PMP_SALES_FUNNEL = ExportType(
    stream="pmp_sales_funnel",
    data_type="pmp_sales_funnel",
    events=(pmp_sales.FUNNEL,),
    resolutions=(FINEST,),
    resolution_hint="the stream pmp_sales_funnel_aggregated has aggregates",
)
