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

    def zone_of(self, place: int) -> ZoneInfo:
        """The time zone of a location."""
        return ZoneInfo(self.place_zones.get(place, self.zone))
