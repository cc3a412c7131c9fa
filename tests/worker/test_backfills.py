"""A backfill beside its stream: each malformed row is one dead letter, of the backfill or of the stream."""

from collections import Counter
from datetime import timedelta
from random import Random

import pytest

from collector.model import DedupMode, Policy
from tests.simulated import at
from tests.worker.harness import MALFORMED, EndingClock, ListSink, ListStream, Select, VendorRow, run_with_restarts

pytestmark = pytest.mark.anyio

HOUR = 3600
T0 = 1_000_000_800
END = T0 + 10 * HOUR
"""Where the backfill ends, and its stream starts."""
LENGTH = 60
"""Of each row, in seconds."""


def policy(until_s: int | None) -> Policy:
    return Policy(
        interval=timedelta(minutes=2),
        settle=timedelta(minutes=1),
        allowed_lateness=timedelta(hours=2),
        sweep_every=timedelta(hours=1),
        span=timedelta(hours=3),
        until=None if until_s is None else at(until_s),
    )


async def letters(
    rows: list[VendorRow], since_s: int, until_s: int | None, *, select: Select, inclusive: bool, gap_s: int = 0
) -> Counter[str]:
    """The dead letters of a stream or a backfill, whose neighbour starts `gap_s` after its end."""
    random, start_s = Random(7), T0 + 48 * HOUR
    clock = EndingClock(at(start_s), at(start_s if until_s is None else start_s + 99 * HOUR))
    stream = ListStream(
        rows, clock, policy(until_s), DedupMode.MULTISET, select=select, inclusive=inclusive, random=random
    )
    sink = ListSink(random, 0.01)
    start = None if until_s is None else at(until_s + gap_s)
    await run_with_restarts(stream, sink, clock, at(since_s), random, neighbour_start=start)
    return Counter(
        {
            each: count
            for each, count in sink.event_ids().items()
            if any(message.id.decode() == each for message in sink.messages if message.topic.endswith("dead_letters"))
        }
    )


def malformed(*starts_s: int) -> list[VendorRow]:
    return [VendorRow(each, each + LENGTH, f"at {each}", MALFORMED, each + LENGTH) for each in starts_s]


@pytest.mark.parametrize("select", ["start", "end"])
@pytest.mark.parametrize("inclusive", [True, False])
async def test_a_malformed_row_is_a_dead_letter_of_the_backfill_or_of_its_stream(
    select: Select, *, inclusive: bool
) -> None:
    starts = [END + each for each in (-3 * HOUR, -HOUR, -LENGTH - 2, -LENGTH + 2, -2, 2, LENGTH, HOUR, 3 * HOUR)]
    good = [VendorRow(s, s + LENGTH, f"{s}", "hello", s + LENGTH) for s in range(T0, T0 + 20 * HOUR, 600)]
    rows = [*good, *malformed(*starts)]

    of_backfill = await letters(rows, T0, END, select=select, inclusive=inclusive)
    of_stream = await letters(rows, END, None, select=select, inclusive=inclusive)

    assert [1] * len(starts) == list((of_backfill + of_stream).values())


async def test_what_lies_between_a_backfill_and_its_neighbour_is_a_dead_letter_of_the_backfill() -> None:
    rows = malformed(END - LENGTH // 2)

    assert await letters(rows, T0, END, select="end", inclusive=True, gap_s=HOUR)
    assert not await letters(rows, T0, END, select="end", inclusive=True)
