"""The aggregated exports of the simulated VidiCenter count the same visits as its exports of viewers."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.simulator.rules import Rules
from collector.simulator.world import Visit, World
from tests.simulator.harness import NOON, PLACE, TENTHS, serving, visits_at

pytestmark = pytest.mark.anyio

SIX_HOURS = {"end": "2026-11-06T18:59:59"}
DAY = {"start": "2026-11-06T00:00:00", "end": "2026-11-06T23:59:59"}
GENDERS, AGES = {0: 2, 1: 1, None: 0}, {0: 1, 1: 2, 2: 3, 3: 4, None: 0}


def people(hours: int = 6, place: int = PLACE, world: World | None = None) -> list[Visit]:
    """The visits of the hours from noon; a visit with a twin is two."""
    visits = visits_at(place, hours) if world is None else visits_at(place, hours, world)
    return [visit for visit in visits for _ in range(2 if visit.has_twin else 1)]


def by_hour(rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {int(row["period_start"][11:13]): row for row in rows}


async def test_the_watchers_of_an_hour_are_its_viewers() -> None:
    async with serving() as vendor:
        rows = await vendor.export(time_resolution="1h", **SIX_HOURS)
    assert {13, 14, 15, 16, 17, 18} == by_hour(rows).keys()
    assert {"2026-11-06 13:00:00", "2026-11-06", "13:00"} < set(by_hour(rows)[13].values())
    assert len(people()) == sum(row["watcher_count"] for row in rows)
    assert len(people(1)) == by_hour(rows)[13]["watcher_count"]
    for name, attribute in (("dwell_time", "dwell_ms"), ("attention_time", "attention_ms")):
        expected = sum(getattr(each, attribute) // 100 for each in people())
        assert expected == sum(row[name + TENTHS] for row in rows)


@pytest.mark.parametrize("resolution", ["5m", "10m", "15m", "30m", "1h", "1d", "7d", "30d", "1M"])
async def test_every_resolution_has_the_same_total(resolution: str) -> None:
    async with serving() as vendor:
        rows = await vendor.export(time_resolution=resolution, **SIX_HOURS)
    assert len(people()) == sum(row["watcher_count"] for row in rows)


async def test_demographic_groups_are_a_row_each_and_empty_ones_have_no_times() -> None:
    async with serving() as vendor:
        rows = await vendor.export(time_resolution="1d", group_by_demographics="1", **SIX_HOURS)
    expected = Counter((GENDERS[each.gender], AGES[each.age]) for each in people())
    assert 15 == len(rows)
    assert expected == Counter(
        {(row["gender"], row["age"]): row["watcher_count"] for row in rows if row["watcher_count"]}
    )
    assert all("conversion_ratio" not in row for row in rows)
    empty = [row for row in rows if not row["watcher_count"]]
    assert {None} >= {row[f"dwell_time{TENTHS}"] for row in empty}


async def test_opportunities_to_see_include_watchers() -> None:
    async with serving() as vendor:
        rows = await vendor.export(data_type="ots", time_resolution="1h", **SIX_HOURS)
        [day] = await vendor.export(data_type="viewers", time_resolution="1d", **SIX_HOURS)
    assert all(row["ots_count"] >= row["watcher_count"] for row in rows)
    assert {3600} == {row["duration"] for row in rows}
    ratio = 100 * sum(row["watcher_count"] for row in rows) / sum(row["ots_count"] for row in rows)
    assert ratio == pytest.approx(day["conversion_ratio"])


async def test_everyone_enters_and_leaves_through_gates() -> None:
    async with serving() as vendor:
        rows = await vendor.export(data_type="gate", time_resolution="1h")
    assert [1, 2] == sorted(row["gate_id"] for row in rows)
    assert len(people(1)) == sum(row["in_count"] for row in rows) == sum(row["out_count"] for row in rows)


@pytest.mark.parametrize(("data_type", "place"), [("location", ("location_id", 3024)), ("site", ("site_id", 302))])
async def test_proof_of_play_counts_the_contents_that_were_played_to_watchers(
    data_type: str, place: tuple[str, int]
) -> None:
    world = World(devices=(3024, 3025, 3031))
    async with serving(world=world) as vendor:
        rows = await vendor.export(
            data_type=f"proof_of_play_by_{data_type}", time_resolution="1h", locations="left out", sites="302"
        )
    members = [3024, 3025] if data_type == "site" else [3024]
    expected = Counter(
        f"content {movie}" for one in members for each in people(1, one, world) for movie, _, _ in each.plays
    )
    found = {row["content_id"]: row["play_count"] for row in rows if row[place[0]] == place[1]}
    assert expected == found
    assert all(row["watchers_2sec"] <= row["watchers"] <= row["impressions"] for row in rows)


async def test_only_selected_contents_are_exported() -> None:
    async with serving() as vendor:
        all_rows = await vendor.export(data_type="viewers_apc", **SIX_HOURS)
        wanted = {content["content_id"] for row in all_rows[:1] for content in row["contents"]}
        some = await vendor.export(data_type="viewers_apc", content_ids=",".join(wanted), **SIX_HOURS)
        played = await vendor.export(
            data_type="proof_of_play_by_location", time_resolution="1d", content_ids=",".join(wanted), **SIX_HOURS
        )
    assert sum(1 for each in people() if each.plays) == len(all_rows)
    assert wanted == {content["content_id"] for row in some for content in row["contents"]}
    assert wanted == {row["content_id"] for row in played}
    assert all("start_time" in row and "period_start" not in row for row in all_rows)


async def test_times_of_contents_are_milliseconds_of_the_visit() -> None:
    for old_names, suffix in ((True, ""), (False, "_in_milliseconds")):
        async with serving(rules=Rules(has_old_names=old_names)) as vendor:
            rows = await vendor.export(data_type="viewers_apc")
        expected = Counter((ms, each.attention_ms) for each in people(1) for _, _, ms in each.plays)
        found = [content for row in rows for content in row["contents"]]
        assert expected == Counter((each[f"dwell_time{suffix}"], each[f"attention_time{suffix}"]) for each in found)


@pytest.mark.parametrize("data_type", ["viewers", "ots", "gate", "proof_of_play_by_location"])
async def test_without_data_every_number_is_null(data_type: str) -> None:
    async with serving(world=World(devices=(PLACE,), rate=0)) as vendor:
        rows = await vendor.export(data_type=data_type, time_resolution="1h", **SIX_HOURS)
    names = {"location_id", "period_start", "period_start_date", "period_start_time", "gate_id"}
    assert 6 * (2 if data_type == "gate" else 1) == len(rows)
    assert {None} == {value for row in rows for name, value in row.items() if name not in names}


async def test_a_period_has_no_data_until_it_is_uploaded() -> None:
    async with serving() as vendor:
        vendor.clock[0] = NOON + timedelta(hours=1)
        before = by_hour(await vendor.export(data_type="ots", time_resolution="1h", **SIX_HOURS))
        vendor.clock[0] = datetime(2026, 11, 7, 18, tzinfo=UTC)
        after = by_hour(await vendor.export(data_type="ots", time_resolution="1h", **SIX_HOURS))
    assert None is before[15]["ots_count"]
    assert 0 < before[13]["watcher_count"] < after[13]["watcher_count"]
    assert 0 < after[15]["watcher_count"]


async def test_an_uploaded_hour_without_visits_is_zero() -> None:
    async with serving(world=World(devices=(PLACE,), rate=0.5)) as vendor:
        rows = await vendor.export(data_type="viewers", time_resolution="1h", **DAY)
    assert 24 == len(rows)
    zeros = [row for row in rows if not row["watcher_count"]]
    assert zeros
    assert {(0, 0, 0.0)} == {
        (row["watcher_count"], row[f"dwell_time{TENTHS}"], row["conversion_ratio"]) for row in zeros
    }
