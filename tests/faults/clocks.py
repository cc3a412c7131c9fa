"""The collector's own clock is wrong."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.testbed import MAX_WAIT_S, Testbed
from tests.kafka import clock_skew
from tests.kafka.daemon import until
from tests.kafka.scenario import Replica

AHEAD_S = 2 * 3600
"""Brokers refuse records that are more than an hour ahead (log.message.timestamp.after.max.ms)."""


async def clock_ahead(testbed: Testbed, times: int) -> int:
    """The only replica's clock is two hours ahead, from the start and later by a jump, until it is set right.

    Kafka refuses every record meanwhile. The replica names its clock as the cause, publishes nothing, and goes on by
    itself. A recovery counts from when the clock is right: it includes the wait before the next epoch, of 15 s at most.
    """
    clock = Clock(testbed.home / "ahead")
    clock.set(AHEAD_S)
    replica = testbed.replica(program=(str(Path(clock_skew.__file__)), str(clock.file)))
    for number in range(times):
        if number:
            clock.set(AHEAD_S)
        await _set_right(testbed, replica, clock)
        clock.set(AHEAD_S)
        await _set_right(testbed, replica, clock)
    return 2 * times


class Clock:
    """How far a replica's clock is ahead, in a file that it reads."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def set(self, seconds: int) -> None:
        written = self.file.with_suffix(".new")
        written.write_text(f"{seconds}", "utf-8")
        written.replace(self.file)


async def _set_right(testbed: Testbed, replica: Replica, clock: Clock) -> None:
    await until(partial(_names_its_clock, replica), "the replica names its clock as the cause", MAX_WAIT_S)
    clock.set(0)
    await testbed.wait_for_recovery()
    await until(replica.is_ready, "the replica is ready", MAX_WAIT_S)


async def _names_its_clock(replica: Replica) -> bool:
    code, body = await replica.get("/api/status")
    if code != 200:
        return False
    status: dict[str, Any] = json.loads(body)
    return status["kafka"]["state"] == "refused" and "clock" in (status["reason"] or "")
