"""The tags of the simulated VidiCenter.

Exports select tags by id, and paths by label. Labels contain characters that a path must encode.
"""

from collections.abc import Callable

from msgspec import Struct


class Tag(Struct, frozen=True):
    id: int
    label: str
    is_locked: bool
    """Whether the tag is locked for extrapolation."""
    selects: Callable[[int], bool]
    """Whether the site or the location with this id has the tag."""


SITE_TAGS = (
    Tag(21, "Airports & stations", is_locked=True, selects=lambda site: site % 2 == 1),
    Tag(22, "High street / north, 50%", is_locked=False, selects=lambda site: site % 2 == 0),
)
LOCATION_TAGS = (
    Tag(31, "Entrance", is_locked=True, selects=lambda place: place % 2 == 0),
    Tag(32, "Caisse n° 1", is_locked=False, selects=lambda place: place % 2 == 1),
    Tag(33, "Without locations?", is_locked=False, selects=lambda _: False),
)
