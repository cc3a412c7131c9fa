"""What is only known as it is now: every change is an event, nothing is forgotten, what is gone is said once."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from collector.alignment import Snapshot
from collector.instants import format_ms, to_ms
from collector.model import Account, DedupMode, Event, FetchResult, Policy, Record, Reject, Window
from collector.pipeline.ledger import GONE_AFTER, Former
from collector.vendors.base import Stream
from tests.simulated import START
from tests.worker.harness import TYPE, Data, EndingClock, ListSink, live

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
GONE = "gone"
Shown = Mapping[int, str]


class Snapshots(Stream[tuple[int, str]]):
    """A stream of snapshots: the n-th minute's is the n-th of the list, and the last one stays."""

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
        at_once = timedelta(0)
        self.policy = Policy(
            interval=MINUTE,
            settle=at_once,
            allowed_lateness=at_once,
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
        rows = [_record(each, says, seen_ms) for each, says in (snapshot or {}).items()]
        broken = [Reject(b"broken", "it is broken")] if snapshot is None else []

        def gone(key: bytes) -> Record[tuple[int, str]]:
            return _record(int.from_bytes(key, "big"), GONE, seen_ms)

        yield FetchResult([*rows, *broken], len(rows), 100, timedelta(seconds=1), None, gone)

    def explode(self, record: Record[tuple[int, str]], digest: str, number: int) -> Iterator[Event]:
        name, says = record.payload
        data = Data(str(name), says, number)
        yield Event(TYPE, f"{digest}/thing/0", str(name), format_ms(record.start_ms), str(name), data)


def fingerprint(says: str) -> bytes:
    return GONE.encode() if says == GONE else msgspec.msgpack.encode([says, "snapshot"])


def _record(name: int, says: str, seen_ms: int) -> Record[tuple[int, str]]:
    return Record(name.to_bytes(8, "big"), fingerprint(says), seen_ms, seen_ms, seen_ms // 1000, (name, says))


async def told(snapshots: list[Shown | None], *, crash: float = 0.0, seed: int = 1) -> tuple[list[Data], ListSink]:
    """What was published of them, in order; a minute each, and a while longer."""
    stream, random = Snapshots(snapshots), Random(seed)
    sink = ListSink(random, crash)
    await live(stream, sink, EndingClock(START, _end(snapshots)), START, random)
    return [
        msgspec.json.decode(message.value, type=Data) for message in sink.messages if message.topic == TYPE.topic
    ], sink


def _end(snapshots: list[Shown | None]) -> datetime:
    return START + (len(snapshots) + GONE_AFTER + 2) * MINUTE


async def test_online_offline_online_is_three_events_and_no_change_is_none() -> None:
    events, _ = await told([{7: "online"}, {7: "online"}, {7: "offline"}, {7: "offline"}, {7: "online"}])
    assert [Data("7", "online", 0), Data("7", "offline", 1), Data("7", "online", 2)] == events


async def test_what_several_whole_answers_lack_is_gone_once_and_may_come_back() -> None:
    lacking: list[Shown | None] = [{8: "on"}] * (GONE_AFTER + 3)
    events, _ = await told([{7: "on", 8: "on"}, *lacking, {7: "on", 8: "on"}])
    assert [Data("7", "on", 0), Data("7", GONE, 1), Data("7", "on", 2)] == [each for each in events if each.name == "7"]
    assert [Data("8", "on", 0)] == [each for each in events if each.name == "8"]


async def test_what_few_answers_lack_is_a_glitch() -> None:
    lacking: list[Shown | None] = [{}] * (GONE_AFTER - 1)
    events, _ = await told([{7: "on"}, *lacking, {7: "on"}, *lacking, {7: "on"}])
    assert [Data("7", "on", 0)] == events


async def test_an_answer_with_a_broken_row_lacks_nothing() -> None:
    events, _ = await told([{7: "on"}, *[None] * (GONE_AFTER + 3), {7: "on"}])
    assert [Data("7", "on", 0)] == events


async def test_the_state_grows_with_the_things_and_not_with_their_changes() -> None:
    _, sink = await told([{7: str(n), 8: "on"} for n in range(300)])
    assert 301 == len(sink.things())
    assert {b"test/1/list/things", b"test/1/list/things/7/0", b"test/1/list/things/8/0"} == sink.pairs.keys()


@pytest.mark.parametrize("seed", range(8))
async def test_crashes_at_any_step_lose_and_double_no_change(seed: int) -> None:
    """A state that is only there while the process is away is not seen; so each lasts until it is."""
    says = [f"state {n // 600}" for n in range(6000)]
    events, sink = await told([{7: each, 8: "on"} for each in says], crash=0.1, seed=seed)
    assert [Data("8", "on", 0)] == [each for each in events if each.name == "8"]
    of_seven = [each for each in events if each.name == "7"]
    assert list(range(len(of_seven))) == [each.number for each in of_seven]
    assert sorted({each.says for each in of_seven}) == [each.says for each in of_seven]
    assert 1 == max(sink.ids().values())
    assert len(of_seven) > 5


async def test_a_snapshot_is_asked_for_once_however_long_nobody_asked() -> None:
    stream, random = Snapshots([{7: "on"}]), Random(1)
    clock = EndingClock(START + timedelta(days=40), START + timedelta(days=40, minutes=5))
    await live(stream, ListSink(random), clock, START, random)
    assert Window(START, START + timedelta(days=40)) == stream.windows[0]
    assert [MINUTE] * (len(stream.windows) - 1) == [window.length for window in stream.windows[1:]]
