"""A client is stopped whatever it does meanwhile."""

import asyncio

import anyio
import pytest

from collector.kafka.connection import stop_client

pytestmark = pytest.mark.anyio


class Client:
    """A client that raises an error, or hangs, when it is stopped."""

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
async def test_what_a_client_raises_while_it_stops_affects_no_other_task(error: BaseException | None) -> None:
    """Aiokafka raises the CancelledError of its own tasks, which a task group would mistake for its own."""
    ended = False
    async with anyio.create_task_group() as tasks:

        async def work() -> None:
            nonlocal ended
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            ended = True

        async def stop() -> None:
            assert await stop_client(Client(error))

        tasks.start_soon(stop)
        tasks.start_soon(work)
    assert ended
    assert not tasks.cancel_scope.cancel_called


async def test_a_client_that_does_not_stop_is_left_behind() -> None:
    assert not await stop_client(Client(hangs=True), timeout_s=0.01)


async def test_a_cancelled_task_still_stops_its_client() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        assert await stop_client(Client())
