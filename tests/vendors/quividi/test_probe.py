"""The probe checks the user of the token, and the account's locations and sites."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from collector.errors import CollectorError, Park, RetryLater
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import http
from collector.vendors.quividi.probe_client import MAX_SHOWN, probe
from tests.simulated import SimulatedClock
from tests.vendors.loopback import Handler, serving
from tests.vendors.quividi.vidicenter import TOKEN, USER, VidiCenter, assert_no_account, source

pytestmark = pytest.mark.anyio

WHOAMI = b'{"username": "ann/ex@example.com"}'
LOCATIONS = b"""[
    {"id": 1056, "label": "Hall", "site_id": 178, "active": true, "last_upload_timestamp": null, "last_timezone": 3600},
    {"id": 8264, "label": "Door", "site_id": 178, "active": false, "new": {"id": 1}}
]"""


def responses(whoami: bytes = WHOAMI, locations: bytes = LOCATIONS, seen: list[str] | None = None) -> Handler:
    async def handler(request: web.BaseRequest) -> web.Response:
        if seen is not None:
            seen.append(request.raw_path)
        return web.Response(body=whoami if request.path.endswith("/whoami/") else locations)

    return handler


async def probed(handler: Handler, **settings: object) -> str:
    async with serving(handler) as url, http(SimulatedClock()) as client:
        return (await probe("lobby", source(url, **settings), client, standalone_telemetry())).text


async def parked(handler: Handler, **settings: object) -> Park:
    with pytest.raises(Park) as raised:
        await probed(handler, **settings)
    assert_no_account(raised.value)
    return raised.value


async def test_the_probe_counts_locations_and_requests_no_data() -> None:
    seen: list[str] = []

    assert "2 locations" == await probed(responses(seen=seen))
    assert ["/api/v1/whoami/", "/api/v1/locations/"] == [path.rstrip("?") for path in seen]


async def test_the_probe_counts_one_location_and_none() -> None:
    assert "1 location" == await probed(responses(locations=b'[{"id": 1056}]'))
    assert "0 locations" == await probed(responses(locations=b"[]"), locations=None, sites=[178])


async def test_the_probe_sends_the_user_and_the_token() -> None:
    assert "3 locations" == await probed(VidiCenter().handle)
    assert "http_401" == (await parked(VidiCenter().handle, token="wrong")).code
    assert "http_401" == (await parked(VidiCenter().handle, username="bob")).code


async def test_a_token_of_another_user_parks_the_source() -> None:
    error = await parked(responses(whoami=b'{"username": "bob"}'))

    assert "wrong_user" == error.code
    assert "bob" not in str(error)
    assert "sources.lobby.username" in error.advice


async def test_foreign_locations_park_the_source_and_are_named() -> None:
    error = await parked(responses(), locations=[8264, 9, 1056, 7])

    assert "unknown_ids" == error.code
    assert "location 7, 9" in str(error)
    assert "sources.lobby.locations" in error.advice


async def test_foreign_sites_park_the_source_and_are_named() -> None:
    assert "2 locations" == await probed(responses(), locations=None, sites=[178])

    error = await parked(responses(), locations=None, sites=[178, 9])

    assert "unknown_ids" == error.code
    assert "site 9" in str(error)
    assert "sources.lobby.sites" in error.advice


async def test_sites_are_not_checked_if_locations_have_none() -> None:
    assert "1 location" == await probed(responses(locations=b'[{"id": 1056}]'), locations=None, sites=[9])


async def test_a_malformed_location_does_not_fail_the_probe() -> None:
    listed = b'[{"id": 1056, "site_id": 7}, {"id": "x"}]'

    assert "1 location" == await probed(responses(locations=listed), locations=[1057], sites=[8])


def with_tags(status: int = 200) -> Handler:
    others = responses()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if not request.path.endswith("_tags/"):
            return await others(request)
        tag = 2 if request.path.endswith("/location_tags/") else 3
        return web.Response(body=msgspec.json.encode([{"id": tag, "label": "North", "network_id": 7}]), status=status)

    return handler


async def test_the_probe_looks_tags_up() -> None:
    assert "2 locations" == await probed(with_tags(), locations=None, location_tags=[2], site_tags=[3])

    for kind, tag in (("location_tags", 3), ("site_tags", 2)):
        park = await parked(with_tags(), locations=None, **{kind: [tag]})
        assert ("unknown_ids", f"the account has no {kind.removesuffix('s')} {tag}") == (park.code, str(park))
        assert f"sources.lobby.{kind}" in park.advice


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_the_probe_reports_that_tags_are_not_checked(status: int) -> None:
    text = await probed(with_tags(status), locations=None, location_tags=[2], site_tags=[3])

    assert text.startswith("2 locations; location_tags, site_tags ")


async def test_the_probe_reports_locations_whose_zone_disagrees() -> None:
    rows = [{"id": number, "site_id": 9, "last_timezone": -18_000} for number in range(1, 8)]
    handler = responses(locations=msgspec.json.encode(rows))
    async with serving(handler) as url, http(SimulatedClock()) as client:

        async def warnings(**settings: object) -> Sequence[str]:
            return (await probe("lobby", source(url, **settings), client, standalone_telemetry())).warnings

        found = await warnings(locations="all")
        assert MAX_SHOWN == len(found)
        assert "location 1 uploads with the offset -05:00, but Europe/Paris has +01:00" == found[0]
        assert ["location 7"] == [each[:10] for each in await warnings(locations=[7])]
        assert [] == await warnings(locations="all", zones=[{"timezone": "America/New_York", "sites": [9]}])
        assert [] == await warnings(locations="all", timezone="America/New_York")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ({"locations": [1056, 9999]}, ["the account has no location 9999, named in the zone Europe/Berlin"]),
        ({"sites": [178, 9]}, ["the account has no site 9, named in the zone Europe/Berlin"]),
        ({"sites": [178], "locations": [8264]}, []),
    ],
)
async def test_the_probe_reports_places_in_zones_that_the_account_does_not_have(
    zone: dict[str, list[int]], expected: list[str]
) -> None:
    async with serving(responses()) as url, http(SimulatedClock()) as client:
        given = source(url, zones=[{"timezone": "Europe/Berlin", **zone}], locations="all")
        assert expected == list((await probe("lobby", given, client, standalone_telemetry())).warnings)


ELSEWHERE = msgspec.json.encode(
    [{"id": 1, "site_id": 10}, {"id": 2, "site_id": 10}, {"id": 3, "site_id": 20}, {"id": 4, "site_id": 30}]
)


@pytest.mark.parametrize(
    ("selection", "zone", "expected"),
    [
        ({"locations": [1]}, {"locations": [1]}, []),
        ({"locations": [1]}, {"sites": [10]}, []),
        ({"locations": [1]}, {"locations": [2, 3]}, ["location 2", "location 3"]),
        ({"locations": [1]}, {"sites": [10, 20]}, ["site 20"]),
        ({"sites": [10]}, {"locations": [2]}, []),
        ({"sites": [10]}, {"locations": [3], "sites": [30]}, ["location 3", "site 30"]),
        ({"locations": [1], "sites": [20]}, {"sites": [20], "locations": [1]}, []),
        ({"locations": "all"}, {"sites": [30]}, []),
    ],
)
async def test_the_probe_reports_places_in_zones_that_the_source_does_not_select(
    selection: dict[str, object], zone: dict[str, list[int]], expected: list[str]
) -> None:
    async with serving(responses(locations=ELSEWHERE)) as url, http(SimulatedClock()) as client:
        given = source(url, zones=[{"timezone": "Europe/Berlin", **zone}], **{"locations": None, **selection})
        result = await probe("lobby", given, client, standalone_telemetry())

    named = [f"the source does not select the {each}, named in the zone Europe/Berlin: " for each in expected]
    assert len(named) == len(result.notices)
    assert not [text for start, text in zip(named, result.notices, strict=True) if not text.startswith(start)]
    assert not [text for text in result.notices if not text.endswith("sources.lobby.zones")]
    assert [] == list(result.warnings)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ({"locations": [1]}, []),
        ({"locations": [2]}, []),
        ({"locations": [1, 3]}, ["location 3"]),
        ({"sites": [10, 20]}, ["site 20"]),
    ],
)
async def test_the_probe_reports_places_in_zones_that_are_not_active_if_the_source_follows_the_account(
    zone: dict[str, list[int]], expected: list[str]
) -> None:
    """What became inactive lately is still requested: it may have uploaded late."""
    clock = SimulatedClock()
    lately, long_ago = (f"{clock.now() - timedelta(days=days):%FT%T}" for days in (1, 400))
    rows = [
        {"id": 1, "site_id": 10, "active": True},
        {"id": 2, "site_id": 10, "active": False, "last_upload_timestamp": lately},
        {"id": 3, "site_id": 20, "active": False, "last_upload_timestamp": long_ago},
    ]
    async with serving(responses(locations=msgspec.json.encode(rows))) as url, http(clock) as client:
        given = source(url, zones=[{"timezone": "Europe/Berlin", **zone}], locations="all")
        result = await probe("lobby", given, client, standalone_telemetry())

    assert [f"the {each}, named" for each in expected] == [text.partition(" in ")[0] for text in result.notices]
    assert not [text for text in result.notices if "not active" not in text or "sources.lobby.zones" not in text]
    assert [] == list(result.warnings)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'{"username": null}', b'{"message": "no", "error": 401}'])
async def test_an_undocumented_whoami_raises_retry_later(body: bytes) -> None:
    with pytest.raises(RetryLater, match="/whoami/") as raised:
        await probed(responses(whoami=body))

    assert_no_account(raised.value)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[{}]", b'[{"id": "x"}]', LOCATIONS[:-10], b"[" * 50_000])
async def test_an_undocumented_list_of_locations_raises_retry_later(body: bytes) -> None:
    with pytest.raises(RetryLater, match="/locations/") as raised:
        await probed(responses(locations=body))

    assert_no_account(raised.value)


@pytest.mark.parametrize(("status", "kind"), [(403, Park), (404, Park), (429, RetryLater), (500, RetryLater)])
async def test_error_statuses_are_passed_to_the_caller(status: int, kind: type[CollectorError]) -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=f"{USER} {TOKEN}")

    with pytest.raises(kind) as raised:
        await probed(handler)

    assert f"http_{status}" == raised.value.code
    assert_no_account(raised.value)
