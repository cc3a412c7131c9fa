"""What the network does between the collector and the broker: in produce, in commit, in init, in group calls alone."""

from collections.abc import Collection

import anyio

from tests.faults.faults import RESPONSE, Action, Blackhole, Delay, Drop, Reset
from tests.faults.proxy import Proxy
from tests.faults.scenarios import Fault
from tests.faults.stage import PATIENCE_S, Stage
from tests.faults.wire import GROUP_CALLS, Api

PLACES: dict[str, Collection[int]] = {
    "produce": [Api.PRODUCE],
    "commit": [Api.END_TXN],
    "init": [Api.INIT_PRODUCER_ID],
    "group": GROUP_CALLS,
}
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
