"""Network faults between the collector and its brokers, or its vendors."""

from collections.abc import Collection
from functools import partial

import anyio

from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.vidicenter import MAX_RUNNING_EXPORTS, VidiCenter
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.faults.faults import RESPONSE, Action, Blackhole, Delay, Drop, Reset
from tests.faults.forwarder import Forwarder
from tests.faults.kafka_protocol import GROUP_APIS, Api
from tests.faults.testbed import MAX_WAIT_S, SESSION_TIMEOUT_S, Testbed
from tests.kafka.daemon import until
from tests.kafka.scenario import Replica

REQUESTS: dict[str, Collection[int]] = {
    "produce": [Api.PRODUCE],
    "commit": [Api.END_TXN],
    "init": [Api.INIT_PRODUCER_ID],
    "group": GROUP_APIS,
}
FENCED = 'collector_transactions_total{outcome="fenced"}'
ACTIONS: tuple[Action, ...] = (Drop(RESPONSE), Delay(4), Reset(RESPONSE), Blackhole())


async def network_fails(testbed: Testbed, times: int) -> int:
    """Each action on each kind of request, this many times, for both replicas."""
    for _ in range(2):
        testbed.replica(testbed.cluster.proxied_address)
    await testbed.wait_for_event()
    for _ in range(times):
        for name, apis in REQUESTS.items():
            for action in ACTIONS:
                await _fails(testbed, name, apis, action)
    return times * len(REQUESTS) * len(ACTIONS)


async def cut_off_from_the_group(testbed: Testbed, times: int) -> int:
    """One of two replicas loses all group requests for longer than its session; its other requests pass.

    The other replica takes over, and fences it. It must not fence the other one before it is a member again.
    """
    (proxy,) = testbed.cluster.proxies
    cut, other = testbed.replica(testbed.cluster.proxied_address), testbed.replica()
    await testbed.wait_for_event()
    for _ in range(times):
        await _make_owner(testbed, cut, other)
        with proxy.fault({*GROUP_APIS, Api.FIND_COORDINATOR}, Drop()) as fault:
            await anyio.sleep(SESSION_TIMEOUT_S + 5)
            await testbed.wait_for_recovery()
            assert fault.applied > 0
            assert 0 == await other.metric(FENCED), "the replicas fence each other in turns"
        await testbed.wait_for_recovery()  # the group may give a partition back, while the other replica commits
    assert await cut.metric(FENCED) > 0
    return times


async def cut_off_from_one_of_three(testbed: Testbed, times: int) -> int:
    """One of two replicas cannot reach one node for longer than its session, each in turn; the other reaches all.

    The node may be the coordinator of its group or of its transactions, or lead some partitions. Work that the replica
    cannot do is done by the other one, or later.
    """
    cut, other = testbed.replica(testbed.cluster.proxied_address), testbed.replica()
    await testbed.wait_for_event()
    for number in range(times):
        await _make_owner(testbed, cut, other)
        before = await cut.metric(FENCED) + await other.metric(FENCED)
        with testbed.cluster.proxies[number % 3].blackhole():
            await anyio.sleep(SESSION_TIMEOUT_S + testbed.random.uniform(3, 9))
        await testbed.wait_for_recovery()
        fences = await cut.metric(FENCED) + await other.metric(FENCED) - before
        assert fences <= 4, (
            "the replicas fence each other in turns"
        )  # one for each partition that moves to the other replica, and back
    return times


async def cut_off_from_the_vendors(testbed: Testbed, times: int) -> int:
    """The replica that runs a source cannot reach its vendor, and stays the owner, because Kafka is available.

    It reports that it backs off, and recovers by itself. Responses to earlier requests arrive late; no export is
    requested while the vendor builds as many as it allows.
    """
    forwarders: dict[Replica, Forwarder] = {}
    for _ in range(2):
        forwarder = await testbed.resources.enter_async_context(Forwarder(testbed.vendors.address).serving())
        forwarders[testbed.replica(vendors=forwarder.address)] = forwarder
    await testbed.wait_for_event()
    for number in range(times):
        source = (QUIVIDI, SEEMETRIX)[number // 2 % 2]
        owner = await testbed.owner(source)
        with forwarders[owner].cut(silent=number % 2 == 0):
            await until(partial(_backs_off, owner, source), "the owner reports that it backs off", MAX_WAIT_S)
            await anyio.sleep(SESSION_TIMEOUT_S + testbed.random.uniform(0, 2))
            assert [owner] == await testbed.owners(source)
            assert await _backs_off(owner, source)
        await testbed.wait_for_recovery()
    assert MAX_RUNNING_EXPORTS >= testbed.vendors.vendor(VidiCenter).max_running
    assert 0 == testbed.vendors.vendor(VidiCenter).refused
    return times


async def _backs_off(replica: Replica, source: str) -> bool:
    row = (await replica.streams()).get(source, {})
    return row.get("state") == "backing_off" and bool(row["last_error"])


async def _make_owner(testbed: Testbed, replica: Replica, other: Replica) -> None:
    while replica not in await testbed.owners():
        await anyio.to_thread.run_sync(
            other.stop
        )  # in a thread: its last commit may pass through a proxy in this event loop
        await testbed.wait_for_event()
        other.start()
        await until(other.is_ready, "the other replica is ready", MAX_WAIT_S)


async def _fails(testbed: Testbed, name: str, apis: Collection[int], action: Action) -> None:
    (proxy,) = testbed.cluster.proxies
    with proxy.fault(apis, action, times=1) as fault:
        if name == "init":  # a replica must take a partition over
            owner = await testbed.owner()
            owner.kill()
            owner.start()
        with anyio.fail_after(MAX_WAIT_S):
            await fault.wait_applied()
        await anyio.sleep(testbed.random.uniform(0.5, 6))
    await testbed.wait_for_recovery()
