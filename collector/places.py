"""The health of an account's places: whether their devices upload, as the vendor's list of places shows it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from msgspec import Struct

PlaceState = Literal["uploading", "late", "silent", "inactive", "unknown"]
PLACE_STATES: tuple[PlaceState, ...] = get_args(PlaceState)
MAX_WORST = 10
"""How many places are shown to operators."""


class PlaceHealth(Struct, frozen=True, gc=False):
    """Whether a place uploads."""

    place_id: int
    label: str | None
    state: PlaceState
    upload_age: timedelta | None
    """Time since the last upload; None if the vendor does not report one."""


class PlacesHealth(Struct, frozen=True):
    """Whether the places of an account upload."""

    seen_at: datetime
    counts: Mapping[PlaceState, int]
    worst: Sequence[PlaceHealth]
    """The places that do not upload as they should, worst first; at most MAX_WORST."""
