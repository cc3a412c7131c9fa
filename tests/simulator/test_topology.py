"""The topology in the simulated VidiCenter's lists: fields, scopes, locations that change, and refusals."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from aiohttp import encode_basic_auth

from collector.simulator.rules import Rules
from collector.simulator.vidicenter import USERNAME
from collector.simulator.world import World, as_datetime, last_upload_ms
from tests.simulator.harness import HOUR_MS, NOON, PLACE, WORLD, Row, Vendor, read, serving, status_of

pytestmark = pytest.mark.anyio

MANY_CALLS = 10_000
NOW = NOON + timedelta(days=1, hours=6)
NOW_MS = int(NOW.timestamp() * 1000)
"""The time of the vendor's clock."""
ODD_SITES, EVEN_SITES = "Airports & stations", "High street / north, 50%"
EVEN_PLACES, ODD_PLACES, NO_PLACES = "Entrance", "Caisse n° 1", "Without locations?"

PATHS = [
    "/networks/",
    "/sites/",
    "/sites/vehicles/",
    "/network/1/sites/",
    "/network/1/sites/vehicles/",
    f"/site_tag/{quote(ODD_SITES, safe='')}/sites/",
    "/locations/",
    "/network/1/locations/",
    "/site/302/locations/",
    f"/site_tag/{quote(EVEN_SITES, safe='')}/locations/",
    f"/location_tag/{quote(ODD_PLACES, safe='')}/locations/",
    "/boxes/",
    "/network/1/boxes/",
    "/site/302/boxes/",
    f"/site_tag/{quote(ODD_SITES, safe='')}/boxes/",
    f"/location_tag/{EVEN_PLACES}/boxes/",
    "/location/3024/boxes/",
    "/zones/",
    "/site_tags/",
    "/location_tags/",
    "/network/1/site_tags/",
    "/network/1/location_tags/",
    "/clip/metadata/",
]
SINGLE_PATHS = ["/location/3024/zones/", "/network/1/clip/metadata/content%208001/"]


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with serving(rules=Rules(calls_per_minute=MANY_CALLS)) as vendor:
        yield vendor


def found(rows: list[Row], name: str = "id") -> list[int]:
    return [row[name] for row in rows]


@pytest.mark.parametrize("path", PATHS)
async def test_every_list_is_an_array_and_has_objects(vendor: Vendor, path: str) -> None:
    body = await read(vendor, path)
    assert isinstance(body, list)
    assert body


@pytest.mark.parametrize("path", PATHS + SINGLE_PATHS)
async def test_lists_need_credentials_and_a_trailing_slash_and_cannot_be_written(vendor: Vendor, path: str) -> None:
    assert 200 == await status_of(vendor, path)
    assert 404 == await status_of(vendor, path.rstrip("/"))
    assert 401 == await status_of(vendor, path, auth=None)
    assert 401 == await status_of(vendor, path, auth=encode_basic_auth(USERNAME, "wrong"))
    assert [405] * 4 == [await status_of(vendor, path, verb) for verb in ("POST", "PUT", "PATCH", "DELETE")]


@pytest.mark.parametrize("path", ["/zones/", "/location/3024/zones/", "/sites/vehicles/", "/network/1/sites/vehicles/"])
async def test_with_old_names_paths_that_are_newer_than_2020_are_not_found(path: str) -> None:
    async with serving(rules=Rules(has_old_names=True)) as vendor:
        assert 404 == await status_of(vendor, path)


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("/sites/", [302, 303, 531]),
        ("/network/1/sites/", [302, 303, 531]),
        (f"/site_tag/{quote(ODD_SITES, safe='')}/sites/", [303, 531]),
        (f"/site_tag/{quote(EVEN_SITES, safe='')}/sites/", [302]),
        ("/locations/", [3024, 3035, 5315]),
        ("/network/1/locations/", [3024, 3035, 5315]),
        ("/site/303/locations/", [3035]),
        (f"/site_tag/{quote(ODD_SITES, safe='')}/locations/", [3035, 5315]),
        (f"/location_tag/{quote(ODD_PLACES, safe='')}/locations/", [3035, 5315]),
        (f"/location_tag/{EVEN_PLACES}/locations/", [3024]),
        (f"/location_tag/{quote(NO_PLACES, safe='')}/locations/", []),
        ("/boxes/", [703024, 703035, 705315]),
        ("/site/531/boxes/", [705315]),
        ("/location/3035/boxes/", [703035]),
    ],
)
async def test_a_scope_selects_its_objects(vendor: Vendor, path: str, ids: list[int]) -> None:
    assert ids == found(await read(vendor, path))


async def test_locations_boxes_sites_and_networks_refer_to_each_other(vendor: Vendor) -> None:
    boxes = {row["id"]: row for row in await read(vendor, "/boxes/")}
    sites = {row["id"]: row for row in await read(vendor, "/sites/")}
    for location in await read(vendor, "/locations/"):
        box = boxes[location["box_id"]]
        assert (location["id"], location["site_id"]) == (box["location_id"], box["site_id"])
        assert [sites[location["site_id"]]["network_id"]] == found(await read(vendor, "/networks/"))
        assert "network_id" not in location


async def test_locations_of_ten_consecutive_numbers_are_one_site_and_its_boxes_share_an_address() -> None:
    async with serving(world=World(devices=(3020, 3024, 3030))) as vendor:
        assert [302, 303] == found(await read(vendor, "/sites/"))
        first, second, third = found(await read(vendor, "/boxes/"), "box_mac")
    assert first == second != third


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/network/2/sites/", 403),
        ("/site/999/locations/", 403),
        ("/location/77/zones/", 403),
        ("/location/703024/boxes/", 403),
        ("/site/hall/locations/", 404),
        ("/site/302%20/locations/", 404),
        ("/site_tag/21/sites/", 404),
        ("/site_tag/Nowhere/sites/", 404),
        ("/location_tag/High%20street/locations/", 404),
        (f"/location_tag/{quote(ODD_SITES, safe='')}/locations/", 404),
        ("/network/1/clip/metadata/content%207/", 404),
        ("/oem/register/", 404),
    ],
)
async def test_unknown_ids_and_labels_are_refused(vendor: Vendor, path: str, status: int) -> None:
    assert status == await status_of(vendor, path)


async def test_a_forbidden_path_is_refused_and_others_are_not() -> None:
    async with serving(rules=Rules(forbidden_paths=frozenset({"/zones/", "/network/1/sites/"}))) as vendor:
        expected = (403, {"message": "not included in your licence", "error": 403})
        assert [expected] * 2 == [await vendor.get(f"/api/v1{path}") for path in ("/zones/", "/network/1/sites/")]
        assert [200] * 2 == [await status_of(vendor, path) for path in ("/sites/", "/location/3024/zones/")]
        assert 401 == await status_of(vendor, "/zones/", auth=None)


async def test_lists_count_as_calls() -> None:
    async with serving(rules=Rules(calls_per_minute=2)) as vendor:
        assert [200, 200, 429] == [await status_of(vendor, path) for path in ("/sites/", "/alerts/", "/zones/")]


async def test_a_tag_of_a_network_contains_complete_objects(vendor: Vendor) -> None:
    sites, locations = await read(vendor, "/sites/"), await read(vendor, "/locations/")
    site_tags = await read(vendor, "/network/1/site_tags/")
    assert {ODD_SITES: sites[1:], EVEN_SITES: sites[:1]} == {tag["label"]: tag["sites"] for tag in site_tags}
    location_tags = {tag["label"]: tag["locations"] for tag in await read(vendor, "/network/1/location_tags/")}
    assert {EVEN_PLACES: locations[:1], ODD_PLACES: locations[1:], NO_PLACES: []} == location_tags


async def test_a_clip_is_found_by_the_content_id_of_exports(vendor: Vendor) -> None:
    clip = await read(vendor, "/network/1/clip/metadata/content%208001/")
    assert clip in await read(vendor, "/clip/metadata/")
    assert "content 8001" == clip["clip_id"]


async def test_the_last_upload_follows_the_box_in_local_time(vendor: Vendor) -> None:
    for hours in range(0, 50, 7):
        vendor.clock[0] = NOW + timedelta(hours=hours)
        for location in await read(vendor, "/locations/"):
            uploaded_ms = last_upload_ms(WORLD.pace, location["id"], NOW_MS + hours * HOUR_MS)
            local = (as_datetime(uploaded_ms) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
            assert local == location["last_upload_timestamp"]


@pytest.mark.parametrize(
    ("rules", "winter", "summer"),
    [
        (Rules(), [3600, 3600, 3600], [7200, 7200, 7200]),
        (Rules(place_zones={3035: "America/New_York", 5315: "UTC"}), [3600, -18000, 0], [7200, -14400, 0]),
        (Rules(timezone_in_minutes=True, place_zones={3035: "Asia/Kolkata"}), [60, 330, 60], [120, 330, 120]),
    ],
    ids=["one zone", "zones by place", "in minutes"],
)
async def test_the_last_timezone_is_the_offset_at_the_last_upload(
    rules: Rules, winter: list[int], summer: list[int]
) -> None:
    async with serving(rules=rules) as vendor:
        assert winter == found(await read(vendor, "/locations/"), "last_timezone")
        vendor.clock[0] = datetime(2026, 7, 1, tzinfo=UTC)
        assert summer == found(await read(vendor, "/locations/"), "last_timezone")
        # Clocks change at 01:00 UTC, and no box has uploaded since.
        vendor.clock[0] = datetime(2026, 10, 25, 1, 0, 0, tzinfo=UTC)
        assert summer[0] == found(await read(vendor, "/locations/"), "last_timezone")[0]
        vendor.clock[0] = datetime(2026, 10, 25, 1, 30, 0, tzinfo=UTC)
        assert winter[0] == found(await read(vendor, "/locations/"), "last_timezone")[0]


async def test_inactive_locations_make_their_box_inactive_and_their_site_if_no_other_is_active() -> None:
    world = World(devices=(3020, 3024, 3035))
    async with serving(world=world, rules=Rules(inactive=frozenset({3020, 3035}))) as vendor:
        locations, boxes, sites = [await read(vendor, path) for path in ("/locations/", "/boxes/", "/sites/")]
    assert [False, True, False] == found(locations, "active") == found(boxes, "active")
    assert [True, False] == found(sites, "active")


async def test_a_location_that_appears_is_in_no_list_before_and_has_not_uploaded_at_first() -> None:
    async with serving(rules=Rules(appears_ms={PLACE: NOW_MS + HOUR_MS})) as vendor:
        paths = ("/locations/", "/boxes/", "/sites/", "/zones/", "/network/1/site_tags/")
        before = [await read(vendor, path) for path in paths]
        assert [[3035, 5315], [703035, 705315], [303, 531]] == [found(rows) for rows in before[:3]]
        assert PLACE not in found(before[3], "location_id")
        assert [] == before[4][1]["sites"]
        assert 403 == await status_of(vendor, f"/location/{PLACE}/zones/")
        vendor.advance_s(3600)
        location = (await read(vendor, "/locations/"))[0]
        assert (PLACE, "2026-11-07T20:00:00") == (location["id"], location["creation_date"])
        assert (None, None, None) == tuple(
            location[name] for name in ("last_upload_timestamp", "last_timezone", "last_seen")
        )
        assert 302 in found(await read(vendor, "/sites/"))
        vendor.advance_s(1800)
        assert "2026-11-07T20:09:07" == (await read(vendor, "/locations/"))[0]["last_upload_timestamp"]


async def test_the_last_upload_stays_while_a_location_is_offline_and_is_the_time_at_which_it_is_back() -> None:
    first_ms, back_ms = NOW_MS + HOUR_MS, NOW_MS + 5 * HOUR_MS
    async with serving(rules=Rules(offline={PLACE: (first_ms, back_ms)})) as vendor:
        uploads = []
        for at_ms in (first_ms - 1, first_ms, back_ms - 1, back_ms, back_ms + HOUR_MS):
            vendor.clock[0] = as_datetime(at_ms)
            location, other, _ = await read(vendor, "/locations/")
            box = (await read(vendor, "/boxes/"))[0]
            assert location["last_upload_timestamp"] == box["last_upload_timestamp"]
            uploads.append((location["last_upload_timestamp"][11:], other["last_upload_timestamp"][11:]))
    assert [
        ("19:39:07", "19:40:34"),
        ("19:39:07", "19:40:34"),
        ("19:39:07", "23:40:34"),
        ("00:00:00", "23:40:34"),
        ("00:39:07", "00:40:34"),
    ] == uploads


@pytest.mark.parametrize("path", PATHS)
async def test_another_server_of_the_same_world_has_the_same_lists(path: str) -> None:
    async with serving() as one, serving() as other:
        assert await read(one, path) == await read(other, path)
