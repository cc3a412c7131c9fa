"""What the network does between the collector and its brokers, or its vendors."""

from collections.abc import Collection
from functools import partial

import anyio

from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.vidicenter import MAX_RUNNING_EXPORTS, VidiCenter
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.faults.faults import RESPONSE, Action, Blackhole, Delay, Drop, Reset
from tests.faults.forwarder import Forwarder
from tests.faults.stage import PATIENCE_S, SESSION_TIMEOUT_S, Stage
from tests.faults.wire import GROUP_CALLS, Api
from tests.kafka.daemon import until
from tests.kafka.town import Replica

PLACES: dict[str, Collection[int]] = {
    "produce": [Api.PRODUCE],
    "commit": [Api.END_TXN],
    "init": [Api.INIT_PRODUCER_ID],
    "group": GROUP_CALLS,
}
FENCED = 'collector_transactions_total{outcome="fenced"}'
ACTIONS: tuple[Action, ...] = (Drop(RESPONSE), Delay(4), Reset(RESPONSE), Blackhole())


async def network_fails(stage: Stage, times: int) -> int:
    """Each of the actions in each of the places, so many times, for all replicas."""
    for _ in range(2):
        stage.replica(stage.cluster.proxied)
    await stage.flows()
    for _ in range(times):
        for place, apis in PLACES.items():
            for action in ACTIONS:
                await _fails(stage, place, apis, action)
    return times * len(PLACES) * len(ACTIONS)


async def cut_off_from_the_group(stage: Stage, times: int) -> int:
    """One of two replicas hears nothing of the group for longer than its session, while all else reaches it.

    The other takes over, and fences it; it must not fence the other in its turn before it is a member again.
    """
    (proxy,) = stage.cluster.proxies
    cut, other = stage.replica(stage.cluster.proxied), stage.replica()
    await stage.flows()
    for _ in range(times):
        await _made_the_owner(stage, cut, other)
        with proxy.fault({*GROUP_CALLS, Api.FIND_COORDINATOR}, Drop()) as happening:
            await anyio.sleep(SESSION_TIMEOUT_S + 5)
            await stage.recovers()
            assert happening.applied > 0
        await stage.recovers()
    assert await cut.metric(FENCED) > 0
    assert 0 == await other.metric(FENCED), "they fence each other in turns"
    return times


async def cut_off_from_one_of_three(stage: Stage, times: int) -> int:
    """One of two replicas cannot reach one node in turn, for longer than its session; the other reaches all three.

    It may be cut off from its group, from its transactions or from some topics, as the node has these. What it cannot
    do itself the other does, or it does so later.
    """
    cut, other = stage.replica(stage.cluster.proxied), stage.replica()
    await stage.flows()
    for number in range(times):
        await _made_the_owner(stage, cut, other)
        before = await cut.metric(FENCED) + await other.metric(FENCED)
        with stage.cluster.proxies[number % 3].blackhole():
            await anyio.sleep(SESSION_TIMEOUT_S + stage.random.uniform(3, 9))
        await stage.recovers()
        fences = await cut.metric(FENCED) + await other.metric(FENCED) - before
        assert fences <= 4, "they fence each other in turns"  # one for each partition that another took over, and back
    return times


async def cut_off_from_the_vendors(stage: Stage, times: int) -> int:
    """Of two replicas the one that runs a source cannot reach its vendor, and stays the owner: Kafka is well.

    It tells that it backs off, and goes on by itself. What it had asked for comes late; no export is asked for while
    the vendor builds as many as it allows.
    """
    ways: dict[Replica, Forwarder] = {}
    for _ in range(2):
        way = await stage.around.enter_async_context(Forwarder(stage.vendors.address).serving())
        ways[stage.replica(vendors=way.address)] = way
    await stage.flows()
    for number in range(times):
        source = (QUIVIDI, SEEMETRIX)[number // 2 % 2]
        owner = await stage.owner(source)
        with ways[owner].cut(silent=number % 2 == 0):
            await until(partial(_backs_off, owner, source), "its owner tells that it backs off", PATIENCE_S)
            await anyio.sleep(SESSION_TIMEOUT_S + stage.random.uniform(0, 2))
            assert [owner] == await stage.owners(source)
            assert await _backs_off(owner, source)
        await stage.recovers()
    assert MAX_RUNNING_EXPORTS >= stage.vendors.vendor(VidiCenter).max_running
    assert 0 == stage.vendors.vendor(VidiCenter).refused
    return times


async def _backs_off(replica: Replica, source: str) -> bool:
    row = (await replica.streams()).get(source, {})
    return row.get("state") == "backing_off" and bool(row["last_error"])


async def _made_the_owner(stage: Stage, replica: Replica, other: Replica) -> None:
    while replica not in await stage.owners():
        await anyio.to_thread.run_sync(other.end)  # it may have to commit through a proxy in this loop
        await stage.flows()
        other.start()
        await until(other.is_ready, "the other replica is there", PATIENCE_S)


async def _fails(stage: Stage, place: str, apis: Collection[int], action: Action) -> None:
    (proxy,) = stage.cluster.proxies
    with proxy.fault(apis, action, times=1) as happening:
        if place == "init":  # somebody must take a partition over
            owner = await stage.owner()
            owner.kill()
            owner.start()
        with anyio.fail_after(PATIENCE_S):
            await happening.happened()
        await anyio.sleep(stage.random.uniform(0.5, 6))
    await stage.recovers()
