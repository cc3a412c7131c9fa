"""Breakdowns in local time: what is requested, and what the events and their identities say about it."""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError

from collector.errors import Park
from collector.model import Record, Reject, Window
from collector.simulator.base import Simulation
from collector.simulator.seemetrix import KEY, USER, Seemetrix
from collector.simulator.world import World
from tests.rows import published_rows, value_of
from tests.vendors.loopback import responding, serving
from tests.vendors.seemetrix.documented import tree
from tests.vendors.seemetrix.fetching import events, fetched, stream_of

pytestmark = pytest.mark.anyio

PARIS = "Europe/Paris"
ENTRY = b'[{"n": "08", "t": "date", "v": 1, "vd": 5}]'
Table = dict[str, object]


def table(zone: str | None = PARIS, *names: str, **also: object) -> Table:
    zones = {} if zone is None else {"timezone": zone}
    return {"levels": list(names or ("dates",)), "dt_format": "HH", **zones, **also}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


SUMMER_DAY = Window(utc(2026, 7, 6, 22), utc(2026, 7, 7, 22))
CHANGE = Window(utc(2026, 10, 24, 22), utc(2026, 10, 25, 23))
"""The day in Paris on which clocks are set back."""


def arguments(path: str) -> dict[str, str]:
    query = [each.partition("=") for each in path.partition("?")[2].split("&")]
    return {name: value.replace("%20", " ") for name, _, value in query if name in ("b", "e", "tzo")}


async def requested(window: Window, zone: str, **also: object) -> list[tuple[str, ...]]:
    seen: list[str] = []
    async with (
        serving(responding(tree(ENTRY), seen=seen)) as url,
        stream_of(url, "breakdown", table(zone, **also)) as stream,
    ):
        _ = [result async for result in stream.fetch(window)]
    return [tuple(arguments(path).values()) for path in seen]


@pytest.mark.parametrize(
    ("zone", "window", "expected"),
    [
        (PARIS, SUMMER_DAY, [("2026/07/07 00:00:00", "2026/07/08 00:00:00", "2")]),
        (
            PARIS,
            CHANGE,
            [
                ("2026/10/25 00:00:00", "2026/10/25 03:00:00", "2"),
                ("2026/10/25 02:00:00", "2026/10/26 00:00:00", "1"),
            ],
        ),
        (
            PARIS,
            Window(utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),
            [
                ("2026/03/29 00:00:00", "2026/03/29 02:00:00", "1"),
                ("2026/03/29 03:00:00", "2026/03/30 00:00:00", "2"),
            ],
        ),
        (
            "America/New_York",
            Window(utc(2026, 1, 1, 5), utc(2026, 1, 2, 5)),
            [("2026/01/01 00:00:00", "2026/01/02 00:00:00", "-5")],
        ),
        (
            "Etc/GMT-3",
            Window(utc(2026, 6, 30, 21), utc(2026, 7, 1, 21)),
            [("2026/07/01 00:00:00", "2026/07/02 00:00:00", "3")],
        ),
        (
            "UTC",
            Window(utc(2026, 7, 7), utc(2026, 7, 8)),
            [("2026/07/07 00:00:00", "2026/07/08 00:00:00", "0")],
        ),
    ],
    ids=["summer", "clocks set back", "clocks set forward", "behind UTC", "fixed offset", "UTC"],
)
async def test_a_request_has_local_bounds_and_their_one_offset(
    zone: str, window: Window, expected: list[tuple[str, ...]]
) -> None:
    assert expected == await requested(window, zone)


async def test_an_event_states_zone_offset_and_local_start() -> None:
    found = await events(tree(ENTRY), "breakdown", CHANGE, table())
    assert [
        ("2026-10-24T22:00:00.000Z", "2026-10-25T01:00:00.000Z", PARIS, 7200, "2026-10-25T00:00:00"),
        ("2026-10-25T01:00:00.000Z", "2026-10-25T23:00:00.000Z", PARIS, 3600, "2026-10-25T02:00:00"),
    ] == [
        tuple(each[name] for name in ("period_start", "period_end", "timezone", "utc_offset_s", "period_start_local"))
        for each in found
        if each["depth"] == 0
    ]
    assert {True} == {each["cyclic"] for each in found}


async def test_without_a_zone_events_state_utc_and_identities_do_not_contain_it() -> None:
    day = Window(utc(2026, 7, 7), utc(2026, 7, 8))
    [leaf, _] = await events(tree(ENTRY), "breakdown", day, table(None))
    assert ("UTC", 0, "2026-07-07T00:00:00") == (leaf["timezone"], leaf["utc_offset_s"], leaf["period_start_local"])
    assert "seemetrix/632/breakdown/all/dates:HH/1d/2026-07-07T00:00:00.000Z/date=08" == leaf["record_id"]
    assert "user/632/breakdown/1d/2026-07-07T00:00:00.000Z/date=08" == leaf["subject"]
    assert [leaf] == (await events(tree(ENTRY), "breakdown", day, table("UTC")))[:1]


async def test_record_ids_contain_the_zone() -> None:
    [leaf, _] = await events(tree(ENTRY), "breakdown", SUMMER_DAY, table())
    start = "2026-07-06T22:00:00.000Z"
    assert f"seemetrix/632/breakdown/all/dates:HH/1d:Europe%2FParis/{start}/date=08" == leaf["record_id"]
    assert f"user/632/breakdown/1d:Europe%2FParis/{start}/date=08" == leaf["subject"]


@pytest.mark.parametrize("levels", [("dates",), ("genders",)], ids=["with dates", "without dates"])
async def test_series_of_two_zones_never_have_one_identity(levels: tuple[str, ...]) -> None:
    """In March, the first period of London starts where the others start, and ends where its offset changes."""
    node = ENTRY if levels == ("dates",) else b'[{"n": "female", "t": "gender", "v": 1, "vd": 5}]'
    keys, ids = [], []
    for zone, end in ((None, utc(2026, 4, 1)), ("Europe/London", utc(2026, 3, 31, 23)), ("Etc/GMT", utc(2026, 4, 1))):
        month = Window(utc(2026, 3, 1), end)
        settings = table(zone, *levels, resolution="1M", dt_format="HH" if levels == ("dates",) else None)
        rows = [each for each in await fetched(tree(node), "breakdown", month, settings) if isinstance(each, Record)]
        keys += [each.key for each in rows]
        ids += [each["record_id"] for each in await events(tree(node), "breakdown", month, settings)]
    assert 8 == len(keys) == len(set(keys)) == len(ids) == len(set(ids)), "London has two periods in March"


async def test_a_dead_letter_of_a_zone_has_an_identity_of_its_own() -> None:
    hour = Window(utc(2026, 7, 7, 8), utc(2026, 7, 7, 9))
    places = []
    for zone in (None, PARIS, "Europe/Berlin"):
        rows = await fetched(tree(b'[{"n": "08"}]'), "breakdown", hour, table(zone, resolution="1h"))
        places += [row.place for row in rows if isinstance(row, Reject)]
    start = "None/2026-07-07T08:00:00.000Z"
    assert [start, f"{start}/Europe/Paris", f"{start}/Europe/Berlin"] == places


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        ("Asia/Kolkata", "Asia/Kolkata from UTC is \\+05:30 .* whole hours only .*choose a zone of whole hours"),
        ("Australia/Lord_Howe", "Australia/Lord_Howe from UTC is \\+10:30 .* leave the key out"),
        ("Paris", "expected a time zone of the IANA database"),
        ("+02:00", "expected a time zone of the IANA database"),
        ("", "expected a time zone of the IANA database"),
        ("localtime", "expected a time zone of the IANA database"),
        ("right/Europe/Paris", "expected a time zone of the IANA database"),
    ],
)
async def test_a_zone_that_the_vendor_cannot_be_sent_is_rejected(zone: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        async with stream_of("http://127.0.0.1:9", "breakdown", table(zone)):
            pass


async def test_a_period_of_a_former_half_hour_parks_the_stream() -> None:
    """Venezuela was half an hour off until 2016, which no setting of today's periods needs to know."""
    before = Window(utc(2016, 1, 1, 4, 30), utc(2016, 1, 2, 4, 30))
    with pytest.raises(Park) as raised:
        await fetched(tree(ENTRY), "breakdown", before, table("America/Caracas"))
    assert "offset_not_whole" == raised.value.code
    assert "sources.lobby.streams.breakdown.timezone" in (raised.value.advice or "")


@pytest.mark.parametrize(
    ("dt_format", "strftime"),
    [("HH", "%H"), ("DD", "%u"), ("YYYY-MM-DD HH", "%Y-%m-%d %H")],
    ids=["hour", "weekday", "calendar"],
)
async def test_views_by_local_time_are_those_of_the_local_clock(dt_format: str, strftime: str) -> None:
    """Over the week in which clocks are set back: no view is in a neighbouring hour or day, and none is lost."""
    world = World(seed=3, rate=40, devices=(3024,))
    week = Window(utc(2026, 10, 18, 22), utc(2026, 10, 25, 23))
    views = Counter[str]()
    simulation = Simulation(world, lambda: int(utc(2026, 12, 1).timestamp() * 1000))
    app = web.Application()
    app.add_routes(Seemetrix(simulation).routes())
    settings = table(PARIS, "dates", dt_format=dt_format, resolution="7d")
    async with (
        TestServer(app) as server,
        stream_of(str(server.make_url("")), "breakdown", settings, user_id=USER, user_key=KEY) as stream,
    ):
        async for result in stream.fetch(week):
            for row in published_rows(result.records):
                assert isinstance(row, Record)
                [event] = [value_of(each) for each in stream.explode(row, "0", 0)]
                if event["depth"]:
                    views[event["path_date"]] += event["views"]
    first_ms, last_ms = (int(each.timestamp() * 1000) for each in (week.start, week.end))
    expected = Counter[str](
        datetime.fromtimestamp(visit.start_ms / 1000, ZoneInfo(PARIS)).strftime(strftime)
        for visit in world.between(3024, first_ms, last_ms - 1)
        if first_ms <= visit.start_ms < last_ms
    )
    assert expected.total() > 1000
    assert expected == views


async def test_the_week_is_requested_in_two_parts_with_an_offset_each() -> None:
    week = Window(utc(2026, 10, 18, 22), utc(2026, 10, 25, 23))
    assert [
        ("2026/10/19 00:00:00", "2026/10/25 03:00:00", "2"),
        ("2026/10/25 02:00:00", "2026/10/26 00:00:00", "1"),
    ] == await requested(week, PARIS, resolution="7d")


async def test_the_selection_names_the_zone() -> None:
    selections = []
    for zone in (None, "UTC", PARIS):
        async with stream_of("http://127.0.0.1:9", "breakdown", table(zone)) as stream:
            selections.append(stream.selection)
    assert ["every device, dates by 1d"] * 2 + [f"every device, dates by 1d in {PARIS}"] == selections
