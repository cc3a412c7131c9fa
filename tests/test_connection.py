"""Stopping a client of Kafka's, whatever it does meanwhile."""

import asyncio

import anyio
import pytest

from collector.kafka.connection import stop

pytestmark = pytest.mark.anyio


class Client:
    """One that does so when it is stopped."""

    def __init__(self, error: BaseException | None = None, *, hangs: bool = False) -> None:
        self._error = error
        self._hangs = hangs

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        await anyio.lowlevel.checkpoint()
        if self._hangs:
            await anyio.sleep_forever()
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [None, asyncio.CancelledError(), OSError("closed")], ids=repr)
async def test_what_a_client_raises_while_it_stops_ends_nobody_else(error: BaseException | None) -> None:
    """Aiokafka lets the cancellation of its own tasks out, which a task group takes for its own."""
    ended = False
    async with anyio.create_task_group() as tasks:

        async def work() -> None:
            nonlocal ended
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            ended = True

        async def stop_it() -> None:
            assert await stop(Client(error))

        tasks.start_soon(stop_it)
        tasks.start_soon(work)
    assert ended
    assert not tasks.cancel_scope.cancel_called


async def test_a_client_that_does_not_stop_is_left_behind() -> None:
    assert not await stop(Client(hangs=True), timeout_s=0.01)


async def test_a_client_is_stopped_also_by_a_task_that_is_cancelled() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        assert await stop(Client())
