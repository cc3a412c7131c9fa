"""The account's locations, requested now and then, and what each stream requests of them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import anyio
import msgspec
from msgspec import structs

from collector.errors import Park, RetryLater, Split
from collector.steps import Steps
from collector.telemetry.vendor import VendorTelemetry
from collector.turns import in_turns
from collector.vendors.leniency import unexpected_response
from collector.vendors.quividi import client as paths
from collector.vendors.quividi.client import Client
from collector.vendors.quividi.place_list import (
    Disagreement,
    Place,
    PlaceList,
    decode_places,
    decode_tags,
    disagreements,
    followed,
)
from collector.vendors.quividi.zoning import (
    LOCATIONS,
    SITES,
    TAGS,
    locations_in,
    selected_locations,
    silent_locations,
    silent_sites,
    sites_in,
)

T = TypeVar("T")

REFRESH_INTERVAL = timedelta(minutes=10)
"""How soon a new location is found: boxes upload about every 30 minutes. It costs one call, of 50 a minute."""
MAX_AGE = timedelta(days=1)
"""How long the last list is used while the vendor does not send another one."""


class Places:
    """The locations of the account of one source."""

    def __init__(self, client: Client, telemetry: VendorTelemetry) -> None:
        self._client = client
        self._telemetry = telemetry
        self._lock = anyio.Lock()
        self._list: PlaceList | None = None
        self._requested_at: datetime | None = None
        self._lateness = max((each.allowed_lateness for _, each in client.settings.exports), default=MAX_AGE)

    async def current(self) -> PlaceList:
        """The list, at most REFRESH_INTERVAL old; at most MAX_AGE while the vendor fails.

        Raises RetryLater, Park or Split.
        """
        async with self._lock:
            now = self._client.clock.now()
            if self._list is None or self._requested_at is None or now - self._requested_at >= REFRESH_INTERVAL:
                try:
                    found = await self._request()
                except RetryLater:
                    if self._list is None or self._requested_at is None or now - self._requested_at >= MAX_AGE:
                        raise
                    return self._list
                self._report(found, now)
                self._list, self._requested_at = found, now
            return self._list

    async def _request(self) -> PlaceList:
        found = await self._get(paths.LOCATIONS, decode_places)
        settings = self._client.settings
        if not settings.needs_places:
            return found
        if not found.places:
            raise RetryLater(
                "the account has no locations: a window without any would be complete, and its rows never be requested",
                code="no_locations",
                advice=f"check in VidiCenter what the user of sources.{self._client.source} may see",
            )
        tagged = {
            kind: await self._tagged(kind, settings.selectors[kind]) for kind in TAGS if kind in settings.selectors
        }
        return structs.replace(found, tagged=tagged)

    async def tags(self, kind: str) -> Mapping[int, tuple[int | None, frozenset[int]]]:
        """The tags of a kind, by id: the network of each, and the ids that the list names as tagged with it.

        Raises RetryLater, Park or Split.
        """
        return await self._get(f"/{kind}/", decode_tags)

    async def _tagged(self, kind: str, tags: Collection[int]) -> Mapping[int, frozenset[int]]:
        """What has each of these tags. The vendor lists it by network: labels, which are paths too, are not unique."""
        networks = {network for tag, (network, _) in (await self.tags(kind)).items() if tag in tags}
        members: dict[int, frozenset[int]] = {}
        for network in sorted(each for each in networks if each is not None):
            found = await self._get(f"/network/{network}/{kind}/", decode_tags)
            members.update((tag, ids) for tag, (_, ids) in found.items() if tag in tags)
        if unknown := sorted(set(tags) - members.keys()):
            advice = (
                f"correct sources.{self._client.source}.{kind}: the stream waits until then, so that no data is lost"
            )
            ids = ", ".join(map(str, unknown))
            raise Park(f"the account has none of these {kind}: {ids}", code="unknown_ids", advice=advice)
        return members

    async def _get(self, path: str, decode: Callable[[bytes], Steps[T]]) -> T:
        with await self._client.get(path, {}) as response:
            try:
                return await in_turns(decode(response.body))
            except msgspec.DecodeError as error:
                raise unexpected_response(response.body, error, what=f"the response of {path}") from None

    def _report(self, found: PlaceList, now: datetime) -> None:
        """Report locations that appear, and those whose zone does not agree with the vendor."""
        settings = self._client.settings
        if self._list is not None and settings.follows_account:
            before, after = ({each.id for each in self.followed(which, now)} for which in (self._list, found))
            if before != after:
                self._telemetry.places_changed(added=sorted(after - before), removed=sorted(before - after))
        self._telemetry.zones_checked({each.place: str(each) for each in self.disagreements(found, now)})

    def disagreements(self, found: PlaceList, now: datetime) -> Iterator[Disagreement]:
        """The selected locations whose zone does not agree with the offset that the vendor states."""
        zoning = self._client.settings.zoning
        zones = {name: ZoneInfo(name) for name in zoning.names}
        names = [(place, zoning.of_location(place.id, place.site_id)) for place in self._selected(found, now)]
        return disagreements([(place, name, zones[name]) for place, name in names], now)

    def _selected(self, found: PlaceList, now: datetime) -> Sequence[Place]:
        """The listed locations that the source selects."""
        settings = self._client.settings
        if settings.follows_account:
            return self.followed(found, now)
        selected = selected_locations(settings.selectors, found)
        return [found.places[each] for each in selected if each in found.places]

    def followed(self, found: PlaceList, now: datetime) -> Sequence[Place]:
        """The listed locations that are requested when the source follows the account."""
        return list(followed(found.places.values(), now, self._lateness))


class Selection:
    """The ids that one part of a stream requests."""

    def __init__(self, places: Places, client: Client, zone: str, *, by_site: bool) -> None:
        self._places = places
        self._client = client
        self._zone = zone
        self._by_site = by_site
        self._selected_since: dict[tuple[str, int], datetime] = {}
        """Since when each place is selected without an interruption, in this process: a sweep must not leave out what
        the one before it did not contain."""

    async def current(self, swept_at: datetime | None) -> Mapping[str, Sequence[int]]:
        """The ids to request, by the vendor's name of the argument. An argument without an id is left out.

        `swept_at` is that of the window: places that cannot have uploaded since then are left out. Raises RetryLater,
        Park or Split.
        """
        settings, now = self._client.settings, self._client.clock.now()
        selectors: Mapping[str, Sequence[int]] = settings.selectors
        if settings.needs_places:
            known = await self._places.current()
            candidates = self._places.followed(known, now)
            zoned = (settings.zoning, self._zone, selectors)
            if self._by_site:
                selectors = {SITES: sites_in(*zoned, known, candidates)}
            else:
                selectors = {LOCATIONS: locations_in(*zoned, known, candidates)}
        selected = [(selector, each) for selector, ids in selectors.items() for each in ids]
        self._selected_since = {each: self._selected_since.get(each, now) for each in selected}
        if swept_at is not None:
            selectors = await self._without_silent(selectors, swept_at)
        return {selector: ids for selector, ids in selectors.items() if ids}

    async def _without_silent(
        self, selectors: Mapping[str, Sequence[int]], swept_at: datetime
    ) -> Mapping[str, Sequence[int]]:
        """The selectors without places that were in the last sweep, and cannot have uploaded anything since it began.

        All of them if the vendor does not list the locations: the list only saves requests here.
        """
        try:
            known = await self._places.current()
        except (RetryLater, Park, Split):
            return selectors
        silent = {LOCATIONS: silent_locations(known, swept_at), SITES: silent_sites(known, swept_at)}
        return {
            selector: [
                each
                for each in ids
                if each not in silent.get(selector, ()) or self._selected_since[selector, each] >= swept_at
            ]
            for selector, ids in selectors.items()
        }
