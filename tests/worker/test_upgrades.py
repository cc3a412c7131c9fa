"""A process is replaced by one whose lists of fields have changed, whenever it dies: every record comes out once."""

from datetime import timedelta
from random import Random

import msgspec
import pytest

from collector.model import DedupMode, Record
from collector.pipeline.ledger import GONE_AFTER
from collector.pipeline.state import Shape, by_stream, load
from tests.changed import CHANGES, Change, Changed, Lists
from tests.simulated import START, at
from tests.worker import test_latest
from tests.worker.harness import TYPE, Data, EndingClock, Enough, Happened, ListSink, ListStream, fingerprint, live
from tests.worker.test_exactly_once import HISTORIES, HOUR, SELECTS, ZERO, Setup
from tests.worker.test_latest import GONE, MINUTE, Shown, Snapshots
from tests.worker.test_revisions import POLICY

pytestmark = pytest.mark.anyio

PREFIX = "test/1/list/things"


def _says(record: Record[Happened]) -> bytes:
    """Twins that say something else are not equal any more."""
    return b"/" + record.payload.says.encode()


def versions(sink: ListSink, stream: Changed, lists: Lists) -> list[int]:
    """Of the lists of fields, of all pages."""
    shape = Shape(stream.dedup_mode, stream.fields_version, timedelta(0), lists.former)
    return [page.version for page in load(PREFIX, shape, by_stream(sink.pairs)[PREFIX]).ledger.pages().values()]


@pytest.mark.parametrize("dedup_mode", HISTORIES)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("crash", [0, 0.02])
async def test_every_record_comes_out_once_also_through_an_upgrade(
    dedup_mode: DedupMode, change: Change, crash: float
) -> None:
    part = _says if dedup_mode is DedupMode.MULTISET else lambda _: b"/account"
    lists = Lists(dedup_mode, change, lambda record: fingerprint(record.payload), part)
    for seed, select in enumerate(SELECTS):
        world = Setup(seed, dedup_mode, select, inclusive=True, crash=crash)
        end, world.clock.final = world.clock.final, at(ZERO + (6 + 4 * seed) * HOUR)
        await world.run()
        world.clock.final = end
        stream = Changed(world.stream, lists)
        await live(stream, world.sink, world.clock, at(world.since_s), world.random)

        assert world.truth() == world.sink.things(), f"seed {seed}"
        assert 1 == max(world.sink.ids().values()), f"seed {seed}"
        assert {2} >= set(versions(world.sink, stream, lists)), f"seed {seed}"


class StoppedClock(EndingClock):
    """One that ends the run at an instant."""

    def _perhaps_end(self) -> None:
        if self.now() >= self.final:
            raise Enough


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_revisions_go_on_where_they_were_before_the_upgrade(change: Change) -> None:
    begin, end, three, six = ZERO + HOUR, ZERO + HOUR + 60, ZERO + 3 * HOUR, ZERO + 6 * HOUR
    rows = [
        Happened(begin, end, "x", "first", end, replaced_s=three),
        Happened(begin, end, "x", "second", three, replaced_s=six),
        Happened(begin, end, "x", "first", six),
    ]
    lists = Lists(DedupMode.VERSIONED, change, lambda record: fingerprint(record.payload))
    for upgraded in (2, 5, 8):
        random, sink = Random(5), ListSink(Random(5))
        clock = StoppedClock(at(ZERO), at(ZERO + upgraded * HOUR))
        stream = ListStream(rows, clock, POLICY, DedupMode.VERSIONED, select="begin", inclusive=True, random=random)
        await live(stream, sink, clock, at(ZERO), random)
        clock.final = at(ZERO + 11 * HOUR)
        await live(Changed(stream, lists), sink, clock, at(ZERO), random)

        assert [("first", 0), ("second", 1), ("first", 2)] == [(data.says, data.number) for data in things(sink)]


def things(sink: ListSink) -> list[Data]:
    return [msgspec.json.decode(each.value, type=Data) for each in sink.messages if each.topic == TYPE.topic]


async def upgraded_after(minutes: int, snapshots: list[Shown | None], lists: Lists, crash: float = 0.0) -> ListSink:
    """What two releases make of a list of snapshots, a minute each."""
    random = Random(minutes)
    sink, stream = ListSink(random, crash), Snapshots(snapshots)
    changed = Changed(stream, lists)
    clock = StoppedClock(START, START + minutes * MINUTE)
    await live(stream, sink, clock, START, random)
    clock.final = START + (len(snapshots) + GONE_AFTER + 2) * MINUTE
    await live(changed, sink, clock, START, random)
    assert {2} == set(versions(sink, changed, lists)), "all that was known before is carried over"
    return sink


def lists_of_snapshots(change: Change) -> Lists:
    return Lists(DedupMode.LATEST, change, lambda record: test_latest.fingerprint(record.payload[1]))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_snapshots_go_on_whenever_the_upgrade_comes(change: Change) -> None:
    """7 changes, disappears and comes back; 8 stays; 9 was gone before; 6 is new."""
    early: list[Shown | None] = [{7: "on", 8: "on", 9: "on"}, *[{7: "on", 8: "on"}] * 4]
    away: list[Shown | None] = [{8: "on"}] * (GONE_AFTER + 1)
    snapshots = [*early, {7: "off", 8: "on"}, {7: "off", 8: "on"}, *away, {6: "on", 7: "off", 8: "on"}]
    expected = {
        "6": [("on", 0)],
        "7": [("on", 0), ("off", 1), (GONE, 2), ("off", 3)],
        "8": [("on", 0)],
        "9": [("on", 0), (GONE, 1)],
    }
    for minutes in (5, 6, 8, 12):
        sink = await upgraded_after(minutes, snapshots, lists_of_snapshots(change))

        found = things(sink)
        assert expected == {
            name: [(data.says, data.number) for data in found if data.name == name] for name in expected
        }, f"after {minutes} minutes"
        assert 1 == max(sink.ids().values())


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_snapshots_survive_crashes_before_and_after_the_upgrade(change: Change) -> None:
    says = [f"state {n // 600:02}" for n in range(6000)]
    for minutes in (1000, 3000, 5000):
        snapshots: list[Shown | None] = [{7: each, 8: "on"} for each in says]
        sink = await upgraded_after(minutes, snapshots, lists_of_snapshots(change), crash=0.1)

        found = things(sink)
        assert [("on", 0)] == [(each.says, each.number) for each in found if each.name == "8"]
        of_seven = [each for each in found if each.name == "7"]
        assert list(range(len(of_seven))) == [each.number for each in of_seven]
        assert sorted({each.says for each in of_seven}) == [each.says for each in of_seven]
        assert 1 == max(sink.ids().values())
