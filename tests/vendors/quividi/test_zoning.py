"""In which zone each place is, and which places a source selects in each."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from collector.vendors.quividi.place_list import Place, PlaceList
from collector.vendors.quividi.zoning import (
    Zone,
    Zoning,
    locations_in,
    selected_locations,
    selected_sites,
    silent_locations,
    silent_sites,
    sites_in,
)

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PARIS, NEW_YORK, TOKYO = "Europe/Paris", "America/New_York", "Asia/Tokyo"
ZONING = Zoning(
    PARIS, [Zone(NEW_YORK, sites=frozenset({20}), locations=frozenset({1})), Zone(TOKYO, sites=frozenset({30}))]
)
PLACES = [Place(1, 30), Place(2, 20), Place(3, 30), Place(4, 10), Place(5)]
KNOWN = PlaceList(
    {each.id: each for each in PLACES},
    is_whole=True,
    tagged={"location_tags": {7: frozenset({1, 4})}, "site_tags": {8: frozenset({30})}},
)


def test_the_names_of_the_zones_begin_with_the_sources_own() -> None:
    assert [PARIS, NEW_YORK, TOKYO] == ZONING.names


def test_zones_are_described_by_their_names_and_by_their_places() -> None:
    tokyo, new_york = Zone(TOKYO, sites=frozenset({30, 31})), Zone(NEW_YORK, locations=frozenset({1}))
    described = Zoning(PARIS, [tokyo, new_york]).description

    assert PARIS == Zoning(PARIS).description
    assert described.startswith(f"{PARIS}, {NEW_YORK}, {TOKYO} ")
    assert described == Zoning(PARIS, [new_york, Zone(TOKYO, sites=frozenset({31, 30}))]).description
    others = [
        Zoning(PARIS, [tokyo]),
        Zoning(PARIS, [new_york, Zone(TOKYO, sites=frozenset({30}))]),
        Zoning(PARIS, [new_york, Zone(TOKYO, locations=frozenset({30, 31}))]),
    ]
    assert 4 == len({described, *(each.description for each in others)})


@pytest.mark.parametrize(
    ("location", "site", "zone"),
    [
        (1, 30, NEW_YORK),  # the location itself has precedence over its site
        (1, None, NEW_YORK),
        (2, 20, NEW_YORK),
        (3, 30, TOKYO),
        (4, 10, PARIS),
        (5, None, PARIS),
    ],
)
def test_a_location_is_in_its_own_zone_or_that_of_its_site_or_of_the_source(
    location: int, site: int | None, zone: str
) -> None:
    assert zone == ZONING.of_location(location, site)


def test_a_location_is_in_its_own_zone_also_if_the_zone_of_its_site_comes_first() -> None:
    zoning = Zoning(PARIS, [Zone(TOKYO, sites=frozenset({30})), Zone(NEW_YORK, locations=frozenset({1}))])

    assert NEW_YORK == zoning.of_location(1, 30)


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ({}, {PARIS: [4, 5], NEW_YORK: [1, 2], TOKYO: [3]}),
        ({"locations": (1, 3, 4)}, {PARIS: [4], NEW_YORK: [1], TOKYO: [3]}),
        ({"locations": (99,)}, {PARIS: [99], NEW_YORK: [], TOKYO: []}),  # the vendor does not list it
        ({"sites": (20, 30)}, {PARIS: [], NEW_YORK: [1, 2], TOKYO: [3]}),
        ({"sites": (10,), "locations": (4, 2)}, {PARIS: [4], NEW_YORK: [2], TOKYO: []}),
        ({"location_tags": (7,)}, {PARIS: [4], NEW_YORK: [1], TOKYO: []}),
        ({"location_tags": (99,)}, {PARIS: [], NEW_YORK: [], TOKYO: []}),
        ({"site_tags": (8,)}, {PARIS: [], NEW_YORK: [1], TOKYO: [3]}),
    ],
)
def test_each_selected_location_is_in_exactly_one_zone(
    selectors: Mapping[str, Sequence[int]], expected: Mapping[str, Sequence[int]]
) -> None:
    assert expected == {name: locations_in(ZONING, name, selectors, KNOWN, PLACES) for name in ZONING.names}


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ({}, {PARIS: [10], NEW_YORK: [20], TOKYO: [30]}),
        ({"sites": (10, 30, 99)}, {PARIS: [10, 99], NEW_YORK: [], TOKYO: [30]}),
        ({"site_tags": (8,)}, {PARIS: [], NEW_YORK: [], TOKYO: [30]}),
    ],
)
def test_each_selected_site_is_in_exactly_one_zone(
    selectors: Mapping[str, Sequence[int]], expected: Mapping[str, Sequence[int]]
) -> None:
    assert expected == {name: sites_in(ZONING, name, selectors, KNOWN, PLACES) for name in ZONING.names}


def test_without_selectors_only_the_followed_places_are_requested() -> None:
    assert [4] == locations_in(ZONING, PARIS, {}, KNOWN, [PLACES[3]])
    assert [10] == sites_in(ZONING, PARIS, {}, KNOWN, [PLACES[3]])


def test_selectors_that_overlap_select_each_place_once() -> None:
    selectors = {"locations": (1, 3), "sites": (30,), "location_tags": (7,), "site_tags": (8,)}

    assert {1, 3, 4} == selected_locations(selectors, KNOWN)
    assert {30} == selected_sites(selectors, KNOWN)


@pytest.mark.parametrize(
    ("last_upload", "is_silent"),
    [
        (None, False),
        (NOW, False),
        (NOW - 14 * HOUR, False),  # perhaps on a clock of UTC-14
        (NOW - 14 * HOUR - HOUR, True),
    ],
)
def test_a_location_is_silent_if_it_has_uploaded_nothing_on_any_clock(
    last_upload: datetime | None, *, is_silent: bool
) -> None:
    known = PlaceList({1: Place(1, 10, last_upload=last_upload)}, is_whole=True)

    assert ({1} if is_silent else set()) == silent_locations(known, NOW)
    assert ({10} if is_silent else set()) == silent_sites(known, NOW)


def test_a_site_is_silent_only_if_all_of_its_locations_are_known_and_silent() -> None:
    long_ago = NOW - 100 * HOUR
    places = {1: Place(1, 10, last_upload=long_ago), 2: Place(2, 20, last_upload=long_ago), 3: Place(3, 20)}

    assert {10} == silent_sites(PlaceList(places, is_whole=True), NOW)
    assert set() == silent_sites(PlaceList(places, is_whole=False), NOW)
