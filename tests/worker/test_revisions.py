"""A record that the vendor returns with changed content is a revision, even if it changes back or changes its end."""

from datetime import timedelta
from random import Random

import pytest

from collector.model import DedupMode, Policy
from tests.simulated import at
from tests.worker.harness import EndingClock, ListSink, ListStream, Select, VendorRow, run_with_restarts

pytestmark = pytest.mark.anyio

T0, HOUR = 1_000_000_800, 3600
POLICY = Policy(
    interval=timedelta(minutes=1),
    settle=timedelta(minutes=5),
    allowed_lateness=timedelta(hours=12),
    sweep_every=timedelta(hours=1),
    span=timedelta(hours=6),
)


async def published(
    rows: list[VendorRow], select: Select, crash_rate: float = 0.0, seed: int = 5
) -> list[tuple[str, int]]:
    """Return content and revision of each published event, in the order of publishing."""
    random = Random(seed)
    clock = EndingClock(at(T0), at(T0 + 12 * HOUR))
    stream = ListStream(rows, clock, POLICY, DedupMode.VERSIONED, select=select, inclusive=True, random=random)
    sink = ListSink(random, crash_rate)
    # Content that is replaced during an outage is never fetched. None is long enough to hide one.
    await run_with_restarts(stream, sink, clock, at(T0), random, outages_s=(1, 60, 600))
    return [(data.content, data.number) for data in sink.published()]


@pytest.mark.parametrize("select", ["start", "end", "overlap"])
@pytest.mark.parametrize("crash_rate", [0.0, 0.02])
async def test_a_change_back_to_earlier_content_is_a_further_revision(select: Select, crash_rate: float) -> None:
    start_s, end = T0 + HOUR, T0 + HOUR + 60
    rows = [
        VendorRow(start_s, end, "x", "first", end, replaced_s=T0 + 3 * HOUR),
        VendorRow(start_s, end, "x", "second", T0 + 3 * HOUR, replaced_s=T0 + 6 * HOUR),
        VendorRow(start_s, end, "x", "first", T0 + 6 * HOUR),
    ]
    assert [("first", 0), ("second", 1), ("first", 2)] == await published(rows, select, crash_rate)


@pytest.mark.parametrize("select", ["start", "end", "overlap"])
@pytest.mark.parametrize("longer", [True, False])
async def test_a_record_whose_end_changes_is_revised_and_not_published_as_another_record(
    select: Select, longer: bool
) -> None:
    start_s = T0 + 2 * HOUR
    ends_s = (start_s + 60, start_s + 2 * HOUR) if longer else (start_s + 2 * HOUR, start_s + 60)
    known = max(ends_s) + 10
    rows = [
        VendorRow(start_s, ends_s[0], "x", "first", known, replaced_s=known + 2 * HOUR),
        VendorRow(start_s, ends_s[1], "x", "second", known + 2 * HOUR),
    ]
    assert [("first", 0), ("second", 1)] == await published(rows, select)


async def test_two_versions_in_one_response_are_published_once_each() -> None:
    """The last one of the response has the highest revision. The vendor's first response has either order."""
    start_s = T0 + HOUR
    rows = [VendorRow(start_s, start_s + 60, "x", content, start_s + 60) for content in ("this", "that")]
    orders = [[("that", 0), ("this", 1)], [("this", 0), ("that", 1)]]
    found = [await published(rows, "start", seed=seed) for seed in range(5)]
    assert all(each in orders for each in found)
    assert all(order in found for order in orders)
