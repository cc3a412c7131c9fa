"""A release with changed field lists replaces the previous one at any time: every record is published exactly once."""

from datetime import timedelta
from random import Random

import pytest

from collector.model import DedupMode, Record
from collector.pipeline.ledger import GONE_AFTER
from collector.pipeline.state import StateFormat, by_stream, load
from tests.field_changes import FIELD_CHANGES, FieldChange, FieldLists, UpgradedStream
from tests.simulated import START, at
from tests.worker import test_latest
from tests.worker.harness import (
    EndingClock,
    ListSink,
    ListStream,
    SimulationOver,
    VendorRow,
    fingerprint,
    run_with_restarts,
)
from tests.worker.test_exactly_once import HISTORY_MODES, HOUR, SELECTS, T0, Scenario
from tests.worker.test_latest import GONE, MINUTE, Shown, SnapshotStream
from tests.worker.test_revisions import POLICY

pytestmark = pytest.mark.anyio

PREFIX = "test/1/list/things"


def _content_part(record: Record[VendorRow]) -> bytes:
    """Extend the key by the content, so that twins of different content have different keys."""
    return b"/" + record.payload.content.encode()


def page_versions(sink: ListSink, stream: UpgradedStream, lists: FieldLists) -> list[int]:
    """Return the field list version of each durable page."""
    state_format = StateFormat(stream.dedup_mode, stream.fields_version, timedelta(0), lists.former)
    return [page.version for page in load(PREFIX, state_format, by_stream(sink.pairs)[PREFIX]).ledger.pages().values()]


@pytest.mark.parametrize("dedup_mode", HISTORY_MODES)
@pytest.mark.parametrize("change", FIELD_CHANGES.values(), ids=FIELD_CHANGES)
@pytest.mark.parametrize("crash_rate", [0, 0.02])
async def test_every_record_is_published_once_across_an_upgrade(
    dedup_mode: DedupMode, change: FieldChange, crash_rate: float
) -> None:
    part = _content_part if dedup_mode is DedupMode.MULTISET else lambda _: b"/account"
    lists = FieldLists(dedup_mode, change, lambda record: fingerprint(record.payload), part)
    upgraded = set[int]()
    for seed, select in enumerate(SELECTS):
        scenario = Scenario(seed, dedup_mode, select, inclusive=True, crash_rate=crash_rate)
        end, scenario.clock.final = scenario.clock.final, at(T0 + (6 + 4 * seed) * HOUR)
        await scenario.run()
        scenario.clock.final = end
        stream = UpgradedStream(scenario.stream, lists)
        upgraded |= set(page_versions(scenario.sink, stream, lists))
        await run_with_restarts(stream, scenario.sink, scenario.clock, at(scenario.since_s), scenario.random)

        assert scenario.expected() == scenario.sink.contents(), f"seed {seed}"
        assert 1 == max(scenario.sink.event_ids().values()), f"seed {seed}"
        assert 1 not in page_versions(scenario.sink, stream, lists), f"seed {seed}"
    assert {1} == upgraded, "some upgrade finds pages of the previous release"


class StoppedClock(EndingClock):
    """A clock that ends the simulation at `final`, whatever the stream has reached."""

    def _perhaps_end(self) -> None:
        if self.now() >= self.final:
            raise SimulationOver


@pytest.mark.parametrize("change", FIELD_CHANGES.values(), ids=FIELD_CHANGES)
async def test_revisions_continue_after_the_upgrade(change: FieldChange) -> None:
    start, end, three, six = T0 + HOUR, T0 + HOUR + 60, T0 + 3 * HOUR, T0 + 6 * HOUR
    rows = [
        VendorRow(start, end, "x", "first", end, replaced_s=three),
        VendorRow(start, end, "x", "second", three, replaced_s=six),
        VendorRow(start, end, "x", "first", six),
    ]
    lists = FieldLists(DedupMode.VERSIONED, change, lambda record: fingerprint(record.payload))
    for upgraded in (2, 5, 8):
        random, sink = Random(5), ListSink(Random(5))
        clock = StoppedClock(at(T0), at(T0 + upgraded * HOUR))
        stream = ListStream(rows, clock, POLICY, DedupMode.VERSIONED, select="start", inclusive=True, random=random)
        await run_with_restarts(stream, sink, clock, at(T0), random)
        clock.final = at(T0 + 11 * HOUR)
        await run_with_restarts(UpgradedStream(stream, lists), sink, clock, at(T0), random)

        assert [("first", 0), ("second", 1), ("first", 2)] == [(data.content, data.number) for data in sink.published()]


async def upgraded_after(
    minutes: int, snapshots: list[Shown | None], lists: FieldLists, crash_rate: float = 0.0
) -> ListSink:
    """Show each snapshot for a minute, first to one release, then to the next one. Return what both published."""
    random = Random(minutes)
    sink, stream = ListSink(random, crash_rate), SnapshotStream(snapshots)
    changed = UpgradedStream(stream, lists)
    clock = StoppedClock(START, START + minutes * MINUTE)
    await run_with_restarts(stream, sink, clock, START, random)
    clock.final = START + (len(snapshots) + GONE_AFTER + 2) * MINUTE
    await run_with_restarts(changed, sink, clock, START, random)
    assert {2} == set(page_versions(sink, changed, lists)), "all pages were migrated"
    return sink


def lists_of_snapshots(change: FieldChange) -> FieldLists:
    return FieldLists(DedupMode.LATEST, change, lambda record: test_latest.fingerprint(record.payload[1]))


@pytest.mark.parametrize("change", FIELD_CHANGES.values(), ids=FIELD_CHANGES)
async def test_snapshots_continue_whenever_the_upgrade_happens(change: FieldChange) -> None:
    """7 changes, disappears and returns; 8 stays; 9 is gone before the upgrade; 6 is new after it."""
    before: list[Shown | None] = [{7: "on", 8: "on", 9: "on"}, *[{7: "on", 8: "on"}] * 4]
    without_seven: list[Shown | None] = [{8: "on"}] * (GONE_AFTER + 1)
    snapshots = [*before, {7: "off", 8: "on"}, {7: "off", 8: "on"}, *without_seven, {6: "on", 7: "off", 8: "on"}]
    expected = {
        "6": [("on", 0)],
        "7": [("on", 0), ("off", 1), (GONE, 2), ("off", 3)],
        "8": [("on", 0)],
        "9": [("on", 0), (GONE, 1)],
    }
    for minutes in (5, 6, 8, 12):
        sink = await upgraded_after(minutes, snapshots, lists_of_snapshots(change))

        found = sink.published()
        assert expected == {
            name: [(data.content, data.number) for data in found if data.name == name] for name in expected
        }, f"after {minutes} minutes"
        assert 1 == max(sink.event_ids().values())


@pytest.mark.parametrize("change", FIELD_CHANGES.values(), ids=FIELD_CHANGES)
async def test_snapshots_survive_crashes_before_and_after_the_upgrade(change: FieldChange) -> None:
    states = [f"state {n // 600:02}" for n in range(6000)]
    for minutes in (1000, 3000, 5000):
        snapshots: list[Shown | None] = [{7: each, 8: "on"} for each in states]
        sink = await upgraded_after(minutes, snapshots, lists_of_snapshots(change), crash_rate=0.1)

        found = sink.published()
        assert [("on", 0)] == [(each.content, each.number) for each in found if each.name == "8"]
        of_seven = [each for each in found if each.name == "7"]
        assert list(range(len(of_seven))) == [each.number for each in of_seven]
        assert sorted({each.content for each in of_seven}) == [each.content for each in of_seven]
        assert 1 == max(sink.event_ids().values())
