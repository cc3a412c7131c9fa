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
"""Brokers reject records that are more than an hour ahead (message.timestamp.after.max.ms)."""


async def clock_ahead(testbed: Testbed, times: int) -> int:
    """The only replica's clock is two hours ahead, first at the start and then by a jump, until it is corrected.

    Kafka rejects every record meanwhile. The replica reports its clock as the cause, publishes nothing, and recovers by
    itself. A recovery counts from the correction: it includes the wait before the next epoch, of at most 15 s.
    """
    clock = Clock(testbed.home / "clock-skew")
    clock.set(AHEAD_S)
    replica = testbed.replica(program=(str(Path(clock_skew.__file__)), str(clock.file)))
    for number in range(times):
        if number:
            clock.set(AHEAD_S)
        await _corrected(testbed, replica, clock)
        clock.set(AHEAD_S)
        await _corrected(testbed, replica, clock)
    return 2 * times


class Clock:
    """A file from which a replica reads by how many seconds its clock is ahead."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def set(self, seconds: int) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds}", "utf-8")
        new.replace(self.file)


async def _corrected(testbed: Testbed, replica: Replica, clock: Clock) -> None:
    await until(partial(_reports_its_clock, replica), "the replica reports its clock as the cause", MAX_WAIT_S)
    clock.set(0)
    await testbed.wait_for_recovery()
    await until(replica.is_ready, "the replica is ready", MAX_WAIT_S)


async def _reports_its_clock(replica: Replica) -> bool:
    code, body = await replica.get("/api/status")
    if code != 200:
        return False
    status: dict[str, Any] = json.loads(body)
    return status["kafka"]["state"] == "refused" and "clock" in (status["reason"] or "")
