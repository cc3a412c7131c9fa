"""The simulated world: any part of the history can be computed, always with the same result."""

import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.simulator import world as worlds
from collector.simulator.world import (
    FAST,
    MINUTE_MS,
    MONDAY_MINUTE,
    REAL,
    WEEK_MINUTES,
    Pace,
    Visit,
    World,
    as_datetime,
)

DEVICE = 3024
HOUR_MS = 60 * MINUTE_MS
MONDAY = int(datetime(2026, 11, 2, tzinfo=UTC).timestamp()) // 60
"""The first minute of a week."""

minutes = st.integers(MONDAY - 52 * WEEK_MINUTES, MONDAY + 52 * WEEK_MINUTES)
devices = st.integers(1, 10_000)
seeds = st.integers(0, 1_000)
paces = st.sampled_from([REAL, FAST])


def visits(world: World, device: int, minutes: Iterable[int]) -> list[Visit]:
    return [visit for minute in minutes for visit in world.minute(device, minute)]


def a_week(world: World) -> list[Visit]:
    return visits(world, DEVICE, range(MONDAY, MONDAY + WEEK_MINUTES))


def clear_cache() -> None:
    """Clear the cache, which equal worlds share: a cached result must not be compared with itself."""
    worlds._minute.cache_clear()


@given(seeds, st.lists(st.tuples(devices, minutes), max_size=10), st.randoms(use_true_random=False), paces)
def test_worlds_of_one_seed_have_the_same_visits_in_any_order_of_computation(
    seed: int, places: list[tuple[int, int]], order: Random, pace: Pace
) -> None:
    clear_cache()
    first = World(seed, rate=600, pace=pace)
    expected = {place: first.minute(*place) for place in places}
    clear_cache()
    again = World(seed, rate=600, pace=pace)
    other_order = sorted(places, key=lambda _: order.random())
    assert expected == {place: again.minute(*place) for place in other_order}


def test_another_process_computes_the_same_visits() -> None:
    program = f"from collector.simulator.world import World; print(World(7, rate=600).minute({DEVICE}, {MONDAY + 900}))"
    result = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": "77"}, check=True, capture_output=True, text=True
    )
    clear_cache()
    assert f"{World(7, rate=600).minute(DEVICE, MONDAY + 900)}\n" == result.stdout


def test_seeds_and_devices_have_different_histories() -> None:
    def history(seed: int, device: int) -> list[tuple[int, int]]:
        found = visits(World(seed), device, range(MONDAY, MONDAY + 24 * 60))
        return [(visit.start_ms, visit.dwell_ms) for visit in found]

    assert history(1, DEVICE) == history(1, DEVICE)
    assert history(1, DEVICE) != history(2, DEVICE)
    assert history(1, DEVICE) != history(1, DEVICE + 1)


@given(seeds, devices, minutes, st.integers(1, 30), st.floats(0, 1_000))
@example(1, DEVICE, MONDAY - 60, 120, 60.0)  # across two weeks
@example(1, DEVICE, MONDAY_MINUTE - 60, 120, 60.0)  # across the origin of the curve
@example(1, DEVICE, MONDAY - 60, 120, 0.01)
def test_visits_of_a_device_are_numbered_by_start_without_gaps(
    seed: int, device: int, minute: int, length: int, rate: float
) -> None:
    found = visits(World(seed, rate=rate), device, range(minute, minute + length))
    first = found[0].number if found else 0
    assert list(range(first, first + len(found))) == [visit.number for visit in found]
    assert all(before.start_ms <= after.start_ms for before, after in pairwise(found))


@given(seeds, devices, minutes)
def test_a_minute_contains_the_visits_that_start_in_it(seed: int, device: int, minute: int) -> None:
    for visit in World(seed, rate=600).minute(device, minute):
        assert minute == visit.start_ms // MINUTE_MS
        assert device == visit.device


@settings(max_examples=25)
@given(seeds, devices, minutes, st.integers(0, HOUR_MS), paces)
def test_between_returns_every_overlapping_visit_once_ordered_by_start(
    seed: int, device: int, minute: int, length_ms: int, pace: Pace
) -> None:
    world = World(seed, rate=300, pace=pace)
    first_ms = minute * MINUTE_MS + 12_345
    last_ms = first_ms + length_ms
    around = visits(world, device, range(minute - 5 * 60, last_ms // MINUTE_MS + 5))
    found = list(world.between(device, first_ms, last_ms))
    numbers = [visit.number for visit in found]
    overlapping = {visit.number for visit in around if visit.start_ms <= last_ms and visit.end_ms >= first_ms}
    assert overlapping <= set(numbers)
    assert sorted(set(numbers)) == numbers
    starting = [visit for visit in around if first_ms <= visit.start_ms <= last_ms]
    assert starting == list(world.starting(device, first_ms, last_ms))


@pytest.mark.parametrize("seed", [1, 2])
def test_nights_have_fewer_visits_than_days_and_sundays_fewer_than_saturdays(seed: int) -> None:
    found = [as_datetime(visit.start_ms) for visit in a_week(World(seed))]
    by_hour = [sum(start.hour == hour for start in found) for hour in range(24)]
    by_day = [sum(start.weekday() == day for start in found) for day in range(7)]
    assert max(by_hour[:6]) < min(by_hour[8:21])
    assert by_day[5] > by_day[6]


@given(seeds, devices, st.floats(0.1, 30), st.integers(-3000, 100))
def test_the_number_of_visits_before_a_minute_follows_the_rate(seed: int, device: int, rate: float, week: int) -> None:
    world, monday = World(seed, rate=rate), MONDAY + week * WEEK_MINUTES
    before, after = (world._count_before(device, minute) for minute in (monday, monday + WEEK_MINUTES))
    assert abs(rate * 7 * 24 - (after - before)) <= 1


def test_a_week_has_as_many_visits_as_the_rate() -> None:
    assert abs(60 * 7 * 24 - len(a_week(World(rate=60)))) <= 1
    assert [] == a_week(World(rate=0))


@given(seeds, devices, minutes, paces)
def test_looks_and_moods_each_sum_to_the_dwell_and_no_play_is_longer(
    seed: int, device: int, minute: int, pace: Pace
) -> None:
    for visit in World(seed, rate=600, pace=pace).minute(device, minute):
        parts = [*visit.looks, *visit.moods]
        assert visit.dwell_ms == sum(ms for _, ms in visit.looks) == sum(ms for _, ms in visit.moods)
        assert visit.dwell_ms == visit.end_ms - visit.start_ms
        assert 0 <= visit.attention_ms <= visit.dwell_ms
        assert 0 <= min(ms for _, ms in parts)
        assert 100 <= visit.dwell_ms <= 1000 * pace.longest_s
        assert all(0 <= start and start + ms <= visit.dwell_ms for _, start, ms in visit.plays)


@given(seeds, devices, minutes, paces)
def test_codes_are_those_of_the_vendors_document(seed: int, device: int, minute: int, pace: Pace) -> None:
    for visit in World(seed, rate=600, pace=pace).minute(device, minute):
        assert {looking for looking, _ in visit.looks} <= {0, 1}
        assert {mood for mood, _ in visit.moods} <= {-1, 0, 1, 2, 3}
        assert visit.gender in (0, 1, None)
        assert visit.age in (0, 1, 2, 3, None)


@pytest.mark.parametrize("pace", [REAL, FAST], ids=["real", "fast"])
def test_visits_are_uploaded_after_their_end_and_within_the_pace(pace: Pace) -> None:
    late_ms, every_ms = int(1000 * pace.late_s), int(1000 * pace.upload_every_s)
    for visit in a_week(World(pace=pace)):
        latest_ms = max(visit.start_ms + late_ms, visit.end_ms)
        assert visit.end_ms <= visit.uploaded_ms <= latest_ms
        assert visit.end_ms <= visit.box_uploaded_ms <= latest_ms + every_ms


@pytest.mark.parametrize("pace", [REAL, FAST], ids=["real", "fast"])
def test_a_small_share_is_uploaded_late(pace: Pace) -> None:
    found = a_week(World(pace=pace))
    soon_ms = 1000 * pace.late_s / 5
    late = [visit for visit in found if visit.uploaded_ms - visit.end_ms > soon_ms]
    boxed_late = [
        visit for visit in found if visit.box_uploaded_ms - visit.end_ms > soon_ms + 1000 * pace.upload_every_s
    ]
    assert 0.01 <= len(late) / len(found) <= 0.04
    assert 0.005 <= len(boxed_late) / len(found) <= 0.04


def test_a_small_share_has_twins_or_lasts_longer_than_an_hour() -> None:
    found = a_week(World(pace=REAL))
    assert 0.02 <= sum(visit.has_twin for visit in found) / len(found) <= 0.04
    assert 0.001 <= sum(visit.dwell_ms > HOUR_MS for visit in found) / len(found) <= 0.006


@given(st.integers(0, 4_000_000_000_000))
def test_as_datetime_keeps_milliseconds(unix_ms: int) -> None:
    instant = as_datetime(unix_ms)
    assert UTC == instant.tzinfo
    assert unix_ms == int(instant.replace(microsecond=0).timestamp()) * 1000 + instant.microsecond // 1000
