"""Numbers of a device's sessions that were never seen: counted, closed by late ones, told when they are lost."""

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
from tests.worker.harness import EndingClock, Happened, ListSink, ListStream, live

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
POLICY = Policy(interval=MINUTE, settle=2 * MINUTE, allowed_lateness=6 * HOUR, sweep_every=HOUR, span=HOUR)
LOST, LATE = 40, 50
"""Session 40 never comes; session 50 comes three hours late."""


class NumberedStream(ListStream):
    def sequence_of(self, record: Record[Happened]) -> tuple[int, int]:  # type: ignore[override]
        return 7, int(record.payload.name)


class WatchingClock(EndingClock):
    """Notes what is missing, hour by hour."""

    row: StreamStatus
    found: dict[int, int | None]

    async def until(self, instant: object) -> None:
        await super().until(instant)  # type: ignore[arg-type]
        self.found[(self.now() - START) // HOUR] = self.row.missing


def sessions() -> list[Happened]:
    found = []
    for number in range(1, 200):
        begin = unix_s(START) + 180 * number
        late_s = 3 * 3600 if number == LATE else 60
        if number != LOST:
            found.append(Happened(begin, begin + 30, str(number), "it", begin + 30 + late_s))
    return found


@pytest.mark.parametrize("crash", [0.0, 0.01])
async def test_gaps_are_counted_closed_and_told_of(crash: float) -> None:
    random = Random(3)
    clock = WatchingClock(START, START + 12 * HOUR)
    clock.row, clock.found = StreamStatus("test", "list", "things"), {}
    stream = NumberedStream(
        sessions(), clock, POLICY, DedupMode.VERSIONED, select="begin", inclusive=False, random=random, failure=0.05
    )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as logs:
        await live(stream, ListSink(random, crash), clock, START, random, clock.row)
    told = [(each["first"], each["last"], each["series"]) for each in logs if each["event"] == "records_missing"]
    assert {(LOST, LOST, 7)} >= set(told), "nothing that is there is told to be missing, also after a restart"
    if not crash:
        assert [(LOST, LOST, 7)] == told, "once, when nothing is expected any more"
        assert 0 == clock.found[1]
        assert 2 == clock.found[4]
        assert 1 == clock.found[7]
        assert 0 == clock.found[11]
