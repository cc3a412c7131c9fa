"""Streams of snapshots: each change is one event, and a thing that disappears is reported once."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import structs

from collector.alignment import Snapshot
from collector.instants import format_ms, to_ms
from collector.model import Account, DedupMode, Event, FetchResult, Policy, Record, Reject, Window
from collector.pipeline.ledger import GONE_AFTER, Former
from collector.vendors.base import Stream
from tests.simulated import START
from tests.worker.harness import TYPE, Data, EndingClock, ListSink, run_with_restarts

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
GONE = "gone"
Shown = Mapping[int, str]
"""A snapshot: the content of each thing, by its number."""


class SnapshotStream(Stream[tuple[int, str]]):
    """A vendor whose n-th minute shows the n-th snapshot of a list; after the list, the last one.

    None is a response whose only row is malformed.
    """

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
    dedup_mode = DedupMode.LATEST

    def __init__(self, snapshots: list[Shown | None]) -> None:
        none = timedelta(0)
        self.policy = Policy(
            interval=MINUTE,
            settle=none,
            allowed_lateness=none,
            sweep_every=MINUTE,
            span=MINUTE,
            until=None,
            alignment=Snapshot(),
        )
        self.windows: list[Window] = []
        self._snapshots = snapshots

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[tuple[int, str]], None]:
        self.windows.append(window)
        nth = max(0, (window.end - START) // MINUTE - 1)
        snapshot = self._snapshots[min(nth, len(self._snapshots) - 1)]
        seen_ms = to_ms(window.end)
        rows = [_record(each, content, seen_ms) for each, content in (snapshot or {}).items()]
        broken = [Reject(b"broken", "malformed")] if snapshot is None else []

        def gone(key: bytes) -> Record[tuple[int, str]]:
            return _record(int.from_bytes(key, "big"), GONE, seen_ms)

        yield FetchResult([*rows, *broken], len(rows), 100, timedelta(seconds=1), None, gone)

    def explode(self, record: Record[tuple[int, str]], digest: str, number: int) -> Iterator[Event]:
        name, content = record.payload
        data = Data(str(name), content, number)
        yield Event(TYPE, f"{digest}/thing/0", str(name), format_ms(record.start_ms), str(name), data)


def fingerprint(content: str) -> bytes:
    return GONE.encode() if content == GONE else msgspec.msgpack.encode([content, "snapshot"])


def _record(name: int, content: str, seen_ms: int) -> Record[tuple[int, str]]:
    return Record(name.to_bytes(8, "big"), fingerprint(content), seen_ms, seen_ms, seen_ms // 1000, (name, content))


async def published(
    snapshots: list[Shown | None], *, crash_rate: float = 0.0, seed: int = 1
) -> tuple[list[Data], ListSink]:
    """Show each snapshot for a minute and the last one longer; return the published events in order."""
    stream, random = SnapshotStream(snapshots), Random(seed)
    sink = ListSink(random, crash_rate)
    await run_with_restarts(stream, sink, EndingClock(START, _end(snapshots)), START, random)
    return sink.published(), sink


def _end(snapshots: list[Shown | None]) -> datetime:
    return START + (len(snapshots) + GONE_AFTER + 2) * MINUTE


async def test_each_change_is_one_event_and_an_unchanged_snapshot_is_none() -> None:
    events, _ = await published([{7: "online"}, {7: "online"}, {7: "offline"}, {7: "offline"}, {7: "online"}])
    assert [Data("7", "online", 0), Data("7", "offline", 1), Data("7", "online", 2)] == events


class Twice(dict[int, str]):
    """A snapshot in which a thing is listed once more, with another content."""

    def __init__(self, shown: Shown, number: int, content: str) -> None:
        super().__init__(shown)
        self._again = number, content

    def items(self) -> Any:  # noqa: ANN401 - the pairs, as far as the stream reads them
        return [*super().items(), self._again]


async def test_of_a_thing_that_was_listed_twice_the_last_event_is_what_is_listed_since() -> None:
    once, twice, reordered = {1: "a"}, Twice({1: "a"}, 1, "b"), Twice({1: "b"}, 1, "a")
    cases: list[tuple[list[Shown | None], str]] = [
        ([once, twice, reordered, twice], "ab"),
        ([twice, reordered, once, once], "aba"),
        ([once, twice, once, {1: "b"}], "abab"),
        ([once, twice, {1: "b"}, once], "aba"),
    ]
    for snapshots, expected in cases:
        events, _ = await published(snapshots)
        assert [Data("1", content, number) for number, content in enumerate(expected)] == events


async def test_a_thing_missing_from_several_complete_responses_is_gone_once_and_may_return() -> None:
    without_seven: list[Shown | None] = [{8: "on"}] * (GONE_AFTER + 3)
    events, _ = await published([{7: "on", 8: "on"}, *without_seven, {7: "on", 8: "on"}])
    assert [Data("7", "on", 0), Data("7", GONE, 1), Data("7", "on", 2)] == [each for each in events if each.name == "7"]
    assert [Data("8", "on", 0)] == [each for each in events if each.name == "8"]


async def test_a_thing_missing_from_fewer_responses_is_not_gone() -> None:
    empty: list[Shown | None] = [{}] * (GONE_AFTER - 1)
    events, _ = await published([{7: "on"}, *empty, {7: "on"}, *empty, {7: "on"}])
    assert [Data("7", "on", 0)] == events


@pytest.mark.parametrize("last", [{7: "on"}, {7: "off"}, {}], ids=["the same", "changed", "empty"])
async def test_lists_that_are_requested_after_the_end_of_the_stream_change_nothing(last: Shown) -> None:
    """The last windows of a bounded stream end after `until`, by the allowed lateness."""
    stream, random = SnapshotStream([{7: "on"}, {7: "on"}, last]), Random(1)
    stream.policy = structs.replace(stream.policy, until=START + 2 * MINUTE, allowed_lateness=(GONE_AFTER + 3) * MINUTE)
    sink = ListSink(random, 0.0)
    await run_with_restarts(stream, sink, EndingClock(START, START + 12 * MINUTE), START, random)
    assert len(stream.windows) > GONE_AFTER
    assert [Data("7", "on", 0)] == sink.published()


async def test_a_response_with_a_malformed_row_proves_nothing_missing() -> None:
    events, _ = await published([{7: "on"}, *[None] * (GONE_AFTER + 3), {7: "on"}])
    assert [Data("7", "on", 0)] == events


async def test_the_state_grows_with_the_number_of_things_and_not_of_changes() -> None:
    _, sink = await published([{7: str(n), 8: "on"} for n in range(300)])
    assert 301 == len(sink.contents())
    assert {b"test/1/list/things", b"test/1/list/things/7/0", b"test/1/list/things/8/0"} == sink.pairs.keys()


@pytest.mark.parametrize("seed", range(8))
async def test_crashes_at_any_step_lose_and_duplicate_no_change(seed: int) -> None:
    """A change that is undone during an outage is never fetched, so here each state lasts longer than any outage."""
    states = [f"state {n // 600}" for n in range(6000)]
    events, sink = await published([{7: each, 8: "on"} for each in states], crash_rate=0.1, seed=seed)
    assert [Data("8", "on", 0)] == [each for each in events if each.name == "8"]
    of_seven = [each for each in events if each.name == "7"]
    assert list(range(len(of_seven))) == [each.number for each in of_seven]
    assert sorted({each.content for each in of_seven}) == [each.content for each in of_seven]
    assert 1 == max(sink.event_ids().values())
    assert len(of_seven) > 5


async def test_one_snapshot_is_fetched_after_an_outage_of_any_length() -> None:
    stream, random = SnapshotStream([{7: "on"}]), Random(1)
    clock = EndingClock(START + timedelta(days=40), START + timedelta(days=40, minutes=5))
    await run_with_restarts(stream, ListSink(random), clock, START, random)
    assert Window(START, START + timedelta(days=40)) == stream.windows[0]
    assert [MINUTE] * (len(stream.windows) - 1) == [window.length for window in stream.windows[1:]]
