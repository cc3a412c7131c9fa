"""What the network does between the collector and the broker: in produce, in commit, in init, in group calls alone."""

from collections.abc import Collection

import anyio

from tests.faults.faults import RESPONSE, Action, Blackhole, Delay, Drop, Reset
from tests.faults.proxy import Proxy
from tests.faults.scenarios import Fault
from tests.faults.stage import PATIENCE_S, SESSION_TIMEOUT_S, Stage
from tests.faults.wire import GROUP_CALLS, Api
from tests.kafka.daemon import until

PLACES: dict[str, Collection[int]] = {
    "produce": [Api.PRODUCE],
    "commit": [Api.END_TXN],
    "init": [Api.INIT_PRODUCER_ID],
    "group": GROUP_CALLS,
}
FENCED = 'collector_transactions_total{outcome="fenced"}'
ACTIONS: tuple[Action, ...] = (Drop(RESPONSE), Delay(4), Reset(RESPONSE), Blackhole())


def network_fails(proxy: Proxy) -> Fault:
    """Each of the actions in each of the places, so many times."""

    async def fault(stage: Stage, times: int) -> int:
        for _ in range(2):
            stage.replica()
        await stage.flows()
        for _ in range(times):
            for place, apis in PLACES.items():
                for action in ACTIONS:
                    await _once(stage, proxy, place, apis, action)
        return times * len(PLACES) * len(ACTIONS)

    return fault


def cut_off_from_the_group(proxy: Proxy) -> Fault:
    """One of two replicas hears nothing of the group for longer than its session, while all else reaches it.

    The other takes over, and fences it; it must not fence the other in its turn before it is a member again.
    """

    async def fault(stage: Stage, times: int) -> int:
        cut, other = stage.replica(proxy.address), stage.replica()
        await stage.flows()
        for _ in range(times):
            while cut not in await stage.owners():
                other.end()
                await stage.flows()
                other.start()
                await until(other.is_ready, "the other replica is there", PATIENCE_S)
            with proxy.fault({*GROUP_CALLS, Api.FIND_COORDINATOR}, Drop()) as happening:
                await anyio.sleep(SESSION_TIMEOUT_S + 5)
                await stage.flows()
                assert happening.applied > 0
            await stage.flows()
        assert await cut.metric(FENCED) > 0
        assert 0 == await other.metric(FENCED), "they fence each other in turns"
        return times

    return fault


async def _once(stage: Stage, proxy: Proxy, place: str, apis: Collection[int], action: Action) -> None:
    with proxy.fault(apis, action, times=1) as happening:
        if place == "init":  # somebody must take a partition over
            owner = await stage.owner()
            owner.kill()
            owner.start()
        with anyio.fail_after(PATIENCE_S):
            await happening.happened()
        await anyio.sleep(stage.random.uniform(0.5, 6))
    await stage.flows()
