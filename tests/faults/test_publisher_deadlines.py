"""A publisher that hears nothing: it gives up in time, and whoever comes next sees what became of its work."""

from contextlib import suppress
from time import monotonic

import anyio
import pytest
from aiokafka.errors import KafkaError

from collector.errors import EpochEnded
from tests.faults.brokers import ProxiedBroker
from tests.faults.faults import REQUEST, RESPONSE, Action, Blackhole, Direction, Drop, Reset
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy
from tests.faults.publisher import EPOCH_ERRORS, Publisher, Topics, restored

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("unreported"),
    # aiokafka forgets the connection to the bootstrap server when its time is over; it is closed when it is collected.
    pytest.mark.filterwarnings("ignore:Unclosed AIOKafkaConnection:ResourceWarning"),
]

TIMEOUT_S = 6
DEADLINE_S = 4.0
"""Of a commit, and of beginning an epoch: two thirds of the transaction timeout."""
SLACK_S = 10.0
"""What a slow machine may add to it: what hangs, hangs for longer."""
CLOSE_S = 2.0
CLOSED_S = CLOSE_S + 1 + SLACK_S
"""For aborting and stopping, and for what is done about a stop that took too long."""

SILENCES: list[tuple[Api, Action, set[int]]] = [
    (Api.END_TXN, Drop(REQUEST), {1}),
    (Api.END_TXN, Drop(RESPONSE), {2}),
    (Api.END_TXN, Reset(REQUEST), {1}),
    (Api.END_TXN, Reset(RESPONSE), {2}),
    (Api.PRODUCE, Drop(REQUEST), {1}),
    (Api.PRODUCE, Drop(RESPONSE), {1}),
    (Api.PRODUCE, Reset(RESPONSE), {1}),
    (Api.ADD_PARTITIONS_TO_TXN, Drop(REQUEST), {1}),
    (Api.ADD_PARTITIONS_TO_TXN, Reset(RESPONSE), {1}),
]
"""What never comes through; and how many batches are durable after it, of two."""


async def test_a_commit_that_hears_nothing_ends_in_time_and_the_next_epoch_sees_the_truth(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.kafka.producer.CLOSE_S", CLOSE_S)
    topics = Topics(proxy, proxied_broker, prefix, len(SILENCES), TIMEOUT_S)
    await topics.ensure()
    publishers = [Publisher(topics, partition) for partition in range(len(SILENCES))]

    async def suffer(publisher: Publisher, api: Api, action: Action, durable: set[int]) -> None:
        async with topics.epoch(publisher.partition) as epoch:
            await publisher.commit(epoch, 0)
            fault = proxy.add(api, action, for_id=publisher.id)
            began = monotonic()
            with pytest.raises(EpochEnded):
                await publisher.commit(epoch, 1)
            ended = monotonic()
            assert isinstance(epoch.over, TimeoutError)
        assert ended - began < DEADLINE_S + SLACK_S, (api, action)
        assert monotonic() - ended < CLOSED_S, (api, action)
        assert fault.applied
        proxy.heal(fault)
        async with topics.epoch(publisher.partition) as epoch:
            assert restored(epoch) in durable, (api, action)
            await publisher.publish_rest(epoch)

    async with anyio.create_task_group() as tasks:
        for publisher, silence in zip(publishers, SILENCES, strict=True):
            tasks.start_soon(suffer, publisher, *silence)
    truth = await topics.committed()
    for publisher in publishers:
        publisher.assert_committed(truth)


@pytest.mark.parametrize("direction", Direction)
async def test_an_epoch_that_cannot_begin_ends_in_time(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch, direction: Direction
) -> None:
    """While it takes over, and while it restores, which has a deadline on progress."""
    monkeypatch.setattr("collector.kafka.restore.MAX_STALL_S", DEADLINE_S / 2)
    topics = Topics(proxy, proxied_broker, prefix, 3, TIMEOUT_S)
    await topics.ensure()
    publishers = [Publisher(topics, partition) for partition in range(3)]
    async with anyio.create_task_group() as tasks:
        for publisher in publishers:
            tasks.start_soon(publisher.publish)
    faults = [proxy.add(Api.INIT_PRODUCER_ID, Drop(direction), for_id=publishers[0].id)]
    faults.append(proxy.add(Api.FETCH, Drop(direction)))

    async def begin(publisher: Publisher) -> None:
        began = monotonic()
        with pytest.raises((TimeoutError, KafkaError)):
            async with topics.epoch(publisher.partition):
                pass
        assert monotonic() - began < DEADLINE_S + CLOSED_S

    async with anyio.create_task_group() as tasks:
        for publisher in publishers:
            tasks.start_soon(begin, publisher)
    assert all(fault.applied for fault in faults)
    proxy.heal()
    truth = await topics.committed()
    for publisher in publishers:
        async with topics.epoch(publisher.partition) as epoch:
            assert publisher.assert_committed(truth) == restored(epoch)


@pytest.mark.parametrize("api", [Api.PRODUCE, Api.END_TXN, Api.INIT_PRODUCER_ID], ids=lambda api: api.name)
async def test_in_a_blackhole_everything_ends_in_time(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch, api: Api
) -> None:
    """What falls into it, a commit or a takeover; and what begins in it."""
    monkeypatch.setattr("collector.kafka.producer.CLOSE_S", CLOSE_S / 2)
    topics = Topics(proxy, proxied_broker, prefix, 2, 3)
    await topics.ensure()
    publisher, other = Publisher(topics, 0), Publisher(topics, 1)

    async def fall() -> None:
        with pytest.raises(EPOCH_ERRORS):
            async with topics.epoch(0) as epoch:
                await publisher.commit(epoch, 0)

    async with topics.epoch(0):
        pass  # the header is there
    with proxy.fault(api, Blackhole(), for_id=publisher.id) as hole:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fall)
            await hole.wait_applied()
            began = monotonic()
            with pytest.raises(EPOCH_ERRORS):
                async with topics.epoch(1):
                    pass
        assert monotonic() - began < DEADLINE_S / 2 + CLOSED_S
    for each in (publisher, other):
        await each.publish()
    truth = await topics.committed()
    for each in (publisher, other):
        each.assert_committed(truth)


CUTS = [
    (Api.PRODUCE, REQUEST),
    (Api.END_TXN, RESPONSE),
    (Api.ADD_PARTITIONS_TO_TXN, RESPONSE),
    (Api.INIT_PRODUCER_ID, REQUEST),
    (Api.END_TXN, REQUEST),
]
"""Where the network is cut, one after the other."""


async def test_whenever_the_network_is_cut_nothing_is_lost_or_doubled(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """For everybody at once, wherever they are at that moment, until somebody has lost an epoch of it."""
    topics = Topics(proxy, proxied_broker, prefix, 4, 3)
    await topics.ensure()
    publishers = [Publisher(topics, partition, batches=10_000) for partition in range(4)]

    def lost() -> int:
        return sum(len(publisher.errors) for publisher in publishers)

    async with anyio.create_task_group() as tasks:
        for publisher in publishers:
            tasks.start_soon(publisher.publish)
        for api, direction in CUTS:
            before = lost()
            if api is Api.INIT_PRODUCER_ID:
                tasks.start_soon(_take_over, topics)
            with proxy.fault(api, Blackhole(direction), skip=0 if api is Api.INIT_PRODUCER_ID else 10) as cut:
                await cut.wait_applied()
                while lost() == before:  # noqa: ASYNC110 - a cut is only felt as time passes
                    await anyio.sleep(0.05)
        for publisher in publishers:
            publisher.batches = 0
    truth = await topics.committed()
    for publisher in publishers:
        publisher.batches = publisher.assert_committed(truth, range(10_000))
        async with topics.epoch(publisher.partition) as epoch:
            assert publisher.batches == restored(epoch)


async def _take_over(topics: Topics) -> None:
    with suppress(*EPOCH_ERRORS):
        async with topics.epoch(0):
            pass
