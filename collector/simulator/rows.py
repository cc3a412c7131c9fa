"""The rows of the simulated VidiCenter's exports, made of what was observed."""

from collections.abc import Callable, Mapping

from collector.simulator import aggregated, compass, impressions, plays, retail, sales, traffic, viewer_rows
from collector.simulator.aggregated import Row
from collector.simulator.export_request import FINEST, WITHOUT_PLACE, is_by_site
from collector.simulator.observed import Observed

MakeRows = Callable[[Observed], list[Row]]
FINEST_ROWS: Mapping[str, MakeRows] = {
    "viewers": viewer_rows.viewers,
    "viewers_apc": viewer_rows.viewers_apc,
    "footfall": traffic.footfall,
    "vehicles": traffic.vehicles,
    "vehicles_footfall": traffic.vehicles_footfall,
    "pmp_sales_by_demographics": sales.by_demographics,
    "pmp_sales_funnel": sales.funnel,
    "retail_analytics_footfall": retail.visitors,
}
AGGREGATED_ROWS: Mapping[str, MakeRows] = {
    "viewers": aggregated.viewers,
    "ots": aggregated.ots,
    "gate": aggregated.gates,
    "proof_of_play_by_location": plays.proof_of_play,
    "proof_of_play_by_site": plays.proof_of_play,
    "proof_of_play_by_location_footfall_faces": plays.proof_of_play_of_trackers,
    "proof_of_play_by_site_footfall_faces": plays.proof_of_play_of_trackers,
    "proof_of_play_vehicle_person_by_location": plays.proof_of_play_of_traffic,
    "proof_of_play_vehicle_person_by_site": plays.proof_of_play_of_traffic,
    "extrapolated_watchers": aggregated.extrapolated_watchers,
    "extrapolated_ots": aggregated.extrapolated_ots,
    "footfall": traffic.footfall_aggregated,
    "vehicles": traffic.vehicles_aggregated,
    "vehicles_footfall": traffic.vehicles_footfall_aggregated,
    "im": impressions.im,
    "im_nobackup": impressions.im_nobackup,
    "im_ots": impressions.im_ots,
    "im_ots_nobackup": impressions.im_ots_nobackup,
    "targeted_im": impressions.targeted_im,
    "pmp_sales_by_demographics": sales.by_demographics_aggregated,
    "pmp_sales_funnel": sales.funnel_aggregated,
    "compass": compass.compass,
    "content_plays": plays.content_plays,
    "retail_analytics_footfall_aggregated": retail.zone_counts,
}
TEXT_IDS = frozenset({"proof_of_play_vehicle_person_by_location", "proof_of_play_vehicle_person_by_site"})
"""The exports whose ids of places are strings of digits."""
WITH_T = frozenset({"pmp_sales_by_demographics", "pmp_sales_funnel"})
"""The aggregated exports that separate date and time by `T`."""
WITHOUT_START = "retail_analytics_footfall_aggregated"
"""The export that has date and time in two fields only."""
EMPTY_ROWS: Mapping[str, tuple[str, ...]] = {
    "viewers": ("gender", "age"),
    "footfall": ("vr_id", "watcher_id", "watcher_start", "tracking_mode", "footfall_presence_time"),
    "vehicles": ("type", "color", "vehicle_presence_time", "vehicle_impressions", "impressions_per_vehicle"),
}
"""The fields of the row that an export at the resolution `finest` has for a location without data.

Those of viewers also have the times.
"""
KEPT = frozenset(
    {
        *("gender", "age", "gate_id", "zone_id"),
        *("location_name", "zone_name", "active", "backup_value", "dwell_threshold"),
    }
)
"""The fields that are not null in a period without data: parts of the key, and attributes."""


def rows_of(observed: Observed) -> list[Row]:
    """The rows of a period, or of the window of an export at the resolution `finest`."""
    if observed.request.resolution == FINEST:
        return FINEST_ROWS[observed.request.data_type](observed) or _empty_rows(observed)
    fields = _place(observed) | _period(observed)
    return [fields | row for row in _aggregated_rows(observed)]


def _aggregated_rows(observed: Observed) -> list[Row]:
    """The rows of a period. Without data, every number is null."""
    rows = AGGREGATED_ROWS[observed.request.data_type](observed)
    if observed.has_data:
        return rows
    return [{name: value if name in KEPT else None for name, value in row.items()} for row in rows]


def _empty_rows(observed: Observed) -> list[Row]:
    """The row of a location without data in an export at the resolution `finest`. Some exports have none."""
    names = EMPTY_ROWS.get(observed.request.data_type)
    if names is None:
        return []
    if observed.request.data_type == "viewers":
        names += observed.times
    return [{"location_id": observed.place, "period_start": observed.start.isoformat(), **dict.fromkeys(names)}]


def _place(observed: Observed) -> Row:
    data_type = observed.request.data_type
    if data_type in WITHOUT_PLACE:
        return {}
    identifier = str(observed.place) if data_type in TEXT_IDS else observed.place
    return {"site_id" if is_by_site(data_type) else "location_id": identifier}


def _period(observed: Observed) -> Row:
    """The fields of the period's start. The seconds of `period_start_time` are optional."""
    start, data_type = observed.start, observed.request.data_type
    date, minute = f"{start:%Y-%m-%d}", f"{start:%H:%M}"
    if data_type == WITHOUT_START:
        return {"period_start_date": date, "period_start_time": minute if observed.place % 2 else f"{minute}:00"}
    fields: Row = {"period_start": f"{date}{'T' if data_type in WITH_T else ' '}{start:%H:%M:%S}"}
    if not observed.rules.has_old_names:
        fields |= {"period_start_date": date, "period_start_time": minute}
    return fields
