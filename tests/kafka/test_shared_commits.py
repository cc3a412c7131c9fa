"""Streams of one partition that are ready at the same moment commit in one transaction; against a real broker."""

from collections.abc import Sequence

import anyio
import pytest

from collector.cloudevents import Message
from collector.errors import EpochEnded, KafkaMisconfigured
from collector.kafka.commit_queue import SHARED_BYTES
from collector.kafka.epoch import Epoch
from tests.kafka.test_epoch import Deployment, deployment

__all__ = ["deployment"]
pytestmark = pytest.mark.anyio


class Streams:
    """Streams of one epoch, and how each commit ended."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self.scopes: dict[str, anyio.CancelScope] = {}
        self.ended: dict[str, float | Exception | None] = {}
        """By stream: the time, the error, or None if it was cancelled."""

    async def commit(self, name: str, messages: Sequence[Message]) -> None:
        self.ended[name] = None
        with anyio.CancelScope() as self.scopes[name]:
            try:
                self.ended[name] = await self._epoch.commit(messages, {name.encode(): b"1"})
            except (EpochEnded, KafkaMisconfigured) as error:
                self.ended[name] = error


async def test_what_is_ready_at_once_is_committed_in_one_transaction(deployment: Deployment) -> None:
    names = [f"stream{number}" for number in range(8)]
    async with deployment.epoch() as only:
        streams = Streams(only)
        async with anyio.create_task_group() as tasks:
            for name in names:
                messages = [deployment.message(f"{name} {number}", key=name) for number in range(3)]
                tasks.start_soon(streams.commit, name, messages)
        assert 1 == only.commits == deployment.outcomes()["committed"]
        assert 1 == len(set(streams.ended.values()))
        pairs = await only.read_state()
        assert set(names) <= {key.decode() for key in pairs}
    published = [value.decode() for _, value in await deployment.committed("things")]
    assert sorted(f"{name} {number}" for name in names for number in range(3)) == sorted(published)
    for name in names:
        assert [f"{name} {number}" for number in range(3)] == [each for each in published if each.startswith(name)]


async def test_what_is_large_is_committed_alone(deployment: Deployment) -> None:
    large = "x" * (SHARED_BYTES // 2)
    async with deployment.epoch() as only:
        streams = Streams(only)
        async with anyio.create_task_group() as tasks:
            for name in ("a", "b", "c"):
                tasks.start_soon(streams.commit, name, [deployment.message(f"{name}{large}")])
        assert 3 == only.commits
    assert ["a", "b", "c"] == [value[:1].decode() for _, value in await deployment.committed("things")]


async def test_a_stream_that_is_cancelled_in_the_transaction_of_another_knows_that_it_has_committed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployment.epoch() as only:
        streams = Streams(only)
        begin = only._producer.begin_transaction

        async def cancel_then_begin() -> None:
            for name in ("first", "second"):
                streams.scopes[name].cancel()
            await begin()

        monkeypatch.setattr(only._producer, "begin_transaction", cancel_then_begin)
        async with anyio.create_task_group() as tasks:
            for name in ("first", "second"):
                tasks.start_soon(streams.commit, name, [deployment.message(name)])
        assert all(isinstance(ended, float) for ended in streams.ended.values())
        assert {b"first", b"second"} <= set(await only.read_state())
    assert [b"first", b"second"] == [value for _, value in await deployment.committed("things")]


async def test_a_stream_that_is_cancelled_before_it_is_taken_commits_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployment.epoch() as only:
        streams = Streams(only)
        is_cancelled = anyio.Event()

        async def renew_after_cancelling() -> None:
            if "second" in streams.scopes and not is_cancelled.is_set():
                streams.scopes["second"].cancel()
                await is_cancelled.wait()

        async def commit_second() -> None:
            await streams.commit("second", [deployment.message("second")])
            is_cancelled.set()

        monkeypatch.setattr(only, "_renew_sessions", renew_after_cancelling)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(streams.commit, "first", [deployment.message("first")])
            tasks.start_soon(commit_second)
            tasks.start_soon(streams.commit, "third", [deployment.message("third")])
        assert streams.ended["second"] is None
        assert b"second" not in await only.read_state()
    assert [b"first", b"third"] == [value for _, value in await deployment.committed("things")]


async def test_only_the_stream_of_a_missing_topic_is_to_blame_for_it(deployment: Deployment) -> None:
    async with deployment.epoch() as only:
        streams = Streams(only)
        async with anyio.create_task_group() as tasks:
            for name, topic in {"a": "things", "b": "nowhere", "c": "things"}.items():
                tasks.start_soon(streams.commit, name, [deployment.message(name, topic=topic)])
        assert isinstance(streams.ended["b"], KafkaMisconfigured)
        assert isinstance(streams.ended["a"], EpochEnded)
        assert isinstance(streams.ended["c"], EpochEnded)
        with pytest.raises(EpochEnded):
            await only.commit((), {b"later": b"1"})
    assert [] == await deployment.committed("things")
