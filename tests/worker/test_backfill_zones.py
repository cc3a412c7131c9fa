"""A zone that is corrected although backfills were made with the former one: what they publish is not published again.

A stream of one zone leaves out what those backfills have selected: they publish it, and the stream all that is later.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random

import anyio
import pytest

from collector.model import Backfill, Window
from collector.pipeline.backfills import backfill_key, encode_backfill, encode_history, history_key, in_other_zones
from collector.pipeline.shards import whole_prefix
from tests.simulated import SimulatedClock
from tests.worker.harness import ListSink, SimulationOver
from tests.worker.test_zones import (
    DAY,
    HOUR,
    PLACES,
    START,
    LocalRow,
    Process,
    ZonedStream,
    counts,
    prefix_of,
    shards_of,
    worker_of,
)

pytestmark = pytest.mark.anyio
PARIS, NEW_YORK, HONOLULU, TOKYO = "Europe/Paris", "America/New_York", "Pacific/Honolulu", "Asia/Tokyo"
SINCE_LOCAL = {PARIS: 2 * HOUR, NEW_YORK: -4 * HOUR, HONOLULU: -10 * HOUR, TOKYO: 9 * HOUR}
"""What clocks show at START, from midnight."""


async def run(
    rows: list[LocalRow], sink: ListSink, clock: SimulatedClock, zone: str, hours: int, pairs: dict[bytes, bytes]
) -> None:
    """Run a stream whose places are all in this zone for some hours. `pairs` are the records of its backfills."""
    until = clock.now() + hours * HOUR
    zones = dict.fromkeys(PLACES, zone)
    stream = ZonedStream(rows, clock, zones, zone, is_periodic=False, is_over=lambda: clock.now() >= until, own=zone)
    shards = shards_of([stream], sink)
    shards.elsewhere = in_other_zones(whole_prefix(prefix_of(stream)), pairs, zone)
    worker, _, _ = worker_of(stream, shards, Process(sink), clock)
    with pytest.RaisesGroup(SimulationOver, allow_unwrapped=True):
        await worker.run(START)
    await anyio.lowlevel.checkpoint()


def prefix_in(zone: str) -> str:
    """The prefix of the stream."""
    stream = ZonedStream([], SimulatedClock(), {}, zone, is_periodic=False, is_over=bool, own=zone)
    return whole_prefix(prefix_of(stream))


def backfilled(zone: str, *, is_complete: bool) -> dict[bytes, bytes]:
    """The record of a backfill of the two days before the stream's start."""
    prefix = prefix_in(zone)
    if is_complete:
        return {history_key(prefix): encode_history([], Window(START - 2 * DAY, START), zone)}
    request = Backfill(START - 2 * DAY, START, START, "anna@host", zones=zone)
    return {backfill_key(prefix, request.start): encode_backfill(request)}


def rows_of(days: Sequence[int]) -> list[LocalRow]:
    """A row of each place in each half-hour of local time, known at once."""
    midnight = START.replace(tzinfo=None)
    starts = [midnight + days[0] * DAY + number * HOUR / 2 for number in range(48 * (days[1] - days[0]))]
    return [LocalRow(place, start, START) for place in PLACES for start in starts]


@pytest.mark.parametrize("is_complete", [False, True])
@pytest.mark.parametrize(
    ("first", "then"),
    [(PARIS, [NEW_YORK]), (PARIS, [HONOLULU, NEW_YORK]), (TOKYO, [PARIS]), (PARIS, [NEW_YORK, PARIS])],
)
async def test_a_place_that_moves_west_publishes_nothing_that_its_backfill_has_published(
    first: str, then: list[str], *, is_complete: bool
) -> None:
    rows, clock, sink = rows_of((-3, 2)), SimulatedClock(START), ListSink(Random(1))
    pairs = backfilled(first, is_complete=is_complete)
    for zone in (first, *then):
        await run(rows, sink, clock, zone, 5, pairs)
    await run(rows, sink, clock, then[-1], 9 * 24, pairs)

    boundary = START.replace(tzinfo=None) + SINCE_LOCAL[first]
    expected = [row for row in rows if row.start >= boundary]
    assert counts(expected, is_periodic=False) == Counter(data.name for data in sink.published())


async def test_without_a_backfill_a_place_that_moves_west_publishes_what_now_starts_after_since() -> None:
    rows, clock, sink = rows_of((-3, 2)), SimulatedClock(START), ListSink(Random(1))
    for zone, hours in ((PARIS, 5), (NEW_YORK, 9 * 24)):
        await run(rows, sink, clock, zone, hours, {})

    boundary = START.replace(tzinfo=None) + SINCE_LOCAL[NEW_YORK]
    expected = [row for row in rows if row.start >= boundary]
    assert counts(expected, is_periodic=False) == Counter(data.name for data in sink.published())


async def test_what_lies_between_a_backfill_and_its_stream_is_published_by_the_stream() -> None:
    """The backfill ended two hours before: nothing has published these hours, which now start after `since`."""
    rows, clock, sink = rows_of((-3, 2)), SimulatedClock(START), ListSink(Random(1))
    pairs = {history_key(prefix_in(PARIS)): encode_history([], Window(START - DAY, START - 2 * HOUR), PARIS)}
    for zone, hours in ((PARIS, 5), (NEW_YORK, 9 * 24)):
        await run(rows, sink, clock, zone, hours, pairs)

    boundary = START.replace(tzinfo=None) + SINCE_LOCAL[PARIS] - 2 * HOUR
    expected = [row for row in rows if row.start >= boundary]
    assert counts(expected, is_periodic=False) == Counter(data.name for data in sink.published())
