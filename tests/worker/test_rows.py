"""Rows that are filed by a clock far from UTC, as those of Quividi are: every one of them comes out once."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from random import Random

import pytest
from msgspec import structs

from collector.model import DedupMode, FetchResult, Policy, Record, Window
from tests.simulated import at
from tests.worker.harness import EndingClock, Happened, ListSink, ListStream, live

pytestmark = pytest.mark.anyio

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
ZERO = 1_000_000_800  # an hour's begin, long ago
LATENESS = timedelta(hours=6)
POLICY = Policy(
    interval=timedelta(minutes=15),
    settle=timedelta(minutes=45),
    allowed_lateness=LATENESS,
    sweep_every=timedelta(hours=2),
    span=timedelta(hours=12),
)


class LocalStream(ListStream):
    """A stream whose vendor's clock is not UTC's."""

    max_clock_offset = timedelta(days=1)
    ahead_s = 0

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[Happened], None]:
        async with aclosing(super().fetch(window)) as answers:
            async for answer in answers:
                filed = [
                    structs.replace(row, vendor_local_s=row.vendor_local_s + self.ahead_s)
                    if isinstance(row, Record)
                    else row
                    for row in answer.records
                ]
                yield structs.replace(answer, records=filed)


def history(random: Random) -> list[Happened]:
    """Two days of rows, a third of them twins of others, some as late as they may be."""
    rows = []
    for number in range(100):
        begin = ZERO + random.randrange(2 * DAY)
        late = random.choice([0, 0, random.randrange(30 * MINUTE), random.randrange(5 * HOUR)])
        row = Happened(begin, begin + random.randrange(120), f"n{number}", "hello", begin + 120 + late)
        rows.append(row)
        if number % 3 == 0:
            rows.append(structs.replace(row, available_s=row.available_s + random.choice([0, HOUR // 2])))
    return rows


@pytest.mark.parametrize("ahead_h", [-12, -3.5, 0, 5.75, 14])
@pytest.mark.parametrize("crash", [0, 0.02])
async def test_every_row_comes_out_once_wherever_the_vendor_s_clock_stands(ahead_h: float, crash: float) -> None:
    random = Random(ahead_h)
    rows = history(random)
    clock = EndingClock(at(ZERO + HOUR), at(ZERO + 2 * DAY + HOUR))
    stream = LocalStream(rows, clock, POLICY, DedupMode.MULTISET, select="begin", inclusive=True, random=random)
    stream.ahead_s = int(ahead_h * HOUR)
    sink = ListSink(random, crash)

    await live(stream, sink, clock, at(ZERO), random)

    assert Counter((row.name, row.says) for row in rows) == sink.things()
    assert {1} == set(sink.ids().values())
