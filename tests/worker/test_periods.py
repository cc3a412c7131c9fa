"""Aggregates on a grid: closed periods alone, each once, and again when late uploads change its numbers."""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.alignment import Periods
from collector.errors import RetryLater, Split
from collector.instants import format_ms, to_ms
from collector.model import Account, DedupMode, Event, FetchResult, Policy, Record, Window
from collector.pipeline.message import Origin
from collector.pipeline.state import Shape, load
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.base import Stream
from collector.worker import Worker
from tests.simulated import SimulatedClock
from tests.worker.harness import TYPE, Data, EndingClock, Enough, ListSink, live

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 10, 24, 10, 20, tzinfo=UTC)  # the night on which the hour comes twice is ahead
GRIDS = {
    "30m": Periods(PARIS, datetime(2018, 1, 1), timedelta(minutes=30)),  # noqa: DTZ001 - local
    "1h": Periods(PARIS, datetime(2018, 1, 1), HOUR),  # noqa: DTZ001 - local
    "1d": Periods(PARIS, datetime(2018, 1, 1), 24 * HOUR),  # noqa: DTZ001 - local
}


class Counts(Stream[tuple[str, int]]):
    """A vendor that counts what happened by local period, as far as it is uploaded."""

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
        self, uploads: list[tuple[datetime, datetime]], clock: SimulatedClock, alignment: Periods, random: Random
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
        self.asked: list[Window] = []
        self._uploads = uploads
        self._clock = clock
        self._random = random

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[tuple[str, int]], None]:
        now = self._clock.now()
        self.asked.append(window)
        self._clock.pass_s(5)
        if self._random.random() < 0.1:
            raise RetryLater("the vendor is not well")
        if self._random.random() < 0.05 and self.alignment.after(window.start) < window.end:
            raise Split("too much")
        rows = [
            _record(self.alignment, begin, count)
            for begin, count in self.counts(now).items()
            if window.start <= begin < window.end
        ]
        self._random.shuffle(rows)
        yield FetchResult(rows, len(rows), 100, timedelta(seconds=5), None)

    def counts(self, now: datetime) -> Counter[datetime]:
        return Counter(self.alignment.floor(happened) for happened, uploaded in self._uploads if uploaded <= now)

    def explode(self, record: Record[tuple[str, int]], digest: str, number: int) -> Iterator[Event]:
        begin, count = record.payload
        yield Event(TYPE, f"{digest}/thing/0", begin, begin, "all", Data(begin, str(count), number))


def _record(alignment: Periods, begin: datetime, count: int) -> Record[tuple[str, int]]:
    local = begin.astimezone(PARIS).replace(tzinfo=None)
    start_ms = to_ms(begin)
    return Record(
        local.isoformat().encode(),
        str(count).encode(),
        start_ms,
        to_ms(alignment.after(begin)),
        to_ms(local) // 1000,
        (format_ms(start_ms), count),
    )


@given(seed=st.integers(0, 2**32), length=st.sampled_from(sorted(GRIDS)), crash=st.sampled_from([0.0, 0.02, 0.2]))
@settings(max_examples=40, deadline=None)
def test_every_period_is_published_and_in_the_end_as_it_is(seed: int, length: str, crash: float) -> None:
    random, alignment = Random(seed), GRIDS[length]
    uploads = []
    for _ in range(400):
        happened = START + timedelta(seconds=random.randrange(4 * 86_400))
        late_s = random.choice([60, 600, 10 * 3600]) * random.random()
        uploads.append((happened, happened + timedelta(seconds=late_s)))
    end = alignment.after(START + timedelta(days=4))
    clock, sink = EndingClock(START, end), ListSink(random, crash)
    stream = Counts(uploads, clock, alignment, random)

    anyio.run(live, stream, sink, clock, START, random)

    revisions: dict[str, list[Data]] = defaultdict(list)
    for message in sink.messages:
        data = msgspec.json.decode(message.value, type=Data)
        revisions[data.name].append(data)
    first = alignment.after(START - timedelta(seconds=1))
    expected = {
        format_ms(to_ms(begin)): str(count)
        for begin, count in stream.counts(end + timedelta(days=9)).items()
        if first <= begin < end
    }
    assert expected == {name: found[-1].says for name, found in revisions.items()}
    for found in revisions.values():
        assert list(range(len(found))) == [each.number for each in found]
        assert all(a.says != b.says for a, b in pairwise(found))
    assert all(
        window.start == alignment.floor(window.start) and window.end == alignment.floor(window.end)
        for window in stream.asked
    )
    assert all(window.end <= clock.now() for window in stream.asked)


async def test_a_period_is_only_asked_for_when_it_is_over() -> None:
    random, alignment = Random(1), GRIDS["1h"]
    clock = EndingClock(START, START + 10 * HOUR)
    stream = Counts([], clock, alignment, random)
    moments: list[tuple[Window, datetime]] = []
    fetch = stream.fetch

    def noting(window: Window) -> AsyncGenerator[FetchResult[tuple[str, int]], None]:
        moments.append((window, clock.now()))
        return fetch(window)

    stream.fetch = noting  # type: ignore[method-assign]
    await live(stream, ListSink(random), clock, START, random)
    assert all(window.end <= requested_at for window, requested_at in moments)
    assert datetime(2026, 10, 24, 11, tzinfo=UTC) == moments[0][0].start


async def test_a_stream_that_is_taken_over_while_no_period_is_over_has_nothing_to_catch_up_with() -> None:
    class FirstWait(SimulatedClock):
        async def until(self, instant: datetime) -> None:
            raise Enough(instant)

    random, clock, sink = Random(1), FirstWait(START), ListSink(Random(1))
    stream, row = Counts([], clock, GRIDS["1d"], random), StreamStatus("test", "list", "things")
    state = load(
        "test/1/list/things",
        Shape(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former),
        {},
    )
    telemetry = StreamTelemetry(Metrics(), row, [TYPE.name])
    origin = Origin("test", "list", "things")
    telemetry.owned(None, 0)
    assert "catching_up" == row.state
    with pytest.raises(Enough):
        await Worker(stream, state, sink.commit, origin=origin, clock=clock, telemetry=telemetry, random=random).run(
            START
        )
    assert ([], "live") == (stream.asked, row.state)


async def test_a_bounded_stream_is_complete_when_its_last_period_is_final() -> None:
    random, alignment = Random(2), GRIDS["1h"]
    clock = EndingClock(START, START + timedelta(days=30))
    stream = Counts([(START + n * HOUR, START + n * HOUR) for n in range(30)], clock, alignment, random)
    until = START + 5 * HOUR + timedelta(minutes=10)
    stream.policy = msgspec.structs.replace(stream.policy, until=until)
    sink = ListSink(random)
    await live(stream, sink, clock, START, random)
    begins = sorted(name for name, _ in sink.things())
    assert ("2026-10-24T11:00:00.000Z", "2026-10-24T15:00:00.000Z") == (begins[0], begins[-1])
    assert clock.now() < START + timedelta(days=1)
