"""The simulated world: a history that can be asked for anywhere, and is the same every time."""

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


def forget() -> None:
    """What was worked out before is kept for speed, for every world that is equal: it must not be what is compared."""
    worlds._minute.cache_clear()


@given(seeds, st.lists(st.tuples(devices, minutes), max_size=10), st.randoms(use_true_random=False), paces)
def test_what_happened_is_the_same_in_another_world_of_the_seed_and_in_another_order_of_asking(
    seed: int, asked: list[tuple[int, int]], order: Random, pace: Pace
) -> None:
    forget()
    first = World(seed, rate=600, pace=pace)
    told = {place: first.minute(*place) for place in asked}
    forget()
    again = World(seed, rate=600, pace=pace)
    other_order = sorted(asked, key=lambda _: order.random())
    assert told == {place: again.minute(*place) for place in other_order}


def test_what_happened_is_the_same_in_another_process() -> None:
    ask = f"from collector.simulator.world import World; print(World(7, rate=600).minute({DEVICE}, {MONDAY + 900}))"
    done = subprocess.run(
        [sys.executable, "-c", ask], env={"PYTHONHASHSEED": "77"}, check=True, capture_output=True, text=True
    )
    forget()
    assert f"{World(7, rate=600).minute(DEVICE, MONDAY + 900)}\n" == done.stdout


def test_another_seed_is_another_history_and_so_is_another_device() -> None:
    def told(seed: int, device: int) -> list[tuple[int, int]]:
        found = visits(World(seed), device, range(MONDAY, MONDAY + 24 * 60))
        return [(visit.start_ms, visit.dwell_ms) for visit in found]

    assert told(1, DEVICE) == told(1, DEVICE)
    assert told(1, DEVICE) != told(2, DEVICE)
    assert told(1, DEVICE) != told(1, DEVICE + 1)


@given(seeds, devices, minutes, st.integers(1, 30), st.floats(0, 1_000))
@example(1, DEVICE, MONDAY - 60, 120, 60.0)  # from one week to the next
@example(1, DEVICE, MONDAY_MINUTE - 60, 120, 60.0)  # from one side of the curve's origin to the other
@example(1, DEVICE, MONDAY - 60, 120, 0.01)
def test_sessions_of_a_device_are_numbered_without_a_gap_in_the_order_of_their_begins(
    seed: int, device: int, minute: int, length: int, rate: float
) -> None:
    found = visits(World(seed, rate=rate), device, range(minute, minute + length))
    first = found[0].number if found else 0
    assert list(range(first, first + len(found))) == [visit.number for visit in found]
    assert all(before.start_ms <= after.start_ms for before, after in pairwise(found))


@given(seeds, devices, minutes)
def test_a_minute_has_the_visits_that_begin_in_it(seed: int, device: int, minute: int) -> None:
    for visit in World(seed, rate=600).minute(device, minute):
        assert minute == visit.start_ms // MINUTE_MS
        assert device == visit.device


@settings(max_examples=25)
@given(seeds, devices, minutes, st.integers(0, HOUR_MS), paces)
def test_between_finds_all_that_touch_the_interval_once_and_by_begin(
    seed: int, device: int, minute: int, length_ms: int, pace: Pace
) -> None:
    world = World(seed, rate=300, pace=pace)
    first_ms = minute * MINUTE_MS + 12_345
    last_ms = first_ms + length_ms
    around = visits(world, device, range(minute - 5 * 60, last_ms // MINUTE_MS + 5))
    found = list(world.between(device, first_ms, last_ms))
    numbers = [visit.number for visit in found]
    touching = {visit.number for visit in around if visit.start_ms <= last_ms and visit.end_ms >= first_ms}
    assert touching <= set(numbers)
    assert sorted(set(numbers)) == numbers


@pytest.mark.parametrize("seed", [1, 2])
def test_hours_by_night_are_rarer_than_by_day_and_a_saturday_is_busier_than_a_sunday(seed: int) -> None:
    found = [as_datetime(visit.start_ms) for visit in a_week(World(seed))]
    by_hour = [sum(begin.hour == hour for begin in found) for hour in range(24)]
    by_day = [sum(begin.weekday() == day for begin in found) for day in range(7)]
    assert max(by_hour[:6]) < min(by_hour[8:21])
    assert by_day[5] > by_day[6]


@given(seeds, devices, st.floats(0.1, 30), st.integers(-3000, 100))
def test_a_week_has_as_many_visits_as_the_rate_says(seed: int, device: int, rate: float, week: int) -> None:
    world, monday = World(seed, rate=rate), MONDAY + week * WEEK_MINUTES
    before, after = (world._count_before(device, minute) for minute in (monday, monday + WEEK_MINUTES))
    assert abs(rate * 7 * 24 - (after - before)) <= 1


def test_the_visits_of_a_week_are_as_many_as_were_counted() -> None:
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
def test_codes_are_those_of_the_document_and_some_are_unknown(seed: int, device: int, minute: int, pace: Pace) -> None:
    for visit in World(seed, rate=600, pace=pace).minute(device, minute):
        assert {looking for looking, _ in visit.looks} <= {0, 1}
        assert {mood for mood, _ in visit.moods} <= {-1, 0, 1, 2, 3}
        assert visit.gender in (0, 1, None)
        assert visit.age in (0, 1, 2, 3, None)


@pytest.mark.parametrize("pace", [REAL, FAST], ids=["real", "fast"])
def test_nothing_is_there_before_its_end_nor_later_than_the_pace_says(pace: Pace) -> None:
    late_ms, every_ms = int(1000 * pace.late_s), int(1000 * pace.upload_every_s)
    for visit in a_week(World(pace=pace)):
        latest_ms = max(visit.start_ms + late_ms, visit.end_ms)
        assert visit.end_ms <= visit.uploaded_ms <= latest_ms
        assert visit.end_ms <= visit.boxed_ms <= latest_ms + every_ms


@pytest.mark.parametrize("pace", [REAL, FAST], ids=["real", "fast"])
def test_a_few_are_late_and_most_are_not(pace: Pace) -> None:
    found = a_week(World(pace=pace))
    soon_ms = 1000 * pace.late_s / 5
    late = [visit for visit in found if visit.uploaded_ms - visit.end_ms > soon_ms]
    boxed_late = [visit for visit in found if visit.boxed_ms - visit.end_ms > soon_ms + 1000 * pace.upload_every_s]
    assert 0.01 <= len(late) / len(found) <= 0.04
    assert 0.005 <= len(boxed_late) / len(found) <= 0.04


def test_a_few_have_twins_and_a_few_of_the_real_ones_are_longer_than_an_hour() -> None:
    found = a_week(World(pace=REAL))
    assert 0.02 <= sum(visit.has_twin for visit in found) / len(found) <= 0.04
    assert 0.001 <= sum(visit.dwell_ms > HOUR_MS for visit in found) / len(found) <= 0.006


@given(st.integers(0, 4_000_000_000_000))
def test_an_instant_keeps_its_milliseconds(unix_ms: int) -> None:
    told = as_datetime(unix_ms)
    assert UTC == told.tzinfo
    assert unix_ms == int(told.replace(microsecond=0).timestamp()) * 1000 + told.microsecond // 1000
