"""What the worker does about a vendor that fails, caps, trickles or changes its format; in simulated time."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from random import Random

import pytest
from msgspec import structs

from collector.errors import EpochEnded, Park, RetryLater, Split
from collector.model import DedupMode, FetchResult, Policy, Window
from collector.pipeline.message import Origin
from collector.pipeline.state import Shape, State
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.worker import Worker, looks_capped
from tests.simulated import at
from tests.worker.harness import TYPE, EndingClock, Enough, Happened, ListSink, ListStream, record

pytestmark = pytest.mark.anyio

ZERO, HOUR = 1_000_000_800, 3600
POLICY = Policy(
    interval=timedelta(minutes=1),
    settle=timedelta(seconds=30),
    allowed_lateness=timedelta(hours=2),
    sweep_every=timedelta(hours=1),
    span=timedelta(hours=6),
)
Ask = Callable[[Window, list[Happened]], list[Happened]]


class Scripted(ListStream):
    """A stream whose answers a test may replace, or refuse."""

    script: Ask | None = None

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[Happened], None]:
        async for answer in super().fetch(window):
            rows = [row.payload for row in answer.records if not hasattr(row, "error")]
            told = rows if self.script is None else self.script(window, rows)
            yield structs.replace(answer, records=map(record, told), rows=len(told), size=100 * len(told))


class World:
    """One worker over a scripted stream."""

    def __init__(self, rows: list[Happened], *, start_s: int, final_s: int, policy: Policy = POLICY) -> None:
        self.clock = EndingClock(at(start_s), at(final_s))
        self.random = Random(4)
        self.stream = Scripted(
            rows, self.clock, policy, DedupMode.VERSIONED, select="begin", inclusive=True, random=self.random
        )
        self.sink = ListSink(self.random)
        self.row = StreamStatus("test", "list", "things")
        self.metrics = Metrics()
        self.telemetry = StreamTelemetry(self.metrics, self.row, [TYPE.name])

    def worker(self, state: State | None = None) -> Worker[Happened]:
        state = state or State("test/1/list/things", Shape(DedupMode.VERSIONED, 1, timedelta(0)))
        self.clock.state = state
        return Worker(
            self.stream,
            state,
            self.sink.commit,
            origin=Origin("test", "list", "things"),
            clock=self.clock,
            telemetry=self.telemetry,
            random=self.random,
        )

    async def run(self, since: datetime | None = None) -> None:
        with pytest.raises(Enough):
            await self.worker().run(since or at(ZERO))

    def count(self, name: str, **labels: str) -> float:
        value = self.metrics.registry.get_sample_value(name, {"source": "list", "stream": "things", **labels})
        return 0 if value is None else value


def rows_each(seconds: int, hours: int = 6) -> list[Happened]:
    return [Happened(t, t, f"at {t}", "hello", t) for t in range(ZERO, ZERO + hours * HOUR, seconds)]


def names(world: World) -> set[str]:
    return {name for name, _ in world.sink.things()}


@pytest.mark.parametrize(
    ("rows", "capped"),
    [
        (999, False),
        (1000, True),
        (1001, False),
        (2000, True),
        (3000, False),
        (5000, True),
        (10_000, True),
        (100, False),
    ],
)
def test_a_suspiciously_round_number_looks_like_a_cap(rows: int, capped: bool) -> None:
    assert capped == looks_capped(rows)


async def test_a_silent_cap_loses_nothing() -> None:
    rows = rows_each(2)
    world = World(rows, start_s=ZERO + 48 * HOUR, final_s=ZERO + 7 * HOUR)
    world.stream.script = lambda _, found: sorted(found, key=lambda row: row.begin_s)[:1000]
    await world.run()
    assert {row.name for row in rows} == names(world)


async def test_a_cap_below_a_minute_s_rows_is_found_by_asking_for_its_halves() -> None:
    rows = [Happened(t, t, f"{t} {n}", "hello", t) for t in range(ZERO, ZERO + 120) for n in range(30)]
    world = World(rows, start_s=ZERO + 48 * HOUR, final_s=ZERO + 600)
    world.stream.script = lambda _, found: sorted(found, key=lambda row: row.begin_s)[:1000]
    await world.run()
    assert {row.name for row in rows} == names(world)


async def test_a_round_number_that_is_none_is_accepted_with_a_warning() -> None:
    rows = [Happened(ZERO + 30, ZERO + 30, f"{n}", "hello", ZERO + 30) for n in range(1000)]
    world = World(rows, start_s=ZERO + 48 * HOUR, final_s=ZERO + 600)
    await world.run()
    assert 1000 == len(names(world))


async def test_an_answer_that_is_too_large_is_asked_for_in_halves() -> None:
    rows = rows_each(60)
    world = World(rows, start_s=ZERO + 48 * HOUR, final_s=ZERO + 7 * HOUR)

    def script(_: Window, found: list[Happened]) -> list[Happened]:
        if len(found) > 20:
            raise Split("too large")
        return found

    world.stream.script = script
    await world.run()
    assert {row.name for row in rows} == names(world)


async def test_what_does_not_fit_at_the_smallest_window_is_shown_and_never_skipped() -> None:
    world = World(rows_each(60), start_s=ZERO + 48 * HOUR, final_s=ZERO + 7 * HOUR)
    refused = 0

    def script(window: Window, found: list[Happened]) -> list[Happened]:
        nonlocal refused
        if window.start <= at(ZERO + 3 * HOUR) < window.end:
            refused += 1
            if refused == 15:
                assert "parked" == world.row.state
                assert world.row.last_error is not None
                assert "max_response_bytes" in world.row.last_error.advice
                assert world.clock.state is not None
                assert world.clock.state.checkpoint is not None
                assert world.clock.state.checkpoint.watermark <= at(ZERO + 3 * HOUR)
            if refused < 20:
                raise Split("too large")
        return found

    world.stream.script = script
    await world.run()
    assert {row.name for row in rows_each(60)} == names(world)


async def test_an_answer_that_takes_too_long_is_asked_for_in_halves_after_a_wait() -> None:
    world = World(rows_each(60), start_s=ZERO + 48 * HOUR, final_s=ZERO + 7 * HOUR)

    def script(window: Window, found: list[Happened]) -> list[Happened]:
        if window.length > timedelta(minutes=10):
            raise RetryLater("no answer within the timeout", narrower=True)
        return found

    world.stream.script = script
    await world.run()
    assert {row.name for row in rows_each(60)} == names(world)
    asked = [(window.length, when) for window, when in world.stream.asked]
    assert asked[1][0] < asked[0][0]
    assert asked[1][1] > asked[0][1] + timedelta(seconds=1)


async def test_failures_back_off_further_each_time_and_a_success_begins_anew() -> None:
    world = World([], start_s=ZERO + 60, final_s=ZERO + HOUR)
    left = [0] * 8

    def script(_: Window, found: list[Happened]) -> list[Happened]:
        if left:
            left.pop()
            raise RetryLater("HTTP 503")
        return found

    world.stream.script = script
    await world.run()
    waits = [
        (b[1] - a[1]).total_seconds() for a, b in zip(world.stream.asked[:8], world.stream.asked[1:9], strict=True)
    ]
    for number, wait in enumerate(waits):
        full = min(120, 2**number)
        assert full / 2 <= wait - 1 <= full + 1, f"wait {number}"
    assert 8 == world.count("collector_polls_total", outcome="retry")
    assert "live" == world.row.state


async def test_the_wait_that_the_vendor_asks_for_is_kept() -> None:
    world = World([], start_s=ZERO + 60, final_s=ZERO + 2 * HOUR)
    first = [True]

    def script(_: Window, found: list[Happened]) -> list[Happened]:
        if first:
            first.pop()
            raise RetryLater("HTTP 429", after_s=1800)
        return found

    world.stream.script = script
    await world.run()
    assert world.stream.asked[1][1] >= world.stream.asked[0][1] + timedelta(seconds=1800)


async def test_what_waits_for_an_operator_is_tried_slowly_and_comes_back_by_itself() -> None:
    world = World(rows_each(600), start_s=ZERO + 60, final_s=ZERO + 6 * HOUR)
    left = [0] * 5

    def script(_: Window, found: list[Happened]) -> list[Happened]:
        if left:
            left.pop()
            assert world.row.state in ("parked", "not_owned")
            raise Park("HTTP 401", advice="the key is wrong")
        return found

    world.stream.script = script
    await world.run()
    gap = world.stream.asked[1][1] - world.stream.asked[0][1]
    assert timedelta(seconds=15) <= gap <= timedelta(seconds=32)
    assert {row.name for row in rows_each(600)} == names(world)
    assert 5 == world.count("collector_polls_total", outcome="park")


async def test_a_fault_of_our_own_parks_the_stream_and_loses_nothing() -> None:
    world = World(rows_each(600), start_s=ZERO + 60, final_s=ZERO + 6 * HOUR)
    left = [0, 0]

    def script(_: Window, found: list[Happened]) -> list[Happened]:
        if left:
            left.pop()
            raise ZeroDivisionError
        return found

    world.stream.script = script
    await world.run()
    assert {row.name for row in rows_each(600)} == names(world)


async def test_when_a_tenth_of_the_rows_is_malformed_the_stream_is_parked_before_they_are_published() -> None:
    good = rows_each(60)
    bad = [Happened(t, t, f"bad {t}", "rubbish", t) for t in range(ZERO, ZERO + 6 * HOUR, 400)]
    world = World(good, start_s=ZERO + 48 * HOUR, final_s=ZERO + 7 * HOUR)
    mended = [False]

    def script(window: Window, found: list[Happened]) -> list[Happened]:
        if mended[0]:
            return found
        if world.row.state == "parked":
            mended[0] = True
            assert world.row.last_error is not None
            assert "format" in world.row.last_error.advice
        return [*found, *(row for row in bad if window.start <= at(row.begin_s) < window.end)]

    world.stream.script = script
    await world.run()
    assert mended[0]
    assert {row.name for row in good} == names(world)


async def test_a_few_malformed_rows_are_dead_letters_and_nothing_stops() -> None:
    good = rows_each(60)
    bad = [Happened(t, t, f"bad {t}", "rubbish", t) for t in range(ZERO, ZERO + 6 * HOUR, 3000)]
    world = World(good, start_s=ZERO + 48 * HOUR, final_s=ZERO + 7 * HOUR)
    world.stream.script = lambda window, found: [
        *found,
        *(row for row in bad if window.start <= at(row.begin_s) < window.end),
    ]
    await world.run()
    assert {row.name for row in good} == names(world)
    letters = [message for message in world.sink.messages if message.topic == "collector.dead_letters"]
    assert len(bad) == len(letters)
    assert len(bad) == world.count("collector_dead_letters_total", reason="malformed")


async def test_outcomes_are_counted_once_durable() -> None:
    begin = ZERO + 10 * 60
    rows = [
        Happened(begin, begin + 60, "fresh", "hello", begin + 60),
        Happened(begin, begin + 60, "late", "hello", begin + 40 * 60),
        Happened(begin, begin + 60, "twice", "one", begin + 60, replaced_s=begin + 30 * 60),
        Happened(begin, begin + 60, "twice", "two", begin + 30 * 60),
        Happened(ZERO - 60, ZERO - 60, "outside", "hello", ZERO),
    ]
    world = World(rows, start_s=ZERO + 1, final_s=ZERO + HOUR)
    await world.run()
    found = {o: world.count("collector_records_total", outcome=o) for o in ("fresh", "late", "revision", "rejected")}
    assert {"fresh": 2, "late": 1, "revision": 1, "rejected": 0} == found
    assert world.count("collector_records_total", outcome="duplicate") > 0
    assert 4 == world.count("collector_events_published_total", type=TYPE.name)
    assert 2 == world.count("collector_event_delay_seconds_count")


async def test_what_was_not_committed_is_not_counted() -> None:
    world = World(rows_each(60, hours=1), start_s=ZERO + HOUR, final_s=ZERO + 6 * HOUR)

    async def refuse(messages: object, state: object) -> None:
        del state
        if messages:
            raise EpochEnded

    worker = world.worker()
    worker._commit = refuse
    with pytest.raises(EpochEnded):
        await worker.run(at(ZERO))
    assert 0 == world.count("collector_records_total", outcome="fresh")
    assert 0 == world.count("collector_events_published_total", type=TYPE.name)


async def test_a_changed_since_or_selection_moves_nothing_and_says_so() -> None:
    world = World(rows_each(600), start_s=ZERO + HOUR, final_s=ZERO + 2 * HOUR)
    await world.run()
    state = world.clock.state
    assert state is not None
    world.clock.final = at(ZERO + 3 * HOUR)
    world.stream.selection = "another part"
    with pytest.raises(Enough):
        await world.worker(state).run(at(ZERO - 5 * HOUR))
    assert state.checkpoint is not None
    assert at(ZERO) == state.checkpoint.since
    assert 2 == len(world.row.notices)
    assert "since" in world.row.notices[0]
    assert "another part" in world.row.notices[1]
