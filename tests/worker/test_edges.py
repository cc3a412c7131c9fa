"""Where windows meet, and where lateness ends: records on every second, and as late as is allowed."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from msgspec import structs

from collector.model import DedupMode, Policy
from tests.simulated import at
from tests.worker.harness import EndingClock, Happened, ListSink, ListStream, Select, live

pytestmark = pytest.mark.anyio

ZERO, HOUR = 1_000_000_800, 3600
SELECTS: tuple[Select, ...] = ("begin", "end", "overlap", "strict overlap")


POLICY = Policy(
    interval=timedelta(minutes=2),
    settle=timedelta(seconds=1),
    allowed_lateness=timedelta(hours=2),
    sweep_every=timedelta(minutes=20),
    span=timedelta(minutes=1),
)


async def published(
    rows: list[Happened],
    chosen: Policy,
    select: Select,
    *,
    inclusive: bool,
    start_s: int,
    final_s: int,
    answer_s: float = 1,
    dedup_mode: DedupMode = DedupMode.MULTISET,
) -> Counter[tuple[str, str]]:
    random = Random(9)
    clock = EndingClock(at(start_s), at(final_s))
    stream = ListStream(
        rows, clock, chosen, dedup_mode, select=select, inclusive=inclusive, random=random, answer_s=answer_s
    )
    sink = ListSink(random)
    await live(stream, sink, clock, at(ZERO), random)
    return sink.things()


@pytest.mark.parametrize("dedup_mode", [DedupMode.MULTISET, DedupMode.VERSIONED])
@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("start_s", [ZERO + 1, ZERO + 5 * HOUR])
async def test_no_second_falls_between_two_windows(
    dedup_mode: DedupMode, select: Select, inclusive: bool, start_s: int
) -> None:
    """Live, and as history that is final the first time it is asked; equal rows of one second are together."""
    rows = [Happened(t, t, f"at {t}", "hello", t) for t in range(ZERO, ZERO + HOUR)]
    if dedup_mode is DedupMode.MULTISET:
        rows += [row for row in rows if row.begin_s % 7 == 0]
    expected = Counter((row.name, row.says) for row in rows)
    assert expected == await published(
        rows, POLICY, select, inclusive=inclusive, start_s=start_s, final_s=ZERO + HOUR + 60, dedup_mode=dedup_mode
    )


@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("answer_s", [1, 30])
async def test_what_appears_in_the_last_allowed_second_is_found_however_long_answers_take(
    select: Select, answer_s: float
) -> None:
    """The instant of asking counts, not that of the answer: what appears in between is not in it."""
    lateness_s = 2 * HOUR
    rows = [Happened(t, t + 1, f"at {t}", "hello", t + lateness_s - 1) for t in range(ZERO, ZERO + 4 * HOUR, 5)]
    expected = Counter((row.name, row.says) for row in rows)
    assert expected == await published(
        rows,
        structs.replace(POLICY, span=timedelta(hours=3)),
        select,
        inclusive=True,
        start_s=ZERO + 1,
        final_s=ZERO + 4 * HOUR + 60,
        answer_s=answer_s,
    )


async def test_live_data_does_not_wait_for_a_sweep() -> None:
    """The live edge stands still for an interval and two answers at most, whatever else is asked for."""
    often = timedelta(minutes=5)
    chosen = structs.replace(POLICY, interval=timedelta(minutes=1), sweep_every=often, span=timedelta(minutes=10))
    random, clock = Random(9), EndingClock(at(ZERO + 1), at(ZERO + 6 * HOUR))
    stream = ListStream(
        [], clock, chosen, DedupMode.MULTISET, select="begin", inclusive=True, random=random, answer_s=20
    )
    await live(stream, ListSink(random), clock, at(ZERO), random)
    reached, waits = at(ZERO), []
    for window, requested_at in stream.asked:
        if window.end > reached:
            reached = window.end
            waits.append((requested_at, reached))
    gaps = [(after[0] - before[0]).total_seconds() for before, after in pairwise(waits)]
    assert max(gaps) <= 60 + 2 * 20 + 1
