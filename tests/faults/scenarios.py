"""The faults of the delivery page, each a coroutine that does it so many times to a stage."""

import signal
from functools import partial

import anyio

from collector.crash import POINTS, VARIABLE
from tests.faults.stage import PATIENCE_S, SESSION_TIMEOUT_S, Stage, now_ms, patiently
from tests.kafka.daemon import until
from tests.kafka.town import Replica

UNWELL = {"429": 0.1, "500": 0.1, "truncated": 0.08, "timeout": 0.01, "failed_export": 0.03}
"""How often a vendor that is unwell answers so."""
OF_TRANSACTIONS = ("after_begin", "after_sends", "commit_sent", "after_commit")
TRANSACTIONS_BEFORE = 3
"""Two accounts, so two epochs, have a barrier each: the next transaction is a batch's."""


async def killed_at_random(stage: Stage, times: int) -> int:
    """Kill -9 of the owner, with another replica that takes over or without one."""
    stage.replica()
    second = stage.replica()
    killed_ms = 0
    for number in range(times):
        await anyio.sleep(stage.random.uniform(0.2, 3.0))
        victim = await stage.owner() if number % 2 else stage.random.choice(stage.replicas)
        killed_ms = now_ms()
        victim.kill()
        if number % 5 == 0 and victim is not second:
            second.kill()
            second.start()
        victim.start()
    await stage.recovers(killed_ms)
    return times


async def killed_at_each_step(stage: Stage, times: int) -> int:
    """Kill -9 after init and the barrier, in the middle of a restore; after begin, the sends, in the commit, after it.

    The last four first of the barrier's transaction, then of a batch's.
    """
    replica = stage.replica()
    await stage.flows()
    replica.kill()
    count = 0
    for number in range(times):
        for point in POINTS:
            nth = 1 + number * (TRANSACTIONS_BEFORE if point in OF_TRANSACTIONS else 1)
            replica.start(**{VARIABLE: f"{point}:{nth}"})
            await patiently(partial(_has_ended, replica), f"the process dies {point}")
            count += 1
    replica.start()
    await stage.recovers()
    return count


async def paused(stage: Stage, times: int) -> int:
    """SIGSTOP beyond the session timeout, then SIGCONT: a zombie that believes it owns what another took over."""
    stage.replica()
    stage.replica()
    for _ in range(times):
        await stage.flows()
        zombie = await stage.owner()
        paused_ms = now_ms()
        zombie.send(signal.SIGSTOP)
        await anyio.sleep(SESSION_TIMEOUT_S + stage.random.uniform(1, 3))
        await stage.recovers(paused_ms)
        zombie.send(signal.SIGCONT)
        await anyio.sleep(1)
        await stage.recovers()
    return times


async def joining_and_leaving(stage: Stage, times: int) -> int:
    """Replicas come and go, by SIGTERM, up to three at a time."""
    stage.replica()
    await stage.flows()
    for _ in range(times):
        living = [each for each in stage.replicas if each.lives()]
        if len(living) > 1 and (len(living) > 2 or stage.random.random() < 0.5):
            leaving = stage.random.choice(living)
            leaving.send(signal.SIGTERM)
            await patiently(partial(_has_ended, leaving), "a replica ends")
            stage.replicas.remove(leaving)
        else:
            stage.replica()
        moment_ms = now_ms()
        await anyio.sleep(stage.random.uniform(0.2, 2))
        await stage.recovers(moment_ms)
    return times


async def rolling_restart(stage: Stage, times: int) -> int:
    """Three replicas under load; each in turn is stopped cleanly, and started again."""
    for _ in range(3):
        stage.replica()
    await stage.flows()
    for number in range(times):
        restarting = stage.replicas[number % 3]
        await until(restarting.is_ready, "the replica is ready", PATIENCE_S)
        restarting.send(signal.SIGTERM)
        await patiently(partial(_has_ended, restarting), "a replica ends")
        restarting.start()
        await stage.recovers()
    return times


def _has_ended(replica: Replica) -> bool:
    return not replica.lives()


async def broker_killed(stage: Stage, times: int) -> int:
    """The only broker dies by kill -9, and by turns is stopped cleanly, and comes back with what it had on disk."""
    (broker,) = stage.cluster.nodes
    stage.replica()
    for number in range(times):
        await stage.flows()
        if number % 2:
            await anyio.to_thread.run_sync(broker.stop)
        else:
            broker.kill()
        await anyio.sleep(stage.random.uniform(0.5, 3))
        await anyio.to_thread.run_sync(broker.start)
        await stage.recovers()
    return times


async def one_of_three_dies(stage: Stage, times: int) -> int:
    """Each node of a cluster in turn, with the leaders and coordinators that it has, is killed and comes back."""
    for _ in range(2):
        stage.replica()
    for number in range(times):
        await stage.flows()
        node = stage.cluster.nodes[number % 3]
        killed_ms = now_ms()
        node.kill()
        await anyio.sleep(stage.random.uniform(4, 8))
        await stage.recovers(killed_ms)
        await anyio.to_thread.run_sync(node.start)
        await anyio.sleep(3)
    await stage.recovers()
    return times


async def vendors_unwell(stage: Stage, times: int) -> int:
    """429, 500, silence, truncated answers and failed exports, some of each."""
    with stage.faults.at(UNWELL):
        stage.replica()
        counts = stage.faults.counts
        await patiently(lambda: counts.total() >= times, "the vendors have been unwell often enough", 240)
    await stage.recovers()
    return counts.total()
