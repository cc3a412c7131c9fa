"""The planner: every instant is requested, and requested again after its allowed lateness."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from collector.alignment import Periods, Snapshot
from collector.model import Checkpoint, Policy, Window
from collector.pipeline import plan
from collector.pipeline.plan import (
    CLOCK_TOLERANCE,
    Cursors,
    Done,
    Fetch,
    Wait,
    advanced,
    first_checkpoint,
    next_step,
    request_window,
    with_fitted_span,
    with_half_span,
)

T = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
POLICY = Policy(interval=MINUTE, settle=2 * MINUTE, allowed_lateness=24 * HOUR, sweep_every=6 * HOUR, span=6 * HOUR)


def checkpoint(since: datetime = T, **change: object) -> Checkpoint:
    first = first_checkpoint(since, POLICY)
    return Checkpoint(**{name: change.get(name, getattr(first, name)) for name in Checkpoint.__struct_fields__})  # type: ignore[arg-type]


def test_a_live_pass_goes_from_the_watermark_to_now_oldest_first() -> None:
    now = T + 2 * HOUR + 30 * MINUTE
    at, cursors, windows = checkpoint(), Cursors(due=T), []
    while isinstance(step := next_step(at, POLICY, cursors, now), Fetch) and step.is_live:
        windows.append(step.window)
        at, cursors = advanced(at, step, POLICY, now)
    assert [Window(T, T + HOUR), Window(T + HOUR, T + 2 * HOUR), Window(T + 2 * HOUR, now)] == windows


def test_the_watermark_stays_behind_now_by_settle_and_the_next_pass_starts_there() -> None:
    now = T + 10 * MINUTE
    step = next_step(checkpoint(), POLICY, Cursors(due=T), now)
    assert isinstance(step, Fetch)
    after, cursors = advanced(checkpoint(), step, POLICY, now)
    assert now - 2 * MINUTE == after.watermark
    again = next_step(after, POLICY, cursors, now + MINUTE)
    assert isinstance(again, Fetch)
    assert Window(now - 2 * MINUTE, now + MINUTE) == again.window


def test_history_older_than_the_lateness_is_final_after_the_first_request() -> None:
    now = T + 100 * HOUR
    step = next_step(checkpoint(), POLICY, Cursors(due=T), now)
    assert isinstance(step, Fetch)
    after, _ = advanced(checkpoint(), step, POLICY, now)
    assert step.window.end - SECOND == after.final
    assert step.window.end == after.watermark


def test_a_window_that_starts_after_final_does_not_move_it() -> None:
    before = checkpoint(watermark=T + 5 * HOUR, final=T)
    step = Fetch(Window(T + 3 * HOUR, T + 4 * HOUR), is_live=False, cursors=Cursors(due=T))
    after, _ = advanced(before, step, POLICY, T + 100 * HOUR)
    assert T == after.final


def test_a_request_starts_a_second_before_its_window_but_not_before_final() -> None:
    window = Window(T + HOUR, T + 2 * HOUR)
    step = Fetch(window, is_live=True, cursors=Cursors(due=T))
    assert Window(T + HOUR - SECOND, T + 2 * HOUR) == request_window(step, checkpoint(final=T), POLICY)
    assert window == request_window(step, checkpoint(final=T + HOUR), POLICY)


@pytest.mark.parametrize("policy", [POLICY, structs.replace(POLICY, alignment=Snapshot())])
def test_only_the_request_of_a_sweep_says_when_the_last_sweep_began(policy: Policy) -> None:
    window, at = Window(T + HOUR, T + 2 * HOUR), checkpoint(final=T, swept_at=T - HOUR)
    steps = [Fetch(window, is_live=is_live, cursors=Cursors(due=T)) for is_live in (True, False)]
    assert [None, T - HOUR] == [request_window(step, at, policy).swept_at for step in steps]


def test_live_and_sweep_alternate_starting_with_live() -> None:
    at = checkpoint(watermark=T + 3 * HOUR, final=T, swept_at=T, span=HOUR)
    now, cursors, passes = T + 8 * HOUR, Cursors(due=T), []
    for _ in range(6):
        step = next_step(at, POLICY, cursors, now)
        assert isinstance(step, Fetch)
        passes.append("live" if step.is_live else "sweep")
        at, cursors = advanced(at, step, POLICY, now)
    assert ["live", "sweep"] * 3 == passes


def test_without_a_window_to_fetch_it_waits_for_the_next_poll() -> None:
    at = checkpoint(watermark=T + HOUR, swept_at=T + HOUR)
    step = next_step(at, POLICY, Cursors(due=T + HOUR + 30 * SECOND), T + HOUR)
    assert isinstance(step, Wait)
    assert T + HOUR + 30 * SECOND == step.until


def test_after_the_clock_steps_back_it_waits() -> None:
    at = checkpoint(watermark=T + HOUR, swept_at=T + HOUR)
    step = next_step(at, POLICY, Cursors(due=T), T)
    assert isinstance(step, Wait)
    assert step.until > T


def test_a_poll_planned_by_a_clock_that_was_ahead_is_at_most_an_interval_away() -> None:
    at = checkpoint(watermark=T + HOUR, final=T + HOUR)
    now = T + HOUR + 5 * MINUTE
    step = next_step(at, POLICY, Cursors(due=now + 2 * HOUR), now)
    assert isinstance(step, Wait)
    assert now + POLICY.interval == step.until
    assert step.until == step.cursors.due, "later calls do not postpone it"


def test_the_span_grows_up_to_the_configured_one_while_responses_are_small_and_fast() -> None:
    at, window = checkpoint(span=HOUR), Window(T, T + HOUR)
    assert 2 * HOUR == with_fitted_span(at, window, POLICY, largest_bytes=1000, slowest_s=0.1).span
    assert HOUR == with_fitted_span(at, window, POLICY, largest_bytes=plan.TARGET_RESPONSE_BYTES, slowest_s=0.1).span
    assert HOUR == with_fitted_span(at, window, POLICY, largest_bytes=1000, slowest_s=60).span
    assert HOUR == with_fitted_span(at, Window(T, T + MINUTE), POLICY, largest_bytes=10, slowest_s=0).span
    assert (
        6 * HOUR
        == with_fitted_span(
            checkpoint(span=6 * HOUR), Window(T, T + 6 * HOUR), POLICY, largest_bytes=0, slowest_s=0
        ).span
    )
    assert (
        HOUR / 2
        == with_fitted_span(at, window, POLICY, largest_bytes=3 * plan.TARGET_RESPONSE_BYTES, slowest_s=0.1).span
    )


def test_a_window_is_halved_down_to_a_minute_and_no_further() -> None:
    at, spans = checkpoint(span=6 * HOUR), []
    window = Window(T, T + 6 * HOUR)
    while (narrower := with_half_span(at, window, POLICY)) is not None:
        at, window = narrower, Window(T, T + narrower.span)
        spans.append(narrower.span)
    assert 3 * HOUR == spans[0]
    assert MINUTE == spans[-1]


def test_a_bounded_stream_is_done_once_no_record_of_it_can_end_or_appear_later() -> None:
    bounded = Policy(
        interval=MINUTE,
        settle=2 * MINUTE,
        allowed_lateness=24 * HOUR,
        sweep_every=6 * HOUR,
        span=6 * HOUR,
        until=T + 10 * HOUR,
    )
    end = T + 34 * HOUR
    now = T + 100 * HOUR
    ready = checkpoint(watermark=end, final=T + 20 * HOUR, swept_at=now)
    assert isinstance(next_step(ready, bounded, Cursors(due=now), now), Done)
    for incomplete in ({"watermark": end - SECOND}, {"final": T + 9 * HOUR}, {"swept_at": end - SECOND}):
        earlier = checkpoint(**{"watermark": end, "final": T + 20 * HOUR, "swept_at": now, **incomplete})
        assert not isinstance(next_step(earlier, bounded, Cursors(due=now), now), Done)


HOURS = Periods(ZoneInfo("Europe/Paris"), datetime(2018, 1, 1), HOUR)  # noqa: DTZ001 - local
HOURLY = Policy(
    interval=HOUR / 2,
    settle=45 * MINUTE,
    allowed_lateness=24 * HOUR,
    sweep_every=6 * HOUR,
    span=48 * HOUR,
    alignment=HOURS,
)


def test_a_period_is_fetched_once_when_it_has_settled() -> None:
    at = checkpoint()
    due = T + HOUR + HOURLY.settle
    early = next_step(at, HOURLY, Cursors(due=T), due - SECOND)
    assert isinstance(early, Wait)
    assert due == early.until
    step = next_step(at, HOURLY, early.cursors, due)
    assert isinstance(step, Fetch)
    assert Window(T, T + HOUR) == step.window
    after, cursors = advanced(at, step, HOURLY, due)
    assert T + HOUR == after.watermark
    following = next_step(after, HOURLY, cursors, due)
    assert isinstance(following, Wait)
    assert due + HOUR == following.until


def test_a_vendor_whose_clock_is_slightly_behind_does_not_delay_the_watermark() -> None:
    due = T + HOUR + HOURLY.settle
    step = next_step(checkpoint(), HOURLY, Cursors(due=T), due)
    assert isinstance(step, Fetch)
    for behind, watermark in ((CLOCK_TOLERANCE, T + HOUR), (CLOCK_TOLERANCE + SECOND, T)):
        assert watermark == advanced(checkpoint(), step, HOURLY, due - behind)[0].watermark


def test_the_tolerance_for_clocks_never_exceeds_the_vendors_time() -> None:
    """A period that is not over on the vendor's clock is not complete, however short `settle` is."""
    policy = structs.replace(HOURLY, settle=SECOND)
    step = next_step(checkpoint(), policy, Cursors(due=T), T + HOUR + SECOND)
    assert isinstance(step, Fetch)
    assert T == advanced(checkpoint(), step, policy, T + HOUR - SECOND)[0].watermark
    assert T + HOUR == advanced(checkpoint(), step, policy, T + HOUR)[0].watermark


def test_periods_that_ended_during_a_downtime_are_fetched_in_one_pass_to_the_last_settled_one() -> None:
    now = T + 10 * HOUR + 20 * MINUTE
    step = next_step(checkpoint(span=48 * HOUR), HOURLY, Cursors(due=now), now)
    assert isinstance(step, Fetch)
    assert Window(T, T + 9 * HOUR) == step.window


def test_a_live_pass_of_periods_from_final_counts_as_a_sweep() -> None:
    now = T + 20 * HOUR
    at, cursors, windows = checkpoint(span=4 * HOUR), Cursors(due=now), []
    while isinstance(step := next_step(at, HOURLY, cursors, now), Fetch):
        windows.append((step.is_live, step.window.start))
        at, cursors = advanced(at, step, HOURLY, now)
    assert [(True, T + n * HOUR) for n in range(0, 19, 4)] == windows
    assert (T, now) == (at.final, at.swept_at)
    later = next_step(at, HOURLY, cursors, now + HOURLY.sweep_every)
    assert isinstance(later, Fetch)
    assert later.cursors.sweep is not None


def test_a_bounded_stream_of_periods_ends_with_the_period_that_contains_its_end() -> None:
    policy = structs.replace(HOURLY, until=T + 2 * HOUR + MINUTE)
    at, now = checkpoint(watermark=T + 2 * HOUR, final=T), T + 3 * HOUR + HOURLY.settle
    waiting = next_step(at, policy, Cursors(due=T), now - SECOND)
    assert isinstance(waiting, Wait)
    assert now == waiting.until
    step = next_step(at, policy, waiting.cursors, now)
    assert isinstance(step, Fetch)
    at, cursors = advanced(at, step, policy, now)
    assert T + 3 * HOUR == at.watermark
    final_from = T + 3 * HOUR + policy.allowed_lateness
    while isinstance(step := next_step(at, policy, cursors, now), Wait | Fetch):
        if isinstance(step, Wait):
            cursors, now = step.cursors, step.until
        else:
            at, cursors = advanced(at, step, policy, now)
    assert now >= final_from
    assert T + 3 * HOUR == at.final


@given(
    length=st.sampled_from([HOUR / 12, HOUR, 24 * HOUR]),
    interval=st.sampled_from([MINUTE, 30 * MINUTE, 2 * HOUR]),
    settle=st.sampled_from([SECOND, 45 * MINUTE, 3 * HOUR]),
    age=st.integers(0, 10**6),
    took=st.lists(st.integers(0, 300), min_size=30, max_size=100),
)
def test_each_period_is_fetched_once_by_live_passes_and_again_after_its_lateness(
    length: timedelta, interval: timedelta, settle: timedelta, age: int, took: list[int]
) -> None:
    alignment = Periods(ZoneInfo("Europe/Paris"), datetime(2018, 1, 1), length)  # noqa: DTZ001 - local
    policy = structs.replace(HOURLY, interval=interval, settle=settle, alignment=alignment)
    at, now = first_checkpoint(T, policy), T + age * SECOND
    cursors, since, fetched_at = Cursors(due=now), at.since, dict[datetime, datetime]()
    for seconds in took:
        step = next_step(at, policy, cursors, now)
        if isinstance(step, Wait):
            assert step.until > now
            cursors, now = step.cursors, step.until
            continue
        assert isinstance(step, Fetch)
        assert step.window.end + settle <= now
        if step.is_live:
            assert step.window.start == at.watermark, "no live pass fetches a period again"
        start = step.window.start
        while start < step.window.end:
            fetched_at[start] = now
            start = alignment.after(start)
        at, cursors = advanced(at, step, policy, now)
        now += timedelta(seconds=seconds)
    start = since
    while start < at.watermark:
        assert start in fetched_at
        if start < at.final:
            assert fetched_at[start] - policy.allowed_lateness >= alignment.after(start)
        start = alignment.after(start)


_seconds = st.integers(1, 40_000).map(lambda value: timedelta(seconds=value))


@given(
    policy=st.builds(
        Policy,
        interval=st.sampled_from([MINUTE, 15 * MINUTE]),
        settle=st.sampled_from([SECOND, 2 * MINUTE, 45 * MINUTE]),
        allowed_lateness=st.sampled_from([2 * HOUR, 24 * HOUR]),
        sweep_every=st.sampled_from([HOUR, 6 * HOUR]),
        span=st.sampled_from([MINUTE, 30 * MINUTE, 6 * HOUR]),
    ),
    steps=st.lists(
        st.tuples(st.sampled_from(["ok", "ok", "ok", "fail", "crash"]), st.sampled_from([0, 1, 30, 600])),
        min_size=20,
        max_size=200,
    ),
    age=_seconds,
)
def test_every_instant_is_requested_and_again_after_its_lateness(
    policy: Policy, steps: list[tuple[str, int]], age: timedelta
) -> None:
    """Neither watermark nor final moves past an instant that was not requested in time: so no record is lost."""
    at, now = first_checkpoint(T, policy), T + age
    cursors = Cursors(due=now)
    covered: list[tuple[Window, datetime]] = []
    for outcome, seconds in steps:
        step = next_step(at, policy, cursors, now)
        if isinstance(step, Wait):
            assert step.until > now
            cursors, now = step.cursors, step.until
            continue
        assert isinstance(step, Fetch)
        cursors, requested_at = step.cursors, now
        now += timedelta(seconds=seconds)
        if outcome == "crash":
            cursors = Cursors(due=now)
        elif outcome == "ok":
            request = request_window(step, at, policy)
            covered.append((request, requested_at))
            before = at
            at, cursors = advanced(at, step, policy, requested_at)
            assert before.watermark <= at.watermark
            assert before.final <= at.final < at.watermark or at.final == at.watermark == T
    # A request [start, end) in whole seconds covers at least [start, end - 1s), whether its end is inclusive or not.
    _assert_covered(covered, T, at.watermark - SECOND, timedelta(0))
    _assert_covered(covered, T, at.final, policy.allowed_lateness)


def _assert_covered(
    covered: list[tuple[Window, datetime]], start: datetime, end: datetime, lateness: timedelta
) -> None:
    """Assert that each second of [start, end) was requested at least `lateness` after it."""
    reached = start
    while reached < end:
        ends = [
            min(request.end - SECOND, requested_at - lateness)
            for request, requested_at in covered
            if request.start <= reached
        ]
        further = max((each for each in ends if each > reached), default=None)
        assert further is not None, f"{reached} was not requested in time"
        reached = further
