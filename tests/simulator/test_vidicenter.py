"""The simulated VidiCenter over real HTTP: who may ask for what, how exports come about, and what goes wrong."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import anyio
import pytest
from aiohttp import encode_basic_auth

from collector.simulator.vidicenter import TOKEN, USERNAME
from collector.simulator.world import as_datetime
from tests.simulator.harness import (
    ACCOUNT,
    DATA,
    HOUR_MS,
    LOCATIONS,
    PLACE,
    WHOAMI,
    WORLD,
    Vendor,
    asking,
    happened,
    local,
    names,
    serving,
    told,
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
    ids=["nobody", "wrong token", "another user", "empty", "nothing", "no base64", "no text"],
)
async def test_who_is_not_the_user_is_told_so(vendor: Vendor, path: str, auth: str | None) -> None:
    assert (401, {"message": "wrong user or token", "error": 401}) == await vendor.get(path, auth=auth)


@pytest.mark.parametrize("path", [DATA, WHOAMI, LOCATIONS])
async def test_a_path_without_its_trailing_slash_is_not_found(vendor: Vendor, path: str) -> None:
    async with vendor.client.get(path.rstrip("/"), headers={"Authorization": ACCOUNT}) as response:
        assert 404 == response.status


async def test_whoami_tells_the_user_and_locations_all_of_them(vendor: Vendor) -> None:
    assert (200, {"username": USERNAME}) == await vendor.get(WHOAMI)
    status, told = await vendor.get(LOCATIONS)
    assert (200, list(WORLD.devices)) == (status, [each["id"] for each in told])
    assert all({"id", "label", "site_id", "active", "last_timezone"} == each.keys() for each in told)
    assert {3600} == {each["last_timezone"] for each in told}
    vendor.clock[0] = datetime(2026, 7, 1, tzinfo=UTC)
    assert {7200} == {each["last_timezone"] for each in (await vendor.get(LOCATIONS))[1]}


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
async def test_what_cannot_be_exported_is_a_bad_request(vendor: Vendor, change: dict[str, str]) -> None:
    status, body = await vendor.get(DATA, asking(**change))
    assert (400, 400) == (status, body["error"])
    assert 0 == vendor.vidicenter.started


async def test_a_location_of_somebody_else_is_refused_with_all_that_are_asked_for(vendor: Vendor) -> None:
    expected = (403, {"message": "not your location", "error": 403})
    assert expected == await vendor.get(DATA, asking(locations="77"))
    assert expected == await vendor.get(DATA, asking(locations=f"{PLACE},77"))


async def test_an_export_is_started_then_in_progress_then_finished(vendor: Vendor) -> None:
    created = {"creation_date": "2026-11-07 18:00:00"}
    assert {"state": "started"} == await vendor.ask()
    assert {"state": "in_progress", **created} == await vendor.ask()
    vendor.pass_s(4.999)
    assert {"state": "in_progress", **created} == await vendor.ask()
    vendor.pass_s(0.001)
    body = await vendor.ask()
    assert {"state": "finished", "data": body["data"], **created} == body
    assert names(happened()) == told(body["data"])
    assert body == await vendor.ask()
    assert 1 == vendor.vidicenter.started


async def test_every_exact_set_of_parameters_is_an_export_of_its_own(vendor: Vendor) -> None:
    assert {"state": "started"} == await vendor.ask(locations="3024,3035")
    assert {"state": "started"} == await vendor.ask(locations="3035,3024")
    assert {"state": "started"} == await vendor.ask(locations="3024,3035", end="2026-11-06T13:59:58")
    reordered = dict(reversed(asking(locations="3024,3035").items()))
    assert "in_progress" == (await vendor.get(DATA, reordered))[1]["state"]
    assert 3 == vendor.vidicenter.started


async def test_an_export_is_cached_for_a_day_and_tells_what_there_was_when_it_was_started(vendor: Vendor) -> None:
    late = next(visit for visit in happened(hours=6) if visit.boxed_ms - visit.end_ms > 2 * HOUR_MS)
    second = {"start": local(late), "end": local(late)}
    vendor.clock[0] = as_datetime(late.boxed_ms) - timedelta(milliseconds=1)
    before = await vendor.export(**second)
    vendor.pass_s(86_400 - 5)
    assert before == (await vendor.ask(**second))["data"]
    vendor.pass_s(0.001)
    assert names([late]) == told(await vendor.export(**second))
    assert [None] == [row["gender"] for row in before]  # a row that says that there is nothing


@pytest.mark.parametrize("value", ["1", "true", "false", ""])
async def test_force_rebuild_counts_by_being_there_and_with_it_an_export_never_ends(vendor: Vendor, value: str) -> None:
    await vendor.export()
    for times in range(3):
        assert {"state": "started"} == await vendor.ask(force_rebuild=value)
        vendor.pass_s(60)
        assert 2 + times == vendor.vidicenter.started
    assert "finished" == (await vendor.ask())["state"]


async def test_a_fourth_export_at_once_is_refused_until_one_has_ended(vendor: Vendor) -> None:
    ends = [f"2026-11-06T13:59:{second}" for second in range(10, 14)]
    for end in ends[:3]:
        assert {"state": "started"} == await vendor.ask(end=end)
        vendor.pass_s(1)
    refusal = (429, {"message": "too many exports in parallel", "error": 429})
    assert refusal == await vendor.get(DATA, asking(end=ends[3]))
    assert {"state": "started"} == await vendor.ask(end=ends[2], force_rebuild="1")  # it has its place
    assert "in_progress" == (await vendor.ask(end=ends[0]))["state"]
    assert (3, 1) == (vendor.vidicenter.max_running, vendor.vidicenter.refused)
    vendor.pass_s(2)
    assert {"state": "started"} == await vendor.ask(end=ends[3])
    assert (3, 1) == (vendor.vidicenter.max_running, vendor.vidicenter.refused)


async def test_fifty_calls_a_minute_are_answered_and_no_more(vendor: Vendor) -> None:
    for _ in range(50):
        assert 200 == (await vendor.get(WHOAMI))[0]
        vendor.pass_s(1)
    assert (429, {"message": "too many calls", "error": 429}) == await vendor.get(LOCATIONS)
    vendor.pass_s(9.999)
    assert 429 == (await vendor.get(DATA, asking()))[0]
    vendor.pass_s(0.001)
    assert 200 == (await vendor.get(DATA, asking()))[0]
    assert 429 == (await vendor.get(WHOAMI))[0]


async def test_a_failed_export_says_so_until_it_is_rebuilt() -> None:
    async with serving(faults={"failed_export": 1.0}) as vendor:
        assert {"state": "started"} == await vendor.ask()
        assert "in_progress" == (await vendor.ask())["state"]
        vendor.pass_s(5)
        failed = {"state": "failed", "fail_reason": "simulated", "creation_date": "2026-11-07 18:00:00"}
        assert [failed, failed] == [await vendor.ask(), await vendor.ask()]
        assert {"state": "started"} == await vendor.ask(force_rebuild="1")


async def test_a_429_asks_to_wait() -> None:
    async with serving(faults={"429": 1.0}) as vendor, vendor.client.get(WHOAMI) as response:
        assert (429, "1") == (response.status, response.headers["Retry-After"])


async def test_a_500_is_a_page_of_html() -> None:
    async with serving(faults={"500": 1.0}) as vendor, vendor.client.get(WHOAMI) as response:
        assert (500, "text/html") == (response.status, response.content_type)
        assert (await response.text()).startswith("<html>")


@pytest.mark.parametrize("path", [WHOAMI, LOCATIONS])
async def test_a_truncated_answer_is_shorter_than_it_says(path: str) -> None:
    async with serving(faults={"truncated": 1.0}) as vendor:
        with pytest.raises(aiohttp.ClientPayloadError):
            await vendor.get(path)


async def test_a_timeout_is_silence() -> None:
    async with serving(faults={"timeout": 1.0}) as vendor:
        with anyio.move_on_after(0.3) as waiting:
            await vendor.get(WHOAMI)
    assert waiting.cancelled_caught


async def test_faults_come_as_often_as_their_rate_says_and_the_rest_is_answered() -> None:
    async with serving(faults={"429": 0.2, "500": 0.1}) as vendor:
        statuses = []
        for _ in range(200):
            async with vendor.client.get(WHOAMI, headers={"Authorization": ACCOUNT}) as response:
                statuses.append(response.status)
            vendor.pass_s(2)
    assert {200, 429, 500} == set(statuses)
    assert 20 < statuses.count(429) < 60
    assert 8 < statuses.count(500) < 36
