"""How the simulated vendors behave."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from msgspec import Struct, field


class Rules(Struct, frozen=True):
    """What differs between accounts and versions of the API. The defaults are those of VidiCenter's document."""

    username: str = "airport"
    """The user of VidiCenter's account."""
    zone: str = "Europe/Paris"
    """IANA time zone of local times."""
    place_zones: Mapping[int, str] = field(default_factory=dict)
    """The zones of the places that are in another one, by location."""
    export_s: float = 5.0
    """How long an export takes to build."""
    calls_per_minute: int = 50
    unlicensed: Mapping[str, int] = field(default_factory=dict)
    """Data types that the account has no right to, each with the HTTP status of the response: 400, 403 or 404.

    Exports of a data type with the status 0 start and always fail.
    """
    has_finest_footfall: bool = True
    """Footfall and vehicles can be exported at the resolution `finest`; else that is HTTP 400."""
    supports_status_only: bool = True
    """A request with `status_only` returns the state of the export without its data.

    Else, and with `has_old_names`, it is the request of another export.
    """
    late_place: int | None = None
    """A location that uploads only once in `late_days` days, everything at once."""
    late_days: float = 1.0
    has_old_names: bool = False
    """Exports have the data types and field names of the first version of VidiCenter's API, of 2020."""
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
