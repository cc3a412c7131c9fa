"""A deposed leader that does not know it: it still responds to clients that reach it, from its outdated log."""

import signal
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path

import anyio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from confluent_kafka import ElectionType, TopicPartition
from confluent_kafka.admin import AdminClient
from msgspec import Struct

from collector.kafka.settings import STATE_TOPIC
from collector.pipeline.message import PROGRESS
from tests.faults.brokers import Cluster, ProxiedBroker
from tests.faults.faults import Reset
from tests.faults.forwarder import Forwarder
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy
from tests.faults.testbed import MAX_WAIT_S, Testbed, until_true
from tests.kafka.broker import Broker, free_port
from tests.kafka.daemon import until
from tests.kafka.scenario import ALL_TOPICS, Replica

HEALTHY, DEPOSED = 1, 2
"""Ids of the nodes: the first is also the controller, and the link between them can be cut."""
STATE_PARTITIONS, PARTITIONS, INTERNAL_PARTITIONS = 4, 3, 4
"""As in the replicas' configuration and in the brokers' properties."""
MIN_MISSING_EVENTS = 100
"""Events that are published after the deposition, before the collector restarts: about five seconds of them."""
MISLED_S = 12.0
"""How long a restarted replica receives metadata only from the deposed leader, unless it restores its state earlier.

Twice the deadline of a commit.
"""
_COMPACT = {"cleanup.policy": "compact"}


class TwoNodeCluster(Cluster, frozen=True):
    """Two nodes that replicate every topic: first the one that can be cut off, then the controller."""

    link: Forwarder
    """From the first node to the controller."""

    @property
    def reader_address(self) -> str:
        """The node that is always up to date."""
        return self.nodes[1].address


class View(Struct, frozen=True):
    """The metadata that one node has of a topic."""

    leaders: frozenset[int]
    in_sync: frozenset[int]
    """Nodes that are in sync in every partition."""


@asynccontextmanager
async def two_node_cluster(home: Path) -> AsyncIterator[TwoNodeCluster]:
    """A running cluster until the end of the block. The controller leads all partitions that a test does not place."""
    port = free_port()
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(Forwarder(f"http://127.0.0.1:{port}").serving())
        link_address = link.address.removeprefix("http://")
        healthy = stack.enter_context(closing(ProxiedBroker(home / "node1", HEALTHY, [port], nodes=2)))
        healthy.advertise_controller(link_address)  # otherwise the other node would bypass the link
        link_port = int(link_address.rpartition(":")[2])
        deposed = stack.enter_context(closing(ProxiedBroker(home / "node2", DEPOSED, [link_port], nodes=2)))
        for node in (healthy, deposed):
            node.launch()
        for node in (healthy, deposed):
            await anyio.to_thread.run_sync(node.wait_until_ready)  # in a thread: the link runs in this event loop
        proxies = [Proxy(node.upstream_address, node.proxy_port) for node in (deposed, healthy)]
        for proxy in proxies:
            await stack.enter_async_context(proxy.serving())
        for name in ("__consumer_offsets", "__transaction_state"):  # so that both nodes name the same coordinators
            await _create(healthy, [_topic(name, INTERNAL_PARTITIONS, HEALTHY, _COMPACT)])
        yield TwoNodeCluster([deposed, healthy], proxies, link)


async def deposed_leader(testbed: Testbed, times: int) -> int:
    """The leader of the state topic is cut off from the controller, and still claims to lead; the collector restarts.

    What the collector commits through the new leader meanwhile is not in the deposed leader's log. Normally, chance
    decides which node a client receives metadata from. Here, a restarted replica receives it from the deposed leader
    until it has restored its state, or has tried to for a while, and then from the other node. Restarts by SIGTERM and
    by kill -9 alternate, and so do links that are silent and links that are closed. Recoveries count from the moment
    when the replica may receive correct metadata, while the link is still cut, and from the end of the cut.
    """
    cluster = testbed.cluster
    assert isinstance(cluster, TwoNodeCluster)
    healthy, state = cluster.nodes[1], testbed.prefix + STATE_TOPIC
    await _create(healthy, [_topic(state, STATE_PARTITIONS, DEPOSED, _COMPACT)])
    await _create(healthy, [_topic(testbed.prefix + name, PARTITIONS, HEALTHY, {}) for name in ALL_TOPICS])
    await _create(healthy, [_topic(testbed.prefix + PROGRESS.topic, PARTITIONS, HEALTHY, _COMPACT)])
    replica = testbed.replica(cluster.proxied_address)
    await testbed.wait_for_all_sources()
    for number in range(times):
        # If this event loop, in which the link runs, is busy for too long, the leader is deposed by that too.
        while not await _leads(healthy, state, DEPOSED):
            await _reelect(cluster, state)
            await testbed.wait_for_all_sources()
        with cluster.link.cut(silent=number % 2 == 0):
            await _depose(testbed, cluster)
            await _stop(replica, number)
            await _assert_outdated(cluster, state)
            await _restart(testbed, cluster, replica)
            await _assert_outdated(cluster, state)
        await testbed.wait_for_recovery()
    return times


async def _depose(testbed: Testbed, cluster: TwoNodeCluster) -> None:
    """Return when there is a new leader, and its log is much longer than that of the deposed one."""
    with cluster.proxies[0].fault(Api.METADATA, Reset()):
        state = testbed.prefix + STATE_TOPIC
        await until(partial(_leads, cluster.nodes[1], state, HEALTHY), "the leader is deposed", MAX_WAIT_S)
        await testbed.wait_for_all_sources()
        before = len(testbed.received)
        await until_true(
            lambda: len(testbed.received) >= before + MIN_MISSING_EVENTS, "the deposed leader's log is outdated"
        )


async def _restart(testbed: Testbed, cluster: TwoNodeCluster, replica: Replica) -> None:
    of_deposed, of_healthy = cluster.proxies
    replica.start()
    with of_healthy.fault(Api.METADATA, Reset()) as misled:
        with anyio.fail_after(MAX_WAIT_S):
            await misled.wait_applied()
        with anyio.move_on_after(MISLED_S):
            await until(partial(_has_restored, replica), "the replica has restored its state")
    with of_deposed.fault(Api.METADATA, Reset()):
        await testbed.wait_for_recovery()


async def _stop(replica: Replica, number: int) -> None:
    if number % 2:
        replica.kill()
    else:
        replica.send(signal.SIGTERM)
        await until_true(lambda: not replica.is_running(), "the replica stops")


async def _has_restored(replica: Replica) -> bool:
    states = await replica.states()
    return bool(states) and not states & {"not_owned", "restoring"}


async def _reelect(cluster: TwoNodeCluster, topic: str) -> None:
    """Make the first node the leader of the topic again, once it is in sync."""
    deposed, healthy = cluster.nodes
    admin = AdminClient({"bootstrap.servers": healthy.address})
    partitions = [TopicPartition(topic, number) for number in range(STATE_PARTITIONS)]

    async def is_back() -> bool:
        if (await _view(healthy, topic)).in_sync < {HEALTHY, DEPOSED}:
            return False
        election = admin.elect_leaders(ElectionType.PREFERRED, partitions)
        await anyio.to_thread.run_sync(election.result)
        return await _leads(healthy, topic, DEPOSED) and await _leads(deposed, topic, DEPOSED)

    await until(is_back, "the first node leads the state topic again", MAX_WAIT_S)


async def _leads(broker: Broker, topic: str, node: int) -> bool:
    """Whether the node leads all partitions of the topic, by the broker's metadata."""
    return (await _view(broker, topic)).leaders == {node}


async def _assert_outdated(cluster: TwoNodeCluster, topic: str) -> None:
    """The first node claims to lead the topic that the second leads, and serves fetches of it from a shorter log."""
    deposed, healthy = cluster.nodes
    assert {DEPOSED} == (await _view(deposed, topic)).leaders
    assert {HEALTHY} == (await _view(healthy, topic)).leaders
    old, new = await _ends(deposed, topic), await _ends(healthy, topic)
    assert sum(old.values()) < sum(new.values()), f"the deposed leader's log of {topic} is complete: {old}, {new}"


async def _view(broker: Broker, topic: str) -> View:
    async with _connection(broker) as connection:
        response = (await connection.send(MetadataRequest([topic], allow_auto_topic_creation=False))).to_object()
    partitions = [partition for found in response["topics"] for partition in found["partitions"]]
    in_sync = [frozenset[int](partition["isr"]) for partition in partitions]
    return View(frozenset(partition["leader"] for partition in partitions), frozenset.intersection(*in_sync))


async def _ends(broker: Broker, topic: str) -> dict[int, int]:
    """High watermarks of the partitions, by number, as this node returns them in a fetch response."""
    wanted = [(number, 0, 1) for number in range(STATE_PARTITIONS)]
    async with _connection(broker) as connection:
        request = FetchRequest(max_wait_time=100, min_bytes=1, max_bytes=1, isolation_level=1, topics=[(topic, wanted)])
        response = (await connection.send(request)).to_object()
    found = [partition for topics in response["topics"] for partition in topics["partitions"]]
    assert {0} == {partition["error_code"] for partition in found}
    return {partition["partition"]: partition["highwater_offset"] for partition in found}


@asynccontextmanager
async def _connection(broker: Broker) -> AsyncIterator[AIOKafkaConnection]:
    connection = await create_conn("127.0.0.1", broker.port)
    try:
        yield connection
    finally:
        connection.close()


def _topic(name: str, partitions: int, leader: int, configs: Mapping[str, str]) -> NewTopic:
    """A topic on both nodes, whose preferred leader is `leader`."""
    replicas = sorted((HEALTHY, DEPOSED), key=lambda node: node != leader)
    return NewTopic(name, -1, -1, dict.fromkeys(range(partitions), replicas), dict(configs))


async def _create(broker: Broker, topics: Sequence[NewTopic]) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await client.start()
    try:
        errors: Iterable[tuple[str, int, str]] = (await client.create_topics(topics)).topic_errors
    finally:
        await client.close()
    assert [] == [error for error in errors if error[1]]
