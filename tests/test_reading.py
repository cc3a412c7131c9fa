"""Reading several partitions up to their ends; with a reader whose positions the test gives."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiokafka.structs import TopicPartition

from collector.kafka import reader
from collector.kafka.settings import KafkaSettings

pytestmark = pytest.mark.anyio
BUSY, STUCK = TopicPartition("state", 0), TopicPartition("state", 1)


class Reader:
    """Each poll leads to the next positions."""

    def __init__(self, positions: Iterator[Mapping[TopicPartition, int]]) -> None:
        self._positions = positions
        self._now = next(positions)

    async def assign(self, partitions: Sequence[TopicPartition]) -> None:
        await anyio.lowlevel.checkpoint()
        assert {*partitions} == {*self._now}

    async def beginnings(self) -> Mapping[TopicPartition, int]:
        await anyio.lowlevel.checkpoint()
        return dict.fromkeys(self._now, 0)

    async def position(self, partition: TopicPartition) -> int:
        await anyio.lowlevel.checkpoint()
        return self._now[partition]

    async def has_passed(self, ends: Mapping[TopicPartition, int]) -> bool:
        await anyio.lowlevel.checkpoint()
        return all(self._now[partition] >= end for partition, end in ends.items())

    async def poll(self) -> Sequence[Any]:
        await anyio.lowlevel.checkpoint()
        self._now = next(self._positions)
        return ()


async def test_records_after_the_end_of_one_partition_are_no_progress_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a partition to which others write would keep a reader waiting for one that has no leader."""
    positions = [{BUSY: number, STUCK: 0} for number in (0, 5, 10, 11, 12, 13)] + [{BUSY: 14, STUCK: 10}]

    @asynccontextmanager
    async def open_reader(_: KafkaSettings) -> AsyncIterator[Reader]:
        await anyio.lowlevel.checkpoint()
        yield Reader(iter(positions))

    monkeypatch.setattr(reader, "open_reader", open_reader)
    reported: list[tuple[int, int]] = []
    await reader.read_to(
        KafkaSettings(), {BUSY: 9, STUCK: 9}, lambda _: True, lambda done, total: reported.append((done, total))
    )

    assert [(0, 20), (5, 20), (10, 20)] == reported
