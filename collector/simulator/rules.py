"""How the simulated vendors behave."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from msgspec import Struct, field


class Rules(Struct, frozen=True):
    """What differs between accounts and versions of the API. The defaults are those of VidiCenter's document."""

    zone: str = "Europe/Paris"
    """IANA time zone of local times."""
    place_zones: Mapping[int, str] = field(default_factory=dict)
    """The zones of the places that are in another one, by location."""
    export_s: float = 5.0
    """How long an export takes to build."""
    calls_per_minute: int = 50
    has_old_names: bool = False
    """Exports have the field names of the first version of VidiCenter's API."""
    is_expert: bool = True
    """The account has VidiCenter's expert licence: exports contain ages and emotions."""
    end_is_inclusive: bool = True
    """An export contains the viewers of the last second of its window."""
    inactive: frozenset[int] = frozenset()
    """The locations that VidiCenter lists as not active."""
    appears_ms: Mapping[int, int] = field(default_factory=dict)
    """When a location is created, for those that do not exist from the start: Unix time in milliseconds."""
    offline: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Spans without uploads, by location: first millisecond, and the millisecond after the last, in Unix time.

    Visits that end within the span are uploaded at its end.
    """
    timezone_in_minutes: bool = False
    """`last_timezone` is in minutes, as VidiCenter's document stated until 2025-03-31; else in seconds."""
    forbidden_paths: frozenset[str] = frozenset()
    """Paths of VidiCenter's lists, such as `/alerts/`, to which the account has no right: the response is HTTP 403."""

    def zone_of(self, place: int) -> ZoneInfo:
        """The time zone of a location."""
        return ZoneInfo(self.place_zones.get(place, self.zone))
