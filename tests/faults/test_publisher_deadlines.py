"""A publisher that receives no responses gives up in time, and the next epoch sees which batches are durable."""

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
    pytest.mark.usefixtures("standalone_telemetry"),
    # A connection to the bootstrap server that aiokafka opens while it times out is closed by the garbage collector.
    pytest.mark.filterwarnings("ignore:Unclosed AIOKafkaConnection:ResourceWarning"),
]

TIMEOUT_S = 6
DEADLINE_S = 4.0
"""The deadline of a commit, and of starting an epoch: two thirds of the transaction timeout."""
SLACK_S = 10.0
"""What a slow machine may add; a missing deadline would take longer."""
CLOSE_S = 2.0
CLOSED_S = CLOSE_S + 1 + SLACK_S
"""The deadline of closing an epoch: to abort, to stop, and to cancel a stop that takes too long."""

LOST_FRAMES: list[tuple[Api, Action, set[int]]] = [
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
"""What is lost, and how many of two batches may be durable after it."""


async def test_a_commit_without_a_response_ends_in_time_and_the_next_epoch_sees_its_outcome(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.kafka.producer.CLOSE_S", CLOSE_S)
    topics = Topics(proxy, proxied_broker, prefix, len(LOST_FRAMES), TIMEOUT_S)
    await topics.create()
    publishers = [Publisher(topics, partition) for partition in range(len(LOST_FRAMES))]

    async def lose_frame(publisher: Publisher, api: Api, action: Action, durable: set[int]) -> None:
        async with topics.epoch(publisher.partition) as epoch:
            await publisher.commit(epoch, 0)
            fault = proxy.add(api, action, for_id=publisher.id)
            start_s = monotonic()
            with pytest.raises(EpochEnded):
                await publisher.commit(epoch, 1)
            end_s = monotonic()
            assert isinstance(epoch.failure, TimeoutError)
        assert end_s - start_s < DEADLINE_S + SLACK_S, (api, action)
        assert monotonic() - end_s < CLOSED_S, (api, action)
        assert fault.applied
        proxy.heal(fault)
        async with topics.epoch(publisher.partition) as epoch:
            assert restored(epoch) in durable, (api, action)
            await publisher.publish_rest(epoch)

    async with anyio.create_task_group() as tasks:
        for publisher, lost_frame in zip(publishers, LOST_FRAMES, strict=True):
            tasks.start_soon(lose_frame, publisher, *lost_frame)
    committed = await topics.committed()
    for publisher in publishers:
        publisher.assert_committed(committed)


@pytest.mark.parametrize("direction", Direction)
async def test_an_epoch_that_cannot_start_ends_in_time(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch, direction: Direction
) -> None:
    """While it takes over, and while it restores, which has a deadline for progress."""
    monkeypatch.setattr("collector.kafka.reader.MAX_STALL_S", DEADLINE_S / 2)
    topics = Topics(proxy, proxied_broker, prefix, 3, TIMEOUT_S)
    await topics.create()
    publishers = [Publisher(topics, partition) for partition in range(3)]
    async with anyio.create_task_group() as tasks:
        for publisher in publishers:
            tasks.start_soon(publisher.publish)
    faults = [proxy.add(Api.INIT_PRODUCER_ID, Drop(direction), for_id=publishers[0].id)]
    faults.append(proxy.add(Api.FETCH, Drop(direction)))

    async def start_epoch(publisher: Publisher) -> None:
        start_s = monotonic()
        with pytest.raises((TimeoutError, KafkaError)):
            async with topics.epoch(publisher.partition):
                pass
        assert monotonic() - start_s < DEADLINE_S + CLOSED_S

    async with anyio.create_task_group() as tasks:
        for publisher in publishers:
            tasks.start_soon(start_epoch, publisher)
    assert all(fault.applied for fault in faults)
    proxy.heal()
    committed = await topics.committed()
    for publisher in publishers:
        async with topics.epoch(publisher.partition) as epoch:
            assert publisher.assert_committed(committed) == restored(epoch)


@pytest.mark.parametrize("api", [Api.PRODUCE, Api.END_TXN, Api.INIT_PRODUCER_ID], ids=lambda api: api.name)
async def test_in_a_blackhole_everything_ends_in_time(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch, api: Api
) -> None:
    """A commit or a takeover at its start, and an epoch that starts later."""
    monkeypatch.setattr("collector.kafka.producer.CLOSE_S", CLOSE_S / 2)
    topics = Topics(proxy, proxied_broker, prefix, 2, 3)
    await topics.create()
    publisher, other = Publisher(topics, 0), Publisher(topics, 1)

    async def commit_or_take_over() -> None:
        with pytest.raises(EPOCH_ERRORS):
            async with topics.epoch(0) as epoch:
                await publisher.commit(epoch, 0)

    async with topics.epoch(0):
        pass  # commits the header
    with proxy.fault(api, Blackhole(), for_id=publisher.id) as hole:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(commit_or_take_over)
            await hole.wait_applied()
            start_s = monotonic()
            with pytest.raises(EPOCH_ERRORS):
                async with topics.epoch(1):
                    pass
        assert monotonic() - start_s < DEADLINE_S / 2 + CLOSED_S
    for each in (publisher, other):
        await each.publish()
    committed = await topics.committed()
    for each in (publisher, other):
        each.assert_committed(committed)


CUTS = [
    (Api.PRODUCE, REQUEST),
    (Api.END_TXN, RESPONSE),
    (Api.ADD_PARTITIONS_TO_TXN, RESPONSE),
    (Api.INIT_PRODUCER_ID, REQUEST),
    (Api.END_TXN, REQUEST),
]
"""The frames at which the network is cut, one after the other."""


async def test_a_cut_network_loses_and_duplicates_nothing(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """All publishers are cut off at once, wherever they are, until one has lost its epoch."""
    topics = Topics(proxy, proxied_broker, prefix, 4, 3)
    await topics.create()
    publishers = [Publisher(topics, partition, batches=10_000) for partition in range(4)]

    def lost_epochs() -> int:
        return sum(len(publisher.errors) for publisher in publishers)

    async with anyio.create_task_group() as tasks:
        for publisher in publishers:
            tasks.start_soon(publisher.publish)
        for api, direction in CUTS:
            before = lost_epochs()
            if api is Api.INIT_PRODUCER_ID:
                tasks.start_soon(_take_over, topics)
            with proxy.fault(api, Blackhole(direction), skip=0 if api is Api.INIT_PRODUCER_ID else 10) as cut:
                await cut.wait_applied()
                while lost_epochs() == before:  # noqa: ASYNC110 - deadlines must expire
                    await anyio.sleep(0.05)
        for publisher in publishers:
            publisher.batches = 0
    committed = await topics.committed()
    for publisher in publishers:
        publisher.batches = publisher.assert_committed(committed, range(10_000))
        async with topics.epoch(publisher.partition) as epoch:
            assert publisher.batches == restored(epoch)


async def _take_over(topics: Topics) -> None:
    with suppress(*EPOCH_ERRORS):
        async with topics.epoch(0):
            pass
