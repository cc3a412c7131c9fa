"""Which places a part of a source requests: those that the source selects, and that are in the zone of the part."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b

from msgspec import Struct

from collector.vendors.quividi.place_list import Place, PlaceList

LOCATIONS, SITES = "locations", "sites"
TAGS = LOCATION_TAGS, SITE_TAGS = "location_tags", "site_tags"


class Zone(Struct, frozen=True):
    """The places of a source that are in another zone than the source's own."""

    timezone: str
    sites: frozenset[int] = frozenset()
    locations: frozenset[int] = frozenset()


class Zoning(Struct, frozen=True):
    """The zones of a source."""

    timezone: str
    """The source's own zone: that of all places that are in no other."""
    zones: Sequence[Zone] = ()

    @property
    def names(self) -> Sequence[str]:
        """The names of all zones, the source's own first."""
        return [self.timezone, *(zone.timezone for zone in self.zones)]

    @property
    def digest(self) -> str:
        """A digest of which places are in other zones than the source's own; empty if all are in that one."""
        if not self.zones:
            return ""
        places = sorted((each.timezone, sorted(each.sites), sorted(each.locations)) for each in self.zones)
        return blake2b(repr(places).encode(), digest_size=8).hexdigest()

    @property
    def description(self) -> str:
        """The names of all zones, and the digest. The name alone if there is one zone."""
        names = ", ".join([self.timezone, *sorted(each.timezone for each in self.zones)])
        return f"{names} {self.digest}".rstrip()

    def of_location(self, location: int, site: int | None) -> str:
        """The zone of a location. One that is named itself is in that zone, whatever the zone of its site is."""
        for zone in self.zones:
            if location in zone.locations:
                return zone.timezone
        return self.timezone if site is None else self.of_site(site)

    def of_site(self, site: int) -> str:
        return next((zone.timezone for zone in self.zones if site in zone.sites), self.timezone)


def locations_in(
    zoning: Zoning, name: str, selectors: Mapping[str, Sequence[int]], known: PlaceList, followed: Iterable[Place]
) -> list[int]:
    """The ids of the selected locations in a zone, sorted. Without selectors, all of `followed` are selected.

    A location that the vendor does not list is requested nevertheless: its response says what is wrong.
    """
    found = selected_locations(selectors, known) if selectors else {place.id for place in followed}
    sites = {each: place.site_id for each in found if (place := known.places.get(each)) is not None}
    return sorted(each for each in found if zoning.of_location(each, sites.get(each)) == name)


def selected_locations(selectors: Mapping[str, Sequence[int]], known: PlaceList) -> set[int]:
    """The ids of the locations that the selectors select together."""
    sites = selected_sites(selectors, known)
    tagged = known.tagged.get(LOCATION_TAGS, {})
    return {
        *selectors.get(LOCATIONS, ()),
        *(location for tag in selectors.get(LOCATION_TAGS, ()) for location in tagged.get(tag, ())),
        *(place.id for place in known.places.values() if place.site_id in sites),
    }


def selected_sites(selectors: Mapping[str, Sequence[int]], known: PlaceList) -> set[int]:
    """The ids of the sites that the selectors select together."""
    tagged = known.tagged.get(SITE_TAGS, {})
    return {*selectors.get(SITES, ()), *(site for tag in selectors.get(SITE_TAGS, ()) for site in tagged.get(tag, ()))}


def sites_in(
    zoning: Zoning, name: str, selectors: Mapping[str, Sequence[int]], known: PlaceList, followed: Iterable[Place]
) -> list[int]:
    """The ids of the selected sites in a zone, sorted. Without selectors, those of all of `followed` are selected."""
    sites = selected_sites(selectors, known)
    if not selectors:
        sites.update(place.site_id for place in followed if place.site_id is not None)
    return sorted(site for site in sites if zoning.of_site(site) == name)


def silent_locations(known: PlaceList, since: datetime) -> set[int]:
    """The locations that cannot have uploaded anything since then."""
    return {place.id for place in known.places.values() if not place.may_have_uploaded_since(since)}


def silent_sites(known: PlaceList, since: datetime) -> set[int]:
    """The sites none of whose locations can have uploaded anything since then. None if locations may be missing."""
    if not known.is_whole:
        return set()
    sites = {place.site_id for place in known.places.values() if place.site_id is not None}
    return sites - {place.site_id for place in known.places.values() if place.may_have_uploaded_since(since)}
