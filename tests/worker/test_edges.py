"""Boundaries of windows and of the allowed lateness: records on every second, and in the last second allowed."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from msgspec import structs

from collector.model import DedupMode, Policy
from tests.simulated import at
from tests.worker.harness import EndingClock, ListSink, ListStream, Select, VendorRow, run_with_restarts

pytestmark = pytest.mark.anyio

T0, HOUR = 1_000_000_800, 3600
SELECTS: tuple[Select, ...] = ("start", "end", "overlap", "strict overlap")


POLICY = Policy(
    interval=timedelta(minutes=2),
    settle=timedelta(seconds=1),
    allowed_lateness=timedelta(hours=2),
    sweep_every=timedelta(minutes=20),
    span=timedelta(minutes=1),
)


async def published(
    rows: list[VendorRow],
    policy: Policy,
    select: Select,
    *,
    inclusive: bool,
    start_s: int,
    final_s: int,
    response_s: float = 1,
    dedup_mode: DedupMode = DedupMode.MULTISET,
) -> Counter[tuple[str, str]]:
    random = Random(9)
    clock = EndingClock(at(start_s), at(final_s))
    stream = ListStream(
        rows, clock, policy, dedup_mode, select=select, inclusive=inclusive, random=random, response_s=response_s
    )
    sink = ListSink(random)
    await run_with_restarts(stream, sink, clock, at(T0), random)
    return sink.contents()


@pytest.mark.parametrize("dedup_mode", [DedupMode.MULTISET, DedupMode.VERSIONED])
@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("start_s", [T0 + 1, T0 + 5 * HOUR])
async def test_no_second_is_lost_between_two_windows(
    dedup_mode: DedupMode, select: Select, inclusive: bool, start_s: int
) -> None:
    """At the live edge, and in history that is final after the first request. Equal rows of one second count each."""
    rows = [VendorRow(t, t, f"at {t}", "hello", t) for t in range(T0, T0 + HOUR)]
    if dedup_mode is DedupMode.MULTISET:
        rows += [row for row in rows if row.start_s % 7 == 0]
    expected = Counter((row.name, row.content) for row in rows)
    assert expected == await published(
        rows, POLICY, select, inclusive=inclusive, start_s=start_s, final_s=T0 + HOUR + 60, dedup_mode=dedup_mode
    )


@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("response_s", [1, 30])
async def test_a_record_that_appears_in_the_last_allowed_second_is_published_however_slow_responses_are(
    select: Select, response_s: float
) -> None:
    """Lateness is measured at the request, not at the response: the response lacks what appears in between."""
    lateness_s = 2 * HOUR
    rows = [VendorRow(t, t + 1, f"at {t}", "hello", t + lateness_s - 1) for t in range(T0, T0 + 4 * HOUR, 5)]
    expected = Counter((row.name, row.content) for row in rows)
    assert expected == await published(
        rows,
        structs.replace(POLICY, span=timedelta(hours=3)),
        select,
        inclusive=True,
        start_s=T0 + 1,
        final_s=T0 + 4 * HOUR + 60,
        response_s=response_s,
    )


async def test_a_sweep_does_not_delay_live_data() -> None:
    """The live edge advances at least once per interval plus two responses, one of them the sweep's."""
    policy = structs.replace(
        POLICY, interval=timedelta(minutes=1), sweep_every=timedelta(minutes=5), span=timedelta(minutes=10)
    )
    random, clock = Random(9), EndingClock(at(T0 + 1), at(T0 + 6 * HOUR))
    stream = ListStream(
        [], clock, policy, DedupMode.MULTISET, select="start", inclusive=True, random=random, response_s=20
    )
    await run_with_restarts(stream, ListSink(random), clock, at(T0), random)
    reached, advances = at(T0), []
    for window, requested_at in stream.requests:
        if window.end > reached:
            reached = window.end
            advances.append(requested_at)
    gaps = [(after - before).total_seconds() for before, after in pairwise(advances)]
    assert max(gaps) <= 60 + 2 * 20 + 1
