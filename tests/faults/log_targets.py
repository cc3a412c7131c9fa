"""A replica's log lines cannot be written."""

import signal
from functools import partial

import anyio

from tests.faults.testbed import MAX_WAIT_S, Testbed
from tests.kafka.daemon import until
from tests.kafka.log_targets import ERRORS, TARGETS
from tests.kafka.scenario import Replica

STOP_S = 30.0
"""What a replica may need to end by itself: 25, and some for a busy machine."""


async def log_target_fails(testbed: Testbed, times: int) -> int:
    """On each target in turn a replica works alone, loses lines, and hands its work over to the next by SIGTERM."""
    before: Replica | None = None
    for target in TARGETS * times:
        replica = testbed.replica(target=target)
        await until(replica.is_ready, f"a replica is ready: {target.name}", MAX_WAIT_S)
        if before is not None:
            before.send(signal.SIGTERM)
            assert 0 == await anyio.to_thread.run_sync(before.wait, STOP_S)
            testbed.replicas.remove(before)
        await testbed.wait_for_recovery()
        if not target.is_writable:
            await until(partial(_loses_lines, replica), f"lines are lost: {target.name}", MAX_WAIT_S)
            await testbed.wait_for_recovery()
        before = replica
    return times * len(TARGETS)


async def _loses_lines(replica: Replica) -> bool:
    return await replica.metric(ERRORS) > 0
