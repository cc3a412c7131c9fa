"""A partition runs one epoch after another; an epoch lasts until it is fenced or the partition is reassigned."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from collector.kafka.availability import Availability
from collector.kafka.group import Assignment, Membership
from collector.kafka.header import HeaderMissing
from collector.kafka.producer import Fenced
from collector.kafka.settings import KafkaSettings
from collector.partition import Partition
from collector.stream_handle import StreamHandle
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio

STEPS = 200
"""Steps of the event loop. An epoch that ends at once takes about ten."""


class EndedStream:
    """A stream whose run ends at once, as one that is complete or whose state cannot be read."""

    prefix = "test/1/mall/things"
    telemetry = SimpleNamespace(released=lambda: None, blocked=lambda *_: None, restoring=lambda _: None)

    async def run(self, *_: object) -> None:
        await anyio.lowlevel.checkpoint()


class PartitionScenario:
    """A partition whose epochs are counted. `fails` returns the error that opening the n-th epoch raises."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], Exception | None] = lambda _: None
    ) -> None:
        self.epochs = 0
        settings = KafkaSettings()
        telemetry = KafkaTelemetry(Metrics(), ProcessStatus("1", "group"), SimulatedClock())
        self.membership = Membership(settings, telemetry, lambda: None)

        @asynccontextmanager
        async def epoch(*_: object, **__: object) -> AsyncIterator[Any]:
            self.epochs += 1
            await anyio.lowlevel.checkpoint()
            if (error := fails(self.epochs)) is not None:
                raise error
            yield SimpleNamespace(pairs={}, over=None, commits=0)

        async def claim(missing: HeaderMissing) -> Exception:
            return missing

        monkeypatch.setattr("collector.partition.epoch", epoch)
        monkeypatch.setattr("collector.partition.RETRY_S", (0.0, 0.0))
        self.partition = Partition(
            3,
            [cast("StreamHandle", EndedStream())],
            settings,
            telemetry,
            self.membership,
            Availability(settings, telemetry),
            claim=claim,
            restores=anyio.Semaphore(1),
            clock=SimulatedClock(),
            random=Random(1),
        )

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


async def test_an_epoch_lasts_after_all_its_streams_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = PartitionScenario(monkeypatch)
    scenario.assign(3)
    await scenario.hold()
    assert 1 == scenario.epochs


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
