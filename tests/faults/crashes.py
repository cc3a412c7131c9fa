"""Crashes, pauses and restarts of replicas and brokers, and vendors that fail.

Each coroutine injects its fault this many times.
"""

import signal
from functools import partial

import anyio

from collector.crash import POINTS, VARIABLE
from tests.faults.testbed import MAX_WAIT_S, SESSION_TIMEOUT_S, Testbed, now_ms, until_true
from tests.kafka.daemon import until
from tests.kafka.scenario import Replica

FAULT_RATES = {"429": 0.1, "500": 0.1, "truncated": 0.08, "timeout": 0.01, "failed_export": 0.03}
"""The share of the vendors' responses with each fault."""
TRANSACTION_POINTS = ("after_begin", "after_sends", "commit_sent", "after_commit")
FIRST_BATCH = 3
"""The number of the first transaction with a batch: the two epochs, one for each account, commit a barrier before."""


async def killed_at_random(testbed: Testbed, times: int) -> int:
    """Kill -9 of the owner, with and without another replica that takes over."""
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
    """Kill -9 at each step of an epoch, including its barrier and its restore, and at each step of a transaction.

    The latter first in the barrier's transaction, then in a batch's.
    """
    replica = testbed.replica()
    await testbed.wait_for_event()
    replica.kill()
    count = 0
    for number in range(times):
        for point in POINTS:
            nth = 1 + number * (FIRST_BATCH if point in TRANSACTION_POINTS else 1)
            replica.start(**{VARIABLE: f"{point}:{nth}"})
            await until_true(partial(_has_ended, replica), f"the process ends at {point}")
            count += 1
    replica.start()
    await testbed.wait_for_recovery()
    return count


async def paused(testbed: Testbed, times: int) -> int:
    """SIGSTOP beyond the session timeout, then SIGCONT: a zombie that still treats its former partitions as its own."""
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
    """Replicas join, and leave by SIGTERM; up to three run at a time."""
    testbed.replica()
    await testbed.wait_for_event()
    for _ in range(times):
        running = [each for each in testbed.replicas if each.is_running()]
        if len(running) > 1 and (len(running) > 2 or testbed.random.random() < 0.5):
            leaving = testbed.random.choice(running)
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
    """Three replicas under load; each in turn is stopped cleanly, and restarted."""
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
    """The only broker is alternately killed by kill -9 and stopped cleanly, and restarts with its data."""
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
    """Each node of a cluster in turn, with the leaders and coordinators on it, is killed and restarted."""
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


async def vendors_fail(testbed: Testbed, times: int) -> int:
    """The vendors respond with 429, 500, truncated responses and failed exports, or not at all."""
    with testbed.faults.at(FAULT_RATES):
        testbed.replica()
        counts = testbed.faults.counts
        await until_true(lambda: counts.total() >= times, "the vendors have failed often enough", 240)
    await testbed.wait_for_recovery()
    return counts.total()
