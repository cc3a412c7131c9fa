"""The first poll of an export waits for as long as such exports take, so that most exports take two calls."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Window
from collector.vendors.quividi.export import (
    FIRST_WAIT_S,
    GROWTH,
    MAX_FIRST_WAIT_S,
    MIN_WAIT_S,
    REMEMBERED,
    Export,
    ExportStatus,
    UseRows,
    advance,
    expected_s,
    kind_of,
)
from collector.vendors.quividi.slots import Exports
from tests.simulated import START, SimulatedClock
from tests.vendors.quividi.vidicenter import HOUR, VidiCenter, fetch_all, viewers

QUERY = {
    "data_type": "viewers",
    "time_resolution": "finest",
    "start": "2026-11-01T00:00:00",
    "end": "2026-11-01T00:59:59",
    "locations": "1,2,3",
}


@pytest.mark.parametrize(
    ("durations", "wait_s"),
    [
        ([], FIRST_WAIT_S),
        ([20], 20),
        ([20, 15], 15),
        ([20, 600, 18], 20),
        ([600, 600, 18], MAX_FIRST_WAIT_S),
        ([0.1, 0.2, 0.3], MIN_WAIT_S),
    ],
)
def test_the_wait_is_the_second_longest_duration_within_bounds(durations: list[float], wait_s: float) -> None:
    assert wait_s == expected_s(durations)


def built(build_s: Sequence[float]) -> tuple[list[int], list[float]]:
    """The calls and the first wait of each export, if exports take this many seconds."""
    durations: list[float] = []
    calls, waits = [], []
    for seconds in build_s:
        waits.append(expected_s(durations[-REMEMBERED:]))
        export, step = advance(Export(START), ExportStatus("started", START), waits[-1])
        passed_s, made = 0.0, 1
        while not isinstance(step, UseRows):
            passed_s, made = passed_s + step.wait_s, made + 1
            state = "in_progress" if passed_s < seconds else "finished"
            export, step = advance(export, ExportStatus(state, START, passed_s, has_rows=True), waits[-1])
        assert step.took_s is not None
        durations.append(step.took_s)
        calls.append(made)
    return calls, waits


@pytest.mark.parametrize("seconds", [0.5, 3, 20, 90, 299])
def test_most_exports_of_a_constant_duration_take_two_calls(seconds: float) -> None:
    calls, _ = built([seconds] * 1000)

    assert 2 * 1000 <= sum(calls) < 2.2 * 1000


@given(st.lists(st.floats(0.1, 250), min_size=1, max_size=200))
def test_the_wait_never_creeps_up(build_s: list[float]) -> None:
    """Each time is measured by a poll that may be late: used as they are, these times would only grow."""
    _, waits = built(build_s)

    for index, wait_s in enumerate(waits):
        longest_s = max(build_s[max(0, index - REMEMBERED) : index], default=0)
        assert wait_s <= max(FIRST_WAIT_S, longest_s + MIN_WAIT_S, longest_s * GROWTH)


def test_shorter_exports_are_soon_polled_earlier_and_longer_ones_later() -> None:
    _, waits = built([90] * 50 + [20] * 60 + [90] * 3)

    assert 90 <= max(waits[40:50]) <= 90 * GROWTH
    assert 20 <= max(waits[100:110]) <= 20 * GROWTH
    assert 90 <= waits[112] <= 90 * GROWTH


def test_a_single_slow_export_does_not_delay_those_after_it() -> None:
    _, waits = built([20] * 30 + [240] + [20] * 30)

    assert max(waits[30:]) <= 20 * GROWTH


@pytest.mark.parametrize(
    ("change", "is_equal"),
    [
        ({"start": "2026-11-02T00:00:00", "end": "2026-11-02T00:59:59"}, True),
        ({"end": "2026-11-01T01:05:00"}, True),
        ({"locations": "4,5,6"}, True),
        ({"content_ids": "a,b,c,d,e,f,g,h"}, True),
        ({"data_type": "viewers_apc"}, False),
        ({"time_resolution": "1h"}, False),
        ({"end": "2026-11-01T23:59:59"}, False),
        ({"locations": ",".join(map(str, range(1000)))}, False),
    ],
)
def test_exports_of_one_kind_have_about_the_same_size(change: dict[str, str], is_equal: bool) -> None:
    assert is_equal == (kind_of(QUERY) == kind_of(QUERY | change))


def test_locations_and_sites_are_of_different_kinds() -> None:
    by_site = {name: value for name, value in QUERY.items() if name != "locations"} | {"sites": "1,2,3"}

    assert kind_of(QUERY) != kind_of(by_site)


def test_an_export_of_unknown_size_takes_as_long_as_those_of_the_most_similar_size() -> None:
    exports = Exports(SimulatedClock())
    kind = kind_of(QUERY)
    assert FIRST_WAIT_S == exports.expected_s(kind)

    for size, took_s in ((kind.size - 5, 10), (kind.size + 2, 50)):
        exports.built(kind._replace(size=size), took_s)
    exports.built(kind._replace(data_type="ots"), 70)
    assert 50 == exports.expected_s(kind)

    exports.built(kind, 40)
    assert 40 == exports.expected_s(kind)


@pytest.mark.anyio
@pytest.mark.parametrize(("builds_for", "most_calls"), [(1, 2.2), (20, 2.3), (90, 2.3), (240, 2.3)])
async def test_the_vendor_receives_two_calls_for_most_exports(builds_for: float, most_calls: float) -> None:
    vendor = VidiCenter(builds_for=timedelta(seconds=builds_for))
    async with viewers(vendor) as lobby:
        for window in hours(60):
            await fetch_all(lobby, window)

    by_export = Counter(query.partition("&status_only")[0] for query in vendor.queries)
    assert 60 == len(by_export) == len(vendor.builds)
    assert 2 * 50 <= sum(list(by_export.values())[10:]) < most_calls * 50
    assert not any("status_only" in query for query in vendor.queries[-100:])


def hours(count: int) -> list[Window]:
    return [Window(HOUR.start + timedelta(hours=n), HOUR.end + timedelta(hours=n)) for n in range(count)]
