"""What the network does between the collector and its brokers, or its vendors."""

from collections.abc import Collection
from functools import partial

import anyio

from collector.commands.verdict import QUIVIDI, SEEMETRIX
from collector.simulator.vidicenter import MAX_RUNNING_EXPORTS
from tests.faults.faults import RESPONSE, Action, Blackhole, Delay, Drop, Reset
from tests.faults.forwarder import Forwarder
from tests.faults.kafka_protocol import GROUP_APIS, Api
from tests.faults.testbed import MAX_WAIT_S, SESSION_TIMEOUT_S, Testbed
from tests.kafka.daemon import until
from tests.kafka.scenario import Replica

PLACES: dict[str, Collection[int]] = {
    "produce": [Api.PRODUCE],
    "commit": [Api.END_TXN],
    "init": [Api.INIT_PRODUCER_ID],
    "group": GROUP_APIS,
}
FENCED = 'collector_transactions_total{outcome="fenced"}'
ACTIONS: tuple[Action, ...] = (Drop(RESPONSE), Delay(4), Reset(RESPONSE), Blackhole())


async def network_fails(testbed: Testbed, times: int) -> int:
    """Each of the actions in each of the places, so many times, for all replicas."""
    for _ in range(2):
        testbed.replica(testbed.cluster.proxied_address)
    await testbed.wait_for_event()
    for _ in range(times):
        for place, apis in PLACES.items():
            for action in ACTIONS:
                await _fails(testbed, place, apis, action)
    return times * len(PLACES) * len(ACTIONS)


async def cut_off_from_the_group(testbed: Testbed, times: int) -> int:
    """One of two replicas hears nothing of the group for longer than its session, while all else reaches it.

    The other takes over, and fences it; it must not fence the other in its turn before it is a member again.
    """
    (proxy,) = testbed.cluster.proxies
    cut, other = testbed.replica(testbed.cluster.proxied_address), testbed.replica()
    await testbed.wait_for_event()
    for _ in range(times):
        await _made_the_owner(testbed, cut, other)
        with proxy.fault({*GROUP_APIS, Api.FIND_COORDINATOR}, Drop()) as happening:
            await anyio.sleep(SESSION_TIMEOUT_S + 5)
            await testbed.wait_for_recovery()
            assert happening.applied > 0
        await testbed.wait_for_recovery()
    assert await cut.metric(FENCED) > 0
    assert 0 == await other.metric(FENCED), "they fence each other in turns"
    return times


async def cut_off_from_one_of_three(testbed: Testbed, times: int) -> int:
    """One of two replicas cannot reach one node in turn, for longer than its session; the other reaches all three.

    It may be cut off from its group, from its transactions or from some topics, as the node has these. What it cannot
    do itself the other does, or it does so later.
    """
    cut, other = testbed.replica(testbed.cluster.proxied_address), testbed.replica()
    await testbed.wait_for_event()
    for number in range(times):
        await _made_the_owner(testbed, cut, other)
        before = await cut.metric(FENCED) + await other.metric(FENCED)
        with testbed.cluster.proxies[number % 3].blackhole():
            await anyio.sleep(SESSION_TIMEOUT_S + testbed.random.uniform(3, 9))
        await testbed.wait_for_recovery()
        fences = await cut.metric(FENCED) + await other.metric(FENCED) - before
        assert fences <= 4, "they fence each other in turns"  # one for each partition that another took over, and back
    return times


async def cut_off_from_the_vendors(testbed: Testbed, times: int) -> int:
    """Of two replicas the one that runs a source cannot reach its vendor, and stays the owner: Kafka is well.

    It tells that it backs off, and goes on by itself. What it had asked for comes late; no export is asked for while
    the vendor builds as many as it allows.
    """
    ways: dict[Replica, Forwarder] = {}
    for _ in range(2):
        way = await testbed.around.enter_async_context(Forwarder(testbed.vendors.address).serving())
        ways[testbed.replica(vendors=way.address)] = way
    await testbed.wait_for_event()
    for number in range(times):
        source = (QUIVIDI, SEEMETRIX)[number // 2 % 2]
        owner = await testbed.owner(source)
        with ways[owner].cut(silent=number % 2 == 0):
            await until(partial(_backs_off, owner, source), "its owner tells that it backs off", MAX_WAIT_S)
            await anyio.sleep(SESSION_TIMEOUT_S + testbed.random.uniform(0, 2))
            assert [owner] == await testbed.owners(source)
            assert await _backs_off(owner, source)
        await testbed.wait_for_recovery()
    assert MAX_RUNNING_EXPORTS >= testbed.vendors.vidicenter.most_at_once
    assert 0 == testbed.vendors.vidicenter.refused
    return times


async def _backs_off(replica: Replica, source: str) -> bool:
    row = (await replica.streams()).get(source, {})
    return row.get("state") == "backing_off" and bool(row["last_error"])


async def _made_the_owner(testbed: Testbed, replica: Replica, other: Replica) -> None:
    while replica not in await testbed.owners():
        await anyio.to_thread.run_sync(other.stop)  # it may have to commit through a proxy in this loop
        await testbed.wait_for_event()
        other.start()
        await until(other.is_ready, "the other replica is there", MAX_WAIT_S)


async def _fails(testbed: Testbed, place: str, apis: Collection[int], action: Action) -> None:
    (proxy,) = testbed.cluster.proxies
    with proxy.fault(apis, action, times=1) as happening:
        if place == "init":  # somebody must take a partition over
            owner = await testbed.owner()
            owner.kill()
            owner.start()
        with anyio.fail_after(MAX_WAIT_S):
            await happening.wait_applied()
        await anyio.sleep(testbed.random.uniform(0.5, 6))
    await testbed.wait_for_recovery()
