"""Whether the places of an account upload: the state of each, from the row of its location. Pure.

The clock of the vendor's times is not documented. A time is therefore read twice, as UTC and as the location's local
time, and the reading by which less time has passed counts. So a place may be reported as late, or as silent, later than
it is, by at most its offset from UTC; it is never reported too early because of the clock.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from collector.places import MAX_WORST, PlaceHealth, PlaceState
from collector.vendors.quividi.topology.locations import LocationV1

LATE_AFTER = timedelta(hours=2)
"""Boxes upload about every 30 minutes: four uploads are missing."""
SILENT_AFTER = timedelta(hours=24)
"""Longer than a place is closed at night."""
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""An upload that is at most this far in the future happened now, by a clock that is a little ahead."""

_WORST_FIRST: Sequence[PlaceState] = ("silent", "late", "unknown")
_NOW = timedelta(0)


def place_health(location: LocationV1, now: datetime) -> PlaceHealth:
    """The state of one place. `now` is the time of the request for the list."""
    age = upload_age(location.last_upload_timestamp, location.utc_offset_s, now)
    return PlaceHealth(location.location_id, location.label, _state(location, age), age)


def with_place(worst: Sequence[PlaceHealth], place: PlaceHealth) -> Sequence[PlaceHealth]:
    """The worst places when one more is known, worst first. A place that uploads, or is not in use, is none of them."""
    if place.state not in _WORST_FIRST:
        return worst
    return sorted([*worst, place], key=_badness)[:MAX_WORST]


def upload_age(uploaded: str | None, utc_offset_s: int | None, now: datetime) -> timedelta | None:
    """How long ago an upload was: the shorter of the readings that are not in the future. None if there is none."""
    if uploaded is None:
        return None
    utc_age = now - datetime.fromisoformat(uploaded).replace(tzinfo=UTC)
    ages = [utc_age, utc_age + timedelta(seconds=utc_offset_s or 0)]
    return min((max(_NOW, age) for age in ages if age >= -MAX_CLOCK_DIFFERENCE), default=None)


def _state(location: LocationV1, age: timedelta | None) -> PlaceState:
    if location.active is False:
        return "inactive"
    if age is None:
        return "unknown"
    if age >= SILENT_AFTER:
        return "silent"
    return "late" if age >= LATE_AFTER else "uploading"


def _badness(place: PlaceHealth) -> tuple[int, timedelta, int]:
    """The order of bad places, worst first: by state, then by the time since the upload, then by number."""
    return _WORST_FIRST.index(place.state), -(place.upload_age or _NOW), place.place_id
