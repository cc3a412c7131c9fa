"""A stream whose key was refused: it tries again when the key is another, and slowly while it is not."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from collector.errors import Park, RetryLater
from collector.model import DedupMode, FetchResult, Policy, Window
from collector.pipeline.message import Origin
from collector.pipeline.state import Shape, State
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.backoff import PARKED
from collector.worker import CREDENTIALS_CHECK_INTERVAL, Worker
from tests.simulated import at
from tests.worker.harness import TYPE, EndingClock, Enough, Happened, ListSink, ListStream

pytestmark = pytest.mark.anyio

ZERO = 1_000_000_800
POLICY = Policy(
    interval=timedelta(minutes=1),
    settle=timedelta(seconds=30),
    allowed_lateness=timedelta(minutes=30),
    sweep_every=timedelta(minutes=10),
    span=timedelta(hours=6),
)


class Door(ListStream):
    """A stream that is opened by the key that was right when it was asked, and notes when it refused."""

    key: str | None = "old"
    right = "new"
    error: Exception = Park("HTTP 401", advice="correct the key")
    on_refusal: str | None = None
    """What the key is changed to while the vendor refuses it."""

    def locked(self, clock: EndingClock) -> None:
        self.clock = clock
        self.refused: list[datetime] = []

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[Happened], None]:
        if self.key != self.right:
            self.refused.append(self.clock.now())
            self.key = self.on_refusal or self.key
            raise self.error
        async for answer in super().fetch(window):
            yield answer


class Rotating(EndingClock):
    """A clock during which somebody changes the key."""

    door: Door
    changes: list[tuple[datetime, str | None]]

    async def until(self, instant: datetime) -> None:
        await super().until(instant)
        while self.changes and self.changes[0][0] <= self.now():
            self.door.key = self.changes.pop(0)[1]


async def followed(changes: list[tuple[int, str | None]], **facts: object) -> Door:
    """The stream, after it was final for a while; the key changed so many seconds after the start."""
    clock, random = Rotating(at(ZERO), at(ZERO + 3600)), Random(6)
    clock.door = door = Door([], clock, POLICY, DedupMode.VERSIONED, select="begin", inclusive=True, random=random)
    clock.changes = [(at(ZERO + after_s), key) for after_s, key in changes]
    door.locked(clock)
    for name, value in facts.items():
        setattr(door, name, value)
    state = State("test/1/list/things", Shape(DedupMode.VERSIONED, 1, timedelta(0)))
    clock.state = state
    worker = Worker(
        door,
        state,
        ListSink(random).commit,
        origin=Origin("test", "list", "things"),
        clock=clock,
        telemetry=StreamTelemetry(Metrics(), StreamStatus("test", "list", "things"), [TYPE.name]),
        random=random,
        credentials=lambda: door.key,
    )
    with pytest.raises(Enough):
        await worker.run(at(ZERO))
    return door


def waits_s(door: Door) -> list[float]:
    """Between the refusals, and from the last to the first answer."""
    moments = [*door.refused, door.asked[0][1]]
    return [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]


async def test_a_key_that_is_changed_is_tried_at_once() -> None:
    door = await followed([(1000, "new")])

    *slow, last = waits_s(door)
    changed_s = at(ZERO + 1000) - door.refused[-1]
    assert all(wait >= PARKED[0] / 2 for wait in slow)
    assert changed_s <= timedelta(seconds=last) <= changed_s + CREDENTIALS_CHECK_INTERVAL


async def test_each_change_is_tried_also_one_that_is_wrong_again_or_missing() -> None:
    door = await followed([(500, None), (600, "wrong again"), (700, "new")])

    tried_s = [(moment - at(ZERO)).total_seconds() for moment in (*door.refused, door.asked[0][1])]
    for changed_s in (500, 600, 700):
        assert [each for each in tried_s if changed_s <= each <= changed_s + CREDENTIALS_CHECK_INTERVAL.total_seconds()]


async def test_a_key_that_is_changed_while_the_old_one_is_refused_is_noticed_too() -> None:
    door = await followed([], on_refusal="new")

    assert [0] == [round(wait) for wait in waits_s(door)]


async def test_whoever_is_asked_to_wait_waits_whatever_becomes_of_the_key() -> None:
    door = await followed([(10, "new")], error=RetryLater("HTTP 429", after_s=900))

    (wait,) = waits_s(door)
    assert wait >= 900


async def test_without_a_change_it_is_tried_ever_more_slowly() -> None:
    door = await followed([(2500, "new")])

    waits = waits_s(door)[:-1]
    assert len(waits) <= 10
    assert waits[-1] > PARKED[1] / 2
