"""The rows of the simulated VidiCenter's exports: which visits they contain, and their fields."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from collector.simulator.rules import Rules
from collector.simulator.world import World, as_datetime
from tests.simulator.harness import (
    DATA,
    PLACE,
    WORLD,
    Viewers,
    export_query,
    local,
    serving,
    viewers_in,
    viewers_of,
    visits_at,
)

pytestmark = pytest.mark.anyio

ALWAYS = {"location_id", "period_start", "gender", "age", "age_value"}
MOODS = ("very_happy", "happy", "neutral", "unhappy", "very_unhappy")
NEW = {"dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec"}
IDS = {"vr_id", "footfall_id", "footfall_start"}
"""Fields of the newer names, which some rows lack."""
OLD = {"dwell_time", "attention_time", "glasses", "mustache", "beard"}


async def test_rows_are_not_ordered() -> None:
    async with serving() as vendor:
        rows = await vendor.export()
    starts = [row["period_start"] for row in rows]
    assert len(starts) > 30
    assert sorted(starts) != starts
    assert sorted(starts, reverse=True) != starts
    assert viewers_of(visits_at()) == viewers_in(rows)


async def test_an_export_contains_several_locations() -> None:
    async with serving() as vendor:
        rows = await vendor.export(locations="3024,5315")
    assert {3024, 5315} == {row["location_id"] for row in rows}
    assert viewers_of([*visits_at(3024), *visits_at(5315)]) == viewers_in(rows)


async def test_a_site_selects_its_locations() -> None:
    world = World(devices=(3024, 3025, 3031))
    async with serving(world=world) as vendor:
        rows = await vendor.export(locations="left out", sites="302")
    assert viewers_of([*visits_at(3024, world=world), *visits_at(3025, world=world)]) == viewers_in(rows)


async def test_tags_select_by_id() -> None:
    async with serving() as vendor:
        rows = await vendor.export(locations="left out", location_tags="32")
        assert viewers_of([*visits_at(3035), *visits_at(5315)]) == viewers_in(rows)
        rows = await vendor.export(locations="left out", site_tags="22")
        assert viewers_of(visits_at(3024)) == viewers_in(rows)
        assert 403 == (await vendor.get(DATA, export_query(location_tags="99")))[0]


async def test_twins_are_two_equal_rows() -> None:
    async with serving() as vendor:
        rows = await vendor.export(end="2026-11-06T18:59:59")
    twins = [visit for visit in visits_at(hours=6) if visit.has_twin]
    assert len(twins) > 2
    copies = Counter(repr(sorted(row.items())) for row in rows)
    assert len(twins) == sum(count == 2 for count in copies.values())
    assert viewers_of(visits_at(hours=6)) == viewers_in(rows)


async def test_an_expert_account_has_the_new_names_and_percentages_with_a_sum_of_100() -> None:
    async with serving() as vendor:
        rows = await vendor.export()
    for row in rows:
        assert ALWAYS | NEW | set(MOODS) == row.keys() - IDS
        assert abs(100 - sum(row[mood] for mood in MOODS)) < 1
        assert all(abs(row[mood] * 2.55 - round(row[mood] * 2.55)) < 1e-6 for mood in MOODS)  # multiples of 1/255
        assert row["age_value"] > 0
    assert {int, str, type(None)} == {type(row.get("vr_id")) for row in rows}
    assert {0, 0.5} == {row["age_value"] % 1 for row in rows}


async def test_an_old_account_has_the_old_names_and_the_fields_that_were_removed_later() -> None:
    async with serving(rules=Rules(has_old_names=True)) as vendor:
        rows = await vendor.export()
    assert all(ALWAYS | OLD | set(MOODS) == row.keys() for row in rows)
    assert viewers_of(visits_at()) == viewers_in(rows, "")


@pytest.mark.parametrize("old_names", [False, True])
async def test_without_the_expert_licence_expert_fields_are_null(old_names: bool) -> None:
    async with serving(rules=Rules(is_expert=False, has_old_names=old_names)) as vendor:
        rows = await vendor.export()
    nulls = {"age_value", *MOODS, *(("glasses", "mustache", "beard") if old_names else ())}
    assert all(nulls == {name for name, value in row.items() if value is None} - IDS for row in rows)


async def test_codes_are_those_of_vidicenter() -> None:
    genders, ages = {0: 2, 1: 1, None: 0}, {0: 1, 1: 2, 2: 3, 3: 4, None: 0}
    async with serving() as vendor:
        rows = await vendor.export()
    expected = Counter[tuple[str, int, int]]()
    for visit in visits_at():
        expected[local(visit), genders[visit.gender], ages[visit.age]] += 2 if visit.has_twin else 1
    assert expected == Counter((row["period_start"], row["gender"], row["age"]) for row in rows)


async def test_a_location_without_viewers_has_a_placeholder_row() -> None:
    world = World(devices=(PLACE, 3035), rate=0)
    async with serving(world=world) as vendor:
        rows = await vendor.export(locations="3024,3035")
    assert {3024, 3035} == {row["location_id"] for row in rows}
    for row in rows:
        assert row["period_start"].startswith("2026-11-06T13:")
        assert {None} == {value for name, value in row.items() if name not in ("location_id", "period_start")}


async def test_a_window_contains_its_first_second_and_by_its_rule_the_last() -> None:
    first, last = local(visits_at()[0]), local(visits_at()[-1])
    async with serving() as vendor:
        assert viewers_of(visits_at()) == viewers_in(await vendor.export(start=first, end=last))
    async with serving(rules=Rules(end_is_inclusive=False)) as vendor:
        rows = await vendor.export(start=first, end=last)
    left_out = [visit for visit in visits_at() if local(visit) == last]
    assert viewers_of(visits_at()) - viewers_of(left_out) == viewers_in(rows)


async def test_visits_that_are_not_uploaded_are_not_exported() -> None:
    async with serving() as vendor:
        now = as_datetime(visits_at()[20].box_uploaded_ms)
        vendor.clock[0] = now
        rows = await vendor.export()
    uploaded = [visit for visit in visits_at() if as_datetime(visit.box_uploaded_ms) <= now]
    assert 20 <= len(uploaded) < len(visits_at())
    assert viewers_of(uploaded) == viewers_in(rows)


async def test_an_hour_that_occurs_twice_in_local_time_contains_the_viewers_of_both() -> None:
    midnight = datetime(2026, 10, 25, tzinfo=UTC)  # at 1:00 UTC local clocks are set from 3:00 to 2:00
    first_ms = int(midnight.timestamp() * 1000)
    expected = Viewers()
    for visit in WORLD.between(PLACE, first_ms, first_ms + 2 * 3_600_000 - 1):
        if first_ms <= visit.start_ms < first_ms + 2 * 3_600_000:
            offset = 2 if visit.start_ms < first_ms + 3_600_000 else 1
            start = (as_datetime(visit.start_ms) + timedelta(hours=offset)).strftime("%Y-%m-%dT%H:%M:%S")
            expected[start, visit.dwell_ms // 100, visit.attention_ms // 100] += 2 if visit.has_twin else 1
    async with serving() as vendor:
        rows = await vendor.export(start="2026-10-25T02:00:00", end="2026-10-25T02:59:59")
    assert expected.total() > 4
    assert expected == viewers_in(rows)
