"""The alerts and monitoring messages of the simulated VidiCenter: what happens to boxes, and the latest 1000 of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import quote

import pytest

from collector.simulator.rules import Rules
from collector.simulator.world import World, as_datetime
from tests.simulator.harness import HOUR_MS, NOON, PLACE, WORLD, Row, Vendor, read, serving, status_of, types

pytestmark = pytest.mark.anyio

HALF_HOUR_MS = HOUR_MS // 2
NOW_MS = int((NOON + timedelta(days=1, hours=6)).timestamp() * 1000)
DAYS = 90
MANY = World(devices=tuple(range(3000, 3100)))
FREE = Rules(calls_per_minute=10_000)
ALERT = {
    "id": int,
    "alert_type": int,
    "label": str,
    "status": str,
    "extra_data": str,
    "network": int,
    "site": int,
    "location": int,
    "box": int,
    "timestamp": str,
    "host_timestamp": str,
}
OLD_MESSAGE = {
    "box": int,
    "location": int,
    "timestamp": str,
    "host_timestamp": str,
    "status": str,
    "vr_status": str,
    "cpu_load": int,
    "fps": str,
    "avg_luma": str,
    "nb_inputlost": int,
}
MESSAGE = OLD_MESSAGE | {"vr_version": str, "resolution": str, "raw_camera_config": str}
SCOPES = [
    ("", WORLD.devices),
    ("/network/1", WORLD.devices),
    ("/site/303", (3035,)),
    (f"/site_tag/{quote('Airports & stations', safe='')}", (3035, 5315)),
    ("/location/5315", (5315,)),
    ("/location_tag/Entrance", (3024,)),
    ("/box/703035", (3035,)),
]


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with serving(rules=FREE) as vendor:
        yield vendor


def ms_of(row: Row) -> int:
    """The vendor's time of an alert or message, as Unix time in milliseconds."""
    return int(datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp()) * 1000


def offline_half_hours(place: int, days: int = DAYS) -> set[int]:
    """The half hours of the days before now in which the world's device is offline."""
    now = NOW_MS // HALF_HOUR_MS
    candidates = range(now - days * 48 + 1, now + 1)
    return {each for each in candidates if WORLD.state(place, each * HALF_HOUR_MS) == "offline"}


def by_id(alerts: list[Row]) -> dict[int, Row]:
    assert len(alerts) == len({alert["id"] for alert in alerts})
    return {alert["id"]: alert for alert in alerts}


@pytest.mark.parametrize(("scope", "places"), SCOPES)
@pytest.mark.parametrize("name", ["alerts", "monitoring_msgs"])
async def test_a_scope_selects_its_locations(vendor: Vendor, scope: str, places: tuple[int, ...], name: str) -> None:
    assert set(places) == {row["location"] for row in await read(vendor, f"{scope}/{name}/")}


@pytest.mark.parametrize("name", ["alerts", "monitoring_msgs"])
@pytest.mark.parametrize(("scope", "status"), [("box/3024", 403), ("location/77", 403), ("location_tag/31", 404)])
async def test_an_unknown_scope_is_refused(vendor: Vendor, scope: str, name: str, status: int) -> None:
    assert status == await status_of(vendor, f"/{scope}/{name}/")
    assert 404 == await status_of(vendor, f"/{name}")
    assert 405 == await status_of(vendor, f"/{name}/", "POST")


async def test_alerts_have_the_fields_of_the_document(vendor: Vendor) -> None:
    alerts = await read(vendor, "/alerts/")
    links = [alert.pop("linked_alerthistory") for alert in alerts]
    assert all(types(alert) == ALERT for alert in alerts)
    assert {int, type(None)} == set(map(type, links))
    for alert in alerts:
        place = alert["location"]
        assert (1, place // 10, place + 700_000) == (alert["network"], alert["site"], alert["box"])
    assert {(1, ""), (3, "Input Lost"), (3, "Idle,Black Input")} == {
        (alert["alert_type"], alert["extra_data"]) for alert in alerts
    }


async def test_every_offline_half_hour_is_part_of_an_alert_and_each_alert_starts_in_one(vendor: Vendor) -> None:
    alerts = await read(vendor, f"/location/{PLACE}/alerts/")
    started, offline = {ms_of(alert) // HALF_HOUR_MS for alert in alerts}, offline_half_hours(PLACE)
    assert len(alerts) == len(started) > 100
    assert started <= offline
    assert all(each - 1 in offline for each in offline - started)


async def test_an_alert_that_ends_keeps_its_id_and_all_but_its_status(vendor: Vendor) -> None:
    half_hour = max(each for each in offline_half_hours(PLACE) if each + 1 not in offline_half_hours(PLACE))
    path = f"/location/{PLACE}/alerts/"
    vendor.clock[0] = as_datetime((half_hour + 1) * HALF_HOUR_MS) - timedelta(milliseconds=1)
    raised, active = by_id(await read(vendor, path)), await read(vendor, f"{path}?active=True")
    assert [alert for alert in raised.values() if alert["status"] == "raised"] == active
    assert 1 == len(active)
    vendor.advance_s(0.001)
    terminated = by_id(await read(vendor, path))
    assert [] == await read(vendor, f"{path}?active=True")
    assert raised | {active[0]["id"]: active[0] | {"status": "terminated"}} == terminated


async def test_an_alert_is_raised_some_minutes_into_its_half_hour(vendor: Vendor) -> None:
    alert = (await read(vendor, f"/location/{PLACE}/alerts/"))[0]
    raised_at = as_datetime(ms_of(alert))
    for at, is_known in ((raised_at, False), (raised_at + timedelta(seconds=1), True)):
        vendor.clock[0] = at
        assert is_known == (alert["id"] in by_id(await read(vendor, "/alerts/")))
        assert is_known == (alert["id"] in by_id(await read(vendor, "/alerts/?active=True")))


async def test_alert_ids_are_unique_and_do_not_grow_with_time(vendor: Vendor) -> None:
    alerts = await read(vendor, "/alerts/")
    times = [alert["timestamp"] for alert in alerts]
    assert times == sorted(times, reverse=True)
    assert len(alerts) == len(by_id(alerts))
    ids = [alert["id"] for alert in alerts]
    rises = sum(older < newer for newer, older in pairwise(ids))
    assert len(ids) / 4 < rises < len(ids) * 3 / 4


@pytest.mark.parametrize("name", ["alerts", "monitoring_msgs"])
async def test_a_list_contains_the_latest_thousand_of_its_scope(name: str) -> None:
    async with serving(world=MANY, rules=FREE) as vendor:
        latest = await read(vendor, f"/{name}/")
        places = [await read(vendor, f"/location/{place}/{name}/") for place in MANY.devices]
    assert 1000 == len(latest)
    every = sorted((row["timestamp"] for rows in places for row in rows), reverse=True)
    assert len(every) > 2000
    assert every[:1000] == [row["timestamp"] for row in latest]


@pytest.mark.parametrize("name", ["alerts", "monitoring_msgs"])
async def test_hours_select_the_latest_and_a_thousand_are_still_the_most(name: str) -> None:
    async with serving(world=MANY, rules=FREE) as vendor:
        whole = await read(vendor, f"/site/300/{name}/")
        for hours in (1, 24):
            since = as_datetime(NOW_MS - hours * HOUR_MS).replace(tzinfo=None).isoformat()
            latest = await read(vendor, f"/site/300/{name}/?hours={hours}")
            assert [row for row in whole if row["timestamp"] >= since] == latest
            assert latest or hours == 1
    async with serving(world=World(devices=tuple(range(1, 1001))), rules=FREE) as vendor:
        assert 1000 == len(await read(vendor, f"/{name}/?hours=24"))


@pytest.mark.parametrize(
    "query", ["hours=0", "hours=25", "hours=-1", "hours=1.5", "hours=", "hours=day", "active=true", "active=1"]
)
async def test_wrong_arguments_are_a_bad_request(vendor: Vendor, query: str) -> None:
    assert 400 == await status_of(vendor, f"/alerts/?{query}")
    if query.startswith("hours"):
        assert 400 == await status_of(vendor, f"/monitoring_msgs/?{query}")


async def test_a_span_without_uploads_is_one_alert_and_has_no_messages() -> None:
    first_ms, back_ms = NOW_MS - 40 * HOUR_MS + 60_000, NOW_MS - 10 * HOUR_MS
    async with serving(rules=Rules(offline={PLACE: (first_ms, back_ms)}, calls_per_minute=10_000)) as vendor:
        path = f"/location/{PLACE}"
        vendor.clock[0] = as_datetime(back_ms - 1)
        (active,) = await read(vendor, f"{path}/alerts/?active=True")
        vendor.clock[0] = as_datetime(NOW_MS)
        alerts = by_id(await read(vendor, f"{path}/alerts/"))
        messages = [ms_of(row) for row in await read(vendor, f"{path}/monitoring_msgs/")]
    assert (1, "raised", "terminated") == (active["alert_type"], active["status"], alerts[active["id"]]["status"])
    assert [active["id"]] == [each["id"] for each in alerts.values() if first_ms <= ms_of(each) < back_ms]
    assert [] == [ms for ms in messages if first_ms <= ms < back_ms]
    assert min(messages) < first_ms < back_ms < max(messages)


async def test_messages_have_the_fields_of_the_document_and_no_id(vendor: Vendor) -> None:
    messages = await read(vendor, "/monitoring_msgs/")
    assert all(types(message) == MESSAGE for message in messages)
    assert {"running"} == {message["status"] for message in messages}
    identities = {(message["box"], message["timestamp"], message["host_timestamp"]) for message in messages}
    assert len(messages) == len(identities)


async def test_a_working_box_sends_a_message_every_ten_minutes_with_numbers_as_text(vendor: Vendor) -> None:
    messages = await read(vendor, f"/location/{PLACE}/monitoring_msgs/")
    offline = offline_half_hours(PLACE)
    working = [each for each in messages if ms_of(each) // HALF_HOUR_MS not in offline]
    assert {"Processing"} == {each["vr_status"] for each in working}
    assert all(0 < float(each["fps"]) < 30 for each in working)
    assert all(each["avg_luma"].endswith("%") and "1280x720" == each["resolution"] for each in working)
    times = [ms_of(each) for each in messages]
    gaps = {newer - older for newer, older in pairwise(times)}
    assert 600_000 == min(gaps)
    assert all(gap % 600_000 == 0 for gap in gaps)


async def test_a_box_without_a_picture_reports_what_its_alert_reports_and_others_are_silent(vendor: Vendor) -> None:
    alerts = {ms_of(each) // HALF_HOUR_MS: each for each in await read(vendor, f"/location/{PLACE}/alerts/")}
    messages = await read(vendor, f"/location/{PLACE}/monitoring_msgs/")
    sent = [(ms_of(each) // HALF_HOUR_MS, each) for each in messages]
    reported = [(alerts[half_hour], each) for half_hour, each in sent if half_hour in alerts]
    assert {3} == {alert["alert_type"] for alert, _ in reported}
    assert all(message["vr_status"] == alert["extra_data"] for alert, message in reported)
    assert {("-", "0x0", "0.0%")} == {(each["fps"], each["resolution"], each["avg_luma"]) for _, each in reported}


async def test_nothing_is_reported_from_before_a_location_exists() -> None:
    created_ms = NOW_MS - 48 * HOUR_MS
    async with serving(rules=Rules(appears_ms={PLACE: created_ms}, calls_per_minute=10_000)) as vendor:
        for name in ("alerts", "monitoring_msgs"):
            rows = await read(vendor, f"/location/{PLACE}/{name}/")
            assert rows
            assert all(ms_of(row) >= created_ms for row in rows)


async def test_with_old_names_messages_are_shorter_and_hours_are_ignored() -> None:
    async with serving(rules=Rules(has_old_names=True)) as vendor:
        messages = await read(vendor, "/monitoring_msgs/?hours=1")
        assert all(types(message) == OLD_MESSAGE for message in messages)
        assert 1000 == len(messages)
        assert await read(vendor, "/alerts/") == await read(vendor, "/alerts/?hours=99")


async def test_the_time_of_the_host_is_local_and_not_exact(vendor: Vendor) -> None:
    for path in ("/alerts/", "/monitoring_msgs/"):
        row = (await read(vendor, path))[0]
        ahead = datetime.fromisoformat(row["host_timestamp"]) - datetime.fromisoformat(row["timestamp"])
        assert timedelta(minutes=59) <= ahead <= timedelta(hours=1)


async def test_a_right_may_be_missing_for_one_list() -> None:
    async with serving(rules=Rules(forbidden_paths=frozenset({"/alerts/"}))) as vendor:
        assert (403, 200) == (await status_of(vendor, "/alerts/"), await status_of(vendor, "/monitoring_msgs/"))
