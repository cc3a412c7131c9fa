"""Every record is published exactly once, whatever fails, whenever the process dies, however the vendor selects."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model import DedupMode, Policy
from tests.simulated import at
from tests.worker.harness import (
    MALFORMED,
    Crash,
    EndingClock,
    ListSink,
    ListStream,
    Select,
    VendorRow,
    run_with_restarts,
)

pytestmark = pytest.mark.anyio

HOUR, DAY = 3600, 24 * 3600
T0 = 1_000_000_800  # the start of an hour in 2001
SELECTS: tuple[Select, ...] = ("start", "end", "overlap", "strict overlap")
HISTORY_MODES = (DedupMode.MULTISET, DedupMode.VERSIONED)


def history(random: Random, lateness_s: int, days: int) -> list[VendorRow]:
    """Return rows of all lengths, some of them late, all available within `lateness_s` after their start."""
    rows = []
    for number in range(200):
        start_s = T0 + random.randrange(days * DAY)
        length_s = random.choice([random.randrange(120), random.randrange(120), random.randrange(4 * HOUR)])
        late_s = random.choice([0, 0, 0, random.randrange(600), random.randrange(max(1, lateness_s - length_s - 60))])
        if length_s + late_s > lateness_s - 60:
            length_s, late_s = 60, 0
        rows.append(VendorRow(start_s, start_s + length_s, f"n{number}", "hello", start_s + length_s + late_s))
    return rows


def with_twins(random: Random, rows: Sequence[VendorRow], lateness_s: int) -> list[VendorRow]:
    """Add a second row of the same key for some rows: with equal or other content, available then or later."""
    twins = []
    for row in random.sample(rows, 40):
        later = row.available_s + random.choice([0, 0, random.randrange(1800)])
        available = max(row.available_s, min(row.start_s + lateness_s - 60, later))
        twins.append(VendorRow(row.start_s, row.end_s, row.name, random.choice([row.content, "twin"]), available))
    return [*rows, *twins]


class Scenario:
    """A random history, policy, vendor and sequence of crashes."""

    def __init__(
        self,
        seed: int,
        dedup_mode: DedupMode,
        select: Select,
        *,
        inclusive: bool,
        crash_rate: float,
        more: Sequence[VendorRow] = (),
    ) -> None:
        self.random = random = Random(seed)
        self.lateness_s = random.choice([5 * HOUR, 12 * HOUR])
        self.days = 1
        self.since_s = T0 + random.choice([0, 6 * HOUR])
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
        self.clock = EndingClock(at(start), at(T0 + self.days * DAY + 4 * HOUR))
        self.stream = ListStream(
            self.rows,
            self.clock,
            policy,
            dedup_mode,
            select=select,
            inclusive=inclusive,
            random=random,
            failure_rate=random.choice([0, 0.02]),
            response_s=random.choice([1, 30]),
        )
        self.sink = ListSink(random, crash_rate)

    async def run(self) -> None:
        await run_with_restarts(self.stream, self.sink, self.clock, at(self.since_s), self.random)

    def expected(self) -> Counter[tuple[str, str]]:
        return Counter((row.name, row.content) for row in self.rows if row.start_s >= self.since_s)


@pytest.mark.parametrize("dedup_mode", HISTORY_MODES)
@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("crash_rate", [0, 0.0005, 0.02])
async def test_every_record_is_published_once(
    dedup_mode: DedupMode, select: Select, inclusive: bool, crash_rate: float
) -> None:
    for seed in range(3):
        scenario = Scenario(seed, dedup_mode, select, inclusive=inclusive, crash_rate=crash_rate)
        await scenario.run()
        assert scenario.expected() == scenario.sink.contents(), f"seed {seed}"
        assert 1 == max(scenario.sink.event_ids().values()), f"seed {seed}"
        assert [] == scenario.sink.published_after_final(), f"seed {seed}"


@pytest.mark.parametrize("select", SELECTS)
async def test_crashes_do_not_change_the_ids(select: Select) -> None:
    """Ids are equal, not only contents, so a consumer can deduplicate across a crash."""
    for seed in range(10):
        undisturbed = Scenario(seed, DedupMode.VERSIONED, select, inclusive=True, crash_rate=0)
        crashing = Scenario(seed, DedupMode.VERSIONED, select, inclusive=True, crash_rate=0.05)
        await undisturbed.run()
        await crashing.run()
        assert undisturbed.sink.event_ids() == crashing.sink.event_ids(), f"seed {seed}"


async def test_a_crash_before_or_after_any_one_commit_changes_nothing() -> None:
    undisturbed = Scenario(7, DedupMode.VERSIONED, "end", inclusive=False, crash_rate=0)
    await undisturbed.run()
    expected, steps = undisturbed.sink.event_ids(), undisturbed.sink.commits
    assert steps > 20
    for step in range(0, 2 * steps, 17):
        scenario = Scenario(7, DedupMode.VERSIONED, "end", inclusive=False, crash_rate=0)
        remaining = [step]

        def crash_once(remaining: list[int] = remaining) -> None:
            remaining[0] -= 1
            if remaining[0] == -1:
                raise Crash

        scenario.sink._maybe_crash = crash_once  # type: ignore[method-assign]
        await scenario.run()
        assert remaining[0] < 0, f"no crash at step {step}"
        assert expected == scenario.sink.event_ids(), f"crashed at step {step}"


@given(
    seed=st.integers(0, 2**32),
    select=st.sampled_from(SELECTS),
    dedup_mode=st.sampled_from(HISTORY_MODES),
    crash_rate=st.sampled_from([0.0005, 0.02]),
)
@settings(max_examples=25)
async def test_random_scenarios_lose_and_duplicate_nothing(
    seed: int, select: Select, dedup_mode: DedupMode, crash_rate: float
) -> None:
    scenario = Scenario(seed, dedup_mode, select, inclusive=seed % 2 == 0, crash_rate=crash_rate)
    await scenario.run()
    assert scenario.expected() == scenario.sink.contents()
    assert 1 == max(scenario.sink.event_ids().values())


async def test_a_malformed_row_is_one_dead_letter_however_often_it_is_returned() -> None:
    start_s = T0 + 18 * HOUR
    broken = VendorRow(start_s, start_s + 60, "broken", MALFORMED, start_s + 120)
    scenario = Scenario(3, DedupMode.VERSIONED, "start", inclusive=True, crash_rate=0.01, more=[broken])
    await scenario.run()
    letters = [message for message in scenario.sink.messages if message.topic == "collector.dead_letters"]
    assert [b"list/things"] == [message.key for message in letters]


async def test_a_bounded_stream_completes_with_the_records_that_start_in_it() -> None:
    for select in SELECTS:
        scenario = Scenario(11, DedupMode.VERSIONED, select, inclusive=True, crash_rate=0.005)
        until = T0 + 16 * HOUR
        policy = scenario.stream.policy
        scenario.stream.policy = Policy(
            interval=policy.interval,
            settle=policy.settle,
            allowed_lateness=policy.allowed_lateness,
            sweep_every=policy.sweep_every,
            span=policy.span,
            until=at(until),
        )
        expected = Counter((row.name, row.content) for row in scenario.rows if scenario.since_s <= row.start_s < until)
        scenario.clock.final = at(T0 + 99 * DAY)  # the clock does not end the run: the stream completes
        await scenario.run()
        assert expected == scenario.sink.contents(), select


@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("until_h", [20, None])
async def test_an_end_may_be_moved_after_the_stream_is_complete(select: Select, until_h: int | None) -> None:
    """Records that start after the first end were received and dropped. They are requested again."""
    start_s = T0 + 4 * DAY
    rows = [VendorRow(s, s + 30, f"{s}", "hello", s + 30) for s in range(T0, T0 + 48 * HOUR, 600)]
    first = policy_until(T0 + 10 * HOUR)
    sink, random = ListSink(Random(1)), Random(1)
    for now_s, policy in ((start_s, first), (start_s + 6 * HOUR, policy_until(until_h and T0 + until_h * HOUR))):
        clock = EndingClock(at(now_s), at(now_s if until_h is None else now_s + DAY))
        stream = ListStream(rows, clock, policy, DedupMode.VERSIONED, select=select, inclusive=True, random=random)
        await run_with_restarts(stream, sink, clock, at(T0), random)

    last_s = T0 + (48 if until_h is None else until_h) * HOUR
    assert {row.name for row in rows if row.start_s < last_s} == {data.name for data in sink.published()}
    assert [] == sink.published_after_final()


def policy_until(until_s: int | None) -> Policy:
    return Policy(
        interval=timedelta(minutes=2),
        settle=timedelta(minutes=1),
        allowed_lateness=timedelta(hours=2),
        sweep_every=timedelta(hours=1),
        span=timedelta(hours=6),
        until=None if until_s is None else at(until_s),
    )
