"""The small requests that show whether an account may read what its source is configured for."""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice

from collector.errors import Park
from collector.plurals import counted
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import ProbeResult
from collector.vendors.http import Http
from collector.vendors.quividi.client import Client
from collector.vendors.quividi.licences import REFUSALS
from collector.vendors.quividi.place_list import PlaceList
from collector.vendors.quividi.places_client import Places
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.zoning import LOCATIONS, SITES, TAGS, selected_locations, selected_sites

MAX_SHOWN = 5
"""The most warnings that are shown."""


async def probe(source: str, settings: QuividiSource, http: Http, telemetry: VendorTelemetry) -> ProbeResult:
    """Request the token's user, the account's locations, and its tags if some are selected.

    Raises RetryLater, Split, or Park: also for a token of another user, and for ids that the account does not own.
    """
    client = Client(source, settings, http, telemetry)
    username, skew_s = await client.user()
    if username != settings.username:
        advice = f"correct sources.{source}.username or .token: the state is stored under the name of the user"
        raise Park("the token belongs to another user", code="wrong_user", advice=advice)
    places = Places(client, telemetry)
    known = await places.current()
    owned, now = known.places.values(), http.clock.now()
    if known.is_whole:
        _check_owned(f"sources.{source}", "location", settings.selectors.get(LOCATIONS), known.places.keys())
    sites = {each.site_id for each in owned if each.site_id is not None}
    if known.is_whole and sites:  # otherwise the vendor lists no sites, and only the first export shows unknown ones
        _check_owned(f"sources.{source}", "site", settings.selectors.get(SITES), sites)
    unchecked = [
        kind for kind in TAGS if kind in settings.selectors and not await _are_tags_checked(client, places, kind)
    ]
    text = counted(len(owned), "location")
    if unchecked:
        text += f"; {', '.join(unchecked)} cannot be checked: the account may not list tags"
    unknown = _unknown_in_zones(settings, known.places.keys(), sites) if known.is_whole else iter(())
    warnings = chain(unknown, map(str, places.disagreements(known, now)))
    requested = (
        {each.id for each in places.followed(known, now)}
        if settings.follows_account
        else selected_locations(settings.selectors, known)
    )
    notices = _unrequested_in_zones(source, settings, known, requested) if known.is_whole else iter(())
    return ProbeResult(text, skew_s, list(islice(warnings, MAX_SHOWN)), list(islice(notices, MAX_SHOWN)))


def _unknown_in_zones(settings: QuividiSource, locations: Collection[int], sites: Collection[int]) -> Iterator[str]:
    """Places that the zones name and the account does not have: a mistyped number has no other visible effect."""
    for zone in settings.zones:
        for kind, named, owned in (("location", zone.locations, locations), ("site", zone.sites, sites)):
            if owned and (foreign := sorted(set(named or ()).difference(owned))):
                yield f"the account has no {kind} {', '.join(map(str, foreign))}, named in the zone {zone.timezone}"


def _unrequested_in_zones(
    source: str, settings: QuividiSource, known: PlaceList, locations: Collection[int]
) -> Iterator[str]:
    """Places of the account that the zones name, and that are not requested: their zone has no effect.

    `locations` are those that are requested.
    """
    sites = selected_sites(settings.selectors, known)
    sites |= {place.site_id for each in locations if (place := known.places.get(each)) and place.site_id is not None}
    owned_sites = {place.site_id for place in known.places.values()}
    for zone in settings.zones:
        for kind, named, requested, owned in (
            ("location", zone.locations, locations, known.places.keys()),
            ("site", zone.sites, sites, owned_sites),
        ):
            for each in sorted((set(named or ()) & owned).difference(requested)):
                reason = f"the source does not select the {kind} {each}, named in the zone {zone.timezone}"
                advice = "add it to the selection, or"
                if settings.follows_account:
                    reason = f"the {kind} {each}, named in the zone {zone.timezone}, is not active"
                    advice = "it is requested when it is active again; if it is closed,"
                yield f"{reason}: {advice} remove it from sources.{source}.zones"


async def _are_tags_checked(client: Client, places: Places, kind: str) -> bool:
    """Whether the account owns the selected tags; False if it may not list them. Raises Park for other tags."""
    try:
        listed = await places.tags(kind)
    except Park as error:
        if error.code not in REFUSALS:
            raise
        return False
    _check_owned(f"sources.{client.source}", kind.removesuffix("s"), client.settings.selectors[kind], listed.keys())
    return True


def _check_owned(path: str, kind: str, ids: Sequence[int] | None, owned: Collection[int]) -> None:
    """Raises Park for ids that the account does not own."""
    if foreign := sorted(set(ids or ()).difference(owned)):
        advice = f"correct {path}.{kind}s: the stream waits until then, so that no data is lost"
        raise Park(f"the account has no {kind} {', '.join(map(str, foreign))}", code="unknown_ids", advice=advice)
