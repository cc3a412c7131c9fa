"""The state partitions that have configured streams, each with a task of its own. A reload adds and removes some."""

from collections.abc import Callable, Mapping, Sequence

import anyio
from anyio.abc import TaskGroup

from collector.partition import Partition
from collector.stream_handle import StreamHandle
from collector.telemetry.kafka import KafkaTelemetry

Streams = Mapping[int, Sequence[StreamHandle]]
"""The streams of each partition."""


class Partitions:
    """Runs the partitions."""

    def __init__(self, make: Callable[[int, Sequence[StreamHandle]], Partition], telemetry: KafkaTelemetry) -> None:
        """`make` returns a partition, given its number and its streams."""
        self._make = make
        self._telemetry = telemetry
        self._running: dict[int, _Running] = {}
        self._streams: Streams = {}
        self._tasks: TaskGroup | None = None

    async def run(self, streams: Streams) -> None:
        """Run these streams. Never returns."""
        async with anyio.create_task_group() as self._tasks:
            self._start(self._tasks, streams)
            await anyio.sleep_forever()

    async def replace(self, streams: Streams) -> None:
        """Run these streams instead. Those that are in both do not notice.

        No stream begins before the others have ended, in all partitions: with another account, a stream moves to
        another partition and keeps its name, under which it is shown.
        """
        async with anyio.create_task_group() as ending:
            for number, running in list(self._running.items()):
                if number in streams:
                    kept = [each for each in streams[number] if each in self._streams[number]]
                    ending.start_soon(running.partition.replace, kept)
                else:
                    ending.start_soon(self._stop, number, running)
        for number, running in self._running.items():
            await running.partition.replace(streams[number])
        if self._tasks is not None:
            self._start(self._tasks, streams)

    def _start(self, tasks: TaskGroup, streams: Streams) -> None:
        self._streams = streams
        for number in streams.keys() - self._running.keys():
            running = self._running[number] = _Running(self._make(number, streams[number]))
            tasks.start_soon(running.run)

    async def _stop(self, number: int, running: "_Running") -> None:
        running.scope.cancel()
        await running.ended.wait()
        del self._running[number]
        self._telemetry.epoch_ended(number, "none of its streams is configured any more")
        self._telemetry.unblocked(number)


class _Running:
    """A partition and its task."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()

    async def run(self) -> None:
        try:
            with self.scope:
                await self.partition.run()
        finally:
            self.ended.set()
