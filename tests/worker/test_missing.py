"""Gaps in the numbers of a device's sessions: counted, closed by late sessions, logged once they are lost."""

import logging
from datetime import timedelta
from random import Random

import pytest
import structlog
from structlog.testing import capture_logs

from collector.instants import unix_s
from collector.model import DedupMode, Policy, Record
from collector.telemetry.status import StreamStatus
from tests.simulated import START
from tests.worker.harness import EndingClock, ListSink, ListStream, VendorRow, run_with_restarts

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
POLICY = Policy(interval=MINUTE, settle=2 * MINUTE, allowed_lateness=6 * HOUR, sweep_every=HOUR, span=HOUR)
LOST, LATE = 40, 50
"""Session 40 never appears; session 50 appears three hours late."""


class NumberedStream(ListStream):
    def sequence_of(self, record: Record[VendorRow]) -> tuple[int, int]:  # type: ignore[override]
        return 7, int(record.payload.name)


class WatchingClock(EndingClock):
    """Records the number of missing sessions at the end of each hour."""

    status: StreamStatus
    missing: dict[int, int | None]

    async def until(self, instant: object) -> None:
        await super().until(instant)  # type: ignore[arg-type]
        self.missing[(self.now() - START) // HOUR] = self.status.missing


def sessions() -> list[VendorRow]:
    found = []
    for number in range(1, 200):
        start_s = unix_s(START) + 180 * number
        late_s = 3 * 3600 if number == LATE else 60
        if number != LOST:
            found.append(VendorRow(start_s, start_s + 30, str(number), "hello", start_s + 30 + late_s))
    return found


@pytest.mark.parametrize("crash_rate", [0.0, 0.01])
async def test_gaps_are_counted_closed_and_logged_once(crash_rate: float) -> None:
    random = Random(3)
    clock = WatchingClock(START, START + 12 * HOUR)
    clock.status, clock.missing = StreamStatus("test", "list", "things"), {}
    stream = NumberedStream(
        sessions(),
        clock,
        POLICY,
        DedupMode.VERSIONED,
        select="start",
        inclusive=False,
        random=random,
        failure_rate=0.05,
    )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as logs:
        await run_with_restarts(stream, ListSink(random, crash_rate), clock, START, random, clock.status)
    logged = [(each["first"], each["last"], each["series"]) for each in logs if each["event"] == "records_missing"]
    lost = [(LOST, LOST, 7)]
    if crash_rate:
        assert logged in ([], lost), "after a restart a gap may be missed, but no other is reported"
    else:
        assert lost == logged
        assert 0 == clock.missing[1]
        assert 2 == clock.missing[4]
        assert 1 == clock.missing[7]
        assert 0 == clock.missing[11]
