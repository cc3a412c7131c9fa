"""The simulated Seemetrix over real HTTP: as strict as the vendor's document."""

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
WORLD = World(rate=120)
LONG_AFTER = NOON + timedelta(days=3)
"""All of that Friday is uploaded."""

Client = TestClient[web.Request, web.Application]


class Clock:
    """The vendor's time, which stands still."""

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
    """The vendor on a free port of loopback."""
    app = web.Application()
    app.add_routes(Seemetrix(Simulation(world, clock)).routes())
    return TestClient(TestServer(app))


def visits(first: datetime, last: datetime, world: World = WORLD) -> list[Visit]:
    """Those that began in that time, the last instant included."""
    first_ms, last_ms = (int(instant.timestamp() * 1000) for instant in (first, last))
    return [
        visit
        for device in world.devices
        for visit in world.between(device, first_ms, last_ms)
        if first_ms <= visit.start_ms <= last_ms
    ]


def ids(visits: list[Visit]) -> list[tuple[int, int]]:
    return sorted((visit.device, visit.number) for visit in visits)


async def asked(client: Client, path: str, **query: str) -> tuple[int, Any]:
    """Status and body."""
    async with client.get(path, params={"key": KEY, **query}) as response:
        return response.status, await response.json() if response.status == 200 else None


def window(first: datetime, last: datetime, tzo: int = 0) -> dict[str, str]:
    local = [(instant + timedelta(hours=tzo)).strftime("%Y/%m/%d %H:%M:%S") for instant in (first, last)]
    return {"b": local[0], "e": local[1], "tzo": str(tzo)}


async def sessions(client: Client, query: dict[str, str]) -> list[dict[str, Any]]:
    status, body = await asked(client, RAW, **query)
    assert 200 == status
    assert ["objects"] == list(body)
    found: list[dict[str, Any]] = body["objects"]
    return found


async def found(client: Client, first: datetime, last: datetime, **more: str) -> list[tuple[int, int]]:
    return sorted((each["d"], each["o"]) for each in await sessions(client, window(first, last) | more))


async def test_a_path_without_its_trailing_slash_is_not_found_and_counters_has_none(client: Client) -> None:
    hour = window(NOON, NOON + timedelta(hours=1))
    assert 404 == (await asked(client, RAW.rstrip("/"), **hour))[0]
    assert 404 == (await asked(client, DEVICES.rstrip("/")))[0]
    assert 404 == (await asked(client, f"{COUNTERS}/"))[0]
    assert [200, 200, 200] == [
        (await asked(client, path, **query))[0] for path, query in ((RAW, hour), (DEVICES, {}), (COUNTERS, {}))
    ]


@pytest.mark.parametrize("path", [RAW, DEVICES, COUNTERS], ids=["raw data", "devices", "counters"])
async def test_a_wrong_key_is_401_and_another_user_is_403(client: Client, path: str) -> None:
    hour = window(NOON, NOON + timedelta(hours=1))
    other = path.replace(str(USER), str(USER + 1))
    assert (401, None) == await asked(client, path, **hour, key="wrong")
    assert (401, None) == await asked(client, path, **hour, key="")
    assert (403, None) == await asked(client, other, **hour)
    assert (401, None) == await asked(client, other, **hour, key="wrong")


async def test_a_device_of_somebody_else_is_403(client: Client) -> None:
    hour = window(NOON, NOON + timedelta(hours=1))
    assert (403, None) == await asked(client, RAW, **hour, device_id="77")
    assert (403, None) == await asked(client, RAW, **hour, device_id="")


async def test_a_session_has_the_fields_of_the_document(client: Client) -> None:
    hour = (NOON, NOON + timedelta(hours=1))
    truth = {(visit.device, visit.number): visit for visit in visits(*hour)}
    told = await sessions(client, window(*hour))
    assert len(told) > 100
    for session in told:
        visit = truth[session["d"], session["o"]]
        assert {"a", "at", "b", "d", "e", "em", "i", "o", "s", "v"} == session.keys()
        assert (visit.gender, visit.age, visit.dwell_ms) == (session["s"], session["a"], session["i"])
        assert [{"a": looking, "d": ms} for looking, ms in visit.looks] == session["at"]
        assert [{"d": ms, "e": mood} for mood, ms in visit.moods] == session["em"]
        assert [{"d": ms, "i": movie, "s": start} for movie, start, ms in visit.plays] == session["v"]
        begin, end = (datetime.fromisoformat(session[name]) for name in ("b", "e"))
        assert (None, None) == (begin.tzinfo, end.tzinfo)
        assert as_datetime(visit.start_ms) == begin.replace(tzinfo=UTC)
        assert timedelta(milliseconds=visit.dwell_ms) == end - begin
    assert [] != [session for session in told if len(session["v"]) == 2]  # movies that overlap
    assert {None, 0, 1} == {session["s"] for session in told}


async def test_times_have_six_digits_after_the_point_or_no_point(client: Client) -> None:
    told = await sessions(client, window(NOON, NOON + timedelta(hours=1)))
    lengths = {len(session["b"]) for session in told}
    assert {len("2019-07-01T11:16:07.052000")} <= lengths
    assert lengths <= {len("2019-07-01T11:16:07.052000"), len("2019-07-01T11:16:07")}


async def test_a_window_has_its_first_and_all_of_its_last_second(client: Client) -> None:
    first, last = visits(NOON, NOON + timedelta(hours=1))[0], visits(NOON, NOON + timedelta(hours=2))[-1]
    begins = [as_datetime(visit.start_ms).replace(microsecond=0) for visit in (first, last)]
    assert 0 < last.start_ms % 1000
    second = timedelta(seconds=1)
    for visit, begin in zip((first, last), begins, strict=True):
        (name,) = ids([visit])
        assert name in await found(client, begin, begin)
        assert name not in await found(client, begin - second, begin - second)
        assert name not in await found(client, begin + second, begin + second)
    assert ids(visits(begins[0], begins[1] + timedelta(milliseconds=999))) == await found(client, *begins)


async def test_windows_side_by_side_have_every_session_once(client: Client) -> None:
    def pieces() -> Iterator[tuple[datetime, datetime]]:
        for minute in range(0, 120, 10):
            first = NOON + timedelta(minutes=minute)
            yield first, first + timedelta(minutes=10, seconds=-1)

    told = [name for piece in pieces() for name in await found(client, *piece)]
    assert ids(visits(NOON, NOON + timedelta(hours=2, milliseconds=-1))) == sorted(told)


@pytest.mark.parametrize("tzo", [-5, 3])
async def test_a_window_is_told_in_local_time_and_the_answer_is_in_utc(client: Client, tzo: int) -> None:
    hour = (NOON, NOON + timedelta(hours=1))
    assert await sessions(client, window(*hour)) == await sessions(client, window(*hour, tzo=tzo))


async def test_a_session_is_not_there_before_it_is_uploaded(client: Client, clock: Clock) -> None:
    late = next(
        visit for visit in visits(NOON, NOON + timedelta(hours=6)) if visit.uploaded_ms - visit.end_ms > 60 * MINUTE_MS
    )
    begin, uploaded = as_datetime(late.start_ms), as_datetime(late.uploaded_ms)
    clock.now = uploaded - timedelta(milliseconds=1)
    assert ids([late])[0] not in await found(client, begin, begin)
    clock.now = uploaded
    assert ids([late])[0] in await found(client, begin, begin)


async def test_nothing_is_there_before_it_has_happened(client: Client, clock: Clock) -> None:
    clock.now = NOON
    assert [] == await found(client, NOON, NOON + timedelta(hours=1))


async def test_one_device_can_be_asked_for(client: Client) -> None:
    hour = (NOON, NOON + timedelta(hours=1))
    device = WORLD.devices[1]
    told = await found(client, *hour, device_id=str(device))
    assert [name for name in ids(visits(*hour)) if name[0] == device] == told


async def test_one_movie_can_be_asked_for_and_others_of_the_session_are_told_with_it(client: Client) -> None:
    day = (NOON, NOON + timedelta(hours=6))
    truth = visits(*day)
    movie = next(visit for visit in truth if len({movie for movie, _, _ in visit.plays}) == 2).plays[0][0]
    told = await sessions(client, window(*day) | {"movie_id": str(movie)})
    chosen = [visit for visit in truth if movie in [played for played, _, _ in visit.plays]]
    assert ids(chosen) == sorted((session["d"], session["o"]) for session in told)
    assert {movie} < {play["i"] for session in told for play in session["v"]}
    assert [] == await found(client, *day, movie_id="1")


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
    ids=["no tzo", "no end", "no begin", "ISO 8601", "no time", "a name"],
)
async def test_a_window_that_cannot_be_read_is_a_bad_request(client: Client, query: dict[str, str]) -> None:
    assert (400, None) == await asked(client, RAW, **query)


async def test_the_last_week_is_the_seven_days_up_to_now(clock: Clock) -> None:
    clock.now, village = NOON, World(devices=(77,), rate=6)
    async with serving(village, clock) as client:
        told = await sessions(client, {"last_week": ""})
    happened = visits(NOON - timedelta(days=7), NOON, village)
    uploaded = [visit for visit in happened if as_datetime(visit.uploaded_ms) <= NOON]
    assert 900 < len(uploaded) < len(happened)
    assert ids(uploaded) == sorted((session["d"], session["o"]) for session in told)


async def test_devices_are_told_with_the_fields_of_the_document_and_their_keys(client: Client) -> None:
    status, body = await asked(client, DEVICES)
    assert 200 == status
    assert {f"{kind}{end}" for kind in ("online", "offline", "frozen") for end in ("", "_total")} == body.keys()
    assert list(WORLD.devices) == [device["d"] for device in body["online"]]
    assert (len(WORLD.devices), 0, 0) == tuple(body[f"{kind}_total"] for kind in ("online", "offline", "frozen"))
    for device in body["online"]:
        assert {"acl", "created", "d", "f", "ip", "k", "modified", "n", "o", "or", "sid"} == device.keys()
        assert [USER] == device["acl"]
    assert len(WORLD.devices) == len({device["k"] for device in body["online"]})


async def test_counters_have_the_fields_of_the_document_and_count_what_is_uploaded(
    client: Client, clock: Clock
) -> None:
    clock.now = NOON
    hour = [visit for visit in visits(NOON - timedelta(hours=1), NOON) if visit.uploaded_ms <= NOON.timestamp() * 1000]
    status, body = await asked(client, COUNTERS)
    assert 200 == status
    assert {
        *("avg_duration", "dev_num", "movies_num", "online_device_num"),
        *("usr_cur_day", "usr_cur_hour", "usr_cur_month", "usr_num"),
    } == body.keys()
    assert (len(WORLD.devices), len(hour)) == (body["dev_num"], body["usr_cur_hour"])
    assert body["usr_cur_hour"] < body["usr_cur_day"] <= body["usr_cur_month"] <= body["usr_num"]
