"""The parameters of an export request, validated as strictly as the vendor's document requires."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from collector.simulator.aggregated import RESOLUTIONS

FINEST = "finest"
SELECTORS = ("locations", "sites", "location_tags", "site_tags")
BY_CONTENT = ("viewers_apc", "proof_of_play_by_location", "proof_of_play_by_site")
DATA_TYPES: Mapping[str, frozenset[str]] = {
    "viewers": RESOLUTIONS | {FINEST},
    "viewers_apc": frozenset({FINEST}),
    "ots": RESOLUTIONS,
    "gate": RESOLUTIONS,
    "proof_of_play_by_location": RESOLUTIONS,
    "proof_of_play_by_site": RESOLUTIONS,
}
"""Data types, and the resolutions of each."""


class ExportRequest(Struct, frozen=True):
    """The parameters of an export. Times are local."""

    data_type: str
    resolution: str
    first: datetime
    last: datetime
    ids: Mapping[str, frozenset[int]]
    """The selected ids, by selector."""
    is_grouped: bool
    contents: frozenset[str] | None
    """The selected contents; None for all."""


def parse(query: Mapping[str, str]) -> ExportRequest:
    """The request. Raises ValueError that names the parameter that is missing, malformed or not supported."""
    try:
        first, last = (datetime.strptime(query[name], "%Y-%m-%dT%H:%M:%S") for name in ("start", "end"))  # noqa: DTZ007
        ids = {name: frozenset(map(int, query[name].split(","))) for name in SELECTORS if name in query}
    except (KeyError, ValueError) as error:
        raise ValueError("start, end or ids cannot be read") from error
    data_type, resolution = query.get("data_type", ""), query.get("time_resolution", "")
    contents = frozenset(query["content_ids"].split(",")) if "content_ids" in query else None
    request = ExportRequest(data_type, resolution, first, last, ids, "group_by_demographics" in query, contents)
    if first > last or not ids:
        raise ValueError("an export needs locations or sites, a start, and an end that is not before the start")
    if resolution not in DATA_TYPES.get(data_type, ()):
        raise ValueError("data_type does not exist, or not at this time_resolution")
    if request.is_grouped and (data_type != "viewers" or resolution == FINEST):
        raise ValueError("group_by_demographics only works with aggregated viewers")
    if contents is not None and data_type not in BY_CONTENT:
        raise ValueError("content_ids only work with viewers_apc and proof of play")
    return request
