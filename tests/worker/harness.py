"""The worker over a stream that is a list and a sink that is a list, in simulated time, with crashes at any step."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

import msgspec
from msgspec import Struct

from collector.cloudevents import Message
from collector.errors import EpochEnded, RetryLater
from collector.instants import format_ms, unix_s
from collector.model import Account, DedupMode, Event, EventType, FetchResult, Policy, Record, Reject, Window
from collector.pipeline.ledger import Former
from collector.pipeline.message import DEAD_LETTER, Origin
from collector.pipeline.state import Shape, State, by_stream, load
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.base import Stream
from collector.worker import Worker
from tests.contracts.kept import check_message
from tests.simulated import SimulatedClock

Select = Literal["begin", "end", "overlap", "strict overlap"]


class Happened(Struct, frozen=True):
    """What the vendor knows of one thing, from `available_s` on until it knows better. Seconds since 1970."""

    begin_s: int
    end_s: int
    name: str
    says: str
    available_s: int
    replaced_s: int | None = None


class Data(Struct, frozen=True):
    name: str
    says: str
    number: int


TYPE = EventType("test.thing.v1", "test.things", Data)
KINDS = {kind.topic: kind for kind in (TYPE, DEAD_LETTER)}


def _begin(row: Happened) -> int:
    return row.begin_s


class ListStream(Stream[Happened]):
    """A stream whose vendor is a list, and selects as it likes."""

    source = "list"
    name = "things"
    account = Account("test", "1")
    fields_version = 1
    former: Former | None = None
    max_clock_offset = timedelta(0)
    zone = UTC
    selection = "all"
    sequence_of = None
    event_types = (TYPE,)

    def __init__(
        self,
        rows: Sequence[Happened],
        clock: SimulatedClock,
        policy: Policy,
        dedup_mode: DedupMode,
        *,
        select: Select,
        inclusive: bool,
        random: Random,
        failure: float = 0.0,
        answer_s: float = 1.0,
    ) -> None:
        self.policy = policy
        self.dedup_mode = dedup_mode
        self.asked: list[tuple[Window, datetime]] = []
        self._rows = sorted(rows, key=_begin)
        self._longest_s = max((row.end_s - row.begin_s for row in rows), default=0)
        self._clock = clock
        self._select = select
        self._inclusive = inclusive
        self._random = random
        self._failure = failure
        self._answer_s = answer_s

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[Happened], None]:
        self.asked.append((window, self._clock.now()))
        now_s, first, last = unix_s(self._clock.now()), unix_s(window.start), unix_s(window.end)
        self._clock.pass_s(self._answer_s)
        if self._random.random() < self._failure:
            raise RetryLater("the vendor is not well")
        found = [
            row for row in self._near(first, last) if self._is_known(row, now_s) and self._selects(row, first, last)
        ]
        self._random.shuffle(found)
        yield FetchResult(map(record, found), len(found), 100 * len(found), timedelta(seconds=self._answer_s), None)

    def _near(self, first: int, last: int) -> Sequence[Happened]:
        """Those that may be selected, found fast: the list is sorted by begin."""
        low = bisect_left(self._rows, first - self._longest_s, key=_begin)
        return self._rows[low : bisect_right(self._rows, last, key=_begin)]

    def _is_known(self, row: Happened, now_s: int) -> bool:
        return row.available_s <= now_s and (row.replaced_s is None or now_s < row.replaced_s)

    def _selects(self, row: Happened, first: int, last: int) -> bool:
        def upto(instant: int) -> bool:
            return instant <= last if self._inclusive else instant < last

        match self._select:
            case "begin":
                return first <= row.begin_s and upto(row.begin_s)
            case "end":
                return first <= row.end_s and upto(row.end_s)
            case "overlap":
                return row.end_s >= first and upto(row.begin_s)
            case "strict overlap":
                return row.end_s > first and upto(row.begin_s)

    def explode(self, record: Record[Happened], digest: str, number: int) -> Iterator[Event]:
        row = record.payload
        data = Data(row.name, row.says, number)
        yield Event(TYPE, f"{digest}/thing/0", row.name, format_ms(record.start_ms), row.name, data)


def record(row: Happened) -> Record[Happened] | Reject:
    if row.says == "rubbish":
        return Reject(row.name.encode(), "it is rubbish")
    return Record(
        key=f"{row.name}@{row.begin_s}".encode(),
        fingerprint=fingerprint(row),
        start_ms=row.begin_s * 1000,
        end_ms=row.end_s * 1000,
        vendor_local_s=row.begin_s,
        payload=row,
    )


def fingerprint(row: Happened) -> bytes:
    return msgspec.msgpack.encode((row.says, row.end_s))


class Crash(BaseException):
    """The process dies here."""


class ListSink:
    """A state topic and event topics that are in memory, and commit both or neither."""

    def __init__(self, random: Random, crash: float = 0.0) -> None:
        self.messages: list[Message] = []
        self.pairs: dict[bytes, bytes] = {}
        self.commits = 0
        self.crash = crash
        self._random = random

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        self._perhaps()  # before it is durable
        for message in messages:
            check_message(message, KINDS[message.topic])
        self.commits += 1
        self.messages += messages
        for key, value in state.items():
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value
        self._perhaps()  # durable, and nobody was told

    def _perhaps(self) -> None:
        if self._random.random() < self.crash:
            raise Crash

    def ids(self) -> Counter[str]:
        return Counter(dict(message.headers)["ce_id"].decode() for message in self.messages)

    def things(self) -> Counter[tuple[str, str]]:
        """Name and contents of what was published."""
        found = (msgspec.json.decode(m.value, type=Data) for m in self.messages if m.topic == TYPE.topic)
        return Counter((data.name, data.says) for data in found)


class Enough(BaseException):
    """The simulation has run for as long as it should."""


class EndingClock(SimulatedClock):
    """A simulated clock that ends the run when `final` has passed an instant, or long after it should have."""

    def __init__(self, now: datetime, final: datetime) -> None:
        super().__init__(now)
        self.final = final
        self.state: State | None = None

    async def until(self, instant: datetime) -> None:
        await super().until(instant)
        self._perhaps_end()

    def pass_s(self, seconds: float) -> None:
        super().pass_s(seconds)
        self._perhaps_end()

    def _perhaps_end(self) -> None:
        if self.state is not None and self.state.checkpoint is not None and self.state.checkpoint.final >= self.final:
            raise Enough
        assert self.now() < self.final + timedelta(days=60), "it does not get on"


async def live(
    stream: Stream[Any],
    sink: ListSink,
    clock: EndingClock,
    since: datetime | None,
    random: Random,
    row: StreamStatus | None = None,
) -> None:
    """One process after another follows the stream, each from what the one before made durable."""
    while True:
        origin = Origin("test", stream.source, stream.name)
        prefix = "test/1/list/things"
        shape = Shape(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        state = load(prefix, shape, by_stream(sink.pairs).get(prefix, {}))
        clock.state = state
        telemetry = StreamTelemetry(Metrics(), row or StreamStatus("test", stream.source, stream.name), [TYPE.name])
        worker = Worker(stream, state, sink.commit, origin=origin, clock=clock, telemetry=telemetry, random=random)
        try:
            try:
                await worker.run(since)
            except Crash:
                clock.pass_s(random.choice([1, 60, 3600, 8 * 3600]))
                continue
        except (Enough, EpochEnded):
            pass
        return
