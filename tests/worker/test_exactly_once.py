"""Whatever fails, whenever the process dies, however the vendor selects: every record comes out once."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model import DedupMode, Policy
from tests.simulated import at
from tests.worker.harness import Crash, EndingClock, Happened, ListSink, ListStream, Select, live

pytestmark = pytest.mark.anyio

HOUR, DAY = 3600, 24 * 3600
ZERO = 1_000_000_800  # an hour's begin, long ago
SELECTS: tuple[Select, ...] = ("begin", "end", "overlap", "strict overlap")
HISTORIES = (DedupMode.MULTISET, DedupMode.VERSIONED)


def history(random: Random, lateness_s: int, days: int) -> list[Happened]:
    """Things of all lengths, some late, some twins, all of them known within the lateness after their begin."""
    rows = []
    for number in range(200):
        begin = ZERO + random.randrange(days * DAY)
        length = random.choice([random.randrange(120), random.randrange(120), random.randrange(4 * HOUR)])
        late = random.choice([0, 0, 0, random.randrange(600), random.randrange(max(1, lateness_s - length - 60))])
        if length + late > lateness_s - 60:
            length, late = 60, 0
        rows.append(Happened(begin, begin + length, f"n{number}", "hello", begin + length + late))
    return rows


def with_twins(random: Random, rows: Sequence[Happened], lateness_s: int) -> list[Happened]:
    twins = []
    for row in random.sample(rows, 40):
        later = row.available_s + random.choice([0, 0, random.randrange(1800)])
        available = max(row.available_s, min(row.begin_s + lateness_s - 60, later))
        twins.append(Happened(row.begin_s, row.end_s, row.name, random.choice([row.says, "twin"]), available))
    return [*rows, *twins]


class Setup:
    """One random world."""

    def __init__(
        self,
        seed: int,
        dedup_mode: DedupMode,
        select: Select,
        *,
        inclusive: bool,
        crash: float,
        more: Sequence[Happened] = (),
    ) -> None:
        self.random = random = Random(seed)
        self.lateness_s = random.choice([5 * HOUR, 12 * HOUR])
        self.days = 1
        self.since_s = ZERO + random.choice([0, 6 * HOUR])
        policy = Policy(
            interval=timedelta(seconds=random.choice([120, 900])),
            settle=timedelta(seconds=random.choice([1, 60, 2700])),
            allowed_lateness=timedelta(seconds=self.lateness_s),
            sweep_every=timedelta(seconds=random.choice([HOUR, 4 * HOUR])),
            span=timedelta(seconds=random.choice([HOUR // 2, 6 * HOUR, 24 * HOUR])),
        )
        self.rows = [*history(random, self.lateness_s, self.days), *more]
        if dedup_mode is DedupMode.MULTISET:
            self.rows = with_twins(random, self.rows, self.lateness_s)
        start = self.since_s + random.choice([1, 30 * HOUR])
        self.clock = EndingClock(at(start), at(ZERO + self.days * DAY + 4 * HOUR))
        self.stream = ListStream(
            self.rows,
            self.clock,
            policy,
            dedup_mode,
            select=select,
            inclusive=inclusive,
            random=random,
            failure=random.choice([0, 0.02]),
            answer_s=random.choice([1, 30]),
        )
        self.sink = ListSink(random, crash)

    async def run(self) -> None:
        await live(self.stream, self.sink, self.clock, at(self.since_s), self.random)

    def truth(self) -> Counter[tuple[str, str]]:
        return Counter((row.name, row.says) for row in self.rows if row.begin_s >= self.since_s)


@pytest.mark.parametrize("dedup_mode", HISTORIES)
@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("crash", [0, 0.0005, 0.02])
async def test_every_record_comes_out_once(
    dedup_mode: DedupMode, select: Select, inclusive: bool, crash: float
) -> None:
    for seed in range(3):
        world = Setup(seed, dedup_mode, select, inclusive=inclusive, crash=crash)
        await world.run()
        assert world.truth() == world.sink.things(), f"seed {seed}"
        assert 1 == max(world.sink.ids().values()), f"seed {seed}"


@pytest.mark.parametrize("select", SELECTS)
async def test_a_crash_commits_the_same_as_no_crash(select: Select) -> None:
    """The same ids, not only the same contents: what a consumer has seen does not depend on when the process died."""
    for seed in range(10):
        calm = Setup(seed, DedupMode.VERSIONED, select, inclusive=True, crash=0)
        stormy = Setup(seed, DedupMode.VERSIONED, select, inclusive=True, crash=0.05)
        await calm.run()
        await stormy.run()
        assert calm.sink.ids() == stormy.sink.ids(), f"seed {seed}"


async def test_a_crash_at_each_single_commit_changes_nothing() -> None:
    calm = Setup(7, DedupMode.VERSIONED, "end", inclusive=False, crash=0)
    await calm.run()
    expected, steps = calm.sink.ids(), calm.sink.commits
    assert steps > 20
    for step in range(0, 2 * steps, 11):
        world = Setup(7, DedupMode.VERSIONED, "end", inclusive=False, crash=0)
        left = [step]

        def die(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                raise Crash

        world.sink._perhaps = die  # type: ignore[method-assign]
        await world.run()
        assert expected == world.sink.ids(), f"died at step {step}"


@given(
    seed=st.integers(0, 2**32),
    select=st.sampled_from(SELECTS),
    dedup_mode=st.sampled_from(HISTORIES),
    often=st.booleans(),
)
@settings(max_examples=25)
async def test_no_world_loses_or_doubles(seed: int, select: Select, dedup_mode: DedupMode, often: bool) -> None:
    world = Setup(seed, dedup_mode, select, inclusive=seed % 2 == 0, crash=0.02 if often else 0.0005)
    await world.run()
    assert world.truth() == world.sink.things()


async def test_a_dead_letter_comes_once_however_often_the_row_is_asked_about() -> None:
    begin = ZERO + 18 * HOUR
    broken = Happened(begin, begin + 60, "broken", "rubbish", begin + 120)
    world = Setup(3, DedupMode.VERSIONED, "begin", inclusive=True, crash=0.01, more=[broken])
    await world.run()
    letters = [message for message in world.sink.messages if message.topic == "collector.dead_letters"]
    assert [b"list/things"] == [message.key for message in letters]


async def test_a_bounded_stream_completes_with_the_records_that_start_in_it() -> None:
    for select in SELECTS:
        world = Setup(11, DedupMode.VERSIONED, select, inclusive=True, crash=0.005)
        until = ZERO + 16 * HOUR
        policy = world.stream.policy
        world.stream.policy = Policy(
            interval=policy.interval,
            settle=policy.settle,
            allowed_lateness=policy.allowed_lateness,
            sweep_every=policy.sweep_every,
            span=policy.span,
            until=at(until),
        )
        expected = Counter((row.name, row.says) for row in world.rows if world.since_s <= row.begin_s < until)
        world.clock.final = at(ZERO + 99 * DAY)  # it must end by itself
        await world.run()
        assert expected == world.sink.things(), select
