"""Cancellation at every await: a batch is committed as a whole or not at all, and the next epoch knows which."""

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

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("standalone_telemetry")]

CONCURRENT = 4
MAX_BATCHES = 1000
"""More than there are awaits."""


async def test_a_commit_is_atomic_at_whichever_await_it_is_cancelled(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """A commit that waits for its turn ends at once; one that has started waits for its outcome first."""
    topics = Topics(proxy, proxied_broker, prefix, 1, 9)
    await topics.create()
    publisher = Publisher(topics, 0, batches=MAX_BATCHES)
    durable = 0
    for step in count():
        async with topics.epoch(0) as epoch:
            assert durable == restored(epoch)
            scope = await cancelled_at(step, publisher.commit(epoch, durable))
            assert epoch.failure is None
            durable = publisher.assert_committed(await topics.committed(), {durable, durable + 1})
            await publisher.commit(epoch, durable)
            durable += 1
        if not scope.cancel_called:
            break
    assert step > 3
    publisher.assert_committed(await topics.committed(), {durable})


# A connection to the bootstrap server that aiokafka opens while it is cancelled is closed by the garbage collector.
@pytest.mark.filterwarnings("ignore:Unclosed AIOKafkaConnection:ResourceWarning")
async def test_an_epoch_may_be_cancelled_at_any_await_and_the_next_one_continues(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """While it takes over, commits its barrier, restores, commits and closes; concurrent, because it mostly waits."""
    topics = Topics(proxy, proxied_broker, prefix, CONCURRENT, 9)
    await topics.create()
    publishers = [Publisher(topics, partition, batches=MAX_BATCHES) for partition in range(CONCURRENT)]
    steps = [0] * CONCURRENT

    async def one_more(publisher: Publisher) -> None:
        async with topics.epoch(publisher.partition) as epoch:
            await publisher.commit(epoch, restored(epoch))

    async def cancel_all(publisher: Publisher) -> None:
        first = publisher.partition
        while (await cancelled_at(first + steps[first] * CONCURRENT, one_more(publisher))).cancel_called:
            steps[first] += 1

    async with anyio.create_task_group() as tasks:
        for publisher in publishers:
            tasks.start_soon(cancel_all, publisher)
    assert min(steps) * CONCURRENT > 20
    committed = await topics.committed()
    for publisher in publishers:
        publisher.assert_committed(committed, range(1, MAX_BATCHES))


async def test_a_transaction_is_atomic_at_whichever_await_its_deadline_expires(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction is not shielded from its deadline; the next epoch finds out whether it is durable."""
    topics = Topics(proxy, proxied_broker, prefix, 1, 9)
    await topics.create()
    publisher = Publisher(topics, 0, batches=MAX_BATCHES)
    durable, scopes = 0, [anyio.CancelScope()]
    for step in count():

        async def transact_in_time(*args: Any, step: int = step) -> Mapping[int, int]:  # noqa: ANN401 - as given
            results: list[Mapping[int, int]] = []

            async def keep_result() -> None:
                results.append(await transact(*args))

            scopes[0] = await cancelled_at(step, keep_result())
            if scopes[0].cancelled_caught:
                raise TimeoutError
            return results[0]

        async with topics.epoch(0) as epoch:
            assert durable == restored(epoch)
            with monkeypatch.context() as patched:
                patched.setattr("collector.kafka.epoch.transact", transact_in_time)
                with suppress(EpochEnded):
                    await publisher.commit(epoch, durable)
            assert scopes[0].cancelled_caught == isinstance(epoch.failure, TimeoutError)
        durable = publisher.assert_committed(await topics.committed(), {durable, durable + 1})
        if not scopes[0].cancel_called:
            break
    assert step > 3


async def test_a_commit_that_waits_for_its_turn_can_be_cancelled_without_effect(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    topics = Topics(proxy, proxied_broker, prefix, 1, 9)
    await topics.create()
    publisher = Publisher(topics, 0, batches=2)
    async with topics.epoch(0) as epoch:
        with proxy.fault(Api.END_TXN, Hold(), for_id=publisher.id, times=1) as held:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publisher.commit, epoch, 0)
                await held.wait_applied()
                before = proxy.seen[Api.ADD_PARTITIONS_TO_TXN]
                assert (await cancelled_at(0, publisher.commit(epoch, 1))).cancelled_caught
                assert before == proxy.seen[Api.ADD_PARTITIONS_TO_TXN]
                await held.release()
        assert 1 == publisher.assert_committed(await topics.committed(), {1})
        await publisher.publish_rest(epoch)
    async with topics.epoch(0) as epoch:
        assert 2 == restored(epoch)
