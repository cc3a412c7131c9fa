"""The simulated Seemetrix over HTTP is as strict as the vendor's document."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from collector.simulator.base import Simulation
from collector.simulator.seemetrix import KEY, USER, Seemetrix
from collector.simulator.world import MINUTE_MS, Visit, World, as_datetime

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 6, 12, tzinfo=UTC)
RAW, DEVICES, COUNTERS = (
    f"/api/statistics/user/{USER}/raw/data/",
    f"/api/user/{USER}/devices/",
    f"/api/user/{USER}/counters",
)
STATISTICS, BREAKDOWN = f"/api/statistics/user/{USER}/", f"/api/v2/statistics/user/{USER}/dates/"
WORLD = World(rate=120)
LONG_AFTER = NOON + timedelta(days=3)
"""Every visit of that Friday is uploaded."""

Client = TestClient[web.Request, web.Application]


class Clock:
    """The vendor's clock, which stands still."""

    def __init__(self) -> None:
        self.now = LONG_AFTER

    def __call__(self) -> int:
        return int(self.now.timestamp() * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(clock: Clock) -> AsyncIterator[Client]:
    async with serving(WORLD, clock) as client:
        yield client


def serving(world: World, clock: Clock) -> Client:
    """A client of the vendor, on a free port of loopback."""
    app = web.Application()
    app.add_routes(Seemetrix(Simulation(world, clock)).routes())
    return TestClient(TestServer(app))


def visits(first: datetime, last: datetime, world: World = WORLD) -> list[Visit]:
    """The visits that start in the window, including its end."""
    first_ms, last_ms = (int(instant.timestamp() * 1000) for instant in (first, last))
    return [
        visit
        for device in world.devices
        for visit in world.between(device, first_ms, last_ms)
        if first_ms <= visit.start_ms <= last_ms
    ]


def ids(visits: list[Visit]) -> list[tuple[int, int]]:
    return sorted((visit.device, visit.number) for visit in visits)


async def get(client: Client, path: str, **query: str) -> tuple[int, Any]:
    """Send a request with the key; return the status, and the body if it is 200."""
    async with client.get(path, params={"key": KEY, **query}) as response:
        return response.status, await response.json() if response.status == 200 else None


def window(first: datetime, last: datetime, tzo: int = 0) -> dict[str, str]:
    local = [(instant + timedelta(hours=tzo)).strftime("%Y/%m/%d %H:%M:%S") for instant in (first, last)]
    return {"b": local[0], "e": local[1], "tzo": str(tzo)}


async def sessions(client: Client, query: dict[str, str]) -> list[dict[str, Any]]:
    status, body = await get(client, RAW, **query)
    assert 200 == status
    assert ["objects"] == list(body)
    found: list[dict[str, Any]] = body["objects"]
    return found


async def found_ids(client: Client, first: datetime, last: datetime, **more: str) -> list[tuple[int, int]]:
    return sorted((each["d"], each["o"]) for each in await sessions(client, window(first, last) | more))


async def test_paths_need_their_trailing_slash_except_counters(client: Client) -> None:
    hour = window(NOON, NOON + timedelta(hours=1))
    assert 404 == (await get(client, RAW.rstrip("/"), **hour))[0]
    assert 404 == (await get(client, DEVICES.rstrip("/")))[0]
    assert 404 == (await get(client, f"{COUNTERS}/"))[0]
    assert [200, 200, 200] == [
        (await get(client, path, **query))[0] for path, query in ((RAW, hour), (DEVICES, {}), (COUNTERS, {}))
    ]


@pytest.mark.parametrize("path", [RAW, DEVICES, COUNTERS], ids=["raw data", "devices", "counters"])
async def test_a_wrong_key_is_401_and_another_user_is_403(client: Client, path: str) -> None:
    hour = window(NOON, NOON + timedelta(hours=1))
    other = path.replace(str(USER), str(USER + 1))
    assert (401, None) == await get(client, path, **hour, key="wrong")
    assert (401, None) == await get(client, path, **hour, key="")
    assert (403, None) == await get(client, other, **hour)
    assert (401, None) == await get(client, other, **hour, key="wrong")


async def test_a_device_of_another_account_is_403(client: Client) -> None:
    hour = window(NOON, NOON + timedelta(hours=1))
    assert (403, None) == await get(client, RAW, **hour, device_id="77")
    assert (403, None) == await get(client, RAW, **hour, device_id="")


async def test_a_session_has_the_fields_of_the_document(client: Client) -> None:
    hour = (NOON, NOON + timedelta(hours=1))
    simulated = {(visit.device, visit.number): visit for visit in visits(*hour)}
    found = await sessions(client, window(*hour))
    assert len(found) > 100
    for session in found:
        visit = simulated[session["d"], session["o"]]
        assert {"a", "at", "b", "d", "e", "em", "i", "o", "s", "v"} == session.keys()
        assert (visit.gender, visit.age, visit.dwell_ms) == (session["s"], session["a"], session["i"])
        assert [{"a": looking, "d": ms} for looking, ms in visit.looks] == session["at"]
        assert [{"d": ms, "e": mood} for mood, ms in visit.moods] == session["em"]
        assert [{"d": ms, "i": movie, "s": start} for movie, start, ms in visit.plays] == session["v"]
        start, end = (datetime.fromisoformat(session[name]) for name in ("b", "e"))
        assert (None, None) == (start.tzinfo, end.tzinfo)
        assert as_datetime(visit.start_ms) == start.replace(tzinfo=UTC)
        assert timedelta(milliseconds=visit.dwell_ms) == end - start
    assert [] != [session for session in found if len(session["v"]) == 2]  # movies that overlap
    assert {None, 0, 1} == {session["s"] for session in found}


async def test_times_have_six_decimals_or_none(client: Client) -> None:
    found = await sessions(client, window(NOON, NOON + timedelta(hours=1)))
    lengths = {len(session["b"]) for session in found}
    assert {len("2019-07-01T11:16:07.052000")} <= lengths
    assert lengths <= {len("2019-07-01T11:16:07.052000"), len("2019-07-01T11:16:07")}


async def test_a_window_contains_its_first_and_its_last_second(client: Client) -> None:
    first, last = visits(NOON, NOON + timedelta(hours=1))[0], visits(NOON, NOON + timedelta(hours=2))[-1]
    starts = [as_datetime(visit.start_ms).replace(microsecond=0) for visit in (first, last)]
    assert 0 < last.start_ms % 1000
    second = timedelta(seconds=1)
    for visit, start in zip((first, last), starts, strict=True):
        (name,) = ids([visit])
        assert name in await found_ids(client, start, start)
        assert name not in await found_ids(client, start - second, start - second)
        assert name not in await found_ids(client, start + second, start + second)
    assert ids(visits(starts[0], starts[1] + timedelta(milliseconds=999))) == await found_ids(client, *starts)


async def test_adjacent_windows_contain_every_session_once(client: Client) -> None:
    def windows() -> Iterator[tuple[datetime, datetime]]:
        for minute in range(0, 120, 10):
            first = NOON + timedelta(minutes=minute)
            yield first, first + timedelta(minutes=10, seconds=-1)

    found = [name for each in windows() for name in await found_ids(client, *each)]
    assert ids(visits(NOON, NOON + timedelta(hours=2, milliseconds=-1))) == sorted(found)


@pytest.mark.parametrize("tzo", [-5, 3])
async def test_requests_are_in_local_time_and_responses_in_utc(client: Client, tzo: int) -> None:
    hour = (NOON, NOON + timedelta(hours=1))
    assert await sessions(client, window(*hour)) == await sessions(client, window(*hour, tzo=tzo))


async def test_a_session_appears_when_it_is_uploaded(client: Client, clock: Clock) -> None:
    late = next(
        visit for visit in visits(NOON, NOON + timedelta(hours=6)) if visit.uploaded_ms - visit.end_ms > 60 * MINUTE_MS
    )
    start, uploaded = as_datetime(late.start_ms), as_datetime(late.uploaded_ms)
    clock.now = uploaded - timedelta(milliseconds=1)
    assert ids([late])[0] not in await found_ids(client, start, start)
    clock.now = uploaded
    assert ids([late])[0] in await found_ids(client, start, start)


async def test_future_sessions_do_not_appear(client: Client, clock: Clock) -> None:
    clock.now = NOON
    assert [] == await found_ids(client, NOON, NOON + timedelta(hours=1))


async def test_sessions_can_be_selected_by_device(client: Client) -> None:
    hour = (NOON, NOON + timedelta(hours=1))
    device = WORLD.devices[1]
    found = await found_ids(client, *hour, device_id=str(device))
    assert [name for name in ids(visits(*hour)) if name[0] == device] == found


async def test_sessions_can_be_selected_by_movie_and_keep_their_other_movies(client: Client) -> None:
    day = (NOON, NOON + timedelta(hours=6))
    simulated = visits(*day)
    movie = next(visit for visit in simulated if len({movie for movie, _, _ in visit.plays}) == 2).plays[0][0]
    found = await sessions(client, window(*day) | {"movie_id": str(movie)})
    chosen = [visit for visit in simulated if movie in [played for played, _, _ in visit.plays]]
    assert ids(chosen) == sorted((session["d"], session["o"]) for session in found)
    assert {movie} < {play["i"] for session in found for play in session["v"]}
    assert [] == await found_ids(client, *day, movie_id="1")


@pytest.mark.parametrize(
    "query",
    [
        {"b": "2026/11/06 12:00:00", "e": "2026/11/06 13:00:00"},
        {"b": "2026/11/06 12:00:00", "tzo": "0"},
        {"e": "2026/11/06 12:00:00", "tzo": "0"},
        {"b": "2026-11-06T12:00:00", "e": "2026/11/06 13:00:00", "tzo": "0"},
        {"b": "2026/11/06", "e": "2026/11/06 13:00:00", "tzo": "0"},
        {"b": "2026/11/06 12:00:00", "e": "2026/11/06 13:00:00", "tzo": "Paris"},
    ],
    ids=["no tzo", "no end", "no start", "ISO 8601", "no time", "zone name"],
)
async def test_an_unreadable_window_is_a_bad_request(client: Client, query: dict[str, str]) -> None:
    assert (400, None) == await get(client, RAW, **query)


@pytest.mark.parametrize(("tzo", "local"), [(-5, "07"), (0, "12"), (3, "15")])
async def test_trees_and_hours_are_in_local_time(client: Client, tzo: int, local: str) -> None:
    hour = window(NOON, NOON + timedelta(minutes=59), tzo)
    status, found = await get(client, BREAKDOWN, **hour, dt_format="HH")
    assert (200, [local]) == (status, [node["n"] for node in found["data"]["o"]])
    assert (hour["b"], hour["e"]) == (found["begin"], found["end"])
    status, found = await get(client, STATISTICS, **hour, **dict.fromkeys(("year", "month", "day", "hour"), "1"))
    assert (200, [int(local)]) == (status, [each["i"]["h"] for each in found["objects"]])
    assert (hour["b"], hour["e"]) == (found["begin"], found["end"])


async def test_a_weekday_is_that_of_local_time(client: Client) -> None:
    night = window(NOON + timedelta(hours=10), NOON + timedelta(hours=11), tzo=3)
    _, found = await get(client, BREAKDOWN, **night, dt_format="DD")
    assert ["6"] == [node["n"] for node in found["data"]["o"]], "it is Saturday already"


@pytest.mark.parametrize("tzo", ["5.5", "+05:30", "1_0", " 1", "", "Europe/Paris"])
async def test_an_offset_that_is_no_integer_is_a_bad_request(client: Client, tzo: str) -> None:
    hour = window(NOON, NOON + timedelta(hours=1)) | {"tzo": tzo}
    assert (400, None) == await get(client, BREAKDOWN, **hour)


async def test_last_week_selects_the_seven_days_before_now(clock: Clock) -> None:
    clock.now, world = NOON, World(devices=(77,), rate=6)
    async with serving(world, clock) as client:
        found = await sessions(client, {"last_week": ""})
    started = visits(NOON - timedelta(days=7), NOON, world)
    uploaded = [visit for visit in started if as_datetime(visit.uploaded_ms) <= NOON]
    assert 900 < len(uploaded) < len(started)
    assert ids(uploaded) == sorted((session["d"], session["o"]) for session in found)


async def test_devices_have_the_fields_of_the_document_and_a_key_each(client: Client) -> None:
    status, body = await get(client, DEVICES)
    assert 200 == status
    assert {f"{kind}{end}" for kind in ("online", "offline", "frozen") for end in ("", "_total")} == body.keys()
    assert list(WORLD.devices) == [device["d"] for device in body["online"]]
    assert (len(WORLD.devices), 0, 0) == tuple(body[f"{kind}_total"] for kind in ("online", "offline", "frozen"))
    for device in body["online"]:
        assert {"acl", "created", "d", "f", "ip", "k", "modified", "n", "o", "or", "sid"} == device.keys()
        assert [USER] == device["acl"]
    assert len(WORLD.devices) == len({device["k"] for device in body["online"]})


async def test_counters_have_the_fields_of_the_document_and_count_uploaded_sessions(
    client: Client, clock: Clock
) -> None:
    clock.now = NOON
    hour = [visit for visit in visits(NOON - timedelta(hours=1), NOON) if visit.uploaded_ms <= NOON.timestamp() * 1000]
    status, body = await get(client, COUNTERS)
    assert 200 == status
    assert {
        *("avg_duration", "dev_num", "movies_num", "online_device_num"),
        *("usr_cur_day", "usr_cur_hour", "usr_cur_month", "usr_num"),
    } == body.keys()
    assert (len(WORLD.devices), len(hour)) == (body["dev_num"], body["usr_cur_hour"])
    assert body["usr_cur_hour"] < body["usr_cur_day"] <= body["usr_cur_month"] <= body["usr_num"]
