"""How the simulated vendors behave."""

from msgspec import Struct


class Rules(Struct, frozen=True):
    """What differs between accounts and versions of the API. The defaults are those of VidiCenter's document."""

    zone: str = "Europe/Paris"
    """IANA time zone of local times."""
    export_s: float = 5.0
    """How long an export takes to build."""
    calls_per_minute: int = 50
    has_old_names: bool = False
    """Exports have the field names of the first version of VidiCenter's API."""
    is_expert: bool = True
    """The account has VidiCenter's expert licence: exports contain ages and emotions."""
    end_is_inclusive: bool = True
    """An export contains the viewers of the last second of its window."""
