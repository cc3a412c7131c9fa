"""The streams of a partition during one epoch. A reload of the configuration replaces some while the others run on."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import anyio
from anyio.abc import TaskGroup

from collector.backfill import OwnStates, States, run_whole
from collector.kafka.epoch import Epoch
from collector.pipeline.shards import published_prefix
from collector.stream_handle import StreamHandle


class EpochStreams:
    """The tasks of the streams. The shards of a stream begin and end together, because they compare their ledgers."""

    def __init__(self, epoch: Epoch, streams: Sequence[StreamHandle], read: Callable[[], Awaitable[States]]) -> None:
        """`read` returns the stored states as of now, for streams that begin during the epoch."""
        self._epoch = epoch
        self._streams = streams
        self._read = read
        self._running: dict[str, _Whole] = {}
        """By the prefix of the whole stream."""
        self._changed = anyio.Event()

    async def run(self, states: States) -> None:
        """Run the streams from these states. Never returns, also when all streams have.

        Raises what a stream raises: the epoch then ends.
        """
        async with anyio.create_task_group() as tasks:
            self._start(tasks, self._missing().keys(), states)
            del states  # large, and needed only here
            while True:
                await self._changed.wait()
                self._changed = anyio.Event()
                while missing := self._missing().keys():
                    self._start(tasks, missing, await self._read())

    async def replace(self, streams: Sequence[StreamHandle]) -> None:
        """Run these streams instead. Those that are in both run on; returns when the others have ended."""
        self._streams = streams
        wholes = _by_whole(streams)
        ending = {prefix: whole for prefix, whole in self._running.items() if wholes.get(prefix) != whole.handles}
        for whole in ending.values():
            whole.scope.cancel()
        for prefix, whole in ending.items():
            await whole.ended.wait()
            for handle in whole.handles:
                handle.telemetry.released()
            if self._running.get(prefix) is whole:
                del self._running[prefix]
        self._changed.set()

    def _missing(self) -> dict[str, list[StreamHandle]]:
        """The shards of each stream that does not run and must, by its prefix."""
        return {prefix: shards for prefix, shards in _by_whole(self._streams).items() if prefix not in self._running}

    def _start(self, tasks: TaskGroup, prefixes: Collection[str], states: States) -> None:
        """Start the streams with these prefixes, which did not run when the states were read.

        Another reload may have ended more of them since. What those have committed meanwhile is not in these states.
        """
        own_states: dict[str, dict[str, Mapping[str, bytes]]] = defaultdict(dict)
        for each, pairs in states.items():
            own_states[published_prefix(each)][each] = pairs
        for prefix, handles in self._missing().items():
            if prefix in prefixes:
                whole = self._running[prefix] = _Whole(handles)
                tasks.start_soon(whole.run, self._epoch, own_states[prefix])


class _Whole:
    """A stream with all its shards, and its backfill."""

    def __init__(self, handles: list[StreamHandle]) -> None:
        self.handles = handles
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()

    async def run(self, epoch: Epoch, states: OwnStates) -> None:
        try:
            with self.scope:
                await run_whole(self.handles, epoch, states)
        finally:
            self.ended.set()


def _by_whole(streams: Sequence[StreamHandle]) -> dict[str, list[StreamHandle]]:
    """The shards of each stream, by its prefix."""
    wholes: dict[str, list[StreamHandle]] = defaultdict(list)
    for handle in streams:
        wholes[handle.whole_prefix].append(handle)
    return dict(wholes)
