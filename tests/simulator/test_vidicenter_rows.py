"""The rows of the simulated VidiCenter's exports: what they hold, under which names, and which there are."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from collector.simulator.rules import Rules
from collector.simulator.world import World, as_datetime
from tests.simulator.harness import PLACE, WORLD, Names, happened, local, names, serving, told

pytestmark = pytest.mark.anyio

ALWAYS = {"location_id", "period_start", "gender", "age", "age_value"}
MOODS = ("very_happy", "happy", "neutral", "unhappy", "very_unhappy")
NEW = {"dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec"}
OLD = {"dwell_time", "attention_time", "glasses", "mustache", "beard"}


async def test_rows_come_in_no_order() -> None:
    async with serving() as vendor:
        rows = await vendor.export()
    starts = [row["period_start"] for row in rows]
    assert len(starts) > 30
    assert sorted(starts) != starts
    assert sorted(starts, reverse=True) != starts
    assert names(happened()) == told(rows)


async def test_several_locations_come_in_one_export() -> None:
    async with serving() as vendor:
        rows = await vendor.export(locations="3024,5315")
    assert {3024, 5315} == {row["location_id"] for row in rows}
    assert names([*happened(3024), *happened(5315)]) == told(rows)


async def test_a_site_stands_for_its_locations() -> None:
    world = World(devices=(3024, 3025, 3031))
    async with serving(world=world) as vendor:
        rows = await vendor.export(locations="left out", sites="302")
    assert names([*happened(3024, world=world), *happened(3025, world=world)]) == told(rows)


async def test_twins_are_two_equal_rows() -> None:
    async with serving() as vendor:
        rows = await vendor.export(end="2026-11-06T18:59:59")
    twins = [visit for visit in happened(hours=6) if visit.has_twin]
    assert len(twins) > 2
    alike = Counter(repr(sorted(row.items())) for row in rows)
    assert len(twins) == sum(count == 2 for count in alike.values())
    assert names(happened(hours=6)) == told(rows)


async def test_an_expert_account_has_the_new_names_and_percentages_that_make_a_hundred() -> None:
    async with serving() as vendor:
        rows = await vendor.export()
    for row in rows:
        assert ALWAYS | NEW | set(MOODS) == row.keys()
        assert abs(100 - sum(row[mood] for mood in MOODS)) < 1
        assert all(abs(row[mood] * 2.55 - round(row[mood] * 2.55)) < 1e-6 for mood in MOODS)  # 255 parts
        assert row["age_value"] > 0


async def test_an_old_one_has_the_old_names_and_what_was_left_out_since() -> None:
    async with serving(rules=Rules(has_old_names=True)) as vendor:
        rows = await vendor.export()
    assert all(ALWAYS | OLD | set(MOODS) == row.keys() for row in rows)
    assert names(happened()) == told(rows, "")


@pytest.mark.parametrize("old_names", [False, True])
async def test_without_the_expert_licence_its_fields_are_null(old_names: bool) -> None:
    async with serving(rules=Rules(is_expert=False, has_old_names=old_names)) as vendor:
        rows = await vendor.export()
    nulls = {"age_value", *MOODS, *(("glasses", "mustache", "beard") if old_names else ())}
    assert all(nulls == {name for name, value in row.items() if value is None} for row in rows)


async def test_codes_are_the_vendors_own() -> None:
    genders, ages = {0: 2, 1: 1, None: 0}, {0: 1, 1: 2, 2: 3, 3: 4, None: 0}
    async with serving() as vendor:
        rows = await vendor.export()
    expected = Counter[tuple[str, int, int]]()
    for visit in happened():
        expected[local(visit), genders[visit.gender], ages[visit.age]] += 2 if visit.has_twin else 1
    assert expected == Counter((row["period_start"], row["gender"], row["age"]) for row in rows)


async def test_where_nobody_was_a_row_says_that_there_is_nothing() -> None:
    world = World(devices=(PLACE, 3035), rate=0)
    async with serving(world=world) as vendor:
        rows = await vendor.export(locations="3024,3035")
    assert {3024, 3035} == {row["location_id"] for row in rows}
    for row in rows:
        assert row["period_start"].startswith("2026-11-06T13:")
        assert {None} == {value for name, value in row.items() if name not in ("location_id", "period_start")}


async def test_an_export_has_its_first_second_and_its_last_where_that_is_the_rule() -> None:
    first, last = local(happened()[0]), local(happened()[-1])
    async with serving() as vendor:
        assert names(happened()) == told(await vendor.export(start=first, end=last))
    async with serving(rules=Rules(end_is_inclusive=False)) as vendor:
        rows = await vendor.export(start=first, end=last)
    left_out = [visit for visit in happened() if local(visit) == last]
    assert names(happened()) - names(left_out) == told(rows)


async def test_what_a_box_has_not_uploaded_yet_is_not_there() -> None:
    async with serving() as vendor:
        now = as_datetime(happened()[20].boxed_ms)
        vendor.clock[0] = now
        rows = await vendor.export()
    there = [visit for visit in happened() if as_datetime(visit.boxed_ms) <= now]
    assert 20 <= len(there) < len(happened())
    assert names(there) == told(rows)


async def test_times_are_local_so_the_hour_that_winter_repeats_has_the_viewers_of_both() -> None:
    midnight = datetime(2026, 10, 25, tzinfo=UTC)  # the clock goes from 3:00 to 2:00 at 1:00 UTC
    first_ms = int(midnight.timestamp() * 1000)
    expected = Names()
    for visit in WORLD.between(PLACE, first_ms, first_ms + 2 * 3_600_000 - 1):
        if first_ms <= visit.start_ms < first_ms + 2 * 3_600_000:
            offset = 2 if visit.start_ms < first_ms + 3_600_000 else 1
            begin = (as_datetime(visit.start_ms) + timedelta(hours=offset)).strftime("%Y-%m-%dT%H:%M:%S")
            expected[begin, visit.dwell_ms // 100, visit.attention_ms // 100] += 2 if visit.has_twin else 1
    async with serving() as vendor:
        rows = await vendor.export(start="2026-10-25T02:00:00", end="2026-10-25T02:59:59")
    assert expected.total() > 4
    assert expected == told(rows)
