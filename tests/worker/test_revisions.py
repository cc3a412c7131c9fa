"""A record that comes again with other contents is a revision; so it is when it changes back, or changes its end."""

from datetime import timedelta
from random import Random

import msgspec
import pytest

from collector.model import DedupMode, Policy
from tests.simulated import at
from tests.worker.harness import TYPE, Data, EndingClock, Happened, ListSink, ListStream, Select, live

pytestmark = pytest.mark.anyio

ZERO, HOUR = 1_000_000_800, 3600
POLICY = Policy(
    interval=timedelta(minutes=1),
    settle=timedelta(minutes=5),
    allowed_lateness=timedelta(hours=12),
    sweep_every=timedelta(hours=1),
    span=timedelta(hours=6),
)


async def published(rows: list[Happened], select: Select, crash: float = 0.0) -> list[tuple[str, int]]:
    """What was said of the one thing, with its revisions, in the order of publishing."""
    random = Random(5)
    clock = EndingClock(at(ZERO), at(ZERO + 12 * HOUR))
    stream = ListStream(rows, clock, POLICY, DedupMode.VERSIONED, select=select, inclusive=True, random=random)
    sink = ListSink(random, crash)
    await live(stream, sink, clock, at(ZERO), random)
    found = [msgspec.json.decode(m.value, type=Data) for m in sink.messages if m.topic == TYPE.topic]
    return [(data.says, data.number) for data in found]


@pytest.mark.parametrize("select", ["begin", "end", "overlap"])
@pytest.mark.parametrize("crash", [0.0, 0.02])
async def test_a_revision_counts_up_also_when_the_contents_change_back(select: Select, crash: float) -> None:
    begin, end = ZERO + HOUR, ZERO + HOUR + 60
    rows = [
        Happened(begin, end, "x", "first", end, replaced_s=ZERO + 3 * HOUR),
        Happened(begin, end, "x", "second", ZERO + 3 * HOUR, replaced_s=ZERO + 6 * HOUR),
        Happened(begin, end, "x", "first", ZERO + 6 * HOUR),
    ]
    # An outage after a crash may hide a version that did not last; here each lasts longer than a sweep.
    expected = [("first", 0), ("second", 1), ("first", 2)]
    assert expected == [entry for entry in await published(rows, select, crash) if entry in expected]
    assert len(expected) == len(await published(rows, select, 0.0))


@pytest.mark.parametrize("select", ["begin", "end", "overlap"])
@pytest.mark.parametrize("longer", [True, False])
async def test_a_revision_may_change_the_end_and_is_still_the_same_record(select: Select, longer: bool) -> None:
    begin = ZERO + 2 * HOUR
    ends = (begin + 60, begin + 2 * HOUR) if longer else (begin + 2 * HOUR, begin + 60)
    known = max(ends) + 10
    rows = [
        Happened(begin, ends[0], "x", "first", known, replaced_s=known + 2 * HOUR),
        Happened(begin, ends[1], "x", "second", known + 2 * HOUR),
    ]
    assert [("first", 0), ("second", 1)] == await published(rows, select)


async def test_two_versions_in_one_answer_are_published_once_each_for_ever() -> None:
    begin = ZERO + HOUR
    rows = [Happened(begin, begin + 60, "x", says, begin + 60) for says in ("this", "that")]
    assert {("this", 0), ("that", 1)} ^ {("that", 0), ("this", 1)} >= set(await published(rows, "begin"))
    assert 2 == len(await published(rows, "begin"))
