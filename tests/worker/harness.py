"""Runs the worker in simulated time, from a vendor that is a list into an in-memory sink, with crashes at any step."""

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
from collector.pipeline.message import DEAD_LETTER, PROGRESS, Origin
from collector.pipeline.shards import Shards
from collector.pipeline.state import State, StateFormat, by_stream, load
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.base import Stream
from collector.worker import Worker
from tests.contracts.kept import check_message
from tests.simulated import SimulatedClock

Select = Literal["start", "end", "overlap", "strict overlap"]
"""Which times of a row the vendor compares with the window. The vendors' documents do not define it."""


class VendorRow(Struct, frozen=True):
    """A row that the vendor returns from `available_s` until `replaced_s`. Times are Unix seconds."""

    start_s: int
    end_s: int
    name: str
    content: str
    available_s: int
    replaced_s: int | None = None


class Data(Struct, frozen=True):
    name: str
    content: str
    number: int


TYPE = EventType("test.thing.v1", "test.things", Data)
TYPES = {each.topic: each for each in (TYPE, DEAD_LETTER, PROGRESS)}
MALFORMED = "malformed"
"""The content of a row that the stream cannot decode."""


def _start_s(row: VendorRow) -> int:
    return row.start_s


class ListStream(Stream[VendorRow]):
    """A stream whose vendor is a list of rows, with a configurable selection rule and failure rate."""

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
        rows: Sequence[VendorRow],
        clock: SimulatedClock,
        policy: Policy,
        dedup_mode: DedupMode,
        *,
        select: Select,
        inclusive: bool,
        random: Random,
        failure_rate: float = 0.0,
        response_s: float = 1.0,
    ) -> None:
        self.policy = policy
        self.dedup_mode = dedup_mode
        self.requests: list[tuple[Window, datetime]] = []
        self._rows = sorted(rows, key=_start_s)
        self._longest_s = max((row.end_s - row.start_s for row in rows), default=0)
        self._clock = clock
        self._select = select
        self._inclusive = inclusive
        self._random = random
        self._failure_rate = failure_rate
        self._answer_s = response_s

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[VendorRow], None]:
        self.requests.append((window, self._clock.now()))
        now_s, first, last = unix_s(self._clock.now()), unix_s(window.start), unix_s(window.end)
        self._clock.pass_s(self._answer_s)
        if self._random.random() < self._failure_rate:
            raise RetryLater("HTTP 503")
        found = [
            row
            for row in self._candidates(first, last)
            if self._is_available(row, now_s) and self._is_selected(row, first, last)
        ]
        self._random.shuffle(found)
        yield FetchResult(map(decode, found), len(found), 100 * len(found), timedelta(seconds=self._answer_s), None)

    def _candidates(self, first: int, last: int) -> Sequence[VendorRow]:
        """Return the rows that the window may select, by binary search: the list is sorted by start."""
        low = bisect_left(self._rows, first - self._longest_s, key=_start_s)
        return self._rows[low : bisect_right(self._rows, last, key=_start_s)]

    def _is_available(self, row: VendorRow, now_s: int) -> bool:
        return row.available_s <= now_s and (row.replaced_s is None or now_s < row.replaced_s)

    def _is_selected(self, row: VendorRow, first: int, last: int) -> bool:
        def is_before_end(instant: int) -> bool:
            return instant <= last if self._inclusive else instant < last

        match self._select:
            case "start":
                return first <= row.start_s and is_before_end(row.start_s)
            case "end":
                return first <= row.end_s and is_before_end(row.end_s)
            case "overlap":
                return row.end_s >= first and is_before_end(row.start_s)
            case "strict overlap":
                return row.end_s > first and is_before_end(row.start_s)

    def explode(self, record: Record[VendorRow], digest: str, number: int) -> Iterator[Event]:
        row = record.payload
        data = Data(row.name, row.content, number)
        yield Event(TYPE, f"{digest}/thing/0", row.name, format_ms(record.start_ms), row.name, data)


def decode(row: VendorRow) -> Record[VendorRow] | Reject:
    if row.content == MALFORMED:
        return Reject(row.name.encode(), "malformed")
    return Record(
        key=f"{row.name}@{row.start_s}".encode(),
        fingerprint=fingerprint(row),
        start_ms=row.start_s * 1000,
        end_ms=row.end_s * 1000,
        vendor_local_s=row.start_s,
        payload=row,
    )


def fingerprint(row: VendorRow) -> bytes:
    return msgspec.msgpack.encode((row.content, row.end_s))


class Crash(BaseException):
    """Simulates the death of the process."""


class ListSink:
    """Event topics and a state topic in memory. A commit writes to both or to neither."""

    def __init__(self, random: Random, crash_rate: float = 0.0) -> None:
        self.messages: list[Message] = []
        """Without progress."""
        self.progress: list[tuple[int, dict[str, Any]]] = []
        """The values of progress messages, each with the number of messages that were committed until then."""
        self.pairs: dict[bytes, bytes] = {}
        self.commits = 0
        self.crash_rate = crash_rate
        self._random = random

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        self._maybe_crash()  # before the commit is durable
        for message in messages:
            check_message(message, TYPES[message.topic])
        self.commits += 1
        self.messages += [each for each in messages if each.topic != PROGRESS.topic]
        for each in messages:
            if each.topic == PROGRESS.topic:
                self.progress.append((len(self.messages), msgspec.json.decode(each.value)))
        for key, value in state.items():
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value
        self._maybe_crash()  # the commit is durable, but the worker does not learn of it

    def _maybe_crash(self) -> None:
        if self._random.random() < self.crash_rate:
            raise Crash

    def published_after_final(self) -> list[str]:
        """The ids of the events that started before a `final`, by their `ce_time`, and were committed after it."""
        found, final, progress = [], "", iter(self.progress)
        until, report = next(progress, (len(self.messages), {}))
        for position, message in enumerate(self.messages):
            while until <= position and report:
                final = max(final, report["final"])
                until, report = next(progress, (len(self.messages), {}))
            if message.topic == TYPE.topic and message.time.decode() < final:
                found.append(message.id.decode())
        return found

    def event_ids(self) -> Counter[str]:
        return Counter(dict(message.headers)["ce_id"].decode() for message in self.messages)

    def published(self) -> list[Data]:
        """Return the data of the published events, in order, without dead letters."""
        return [msgspec.json.decode(each.value, type=Data) for each in self.messages if each.topic == TYPE.topic]

    def contents(self) -> Counter[tuple[str, str]]:
        """Count the published events by name and content."""
        return Counter((data.name, data.content) for data in self.published())


class SimulationOver(BaseException):
    """Ends the simulation."""


class EndingClock(SimulatedClock):
    """A simulated clock that ends the simulation once the stream's `final` has reached a given instant.

    It fails the test when `final` is 60 days late.
    """

    def __init__(self, now: datetime, final: datetime) -> None:
        super().__init__(now)
        self.final = final
        self.state: State | None = None

    async def until(self, instant: datetime) -> None:
        await super().until(instant)
        self._check_end()

    def pass_s(self, seconds: float) -> None:
        super().pass_s(seconds)
        self._check_end()

    def _check_end(self) -> None:
        if self.state is not None and self.state.checkpoint is not None and self.state.checkpoint.final >= self.final:
            raise SimulationOver
        assert self.now() < self.final + timedelta(days=60), "final does not advance"


async def run_with_restarts(
    stream: Stream[Any],
    sink: ListSink,
    clock: EndingClock,
    since: datetime | None,
    random: Random,
    status: StreamStatus | None = None,
    outages_s: Sequence[int] = (1, 60, 3600, 8 * 3600),
    *,
    neighbour_start: datetime | None = None,
) -> None:
    """Run the stream until the clock ends the simulation, in a new process after each crash.

    Each process loads the state that the previous ones made durable. `neighbour_start` is that of a backfill.
    """
    while True:
        origin = Origin(Account("test", "632"), stream.source, stream.name)
        prefix = "test/1/list/things"
        shape = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        state = load(prefix, shape, by_stream(sink.pairs).get(prefix, {}))
        clock.state = state
        telemetry = StreamTelemetry(Metrics(), status or StreamStatus("test", stream.source, stream.name), [TYPE.name])
        shards = Shards.only(state, stream.zone, origin, stream.policy)
        shards.neighbour_start = neighbour_start
        worker = Worker(
            stream, state, sink.commit, origin=origin, clock=clock, telemetry=telemetry, random=random, shards=shards
        )
        try:
            try:
                await worker.run(since)
            except Crash:
                clock.pass_s(random.choice(outages_s))
                continue
        except (SimulationOver, EpochEnded):
            pass
        return
