"""Clocks that are wrong: ours, the vendor's, a device's. Nothing is lost or doubled; some of it comes later."""

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
from collector.pipeline.state import Shape, State
from collector.worker import SAVE_INTERVAL
from tests.simulated import SimulatedClock, at
from tests.worker.harness import EndingClock, Happened, ListSink, ListStream, live
from tests.worker.test_exactly_once import DAY, HOUR, ZERO, history

pytestmark = pytest.mark.anyio

Skew = Callable[[datetime], timedelta]
LATENESS_S = 6 * HOUR
NOON = at(ZERO + DAY // 2)


class OurClock(EndingClock):
    """A clock that stands apart from the true time, which goes on underneath."""

    def __init__(self, now: datetime, final: datetime, skew: Skew) -> None:
        super().__init__(now, final)
        self._skew = skew

    def now(self) -> datetime:
        return self._now + self._skew(self._now)

    async def until(self, instant: datetime) -> None:
        await anyio.lowlevel.checkpoint()
        while (left := instant - self.now()) > timedelta(0):
            self._now += min(left, timedelta(minutes=1))
        self._perhaps_end()

    def true(self) -> datetime:
        return self._now


class TrueClock(SimulatedClock):
    """The same time, as the vendor sees it."""

    def __init__(self, ours: OurClock) -> None:
        self._ours = ours

    def now(self) -> datetime:
        return self._ours.true()

    def pass_s(self, seconds: float) -> None:
        self._ours.pass_s(seconds)


class DatedStream(ListStream):
    """A vendor that says in each answer what time it is."""

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[Happened], None]:
        said = floor_second(self._clock.now())
        async with aclosing(super().fetch(window)) as answers:
            async for answer in answers:
                yield structs.replace(answer, vendor_now=said)


def always(skew: timedelta) -> Skew:
    return lambda _: skew


def from_noon_on(skew: timedelta) -> Skew:
    return lambda true: skew if true >= NOON else timedelta(0)


def until_noon(skew: timedelta) -> Skew:
    return lambda true: timedelta(0) if true >= NOON else skew


async def published(
    rows: list[Happened], skew: Skew, *, dated: bool, crash: float = 0.01, seed: int = 1
) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    random = Random(seed)
    policy = Policy(
        interval=timedelta(minutes=5),
        settle=timedelta(minutes=2),
        allowed_lateness=timedelta(seconds=LATENESS_S),
        sweep_every=timedelta(hours=1),
        span=timedelta(hours=6),
    )
    clock = OurClock(at(ZERO + 60), at(ZERO + DAY + 8 * HOUR), skew)
    kind = DatedStream if dated else ListStream
    stream = kind(
        rows, TrueClock(clock), policy, DedupMode.VERSIONED, select="begin", inclusive=True, random=random, failure=0.01
    )
    sink = ListSink(random, crash)
    await live(stream, sink, clock, at(ZERO), random)
    return sink.things(), sink.ids()


def truth(rows: list[Happened]) -> Counter[tuple[str, str]]:
    return Counter((row.name, row.says) for row in rows)


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
        "behind, the vendor says the time",
        "ahead, the vendor says the time",
        "set back at noon",
        "set back at noon, the vendor says the time",
        "set ahead at noon, the vendor says the time",
        "ahead until noon, the vendor says the time",
        "behind until noon",
    ],
)
async def test_our_clock_may_be_wrong(skew: Skew, dated: bool) -> None:
    for seed in range(3):
        rows = history(Random(seed), LATENESS_S, days=1)

        things, ids = await published(rows, skew, dated=dated, seed=seed)

        assert truth(rows) == things, f"seed {seed}"
        assert 1 == max(ids.values())


async def test_a_clock_of_ours_that_is_ahead_by_itself_loses_what_comes_later() -> None:
    """What the vendor's `Date` is for; without it an operator moves the stream back (`collector state rewind`)."""
    rows = history(Random(1), LATENESS_S, days=1)

    things, _ = await published(rows, always(timedelta(hours=12)), dated=False, crash=0)

    assert truth(rows) - things


@pytest.mark.parametrize("dated", [True, False])
async def test_a_device_whose_clock_is_hours_ahead_is_published_once(dated: bool) -> None:
    rows = [
        Happened(ZERO + n * 600 + 5 * HOUR, ZERO + n * 600 + 5 * HOUR + 30, f"ahead{n}", "hello", ZERO + n * 600)
        for n in range(100)
    ]

    things, ids = await published(rows, always(timedelta(0)), dated=dated)

    assert truth(rows) == things
    assert 1 == max(ids.values())


async def test_a_device_whose_clock_is_behind_is_published_while_that_is_within_the_lateness() -> None:
    rows = [
        Happened(ZERO + n * 600, ZERO + n * 600 + 30, f"behind{n}", "hello", ZERO + n * 600 + LATENESS_S - 60)
        for n in range(100)
    ]

    things, ids = await published(rows, always(timedelta(0)), dated=True)

    assert truth(rows) == things
    assert 1 == max(ids.values())


class Fencing(ListSink):
    """Somebody took the partition over, and wrote another head, when the owner had begun to wait."""

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        del messages, state
        raise EpochEnded


async def test_an_owner_that_waits_for_a_clock_that_ran_ahead_hears_of_a_rewind_within_minutes() -> None:
    """Its watermark lies half a day ahead, so there is nothing to ask for, and nothing to commit but the head."""
    clock, random = EndingClock(NOON, NOON + timedelta(days=9)), Random(1)
    policy = Policy(
        interval=timedelta(minutes=1),
        settle=timedelta(minutes=2),
        allowed_lateness=timedelta(hours=6),
        sweep_every=timedelta(hours=1),
        span=timedelta(hours=1),
    )
    stream = ListStream([], clock, policy, DedupMode.VERSIONED, select="begin", inclusive=False, random=random)
    ahead = NOON + timedelta(hours=12)
    checkpoint = Checkpoint(NOON - timedelta(days=1), ahead, ahead - timedelta(hours=6), timedelta(hours=1), ahead)
    sink = Fencing(random)
    sink.pairs = {key: value for key, value in _state_with(checkpoint).items() if value is not None}
    await live(stream, sink, clock, None, random)
    assert [] == stream.asked
    assert clock.now() - NOON <= SAVE_INTERVAL


def _state_with(checkpoint: Checkpoint) -> Mapping[bytes, bytes | None]:
    state = State("test/1/list/things", Shape(DedupMode.VERSIONED, 1, timedelta(0)))
    return state.pairs(Batch(checkpoint=checkpoint))
