"""The simulated VidiCenter over HTTP: authorization, the states and limits of exports, and faults."""

from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import anyio
import pytest
from aiohttp import encode_basic_auth

from collector.simulator.vidicenter import TOKEN, USERNAME
from collector.simulator.world import as_datetime
from tests.simulator.harness import (
    AUTHORIZATION,
    DATA,
    HOUR_MS,
    LOCATIONS,
    PLACE,
    WHOAMI,
    Vendor,
    export_query,
    local,
    serving,
    viewers_in,
    viewers_of,
    visits_at,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with serving() as vendor:
        yield vendor


@pytest.mark.parametrize("path", [DATA, WHOAMI, LOCATIONS])
@pytest.mark.parametrize(
    "auth",
    [
        None,
        encode_basic_auth(USERNAME, "wrong"),
        encode_basic_auth("other", TOKEN),
        encode_basic_auth("", ""),
        "Basic",
        "Basic %%%",
        "Basic gA==",
    ],
    ids=["none", "wrong token", "wrong user", "empty", "no credentials", "not base64", "not UTF-8"],
)
async def test_wrong_credentials_are_unauthorized(vendor: Vendor, path: str, auth: str | None) -> None:
    assert (401, {"message": "wrong user or token", "error": 401}) == await vendor.get(path, auth=auth)


@pytest.mark.parametrize("path", [DATA, WHOAMI, LOCATIONS])
async def test_a_path_without_its_trailing_slash_is_not_found(vendor: Vendor, path: str) -> None:
    async with vendor.client.get(path.rstrip("/"), headers={"Authorization": AUTHORIZATION}) as response:
        assert 404 == response.status


async def test_whoami_returns_the_user(vendor: Vendor) -> None:
    assert (200, {"username": USERNAME}) == await vendor.get(WHOAMI)


@pytest.mark.parametrize(
    "change",
    [
        {"locations": "left out"},
        {"locations": "3024;3035"},
        {"locations": ""},
        {"start": "left out"},
        {"end": "yesterday"},
        {"data_type": "ots"},
        {"data_type": "left out"},
        {"data_type": "gate"},
        {"data_type": "proof_of_play_by_site"},
        {"data_type": "viewers_apc", "time_resolution": "1h"},
        {"time_resolution": "2h"},
        {"group_by_demographics": "1"},
        {"data_type": "ots", "time_resolution": "1h", "group_by_demographics": ""},
        {"content_ids": "content 8001"},
        {"data_type": "gate", "time_resolution": "1h", "content_ids": "content 8001"},
        {"time_resolution": "left out"},
    ],
    ids=lambda change: " ".join(f"{name} {value}" for name, value in change.items()),
)
async def test_invalid_parameters_are_a_bad_request(vendor: Vendor, change: dict[str, str]) -> None:
    status, body = await vendor.get(DATA, export_query(**change))
    assert (400, 400) == (status, body["error"])
    assert 0 == vendor.vidicenter.started


async def test_a_location_of_another_account_is_forbidden_with_the_whole_request(vendor: Vendor) -> None:
    expected = (403, {"message": "not your location", "error": 403})
    assert expected == await vendor.get(DATA, export_query(locations="77"))
    assert expected == await vendor.get(DATA, export_query(locations=f"{PLACE},77"))


async def test_an_export_is_started_then_in_progress_then_finished(vendor: Vendor) -> None:
    created = {"creation_date": "2026-11-07 18:00:00"}
    assert {"state": "started"} == await vendor.request_export()
    assert {"state": "in_progress", **created} == await vendor.request_export()
    vendor.advance_s(4.999)
    assert {"state": "in_progress", **created} == await vendor.request_export()
    vendor.advance_s(0.001)
    body = await vendor.request_export()
    assert {"state": "finished", "data": body["data"], **created} == body
    assert viewers_of(visits_at()) == viewers_in(body["data"])
    assert body == await vendor.request_export()
    assert 1 == vendor.vidicenter.started


async def test_every_exact_set_of_parameters_is_a_separate_export(vendor: Vendor) -> None:
    assert {"state": "started"} == await vendor.request_export(locations="3024,3035")
    assert {"state": "started"} == await vendor.request_export(locations="3035,3024")
    assert {"state": "started"} == await vendor.request_export(locations="3024,3035", end="2026-11-06T13:59:58")
    reordered = dict(reversed(export_query(locations="3024,3035").items()))
    assert "in_progress" == (await vendor.get(DATA, reordered))[1]["state"]
    assert 3 == vendor.vidicenter.started


async def test_an_export_is_cached_for_a_day_with_the_rows_of_its_start(vendor: Vendor) -> None:
    late = next(visit for visit in visits_at(hours=6) if visit.box_uploaded_ms - visit.end_ms > 2 * HOUR_MS)
    second = {"start": local(late), "end": local(late)}
    vendor.clock[0] = as_datetime(late.box_uploaded_ms) - timedelta(milliseconds=1)
    before = await vendor.export(**second)
    vendor.advance_s(86_400 - 5)
    assert before == (await vendor.request_export(**second))["data"]
    vendor.advance_s(0.001)
    assert viewers_of([late]) == viewers_in(await vendor.export(**second))
    assert [None] == [row["gender"] for row in before]  # a placeholder


@pytest.mark.parametrize("value", ["1", "true", "false", ""])
async def test_force_rebuild_restarts_the_export_whatever_its_value(vendor: Vendor, value: str) -> None:
    await vendor.export()
    for rebuilds in range(3):
        assert {"state": "started"} == await vendor.request_export(force_rebuild=value)
        vendor.advance_s(60)
        assert 2 + rebuilds == vendor.vidicenter.started
    assert "finished" == (await vendor.request_export())["state"]


async def test_status_only_returns_the_state_of_the_same_export_without_rows(vendor: Vendor) -> None:
    assert {"state": "started"} == await vendor.request_export()
    assert "in_progress" == (await vendor.request_export(status_only="false"))["state"]
    vendor.advance_s(60)
    assert {"state", "creation_date"} == (await vendor.request_export(status_only="false")).keys()
    assert "data" in await vendor.request_export()
    assert 1 == vendor.vidicenter.started


async def test_a_fourth_concurrent_export_is_refused_until_another_has_ended(vendor: Vendor) -> None:
    ends = [f"2026-11-06T13:59:{second}" for second in range(10, 14)]
    for end in ends[:3]:
        assert {"state": "started"} == await vendor.request_export(end=end)
        vendor.advance_s(1)
    too_many = (429, {"message": "too many exports in parallel", "error": 429})
    assert too_many == await vendor.get(DATA, export_query(end=ends[3]))
    assert {"state": "started"} == await vendor.request_export(end=ends[2], force_rebuild="1")  # it is running already
    assert too_many == await vendor.get(DATA, export_query(end=ends[3], force_rebuild="1"))
    assert "in_progress" == (await vendor.request_export(end=ends[0]))["state"]
    assert (3, 2) == (vendor.vidicenter.max_running, vendor.vidicenter.refused)
    vendor.advance_s(2)
    assert {"state": "started"} == await vendor.request_export(end=ends[3])
    assert (3, 2) == (vendor.vidicenter.max_running, vendor.vidicenter.refused)


async def test_a_refused_rebuild_keeps_the_export(vendor: Vendor) -> None:
    before = await vendor.export()
    for second in range(10, 13):
        assert {"state": "started"} == await vendor.request_export(end=f"2026-11-06T13:59:{second}")
    assert 429 == (await vendor.get(DATA, export_query(force_rebuild="1")))[0]
    assert before == (await vendor.request_export())["data"]


async def test_at_most_fifty_calls_per_minute_are_accepted(vendor: Vendor) -> None:
    for _ in range(50):
        assert 200 == (await vendor.get(WHOAMI))[0]
        vendor.advance_s(1)
    assert (429, {"message": "too many calls", "error": 429}) == await vendor.get(LOCATIONS)
    vendor.advance_s(9.999)
    assert 429 == (await vendor.get(DATA, export_query()))[0]
    vendor.advance_s(0.001)
    assert 200 == (await vendor.get(DATA, export_query()))[0]
    assert 429 == (await vendor.get(WHOAMI))[0]


async def test_a_failed_export_stays_failed_until_it_is_rebuilt() -> None:
    async with serving(faults={"failed_export": 1.0}) as vendor:
        assert {"state": "started"} == await vendor.request_export()
        assert "in_progress" == (await vendor.request_export())["state"]
        vendor.advance_s(5)
        failed = {"state": "failed", "fail_reason": "simulated", "creation_date": "2026-11-07 18:00:00"}
        assert [failed, failed] == [await vendor.request_export(), await vendor.request_export()]
        assert {"state": "started"} == await vendor.request_export(force_rebuild="1")


async def test_a_429_has_retry_after() -> None:
    async with serving(faults={"429": 1.0}) as vendor, vendor.client.get(WHOAMI) as response:
        assert (429, "1") == (response.status, response.headers["Retry-After"])


async def test_a_500_is_an_html_page() -> None:
    async with serving(faults={"500": 1.0}) as vendor, vendor.client.get(WHOAMI) as response:
        assert (500, "text/html") == (response.status, response.content_type)
        assert (await response.text()).startswith("<html>")


@pytest.mark.parametrize("path", [WHOAMI, LOCATIONS])
async def test_a_truncated_response_is_shorter_than_its_content_length(path: str) -> None:
    async with serving(faults={"truncated": 1.0}) as vendor:
        with pytest.raises(aiohttp.ClientPayloadError):
            await vendor.get(path)


async def test_a_timeout_sends_no_response() -> None:
    async with serving(faults={"timeout": 1.0}) as vendor:
        with anyio.move_on_after(0.3) as scope:
            await vendor.get(WHOAMI)
    assert scope.cancelled_caught


async def test_faults_occur_at_their_rates() -> None:
    async with serving(faults={"429": 0.2, "500": 0.1}) as vendor:
        statuses = []
        for _ in range(200):
            async with vendor.client.get(WHOAMI, headers={"Authorization": AUTHORIZATION}) as response:
                statuses.append(response.status)
            vendor.advance_s(2)
    assert {200, 429, 500} == set(statuses)
    assert 20 < statuses.count(429) < 60
    assert 8 < statuses.count(500) < 36
