"""The fields of the objects in the simulated VidiCenter's lists of its topology."""

from collections.abc import AsyncIterator, Mapping

import pytest

from collector.simulator.rules import Rules
from tests.simulator.harness import WORLD, Vendor, read, serving, types

pytestmark = pytest.mark.anyio

NETWORK = {"id": int, "label": str, "active": bool}
OLD_SITE = {"id": int, "network_id": int, "label": str, "active": bool}
SITE = OLD_SITE | {
    "address": str,
    "description": str,
    "venue_type": str,
    "venue_subtype": str,
    "max_active_locations": int,
    "exclude_from_network_vrc": bool,
    "upload_period_alert": int,
    "daily_watchers_alert_threshold": int,
    "black_input_is_error": bool,
    "ignore_low_fps": bool,
}
VEHICLES = SITE | {"vehicles_factors": dict}
COMMON_LOCATION = {
    "id": int,
    "site_id": int,
    "box_id": int,
    "label": str,
    "active": bool,
    "creation_date": str,
    "last_upload_timestamp": str,
    "last_timezone": int,
}
OLD_LOCATION = COMMON_LOCATION | {"second_id": str, "third_id": str}
LOCATION = COMMON_LOCATION | {
    "last_seen": str,
    "last_ots_uploaded": str,
    "location_type": str,
    "venue_type": str,
    "venue_subtype": str,
    "id_pointer": str,
    "id_broadsign_uuid": str,
    "id_broadsign_playerid": str,
    "id_broadsign_screenid_v1": str,
    "id_broadsign_displayunitid": str,
}
DESCRIBED_LOCATION = LOCATION | {"description": str, "bm_ignore": bool}
OLD_BOX = {
    "id": int,
    "location_id": int,
    "site_id": int,
    "label": str,
    "active": bool,
    "last_upload_timestamp": str,
}
BOX = OLD_BOX | {"box_mac": int, "raw_camera_config": str}
ZONE = {
    "id": int,
    "location_id": int,
    "name": str,
    "description": str,
    "type": int,
    "created_at": str,
    "updated_at": str,
    "coordinates": list,
    "presence_threshold": float,
}
OLD_TAG = {"id": int, "network_id": int, "label": str}
TAG = OLD_TAG | {"extrapolation": bool}
CLIP = {"id": int, "network_id": int, "clip_id": str, "name": str, "description": str, "screenshot": str}


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with serving() as vendor:
        yield vendor


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/networks/", NETWORK),
        ("/sites/", SITE),
        ("/sites/vehicles/", VEHICLES),
        ("/location/3024/boxes/", BOX),
        ("/site/302/locations/", LOCATION),
        ("/site/303/locations/", DESCRIBED_LOCATION),
        ("/boxes/", BOX),
        ("/zones/", ZONE),
        ("/site_tags/", TAG),
        ("/location_tags/", TAG),
        ("/network/1/site_tags/", TAG | {"sites": list}),
        ("/network/1/location_tags/", TAG | {"locations": list}),
        ("/clip/metadata/", CLIP),
    ],
)
async def test_objects_have_the_fields_of_2026(vendor: Vendor, path: str, fields: Mapping[str, type]) -> None:
    assert [] == [row for row in await read(vendor, path) if types(row) != fields]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/networks/", NETWORK),
        ("/sites/", OLD_SITE),
        ("/locations/", OLD_LOCATION),
        ("/boxes/", OLD_BOX),
        ("/site_tags/", OLD_TAG),
        ("/clip/metadata/", CLIP),
    ],
)
async def test_with_old_names_objects_have_the_fields_of_2020(path: str, fields: Mapping[str, type]) -> None:
    async with serving(rules=Rules(has_old_names=True)) as vendor:
        assert [] == [row for row in await read(vendor, path) if types(row) != fields]


async def test_the_zones_of_a_location_are_in_an_object_with_measures_that_may_be_unknown(vendor: Vendor) -> None:
    zones = await read(vendor, "/zones/")
    for place in WORLD.devices:
        body = await read(vendor, f"/location/{place}/zones/")
        assert {"zones", "input_mask", "input_original_size"} == body.keys()
        assert [zone for zone in zones if zone["location_id"] == place] == body["zones"]
    assert {} == (await read(vendor, "/location/3024/zones/"))["input_mask"]
    body = await read(vendor, "/location/3035/zones/")
    assert dict.fromkeys(("x", "y", "width", "height"), int) == types(body["input_mask"])
    assert dict.fromkeys(("width", "height"), int) == types(body["input_original_size"])


async def test_zones_have_every_type_corners_within_the_picture_and_milliseconds(vendor: Vendor) -> None:
    zones = await read(vendor, "/zones/")
    assert {0, 1, 2, 3} == {zone["type"] for zone in zones}
    assert len(zones) == len({zone["id"] for zone in zones})
    corners = [corner for zone in zones for corner in zone["coordinates"]]
    assert all({"x": float, "y": float} == types(corner) for corner in corners)
    assert all(0 <= value <= 1 for corner in corners for value in corner.values())
    assert all(len("2026-03-02T17:41:09.123") == len(zone["updated_at"]) for zone in zones)


async def test_the_camera_is_configured_without_user_and_password(vendor: Vendor) -> None:
    assert all(box["raw_camera_config"].startswith("rtsp://***:***@") for box in await read(vendor, "/boxes/"))
