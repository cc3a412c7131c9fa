"""A list that the account may not see parks its own stream, with what is missing, and is then requested once a day."""

import pytest
from aiohttp import web

from collector.errors import Park
from collector.vendors.http import http
from collector.vendors.quividi.licences import RETRY_INTERVAL
from collector.vendors.quividi.streams import streams
from tests.simulated import SimulatedClock
from tests.vendors.loopback import serving
from tests.vendors.quividi import status, topology
from tests.vendors.quividi.topology import MINUTE, NOW, Reported
from tests.vendors.quividi.vidicenter import TOKEN, USER, assert_no_account, json_response, source

pytestmark = pytest.mark.anyio

LISTS = {
    **{stream: topology.PATHS[stream][0] for stream in topology.PATHS},
    "alerts": "/api/v1/alerts/",
    "monitoring": "/api/v1/monitoring_msgs/",
}
RESPONSES = {**topology.RESPONSES, LISTS["alerts"]: status.ALERTS, LISTS["monitoring"]: status.MESSAGES}


class Lists:
    """Serves all lists, except those in `refused`. The user is requested with the status `whoami`."""

    def __init__(self, refused: dict[str, int], *, whoami: int = 200) -> None:
        self.refused = refused
        self.whoami = whoami

    async def handle(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/api/v1/whoami/":
            return json_response(self.whoami, {"username": USER})
        if (code := self.refused.get(request.path)) is not None:
            return json_response(code, {"message": f"{USER} may not see this {TOKEN}", "error": code})
        return web.Response(body=RESPONSES[request.path])


async def refusals(vendor: Lists, stream: str, *, attempts: int = 1, pause_s: float = 0) -> list[Park]:
    """The errors of several attempts to fetch a list."""
    found, clock = [], SimulatedClock(NOW)
    async with serving(vendor.handle) as url, http(clock) as client:
        [one] = streams("lobby", source(url, streams={stream: {}}), client, Reported().telemetry)
        for _ in range(attempts):
            with pytest.raises(Park) as raised:
                [_ async for _ in one.fetch(MINUTE)]
            assert_no_account(raised.value)
            found.append(raised.value)
            clock.pass_s(pause_s)
    return found


@pytest.mark.parametrize("code", [400, 403, 404])
@pytest.mark.parametrize("stream", LISTS)
async def test_a_refused_list_is_a_missing_licence_or_right(stream: str, code: int) -> None:
    [error] = await refusals(Lists({LISTS[stream]: code}), stream)

    assert "not_licensed" == error.code
    assert all(text in str(error) for text in (LISTS[stream].removeprefix("/api/v1"), f"HTTP {code}", "may not see"))
    assert "rights" in error.advice


async def test_it_is_requested_once_a_day_after_an_hour() -> None:
    found = await refusals(Lists({LISTS["alerts"]: 403}), "alerts", attempts=8, pause_s=600)

    assert [0.0] * 6 + [RETRY_INTERVAL.total_seconds()] * 2 == [error.after_s for error in found]


@pytest.mark.parametrize("whoami", [401, 404])
async def test_a_wrong_token_or_address_is_the_accounts_error(whoami: int) -> None:
    [error] = await refusals(Lists({LISTS["sites"]: 404}, whoami=whoami), "sites")

    assert "http_404" == error.code


async def test_a_list_that_was_received_before_is_not_unlicensed() -> None:
    vendor = Lists({})
    async with serving(vendor.handle) as url, http(SimulatedClock(NOW)) as client:
        [one] = streams("lobby", source(url, streams={"boxes": {}}), client, Reported().telemetry)
        [_ async for _ in one.fetch(MINUTE)]
        vendor.refused[LISTS["boxes"]] = 403
        with pytest.raises(Park) as raised:
            [_ async for _ in one.fetch(MINUTE)]

    assert "http_403" == raised.value.code
