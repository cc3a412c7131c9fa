"""Aggregates by local period: each is published once it is over, and revised when late uploads change its numbers."""

import logging
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import anyio
import msgspec
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from collector.alignment import Alignment, Periods
from collector.errors import RetryLater, Split
from collector.instants import format_ms, to_ms
from collector.model import Account, DedupMode, Event, FetchResult, Policy, Record, Window
from collector.pipeline.message import Origin
from collector.pipeline.state import StateFormat, load
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.base import Stream
from collector.vendors.seemetrix.offsets import OffsetPeriods
from collector.worker import Worker
from tests.simulated import SimulatedClock
from tests.worker.harness import TYPE, Data, EndingClock, ListSink, SimulationOver, run_with_restarts

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 10, 24, 10, 20, tzinfo=UTC)  # the day before clocks in Paris are set back
ALIGNMENTS: Mapping[str, Alignment] = {
    "30m": Periods(PARIS, datetime(2018, 1, 1), timedelta(minutes=30)),  # noqa: DTZ001 - local
    "1h": Periods(PARIS, datetime(2018, 1, 1), HOUR),  # noqa: DTZ001 - local
    "1d": Periods(PARIS, datetime(2018, 1, 1), 24 * HOUR),  # noqa: DTZ001 - local
    "1d of one offset": OffsetPeriods(Periods(PARIS, datetime(2018, 1, 1), 24 * HOUR)),  # noqa: DTZ001 - local
}


class CountStream(Stream[tuple[str, int]]):
    """A vendor that counts visits by local period, as far as devices have uploaded them.

    `uploads` has the instant of each visit and of its upload.
    """

    source = "list"
    name = "things"
    account = Account("test", "1")
    fields_version = 1
    former = None
    max_clock_offset = timedelta(days=1)
    zone = PARIS
    selection = "all"
    sequence_of = None
    event_types = (TYPE,)
    dedup_mode = DedupMode.VERSIONED

    def __init__(
        self, uploads: list[tuple[datetime, datetime]], clock: SimulatedClock, alignment: Alignment, random: Random
    ) -> None:
        self.policy = Policy(
            interval=HOUR / 4,
            settle=HOUR / 2,
            allowed_lateness=12 * HOUR,
            sweep_every=3 * HOUR,
            span=24 * HOUR,
            until=None,
            alignment=alignment,
        )
        self.alignment = alignment
        self.requests: list[Window] = []
        self._uploads = uploads
        self._clock = clock
        self._random = random

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[tuple[str, int]], None]:
        now = self._clock.now()
        self.requests.append(window)
        self._clock.pass_s(5)
        if self._random.random() < 0.1:
            raise RetryLater("HTTP 503")
        if self._random.random() < 0.05 and self.alignment.after(window.start) < window.end:
            raise Split("too large")
        rows = [
            _record(self.alignment, start, count)
            for start, count in self.counts(now).items()
            if window.start <= start < window.end
        ]
        self._random.shuffle(rows)
        yield FetchResult(rows, len(rows), 100, timedelta(seconds=5), None)

    def counts(self, now: datetime) -> Counter[datetime]:
        return Counter(self.alignment.floor(visited) for visited, uploaded in self._uploads if uploaded <= now)

    def explode(self, record: Record[tuple[str, int]], digest: str, number: int) -> Iterator[Event]:
        start, count = record.payload
        yield Event(TYPE, f"{digest}/thing/0", start, start, "all", Data(start, str(count), number))


def _record(alignment: Alignment, start: datetime, count: int) -> Record[tuple[str, int]]:
    local = start.astimezone(PARIS).replace(tzinfo=None)
    start_ms = to_ms(start)
    return Record(
        local.isoformat().encode(),
        str(count).encode(),
        start_ms,
        to_ms(alignment.after(start)),
        to_ms(local) // 1000,
        (format_ms(start_ms), count),
    )


@given(
    seed=st.integers(0, 2**32), length=st.sampled_from(sorted(ALIGNMENTS)), crash_rate=st.sampled_from([0.0, 0.02, 0.2])
)
@settings(max_examples=40, deadline=None)
def test_the_last_revision_of_every_period_has_the_final_count(seed: int, length: str, crash_rate: float) -> None:
    random, alignment = Random(seed), ALIGNMENTS[length]
    uploads = []
    for _ in range(400):
        visited = START + timedelta(seconds=random.randrange(4 * 86_400))
        late_s = random.choice([60, 600, 10 * 3600]) * random.random()
        uploads.append((visited, visited + timedelta(seconds=late_s)))
    end = alignment.after(START + timedelta(days=4))
    clock, sink = EndingClock(START, end), ListSink(random, crash_rate)
    stream = CountStream(uploads, clock, alignment, random)

    anyio.run(run_with_restarts, stream, sink, clock, START, random)

    revisions: dict[str, list[Data]] = defaultdict(list)
    for data in sink.published():
        revisions[data.name].append(data)
    first = alignment.after(START - timedelta(seconds=1))
    expected = {
        format_ms(to_ms(start)): str(count)
        for start, count in stream.counts(end + timedelta(days=9)).items()
        if first <= start < end
    }
    assert expected == {name: found[-1].content for name, found in revisions.items()}
    for found in revisions.values():
        assert list(range(len(found))) == [each.number for each in found]
        assert all(a.content != b.content for a, b in pairwise(found))
    assert all(
        window.start == alignment.floor(window.start) and window.end == alignment.floor(window.end)
        for window in stream.requests
    )
    assert all(window.end <= clock.now() for window in stream.requests)


async def test_a_period_is_not_fetched_before_it_is_over() -> None:
    random, alignment = Random(1), ALIGNMENTS["1h"]
    clock = EndingClock(START, START + 10 * HOUR)
    stream = CountStream([], clock, alignment, random)
    requests: list[tuple[Window, datetime]] = []
    fetch = stream.fetch

    def recording(window: Window) -> AsyncGenerator[FetchResult[tuple[str, int]], None]:
        requests.append((window, clock.now()))
        return fetch(window)

    stream.fetch = recording  # type: ignore[method-assign]
    await run_with_restarts(stream, ListSink(random), clock, START, random)
    assert all(window.end <= requested_at for window, requested_at in requests)
    assert datetime(2026, 10, 24, 11, tzinfo=UTC) == requests[0][0].start


async def test_a_since_within_a_period_is_the_one_that_is_configured_after_a_restart_too() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    random, clock = Random(1), EndingClock(START, START + 10 * HOUR)
    stream, sink = CountStream([], clock, ALIGNMENTS["1h"], random), ListSink(random)
    with capture_logs() as logs:
        for hours in (10, 20):
            clock.final = START + hours * HOUR
            await run_with_restarts(stream, sink, clock, START, random)
        assert "since_ignored" not in {each["event"] for each in logs}
        clock.final = START + 30 * HOUR
        await run_with_restarts(stream, sink, clock, START - HOUR, random)
    assert "since_ignored" in {each["event"] for each in logs}


@pytest.mark.parametrize(
    ("alignment", "after", "state"),
    [
        ("1d", timedelta(0), "live"),
        ("1h", timedelta(minutes=120), "live"),  # nothing is due for ten minutes, which is less than the interval
        ("1h", timedelta(hours=9, milliseconds=500), "catching_up"),  # it waits for the next whole second
    ],
)
async def test_a_stream_without_a_period_to_fetch_is_live_at_once(alignment: str, after: timedelta, state: str) -> None:
    class FirstWaitClock(SimulatedClock):
        """Ends the simulation at the first wait."""

        async def until(self, instant: datetime) -> None:
            raise SimulationOver(instant)

    random, clock, sink = Random(1), FirstWaitClock(START + after), ListSink(Random(1))
    stream, status = CountStream([], clock, ALIGNMENTS[alignment], random), StreamStatus("test", "list", "things")
    stored = load(
        "test/1/list/things",
        StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former),
        {},
    )
    telemetry = StreamTelemetry(Metrics(), status, [TYPE.name])
    origin = Origin(Account("test", "632"), "list", "things")
    telemetry.owned(None, 0)
    assert "catching_up" == status.state
    with pytest.raises(SimulationOver):
        await Worker(stream, stored, sink.commit, origin=origin, clock=clock, telemetry=telemetry, random=random).run(
            START
        )
    assert ([], state) == (stream.requests, status.state)


async def test_a_bounded_stream_is_complete_when_its_last_period_is_final() -> None:
    random, alignment = Random(2), ALIGNMENTS["1h"]
    clock = EndingClock(START, START + timedelta(days=30))
    stream = CountStream([(START + n * HOUR, START + n * HOUR) for n in range(30)], clock, alignment, random)
    until = START + 5 * HOUR + timedelta(minutes=10)
    stream.policy = msgspec.structs.replace(stream.policy, until=until)
    sink = ListSink(random)
    await run_with_restarts(stream, sink, clock, START, random)
    starts = sorted(name for name, _ in sink.contents())
    assert ("2026-10-24T11:00:00.000Z", "2026-10-24T15:00:00.000Z") == (starts[0], starts[-1])
    assert clock.now() < START + timedelta(days=1)
