"""Wrong clocks, of this machine or of a device: no record is lost or published twice, some are published later."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from random import Random

import anyio.lowlevel
import pytest
from msgspec import structs

from collector.cloudevents import Message
from collector.errors import EpochEnded
from collector.instants import floor_second
from collector.model import Checkpoint, DedupMode, FetchResult, Policy, Window
from collector.pipeline.batch import Batch
from collector.pipeline.state import State, StateFormat
from collector.saving import SAVE_INTERVAL
from tests.simulated import SimulatedClock, at
from tests.worker.harness import EndingClock, ListSink, ListStream, VendorRow, run_with_restarts
from tests.worker.test_exactly_once import DAY, HOUR, T0, history

pytestmark = pytest.mark.anyio

Skew = Callable[[datetime], timedelta]
LATENESS_S = 6 * HOUR
NOON = at(T0 + DAY // 2)


class SkewedClock(EndingClock):
    """This machine's clock: it differs from the true time by `skew`, which depends on the true time."""

    def __init__(self, now: datetime, final: datetime, skew: Skew) -> None:
        super().__init__(now, final)
        self._skew = skew

    def now(self) -> datetime:
        return self._now + self._skew(self._now)

    async def until(self, instant: datetime) -> None:
        await anyio.lowlevel.checkpoint()
        while (left := instant - self.now()) > timedelta(0):
            self._now += min(left, timedelta(minutes=1))
        self._check_end()

    def monotonic_s(self) -> float:
        return self._now.timestamp()

    def true_time(self) -> datetime:
        return self._now


class TrueClock(SimulatedClock):
    """The vendor's clock: the true time under a skewed clock."""

    def __init__(self, skewed: SkewedClock) -> None:
        self._skewed = skewed

    def now(self) -> datetime:
        return self._skewed.true_time()

    def pass_s(self, seconds: float) -> None:
        self._skewed.pass_s(seconds)


class DatedStream(ListStream):
    """A vendor whose responses carry its time, as the HTTP header `Date` does."""

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[VendorRow], None]:
        vendor_now = floor_second(self._clock.now())
        async with aclosing(super().fetch(window)) as results:
            async for result in results:
                yield structs.replace(result, vendor_now=vendor_now)


def always(skew: timedelta) -> Skew:
    return lambda _: skew


def from_noon_on(skew: timedelta) -> Skew:
    return lambda true: skew if true >= NOON else timedelta(0)


def until_noon(skew: timedelta) -> Skew:
    return lambda true: timedelta(0) if true >= NOON else skew


async def published(
    rows: list[VendorRow], skew: Skew, *, dated: bool, crash_rate: float = 0.01, seed: int = 1
) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    random = Random(seed)
    policy = Policy(
        interval=timedelta(minutes=5),
        settle=timedelta(minutes=2),
        allowed_lateness=timedelta(seconds=LATENESS_S),
        sweep_every=timedelta(hours=1),
        span=timedelta(hours=6),
    )
    clock = SkewedClock(at(T0 + 60), at(T0 + DAY + 8 * HOUR), skew)
    stream_type = DatedStream if dated else ListStream
    stream = stream_type(
        rows,
        TrueClock(clock),
        policy,
        DedupMode.VERSIONED,
        select="start",
        inclusive=True,
        random=random,
        failure_rate=0.01,
    )
    sink = ListSink(random, crash_rate)
    await run_with_restarts(stream, sink, clock, at(T0), random)
    return sink.contents(), sink.event_ids()


def expected(rows: list[VendorRow]) -> Counter[tuple[str, str]]:
    return Counter((row.name, row.content) for row in rows)


@pytest.mark.parametrize(
    ("skew", "dated"),
    [
        (always(timedelta(hours=-3)), False),
        (always(timedelta(hours=-3)), True),
        (always(timedelta(hours=3)), True),
        (from_noon_on(timedelta(hours=-4)), False),
        (from_noon_on(timedelta(hours=-4)), True),
        (from_noon_on(timedelta(hours=4)), True),
        (until_noon(timedelta(hours=3)), True),
        (until_noon(timedelta(hours=-3)), False),
    ],
    ids=[
        "behind",
        "behind, responses are dated",
        "ahead, responses are dated",
        "set back at noon",
        "set back at noon, responses are dated",
        "set ahead at noon, responses are dated",
        "ahead until noon, responses are dated",
        "behind until noon",
    ],
)
async def test_a_wrong_clock_of_this_machine_loses_and_duplicates_nothing(skew: Skew, dated: bool) -> None:
    for seed in range(3):
        rows = history(Random(seed), LATENESS_S, days=1)

        contents, ids = await published(rows, skew, dated=dated, seed=seed)

        assert expected(rows) == contents, f"seed {seed}"
        assert 1 == max(ids.values())


async def test_without_dated_responses_a_clock_that_is_ahead_loses_late_records() -> None:
    """The vendor's `Date` prevents this. Without it, an operator rewinds the stream (`collector state rewind`)."""
    rows = history(Random(1), LATENESS_S, days=1)

    contents, _ = await published(rows, always(timedelta(hours=12)), dated=False, crash_rate=0)

    assert contents < expected(rows)


@pytest.mark.parametrize("dated", [True, False])
async def test_records_of_a_device_whose_clock_is_hours_ahead_are_published_once(dated: bool) -> None:
    rows = [
        VendorRow(T0 + n * 600 + 5 * HOUR, T0 + n * 600 + 5 * HOUR + 30, f"ahead{n}", "hello", T0 + n * 600)
        for n in range(100)
    ]

    contents, ids = await published(rows, always(timedelta(0)), dated=dated)

    assert expected(rows) == contents
    assert 1 == max(ids.values())


async def test_records_of_a_device_whose_clock_is_behind_by_less_than_the_lateness_are_published_once() -> None:
    rows = [
        VendorRow(T0 + n * 600, T0 + n * 600 + 30, f"behind{n}", "hello", T0 + n * 600 + LATENESS_S - 60)
        for n in range(100)
    ]

    contents, ids = await published(rows, always(timedelta(0)), dated=True)

    assert expected(rows) == contents
    assert 1 == max(ids.values())


class FencingSink(ListSink):
    """A sink whose partition another process has taken over: it fences each commit."""

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        del messages, state
        raise EpochEnded


class SetBackClock(EndingClock):
    """It is set back to noon in the first wait."""

    async def until(self, instant: datetime) -> None:
        if self._now > NOON + timedelta(hours=1):
            self._now = NOON
        else:
            await super().until(instant)


@pytest.mark.parametrize("clock_type", [EndingClock, SetBackClock])
async def test_a_worker_that_waits_for_its_watermark_notices_a_rewind_within_minutes(
    clock_type: type[EndingClock],
) -> None:
    """Its watermark is half a day ahead, so it fetches nothing and commits only its unchanged checkpoint.

    `collector state rewind` takes the partition over, so that commit is fenced and the epoch ends.
    """
    begin = NOON + timedelta(hours=3) if clock_type is SetBackClock else NOON
    clock, random = clock_type(begin, NOON + timedelta(days=9)), Random(1)
    policy = Policy(
        interval=timedelta(minutes=1),
        settle=timedelta(minutes=2),
        allowed_lateness=timedelta(hours=6),
        sweep_every=timedelta(hours=1),
        span=timedelta(hours=1),
    )
    stream = ListStream([], clock, policy, DedupMode.VERSIONED, select="start", inclusive=False, random=random)
    ahead = NOON + timedelta(hours=12)
    checkpoint = Checkpoint(
        NOON - timedelta(days=1),
        ahead,
        ahead - timedelta(hours=6),
        timedelta(hours=1),
        ahead,
        selection=stream.selection,
        zone=str(stream.zone),
    )
    sink = FencingSink(random)
    sink.pairs = {key: value for key, value in _state_with(checkpoint).items() if value is not None}
    await run_with_restarts(stream, sink, clock, None, random)
    assert [] == stream.requests
    assert begin != clock.now()
    assert timedelta(0) <= clock.now() - NOON <= SAVE_INTERVAL


def _state_with(checkpoint: Checkpoint) -> Mapping[bytes, bytes | None]:
    state = State("test/1/list/things", StateFormat(DedupMode.VERSIONED, 1, timedelta(0)))
    return state.pairs(Batch(checkpoint=checkpoint))
