"""Rows stored by a vendor's local clock far from UTC, as Quividi's are: each is published exactly once."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from random import Random

import pytest
from msgspec import structs

from collector.model import DedupMode, FetchResult, Policy, Record, Window
from tests.simulated import at
from tests.worker.harness import EndingClock, ListSink, ListStream, VendorRow, run_with_restarts

pytestmark = pytest.mark.anyio

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
T0 = 1_000_000_800  # the start of an hour in 2001
LATENESS = timedelta(hours=6)
POLICY = Policy(
    interval=timedelta(minutes=15),
    settle=timedelta(minutes=45),
    allowed_lateness=LATENESS,
    sweep_every=timedelta(hours=2),
    span=timedelta(hours=12),
)


class LocalStream(ListStream):
    """A vendor whose clock is ahead of UTC by `offset_s`."""

    max_clock_offset = timedelta(days=1)
    offset_s = 0

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[VendorRow], None]:
        async with aclosing(super().fetch(window)) as results:
            async for result in results:
                records = [
                    structs.replace(row, vendor_local_s=row.vendor_local_s + self.offset_s)
                    if isinstance(row, Record)
                    else row
                    for row in result.records
                ]
                yield structs.replace(result, records=records)


def history(random: Random) -> list[VendorRow]:
    """Return two days of rows, some of them late. Every third has a twin: an equal row, available then or later."""
    rows = []
    for number in range(100):
        start_s = T0 + random.randrange(2 * DAY)
        late_s = random.choice([0, 0, random.randrange(30 * MINUTE), random.randrange(5 * HOUR)])
        row = VendorRow(start_s, start_s + random.randrange(120), f"n{number}", "hello", start_s + 120 + late_s)
        rows.append(row)
        if number % 3 == 0:
            rows.append(structs.replace(row, available_s=row.available_s + random.choice([0, HOUR // 2])))
    return rows


@pytest.mark.parametrize("offset_h", [-12, -3.5, 0, 5.75, 14])
@pytest.mark.parametrize("crash_rate", [0, 0.02])
async def test_every_row_is_published_once_whatever_the_vendor_s_offset_from_utc(
    offset_h: float, crash_rate: float
) -> None:
    random = Random(offset_h)
    rows = history(random)
    clock = EndingClock(at(T0 + HOUR), at(T0 + 2 * DAY + HOUR))
    stream = LocalStream(rows, clock, POLICY, DedupMode.MULTISET, select="start", inclusive=True, random=random)
    stream.offset_s = int(offset_h * HOUR)
    sink = ListSink(random, crash_rate)

    await run_with_restarts(stream, sink, clock, at(T0), random)

    assert Counter((row.name, row.content) for row in rows) == sink.contents()
    assert {1} == set(sink.event_ids().values())
