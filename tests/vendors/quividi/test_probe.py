"""Before anything is followed, the account says who it is and what it owns."""

import pytest
from aiohttp import web

from collector.errors import Park, RetryLater
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import http
from collector.vendors.quividi import VENDOR
from tests.simulated import SimulatedClock
from tests.vendors.loopback import Handler, serving
from tests.vendors.quividi.vidicenter import TOKEN, USER, VidiCenter, assert_keeps_the_account, source

pytestmark = pytest.mark.anyio

WHOAMI = b'{"username": "ann/ex@example.com"}'
LOCATIONS = b"""[
    {"id": 1056, "label": "Hall", "site_id": 178, "active": true, "last_upload_timestamp": null, "last_timezone": 3600},
    {"id": 8264, "label": "Door", "site_id": 178, "active": false, "new": {"id": 1}}
]"""


def saying(whoami: bytes = WHOAMI, locations: bytes = LOCATIONS, seen: list[str] | None = None) -> Handler:
    async def handler(request: web.BaseRequest) -> web.Response:
        if seen is not None:
            seen.append(request.raw_path)
        return web.Response(body=whoami if request.path.endswith("/whoami/") else locations)

    return handler


async def probed(handler: Handler, **settings: object) -> str:
    async with serving(handler) as url, http(SimulatedClock()) as asking:
        return (await VENDOR.probe("lobby", source(url, **settings), asking, standalone_telemetry())).text


async def parked(handler: Handler, **settings: object) -> Park:
    with pytest.raises(Park) as raised:
        await probed(handler, **settings)
    assert_keeps_the_account(raised.value)
    return raised.value


async def test_the_probe_counts_the_locations_of_the_account_and_asks_for_no_data() -> None:
    seen: list[str] = []

    assert "2 locations" == await probed(saying(seen=seen))
    assert ["/api/v1/whoami/", "/api/v1/locations/"] == [path.rstrip("?") for path in seen]


async def test_one_location_is_one_and_none_is_none() -> None:
    assert "1 location" == await probed(saying(locations=b'[{"id": 1056}]'))
    assert "0 locations" == await probed(saying(locations=b"[]"), locations=None, sites=[178])


async def test_the_probe_sends_the_user_and_the_token() -> None:
    assert "3 locations" == await probed(VidiCenter().answer)
    assert "HTTP 401" in str(await parked(VidiCenter().answer, token="wrong"))
    assert "HTTP 401" in str(await parked(VidiCenter().answer, username="bob"))


async def test_a_token_of_somebody_else_parks_the_source() -> None:
    error = await parked(saying(whoami=b'{"username": "bob"}'))

    assert "of another user" in str(error)
    assert "bob" not in str(error)
    assert "sources.lobby.username" in error.advice


async def test_locations_of_somebody_else_park_the_source_and_are_named() -> None:
    error = await parked(saying(), locations=[8264, 9, 1056, 7])

    assert "the account has no location 7, 9" == str(error)
    assert "sources.lobby.locations" in error.advice


async def test_sites_of_somebody_else_park_the_source_and_are_named() -> None:
    assert "2 locations" == await probed(saying(), locations=None, sites=[178])

    error = await parked(saying(), locations=None, sites=[178, 9])

    assert "the account has no site 9" == str(error)
    assert "sources.lobby.sites" in error.advice


async def test_sites_are_not_looked_up_where_locations_do_not_say_theirs() -> None:
    assert "1 location" == await probed(saying(locations=b'[{"id": 1056}]'), locations=None, sites=[9])


async def test_tags_cannot_be_looked_up_which_is_told() -> None:
    told = await probed(saying(), locations=None, location_tags=[2], site_tags=[3])

    assert "2 locations; location_tags, site_tags cannot be looked up" == told


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'{"username": null}', b'{"message": "no", "error": 401}'])
async def test_a_whoami_that_is_not_understood_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(RetryLater, match="whoami") as raised:
        await probed(saying(whoami=body))

    assert_keeps_the_account(raised.value)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[{}]", b'[{"id": "1056"}]', LOCATIONS[:-10], b"[" * 50_000])
async def test_a_list_of_locations_that_is_not_understood_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(RetryLater, match="list of locations") as raised:
        await probed(saying(locations=body))

    assert_keeps_the_account(raised.value)


@pytest.mark.parametrize(("status", "kind"), [(403, Park), (404, Park), (429, RetryLater), (500, RetryLater)])
async def test_what_the_vendor_refuses_is_passed_to_the_caller(status: int, kind: type[Exception]) -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=f"{USER} {TOKEN}")

    with pytest.raises(kind, match=f"HTTP {status}") as raised:
        await probed(handler)

    assert_keeps_the_account(raised.value)
