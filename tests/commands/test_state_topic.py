"""A command takes a state partition over only when it will write something: that interrupts the running owner."""

from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from collector.commands import state_topic
from collector.commands.state_topic import Changes, Pairs, change_state_if_needed
from collector.errors import UserError
from collector.kafka.header import HEADER, HeaderMissing, new_header
from collector.kafka.settings import KafkaSettings

pytestmark = pytest.mark.anyio

KAFKA = KafkaSettings.model_validate({"bootstrap_servers": "localhost:9092"})
STORED = {HEADER: new_header(KAFKA), b"key": b"value"}
NEWER = {**STORED, b"key": b"newer"}


class Partition:
    """A state partition. Its owner changes a key until it is taken over."""

    def __init__(self) -> None:
        self.stored: Mapping[bytes, bytes] = STORED
        self.written: list[Changes] = []
        self.takeovers = 0
        self.is_stuck = False

    async def read(self, *_: object) -> dict[bytes, bytes]:
        if self.is_stuck:
            raise TimeoutError
        return dict(self.stored)

    async def take_over(self, _: object, __: object, operation: Callable[[Any], Awaitable[object]]) -> object:
        self.takeovers += 1

        async def commit(_: object, changes: Changes) -> None:
            self.written.append(changes)

        return await operation(SimpleNamespace(pairs=NEWER, commit=commit))

    async def change(self, decide: Callable[[Pairs], tuple[object, Changes]]) -> object:
        progress_line = SimpleNamespace(show=lambda _: None, count=lambda *_: None)
        return await change_state_if_needed(KAFKA, 0, cast("Any", progress_line), decide)


@pytest.fixture
def partition(monkeypatch: pytest.MonkeyPatch) -> Partition:
    found = Partition()
    monkeypatch.setattr(state_topic, "snapshot", found.read)
    monkeypatch.setattr(state_topic, "taken_over", found.take_over)
    return found


async def test_a_refused_change_takes_nothing_over(partition: Partition) -> None:
    def refuse(_: Pairs) -> tuple[None, Changes]:
        raise UserError("no", code="refused")

    with pytest.raises(UserError):
        await partition.change(refuse)
    assert not partition.takeovers


async def test_without_changes_nothing_is_taken_over(partition: Partition) -> None:
    assert "nothing to do" == await partition.change(lambda _: ("nothing to do", {}))
    assert not partition.takeovers


async def test_a_change_is_derived_from_what_the_former_owner_committed_last(partition: Partition) -> None:
    found = await partition.change(lambda pairs: (pairs[b"key"], {b"key": b"changed"}))

    assert b"newer" == found
    assert [{b"key": b"changed"}] == partition.written


async def test_a_partition_that_cannot_be_read_is_taken_over(partition: Partition) -> None:
    partition.is_stuck = True
    await partition.change(lambda _: (None, {b"key": b"changed"}))
    assert 1 == partition.takeovers


async def test_lost_state_is_reported_as_such(partition: Partition) -> None:
    partition.stored = {}
    with pytest.raises(HeaderMissing):
        await partition.change(lambda _: ("nothing to do", {}))
    assert not partition.takeovers
