"""A vendor's clock that cannot be right does not stop its stream. An undecided doubt loses nothing."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from random import Random

import pytest
from msgspec import structs

from collector.instants import UNIX_EPOCH, floor_second
from collector.model import DedupMode, FetchResult, Policy, Window
from collector.vendors.clocks import ClockNotice, Clocks, Moment
from tests.simulated import at
from tests.worker.harness import ListSink, ListStream, VendorRow, run_with_restarts
from tests.worker.test_clocks import LATENESS_S, SkewedClock, TrueClock, always, expected
from tests.worker.test_exactly_once import DAY, HOUR, T0, history

pytestmark = pytest.mark.anyio

Date = Callable[[datetime], datetime]
"""Given the true time, the time in the vendor's response."""
YEARS_LATER = timedelta(days=25 * 365 + 6)
"""The simulated present of these tests is in 2001, before any clock is accepted."""
END = at(T0 + DAY + 8 * HOUR)
POLICY = Policy(
    interval=timedelta(minutes=5),
    settle=timedelta(minutes=2),
    allowed_lateness=timedelta(seconds=LATENESS_S),
    sweep_every=timedelta(hours=1),
    span=timedelta(hours=6),
)


class ClockedStream(ListStream):
    """A vendor whose responses carry a time, which is judged as that of a real response."""

    date: Date
    clocks: Clocks
    machine: SkewedClock
    other_hosts: Callable[[], None]

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[VendorRow], None]:
        self.other_hosts()
        true = self.machine.true_time()
        date = floor_second(self.date(true))
        moment = Moment(self.machine.now() + YEARS_LATER, self.machine.monotonic_s())
        reading = date if date == UNIX_EPOCH else date + YEARS_LATER
        is_usable = self.clocks.observe("vendor.example", reading, timedelta(0), moment)
        async with aclosing(super().fetch(window)) as results:
            async for result in results:
                yield structs.replace(result, vendor_now=date if is_usable else None)


async def published(
    rows: list[VendorRow],
    date: Date,
    *,
    skew: timedelta = timedelta(0),
    others: int = 0,
    kafka: bool = False,
    restarts: float = 0.01,
) -> tuple[Counter[tuple[str, str]], list[str | None], ClockedStream]:
    """Run a stream until `final` is 8 hours after the last record. `others` is the number of other, right hosts."""
    random = Random(1)
    clock = SkewedClock(at(T0 + 60), END, always(skew))
    notices: list[str | None] = []

    def on_change(host: str, notice: ClockNotice | None) -> None:
        if host == "vendor.example":
            notices.append(None if notice is None else notice.code)

    clocks = Clocks(on_change)
    stream = ClockedStream(
        rows, TrueClock(clock), POLICY, DedupMode.VERSIONED, select="start", inclusive=True, random=random
    )

    def observe_others() -> None:
        moment = Moment(clock.now() + YEARS_LATER, clock.monotonic_s())
        for number in range(others):
            clocks.observe(f"other{number}.example", clock.true_time() + YEARS_LATER, timedelta(0), moment)
        if kafka:
            clocks.kafka_accepted(moment, timedelta(hours=1))

    stream.date, stream.clocks, stream.machine, stream.other_hosts = date, clocks, clock, observe_others
    sink = ListSink(random, restarts)
    await run_with_restarts(stream, sink, clock, at(T0), random, outages_s=(1, 60, 600))
    return sink.contents(), notices, stream


def behind(amount: timedelta) -> Date:
    return lambda true: true - amount


def goes_back_at_noon(amount: timedelta) -> Date:
    return lambda true: true - amount if true >= at(T0 + DAY // 2) else true


def stands_at_noon(true: datetime) -> datetime:
    return min(true, at(T0 + DAY // 2))


@pytest.mark.parametrize(
    ("date", "others", "kafka"),
    [
        (lambda _: UNIX_EPOCH, 0, False),
        (lambda _: at(T0), 0, True),
        (behind(timedelta(hours=12)), 1, False),
        (behind(timedelta(hours=12)), 0, True),
        (goes_back_at_noon(timedelta(minutes=40)), 0, False),
        (goes_back_at_noon(timedelta(days=30)), 0, False),
        (stands_at_noon, 0, False),
    ],
    ids=[
        "1970",
        "always the same date",
        "behind, and another host agrees",
        "behind, and Kafka agrees",
        "goes back by minutes",
        "goes back by days",
        "stands",
    ],
)
async def test_a_wrong_clock_of_a_vendor_neither_delays_nor_loses_anything(
    date: Date, others: int, kafka: bool
) -> None:
    rows = history(Random(1), LATENESS_S, days=1)

    contents, notices, stream = await published(rows, date, others=others, kafka=kafka)

    assert expected(rows) == contents
    assert "vendor_clock_wrong" == notices[-1]
    assert len(notices) <= 2
    assert stream.machine.true_time() <= END + timedelta(seconds=LATENESS_S) + timedelta(hours=2)


async def test_one_wrong_date_among_good_ones_delays_nothing() -> None:
    rows = history(Random(1), LATENESS_S, days=1)
    count = 0

    def mostly_right(true: datetime) -> datetime:
        nonlocal count
        count += 1
        return true if count % 40 else true - timedelta(hours=5)

    contents, notices, stream = await published(rows, mostly_right)

    assert expected(rows) == contents
    assert {"vendor_clock_wrong", None} == set(notices)
    assert stream.machine.true_time() <= END + timedelta(seconds=LATENESS_S) + timedelta(hours=2)


async def test_while_it_is_not_known_which_clock_is_wrong_the_stream_stays_behind_and_loses_nothing() -> None:
    rows = history(Random(1), LATENESS_S, days=1)

    contents, notices, stream = await published(rows, behind(timedelta(hours=1)))

    assert expected(rows) == contents
    assert ["clocks_undecided"] == notices
    assert stream.machine.true_time() >= END + timedelta(seconds=LATENESS_S) + timedelta(hours=1)


@pytest.mark.parametrize("others", [0, 1, 2])
async def test_right_clocks_of_vendors_are_used_while_this_machine_s_clock_is_ahead(others: int) -> None:
    rows = history(Random(1), LATENESS_S, days=1)

    contents, notices, _ = await published(rows, lambda true: true, skew=timedelta(hours=12), others=others)

    assert expected(rows) == contents
    assert ["own_clock_wrong" if others else "clocks_undecided"] == notices
