"""Persons, vehicles, backups, zones and late uploads in the simulated VidiCenter's exports."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.simulator.rules import Rules
from collector.simulator.world import World
from tests.simulator.harness import HOUR_MS, NOON, PLACE, Row, serving, visits_at

pytestmark = pytest.mark.anyio

DAY = {"start": "2026-11-06T00:00:00", "end": "2026-11-06T23:59:59"}
NOON_MS = int(NOON.timestamp() * 1000)
QUIET = World(devices=(PLACE,), rate=2)
"""Most hours of the night have no visit."""


def of_resolution(resolution: str, data_type: str) -> dict[str, str]:
    return {"data_type": data_type, "time_resolution": resolution}


async def test_viewers_and_footfall_of_one_person_link_each_other() -> None:
    async with serving() as vendor:
        viewers = await vendor.export(**DAY)
        persons = await vendor.export(data_type="footfall", **DAY)
    persons_by_id = {row["vr_id"]: row for row in persons}
    linked = [row for row in viewers if row.get("footfall_id")]
    for row in linked:
        person = persons_by_id[row["footfall_id"]]
        assert str(person["watcher_id"]) == str(row["vr_id"])
        assert person["watcher_start"][:19] == row["period_start"]
        assert row["footfall_start"][:19] == person["period_start"]
        assert person["footfall_presence_time"] >= row["dwell_time_in_tenths_of_sec"]
    assert {19, 26} == {len(row["footfall_start"]) for row in linked}  # at times with microseconds
    assert len(linked) == sum(row["watcher_id"] > 0 for row in persons)


async def test_viewers_and_persons_without_the_other_have_0_and_null() -> None:
    async with serving() as vendor:
        viewers = await vendor.export(**DAY)
        persons = await vendor.export(data_type="footfall", **DAY)
    assert {(0, None)} == {
        (row["footfall_id"], row["footfall_start"]) for row in viewers if row.get("footfall_id") == 0
    }
    assert {(0, None)} == {(row["watcher_id"], row["watcher_start"]) for row in persons if not row["watcher_id"]}
    assert any("vr_id" not in row for row in viewers)
    assert 1 < len(persons) / len(viewers) < 4


async def test_a_row_of_both_is_a_vehicle_or_a_person() -> None:
    async with serving() as vendor:
        both = await vendor.export(data_type="vehicles_footfall", **DAY)
        counts = {kind: len(await vendor.export(data_type=kind, **DAY)) for kind in ("vehicles", "footfall")}
    zeros = ("type", "color", "vehicle_presence_time", "vehicle_impressions", "impressions_per_vehicle")
    vehicles, persons = [row for row in both if "vr_id" not in row], [row for row in both if "vr_id" in row]
    assert counts == {"vehicles": len(vehicles), "footfall": len(persons)}
    assert {0} == {row["footfall_presence_time"] for row in vehicles}
    assert {0} == {row[name] for row in persons for name in zeros}
    assert all({"watcher_id", "watcher_start", "tracking_mode"} <= row.keys() for row in persons)
    assert not any(row.keys() & {"watcher_id", "watcher_start", "tracking_mode"} for row in vehicles)


async def test_periods_count_single_vehicles_and_persons() -> None:
    async with serving() as vendor:
        rows = await vendor.export(**of_resolution("finest", "vehicles"), **DAY)
        persons = await vendor.export(**of_resolution("finest", "footfall"), **DAY)
        hours = await vendor.export(**of_resolution("1h", "vehicles_footfall"), **DAY)
        days = [await vendor.export(**of_resolution("1d", kind), **DAY) for kind in ("vehicles", "footfall")]
    assert Counter(row["period_start"][:13] for row in rows) == Counter(
        {row["period_start"].replace(" ", "T")[:13]: row["vehicle_count"] for row in hours}
    )
    assert len(persons) == sum(row["footfall_impressions"] for row in hours) == days[1][0]["footfall_impressions"]
    [[day], _] = days
    assert day["vehicle_presence_time"] == sum(row["vehicle_presence_time"] for row in rows)
    assert day["vehicle_impressions"] == pytest.approx(sum(row["impressions_per_vehicle"] for row in rows))
    assert set(range(6)) == {row["type"] for row in rows}
    assert {None, 0, 7} <= {row["color"] for row in rows}
    assert {float, int} == {type(row["vehicle_impressions"]) for row in rows}


async def test_a_site_is_the_sum_of_its_locations() -> None:
    members = {"locations": "left out", "sites": "302", **DAY}
    async with serving(world=World(devices=(3024, 3025, 3031))) as vendor:
        places, sites = [
            await vendor.export(**of_resolution("1d", f"proof_of_play_vehicle_person_by_{kind}"), **members)
            for kind in ("location", "site")
        ]
    for name in ("play_count", "vehicle_count", "footfall_impressions", "footfall_presence_time"):
        total = Counter[str]()
        for row in places:
            total[row["content_id"]] += row[name]
        assert total == Counter({row["content_id"]: row[name] for row in sites})
    assert {"302"} == {row["site_id"] for row in sites}


async def test_some_vehicles_are_two_equal_rows() -> None:
    async with serving() as vendor:
        rows = await vendor.export(data_type="vehicles", **DAY)
    assert 2 == max(Counter(str(sorted(row.items(), key=str)) for row in rows).values())


@pytest.mark.parametrize(("data_type", "count"), [("im", "footfall_impressions"), ("im_ots", "watcher_count")])
async def test_an_hour_of_the_night_without_visits_has_a_backup(data_type: str, count: str) -> None:
    async with serving(world=QUIET) as vendor:
        [watched, rows, measured] = [
            sorted(await vendor.export(**of_resolution("1h", kind), **DAY), key=lambda row: str(row["period_start"]))
            for kind in ("ots", data_type, f"{data_type}_nobackup")
        ]
    is_backup = [row["backup_value"] == "yes" for row in rows]
    assert [not row["watcher_count"] and hour < 6 for hour, row in enumerate(watched)] == is_backup
    assert sum(is_backup) > 2
    assert {""} == {row["backup_value"] for row in measured}
    for row, without in zip(rows, measured, strict=True):
        assert (row[count] > 0 and without[count] == 0) if row["backup_value"] else (row == without)


async def test_a_backup_is_replaced_by_a_late_visit() -> None:
    late = next(
        visit
        for visit in visits_at(hours=24, world=QUIET)
        if visit.box_uploaded_ms - visit.end_ms > HOUR_MS and (visit.start_ms // HOUR_MS + 1) % 24 < 6
    )
    hour = datetime.fromtimestamp(late.start_ms // 1000, UTC) + timedelta(hours=1)
    window = {"start": f"{hour:%Y-%m-%dT%H}:00:00", "end": f"{hour:%Y-%m-%dT%H}:59:59"}
    async with serving(world=QUIET) as vendor:
        vendor.clock[0] = datetime.fromtimestamp(late.box_uploaded_ms / 1000, UTC) - timedelta(seconds=1)
        [before] = await vendor.export(**of_resolution("1h", "im"), **window)
        vendor.advance_s(86_400)
        [after] = await vendor.export(**of_resolution("1h", "im"), **window)
    assert ("yes", "") == (before["backup_value"], after["backup_value"])


async def test_the_multiplier_is_the_presence_divided_by_the_window() -> None:
    async with serving(rules=Rules(inactive=frozenset({PLACE}))) as vendor:
        rows = await vendor.export(**of_resolution("1h", "im"), **DAY)
        targeted = await vendor.export(**of_resolution("1h", "targeted_im"), **DAY)
    assert {False} == {row["active"] for row in rows}
    for row in rows:
        if not row["backup_value"]:
            assert row["im_footfall"] == round(row["footfall_presence_time"] / row["analysis_window"], 2)
            assert row["im"] == pytest.approx(row["im_footfall"] + row["im_vehicle"], abs=0.0101)
    for row in targeted:
        bands = [value for name, value in row.items() if name.startswith("all_age")]
        assert 7 == len(bands)
        assert row["im"] == pytest.approx(row["male_total_im"] + row["female_total_im"], abs=0.001)
        assert row["im"] == pytest.approx(sum(bands), abs=0.001)


async def test_the_zones_of_a_location_repeat_its_footfall() -> None:
    world = World(devices=(3027,))
    hour = {"locations": "3027", **DAY}
    async with serving(world=world) as vendor:
        persons = await vendor.export(data_type="retail_analytics_footfall", **hour)
        zones = await vendor.export(**of_resolution("1d", "retail_analytics_footfall_aggregated"), **hour)
        [day] = await vendor.export(**of_resolution("1d", "footfall"), **hour)
    assert {("Shelf", day["footfall_impressions"]), ("Carpet", day["footfall_impressions"])} == {
        (row["zone_name"], row["total_impressions"]) for row in zones
    }
    assert {"00:00"} == {row["period_start_time"] for row in zones}  # 00:00:00 at locations with even numbers
    presences = Counter[int]()
    for row in persons:
        assert ("nb_clips" in row, "nb_doorpass" in row) == ("clips" in row, "doorpass" in row)
        assert row["nb_visits"] == len(row["visits"])
        presences.update({visit["id"]: sum(each["duration"] for each in visit["timings"]) for visit in row["visits"]})
    assert presences == {row["zone_id"]: round(row["total_dwell_duration"] * 1000) for row in zones}
    assert any("clips" in row for row in persons)
    assert any("clips" not in row for row in persons)


async def test_sales_are_touches_minus_put_back() -> None:
    async with serving() as vendor:
        finest = await vendor.export(data_type="pmp_sales_by_demographics", **DAY)
        day = await vendor.export(**of_resolution("1d", "pmp_sales_by_demographics"), **DAY)
        funnel = await vendor.export(**of_resolution("1d", "pmp_sales_funnel"), **DAY)
    parts = [name for name in day[0] if name.endswith(("male", "masked"))]
    assert 9 == len(parts)
    for row in [*finest, *day, *funnel]:
        assert row["estimated_sales"] == row["product_touches"] - row["put_back"]
    assert all(row["estimated_sales"] == sum(row[part] for part in parts) for row in day)
    totals = {sum(row["estimated_sales"] for row in rows) for rows in (finest, day, funnel)}
    assert 1 == len(totals)


def first_rows(rows: list[Row], place: int) -> list[Any]:
    return sorted(row["period_start"] for row in rows if row["location_id"] == place)


@pytest.mark.parametrize("resolution", ["finest", "1h"])
async def test_every_place_has_its_own_local_time(resolution: str) -> None:
    rules, both = Rules(place_zones={5315: "America/New_York"}), {"locations": "3024,5315"}
    async with serving(rules=rules) as vendor:
        rows = await vendor.export(data_type="footfall", time_resolution=resolution, **both)
        expected = vendor.vidicenter.expected_rows("footfall", resolution, NOON_MS, NOON_MS + HOUR_MS)
        later = await vendor.export(
            data_type="footfall",
            time_resolution=resolution,
            start="2026-11-06T07:00:00",
            end="2026-11-06T07:59:59",
            locations="5315",
        )
    assert first_rows(rows, 3024) == first_rows(expected, 3024)
    assert first_rows(later, 5315) == first_rows(expected, 5315)
    assert all("T13" in str(row["period_start"]).replace(" ", "T") for row in rows)
    assert first_rows(rows, 5315) != first_rows(expected, 5315)


async def test_a_place_that_was_offline_uploads_everything_when_it_is_back() -> None:
    back = NOON + timedelta(days=2)
    offline = Rules(offline={PLACE: (NOON_MS, int(back.timestamp() * 1000))})
    await _assert_nothing_until(back, offline)


async def test_a_late_place_uploads_everything_once_in_some_days() -> None:
    await _assert_nothing_until(datetime(2026, 11, 9, tzinfo=UTC), Rules(late_place=PLACE, late_days=3))


async def _assert_nothing_until(back: datetime, rules: Rules) -> None:
    window = {"end": "2026-11-06T16:59:59"}
    async with serving(rules=rules) as vendor:
        vendor.clock[0] = back - timedelta(seconds=20)
        before = [await vendor.export(**of_resolution(*kind), **window) for kind in KINDS]
        vendor.clock[0] = back
        vendor.vidicenter._exports.clear()
        after = [await vendor.export(**of_resolution(*kind), **window) for kind in KINDS]
    assert {None} == {row[name] for rows, name in zip(before, NUMBERS, strict=True) for row in rows}
    for rows, kind in zip(after, KINDS, strict=True):
        expected = vendor.vidicenter.expected_rows(kind[1], kind[0], NOON_MS, NOON_MS + 4 * HOUR_MS)
        assert sorted(map(repr, rows)) == sorted(repr(row) for row in expected if row["location_id"] == PLACE)


KINDS = (("finest", "viewers"), ("1h", "ots"), ("finest", "vehicles"), ("1h", "vehicles"))
NUMBERS = ("gender", "ots_count", "type", "vehicle_count")


async def test_a_place_has_no_data_before_it_appears() -> None:
    appears = NOON + timedelta(hours=1)
    async with serving(rules=Rules(appears_ms={PLACE: int(appears.timestamp() * 1000)})) as vendor:
        rows = await vendor.export(**of_resolution("1h", "ots"), end="2026-11-06T14:59:59")
        vendor.clock[0] = appears - timedelta(seconds=1)
        status, _ = await vendor.get("/api/v1/data/", {**of_resolution("1h", "ots"), **DAY, "locations": str(PLACE)})
    assert [True, False] == [row["ots_count"] is None for row in sorted(rows, key=lambda row: str(row["period_start"]))]
    assert 403 == status
