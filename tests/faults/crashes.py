"""The faults of the delivery page, each a coroutine that does it so many times to a testbed."""

import signal
from functools import partial

import anyio

from collector.crash import POINTS, VARIABLE
from tests.faults.testbed import MAX_WAIT_S, SESSION_TIMEOUT_S, Testbed, now_ms, until_true
from tests.kafka.daemon import until
from tests.kafka.scenario import Replica

UNWELL = {"429": 0.1, "500": 0.1, "truncated": 0.08, "timeout": 0.01, "failed_export": 0.03}
"""How often a vendor that is unwell answers so."""
OF_TRANSACTIONS = ("after_begin", "after_sends", "commit_sent", "after_commit")
TRANSACTIONS_BEFORE = 3
"""Two accounts, so two epochs, have a barrier each: the next transaction is a batch's."""


async def killed_at_random(testbed: Testbed, times: int) -> int:
    """Kill -9 of the owner, with another replica that takes over or without one."""
    testbed.replica()
    second = testbed.replica()
    killed_ms = 0
    for number in range(times):
        await anyio.sleep(testbed.random.uniform(0.2, 3.0))
        victim = await testbed.owner() if number % 2 else testbed.random.choice(testbed.replicas)
        killed_ms = now_ms()
        victim.kill()
        if number % 5 == 0 and victim is not second:
            second.kill()
            second.start()
        victim.start()
    await testbed.wait_for_recovery(killed_ms)
    return times


async def killed_at_each_step(testbed: Testbed, times: int) -> int:
    """Kill -9 after init and the barrier, in the middle of a restore; after begin, the sends, in the commit, after it.

    The last four first of the barrier's transaction, then of a batch's.
    """
    replica = testbed.replica()
    await testbed.wait_for_event()
    replica.kill()
    count = 0
    for number in range(times):
        for point in POINTS:
            nth = 1 + number * (TRANSACTIONS_BEFORE if point in OF_TRANSACTIONS else 1)
            replica.start(**{VARIABLE: f"{point}:{nth}"})
            await until_true(partial(_has_ended, replica), f"the process dies {point}")
            count += 1
    replica.start()
    await testbed.wait_for_recovery()
    return count


async def paused(testbed: Testbed, times: int) -> int:
    """SIGSTOP beyond the session timeout, then SIGCONT: a zombie that believes it owns what another took over."""
    testbed.replica()
    testbed.replica()
    for _ in range(times):
        await testbed.wait_for_event()
        zombie = await testbed.owner()
        paused_ms = now_ms()
        zombie.send(signal.SIGSTOP)
        await anyio.sleep(SESSION_TIMEOUT_S + testbed.random.uniform(1, 3))
        await testbed.wait_for_recovery(paused_ms)
        zombie.send(signal.SIGCONT)
        await anyio.sleep(1)
        await testbed.wait_for_recovery()
    return times


async def joining_and_leaving(testbed: Testbed, times: int) -> int:
    """Replicas come and go, by SIGTERM, up to three at a time."""
    testbed.replica()
    await testbed.wait_for_event()
    for _ in range(times):
        living = [each for each in testbed.replicas if each.is_running()]
        if len(living) > 1 and (len(living) > 2 or testbed.random.random() < 0.5):
            leaving = testbed.random.choice(living)
            leaving.send(signal.SIGTERM)
            await until_true(partial(_has_ended, leaving), "a replica ends")
            testbed.replicas.remove(leaving)
        else:
            testbed.replica()
        moment_ms = now_ms()
        await anyio.sleep(testbed.random.uniform(0.2, 2))
        await testbed.wait_for_recovery(moment_ms)
    return times


async def rolling_restart(testbed: Testbed, times: int) -> int:
    """Three replicas under load; each in turn is stopped cleanly, and started again."""
    for _ in range(3):
        testbed.replica()
    await testbed.wait_for_event()
    for number in range(times):
        restarting = testbed.replicas[number % 3]
        await until(restarting.is_ready, "the replica is ready", MAX_WAIT_S)
        restarting.send(signal.SIGTERM)
        await until_true(partial(_has_ended, restarting), "a replica ends")
        restarting.start()
        await testbed.wait_for_recovery()
    return times


def _has_ended(replica: Replica) -> bool:
    return not replica.is_running()


async def broker_killed(testbed: Testbed, times: int) -> int:
    """The only broker dies by kill -9, and by turns is stopped cleanly, and comes back with what it had on disk."""
    (broker,) = testbed.cluster.nodes
    testbed.replica()
    for number in range(times):
        await testbed.wait_for_event()
        if number % 2:
            await anyio.to_thread.run_sync(broker.stop)
        else:
            broker.kill()
        await anyio.sleep(testbed.random.uniform(0.5, 3))
        await anyio.to_thread.run_sync(broker.start)
        await testbed.wait_for_recovery()
    return times


async def one_of_three_dies(testbed: Testbed, times: int) -> int:
    """Each node of a cluster in turn, with the leaders and coordinators that it has, is killed and comes back."""
    for _ in range(2):
        testbed.replica()
    for number in range(times):
        await testbed.wait_for_event()
        node = testbed.cluster.nodes[number % 3]
        killed_ms = now_ms()
        node.kill()
        await anyio.sleep(testbed.random.uniform(4, 8))
        await testbed.wait_for_recovery(killed_ms)
        await anyio.to_thread.run_sync(node.start)
        await anyio.sleep(3)
    await testbed.wait_for_recovery()
    return times


async def vendors_unwell(testbed: Testbed, times: int) -> int:
    """429, 500, silence, truncated answers and failed exports, some of each."""
    with testbed.faults.at(UNWELL):
        testbed.replica()
        counts = testbed.faults.counts
        await until_true(lambda: counts.total() >= times, "the vendors have been unwell often enough", 240)
    await testbed.wait_for_recovery()
    return counts.total()
