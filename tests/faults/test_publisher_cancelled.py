"""Cancellation at every await: all of a batch is there or nothing of it, the next epoch knows which, and goes on."""

from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import anyio
import pytest

from collector.errors import EpochEnded
from collector.kafka.transaction import transact
from tests.faults.brokers import ProxiedBroker
from tests.faults.cancelling import cancelled_at
from tests.faults.faults import Hold
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy
from tests.faults.publisher import Publisher, Topics, restored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unreported")]

SIDE_BY_SIDE = 4
MOST = 1000
"""Batches; more than there are awaits."""


async def test_a_commit_is_all_or_nothing_at_whichever_await_it_is_cancelled(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """Whoever waits for the turn is gone at once; whoever has begun learns the outcome first."""
    topics = Topics(proxy, proxied_broker, prefix, 1, 9)
    await topics.ensure()
    publisher = Publisher(topics, 0, batches=MOST)
    durable = 0
    for step in count():
        async with topics.epoch(0) as epoch:
            assert durable == restored(epoch)
            scope = await cancelled_at(step, publisher.commit(epoch, durable))
            assert epoch.over is None
            durable = publisher.assert_committed(await topics.committed(), {durable, durable + 1})
            await publisher.commit(epoch, durable)
            durable += 1
        if not scope.cancel_called:
            break
    assert step > 3
    publisher.assert_committed(await topics.committed(), {durable})


# aiokafka forgets the connection to the bootstrap server when it is cancelled on it; it is closed when it is collected.
@pytest.mark.filterwarnings("ignore:Unclosed AIOKafkaConnection:ResourceWarning")
async def test_an_epoch_may_be_cancelled_at_whichever_await_and_the_next_one_goes_on(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """While it takes over, commits its barrier, restores, commits and closes; side by side, since most of it waits."""
    topics = Topics(proxy, proxied_broker, prefix, SIDE_BY_SIDE, 9)
    await topics.ensure()
    publishers = [Publisher(topics, partition, batches=MOST) for partition in range(SIDE_BY_SIDE)]
    steps = [0] * SIDE_BY_SIDE

    async def one_more(publisher: Publisher) -> None:
        async with topics.epoch(publisher.partition) as epoch:
            await publisher.commit(epoch, restored(epoch))

    async def cancel_all(publisher: Publisher) -> None:
        first = publisher.partition
        while (await cancelled_at(first + steps[first] * SIDE_BY_SIDE, one_more(publisher))).cancel_called:
            steps[first] += 1

    async with anyio.create_task_group() as tasks:
        for publisher in publishers:
            tasks.start_soon(cancel_all, publisher)
    assert min(steps) * SIDE_BY_SIDE > 20
    truth = await topics.committed()
    for publisher in publishers:
        publisher.assert_committed(truth, range(1, MOST))


async def test_a_transaction_is_all_or_nothing_at_whichever_await_its_deadline_strikes(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing shields it from that; whether it was durable by then, the next epoch finds out."""
    topics = Topics(proxy, proxied_broker, prefix, 1, 9)
    await topics.ensure()
    publisher = Publisher(topics, 0, batches=MOST)
    durable, scopes = 0, [anyio.CancelScope()]
    for step in count():

        async def transact_in_time(*args: Any, step: int = step) -> Mapping[int, int]:  # noqa: ANN401 - as given
            landed: list[Mapping[int, int]] = []

            async def keep_result() -> None:
                landed.append(await transact(*args))

            scopes[0] = await cancelled_at(step, keep_result())
            if scopes[0].cancelled_caught:
                raise TimeoutError
            return landed[0]

        async with topics.epoch(0) as epoch:
            assert durable == restored(epoch)
            with monkeypatch.context() as patched:
                patched.setattr("collector.kafka.epoch.transact", transact_in_time)
                with suppress(EpochEnded):
                    await publisher.commit(epoch, durable)
            assert scopes[0].cancelled_caught == isinstance(epoch.over, TimeoutError)
        durable = publisher.assert_committed(await topics.committed(), {durable, durable + 1})
        if not scopes[0].cancel_called:
            break
    assert step > 3


async def test_waiting_for_the_turn_can_be_cancelled_and_leaves_nothing(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    topics = Topics(proxy, proxied_broker, prefix, 1, 9)
    await topics.ensure()
    publisher = Publisher(topics, 0, batches=2)
    async with topics.epoch(0) as epoch:
        with proxy.fault(Api.END_TXN, Hold(), for_id=publisher.id, times=1) as held:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publisher.commit, epoch, 0)
                await held.wait_applied()
                began = proxy.seen[Api.ADD_PARTITIONS_TO_TXN]
                assert (await cancelled_at(0, publisher.commit(epoch, 1))).cancelled_caught
                assert began == proxy.seen[Api.ADD_PARTITIONS_TO_TXN]
                await held.release()
        assert 1 == publisher.assert_committed(await topics.committed(), {1})
        await publisher.publish_rest(epoch)
    async with topics.epoch(0) as epoch:
        assert 2 == restored(epoch)
