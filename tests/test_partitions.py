"""A reload replaces the streams of several partitions: none begins before the replaced ones have ended."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from collector.partition import Partition
from collector.partitions import Partitions, Streams
from collector.stream_handle import StreamHandle

pytestmark = pytest.mark.anyio


class RecordedPartition:
    """A partition that runs its streams; one that ends takes until `may_end`."""

    def __init__(self, streams: Sequence[str], log: list[str], may_end: anyio.Event) -> None:
        self._streams, self._log, self._may_end = list(streams), log, may_end

    async def run(self) -> None:
        self._log.extend(f"{each} begins" for each in self._streams)
        await anyio.sleep_forever()

    async def replace(self, streams: Sequence[str]) -> None:
        former, self._streams = self._streams, list(streams)
        self._log.extend(f"{each} begins" for each in streams if each not in former)
        for each in former:
            if each not in streams:
                await self._may_end.wait()
                self._log.append(f"{each} ends")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({1: "am", 2: "b"}, {1: "a", 2: "bM"}, ["m ends", "M begins"]),
        ({1: "am", 2: "b"}, {1: "a", 2: "b", 3: "M"}, ["m ends", "M begins"]),
        ({1: "a", 2: "bm"}, {1: "aM", 2: "b"}, ["m ends", "M begins"]),
        ({1: "a"}, {1: "a"}, []),
    ],
)
async def test_a_stream_that_moves_has_ended_before_it_begins(
    before: dict[int, str], after: dict[int, str], expected: list[str]
) -> None:
    log: list[str] = []
    may_end = anyio.Event()

    def make(_: int, streams: Sequence[StreamHandle]) -> Partition:
        return cast("Partition", RecordedPartition(cast("Any", streams), log, may_end))

    telemetry = SimpleNamespace(epoch_ended=lambda *_: None, unblocked=lambda _: None)
    partitions = Partitions(make, cast("Any", telemetry))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partitions.run, cast("Streams", before))
        await anyio.wait_all_tasks_blocked()
        log.clear()
        async with anyio.create_task_group() as reload:
            reload.start_soon(partitions.replace, cast("Streams", after))
            await anyio.wait_all_tasks_blocked()
            assert not log
            may_end.set()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert expected == log
