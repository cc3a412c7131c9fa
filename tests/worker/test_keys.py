"""A stream whose key the vendor refuses: it retries at once when the key changes, and with backoff until then."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from collector.errors import Park, RetryLater
from collector.model import Account, DedupMode, FetchResult, Policy, Window
from collector.pipeline.message import Origin
from collector.pipeline.state import State, StateFormat
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.backoff import PARKED_DELAYS_S
from collector.worker import CREDENTIALS_CHECK_INTERVAL, Worker
from tests.simulated import at
from tests.worker.harness import TYPE, EndingClock, ListSink, ListStream, SimulationOver, VendorRow

pytestmark = pytest.mark.anyio

T0 = 1_000_000_800
POLICY = Policy(
    interval=timedelta(minutes=1),
    settle=timedelta(seconds=30),
    allowed_lateness=timedelta(minutes=30),
    sweep_every=timedelta(minutes=10),
    span=timedelta(hours=6),
)


class KeyedStream(ListStream):
    """A vendor that refuses requests without its valid key, and records when it did."""

    key: str | None = "old"
    valid_key = "new"
    error: Exception = Park("HTTP 401", advice="correct the key")
    key_after_refusal: str | None = None
    """The key that is configured while the vendor refuses the current one."""

    def record_refusals(self, clock: EndingClock) -> None:
        self.clock = clock
        self.refused_at: list[datetime] = []

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[VendorRow], None]:
        if self.key != self.valid_key:
            self.refused_at.append(self.clock.now())
            self.key = self.key_after_refusal or self.key
            raise self.error
        async for result in super().fetch(window):
            yield result


class RotatingClock(EndingClock):
    """A clock that changes the stream's key at given instants."""

    stream: KeyedStream
    changes: list[tuple[datetime, str | None]]

    async def until(self, instant: datetime) -> None:
        await super().until(instant)
        while self.changes and self.changes[0][0] <= self.now():
            self.stream.key = self.changes.pop(0)[1]


async def polled(changes: list[tuple[int, str | None]], **attributes: object) -> KeyedStream:
    """Run the stream until `final` is an hour after the start. `changes` has the keys, by seconds after the start."""
    clock, random = RotatingClock(at(T0), at(T0 + 3600)), Random(6)
    stream = KeyedStream([], clock, POLICY, DedupMode.VERSIONED, select="start", inclusive=True, random=random)
    clock.stream = stream
    clock.changes = [(at(T0 + after_s), key) for after_s, key in changes]
    stream.record_refusals(clock)
    for name, value in attributes.items():
        setattr(stream, name, value)
    state = State("test/1/list/things", StateFormat(DedupMode.VERSIONED, 1, timedelta(0)))
    clock.state = state
    worker = Worker(
        stream,
        state,
        ListSink(random).commit,
        origin=Origin(Account("test", "632"), "list", "things"),
        clock=clock,
        telemetry=StreamTelemetry(Metrics(), StreamStatus("test", "list", "things"), [TYPE.name]),
        random=random,
        credentials=lambda: stream.key,
    )
    with pytest.raises(SimulationOver):
        await worker.run(at(T0))
    return stream


def attempts_s(stream: KeyedStream) -> list[float]:
    """When requests were made, in seconds after the start: all refused ones, and the first that succeeded."""
    return [(each - at(T0)).total_seconds() for each in (*stream.refused_at, stream.requests[0][1])]


def waits_s(stream: KeyedStream) -> list[float]:
    """Seconds from each of these requests to the next."""
    return [later - earlier for earlier, later in pairwise(attempts_s(stream))]


async def test_a_changed_key_is_used_at_once() -> None:
    stream = await polled([(1000, "new")])

    *backoff_s, _ = waits_s(stream)
    assert backoff_s
    assert all(wait >= PARKED_DELAYS_S[0] / 2 for wait in backoff_s)
    assert 1000 <= attempts_s(stream)[-1] <= 1000 + CREDENTIALS_CHECK_INTERVAL.total_seconds()


async def test_each_change_is_used_even_if_the_key_is_removed_or_wrong_again() -> None:
    stream = await polled([(500, None), (600, "wrong again"), (700, "new")])

    check_s = CREDENTIALS_CHECK_INTERVAL.total_seconds()
    for changed_s in (500, 600, 700):
        assert 1 == sum(changed_s <= each <= changed_s + check_s for each in attempts_s(stream))


async def test_a_key_that_changes_during_the_refused_request_is_used_at_once() -> None:
    stream = await polled([], key_after_refusal="new")

    assert [0] == [round(wait) for wait in waits_s(stream)]


async def test_a_wait_that_the_vendor_requests_is_kept_even_if_the_key_changes() -> None:
    stream = await polled([(10, "new")], error=RetryLater("HTTP 429", after_s=900))

    (wait,) = waits_s(stream)
    assert wait >= 900


async def test_a_parked_stream_waits_for_as_long_as_its_error_says_unless_its_key_changes() -> None:
    error = Park("no licence", advice="buy one", after_s=86_400)
    stream = await polled([(200_000, "new")], error=error)

    *waits, last = waits_s(stream)
    assert [2, True] == [len(waits), all(86_400 <= wait <= 86_400 + PARKED_DELAYS_S[0] for wait in waits)]
    assert last <= 200_000 - 2 * 86_400 + CREDENTIALS_CHECK_INTERVAL.total_seconds()


async def test_without_a_change_retries_slow_down() -> None:
    stream = await polled([(2500, "new")])

    waits = waits_s(stream)[:-1]
    assert len(waits) <= 10
    assert waits[-1] > PARKED_DELAYS_S[1] / 2
