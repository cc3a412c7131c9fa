"""A replica's log lines cannot be written."""

import signal
from functools import partial

import anyio

from tests.faults.testbed import MAX_WAIT_S, Testbed
from tests.kafka.daemon import until
from tests.kafka.log_targets import ERRORS, TARGETS
from tests.kafka.scenario import Replica

STOP_S = 30.0
"""A replica needs up to 25 s to stop; the rest is for a busy machine."""


async def log_target_fails(testbed: Testbed, times: int) -> int:
    """A replica runs with each target in turn, loses log lines, and is stopped by SIGTERM when the next one runs."""
    before: Replica | None = None
    for target in TARGETS * times:
        replica = testbed.replica(target=target)
        await until(replica.is_ready, f"the replica with log target {target.name!r} is ready", MAX_WAIT_S)
        if before is not None:
            before.send(signal.SIGTERM)
            assert 0 == await anyio.to_thread.run_sync(before.wait, STOP_S)
            testbed.replicas.remove(before)
        await testbed.wait_for_recovery()
        if not target.is_writable:
            await until(
                partial(_loses_lines, replica), f"the replica with log target {target.name!r} loses lines", MAX_WAIT_S
            )
            await testbed.wait_for_recovery()
        before = replica
    return times * len(TARGETS)


async def _loses_lines(replica: Replica) -> bool:
    return await replica.metric(ERRORS) > 0
