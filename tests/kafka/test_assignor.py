"""Members that divide by streams and members of a former release, which divide by number, in one real group."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from collector.kafka.group import Membership
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.kafka.daemon import until
from tests.kafka.test_owners import Named
from tests.vendor import Vendor, serving

pytestmark = pytest.mark.anyio

STREAMS = {0: 90, 1: 1, 2: 1, 3: 1}
BY_STREAMS, BY_NUMBER = {1, 3}, {2}
"""The numbers of partitions of two members."""


@pytest.fixture
async def settings(kafka: str, prefix: str) -> KafkaSettings:
    times = {"session_timeout": "3s", "transaction_timeout": "9s"}
    text = {"bootstrap_servers": kafka, "topic_prefix": prefix, "group": f"{prefix}group", "state_partitions": 4}
    found = KafkaSettings.model_validate(text | times)
    await ensure_topics(found, [])
    return found


@asynccontextmanager
async def member(settings: KafkaSettings, *, is_former: bool = False) -> AsyncIterator[Membership]:
    """A member until the end of the block."""
    telemetry = KafkaTelemetry(Metrics(), ProcessStatus("1", settings.group))
    found = Membership(settings, telemetry, lambda: None, lambda: STREAMS)
    if is_former:
        found._assignor = type("Former", (StickyPartitionAssignor,), {})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.run)
        yield found
        tasks.cancel_scope.cancel()


async def divided(*members: Membership) -> set[int]:
    """The numbers of partitions of these members, once each partition is assigned to one of them."""

    async def is_complete() -> bool:
        assignments = [each.assignment for each in members]
        partitions = sorted(partition for each in assignments for partition in each.partitions)
        return all(each.is_settled for each in assignments) and partitions == sorted(STREAMS)

    await until(is_complete, "each partition is assigned once")
    return {len(each.assignment.partitions) for each in members}


async def test_the_leader_determines_how_partitions_are_divided(settings: KafkaSettings) -> None:
    async with member(settings, is_former=True) as former:
        assert {4} == await divided(former)
        async with member(settings) as new:
            assert BY_NUMBER == await divided(former, new)
        assert {4} == await divided(former)


async def test_members_of_a_former_release_use_the_division_of_a_new_leader(settings: KafkaSettings) -> None:
    async with member(settings) as new:
        assert {4} == await divided(new)
        async with member(settings, is_former=True) as former:
            assert BY_STREAMS == await divided(former, new)
        assert {4} == await divided(new)


async def test_the_replica_with_the_only_stream_has_only_its_partition(kafka: str, prefix: str, tmp_path: Path) -> None:
    vendor = Vendor([])
    async with serving(vendor):
        replicas = [Named(f"host-{nth}", tmp_path, kafka, prefix, vendor) for nth in range(2)]

        async def is_divided() -> bool:
            status = await replicas[0].status()
            if not status:
                return False
            owned = Counter(status["owners"].values())
            return {1, 3} == {*owned.values()} and owned[status["streams"][0]["owner"]] == 1

        try:
            for each in replicas:
                each.start()
            await until(is_divided, "the partition of the stream counts more than the three empty ones")
        finally:
            for each in replicas:
                each.close()
