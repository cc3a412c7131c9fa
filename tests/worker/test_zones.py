"""A source with several time zones: each place's rows are published once, also when places move between the zones."""

import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from zoneinfo import ZoneInfo

import anyio
import pytest
from msgspec import Struct

from collector.alignment import AnySecond, Periods
from collector.cloudevents import Message
from collector.errors import EpochEnded
from collector.instants import format_ms, to_ms
from collector.model import Account, DedupMode, Event, FetchResult, Policy, Record, Window, shard_name, whole_name
from collector.pipeline.message import Origin
from collector.pipeline.progress import Progress
from collector.pipeline.shards import Shards, whole_prefix
from collector.pipeline.state import State, StateFormat, by_stream, stream_prefix
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.base import Stream
from collector.vendors.quividi.zones import bounds, instant, local
from collector.worker import Worker
from tests.simulated import SimulatedClock
from tests.worker.harness import TYPE, Crash, Data, ListSink, SimulationOver

pytestmark = pytest.mark.anyio

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 10, 20, tzinfo=UTC)  # clocks in Paris and Lord Howe change within the simulated time
ZONES = (
    "Europe/Paris",
    "America/New_York",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Pacific/Honolulu",
    "Pacific/Auckland",
)
ACCOUNT = Account("test", "632")
PLACES = range(8)
Zones = Mapping[int, str]
"""The configured zone of each place."""


class LocalRow(Struct, frozen=True):
    """A row of a place. The vendor only knows its local start."""

    place: int
    start: datetime
    available: datetime


class ZonedStream(Stream[LocalRow]):
    """The shard of a stream for one zone."""

    source, account, fields_version, event_types = "list", ACCOUNT, 1, (TYPE,)
    max_clock_offset = timedelta(days=2)

    def __init__(
        self,
        rows: list[LocalRow],
        clock: SimulatedClock,
        zones: Zones,
        zone: str,
        *,
        is_periodic: bool,
        is_over: Callable[[], bool],
        moving: frozenset[int] = frozenset(),
        own: str = ZONES[0],
    ) -> None:
        """`moving` places are requested by all shards. `own` is the zone of the source itself."""
        self.name = "things" if zone == own else shard_name("things", zone)
        self.zone = self._zone = ZoneInfo(zone)
        self.selection = repr(sorted(item for item in zones.items() if item[1] != own))
        self.dedup_mode = DedupMode.VERSIONED if is_periodic else DedupMode.MULTISET
        hours = Periods(self._zone, datetime(2018, 1, 1), HOUR)  # noqa: DTZ001 - local
        self.policy = Policy(
            interval=HOUR,
            settle=HOUR / 2,
            allowed_lateness=4 * DAY,
            sweep_every=DAY,
            span=DAY,
            alignment=hours if is_periodic else AnySecond(),
        )
        self._places = {place for place, each in zones.items() if each == zone} | moving
        self._rows, self._clock, self._is_over = rows, clock, is_over

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[LocalRow], None]:
        await anyio.lowlevel.checkpoint()
        if self._is_over():
            raise SimulationOver
        first, last = bounds(window, self._zone)
        found = [
            self._record(row)
            for row in self._rows
            if row.place in self._places and first <= row.start <= last and row.available <= self._clock.now()
        ]
        yield FetchResult(iter(found), len(found), 100 * len(found), timedelta(seconds=1), None)

    def _record(self, row: LocalRow) -> Record[LocalRow]:
        start_ms = to_ms(instant(row.start, self._zone).utc)
        return Record(
            key=f"{row.place}/{row.start}".encode(),
            fingerprint=b"",
            start_ms=start_ms,
            end_ms=start_ms + 1000,
            vendor_local_s=to_ms(row.start.replace(tzinfo=UTC)) // 1000,
            payload=row,
        )

    def explode(self, record: Record[LocalRow], digest: str, number: int) -> Iterator[Event]:
        name = f"{record.payload.place}/{record.payload.start}"
        data = Data(name, "", number)
        yield Event(TYPE, f"{digest}/thing/0", name, format_ms(record.start_ms), name, data)


class Process:
    """A process that commits to the sink. As in an epoch, nothing is committed after a failure."""

    def __init__(self, sink: ListSink) -> None:
        self._sink = sink
        self._has_failed = False

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        await anyio.lowlevel.checkpoint()
        if self._has_failed:
            raise EpochEnded
        try:
            await self._sink.commit(messages, state)
        except Crash:
            self._has_failed = True
            raise


def prefix_of(stream: ZonedStream) -> str:
    return stream_prefix(ACCOUNT, "list", stream.name)


def shards_of(streams: Sequence[ZonedStream], sink: ListSink) -> Shards:
    """The shards of a stream, with what the sink has of them."""
    origin = Origin(ACCOUNT, "list", whole_name(streams[0].name))
    zones = {prefix_of(stream): stream.zone for stream in streams}
    stream_format = StateFormat(streams[0].dedup_mode, 1, streams[0].max_clock_offset)
    shards = Shards(stream_format, zones, Progress(origin, streams[0].policy, zones.keys()), anyio.Lock())
    whole = stream_prefix(ACCOUNT, "list", "things")
    shards.pairs.update((each, found) for each, found in by_stream(sink.pairs).items() if whole_prefix(each) == whole)
    return shards


def worker_of(
    stream: ZonedStream, shards: Shards, process: Process, clock: SimulatedClock
) -> tuple[Worker[LocalRow], State, StreamStatus]:
    """The worker of a shard, and what it changes."""
    state, status = shards.load(prefix_of(stream)), StreamStatus("test", "list", stream.name)
    worker = Worker(
        stream,
        state,
        process.commit,
        origin=Origin(ACCOUNT, "list", whole_name(stream.name)),
        clock=clock,
        telemetry=StreamTelemetry(Metrics(), status, [TYPE.name]),
        random=Random(1),
        shards=shards,
    )
    return worker, state, status


async def run(
    rows: list[LocalRow],
    sink: ListSink,
    clock: SimulatedClock,
    zones: Zones,
    until: datetime,
    *,
    is_periodic: bool,
    final: datetime = START,
    moving: frozenset[int] = frozenset(),
    own: str = ZONES[0],
) -> list[State]:
    """Run the shards of all zones, in new processes after each crash, until an instant and until all are `final`.

    `moving` places are requested by all shards. `own` is the zone of the source itself. Returns the states.
    """
    while True:
        used = [own, *sorted({*zones.values()} - {own})]
        states: list[State] = []

        def is_over(states: Sequence[State] = states) -> bool:
            are_final = (each.checkpoint is not None and each.checkpoint.final >= final for each in states)
            return clock.now() >= until and all(are_final)

        streams = [
            ZonedStream(rows, clock, zones, zone, is_periodic=is_periodic, is_over=is_over, moving=moving, own=own)
            for zone in used
        ]
        shards = shards_of(streams, sink)
        process = Process(sink)
        try:
            async with anyio.create_task_group() as running:
                for stream in streams:
                    worker, state, _ = worker_of(stream, shards, process, clock)
                    states.append(state)
                    running.start_soon(worker.run, START)
        except BaseExceptionGroup as group:
            if group.subgroup(SimulationOver) is not None:
                return states
            if group.subgroup((Crash, EpochEnded)) is None:
                raise
            clock.pass_s(600)


def visits(random: Random, zones: Zones, until: datetime) -> list[LocalRow]:
    """Rows of each place about every three hours, at local times of its real zone, some of them two days late."""
    found = []
    for place in PLACES:
        at = START + timedelta(minutes=random.randrange(180))
        while at < until:
            delay = random.choice((HOUR / 4, HOUR, 2 * DAY))
            found.append(LocalRow(place, local(at, ZoneInfo(zones[place])).replace(minute=0, second=0), at + delay))
            at += timedelta(minutes=random.randrange(61, 300))
    return found


def counts(rows: list[LocalRow], *, is_periodic: bool) -> Counter[str]:
    """How often each row is published: rows of one place and local hour are one period, or as many records."""
    names = Counter(f"{row.place}/{row.start}" for row in rows)
    return Counter(names.keys()) if is_periodic else names


def settled(rows: list[LocalRow]) -> list[LocalRow]:
    """The rows that start after `since` in every zone."""
    return [row for row in rows if row.start > (START + DAY).replace(tzinfo=None)]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many steps a shard works while the others wait. How fast the machine is does not matter."""
    monkeypatch.setattr("collector.turns.MAX_TURN_S", math.inf)
    return partial(monkeypatch.setattr, "collector.turns.MAX_TURN_STEPS")


@pytest.mark.parametrize("is_periodic", [False, True])
@pytest.mark.parametrize("seed", range(5))
async def test_places_that_move_between_zones_lose_and_double_nothing(
    seed: int, turns: Callable[[int], None], *, is_periodic: bool
) -> None:
    random = Random(seed)
    turns((1000, 1, 2, 3)[seed % 4])  # with short turns, shards become days apart
    clock, sink = SimulatedClock(START), ListSink(Random(seed), crash_rate=0.002)
    real = {place: random.choice(ZONES) for place in PLACES}
    rows = visits(random, real, START + 20 * DAY)
    zones, at, former = dict(real), START, [dict(real)]
    for place in random.sample(PLACES, 4):  # they are configured wrongly at first
        zones[place] = random.choice(ZONES)
    for _ in range(4):
        at += timedelta(hours=random.randrange(4, 150))
        await run(rows, sink, clock, zones, at, is_periodic=is_periodic)
        former.append(dict(zones))
        for place in random.sample(PLACES, 3):
            zones[place] = random.choice((real[place], random.choice(ZONES)))
        if random.random() < 0.3:  # an earlier configuration returns
            zones = dict(random.choice(former))
    end = START + 22 * DAY
    await run(rows, sink, clock, real, START + 30 * DAY, is_periodic=is_periodic, final=end)

    published = Counter(data.name for data in sink.published())
    assert Counter() == counts(settled(rows), is_periodic=is_periodic) - published
    assert Counter() == published - counts(rows, is_periodic=is_periodic)


@pytest.mark.parametrize("is_periodic", [False, True])
async def test_the_zones_of_a_stream_report_one_progress_which_no_part_is_behind(
    turns: Callable[[int], None], *, is_periodic: bool
) -> None:
    random = Random(1)
    turns(1000)
    clock, sink = SimulatedClock(START), ListSink(Random(1), crash_rate=0.002)
    zones = {place: ZONES[place % len(ZONES)] for place in PLACES}
    rows = visits(random, zones, START + 10 * DAY)
    states = await run(rows, sink, clock, zones, START + 20 * DAY, is_periodic=is_periodic, final=START + 12 * DAY)

    assert {"things"} == {value["stream"] for _, value in sink.progress}
    assert [] == sink.published_after_final()
    finals = [state.durable.final for state in states if state.durable is not None]
    assert len(ZONES) == len(finals)
    assert sink.progress[-1][1]["final"] <= format_ms(to_ms(min(finals)))
    assert counts(settled(rows), is_periodic=is_periodic) <= Counter(data.name for data in sink.published())


@pytest.mark.parametrize("is_periodic", [False, True])
@pytest.mark.parametrize("steps", [1000, 1])
async def test_what_two_shards_request_at_the_same_time_is_published_once(
    steps: int, turns: Callable[[int], None], *, is_periodic: bool
) -> None:
    """The vendor may move a location to a site in another zone while both shards run."""
    turns(steps)
    zones = {place: ZONES[place % 2] for place in PLACES}
    clock, sink = SimulatedClock(START), ListSink(Random(1), crash_rate=0.002)
    rows = visits(Random(1), zones, START + 5 * DAY)
    end = START + 8 * DAY
    await run(rows, sink, clock, zones, end + 5 * DAY, is_periodic=is_periodic, final=end, moving=frozenset({0, 1}))

    published = Counter(data.name for data in sink.published())
    assert Counter() == counts(settled(rows), is_periodic=is_periodic) - published
    assert Counter() == published - counts(rows, is_periodic=is_periodic)


@pytest.mark.parametrize("is_periodic", [False, True])
@pytest.mark.parametrize("steps", [1000, 1])
async def test_places_may_move_while_a_stream_catches_up(
    steps: int, turns: Callable[[int], None], *, is_periodic: bool
) -> None:
    """`final` then follows the watermark at once, and shards may be days apart."""
    turns(steps)
    random = Random(7)
    real = {place: random.choice(ZONES) for place in PLACES}
    clock, sink = SimulatedClock(START + 40 * DAY), ListSink(Random(1), crash_rate=0.01)
    rows = visits(random, real, START + 20 * DAY)
    for days in (5, 11, 16):
        zones = {place: random.choice((zone, random.choice(ZONES))) for place, zone in real.items()}
        await run(rows, sink, clock, zones, START, is_periodic=is_periodic, final=START + days * DAY)
    await run(rows, sink, clock, real, START, is_periodic=is_periodic, final=START + 22 * DAY)

    published = Counter(data.name for data in sink.published())
    assert Counter() == counts(settled(rows), is_periodic=is_periodic) - published
    assert Counter() == published - counts(rows, is_periodic=is_periodic)


@pytest.mark.parametrize("is_periodic", [False, True])
@pytest.mark.parametrize("seed", range(5))
async def test_a_source_whose_own_zone_changes_loses_and_doubles_nothing(
    seed: int, turns: Callable[[int], None], *, is_periodic: bool
) -> None:
    """Whether all its places are in that zone, or some are in others; at the live edge, and while it catches up."""
    random = Random(seed)
    turns(1000)
    clock, sink = SimulatedClock(START + seed % 4 // 2 * 40 * DAY), ListSink(Random(seed), crash_rate=0.002)
    own = random.choice(ZONES)
    real = {place: own if seed % 2 or place % 3 else random.choice(ZONES) for place in PLACES}
    rows, at = visits(random, real, START + 20 * DAY), START
    for _ in range(4):
        wrong = random.choice((own, *ZONES))
        zones = {place: wrong if zone == own else zone for place, zone in real.items()}
        at += timedelta(hours=random.randrange(4, 150))
        await run(rows, sink, clock, zones, at, is_periodic=is_periodic, own=wrong, final=at - 4 * DAY)
    end = START + 22 * DAY
    await run(rows, sink, clock, real, START + 30 * DAY, is_periodic=is_periodic, final=end, own=own)

    published = Counter(data.name for data in sink.published())
    assert Counter() == counts(settled(rows), is_periodic=is_periodic) - published
    assert Counter() == published - counts(rows, is_periodic=is_periodic)


async def reach(status: StreamStatus, state: str) -> None:
    """Let other tasks run until a stream is in this state, without an error unless it backs off."""
    while status.state != state:
        await anyio.lowlevel.checkpoint()
    assert (state == "backing_off") == (status.last_error is not None)


async def test_a_shard_waits_for_the_others_says_so_and_continues() -> None:
    clock, sink, is_over = SimulatedClock(START), ListSink(Random(1)), False
    zones = dict(zip(PLACES, ZONES[:2] * 4, strict=True))
    streams = [ZonedStream([], clock, zones, zone, is_periodic=False, is_over=lambda: is_over) for zone in ZONES[:2]]
    shards, process = shards_of(streams, sink), Process(sink)
    (first, state, status), (other, _, _) = (worker_of(stream, shards, process, clock) for stream in streams)
    with pytest.RaisesGroup(SimulationOver, allow_unwrapped=True, flatten_subgroups=True):
        async with anyio.create_task_group() as running:
            running.start_soon(first.run, START)
            await reach(status, "backing_off")
            assert status.last_error is not None
            assert streams[1].name in status.last_error.error
            assert state.checkpoint is not None
            assert START == state.checkpoint.watermark
            running.start_soon(other.run, START)
            await reach(status, "live")
            is_over = True
