"""Zones that contradict each other, or what the source requests, are errors at start."""

import pytest

from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import http
from collector.vendors.quividi.settings import Streams
from collector.vendors.quividi.streams import streams
from collector.vendors.quividi.zoning import Zone, Zoning
from tests.simulated import SimulatedClock
from tests.vendors.quividi.test_settings import error_of, source

NEW_YORK, TOKYO = {"timezone": "America/New_York", "sites": [20]}, {"timezone": "Asia/Tokyo", "locations": [3, 1]}
BY_SITE: dict[str, object] = {"proof_of_play_by_site": {}}


def test_a_source_has_its_own_zone_and_those_of_its_tables() -> None:
    zones = [
        Zone("America/New_York", frozenset({20})),
        Zone("Asia/Tokyo", locations=frozenset({1, 3})),
    ]

    assert Zoning("Europe/Paris", zones) == source(zones=[NEW_YORK, TOKYO]).zoning
    assert Zoning("Europe/Paris", []) == source().zoning


def test_all_locations_are_selected_by_a_word() -> None:
    followed = source(locations="all")

    assert ({}, True, True) == (followed.selectors, followed.follows_account, followed.needs_places)
    assert (False, False) == (source().follows_account, source().needs_places)
    assert (False, True) == (source(zones=[TOKYO]).follows_account, source(zones=[TOKYO]).needs_places)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"locations": "every"}, "all"),
        ({"locations": "all", "sites": [3]}, 'locations = "all" already selects everything: remove sites'),
        ({"locations": "all", "site_tags": [3], "sites": [1]}, "remove sites, site_tags"),
        (
            {"locations": None, "zones": [TOKYO]},
            "expected at least one of locations, sites, location_tags and site_tags",
        ),
        ({"zones": [{"timezone": "Asia/Tokyo"}]}, "expected sites or locations: the places that are in this zone"),
        ({"zones": [{"sites": [1]}]}, "timezone"),
        ({"zones": [{"timezone": "Asia/Tokio", "sites": [1]}]}, "IANA"),
        ({"zones": [{"timezone": "Asia/Tokyo", "sites": []}]}, "expected at least one id"),
        ({"zones": [{"timezone": "Asia/Tokyo", "sites": [-1]}]}, "sites"),
        ({"zones": [{"timezone": "Asia/Tokyo", "site": [1]}]}, "site"),
        ({"zones": {"timezone": "Asia/Tokyo", "sites": [1]}}, "zones"),
        ({"zones": [{"timezone": "Europe/Paris", "sites": [1]}]}, "Europe/Paris is named twice"),
        ({"zones": [TOKYO, NEW_YORK, {"timezone": "Asia/Tokyo", "sites": [1]}]}, "Asia/Tokyo is named twice"),
        ({"zones": [NEW_YORK, {"timezone": "Asia/Tokyo", "sites": [20, 7]}]}, "sites 20: named twice"),
        ({"zones": [{"timezone": "Asia/Tokyo", "sites": [20, 20]}]}, "sites 20: named twice"),
        ({"zones": [TOKYO, {"timezone": "Asia/Seoul", "locations": [3]}]}, "locations 3: named twice"),
        (
            {"locations": None, "sites": [1], "zones": [TOKYO], "streams": BY_SITE},
            "proof_of_play_by_site has numbers of whole sites: name the sites in zones, not the locations",
        ),
        ({"streams": BY_SITE}, "proof_of_play_by_site needs sites or site_tags alone"),
        (
            {"locations": None, "location_tags": [1], "streams": BY_SITE},
            "proof_of_play_by_site needs sites or site_tags alone",
        ),
        (
            {"zones": [NEW_YORK], "streams": {"extrapolated_ots": {"extrapolation_amount": 9}}},
            "extrapolated_ots needs a selection that fits into one request",
        ),
        (
            {"locations": "all", "streams": {"extrapolated_ots": {"extrapolation_amount": 9}}},
            "extrapolated_ots needs a selection that fits into one request",
        ),
    ],
)
def test_zones_that_contradict_something_are_rejected(changes: dict[str, object], reason: str) -> None:
    assert reason in error_of(**changes)


def test_a_site_may_be_in_a_zone_while_one_of_its_locations_is_in_another() -> None:
    assert 3 == len(source(zones=[NEW_YORK, TOKYO]).zoning.names)


@pytest.mark.anyio
async def test_each_zone_has_a_shard_of_each_export_and_lists_have_none() -> None:
    chosen = Streams.model_validate({"viewers": {}, "ots": {}, "alerts": {}, "locations": {}})
    async with http(SimulatedClock()) as client:
        found = streams("lobby", source(zones=[NEW_YORK], streams=chosen), client, standalone_telemetry())

    assert ["alerts", "locations", "ots", "ots@America/New_York", "viewers", "viewers@America/New_York"] == sorted(
        each.name for each in found
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("changes", "is_another"),
    [
        ({"zones": [NEW_YORK]}, True),
        ({"zones": [NEW_YORK | {"sites": [21]}]}, True),
        ({"locations": "all"}, True),
        ({"locations": [1056, 1056]}, False),
        ({"timezone": "Asia/Tokyo"}, False),
    ],
)
async def test_the_selection_of_a_stream_changes_with_the_zones(
    changes: dict[str, object], *, is_another: bool
) -> None:
    async with http(SimulatedClock()) as client:
        before, after = (
            streams("lobby", source(**each), client, standalone_telemetry())[0].selection for each in ({}, changes)
        )

    assert is_another == (before != after)
