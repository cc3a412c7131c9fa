"""A partition runs one epoch after another; an epoch lasts until it is fenced or the partition is reassigned."""

import gc
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from collector.errors import EpochEnded
from collector.kafka.availability import Availability
from collector.kafka.group import Assignment, Membership
from collector.kafka.header import HeaderMissing
from collector.kafka.producer import Fenced
from collector.kafka.settings import KafkaSettings
from collector.model import Account
from collector.partition import Partition
from collector.stream_handle import StreamHandle
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, StreamStatus
from tests.handles import handle_of
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio

STEPS = 200
"""Steps of the event loop. An epoch that ends at once takes about ten."""


class EndedStream:
    """A stream whose run ends at once, as one that is complete or whose state cannot be read."""

    prefix = whole_prefix = published_prefix = "test/1/mall/things"
    stream = SimpleNamespace(zones="")
    telemetry = SimpleNamespace(released=lambda: None, blocked=lambda *_: None, restoring=lambda _: None)

    def shards(self, handles: Sequence[StreamHandle]) -> SimpleNamespace:
        return SimpleNamespace(pairs={}, handles=handles, contains=lambda _: True)

    async def run(self, *_: object) -> None:
        await anyio.lowlevel.checkpoint()


class FailingStream(EndedStream):
    """A stream whose run fails in a way that nothing foresees."""

    async def run(self, *_: object) -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError("no such thing")


def handle(status: StreamStatus) -> StreamHandle:
    """A stream of the account test/1."""
    return handle_of(status, Account("test", "1"), [])


class PartitionScenario:
    """A partition whose epochs are counted. `fails` returns the error that opening the n-th epoch raises."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        fails: Callable[[int], Exception | None] = lambda _: None,
        *,
        streams: Sequence[object] = (),
        pairs: Mapping[bytes, bytes] = MappingProxyType({}),
    ) -> None:
        self.epochs = 0
        self.is_taken_over = False
        """Whether an operator has repaired the state meanwhile, so that nothing more can be committed."""
        self.can_be_claimed = False
        settings = KafkaSettings()
        self.status = ProcessStatus("1", "group")
        telemetry = KafkaTelemetry(Metrics(), self.status, SimulatedClock())
        telemetry.topics_ready()
        telemetry.available()
        self.membership = Membership(settings, telemetry, lambda: None)

        @asynccontextmanager
        async def epoch(*_: object, **__: object) -> AsyncIterator[Any]:
            self.epochs += 1
            await anyio.lowlevel.checkpoint()
            if (error := fails(self.epochs)) is not None:
                raise error
            yield SimpleNamespace(
                partition=3, pairs=dict(pairs), failure=None, commits=0, verify=self.verify, watch=self.watch
            )

        async def claim(missing: HeaderMissing) -> Exception | None:
            return None if self.can_be_claimed else missing

        monkeypatch.setattr("collector.partition.epoch", epoch)
        monkeypatch.setattr("collector.partition.RETRY_S", (0.0, 0.0))
        self.partition = Partition(
            3,
            [cast("StreamHandle", each) for each in streams or [EndedStream()]],
            settings,
            telemetry,
            self.membership,
            Availability(settings, telemetry),
            claim=claim,
            restores=anyio.Semaphore(1),
            clock=SimulatedClock(),
            random=Random(1),
        )

    async def watch(self, _: object) -> None:
        """As that of an epoch which nobody takes over."""
        await anyio.sleep_forever()

    async def verify(self) -> None:
        """As that of an epoch."""
        await anyio.lowlevel.checkpoint()
        if self.is_taken_over:
            raise EpochEnded

    async def hold(self, halfway: Callable[[], None] = lambda: None) -> None:
        """Hold the partition for `STEPS`, and call `halfway` after half of them."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.partition.run)
            for step in range(STEPS):
                if step == STEPS // 2:
                    halfway()
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    def assign(self, *partitions: int, member: str = "me") -> None:
        assignment = Assignment(
            frozenset(partitions), is_settled=True, member=member, confirmed_at=anyio.current_time()
        )
        self.membership.set_assignment(assignment)


def started_workers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the streams whose workers are started from now on. Such a worker does nothing."""
    started: list[str] = []

    class RunningWorker:
        def __init__(self, stream: Any, *_: object, **__: object) -> None:  # noqa: ANN401 - the stream is simulated
            self._name = stream.name

        async def run(self, _: object) -> None:
            started.append(self._name)
            await anyio.sleep_forever()

    monkeypatch.setattr("collector.stream_handle.Worker", RunningWorker)
    return started


async def test_an_epoch_lasts_after_all_its_streams_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = PartitionScenario(monkeypatch)
    scenario.assign(3)
    await scenario.hold()
    assert 1 == scenario.epochs


@pytest.mark.parametrize(
    ("can_be_claimed", "missing", "epochs"),
    [(True, 1, 2), (False, 1, 1), (True, 2, 2)],
    ids=["claimed", "lost", "claimed, and still without a header"],
)
async def test_the_next_epoch_starts_at_once_after_the_partition_was_claimed(
    monkeypatch: pytest.MonkeyPatch, can_be_claimed: bool, missing: int, epochs: int
) -> None:
    scenario = PartitionScenario(monkeypatch, lambda nth: HeaderMissing("state", 3) if nth <= missing else None)
    scenario.can_be_claimed = can_be_claimed
    monkeypatch.setattr("collector.partition.RETRY_S", (1000.0, 1000.0))
    scenario.assign(3)
    await scenario.hold()
    assert epochs == scenario.epochs


async def test_an_epoch_ends_when_the_group_assigns_its_partition_to_another_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = PartitionScenario(monkeypatch)
    scenario.assign(3)
    await scenario.hold(lambda: scenario.assign(3, member="rejoined"))
    assert 2 == scenario.epochs


async def test_after_a_fence_the_next_epoch_waits_until_a_heartbeat_confirms_the_assignment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = PartitionScenario(monkeypatch, lambda number: Fenced("by another process") if number == 1 else None)
    scenario.assign(3)
    before = anyio.current_time()
    await scenario.hold(lambda: scenario.membership.heartbeat_responded(before, is_confirmed=True))
    assert 1 == scenario.epochs, "the heartbeat was sent before the fence"
    await scenario.hold(lambda: scenario.membership.heartbeat_responded(anyio.current_time(), is_confirmed=True))
    assert 2 == scenario.epochs


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"test/1/mall/broken", b'{"version":1,"since":"2026-11-01T00:00:00"}'),
        (b"test/1/mall/broken/\xff/0", b""),
        (b"test/1/mall/broken/7/0", b"\1\1"),
    ],
    ids=["checkpoint", "bad UTF-8 in a key", "short chunk"],
)
async def test_a_damaged_record_parks_its_stream_and_its_neighbours_run(
    monkeypatch: pytest.MonkeyPatch, key: bytes, value: bytes
) -> None:
    started = started_workers(monkeypatch)
    statuses = [StreamStatus("test", "mall", name) for name in ("broken", "healthy")]
    errors: list[str] = []
    states: list[str] = []

    def look() -> None:
        states.extend(status.state for status in statuses)
        errors.extend(status.last_error.error for status in statuses if status.last_error is not None)

    scenario = PartitionScenario(
        monkeypatch, streams=list(map(handle, statuses)), pairs={key: value, b"\xff": b"of no stream"}
    )
    scenario.assign(3)
    await scenario.hold(look)
    assert (1, ["healthy"]) == (scenario.epochs, started)
    assert ["parked", "catching_up"] == states
    assert 1 == len(errors)
    assert "test/1/mall/broken" in errors[0]
    assert "partition 3" in errors[0]


async def test_a_paused_stream_does_not_run_and_its_neighbours_do(monkeypatch: pytest.MonkeyPatch) -> None:
    started = started_workers(monkeypatch)
    statuses = [StreamStatus("test", "mall", name) for name in ("paused", "healthy")]
    states: list[str] = []
    scenario = PartitionScenario(
        monkeypatch, streams=list(map(handle, statuses)), pairs={b"#pause/test/1/mall/paused": b"", b"#header": b"{}"}
    )
    scenario.assign(3)
    await scenario.hold(lambda: states.extend(status.state for status in statuses))
    assert (1, ["healthy"]) == (scenario.epochs, started)
    assert ["paused", "catching_up"] == states


async def test_a_stream_whose_state_cannot_be_read_notices_that_it_has_been_repaired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if no other stream of the partition commits anything."""
    status = StreamStatus("test", "mall", "broken")
    scenario = PartitionScenario(monkeypatch, streams=[handle(status)], pairs={b"test/1/mall/broken": b"damaged"})
    scenario.assign(3)
    epochs: list[int] = []

    def repair() -> None:
        epochs.append(scenario.epochs)
        scenario.is_taken_over = True

    await scenario.hold(repair)
    assert [1] == epochs
    assert scenario.epochs > 1


async def test_an_error_that_ended_an_epoch_keeps_nothing_of_it_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next epoch may last for months, and reads the same state again."""

    class Large:
        """What an epoch has in memory."""

    kept: list[weakref.ref[Large]] = []

    def fails(nth: int) -> Exception | None:
        if nth > 1:
            return None
        restored = Large()
        kept.append(weakref.ref(restored))
        raise HeaderMissing("state", 3)

    def collect() -> None:
        gc.collect()
        found.extend(each() for each in kept)

    found: list[Large | None] = []
    scenario = PartitionScenario(monkeypatch, fails)
    scenario.assign(3)
    await scenario.hold(collect)
    assert 2 == scenario.epochs
    assert [None] == found


async def test_a_replica_is_not_ready_while_an_assigned_partition_fails_unexpectedly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = PartitionScenario(monkeypatch, streams=[FailingStream()])
    scenario.assign(3)
    scenario.status.group_problem = None
    reasons: list[str] = []
    await scenario.hold(lambda: reasons.append(scenario.status.not_ready_reason()))
    assert scenario.epochs > 1
    assert "unexpected LookupError: no such thing" in reasons[0]
