"""Streams begin and end within an epoch, and those that stay do not notice."""

import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from collector.epoch_streams import EpochStreams
from collector.errors import EpochEnded
from collector.pipeline.shards import whole_prefix
from collector.stream_handle import StreamHandle

pytestmark = pytest.mark.anyio


class RecordedStream:
    """A stream that records when its runs begin and end, and from which states."""

    def __init__(self, name: str, shard: str = "") -> None:
        self.whole_prefix = self.published_prefix = f"test/1/mall/{name}"
        self.prefix = self.whole_prefix + (f"%40{shard}" if shard else "")
        self.begun: list[Mapping[str, object]] = []
        self.ended = 0
        self.released = 0
        self.error: Exception | None = None
        self.telemetry = SimpleNamespace(released=self._count_release)
        self.stream = SimpleNamespace(zones="")

    def _count_release(self) -> None:
        self.released += 1

    def shards(self, _: object) -> SimpleNamespace:
        return SimpleNamespace(pairs={}, contains=lambda prefix: whole_prefix(prefix) == self.whole_prefix)

    async def run(self, _: object, shards: SimpleNamespace) -> None:
        self.begun.append(dict(shards.pairs))
        try:
            if self.error is not None:
                raise self.error
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):  # as a worker, which commits its checkpoint
                await anyio.wait_all_tasks_blocked()
            self.ended += 1


class Scenario:
    """An epoch with streams. `stored` are the states as of now."""

    def __init__(self, *streams: RecordedStream) -> None:
        self.stored: dict[str, dict[str, bytes]] = {}
        self.reads = 0
        self.may_read = anyio.Event()
        self.may_read.set()
        self._streams = EpochStreams(cast("Any", SimpleNamespace(pairs={})), _handles(*streams), self._read)

    async def _read(self) -> dict[str, dict[str, bytes]]:
        self.reads += 1
        stored = self.stored
        await self.may_read.wait()
        await anyio.lowlevel.checkpoint()
        return stored

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._streams.run, {})
            await anyio.wait_all_tasks_blocked()
            yield
            tasks.cancel_scope.cancel()

    async def replace(self, *streams: RecordedStream) -> None:
        await self._streams.replace(_handles(*streams))
        await anyio.wait_all_tasks_blocked()


def _handles(*streams: RecordedStream) -> list[StreamHandle]:
    return [cast("StreamHandle", each) for each in streams]


async def test_a_stream_that_stays_does_not_notice() -> None:
    kept, removed, added = RecordedStream("kept"), RecordedStream("removed"), RecordedStream("added")
    scenario = Scenario(kept, removed)
    async with scenario.running():
        await scenario.replace(kept, added)

        assert ([{}], 0, 0) == (kept.begun, kept.ended, kept.released)
        assert ([{}], 1, 1) == (removed.begun, removed.ended, removed.released)
        assert ([{}], 0) == (added.begun, added.ended)


async def test_a_replaced_stream_has_ended_before_the_new_one_reads_its_state() -> None:
    former, new = RecordedStream("sessions"), RecordedStream("sessions")
    scenario = Scenario(former)
    async with scenario.running():
        scenario.stored = {former.prefix: {"": b"as of now"}, "test/1/mall/other": {"": b"of another"}}
        await scenario.replace(new)

        assert 1 == former.ended == former.released
        assert [{former.prefix: {"": b"as of now"}}] == new.begun


async def test_all_shards_of_a_stream_are_replaced_together() -> None:
    own, other = RecordedStream("viewers"), RecordedStream("viewers", "Asia/Tokyo")
    scenario = Scenario(own, other)
    async with scenario.running():
        await scenario.replace(own)

        assert (1, 1) == (own.ended, other.ended)
        assert (2, 1) == (len(own.begun), len(other.begun))


async def test_the_state_is_read_only_for_streams_that_begin() -> None:
    kept, removed = RecordedStream("kept"), RecordedStream("removed")
    scenario = Scenario(kept, removed)
    async with scenario.running():
        await scenario.replace(kept)
        assert 0 == scenario.reads

        await scenario.replace(kept, removed)
        assert 1 == scenario.reads


async def test_replacing_twice_in_a_row_runs_the_last_streams() -> None:
    first, second, third = (RecordedStream(name) for name in ("first", "second", "third"))
    scenario = Scenario(first)
    async with scenario.running():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scenario.replace, second)
            tasks.start_soon(scenario.replace, third)

        assert third.begun
        assert not third.ended
        assert 1 == first.ended
        assert len(second.begun) == second.ended


async def test_the_epoch_ends_with_the_error_of_a_stream() -> None:
    failing = RecordedStream("failing")
    failing.error = EpochEnded()
    with pytest.raises(BaseExceptionGroup) as raised:
        async with Scenario(RecordedStream("other"), failing).running():
            await anyio.sleep_forever()
    assert raised.group_contains(EpochEnded)


async def test_streams_can_be_replaced_after_they_have_all_returned() -> None:
    class CompleteStream(RecordedStream):
        async def run(self, _: object, shards: SimpleNamespace) -> None:
            self.begun.append(dict(shards.pairs))
            await anyio.lowlevel.checkpoint()

    complete, new = CompleteStream("complete"), RecordedStream("new")
    scenario = Scenario(complete)
    async with scenario.running():
        await scenario.replace(complete, new)

        assert (1, 1) == (len(complete.begun), len(new.begun))


async def test_a_stream_that_is_replaced_while_the_state_is_read_starts_from_a_later_reading() -> None:
    first, former, new = RecordedStream("first"), RecordedStream("sessions"), RecordedStream("sessions")
    scenario = Scenario(former)
    scenario.may_read = anyio.Event()
    scenario.stored = {former.prefix: {"": b"before its last commit"}}
    async with scenario.running():
        await scenario.replace(former, first)  # the state is being read for `first`
        await scenario.replace(new, first)
        scenario.stored = {former.prefix: {"": b"as of its end"}}
        scenario.may_read.set()
        await anyio.wait_all_tasks_blocked()

        assert [{}] == first.begun
        assert [{former.prefix: {"": b"as of its end"}}] == new.begun


async def test_a_stored_state_is_not_kept_while_its_stream_runs() -> None:
    class Stored(dict[str, bytes]):
        """As a dict, but with weak references."""

    class LoadingStream(RecordedStream):
        async def run(self, epoch: object, shards: SimpleNamespace) -> None:
            shards.pairs.clear()  # as `Shards.load`
            await super().run(epoch, shards)

    stream, added = RecordedStream("kept"), LoadingStream("sessions")
    scenario = Scenario(stream)
    async with scenario.running():
        scenario.stored = {added.prefix: Stored({"": b"large"})}
        stored = weakref.ref(scenario.stored[added.prefix])
        await scenario.replace(stream, added)
        scenario.stored = {}

        assert 1 == len(added.begun)
        assert stored() is None
