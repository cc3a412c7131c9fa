"""The parameters of an export request, validated as strictly as the vendor's documents require.

Arguments that a data type does not accept are rejected. Where the document of 2026 does not state whether one is
accepted, it is rejected too.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from collector.simulator.periods import HOUR, RESOLUTIONS
from collector.simulator.rules import Rules

FINEST = "finest"
SELECTORS = ("locations", "sites", "location_tags", "site_tags")
GROUPED, CONTENTS = "group_by_demographics", "content_ids"
CONTENT_DURATION, AMOUNT = "average_content_duration", "extrapolation_amount"
ARGUMENTS = (GROUPED, CONTENTS, CONTENT_DURATION, AMOUNT)
DEFAULT_CONTENT_S = 15.0
"""The documented default of `average_content_duration`."""
OLD_TYPES = frozenset(
    {"viewers", "viewers_apc", "ots", "gate", "proof_of_play_by_location", "proof_of_play_by_site"},
)
"""The data types of the first version of the API."""
OLD_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "viewers": frozenset({GROUPED}),
    "viewers_apc": frozenset({CONTENTS}),
    "proof_of_play_by_location": frozenset({CONTENTS}),
    "proof_of_play_by_site": frozenset({CONTENTS}),
}
FOOTFALL = frozenset({"footfall", "vehicles", "vehicles_footfall"})
"""The data types that an account may not export at the resolution `finest`."""


class DataType(Struct, frozen=True):
    """What a data type accepts."""

    resolutions: frozenset[str] = RESOLUTIONS
    arguments: frozenset[str] = frozenset()
    """The arguments that it accepts. It requires `extrapolation_amount` if it accepts that."""


_EITHER = DataType(RESOLUTIONS | {FINEST})
_AGGREGATED = DataType()
_PLAYS = DataType(arguments=frozenset({GROUPED, CONTENTS}))
_HOURLY = DataType(frozenset({HOUR}))
_HOURLY_BY_CONTENT = DataType(frozenset({HOUR}), frozenset({CONTENT_DURATION}))
_EXTRAPOLATED = DataType(arguments=frozenset({AMOUNT}))
DATA_TYPES: Mapping[str, DataType] = {
    "viewers": DataType(RESOLUTIONS | {FINEST}, frozenset({GROUPED})),
    "viewers_apc": DataType(frozenset({FINEST}), frozenset({CONTENTS})),
    "ots": _AGGREGATED,
    "gate": _AGGREGATED,
    "proof_of_play_by_location": _PLAYS,
    "proof_of_play_by_site": _PLAYS,
    "proof_of_play_by_location_footfall_faces": _PLAYS,
    "proof_of_play_by_site_footfall_faces": _PLAYS,
    "proof_of_play_vehicle_person_by_location": _AGGREGATED,
    "proof_of_play_vehicle_person_by_site": _AGGREGATED,
    "extrapolated_watchers": _EXTRAPOLATED,
    "extrapolated_ots": _EXTRAPOLATED,
    "footfall": _EITHER,
    "vehicles": _EITHER,
    "vehicles_footfall": _EITHER,
    "im": _HOURLY_BY_CONTENT,
    "im_nobackup": _HOURLY_BY_CONTENT,
    "im_ots": _HOURLY,
    "im_ots_nobackup": _HOURLY,
    "targeted_im": _HOURLY_BY_CONTENT,
    "pmp_sales_by_demographics": _EITHER,
    "pmp_sales_funnel": _EITHER,
    "compass": _AGGREGATED,
    "content_plays": _AGGREGATED,
    "retail_analytics_footfall": DataType(frozenset({FINEST})),
    "retail_analytics_footfall_aggregated": _AGGREGATED,
}
"""The data types of 2026."""

WITHOUT_PLACE = frozenset({"extrapolated_watchers", "extrapolated_ots"})
"""The data types whose rows are about all selected locations together."""


def is_by_site(data_type: str) -> bool:
    """Whether the rows are about sites."""
    return "_by_site" in data_type


class ExportRequest(Struct, frozen=True):
    """The parameters of an export. Times are local."""

    data_type: str
    resolution: str
    first: datetime
    last: datetime
    ids: Mapping[str, frozenset[int]]
    """The selected ids, by selector."""
    is_grouped: bool = False
    contents: frozenset[str] | None = None
    """The selected contents; None for all."""
    content_s: float = DEFAULT_CONTENT_S
    """The average duration of contents in seconds."""
    amount: int | None = None
    """How many locations to extrapolate to; None for the average of the selected ones."""


def parse(query: Mapping[str, str], rules: Rules | None = None) -> ExportRequest:
    """The request. Raises ValueError that names the parameter that is missing, malformed or not supported."""
    rules = rules or Rules()
    try:
        first, last = (datetime.strptime(query[name], "%Y-%m-%dT%H:%M:%S") for name in ("start", "end"))  # noqa: DTZ007
        ids = {name: frozenset(map(int, query[name].split(","))) for name in SELECTORS if name in query}
    except (KeyError, ValueError) as error:
        raise ValueError("start, end or ids cannot be read") from error
    if first > last or not ids:
        raise ValueError("an export needs locations or sites, a start, and an end that is not before the start")
    data_type, resolution = query.get("data_type", ""), query.get("time_resolution", "")
    _check_type(data_type, resolution, rules)
    _check_arguments(query, data_type, resolution, rules)
    return ExportRequest(
        data_type,
        resolution,
        first,
        last,
        ids,
        GROUPED in query,
        frozenset(query[CONTENTS].split(",")) if CONTENTS in query else None,
        _content_s(query),
        _amount(query),
    )


def _check_type(data_type: str, resolution: str, rules: Rules) -> None:
    known = DATA_TYPES.keys() & OLD_TYPES if rules.has_old_names else DATA_TYPES.keys()
    if data_type not in known or resolution not in DATA_TYPES[data_type].resolutions:
        raise ValueError("data_type does not exist, or not at this time_resolution")
    if data_type in FOOTFALL and resolution == FINEST and not rules.has_finest_footfall:
        raise ValueError("time_resolution finest is not available for footfall and vehicles")


def _check_arguments(query: Mapping[str, str], data_type: str, resolution: str, rules: Rules) -> None:
    accepted = OLD_ARGUMENTS.get(data_type, frozenset()) if rules.has_old_names else DATA_TYPES[data_type].arguments
    if resolution == FINEST:
        accepted -= {GROUPED}
    for name in ARGUMENTS:
        if name in query and name not in accepted:
            raise ValueError(f"{name} does not work with this data_type or time_resolution")
    if AMOUNT in accepted and AMOUNT not in query:
        raise ValueError(f"{AMOUNT} is mandatory")


def _content_s(query: Mapping[str, str]) -> float:
    try:
        seconds = float(query.get(CONTENT_DURATION, DEFAULT_CONTENT_S))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ValueError(f"{CONTENT_DURATION} must be a number of seconds, more than 0 and at most 3600")
    return seconds


def _amount(query: Mapping[str, str]) -> int | None:
    text = query.get(AMOUNT, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{AMOUNT} must be a number of locations, or empty")
    return int(text)
